"""From which width on the first order of corrections holds, and what `verify` makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

import tpc
from tests.corrections.expectations import expectation
from tpc.corrections.first_order import Ladder, Moved
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
SEEDS = 8
DIRECTIONS = 2000


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


@dataclass(frozen=True)
class OfGaussian:
    """A function of mean(x), which is a Gaussian over √n, less its limit; n·bias and n·variance for n → ∞."""

    f: Callable[[np.ndarray], np.ndarray]
    bias: float
    variance: float

    @property
    def holds(self):
        """The width from which the first order holds, of 16 or more."""

        def at(n):
            return expectation(self.f, scale=n**-0.5), expectation(self.f, self.f, scale=n**-0.5)

        own = beyond(self.bias, self.variance, at)
        return max(16, threshold(own, 0.02 * self.variance, 100 * self.variance))

    def moved(self, steps):
        """What steps along quantiles of a Gaussian make of it, as two repeats."""
        t, up = np.repeat(steps, DIRECTIONS), np.tile(QUANTILES, (2, len(steps)))
        high, low = self.f(t * up), self.f(-t * up)
        return Moved((high - low) / (2 * t), (high + low - 2 * self.f(0)) / (2 * t**2))


QUANTILES = norm.ppf((np.arange(DIRECTIONS) + 0.5) / DIRECTIONS)
FUNCTIONS = {
    "odd": lambda c: OfGaussian(lambda x: np.tanh(c * x), 0.0, c**2),
    "both": lambda c: OfGaussian(
        lambda x: np.sin(c * x + 1) - np.sin(1), -(c**2) * np.sin(1) / 2, (c * np.cos(1)) ** 2
    ),
}


def on(seed):
    return tpc.parse(SCALED, name="scaled").corrections(
        {"c": np.array(SCALES, float)}, method="nodes", seed=seed
    )


@pytest.fixture(scope="module")
def scaled():
    return on(0)


@pytest.mark.parametrize("c", [3, 10, 17, 30, 50, 100, 300])
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("factor", "least"), [(2, 0.88), (4, 0.7)])
def test_a_ladder_with_every_direction_is_off_by_what_is_between_its_rungs(name, c, factor, least):
    """Straight lines between rungs are below what is beyond the first order."""
    own, ladder = FUNCTIONS[name](c), Ladder.above(2.0**-12, DIRECTIONS, factor)
    exactly = np.zeros(())
    parts = [own.moved(steps) for steps in ([ladder.least], [ladder.least / 2], ladder.steps)]
    known = (np.array(own.bias), exactly, np.array(own.variance), exactly)
    assert least < ladder.first_order_from(*parts, known, exactly, 0.0) / own.holds <= 1


def test_widths_grow_with_the_square_of_a_scale(scaled):
    """Eight directions of each repeat tell a width to a quarter or so; many seeds tell more."""
    found = [scaled, *(on(seed) for seed in range(1, SEEDS))]
    told = np.array([[own[name].first_order_from for name in FUNCTIONS] for own in found])
    shares = told / [[own(c).holds for c in SCALES] for own in FUNCTIONS.values()]
    assert np.all(np.abs(np.log2(shares)) < 1)
    assert np.all(np.abs(np.exp(np.log(shares).mean(axis=0)) - 1) < 0.2)


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
