"""Samples and comparisons as tables: in a notebook, and as data frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.machine.packages import needing
from tpc.show.figures import with_error

if TYPE_CHECKING:
    from tpc.display.latex_tables import Number
    from tpc.display.markup import Markup
    from tpc.simulate.samples import Samples
    from tpc.simulate.verify import OutputComparison, Report

    # an output, and the index of one of its entries, by the index of a row
    Entry = Callable[[tuple[int, ...]], tuple[OutputComparison, tuple[int, ...]]]

MARKS = {True: "✓", False: "✗", None: "?"}  # of what agrees, does not, or cannot be judged
MOST_SHOWN_OUTPUTS = 30  # of a report; the table of all is its `to_pandas`


def html_of_samples(samples: Samples, title: str) -> Markup:
    """A row an output: mean and standard deviation over seeds."""
    from tpc.display.families import family_row
    from tpc.display.html_tables import table, titled
    from tpc.simulate.samples import mean_with_spread

    mean, std = samples.mean, samples.std
    several = len(samples.seeds) > 1
    rows = [
        family_row(
            name, mean[name], std[name] if several else None, partial(mean_with_spread, mean[name], std[name])
        )
        for name in samples.outputs
    ]
    return titled(title, "± the standard deviation over seeds" if several else "", table((), rows))


def html_of_report(report: Report) -> Markup:
    """The verdict, and for every output a table by width of the entry that agrees least."""
    from tpc.display.html_tables import folded, table, titled
    from tpc.display.markup import element
    from tpc.simulate.verify_text import cells_of, headings_of, title_of, verdict

    parts = [
        folded(
            f"{MARKS[output.agrees if output.judged.any() else None]} {title_of(output)}",
            table(headings_of(output), cells_of(output)),
            *(element("div", line) for line in verdict(output)),
        )
        for output in report.outputs[:MOST_SHOWN_OUTPUTS]
    ]
    left_out = len(report.outputs) - len(parts)
    more = [element("div", f"… and {left_out} more outputs")] if left_out else []
    return titled(report.title, "", *parts, *more)


def frame_of_samples(samples: Samples) -> Any:
    with needing("pandas"):
        from tpc.display.frames import Columns, frame

        made = frame(
            {
                name: Columns(["seed", *axes_of_shape(values.shape[1:])], {"value": values})
                for name, values in samples.outputs.items()
            }
        )
        return made.assign(seed=np.asarray(samples.seeds)[made["seed"].astype(int)]) if len(made) else made


def frame_of_report(report: Report) -> Any:
    with needing("pandas"):
        from tpc.display.frames import Columns, frame

        outputs = {}
        for output in report.outputs:
            rows, count = output.rows, len(output.rows)
            error = np.zeros_like(output.limit) if output.stderr is None else output.stderr
            arrays = {
                "mean": np.stack([row.mean for row in rows]),
                "stderr": np.stack([row.stderr for row in rows]),
                "spread": np.stack([row.spread for row in rows]),
                "limit": np.stack([output.limit] * count),
                "limit_stderr": np.stack([error] * count),
            }
            outputs[output.name] = Columns(["width", *axes_of_shape(output.limit.shape)], arrays)
        made = frame(outputs)
        return made.assign(width=np.asarray(report.widths)[made["width"].astype(int)]) if len(made) else made


def latex_of_report(report: Report, names: Mapping[str, str], rows: int) -> str:
    """A table of all single numbers, and one for each family."""
    single = [output for output in report.outputs if not output.limit.shape]
    tables = [_latex_of_single(report, single, names, rows)] if single else []
    tables += [_latex_of_family(report, own, names, rows) for own in report.outputs if own.limit.shape]
    return "\n\n".join(tables)


def _latex_of_single(
    report: Report, single: Sequence[OutputComparison], names: Mapping[str, str], rows: int
) -> str:
    """A table with a row for each of these numbers."""
    from tpc.derive.latex import renamed
    from tpc.display.latex_tables import tables_of_points

    columns = _by_width(report, "", lambda at: (single[at[0]], ()))
    return tables_of_points(
        [""], (len(single),), columns, rows, lambda at: [renamed(single[at[0]].name, names)]
    )


def _latex_of_family(report: Report, output: OutputComparison, names: Mapping[str, str], rows: int) -> str:
    """A table with a row for each entry of an output."""
    from tpc.derive.latex import renamed
    from tpc.display.latex_tables import tables_of_points

    axes = ["i"] if output.limit.ndim == 1 else [f"i_{k}" for k in range(output.limit.ndim)]
    name = f"{renamed(output.name, names)}_{{{', '.join(axes)}}},\\ "
    columns = _by_width(report, name, lambda at: (output, at))
    return tables_of_points([f"${axis}$" for axis in axes], output.limit.shape, columns, rows)


def _by_width(report: Report, name: str, entry: Entry) -> list[tuple[str, Number]]:
    """What stands above a column, and its numbers: those of entries in the limit, and at each width."""

    def column(k: int | None) -> Number:
        def number(at: tuple[int, ...]) -> str:
            output, index = entry(at)
            value, errors = output.limit, output.stderr
            if k is not None:
                value, errors = output.rows[k].mean, output.rows[k].stderr
            return with_error(float(value[index]), 0.0 if errors is None else float(errors[index]), 6, 8)

        return number

    widths = [(f"$n = {width}$", column(k)) for k, width in enumerate(report.widths)]
    return [(rf"${name}n = \infty$", column(None)), *widths]


def axes_of_shape(shape: tuple[int, ...]) -> list[str]:
    return [f"i{k}" for k in range(len(shape))]
