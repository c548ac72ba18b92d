"""Pictures of results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.evaluate.result_tables import axes_of
from tpc.show.saved import literal, save

if TYPE_CHECKING:
    from tpc.evaluate.result import Outcome, Result
    from tpc.simulate.samples import Samples

INK, BAND = "#1f4e79", "#9dc3e6"
MOST_CURVES = 6  # of one output with two indices
MOST_APART = 3  # single numbers that have a panel each
WIDTH_COLOURS = ("#c55a11", "#548235", "#7f6000", "#7030a0")


def plot_result(
    result: Result, path: str | Path | None = None, samples: list[Samples] | None = None, *, axes: Any = None
) -> np.ndarray:
    """A panel per output, but one for all single numbers if these are many. Returns the panels' axes.

    Curves with their standard errors for one index, points for single numbers. For two indices a map of the
    limit, or beside finite widths, if the second one has few values, a curve for each of these.

    path: the file to draw into; without, the figure is matplotlib's current one, which notebooks show.
    samples: finite widths to draw beside the limit, mean ± one standard deviation over seeds. axes: to draw
    into, as many as there are panels, or one for all single numbers. Raises OSError, and ValueError for
    another ending or number of axes.
    """
    if path is not None and Path(path).suffix not in (".png", ".svg", ".pdf"):
        raise ValueError("a figure's name ends in .png, .svg or .pdf")
    figure, drawn = _drawn(result, samples or [], axes, shown=path is None)
    if path is not None:
        save(figure, path, dpi=150)
    return np.array(drawn, dtype=object)


def figure_of_result(result: Result, samples: list[Samples]) -> Any:
    """The same as a figure that nothing shows."""
    return _drawn(result, samples, None, shown=False)[0]


def _drawn(result: Result, samples: list[Samples], axes: Any, *, shown: bool) -> tuple[Any, list[Any]]:
    """The figure and its panels, those given or new ones."""
    single = {name: o for name, o in result.outputs.items() if o.value.ndim == 0}
    panels = {name: o for name, o in result.outputs.items() if o.value.ndim > 0 and o.value.size}
    groups = [{name: outcome} for name, outcome in single.items()]  # they may be of other units
    if len(single) > MOST_APART or (axes is not None and np.size(axes) == len(panels) + 1):
        groups = [single] if single else []
    count = len(panels) + len(groups)
    figure, drawn = _new_panels(count, shown) if axes is None else _given_panels(axes, count, [*panels])
    for axis, (name, outcome) in zip(drawn, panels.items(), strict=False):
        _panel(axis, name, outcome, samples, axes_of(result, name))
    for axis, group in zip(drawn[len(panels) :], groups, strict=True):
        _single(axis, group, samples)
    if axes is None:
        if samples:
            _draw_one_legend(figure, drawn, 1 + len(samples))
        figure.suptitle(literal(f"{result.program}: n = ∞" + "".join(f", {s.width}" for s in samples)))
    return figure, drawn


def _draw_one_legend(figure: Any, drawn: list[Any], columns: int) -> None:
    """The legend of the first panel that has one, below all: maps have none."""
    labelled = next((axis for axis in drawn if axis.get_legend_handles_labels()[1]), None)
    if labelled is not None:
        handles = labelled.get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)


def _new_panels(count: int, shown: bool) -> tuple[Any, list[Any]]:
    """A figure and its panels. shown: whether a notebook or window is to show it."""
    columns = min(3, max(1, count))
    rows = max(1, -(-count // columns))
    size: dict[str, Any] = {"figsize": (4.6 * columns, 3.4 * rows), "layout": "constrained"}
    if shown:
        from matplotlib import pyplot

        figure = pyplot.figure(**size)
    else:
        from matplotlib.figure import Figure

        figure = Figure(**size)
    if not count:
        figure.text(0.5, 0.5, "no entries", ha="center", va="center")
    return figure, [figure.add_subplot(rows, columns, k + 1) for k in range(count)]


def _given_panels(axes: Any, count: int, names: list[str]) -> tuple[Any, list[Any]]:
    """The figure and the panels that a user has."""
    drawn = list(np.ravel(np.asarray(axes, dtype=object)))
    if len(drawn) != count:
        wanted = ", ".join([*names, *["single numbers"] * (count - len(names))])
        raise ValueError(f"{count} panels are drawn ({wanted}), and axes has {len(drawn)}")
    return drawn[0].figure if drawn else None, drawn


def _panel(axis: Any, name: str, outcome: Outcome, samples: list[Samples], indices: Sequence[str]) -> None:
    value = outcome.value
    if value.ndim > 2 or (value.ndim == 2 and not (samples and value.shape[1] <= MOST_CURVES)):
        _map(axis, name, value, indices, beside=bool(samples))
        return
    axis.set_title(literal(name))
    members: list[tuple[Any, ...]] = [()] if value.ndim == 1 else [(..., k) for k in range(value.shape[1])]
    for member in members:
        _curve_of(axis, name, outcome, samples, member, labelled=member == members[0])
        if member:
            text = literal(f" {indices[1]} = {member[1]}" if indices[1] else f" {member[1]}")
            axis.annotate(text, (len(value) - 1, value[-1, member[1]]), fontsize=7, va="center")
            axis.set_xmargin(0.12)  # room for these
    axis.set_xlabel(literal(indices[0] or "index"))
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(alpha=0.3)


def _map(axis: Any, name: str, value: np.ndarray, indices: Sequence[str], *, beside: bool) -> None:
    """The first index down, all others across. beside: whether finite widths are in other panels."""
    axis.set_title(literal(f"{name}, n = ∞" if beside else name))
    image = axis.imshow(value.reshape(value.shape[0], -1), aspect="auto", cmap="viridis")
    axis.figure.colorbar(image, ax=axis)
    axis.set_ylabel(literal(indices[0]))
    axis.set_xlabel(literal(", ".join(indices[1:]) if all(indices[1:]) else ""))
    for each in (axis.xaxis, axis.yaxis):
        each.get_major_locator().set_params(integer=True)


def _curve_of(
    axis: Any, name: str, outcome: Outcome, samples: list[Samples], member: tuple[Any, ...], *, labelled: bool
) -> None:
    """One curve of an output, with its errors, beside finite widths. labelled: whether the legend has it."""
    value = outcome.value[member]
    where = np.arange(len(value))
    axis.plot(
        where,
        value,
        color=INK,
        linewidth=2.2,
        marker="o" if len(value) <= 30 else None,
        markersize=3,
        label="n = ∞" if labelled else None,
    )
    for colour, s in zip(WIDTH_COLOURS, samples, strict=False):
        mean, std = s.mean[name][member], s.std[name][member]
        axis.fill_between(where, mean - std, mean + std, color=colour, alpha=0.2, linewidth=0)
        label = f"n = {s.width}" if labelled else None
        axis.plot(where, mean, color=colour, linewidth=1, linestyle="--", label=label)
    if outcome.stderr is not None:
        error = outcome.stderr[member]
        axis.fill_between(where, value - error, value + error, color=BAND, linewidth=0)


def _single(axis: Any, outcomes: dict[str, Outcome], samples: list[Samples]) -> None:
    names = list(outcomes)
    where = np.arange(len(names))
    errors = [0.0 if o.stderr is None else float(o.stderr) for o in outcomes.values()]
    for k, (colour, s) in enumerate(zip(WIDTH_COLOURS, samples, strict=False)):
        axis.errorbar(
            where + 0.12 * (k + 1),
            [float(s.mean[n]) for n in names],
            [float(s.std[n]) for n in names],
            fmt="s",
            color=colour,
            markersize=4,
            capsize=3,
            label=f"n = {s.width}",
        )
    axis.errorbar(
        where,
        [float(o.value) for o in outcomes.values()],
        errors,
        fmt="o",
        color=INK,
        capsize=3,
        label="n = ∞",
    )
    if len(names) == 1:
        axis.set_title(literal(names[0]))
        axis.set_xticks([])
    else:
        axis.set_xticks(where, [literal(n) for n in names])
    axis.set_xlim(-0.5, len(names) - 0.5 + 0.12 * len(samples))
    axis.grid(alpha=0.3, axis="y")
