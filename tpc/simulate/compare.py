"""The statistics of `verify`: means at several widths against a limit, for all entries of an output at once.

Model: the mean over seeds at width n is `m_n = L + c/n + c'/n² + noise` (TP4 Thm 7.4; the bias is O(1/n)),
each width with noise of its own, measured by its seeds. (With powers n^(-1/2), or a kink at the limit itself,
it is L + c n^(-1/2) + c'/n.) So `gap = Σ a_n m_n − limit`, the extrapolation to n = ∞ by least squares,
estimates what no such bias explains. The coefficients a_n depend on the widths and numbers of seeds alone, as
the variance of the noise is proportional to 1/n: choosing them by the measured variances would favour the
widths at which few seeds happen to agree. The error of the gap does use the measured variances, and the
limit's own error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from tpc.core.expansion import ASSUMED, REST, ZERO

THRESHOLD = 5.0  # in Gaussian standard deviations
# with one width nothing separates the bias from a gap: a bias up to 10·scale/n is allowed
ONE_WIDTH_BIAS = ASSUMED
FITTED = 3  # powers of the width at most, by which means are extrapolated, 1 among them
SLOPE_LIMIT, SLOPE_ERRORS = -0.25, 3.0
MANY = 1e5  # degrees of freedom for which Student's distribution is the Gaussian
FLOORS = {"float64": 1e-9, "float32": 1e-4}  # rounding, relative to what is compared
# what rounding leaves of a zero, relative to the other entries of an output, or to 1 if all are 0
RESTS = {"float64": REST, "float32": 2e-6}


@dataclass(frozen=True, slots=True)
class Measured:
    """An output at some widths, in ascending order, beside its limit."""

    widths: Sequence[int]
    # by width, [seeds, *shape]
    values: Sequence[np.ndarray]
    limit: np.ndarray
    limit_stderr: np.ndarray
    # p of entries whose means come near to it in powers of n^(-p)
    order: np.ndarray

    def widest(self, count: int) -> Measured:
        """The same at so many of the widths."""
        return replace(self, widths=self.widths[-count:], values=self.values[-count:])


@dataclass(frozen=True, slots=True)
class Gap:
    """The limit that the means at finite width point to, less the one given.

    Arrays over the output's entries.
    """

    estimate: np.ndarray
    # its standard error, with the limit's
    stderr: np.ndarray
    # `|estimate|/stderr`, as the Gaussian deviation that is as improbable (few seeds make a standard error
    # uncertain)
    sigma: np.ndarray
    # what is put down to a bias, 0 if that was fitted; to the next orders, where it was known
    allowed: np.ndarray
    # p of entries with a bias in powers of n^(-p)
    order: np.ndarray
    # of which entries the predicted bias was taken off, and not fitted
    known_bias: np.ndarray

    @property
    def agrees(self) -> bool:
        return bool(np.all(self.sigma <= THRESHOLD))


@dataclass(frozen=True, slots=True)
class Slope:
    """The slope of log RMS error against log n, -1/2 by theory, with its standard error.

    None where it cannot be told (one width, no error).
    """

    estimate: float | None
    stderr: float | None
    # how many widths it is judged by: at which the first order in 1/n holds
    widths: int

    @property
    def agrees(self) -> bool:
        """False if the error clearly does not go down as the width goes up: only judged with three widths."""
        if self.estimate is None or self.stderr is None or self.widths < 3:
            return True
        return self.estimate - SLOPE_ERRORS * self.stderr <= SLOPE_LIMIT


def extrapolation(
    widths: ArrayLike, seeds: ArrayLike, *, order: float = 1.0, growth: int = -1, most: int = FITTED
) -> np.ndarray:
    """The coefficients a_n of the extrapolation to n = ∞, weighted by 1/variance ∝ seeds·n^(-growth).

    It is by 1, 1/n and, from three widths on, 1/n²; or by powers of n^(-order). most: powers at most.
    """
    n = np.asarray(widths, dtype=float)
    x = n.min() / n
    powers = np.vander(x**order, min(len(n), most), increasing=True)
    root = np.sqrt(np.asarray(seeds) * x**growth)
    out: np.ndarray = (np.linalg.pinv(powers * root[:, None]) * root)[0]
    return out


def sizes(values: Sequence[np.ndarray], limit: np.ndarray) -> np.ndarray:
    """How large what is compared is, entry by entry.

    The limit, or if that is more its values at finite width; 1 where all are 0.
    """
    largest = np.max([np.abs(v).max(axis=0) for v in values], axis=0)
    size = np.maximum(np.abs(limit), largest)
    return np.where(size > 0, size, 1.0)


def rest(limit: np.ndarray, stderr: np.ndarray, relative: float) -> np.ndarray:
    """What rounding may leave of the entries of a limit that are 0, within their errors.

    Where all entries are 0, the size of what cancels is not known, and taken to be 1.
    """
    largest = float(np.max(np.where(np.abs(limit) > ZERO * stderr, np.abs(limit), 0), initial=0))
    return np.full(limit.shape, relative * (largest or 1.0))


@dataclass(frozen=True, slots=True)
class Units:
    """Means and their variances by width in units of `size`: squares of what is tiny are not 0."""

    size: np.ndarray
    # [widths, *shape]
    means: np.ndarray
    variances: np.ndarray
    seeds: Sequence[int]
    # of what is the same at all widths: the limit's variance, and rounding
    fixed: np.ndarray

    @classmethod
    def of(cls, measured: Measured, dtype: str) -> Units:
        """dtype: the coarser precision, for rounding errors."""
        values, limit, error = measured.values, measured.limit, measured.limit_stderr
        size = sizes(values, limit)
        means = np.stack([v.mean(axis=0) / size for v in values])
        variances = np.stack([(v / size).var(axis=0, ddof=1) / len(v) for v in values])
        rounding = FLOORS[dtype] + rest(limit, error, RESTS[dtype]) / size
        fixed = np.square(error / size) + np.square(rounding)
        return cls(size, means, variances, [len(v) for v in values], fixed)

    def error_of(self, a: np.ndarray, more: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """The variance of `Σ a_n m_n − limit`, and its degrees of freedom. more: of the variance, besides."""
        parts = np.square(a).reshape(-1, *[1] * self.size.ndim) * self.variances
        variance = parts.sum(axis=0) + self.fixed + more
        return variance, degrees_of_freedom(variance, parts, self.seeds)


def degrees_of_freedom(variance: np.ndarray, parts: np.ndarray, seeds: ArrayLike) -> np.ndarray:
    """Of a variance with `parts` [widths, *shape] from so many seeds each (Welch–Satterthwaite)."""
    own = np.reshape(seeds, (len(parts), *[1] * (parts.ndim - 1)))
    with np.errstate(over="ignore"):  # infinitely many, where seeds do not differ
        freedom: np.ndarray = np.square(variance) / np.maximum(
            np.sum(np.square(parts) / (own - 1), axis=0), 1e-300
        )
    return freedom


def gap(
    measured: Measured,
    dtype: str,
    bias: np.ndarray | float = 0.0,
    *,
    order: float,
    higher: np.ndarray | bool = False,
) -> Gap:
    """dtype: the coarser precision, for rounding errors.

    bias: n times that of the means, as far as it is known to be large; what one width allows for it.
    order: p, where it is in powers of n^(-p), of which two widths allow for the next one, too, if p < 1.
    higher: of which entries the spread is of a higher order than n^(-1/2), and so may be as large as a bias.
    """
    widths, limit = measured.widths, measured.limit
    units = Units.of(measured, dtype)
    size = units.size
    a = extrapolation(widths, units.seeds, order=order)
    estimate = np.tensordot(a, units.means, 1) - limit / size
    variance, freedom = units.error_of(a)
    stderr = np.sqrt(variance)
    allowed = np.zeros_like(limit)
    if len(widths) == 1 or (order < 1 and len(widths) < FITTED):
        spread = np.sqrt(units.seeds[-1] * units.variances[-1])
        scale = np.maximum(np.abs(limit) / size, np.where(higher, widths[-1], widths[-1] ** 0.5) * spread)
        scale = np.maximum(scale, np.abs(bias) / size)
        allowed = ONE_WIDTH_BIAS * scale / widths[-1] ** (len(widths) * order)
    beyond = np.maximum(np.abs(estimate) - allowed, 0)
    sigma = gaussian_equivalent(beyond / stderr, freedom)
    own = (estimate * size, stderr * size, sigma, allowed * size)
    return Gap(*own, np.full(limit.shape, order), np.zeros(limit.shape, bool))


def gaussian_equivalent(t: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """The Gaussian deviation as improbable as `t` of Student's distribution.

    degrees: of freedom (Welch–Satterthwaite).
    """
    log_tail = stats.t.logsf(t, np.minimum(freedom, MANY))  # type: ignore[attr-defined,unused-ignore]
    out: np.ndarray = np.maximum(np.where(freedom >= MANY, t, -special.ndtri_exp(log_tail)), 0)
    return out


def rms_errors(measured: Measured) -> tuple[np.ndarray, np.ndarray]:
    """By width, the RMS over seeds and entries of the difference to the limit, and its standard error.

    Less the limit's own error.
    """
    rms, errors = [], []
    for v in measured.values:
        squares = np.square(v - measured.limit).reshape(len(v), -1).mean(axis=1)
        mean = max(squares.mean() - np.square(measured.limit_stderr).mean(), 0.0)
        rms.append(np.sqrt(mean))
        errors.append(squares.std(ddof=1) / np.sqrt(len(v)) / (2 * rms[-1]) if rms[-1] > 0 else 0.0)
    return np.array(rms), np.array(errors)


def fitted_slope(widths: Sequence[int], rms: np.ndarray, errors: np.ndarray, floor: float) -> Slope:
    """Least squares of log RMS error against log n, its error from those of the points.

    None if an error is no more than rounding.
    """
    if len(widths) < 2 or not np.all(rms > floor):
        return Slope(None, None, len(widths))
    x = np.log(widths) - np.mean(np.log(widths))
    b = x / np.sum(np.square(x))
    return Slope(float(b @ np.log(rms)), float(np.sqrt(np.square(b) @ np.square(errors / rms))), len(widths))
