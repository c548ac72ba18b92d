"""How outputs are distributed over the seeds of a simulation: quantiles with their errors, and histograms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import betainc

from tpc.core.given import whole_number
from tpc.show.figures import figures_of, with_error

LEVELS = (0.05, 0.5, 0.95)
MOST_BINS = 10_000
TOLD = 5  # seeds beyond a level from which the error of the quantile is told
BARS = "▁▂▃▄▅▆▇█"
NONE = "·"


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Quantiles of an output over seeds, for every entry."""

    levels: tuple[float, ...]
    # [levels, *shape]: without bias of the median for any law; 0 and 1 are the least and the greatest seed
    value: np.ndarray = field(repr=False)
    # the same shape: standard errors, NaN where there are too few seeds beyond a level to tell
    stderr: np.ndarray = field(repr=False)

    def to_json(self) -> list[dict[str, Any]]:
        from tpc.show.entries import plain

        return [
            {"level": level, "value": plain(value), "stderr": plain(error)}
            for level, value, error in zip(self.levels, self.value, self.stderr, strict=True)
        ]

    def described(self, index: tuple[int, ...]) -> str:
        """The quantiles of an entry in words."""
        parts = []
        for k, level in enumerate(self.levels):
            value, error = float(self.value[(k, *index)]), float(self.stderr[(k, *index)])
            known = math.isfinite(error)
            figures = figures_of(self.value.dtype)
            shown = with_error(value, error, *figures) if known else f"{value:.4g}"
            parts.append(f"{100 * level:g} % {shown}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many seeds have an output between which values, for every entry."""

    # [*shape, bins + 1], evenly from the least to the greatest value; NaN if none is finite
    edges: np.ndarray = field(repr=False)
    # [*shape, bins] of whole numbers; what is not finite is not counted
    counts: np.ndarray = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        from tpc.show.entries import plain

        return {"edges": plain(self.edges), "counts": self.counts.tolist()}

    def described(self, index: tuple[int, ...]) -> str:
        """The histogram of an entry as bars between its ends."""
        counts, edges = self.counts[index], self.edges[index]
        most = max(1, int(counts.max(initial=0)))
        bars = "".join(BARS[math.ceil(c * len(BARS) / most) - 1] if c else NONE for c in counts.tolist())
        return f"{edges[0]:.4g} {bars} {edges[-1]:.4g}"


def quantiles_of(values: np.ndarray, levels: Sequence[float]) -> Quantiles:
    """values: [seeds, *shape].

    The standard error is that of the order statistic which the quantile is nearest, resampled without end (so
    that it has a beta distribution; Maritz and Jarrett, A note on estimating the variance of the sample
    median, 1978). Raises ValueError for levels that are no different numbers from 0 to 1.
    """
    chosen = checked_levels(levels)
    count, own = len(values), np.array(chosen)
    flat = values.reshape(count, -1).astype(np.float64)
    with np.errstate(all="ignore"):
        found = np.quantile(flat, own, axis=0, method="median_unbiased")
        # squares of what is huge, or only differs in its last figures, are no numbers
        size = np.max(np.abs(flat - found[:1]), axis=0)
        units = np.where((size > 0) & np.isfinite(size), size, 1)
        ordered = (np.sort(flat, axis=0) - found[:1]) / units
        first, second = (_order_weights(own, count) @ power for power in (ordered, ordered**2))
        error = units * np.sqrt(np.maximum(second - first**2, 0))
    beyond = count * np.minimum(own, 1 - own)
    error = np.where((beyond >= TOLD)[:, None], error, np.nan)
    shape = (len(chosen), *values.shape[1:])
    return Quantiles(chosen, found.reshape(shape).astype(values.dtype), error.reshape(shape))


def _order_weights(levels: np.ndarray, count: int) -> np.ndarray:
    """[levels, count]: the probability that the order statistic at a level, resampled, is each of them."""
    first = np.clip((count + 1) * levels, 0.5, count + 0.5)[:, None]
    return np.diff(betainc(first, count + 1 - first, np.linspace(0, 1, count + 1)), axis=1)


def checked_levels(levels: Sequence[float]) -> tuple[float, ...]:
    """Raises ValueError."""
    try:
        found = tuple(float(level) for level in levels)
    except (TypeError, ValueError):
        found = ()
    if not found or len(set(found)) < len(found) or not all(0 <= level <= 1 for level in found):
        raise ValueError(f"levels of quantiles are different numbers from 0 to 1, not {levels!r:.60}")
    return found


def histogram_of(values: np.ndarray, bins: int | None = None) -> Histogram:
    """values: [seeds, *shape]. bins: by the number of seeds (Sturges' rule), if left out.

    Raises ValueError for a number of bins that is not whole, below 1 or above 10,000.
    """
    count = len(values)
    own = math.ceil(math.log2(max(1, count))) + 1 if bins is None else whole_number(bins)
    if own is None or not 1 <= own <= MOST_BINS:
        raise ValueError(f"bins are a whole number from 1 to {MOST_BINS}, not {bins!r:.60}")
    flat = values.reshape(count, -1).astype(np.float64)
    found = [_counted(column, own) for column in flat.T]
    shape = values.shape[1:]
    edges = np.array([edges for edges, _ in found]).reshape(*shape, own + 1)
    return Histogram(edges, np.array([counts for _, counts in found], dtype=np.int64).reshape(*shape, own))


def _counted(values: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """The edges and counts of one entry; of values that are all one, a single bin around them has all."""
    values = values[np.isfinite(values)]
    if not len(values):
        return np.full(bins + 1, np.nan), np.zeros(bins, np.int64)
    unit = float(np.max(np.abs(values))) or 1.0  # the width of a range may be beyond the largest number
    scaled = values / unit
    low, high = float(scaled.min()), float(scaled.max())
    if high - low <= 4 * bins * np.finfo(float).eps:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(scaled, bins=bins, range=(low, high))
    with np.errstate(over="ignore"):
        return np.clip(edges * unit, -np.finfo(float).max, np.finfo(float).max), counts
