"""What all repeats agree on, such as the initial function in the kernel regime, is known to rounding: its
mean is that number, and errors of rounding that happen to cancel are claimed all the same."""

from fractions import Fraction

import numpy as np

import tpc
from tpc.emit.helpers.spread import centred

TEXT = """
width n
input x[64], y
vector u : n ~ N(0, 1)
output f[i] = x[i]*y + x[i]/3 for i < 64
output m = mean(tanh(u + y))
"""


def test_what_agrees_is_claimed_to_rounding():
    random = np.random.default_rng(0)
    x, y = random.standard_normal(64), random.standard_normal()
    # the sum of 37 equal numbers is off by several units in the last place
    result = tpc.parse(TEXT).compile(method="nodes", samples=64, repeats=37)({"x": x, "y": y})
    truth = [Fraction(a) * Fraction(y) + Fraction(a) / 3 for a in x]
    f = result["f"]
    off = np.array([float(Fraction(value) - exact) for value, exact in zip(f.value, truth, strict=True)])
    unit = np.spacing(np.abs(f.value))
    assert np.all(np.abs(off) <= 2 * f.stderr)
    assert np.min(f.stderr / unit) > 0.2
    assert np.median(f.stderr / unit) < 8


def test_means_and_deviations_are_about_the_first_repeat():
    same = np.full((32, 3), [0.1, -0.7, 1e-300])
    mean, apart = centred(same, np)
    np.testing.assert_array_equal(mean, same[0])
    assert not apart.any()
    values = np.random.default_rng(1).standard_normal((9, 4)) + 3
    values[2, 0], values[0, 1] = np.inf, np.nan
    with np.errstate(invalid="ignore"):
        mean, apart = centred(values, np)
    np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(apart[:, 2:].std(axis=0), values[:, 2:].std(axis=0), rtol=1e-14)
