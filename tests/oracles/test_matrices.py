"""Random matrices: moments with closed forms (TP3), and state evolution."""

from math import comb
from pathlib import Path

import numpy as np
from scipy.integrate import quad
from scipy.stats import norm

import tpc

PROGRAMS = Path(__file__).parents[2] / "programs" / "matrices"


def run(name, inputs=None, **dims):
    return tpc.load(PROGRAMS / name, dims=dims).compile()(inputs or {})


def catalan(k):
    return comb(2 * k, k) // (k + 1)


def narayana(k, rho):
    return sum(comb(k, j) * comb(k, j - 1) // k * rho**j for j in range(1, k + 1)) if k else 1


def test_wishart_moments_are_catalan_numbers():
    result = run("wishart.tp", K=8)
    assert result.plan.exact
    np.testing.assert_allclose(result["c"].value, [catalan(k) for k in range(9)], rtol=1e-12)


def test_marchenko_pastur_moments_are_narayana_polynomials():
    np.testing.assert_allclose(
        run("marchenko_pastur.tp")["c"].value, [narayana(k, 0.5) for k in range(6)], rtol=1e-12
    )


def test_semicircle_moments():
    expected = [catalan(k // 2) if k % 2 == 0 else 0 for k in range(9)]
    np.testing.assert_allclose(run("semicircle.tp")["c"].value, expected, rtol=1e-12, atol=1e-12)


def expect(f):
    return quad(lambda z: f(z) * norm.pdf(z), -12, 12, epsabs=1e-12)[0]


def test_amp_follows_its_state_evolution():
    signal, start = 1.5, 0.5
    result = run("amp.tp", {"lambda": signal, "epsilon": start})
    overlap, second = expect(lambda z: np.tanh(start + z)), expect(lambda z: np.tanh(start + z) ** 2)
    for t in range(6):
        mu, variance = signal * overlap, second
        assert abs(result["mu"].value[t] - mu) < 4 * result["mu"].stderr[t]
        assert abs(result["tau2"].value[t] - variance) < 4 * result["tau2"].stderr[t]
        tau = np.sqrt(variance)
        overlap, second = (
            expect(lambda z, m=mu, s=tau: np.tanh(m + s * z)),
            expect(lambda z, m=mu, s=tau: np.tanh(m + s * z) ** 2),
        )
    assert abs(result["overlap"].value - overlap) < 4 * result["overlap"].stderr
