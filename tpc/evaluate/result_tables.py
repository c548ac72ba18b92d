"""Results as tables: in a notebook, as data frames, in LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.evaluate.result import number_of
from tpc.machine.packages import needing

if TYPE_CHECKING:
    from tpc.display.frames import Columns
    from tpc.display.markup import Markup
    from tpc.evaluate.result import Outcome, Result
    from tpc.simulate.samples import Samples


def html_of_result(result: Result) -> Markup:
    """Title, plan, a row an output, remarks."""
    from tpc.display.html_tables import folded, table, titled
    from tpc.display.markup import element

    rows = [_row(name, outcome) for name, outcome in result.outputs.items()]
    start = [] if result.start is None else [element("div", str(result.start))]
    notes = [element("div", f"note: {note}") for note in result.notes]
    plan = folded(f"by {result.plan.method}{', exact' * result.plan.exact}", str(result.plan))
    return titled(f"{result.program} at n = ∞", "", plan, *start, table((), rows), *notes)


def html_of_outcome(outcome: Outcome) -> Markup:
    from tpc.display.html_tables import table

    return table((), [_row("value", outcome)])


def _row(name: str, outcome: Outcome) -> tuple[str, str, str]:
    from tpc.display.families import family_row

    errors = None if outcome.reason is not None else outcome.stderr
    return family_row(name, outcome.value, errors, partial(number_of, outcome))


def axes_of(result: Result, name: str) -> tuple[str, ...]:
    """What the program calls the axes of an output."""
    declared = {output.name: output.axes for output in result.plan.program.outputs}
    known = [variable for variable, _ in declared.get(name, ())]
    return (*known, *[""] * result.outputs[name].value.ndim)[: result.outputs[name].value.ndim]


def frame_of_result(result: Result, output: str | None) -> Any:
    with needing("pandas"):
        from tpc.display.frames import frame, frame_of_one

        if output is not None:
            return frame_of_one(_columns(result, output, result[output]))
        return frame({name: _columns(result, name, outcome) for name, outcome in result.outputs.items()})


def _columns(result: Result, name: str, outcome: Outcome) -> Columns:
    from tpc.display.frames import Columns, distinct

    stderr = np.zeros_like(outcome.value) if outcome.stderr is None else outcome.stderr
    spread = {} if outcome.std is None else {"std": outcome.std}
    axes = distinct(axes_of(result, name), ("output", "value", "stderr", "std"))
    return Columns(axes, {"value": outcome.value, "stderr": stderr, **spread})


def latex_of_result(
    result: Result, names: Mapping[str, str], rows: int, samples: Sequence[Samples] = ()
) -> str:
    from tpc.derive.latex import renamed
    from tpc.display.latex_tables import TabledOutput, latex_tables
    from tpc.simulate.samples import mean_with_spread

    return latex_tables(
        [
            TabledOutput(
                renamed(name, names),
                tuple(
                    renamed(axis, names) if axis else f"i_{k}" for k, axis in enumerate(axes_of(result, name))
                ),
                outcome.value.shape,
                partial(number_of, outcome),
                tuple(
                    (str(each.width), partial(mean_with_spread, each.mean[name], each.std[name]))
                    for each in samples
                ),
            )
            for name, outcome in result.outputs.items()
        ],
        rows,
    )
