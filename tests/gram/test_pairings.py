"""Small parts of the covariances: pairings of Gaussians, and what brackets tell of indices."""

import math
from fractions import Fraction

import pytest

from tpc.core.affine import Affine
from tpc.core.expr import ONE, ZERO, Gather, Number, Ref, Value, delta, number
from tpc.core.traverse import substitute
from tpc.gram.ir import NotGramError
from tpc.gram.isserlis import MOST, covariance_of, isserlis
from tpc.gram.zhat import _solution

I, J, K = (Affine.var(v) for v in "ijk")  # noqa: E741
X = Value(Ref("x"), True)


class Known:
    """Gaussians of one mean and variance, all the same."""

    def __init__(self, mean, variance):
        self.mu, self.variance = Fraction(mean), Fraction(variance)

    def mean(self, x):
        return number(self.mu)

    def product(self, pair):
        return number(self.variance + self.mu**2)


@pytest.mark.parametrize("count", range(MOST + 1))
@pytest.mark.parametrize(("mean", "variance"), [(0, 1), (0, Fraction(1, 3)), (2, 3), (-1, 1)])
def test_moments_of_one_gaussian(count, mean, variance):
    """E (μ + σ g)^k = Σ C(k, 2j) μ^(k − 2j) σ^(2j) (2j − 1)!!"""
    if count > 6 and mean:
        return
    expected = sum(
        math.comb(count, 2 * j)
        * Fraction(mean) ** (count - 2 * j)
        * Fraction(variance) ** j
        * math.prod(range(1, 2 * j, 2))
        for j in range(count // 2 + 1)
    )
    assert isserlis(Known(mean, variance), [X] * count) == Number(expected)


def test_more_pairings_than_can_be_written_are_refused():
    with pytest.raises(NotGramError, match=f"a product of {MOST + 1} Gaussians"):
        isserlis(Known(0, 1), [X] * (MOST + 1))


def test_covariances_are_second_moments_without_means():
    engine = Known(3, 2)
    assert covariance_of(engine, X, X, number(3), number(3)) == number(2)
    assert covariance_of(Known(0, 2), X, X, ZERO, ZERO) == number(2)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (I, J),
        (I, J + 1),
        (I + 2, J),
        (I, Affine(3)),
        (Affine(0), K),
        (Gather("row", (K,)), J),
        (I.scaled(2), J),
    ],
)
def test_what_brackets_tell_makes_them_1(left, right):
    bracket = delta(left, right)
    found = _solution([bracket])
    assert found
    assert substitute(bracket, found) == ONE


@pytest.mark.parametrize(("left", "right"), [(I.scaled(2), J.scaled(2) + 1), (I + J, K + I.scaled(2) + 1)])
def test_what_brackets_do_not_tell(left, right):
    bracket = delta(left, right)
    found = _solution([bracket]) if bracket != ZERO else {}
    assert not found or substitute(bracket, found) == ONE
