"""The figure of `verify`: errors against width, and means beside limits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.show.saved import literal, save

if TYPE_CHECKING:
    from tpc.simulate.verify import OutputComparison, Report

LIMIT, INK = "#222222", "#555555"
COLOURS = ("#3b6fb6", "#d1603d", "#4f9d69", "#8a5ea8", "#c2a02d", "#3aa6b0", "#a8475f", "#7a7a7a")
SHORT = 12  # letters of a label of which four stand beside each other
MAX_PANELS = 8  # outputs that get a panel; the errors are drawn for all


def plot_report(report: Report, path: str | Path) -> None:
    """Draws into `path`, by its suffix."""
    save(figure_of_report(report), path, dpi=150)


def figure_of_report(report: Report) -> Any:
    """First the RMS errors of all outputs, then a panel an output, the first eight."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = report.outputs[:MAX_PANELS]
    columns = 2 if len(shown) in (1, 3) else 3
    rows = -(-(1 + len(shown)) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.7 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(np.atleast_1d(figure.subplots(rows, columns)).flat)
    _errors(panels[0], report)
    for panel, output in zip(panels[1:], shown, strict=False):
        _means(panel, output)
    for panel in panels[1 + len(shown) :]:
        panel.set_axis_off()
    figure.suptitle(f"{literal(report.program)}: finite width against the limit", fontsize=12)
    return figure


def _errors(panel: Any, report: Report) -> None:
    """RMS error by width for every output, and the line of slope -1/2 through their geometric mean."""
    from matplotlib.ticker import LogLocator, NullFormatter

    drawn = [(output, np.array([row.rms for row in output.rows])) for output in report.outputs]
    drawn = [(output, rms) for output, rms in drawn if np.all(rms > 0)]
    widths = np.array(report.widths, dtype=float)
    for i, (output, rms) in enumerate(drawn):
        bars = np.minimum([row.rms_stderr for row in output.rows], 0.9 * rms)
        slope = "" if output.slope.estimate is None else f": slope {output.slope.estimate:.2f}"
        panel.errorbar(
            widths,
            rms,
            yerr=bars,
            fmt="o-",
            ms=4,
            lw=1.2,
            capsize=2,
            color=COLOURS[i % len(COLOURS)],
            label=f"{literal(output.name)}{slope}" if i < MAX_PANELS else None,
        )
    if drawn:
        centre = np.exp(np.mean([np.log(rms * np.sqrt(widths)) for _, rms in drawn]))
        panel.plot(widths, centre / np.sqrt(widths), "--", color=LIMIT, lw=1, label=r"$n^{-1/2}$")
        panel.set_yscale("log")
        # errors span less than a decade as often as not
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(lambda error, _: f"{error:g}")
        panel.yaxis.set_minor_formatter(NullFormatter())
        _width_axis(panel, report.widths)
        _legend(panel)
    _finish(panel, "RMS error", "width n", "RMS error over seeds")


def _means(panel: Any, output: OutputComparison) -> None:
    {0: _scalar, 1: _curve}.get(output.limit.ndim, _diagonal)(panel, output)


def _scalar(panel: Any, output: OutputComparison) -> None:
    """Mean and standard error by width, and the limit, with its standard error, as a line."""
    widths = [row.width for row in output.rows]
    panel.errorbar(
        widths,
        [float(row.mean) for row in output.rows],
        yerr=[float(row.stderr) for row in output.rows],
        fmt="o",
        ms=4,
        capsize=3,
        color=COLOURS[0],
        label="mean ± s.e.",
    )
    limit = float(output.limit)
    panel.axhline(limit, color=LIMIT, lw=1.2, label=f"limit {limit:.5g}")
    if output.stderr is not None:
        panel.axhspan(
            limit - float(output.stderr), limit + float(output.stderr), color=LIMIT, alpha=0.12, lw=0
        )
    _width_axis(panel, widths)
    _legend(panel)
    _finish(panel, output.name, "width n", "")


def _curve(panel: Any, output: OutputComparison) -> None:
    """The limit over its axis, and for every width the mean with a band of one spread."""
    index = np.arange(len(output.limit))
    for row, colour in zip(output.rows, _shades(len(output.rows)), strict=True):
        panel.errorbar(
            index, row.mean, yerr=row.stderr, fmt="o", ms=3, lw=1, color=colour, label=f"n = {row.width}"
        )
        panel.fill_between(
            index, row.mean - row.spread, row.mean + row.spread, color=colour, alpha=0.12, lw=0
        )
    panel.plot(index, output.limit, "-", color=LIMIT, lw=1.4, label="limit", zorder=5)
    _legend(panel)
    panel.xaxis.get_major_locator().set_params(integer=True)
    _finish(panel, output.name, literal(next(iter(output.axes), "index")), "mean ± s.e., band: spread")


def _diagonal(panel: Any, output: OutputComparison) -> None:
    """Every entry's mean against its limit."""
    flat = output.limit.ravel()
    for row, colour in zip(output.rows, _shades(len(output.rows)), strict=True):
        panel.errorbar(
            flat,
            row.mean.ravel(),
            yerr=row.stderr.ravel(),
            fmt="o",
            ms=3,
            lw=1,
            color=colour,
            label=f"n = {row.width}",
        )
    low, high = float(np.min(flat)), float(np.max(flat))
    panel.plot([low, high], [low, high], "-", color=LIMIT, lw=1.2, label="mean = limit")
    _legend(panel)
    _finish(panel, output.name, "limit", "mean ± s.e.")


def _shades(count: int) -> list[Any]:
    """A colour a width, the darker the wider."""
    from matplotlib import colormaps

    return [colormaps["viridis_r"](0.15 + 0.75 * i / max(1, count - 1)) for i in range(count)]


def _width_axis(panel: Any, widths: Sequence[int]) -> None:
    """Logarithmic, a tick at each width."""
    panel.set_xscale("log")
    panel.set_xticks(list(widths), [str(n) for n in widths])
    panel.minorticks_off()
    panel.margins(x=0.08)


def _legend(panel: Any) -> None:
    """Below the panel, where it hides nothing, to be read row by row."""
    entries = [*zip(*panel.get_legend_handles_labels(), strict=True)]
    beside = len(entries) <= 4 and all(len(label) <= SHORT for _, label in entries)
    ncols = len(entries) if beside else 3
    handles, labels = zip(*(entry for k in range(ncols) for entry in entries[k::ncols]), strict=True)
    panel.legend(
        handles,
        labels,
        fontsize=8,
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=ncols,
        columnspacing=1.2,
    )


def _finish(panel: Any, title: str, xlabel: str, ylabel: str) -> None:
    panel.set_title(literal(title), fontsize=10, loc="left")
    panel.set_xlabel(xlabel, fontsize=9, color=INK)
    panel.set_ylabel(ylabel, fontsize=9, color=INK)
    panel.tick_params(labelsize=8)
    panel.grid(True, which="major", color="#dddddd", lw=0.6)
    panel.set_axisbelow(True)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
