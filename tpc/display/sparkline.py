"""Small pictures of arrays, as SVG beside their numbers."""

from __future__ import annotations

import numpy as np

from tpc.display.markup import Markup, element

WIDTH, HEIGHT, MARGIN = 150.0, 26.0, 3.0
MOST_POINTS, MOST_CELLS = 300, 24  # that are drawn of a line, and of a side of a map
LARGEST = np.finfo(float).max
INK, BAND = "#1f4e79", "#9dc3e6"


def sparkline(values: np.ndarray, errors: np.ndarray | None = None) -> Markup:
    """A line over the index of a one-dimensional array, with a band of ± 2 errors; gaps where not finite."""
    values = np.asarray(values, dtype=float)
    chosen = np.unique(np.linspace(0, len(values) - 1, min(len(values), MOST_POINTS)).round().astype(int))
    values = values[chosen]
    finite = np.isfinite(values)
    if not finite.any():
        return _svg(WIDTH, HEIGHT)
    upper = lower = values
    if errors is not None:
        error = np.nan_to_num(np.asarray(errors, dtype=float)[chosen], posinf=0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            upper, lower = (np.clip(values + side * error, -LARGEST, LARGEST) for side in (2, -2))
    low, high = float(np.min(lower[finite])), float(np.max(upper[finite]))
    x = MARGIN + (WIDTH - 2 * MARGIN) * chosen / max(1, int(chosen[-1]))
    band, below, lines = (
        [_points(x[part], _heights(curve[part], low, high)) for part in _runs(finite)]
        for curve in (upper, lower, values)
    )
    shapes = [
        element("polygon", points=" ".join([up, *reversed(down.split())]), fill=BAND, stroke="none")
        for up, down in zip(band, below, strict=True)
        if errors is not None
    ]
    shapes += [element("polyline", points=p, fill="none", stroke=INK, stroke_width="1.5") for p in lines]
    shapes += [
        element("circle", cx=p.split(",")[0], cy=p.split(",")[1], r="1.8", fill=INK)
        for p in lines
        if " " not in p
    ]
    return _svg(WIDTH, HEIGHT, *shapes)


def heat_map(values: np.ndarray) -> Markup:
    """A map of an array with two axes, thinned if it is large; darker is larger."""
    values = np.asarray(values, dtype=float)
    rows, columns = (np.linspace(0, n - 1, min(n, MOST_CELLS)).round().astype(int) for n in values.shape)
    shown = values[np.ix_(rows, columns)]
    finite = shown[np.isfinite(shown)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    side = max(2.0, min(10.0, 72.0 / max(shown.shape)))
    cells = [
        element(
            "rect",
            x=f"{j * side:g}",
            y=f"{i * side:g}",
            width=f"{side:g}",
            height=f"{side:g}",
            fill=INK if np.isfinite(v) else "#c00000",
            fill_opacity=f"{_share(float(v), low, high):.2f}" if np.isfinite(v) else "1",
        )
        for (i, j), v in np.ndenumerate(shown)
    ]
    return _svg(side * shown.shape[1], side * shown.shape[0], *cells)


def _svg(width: float, height: float, *shapes: str) -> Markup:
    return element(
        "svg", *shapes, width=f"{width:g}", height=f"{height:g}", style="vertical-align:middle", role="img"
    )


def _runs(finite: np.ndarray) -> list[slice]:
    """The longest pieces without a gap."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], finite.astype(int), [0]])))
    return [slice(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _share(value: float, low: float, high: float) -> float:
    """Where a value stands between two others, 1/2 if these are one."""
    if not high > low:
        return 0.5
    half = high / 2 - low / 2  # the difference itself may be beyond the largest number
    return min(1.0, max(0.0, (value / 2 - low / 2) / half))


def _heights(values: np.ndarray, low: float, high: float) -> np.ndarray:
    share = np.array([_share(float(v), low, high) for v in values])
    return MARGIN + (HEIGHT - 2 * MARGIN) * (1 - share)


def _points(x: np.ndarray, y: np.ndarray) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
