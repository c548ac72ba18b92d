"""A picture of corrections: how far from its limit an output is to be expected over the width."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.show.saved import save

if TYPE_CHECKING:
    from tpc.corrections.prediction import Correction, Corrections

WIDTHS = np.geomspace(16, 1e6, 97)
MOST_CURVES = 6
SPREAD, BIAS = "#1f4e79", "#c55a11"


def plot_corrections(found: Corrections, path: str | Path) -> None:
    """A panel per output: its deviation and its bias over the width; a limit that is not 0 in units of it.

    Raises OSError, and ValueError for another ending than .png, .svg or .pdf.
    """
    from matplotlib.figure import Figure

    path = Path(path)
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise ValueError("a figure's name ends in .png, .svg or .pdf")
    panels = {name: own for name, own in found.outputs.items() if own.value.size}
    columns = min(3, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    figure = Figure(figsize=(4.6 * columns, 3.4 * rows), layout="constrained")
    for k, (name, own) in enumerate(panels.items()):
        _panel(figure.add_subplot(rows, columns, k + 1), name, own)
    if not panels:
        figure.text(0.5, 0.5, "no entries", ha="center", va="center")
    figure.suptitle(f"{found.program} at width n")
    save(figure, path, dpi=150)


def _panel(axis: Any, name: str, own: Correction) -> None:
    value, bias, fluctuation = (np.ravel(x) for x in (own.value, own.bias, own.fluctuation))
    relative = bool(np.all(value != 0))
    unit = np.abs(value) if relative else np.ones_like(value)
    shown = np.unique(np.linspace(0, len(value) - 1, min(len(value), MOST_CURVES)).astype(int))
    for k in shown:
        first = k == shown[0]
        strength = 1 - 0.7 * (list(shown).index(k) / max(1, len(shown)))
        axis.plot(
            WIDTHS,
            fluctuation[k] / WIDTHS**0.5 / unit[k],
            color=SPREAD,
            alpha=strength,
            label="deviation" if first else None,
        )
        axis.plot(
            WIDTHS,
            np.abs(bias[k]) / WIDTHS / unit[k],
            color=BIAS,
            alpha=strength,
            linestyle="--",
            label="bias, its size" if first else None,
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_title(name)
    axis.set_xlabel("width n")
    axis.set_ylabel("in units of the limit" if relative else "from the limit")
    axis.grid(alpha=0.3, which="both")
    axis.legend(frameon=False, fontsize=8)
