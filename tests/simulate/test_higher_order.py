"""`verify` of what has no spread of the first order: polynomials in means that are 0 in the limit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tpc
from tests.one_hidden_layer import trained
from tests.simulate.test_forecast import Prediction
from tpc.simulate import Samples, verify

MEANS = 3
WIDTHS = [(64,), (4096,), (64, 256), (64, 128), (16, 32), (64, 128, 256), (32, 64, 128, 512)]


@dataclass(frozen=True)
class Polynomial:
    """Of independent means of n standard Gaussians: coefficients by exponents, of degree 2 or more."""

    constant: float
    terms: tuple[tuple[float, tuple[int, ...]], ...]

    def samples(self, width, seeds, seed):
        """Exactly in law."""
        means = np.random.default_rng([seed, width]).standard_normal((MEANS, seeds)) / width**0.5
        values = self.constant + sum(c * np.prod(means.T**exponents, axis=1) for c, exponents in self.terms)
        return Samples("polynomial", width, "float64", tuple(range(seeds)), {"a": values})

    def mean(self, width):
        """That at width n, less the limit."""
        return sum(
            c * prod(moment(k) for k in exponents) * width ** (-sum(exponents) / 2)
            for c, exponents in self.terms
        )

    @property
    def bias(self):
        """n times it, as n → ∞."""
        return sum(c for c, exponents in self.terms if sorted(exponents) == [0] * (MEANS - 1) + [2])

    def prediction(self, more=0.0, variance=0.0):
        return {"a": Prediction(np.array(float(self.bias + more)), np.array(variance))}


def moment(k):
    """E g^k of a standard Gaussian."""
    return 0 if k % 2 else prod(range(1, k, 2))


COEFFICIENTS = st.sampled_from([-2.0, -0.5, 1.0, 2.0])
EXPONENTS = st.tuples(*[st.integers(0, 6)] * MEANS).filter(lambda ks: 2 <= sum(ks) <= 6)
POLYNOMIALS = st.builds(
    Polynomial,
    st.sampled_from([0.0, 0.0, 3.0]),
    st.lists(st.tuples(COEFFICIENTS, EXPONENTS), min_size=1, max_size=3).map(tuple),
).filter(lambda p: np.ptp(p.samples(2, 9, 0).outputs["a"]) > 0)
SEEDS = st.sampled_from([30, 300, 3000, 30_000])


@given(POLYNOMIALS, st.sampled_from(WIDTHS), SEEDS, st.integers(0, 10**6))
def test_higher_orders_are_no_disagreement(polynomial, widths, seeds, seed):
    samples = [polynomial.samples(n, seeds, seed) for n in widths]
    report = verify({"a": (polynomial.constant, None)}, samples, corrections=polynomial.prediction())
    assert report.agrees, str(report)


@given(POLYNOMIALS, st.sampled_from(WIDTHS[2:]), SEEDS, st.sampled_from([-1, 1]))
def test_beside_them_a_wrong_limit_is_found(polynomial, widths, seeds, sign):
    """One that is off by 15 standard errors and what the next orders make at the narrowest width."""
    samples = [polynomial.samples(n, seeds, 0) for n in widths]
    right = verify({"a": (polynomial.constant, None)}, samples, corrections=polynomial.prediction())
    beyond = abs(polynomial.mean(widths[0]) - polynomial.bias / widths[0])
    off = sign * (15 * right.outputs[0].gap.stderr + 2 * beyond)
    report = verify({"a": (polynomial.constant + off, None)}, samples, corrections=polynomial.prediction())
    assert not report.limit_agrees, str(report)


@given(POLYNOMIALS, st.sampled_from(WIDTHS[2:]), SEEDS, st.sampled_from([-1, 1]))
def test_beside_them_a_wrong_bias_is_found(polynomial, widths, seeds, sign):
    samples = [polynomial.samples(n, seeds, 0) for n in widths]
    limits = {"a": (polynomial.constant, None)}
    right = verify(limits, samples, corrections=polynomial.prediction()).outputs[0].forecast.bias
    beyond = abs(polynomial.mean(widths[0]) * widths[0] - polynomial.bias)
    wrong = polynomial.prediction(sign * (15 * right.stderr + 3 * beyond))
    assert "bias" in verify(limits, samples, corrections=wrong).outputs[0].disagreeing


@pytest.mark.parametrize("widths", WIDTHS)
def test_a_spread_that_is_not_of_a_higher_order_is_found(widths):
    """Predicted to be so; one width tells it from none that is."""
    linear = Polynomial(0.0, ((1.0, (1, 0, 0)), (1.0, (2, 0, 0))))
    samples = [linear.samples(n, 3000, 0) for n in widths]
    own = verify({"a": (0.0, None)}, samples, corrections=linear.prediction()).outputs[0]
    assert own.disagreeing == (("spread",) if len(widths) > 1 else ())
    seen = verify({"a": (0.0, None)}, samples, corrections=linear.prediction(variance=1.0))
    assert seen.agrees


@pytest.mark.parametrize(("times", "agrees"), [(0, True), (5, True), (20, False)])
def test_one_width_allows_ten_spreads(times, agrees):
    polynomial = Polynomial(0.0, ((1.0, (4, 0, 0)),))
    samples = polynomial.samples(4096, 3000, 0)
    limit = times * samples.outputs["a"].std()
    report = verify({"a": (limit, None)}, [samples], corrections=polynomial.prediction())
    assert report.agrees == agrees


PROGRAM = """
width n
vector u : n ~ N(0, 1)
vector v : n ~ N(0, 1)
output fourth = mean(u)^4
output squares = mean(u)^2*mean(v)^2
output smooth = mean(tanh(u))^2*mean(sin(v))^2
output root = abs(mean(u))^3
output lost = (mean(u)^2/2)^2 + 3
output loss = relu(mean(u))^2
output third = mean(u)^3
output two = mean(u)*mean(v)
"""


@pytest.fixture(scope="module")
def higher():
    """The program, its limits and its corrections."""
    program = tpc.parse(PROGRAM)
    return program, program.compile()().limits, program.corrections(method="nodes").outputs


@pytest.mark.parametrize("widths", [(1024,), (64, 128), (64, 128, 256)])
def test_programs_of_higher_orders_agree_with_what_is_predicted(higher, widths):
    """Among them a remainder of order n^(-3/2)."""
    program, limits, found = higher
    samples = [program.simulate(width=n, seeds=6000) for n in widths]
    assert verify(limits, samples, corrections=found).agrees
    if len(widths) > 1:
        wrong = {name: (value + 2 / widths[0], None) for name, (value, _) in limits.items()}
        report = verify(wrong, samples, corrections=found)
        assert not any(own.limit_agrees for own in report.outputs)


def test_what_is_of_the_next_orders_is_told():
    polynomial = Polynomial(0.0, ((1.0, (4, 0, 0)),))
    samples = [polynomial.samples(n, 30_000, 0) for n in (64, 256)]
    report = verify({"a": (0.0, None)}, samples, corrections=polynomial.prediction())
    assert "less the predicted n·bias, of which" in str(report)
    own = report.to_json()["outputs"]["a"]["gap"]
    assert own["known_bias"] is True
    assert 0 < own["allowed"] < 3 / 64**2
    unknown = replace(polynomial.prediction()["a"], bias=np.array(np.nan))
    report = verify({"a": (0.0, None)}, samples, corrections={"a": unknown})
    assert report.to_json()["outputs"]["a"]["gap"]["known_bias"] is False


@pytest.mark.parametrize("widths", [(256,), (64, 256)])
def test_the_square_of_a_loss_that_vanishes_agrees(widths):
    """Of a network that is 0 in the limit, as it is to learn."""
    program = tpc.parse(trained(3, 0, more="output square[t] = loss[t]^2 for t < T\n"))
    samples = [program.simulate(width=n, seeds=4000) for n in widths]
    report = verify(program.compile()().limits, samples, corrections=program.corrections().outputs)
    assert report.agrees, str(report)


@pytest.mark.parametrize(
    ("exponents", "decay"),
    [
        ((1, 0, 0), "n^(-0.50)"),
        ((1, 1, 0), "n^(-1.00) or faster"),
        ((2, 0, 0), "n^(-1.00)"),
        ((4, 0, 0), "n^(-1.00) or faster"),
    ],
)
def test_how_errors_go_down_is_told_as_predicted(exponents, decay):
    """A variance of 0 may have an estimate that is a little less: its error is told."""
    own = Polynomial(0.0, ((1.0, exponents),))
    variance = float(exponents == (1, 0, 0))
    error = np.array(1e-3)
    predicted = {
        "a": replace(
            own.prediction(0.0, variance - 1e-4 * (variance == 0))["a"],
            bias_stderr=error,
            variance_stderr=error,
        )
    }
    samples = [own.samples(width, 1000, seed) for seed, width in enumerate((64, 128, 256))]
    text = str(verify({"a": (0.0, None)}, samples, corrections=predicted))
    assert f"by theory {decay}\n" in text
    assert f"predicted {1 if variance else -0.0001:.3g} ± 0.001," in text.split("n·variance")[1]
