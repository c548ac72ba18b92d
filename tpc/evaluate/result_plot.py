"""Pictures of results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.show.saved import save

if TYPE_CHECKING:
    from tpc.evaluate.result import Outcome, Result
    from tpc.simulate.samples import Samples

INK, BAND = "#1f4e79", "#9dc3e6"
WIDTH_COLOURS = ("#c55a11", "#548235", "#7f6000", "#7030a0")


def plot_result(result: Result, path: str | Path, samples: list[Samples] | None = None) -> None:
    """A panel per output.

    Curves with ±2 standard errors for one index, a map for two, points for single numbers.

    samples: finite widths to draw beside the limit, mean ± one standard deviation over seeds.
    """
    from matplotlib.figure import Figure

    path = Path(path)
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise ValueError("a figure's name ends in .png, .svg or .pdf")
    single = {name: o for name, o in result.outputs.items() if o.value.ndim == 0}
    panels = {name: o for name, o in result.outputs.items() if o.value.ndim > 0 and o.value.size}
    count = len(panels) + bool(single)
    columns = min(3, max(1, count))
    rows = max(1, -(-count // columns))
    figure = Figure(figsize=(4.6 * columns, 3.4 * rows), layout="constrained")
    axes = [figure.add_subplot(rows, columns, k + 1) for k in range(count)]
    for axis, (name, outcome) in zip(axes, panels.items(), strict=False):
        _panel(figure, axis, name, outcome, samples or [])
    if not count:
        figure.text(0.5, 0.5, "no entries", ha="center", va="center")
    if single:
        _single(axes[-1], single, samples or [])
    labelled = next((axis for axis in axes if axis.get_legend_handles_labels()[1]), None)  # a map has none
    if samples and labelled is not None:
        figure.legend(
            *labelled.get_legend_handles_labels(),
            loc="outside lower center",
            ncols=1 + len(samples),
            frameon=False,
            fontsize=9,
        )
    figure.suptitle(f"{result.program}: n = ∞" + "".join(f", {s.width}" for s in samples or []))
    save(figure, path, dpi=150)


def _panel(figure: Any, axis: Any, name: str, outcome: Outcome, samples: list[Samples]) -> None:
    value = outcome.value
    axis.set_title(name)
    if value.ndim > 1:
        image = axis.imshow(value.reshape(value.shape[0], -1), aspect="auto", cmap="viridis")
        figure.colorbar(image, ax=axis)
        return
    where = np.arange(len(value))
    axis.plot(
        where,
        value,
        color=INK,
        linewidth=2.2,
        marker="o" if len(value) <= 30 else None,
        markersize=3,
        label="n = ∞",
    )
    for colour, s in zip(WIDTH_COLOURS, samples, strict=False):
        mean, std = s.mean[name], s.std[name]
        axis.fill_between(where, mean - std, mean + std, color=colour, alpha=0.2, linewidth=0)
        axis.plot(where, mean, color=colour, linewidth=1, linestyle="--", label=f"n = {s.width}")
    if outcome.stderr is not None:
        axis.fill_between(
            where, value - 2 * outcome.stderr, value + 2 * outcome.stderr, color=BAND, linewidth=0
        )
    axis.set_xlabel("index")
    axis.grid(alpha=0.3)


def _single(axis: Any, outcomes: dict[str, Outcome], samples: list[Samples]) -> None:
    names = list(outcomes)
    where = np.arange(len(names))
    errors = [0.0 if o.stderr is None else 2 * float(o.stderr) for o in outcomes.values()]
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
    axis.set_xticks(where, names)
    axis.set_xlim(-0.5, len(names) - 0.5 + 0.12 * len(samples))
    axis.grid(alpha=0.3, axis="y")
