"""At which widths a limit, and what it predicts of finite width, can be judged.

Means are extrapolated to n = ∞, and bias and spread compared with what is predicted of them, by the first
order of the expansion in 1/n. So entries are judged at those widths alone at which this holds. The limit is
judged at the widest one if there is no such width, with what one width allows for its bias.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from tpc.simulate.compare import Gap, Measured, gap
from tpc.simulate.forecast import Agreement, Forecast, forecast
from tpc.simulate.higher_order import beyond_first_order, rather_known
from tpc.simulate.predicted import Predicted

T = TypeVar("T")


def usable_widths(widths: Sequence[int], predicted: Predicted | None, shape: tuple[int, ...]) -> np.ndarray:
    """How many of the widths, the widest ones, the first order holds at, for every entry; all if unknown.

    widths: in ascending order.
    """
    holds = None if predicted is None else predicted.first_order_from
    if holds is None:
        return np.full(shape, len(widths))
    found: np.ndarray = len(widths) - np.searchsorted(widths, np.nan_to_num(holds, nan=0.0, posinf=np.inf))
    return np.broadcast_to(found, shape)


def judged_gap(measured: Measured, dtype: str, predicted: Predicted | None) -> Gap:
    """The gap of every entry at its usable widths, or at the widest one."""
    usable = usable_widths(measured.widths, predicted, measured.limit.shape)
    bias = 0.0 if predicted is None else np.where(usable == 0, np.nan_to_num(predicted.bias), 0)
    higher = beyond_first_order(measured, predicted)

    def at(count: int, order: float) -> Gap:
        widest = measured.widest(count)
        found = gap(widest, dtype, bias, order=order, higher=higher)
        if predicted is None or count < 2:
            return found
        return rather_known(found, widest, dtype, predicted, higher)

    parts = [
        (which & (measured.order == order), own)
        for order in np.unique(measured.order)
        for which, own in _by_count(np.maximum(usable, 1), partial(at, order=float(order)))
    ]
    names = ("estimate", "stderr", "sigma", "allowed")
    merged = {name: _merged([(which, getattr(own, name)) for which, own in parts]) for name in names}
    known = _merged([(which, own.known_bias) for which, own in parts]) == 1
    return Gap(**merged, order=measured.order, known_bias=known)


def judged_forecast(measured: Measured, predicted: Predicted, rounding: float) -> Forecast:
    """The forecast of every entry at its usable widths; where there is none it is not judged."""
    widths = len(measured.widths)
    usable = usable_widths(measured.widths, predicted, measured.limit.shape)

    def at(count: int) -> Forecast:
        return forecast(measured.widest(count or widths), predicted, rounding)

    parts = _by_count(usable, at)
    bias, variance = (
        _merged_agreement([(which, getattr(own, name)) for which, own in parts], usable, widths)
        for name in ("bias", "variance")
    )
    return Forecast(bias, variance, predicted.first_order_from, usable)


def _by_count(counts: np.ndarray, at: Callable[[int], T]) -> list[tuple[np.ndarray, T]]:
    """For every count that there is, which entries have it and what is found for it."""
    return [(counts == count, at(int(count))) for count in np.unique(counts)]


def _merged(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Every entry from its part."""
    out = np.full(parts[0][0].shape, np.nan)
    for which, own in parts:
        out = np.where(which, own, out)
    return out


def _merged_agreement(
    parts: Sequence[tuple[np.ndarray, Agreement]], usable: np.ndarray, widths: int
) -> Agreement:
    predicted, estimate, stderr, sigma, error = (
        _merged([(which, getattr(own, name)) for which, own in parts])
        for name in ("predicted", "estimate", "stderr", "sigma", "error")
    )
    nothing = np.full(usable.shape, np.nan)
    z = [
        _merged([(which, own.z[k - widths] if len(own.z) >= widths - k else nothing) for which, own in parts])
        for k in range(widths)
    ]
    unjudged = usable == 0
    return Agreement(
        predicted,
        estimate,
        stderr,
        np.where(unjudged, np.nan, sigma),
        tuple(np.where(unjudged, np.nan, own) for own in z),
        error,
    )
