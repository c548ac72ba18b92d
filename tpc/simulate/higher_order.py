"""What is mostly beyond the first order: entries such as `mean(u)^4`, whose spread is not of order n^(-1/2).

Of these neither bias nor spread says how large the next orders are, and enough seeds see them at any width.
So at several widths a number is told in two ways: from the widest alone, and extrapolated to n = ∞ by
1 and n^(-p). What decays at least like n^(-p) is of opposite signs in the two, as its curve in n^(-p) bends
away from 0, and by how much they differ is by how much the next order may be off. So a number agrees if it is
no further from the extrapolation than that, which is between the two ends here: a limit that is wrong, or
another n·bias, is beyond both of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tpc.core.expansion import KNOWN, SHARE
from tpc.simulate.compare import (
    THRESHOLD,
    Gap,
    Measured,
    Units,
    extrapolation,
    gaussian_equivalent,
)
from tpc.simulate.predicted import Predicted, error_of

REMAINDER = 1.5  # p of what is left of a mean whose limit and n·bias are known, at the least
LINE = 2  # powers of the width, 1 among them, by which it is extrapolated

# what combines the numbers at all widths by coefficients, and gives how many standard deviations from 0 it is
Combined = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def beyond_first_order(measured: Measured, predicted: Predicted | None) -> np.ndarray:
    """Of which entries the first order is less than a quarter of the variance at the widest width."""
    shape = measured.limit.shape
    if predicted is None:
        return np.zeros(shape, bool)
    most = predicted.variance + KNOWN * error_of(predicted.variance, predicted.variance_stderr)
    with np.errstate(over="ignore", invalid="ignore"):
        whole = measured.widths[-1] * measured.values[-1].var(axis=0, ddof=1)
        return np.broadcast_to(most < SHARE * whole, shape)


def known_zero(value: np.ndarray, stderr: np.ndarray | None) -> np.ndarray:
    """Whether what is predicted is 0, within its error."""
    found: np.ndarray = np.abs(value) <= KNOWN * error_of(value, stderr)
    return found


def between(
    widths: np.ndarray, seeds: np.ndarray, power: float, growth: int, combined: Combined
) -> tuple[np.ndarray, np.ndarray]:
    """The coefficients of the extrapolation, and how far 0 is beyond what it and the widest width allow.

    growth: as of `extrapolation`.
    """
    a = extrapolation(widths, seeds, order=power, growth=growth, most=LINE)
    widest = np.zeros(len(a))
    widest[-1] = 1.0
    (near, of_near), (far, of_far) = combined(widest), combined(2 * a - widest)
    inside = np.sign(near) != np.sign(far)
    return a, np.where(inside, 0.0, np.minimum(of_near, of_far))


def known_bias_gap(measured: Measured, dtype: str, predicted: Predicted) -> Gap:
    """The gap where n·bias is as predicted, and the rest decays at least like n^(-3/2)."""
    units = Units.of(measured, dtype)
    n = np.asarray(measured.widths, dtype=float)
    seeds = np.asarray(units.seeds, dtype=float)
    bias, error = predicted.bias / units.size, error_of(predicted.bias, predicted.bias_stderr) / units.size
    left = units.means - (measured.limit / units.size + np.multiply.outer(1 / n, bias))

    def estimate(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        variance, freedom = units.error_of(a, np.square(np.sum(a / n) * error))
        return np.tensordot(a, left, 1), np.sqrt(variance), freedom

    def combined(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value, stderr, freedom = estimate(a)
        return value, gaussian_equivalent(np.abs(value) / stderr, freedom)

    a, sigma = between(n, seeds, REMAINDER, -1, combined)
    value, stderr, _ = estimate(a)
    allowed = np.abs(value - left[-1])
    shape = measured.limit.shape
    own = (value * units.size, stderr * units.size, sigma, allowed * units.size)
    return Gap(*own, np.ones(shape), np.ones(shape, bool))


def rather_known(found: Gap, measured: Measured, dtype: str, predicted: Predicted, which: np.ndarray) -> Gap:
    """`found`, where it disagrees and the bias that is predicted explains more, with that.

    which: of which entries it may.
    """
    with np.errstate(invalid="ignore"):
        which = which & (found.order == 1) & np.isfinite(predicted.bias) & ~(found.sigma <= THRESHOLD)
        if not which.any():
            return found
        own = known_bias_gap(measured, dtype, predicted)
        which &= own.sigma < found.sigma
    names = ("estimate", "stderr", "sigma", "allowed", "known_bias")
    parts = {name: np.where(which, getattr(own, name), getattr(found, name)) for name in names}
    return replace(found, **parts)
