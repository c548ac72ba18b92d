"""What is printed of a limit against finite width."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from tpc.diagnostics.catalogue.words import counted, power_of_n
from tpc.show.figures import figures_of, print_from, with_error
from tpc.simulate.compare import ONE_WIDTH_BIAS, THRESHOLD, Gap
from tpc.simulate.forecast import Forecast

if TYPE_CHECKING:
    from tpc.simulate.verify import OutputComparison

HEADINGS = ("n", "mean", "std. error", "spread", "off by (σ)", "RMS error")
PREDICTED = ("bias z", "spread z")  # of the mean from limit + bias/n, and of the spread


def print_comparison(output: OutputComparison) -> list[str]:
    """A few lines: the verdict, then a table by width.

    The table is of the entry that agrees least.
    """
    cells = [headings_of(output), *cells_of(output)]
    sizes = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    table = [
        "  " + "  ".join(cell.rjust(size) for cell, size in zip(row, sizes, strict=True)) for row in cells
    ]
    return [title_of(output), *table, *(f"  {line}" for line in verdict(output))]


def title_of(output: OutputComparison) -> str:
    """The limit of the entry that agrees least."""
    at = output.worst
    entry = f"[{', '.join(map(str, at))}]" if at else ""
    error = 0.0 if output.stderr is None else float(output.stderr[at])
    limit = with_error(float(output.limit[at]), error, *figures_of(output.limit.dtype))
    several = f"   (of {output.limit.size} entries the one that agrees least)" if at else ""
    return f"{output.name}{entry} → {limit}{several}"


def headings_of(output: OutputComparison) -> tuple[str, ...]:
    """What stands over the columns of `cells_of`."""
    return (*HEADINGS, *PREDICTED * (output.forecast is not None))


def cells_of(output: OutputComparison) -> list[tuple[str, ...]]:
    """The table by width, under `headings_of`."""
    at = output.worst
    return [
        (
            str(r.width),
            f"{r.mean[at]:.6g}",
            f"{r.stderr[at]:.2g}",
            f"{r.spread[at]:.2g}",
            f"{r.deviation[at]:+.1f}" if output.judged[at] else "",
            f"{r.rms:.2g}" if output.judged.any() else "",
            *_deviations(output, k, at),
        )
        for k, r in enumerate(output.rows)
    ]


def _deviations(output: OutputComparison, k: int, at: tuple[int, ...]) -> list[str]:
    """How far bias and spread at the k-th width are from what is predicted."""
    own = output.forecast
    z = [] if own is None else [own.bias.z[k][at], own.variance.z[k][at]]
    return [f"{x:+.1f}" if np.isfinite(x) else "" for x in z]


def _predictions(output: OutputComparison, at: tuple[int, ...]) -> list[str]:
    """n·bias and n·variance that the widths point to, and what is predicted of them."""
    own = output.forecast
    if own is None:
        return []
    lines, parts = [], [("n·bias", own.bias), ("n·variance", own.variance)]
    order = _order_of(output.gap, at)
    if order < 1:
        lines, parts = [f"n·bias: none, the mean is off by powers of {power_of_n(-order)}"], parts[1:]
    for what, part in parts:
        measured = f"{what} {part.estimate[at]:.3g} ± {part.stderr[at]:.2g}"
        if np.isnan(part.estimate[at]):
            measured = f"{what} unknown, known to ± {part.stderr[at]:.2g} at these widths"
        if np.isnan(part.predicted[at]):
            lines.append(f"{measured}: none is predicted")
            continue
        agrees = "" if part.sigma[at] <= THRESHOLD else ": DISAGREES"
        judged = f"{part.sigma[at]:.1f} σ{agrees}" if own.usable[at] else "not judged"
        predicted = f"{part.predicted[at]:.3g}" + f" ± {part.error[at]:.2g}" * bool(part.error[at])
        lines.append(f"{measured}, predicted {predicted}, {judged}")
    return [*lines, *_unjudged(own, at, len(output.rows))]


def _unjudged(own: Forecast, at: tuple[int, ...], widths: int) -> list[str]:
    """Where the first order does not hold at all of the widths."""
    holds, usable = own.first_order_from, own.usable
    if holds is None:
        return []
    lines = [f"the first order holds {print_from(holds[at])}"] if usable[at] < widths else []
    nowhere = usable == 0
    if nowhere.sum() > nowhere[at]:
        lines.append(
            f"bias and spread are not judged of {nowhere.sum()} of {usable.size} entries, of which the first "
            f"order holds {print_from(holds[nowhere].min())} at the earliest"
        )
    return lines


def _decay(output: OutputComparison) -> str:
    """How the RMS error of an output goes down, by what is predicted of it."""
    own, order = output.forecast, float(np.min(output.gap.order))
    if own is None or order < 1 or not own.variance.zero.all():
        return f"n^({-min(order, 0.5):.2f})"
    return "n^(-1.00)" + " or faster" * bool(own.bias.zero.all())


def _bias_of(output: OutputComparison, at: tuple[int, ...]) -> str:
    """In words, what the means are extrapolated by, or what is put down to a bias."""
    order, allowed = _order_of(output.gap, at), output.gap.allowed[at]
    if output.gap.known_bias[at]:
        return f"as n → ∞, less the predicted n·bias, of which {allowed:.2g} may be of the next orders"
    if not allowed:
        return "as n → ∞" + f", by powers of {power_of_n(-order)}" * (order < 1)
    widths = len(output.rows) if output.forecast is None else max(1, int(output.forecast.usable[at]))
    few = "one width" if widths == 1 else "so few widths"
    divided = power_of_n(widths * order)
    return f"beyond a bias of {allowed:.2g} ({ONE_WIDTH_BIAS:g}·scale/{divided}, as {few} cannot tell)"


def _order_of(own: Gap, at: tuple[int, ...]) -> Fraction:
    """The p of an entry whose means are off by powers of n^(-p)."""
    return Fraction(own.order[at]).limit_denominator()


def verdict(output: OutputComparison) -> list[str]:
    """What is said of the entry that agrees least, and of how many entries nothing can be."""
    at, g = output.worst, output.gap
    left_out = output.judged.size - int(output.judged.sum())
    if left_out == output.judged.size:
        return ["nothing can be judged: the limit has no finite error"]
    bias = _bias_of(output, at)
    words = "agrees" if g.agrees else "disagrees" if np.isfinite(g.sigma[at]) else "disagrees (not finite)"
    lines = [
        f"{words}: off by {g.estimate[at]:+.2g} ± {g.stderr[at]:.2g} {bias}, {g.sigma[at]:.1f} σ (limit "
        f"{THRESHOLD:g})"
    ]
    if output.slope.estimate is not None:
        lines.append(
            f"error ∝ n^({output.slope.estimate:.2f} ± {output.slope.stderr:.2f}), by theory {_decay(output)}"
            + ("" if output.slope.agrees else ": it does not go down")
        )
    if left_out:
        entries = counted(left_out, "entry, which has", "entries, which have")
        lines.append(f"nothing can be judged of {entries} no finite error")
    return [*lines, *_predictions(output, at)]
