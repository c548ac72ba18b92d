"""Finite width against what the limit predicts of it: the statistics of bias and spread in `verify`.

To first order the mean over seeds at width n is `limit + bias/n`, and the variance `variance/n`; what is
left is one order smaller. So n (mean − limit) and n·variance are extrapolated to n = ∞, as the means are in
`compare`, and compared with the prediction. With one width, which tells no order from the next, ten times
the next order is allowed for, or what is known of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tpc.core.expansion import ASSUMED, SHARE, size_of, tells_nothing
from tpc.simulate.compare import (
    ONE_WIDTH_BIAS,
    THRESHOLD,
    Measured,
    degrees_of_freedom,
    extrapolation,
    gaussian_equivalent,
)
from tpc.simulate.higher_order import REMAINDER, between, beyond_first_order, known_zero
from tpc.simulate.predicted import Predicted, error_of

GAUSSIAN = 3.0  # its kurtosis: few seeds do not show a smaller one


@dataclass(frozen=True, slots=True)
class Agreement:
    """What finite widths say of a predicted number, over an output's entries; NaN where there is none."""

    predicted: np.ndarray
    # what the widths extrapolate to, NaN if that tells nothing, and the standard error of the difference, or
    # its own if nothing is predicted
    estimate: np.ndarray
    stderr: np.ndarray
    # the difference in Gaussian standard deviations
    sigma: np.ndarray
    # by width, how far the mean, or the spread, is from the predicted one, in standard errors
    z: tuple[np.ndarray, ...]
    # the standard error of what is predicted, 0 where that is exact
    error: np.ndarray

    @property
    def zero(self) -> np.ndarray:
        """Of which entries what is predicted is 0, within its error."""
        return known_zero(self.predicted, self.error)

    @property
    def agrees(self) -> bool:
        return bool(np.all(np.nan_to_num(self.sigma, nan=0.0) <= THRESHOLD))


@dataclass(frozen=True, slots=True)
class Forecast:
    """The prediction for an output against all widths."""

    bias: Agreement
    variance: Agreement
    # the width from which it holds, if it is known, and at how many of the widths it is judged
    first_order_from: np.ndarray | None
    usable: np.ndarray

    @property
    def agrees(self) -> bool:
        return self.bias.agrees and self.variance.agrees


def forecast(
    measured: Measured,
    predicted: Predicted,
    rounding: float,
) -> Forecast:
    """At widths at which the first order holds. rounding: what of the values is put down to it."""
    values, limit = measured.values, measured.limit
    n = np.asarray(measured.widths, dtype=float).reshape(-1, *[1] * limit.ndim)
    seeds = np.asarray([len(v) for v in values], dtype=float).reshape(n.shape)
    means, variances = (np.stack([f(v) for v in values]) for f in (_mean, _variance))
    bias, variance = predicted.bias, predicted.variance
    bias_error = error_of(bias, predicted.bias_stderr)
    # the variance of a sample's variance, were the prediction true
    shares = np.stack([_relative(v) for v in values]) / seeds
    whole = np.maximum(variances, np.nan_to_num(np.maximum(variance, 0)) / n)
    of_means = n * n * (whole / seeds + rounding**2)
    of_variances = n * n * (np.square(whole) * shares + rounding**4)
    scaled_bias = Scaled(bias, bias_error, n * (means - limit), of_means, seeds, n, n * measured.limit_stderr)
    of_none = np.zeros_like(n)
    variance_error = error_of(variance, predicted.variance_stderr)
    scaled_variance = Scaled(variance, variance_error, n * variances, of_variances, seeds, n, of_none)

    assumed = np.maximum(size_of(limit, measured.limit_stderr), np.sqrt((n * variances)[-1]))
    most = ASSUMED * assumed, np.square(ASSUMED * np.maximum(assumed, np.nan_to_num(np.abs(bias))))
    beyond = _next_orders(predicted, assumed, measured.order)
    higher = beyond_first_order(measured, predicted)
    spread = (n * n * variances)[-1] ** 0.5  # n times it
    beyond = _of_higher_orders(predicted, beyond, higher, spread, measured.widths[-1])
    of_bias, of_variance = (
        _against(own, next_order, size, growth)
        for own, next_order, size, growth in zip(
            (scaled_bias, scaled_variance), beyond, most, (1, 0), strict=True
        )
    )
    if len(n) > 1 and higher.any():
        power = np.where(known_zero(bias, predicted.bias_stderr), REMAINDER - 1, 1.0)
        of_bias = _rather_between(of_bias, scaled_bias, most[0], 1, np.where(higher, power, 0))
        of_variance = _rather_between(of_variance, scaled_variance, most[1], 0, higher.astype(float))
    return Forecast(of_bias, of_variance, predicted.first_order_from, np.full(limit.shape, len(n)))


