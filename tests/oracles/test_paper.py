"""Theorems of the paper (TP4) as oracles, computed here in other ways: recursions, quadrature by hand."""

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import erf
from scipy.stats import norm

import tpc

PROGRAMS = Path(__file__).parents[2] / "programs"
RANDOM = np.random.default_rng(0)


def run(name, inputs=None, **options):
    program = tpc.load(PROGRAMS / name)
    return program.derive().compile(**options)(inputs or {})


def within(outcome, expected, sigmas=4):
    error = np.zeros_like(outcome.value) if outcome.stderr is None else outcome.stderr
    np.testing.assert_array_less(np.abs(outcome.value - expected), sigmas * error + 1e-12)


def test_cor_6_2_is_the_recursion_of_four_numbers():
    steps, rate = 10, 0.25
    xi, y = RANDOM.uniform(-1, 1, steps), RANDOM.uniform(-1, 1, steps)
    result = run("paper/cor_6_2.tp", {"xi": xi, "y": y, "eta": rate})
    a, b, c, d, expected = 1.0, 0.0, 0.0, 1.0, []
    for t in range(steps):
        expected.append((a * c + b * d) * xi[t])
        step = rate * (expected[-1] - y[t]) * xi[t]
        a, b, c, d = a - step * c, b - step * d, c - step * a, d - step * b
    assert result.plan.exact
    np.testing.assert_allclose(result["f"].value, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(result["f_end"].value, a * c + b * d, rtol=0, atol=1e-12)


def plane(f):
    """E f(u, v) over two standard Gaussians, by the trapezium rule, which is exact to rounding for what is
    smooth and falls off so fast."""
    z = np.arange(-9, 9, 0.05)
    u, v = np.meshgrid(z, z)
    return np.sum(f(u, v) * norm.pdf(u) * norm.pdf(v)) * 0.05**2


def test_thm_6_1_is_an_integral_over_the_plane():
    xi, y = np.array([1.0, -0.5, 0.8]), np.array([0.5, 0.3, -0.2])
    result = run("paper/thm_6_1.tp", {"xi": xi, "y": y, "xi_test": -1.0})

    def phi(s):
        return erf(s / 2)

    def phi_prime(s):
        return np.exp(-s * s / 4) / np.sqrt(np.pi)

    chi: list[float] = []

    def weights(u, v, t):
        for s in range(t):
            u, v = u - chi[s] * xi[s] * v * phi_prime(xi[s] * u), v - chi[s] * phi(xi[s] * u)
        return u, v

    def output(x, t):
        return plane(lambda u0, v0: (lambda u, v: v * phi(x * u))(*weights(u0, v0, t)))

    for t in range(3):
        f = output(xi[t], t)
        assert abs(result["f"].value[t] - f) < 1e-10
        chi.append(f - y[t])
    assert abs(result["f_test"].value[3] - output(-1.0, 3)) < 1e-10


def expect(f, variance):
    return quad(lambda z: f(np.sqrt(variance) * z) * norm.pdf(z), -12, 12, epsabs=1e-13)[0]


@pytest.mark.parametrize("name", ["paper/thm_6_3.tp", "paper/thm_6_4.tp"])
def test_two_layers_first_step_by_hand(name):
    """f_1(ξ) of Thm 6.3 and 6.4 after one step on ξ_0 = 1: Ż^{W x_1(ξ)} = -χ_0 ξ_0 ξ Z^{dh_0} E
    φ'(Z^{h_1(ξ)}) φ'(Z^{h_0})."""
    q = expect(lambda s: np.tanh(s) ** 2, 1.0)  # E Z^{x_0}², the variance of Z^{h_0}
    chi = 1.0  # f_0 = 0, y = -1

    def hidden(s):
        return 1 / np.cosh(s) ** 2

    # Z^{dx_0} ~ N(0, E dh_0²), independent of Z^{U_0}; the true backward pass adds nothing to it, as E
    # ∂Z^{dh_0}/∂Ẑ^{Wx_0} = E V₀ φ'' = 0
    spread = expect(lambda s: hidden(s) ** 2, q)
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = weights / weights.sum()
    u, d = np.meshgrid(nodes, np.sqrt(spread) * nodes, indexing="ij")
    both = np.multiply.outer(weights, weights)
    x0, x1 = np.tanh(u), np.tanh(u - chi * d * hidden(u))
    cross, own = (both * x0 * x1).sum(), (both * x1 * x1).sum()
    onsager = -chi * (both * hidden(u - chi * d * hidden(u)) * hidden(u)).sum() if "6_4" in name else 0.0
    # Z^{h_1} = G_1 + (onsager - χ cross) V₀ φ'(G_0), with (G_0, G_1) ~ N(0, [[q, cross], [cross, own]]);
    # Z^{V_1} = V₀ - χ φ(G_0)
    a, b, v = np.meshgrid(nodes[20:-20], nodes[20:-20], nodes[20:-20], indexing="ij")
    triple = np.einsum("i,j,k->ijk", *[weights[20:-20]] * 3)
    g0 = np.sqrt(q) * a
    g1 = cross / np.sqrt(q) * a + np.sqrt(own - cross**2 / q) * b
    h1 = g1 + (onsager - chi * cross) * v * hidden(g0)
    expected = (triple * (v - chi * np.tanh(g0)) * np.tanh(h1)).sum()
    f = run(name, {"xi": np.ones(3), "y": -np.ones(3)})["f"]
    assert abs(f.value[1] - expected) < 4 * f.stderr[1]


def test_remark_f_1_both_writings_agree():
    result = run("paper/remark_f_1.tp")
    expected = expect(lambda s: 1 / np.cosh(s) ** 2, 2.0)
    within(result["c1"], expected)
    within(result["c2"], expected)
    assert result["gap"].value < 1e-20
