"""From which width on the first order of corrections holds, and what `verify` makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

import tpc
from tpc.simulate import verify

OPTIMISERS = Path(__file__).parents[2] / "programs" / "optimisers"
SCALES = (3, 30, 300)
SCALED = """
width n
input c[3]
vector x : n ~ N(0, 1)
output odd[i] = tanh(c[i]*mean(x)) for i < 3
output both[i] = sin(c[i]*mean(x) + 1) for i < 3
output steep = exp(3*mean(x^2))
output plain = mean(x^2)
output none = 2 + mean(x)*mean(tanh(x))*mean(sin(x))
"""
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(120)


def gaussian(f, s):
    """E f(s g)."""
    return float(f(s * NODES) @ WEIGHTS / WEIGHTS.sum())


def threshold(beyond, least, most):
    """The width from which what is beyond the first order is a quarter."""
    return brentq(lambda n: beyond(n) - 0.25, least, most)


def beyond(bias, variance, of):
    """Bias and variance times n at the width n against their limits, the larger one of both differences.

    of: the mean and the mean of the square at the width n, less the limit's value.
    """

    def at(n):
        mean, square = of(n)
        return max(
            abs(n * mean - bias) / max(abs(bias), variance**0.5),
            abs(n * (square - mean**2) - variance) / variance,
        )

    return at


@pytest.fixture(scope="module")
def scaled():
    return tpc.parse(SCALED, name="scaled").corrections({"c": np.array(SCALES, float)}, method="nodes")


def test_widths_grow_with_the_square_of_a_scale(scaled):
    """mean(x) is a Gaussian over √n: so the width is known for any function of it."""

    def odd(n):
        return 0.0, gaussian(lambda g: np.tanh(g) ** 2, n**-0.5)

    def both(n):
        f = lambda g: np.sin(g + 1) - np.sin(1)  # noqa: E731
        return gaussian(f, n**-0.5), gaussian(lambda g: f(g) ** 2, n**-0.5)

    one = threshold(beyond(0, 1, odd), 0.02, 100)
    other = threshold(beyond(-np.sin(1) / 2, np.cos(1) ** 2, both), 0.02, 100)
    for i, c in enumerate(SCALES):
        told = [scaled[name].first_order_from[i] for name in ("odd", "both")]
        np.testing.assert_allclose(told, [max(16, one * c**2), max(16, other * c**2)], rtol=0.4)


def test_what_is_no_function_of_a_gaussian(scaled):
    """E exp(c χ²/n) = (1 - 2c/n)^(-n/2): told by Gaussian moves of the weights, the width is about right."""

    def steep(n):
        moments = [(1 - 2 * c / n) ** (-n / 2) for c in (3, 6)]
        return moments[0] - np.e**3, moments[1] - 2 * np.e**3 * moments[0] + np.e**6

    wanted = threshold(beyond(9 * np.e**3, 18 * np.e**6, steep), 20, 5000)
    assert 0.5 < scaled["steep"].first_order_from / wanted < 2
    assert scaled["plain"].first_order_from == 16


def test_what_has_no_first_order_has_no_width(scaled):
    own = scaled["none"]
    assert np.isnan(own.first_order_from)
    data = scaled.to_json()["outputs"]
    assert data["none"]["first_order_from"] is None
    assert data["odd"]["first_order_from"][2] > 1e5
    assert "first order from n ≈ 3" in str(scaled)


def test_steps_across_kinks():
    """relu(w) of w = u + Vv with vectors: smooth in law, and as an expansion says it from small widths."""
    text = (
        "width n\nvector u : n ~ N(0, 1)\nmatrix W : n x n ~ N(0, 1/n)\n"
        "h = W @ relu(W @ u)\noutput k = mean(relu(h)^2)\noutput s = tanh(40*mean(relu(h)*u))\n"
    )
    found = tpc.parse(text).corrections()
    assert "kinks" in found.method
    assert found["k"].first_order_from < 100
    # steps are those of a width where it does not hold, and less are not seen by the points
    assert np.isnan(found["s"].first_order_from) or found["s"].first_order_from > 500


# verify


@pytest.fixture(scope="module")
def muon():
    """The program, its limit, its samples and its corrections."""
    program, given = tpc.load(OPTIMISERS / "muon_linear.tp"), {"y": np.array([1, 0.5, -0.3, 0.2])}
    samples = [program.simulate(given, width=n, seeds=range(64)) for n in (64, 256)]
    result = program.compile()(given)
    return result.limits, samples, program.corrections(given, limit=result, repeats=8).outputs


def test_small_singular_values_are_enlarged_up_to_large_widths(muon):
    """Networks have n·bias -9, -18, -28 and -87 ± 24 at widths 256, 1,024, 10,000 and 100,000."""
    own = muon[2]["g"]
    assert 5e4 < own.first_order_from[4] < 1e6
    assert own.first_order_from[3] > 1000
    assert np.all(own.first_order_from[:3] <= 64)
    assert abs(own.bias[4] + 116.3) < 4 * own.bias_stderr[4]


def test_narrow_networks_are_not_judged_by_the_first_order(muon):
    limits, samples, predicted = muon
    report = verify(limits, samples, corrections=predicted)
    assert report.agrees
    own = report.outputs[0].forecast
    assert own.usable.tolist() == [2, 2, 2, 0, 0]
    assert np.isnan([z[4] for z in own.bias.z]).all()
    assert report.to_json()["outputs"]["g"]["prediction"]["widths_judged"] == [2, 2, 2, 0, 0]
    blind = {"g": replace(predicted["g"], first_order_from=None)}
    other = verify(limits, samples, corrections=blind)
    assert not other.agrees
    assert other.limit_agrees
    assert "the limit agrees with finite width, the predicted bias" in other.title
    assert "DISAGREE" in other.title
    off = {"g": (limits["g"][0] + 0.5, None)}
    assert "the limit DISAGREES" in verify(off, samples, corrections=predicted).title


STEEP = """
width n
vector x : n ~ N(0, 1)
output steep = tanh(30*mean(tanh(x)))
output flat = sin(3*mean(tanh(x)))
"""


def test_what_is_not_near_its_limit_yet_is_not_told_to_stay_away_from_it():
    """At widths where tanh is ±1 nearly always its error does not go down."""
    program = tpc.parse(STEEP, name="steep")
    predicted = program.corrections(repeats=4).outputs
    samples = [program.simulate(width=n, seeds=range(200)) for n in (16, 64, 256)]
    limits = dict.fromkeys(predicted, (0.0, None))
    report = verify(limits, samples, corrections=predicted)
    assert report.agrees
    assert "not judged" in str(report)
    assert not verify(limits, samples).agrees
    assert not verify({**limits, "flat": (0.2, None)}, samples, corrections=predicted).limit_agrees