def _next_orders(
    predicted: Predicted, assumed: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """n times what one width allows for beyond bias and variance, of which unknown ones are none.

    assumed: the larger of limit and fluctuation, for what is not of the first order of an expansion in 1/n.
    order: p of entries with a bias in powers of n^(-p).
    """
    variance, lean = np.nan_to_num(np.maximum(predicted.variance, 0)), np.nan_to_num(np.abs(predicted.bias))
    holds = predicted.first_order_from
    beyond = 0.0 if holds is None else SHARE * np.nan_to_num(holds, nan=0.0, posinf=0.0)
    size = np.maximum(lean, np.sqrt(variance))
    next_size = np.where(order < 1, assumed, size)
    return (
        np.maximum(next_size * ONE_WIDTH_BIAS, size * beyond),
        np.maximum(np.square(next_size) * ONE_WIDTH_BIAS, variance * beyond),
    )


def _of_higher_orders(
    predicted: Predicted,
    allowed: tuple[np.ndarray, np.ndarray],
    higher: np.ndarray,
    spread: np.ndarray,
    width: int,
) -> tuple[np.ndarray, np.ndarray]:
    """`allowed`, and where the spread is mostly of a higher order what that says.

    A bias may be as large as ten times the spread, which is itself what the next order is as large as if the
    bias is not 0 to first order; and of a variance that is 0 to first order one width says nothing.
    spread: n times it, at the widest width.
    """
    of_bias, of_variance = allowed
    size = np.where(known_zero(predicted.bias, predicted.bias_stderr), width * spread, spread)
    nothing = higher & known_zero(predicted.variance, predicted.variance_stderr)
    return (
        np.where(higher, np.maximum(of_bias, ONE_WIDTH_BIAS * size), of_bias),
        np.where(nothing, np.inf, of_variance),
    )


@dataclass(frozen=True, slots=True)
class Scaled:
    """n·bias or n·variance by width, [widths, *shape], against what is predicted, with its error."""

    wanted: np.ndarray
    error: np.ndarray
    values: np.ndarray
    variances: np.ndarray
    # [widths, 1, …]
    seeds: np.ndarray
    n: np.ndarray
    # the error of what is the same at all widths before it is scaled by n
    common: np.ndarray

    def combined(self, a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """By coefficients [widths]: the number, its variance and the part of that by width."""
        a = a.reshape(self.n.shape)
        parts = np.square(a) * self.variances
        with np.errstate(invalid="ignore"):  # of a limit without a finite error
            own = parts.sum(axis=0) + np.square((a * self.common).sum(axis=0))
        return (a * self.values).sum(axis=0), own, parts

    def sigma(self, a: np.ndarray, allowed: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """The difference to what is predicted, and its Gaussian deviation beyond what is allowed."""
        estimate, own, parts = self.combined(a)
        with np.errstate(all="ignore"):
            variance = own + np.square(self.error)
            apart = estimate - self.wanted
            beyond = np.maximum(np.abs(apart) - allowed, 0)
            freedom = degrees_of_freedom(variance, parts, self.seeds)
            t = np.divide(beyond, np.sqrt(variance), out=np.zeros_like(beyond), where=beyond > 0)
            found = gaussian_equivalent(np.nan_to_num(t, nan=0.0), np.nan_to_num(freedom, nan=1.0))
        return apart, np.where(np.isnan(self.wanted), np.nan, found)

    def agreement(self, a: np.ndarray, sigma: np.ndarray, assumed: np.ndarray) -> Agreement:
        """assumed: as large as it is taken to be possible where nothing is known."""
        estimate, own, _ = self.combined(a)
        with np.errstate(all="ignore"):
            square = np.square(self.error)
            z = (self.values - self.wanted) / np.sqrt(self.variances + np.square(self.common) + square)
            stderr = np.sqrt(np.where(np.isnan(self.wanted), own, own + square))
        lost = tells_nothing(estimate, np.sqrt(own), assumed)
        estimate = np.where(lost, np.nan, estimate)
        return Agreement(self.wanted, estimate, stderr, sigma, tuple(z), self.error)


def _against(own: Scaled, next_order: np.ndarray, assumed: np.ndarray, growth: int) -> Agreement:
    """Extrapolated to n = ∞, against what is predicted.

    next_order: n times what one width allows for what is beyond the first order. growth: as of
    `extrapolation`.
    """
    a = extrapolation(own.n.ravel(), own.seeds.ravel(), growth=growth)
    _, sigma = own.sigma(a, next_order / own.n[0] if len(own.n) == 1 else 0.0)
    return own.agreement(a, sigma, assumed)


def _rather_between(
    found: Agreement, own: Scaled, assumed: np.ndarray, growth: int, power: np.ndarray
) -> Agreement:
    """`found`, but between two ends (`between`) where there is a power, p of what decays like n^(-p)."""
    names = ("estimate", "stderr", "sigma")
    for p in np.unique(power[power > 0]):
        a, sigma = between(own.n.ravel(), own.seeds.ravel(), float(p), growth, own.sigma)
        other = own.agreement(a, np.where(np.isnan(own.wanted), np.nan, sigma), assumed)
        parts = {name: np.where(power == p, getattr(other, name), getattr(found, name)) for name in names}
        found = replace(found, **parts)
    return found


def _mean(v: np.ndarray) -> np.ndarray:
    found: np.ndarray = v.mean(axis=0)
    return found


def _variance(v: np.ndarray) -> np.ndarray:
    found: np.ndarray = v.var(axis=0, ddof=1)
    return found


def _relative(v: np.ndarray) -> np.ndarray:
    """The variance of a sample's variance, relative to that squared and times the number of seeds: κ − 1."""
    centred = np.square(v - v.mean(axis=0))
    second = centred.mean(axis=0)
    with np.errstate(all="ignore"):
        kurtosis = np.square(centred).mean(axis=0) / np.square(second)
    found: np.ndarray = np.maximum(np.nan_to_num(kurtosis, nan=GAUSSIAN, posinf=GAUSSIAN), GAUSSIAN) - 1
    return found
