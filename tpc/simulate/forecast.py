"""Finite width against what the limit predicts of it: the statistics of bias and spread in `verify`.

To first order the mean over seeds at width n is `limit + bias/n`, and the variance `variance/n`; what is
left is one order smaller. So n (mean − limit) and n·variance are extrapolated to n = ∞, as the means are in
`compare`, and compared with the prediction. With one width, which tells no order from the next, ten times
the next order is allowed for, or what is known of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tpc.core.expansion import ASSUMED, SHARE, size_of, tells_nothing
from tpc.simulate.compare import ONE_WIDTH_BIAS, THRESHOLD, Measured, extrapolation, gaussian_equivalent

GAUSSIAN = 3.0  # its kurtosis: few seeds do not show a smaller one


class Predicted(Protocol):
    """Bias and variance of an output at width n, times n; errors are None where exact, NaN where unknown."""

    @property
    def bias(self) -> np.ndarray: ...

    @property
    def bias_stderr(self) -> np.ndarray | None: ...

    @property
    def variance(self) -> np.ndarray: ...

    @property
    def variance_stderr(self) -> np.ndarray | None: ...

    @property
    def first_order_from(self) -> np.ndarray | None:
        """The width from which this holds, to a quarter; NaN where it is unknown, None if it is for all."""

    @property
    def order(self) -> np.ndarray | None:
        """p of entries of which means may be off by powers of n^(-p); None where all p are 1."""


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
    bias_error, variance_error = (
        np.zeros_like(limit) if error is None else error
        for error in (predicted.bias_stderr, predicted.variance_stderr)
    )
    # the variance of a sample's variance, were the prediction true
    shares = np.stack([_relative(v) for v in values]) / seeds
    whole = np.maximum(variances, np.nan_to_num(np.maximum(variance, 0)) / n)
    of_means = whole / seeds + rounding**2
    of_variances = np.square(whole) * shares + rounding**4
    assumed = np.maximum(size_of(limit, measured.limit_stderr), np.sqrt((n * variances)[-1]))
    beyond_bias, beyond_variance = _next_orders(predicted, assumed, measured.order)
    lean = np.nan_to_num(np.abs(bias))
    of_bias = _against(
        (bias, bias_error),
        n * (means - limit),
        n * n * of_means,
        seeds,
        n,
        beyond_bias,
        ASSUMED * assumed,
        measured.limit_stderr,
    )
    of_variance = _against(
        (variance, variance_error),
        n * variances,
        n * n * of_variances,
        seeds,
        n,
        beyond_variance,
        np.square(ASSUMED * np.maximum(assumed, lean)),
    )
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


def _against(
    predicted: tuple[np.ndarray, np.ndarray],
    scaled: np.ndarray,
    variances: np.ndarray,
    seeds: np.ndarray,
    n: np.ndarray,
    next_order: np.ndarray,
    assumed: np.ndarray,
    shift: np.ndarray | None = None,
) -> Agreement:
    """`scaled` [widths, *shape] extrapolated to n = ∞, against what is predicted, with its error.

    variances: of `scaled`. next_order: n times what one width allows for what is beyond the first order.
    assumed: as large as it is taken to be possible where nothing is known.
    shift: the error of what is the same at all widths before it is scaled by n.
    """
    growth = 0 if shift is None else 1
    a = extrapolation(n.ravel(), seeds.ravel(), growth=growth).reshape(n.shape)
    wanted, error = predicted
    estimate, parts = (a * scaled).sum(axis=0), np.square(a) * variances
    common = np.zeros_like(n) if shift is None else n * shift
    with np.errstate(invalid="ignore"):  # of a limit without a finite error
        own = parts.sum(axis=0) + np.square((a * common).sum(axis=0))
        variance = own + np.square(error)
    allowed = next_order / n[0] if len(n) == 1 else 0.0
    with np.errstate(all="ignore"):
        z = (scaled - wanted) / np.sqrt(variances + np.square(common) + np.square(error))
        beyond = np.maximum(np.abs(estimate - wanted) - allowed, 0)
        freedom = np.square(variance) / np.maximum((np.square(parts) / (seeds - 1)).sum(axis=0), 1e-300)
        t = np.divide(beyond, np.sqrt(variance), out=np.zeros_like(beyond), where=beyond > 0)
        sigma = gaussian_equivalent(np.nan_to_num(t, nan=0.0), np.nan_to_num(freedom, nan=1.0))
    none = np.isnan(wanted)
    stderr = np.sqrt(np.where(none, own, variance))
    lost = tells_nothing(estimate, np.sqrt(own), assumed)
    return Agreement(
        wanted, np.where(lost, np.nan, estimate), stderr, np.where(none, np.nan, sigma), tuple(z)
    )


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
