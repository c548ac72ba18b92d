"""Pictures of sweeps: curves over one input, maps over two; where training diverged is marked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.evaluate.result_plot import BAND, INK
from tpc.show.saved import literal, save

if TYPE_CHECKING:
    from tpc.evaluate.sweep import Sweep

DIVERGED = "#c00000"
# of the greatest to the least positive value, from which on an axis is logarithmic: of inputs, of outputs
RATIO, RATIO_OF_VALUES = 4.0, 10.0
MOST = 1e6  # times the least value, up to which values are drawn
AXES = 2  # that a picture can show


def plot_sweep(sweep: Sweep, path: str | Path) -> None:
    """A panel per output, of what `Sweep.summary` says of it, with the best point of the first output.

    Errors are those of the table, one standard error. Raises OSError, ValueError for three axes.
    """
    from matplotlib.figure import Figure

    if len(sweep.axes) > AXES:
        raise ValueError("a picture shows one or two inputs that are swept")
    names = sweep.with_entries()
    columns = min(3, max(1, len(names)))
    rows = max(1, -(-len(names) // columns))
    figure = Figure(figsize=(4.6 * columns, 3.4 * rows), layout="constrained")
    drawn = []
    for k, name in enumerate(names):
        axis = figure.add_subplot(rows, columns, k + 1)
        axis.set_title(literal(sweep.label(name)))
        (_curve if len(sweep.axes) == 1 else _map)(figure, axis, sweep, name)
        drawn.append(axis)
    _draw_legend(figure, drawn)
    figure.suptitle(literal(f"{sweep.program}: n = ∞"))
    save(figure, path, dpi=150)


def _draw_legend(figure: Any, drawn: Sequence[Any]) -> None:
    """One below all panels, of what any of them has marked, so that no curve goes through it."""
    known = (zip(*axis.get_legend_handles_labels(), strict=True) for axis in drawn)
    marks = {label: mark for own in known for mark, label in own}
    if marks:
        place: dict[str, Any] = {"loc": "outside lower center", "ncols": len(marks)}
        figure.legend([*marks.values()], [*marks], **place, frameon=False, fontsize=9)


def _scale(values: np.ndarray) -> str:
    return "log" if values.min() > 0 and values.max() > RATIO * values.min() else "linear"


def _curve(figure: Any, axis: Any, sweep: Sweep, name: str) -> None:
    ((swept, where),) = sweep.axes.items()
    order = np.argsort(where)
    found = sweep.summary(name)
    x, value, lost = where[order], found.value[order], sweep.diverged[order]
    beyond = np.zeros_like(lost)
    axis.plot(x, np.where(np.isfinite(value), value, np.nan), color=INK, marker="o", markersize=3)
    error = np.zeros_like(value) if found.stderr is None else found.stderr[order]
    axis.set_xscale(_scale(where))
    finite = value[np.isfinite(value)]
    if finite.size and finite.min() > 0 and finite.max() > RATIO_OF_VALUES * finite.min():
        least, most = finite.min() / 3, 3 * min(finite.max(), MOST * finite.min())
        axis.set_yscale("log")
        axis.set_ylim(least, most)
        beyond = value > most
        # a band would go to the bottom wherever one of its ends does
        below = np.minimum(error, np.maximum(value - least, 0))
        axis.errorbar(x, value, (below, error), fmt="none", ecolor=INK, elinewidth=1)
    else:
        axis.fill_between(x, value - error, value + error, color=BAND, linewidth=0)
    for there, marker, label in ((lost, "x", "diverged"), (beyond & ~lost, "^", "beyond what is drawn")):
        if there.any():
            high, top = np.full(there.sum(), 0.97), axis.get_xaxis_transform()
            axis.plot(x[there], high, marker, color=DIVERGED, transform=top, linestyle="none", label=label)
    best = sweep.best()
    if best is not None:
        axis.axvline(best[swept], color=INK, linewidth=0.8, linestyle=":")
    axis.set_xlabel(literal(swept))
    axis.grid(alpha=0.3)


def _map(figure: Any, axis: Any, sweep: Sweep, name: str) -> None:
    (down, rows), (across, columns) = sweep.axes.items()
    order = np.argsort(rows)[:, None], np.argsort(columns)[None, :]
    value, lost = sweep.summary(name).value[order], sweep.diverged[order]
    y, x = np.sort(rows), np.sort(columns)
    shading = "nearest" if min(len(x), len(y)) > 1 else "auto"
    axis.set_xscale(_scale(x))
    axis.set_yscale(_scale(y))
    image = axis.pcolormesh(
        x, y, np.where(np.isfinite(value), value, np.nan), shading=shading, cmap="viridis"
    )
    figure.colorbar(image, ax=axis)
    if lost.any():
        at = np.argwhere(lost)
        axis.plot(x[at[:, 1]], y[at[:, 0]], "x", color=DIVERGED, label="diverged")
    best = sweep.best()
    if best is not None:
        axis.plot(best[across], best[down], "*", color="white", markeredgecolor=INK, markersize=11)
    axis.set_xlabel(literal(across))
    axis.set_ylabel(literal(down))
