"""A whole limit in LaTeX that fits, loops indented under their heads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tpc.derive.formula import ZInput
from tpc.derive.latex import latex_ranges
from tpc.derive.latex_blocks import STEP, BreakableLatex, Row, rows_of_equation, rows_of_formula
from tpc.derive.limit import Limit
from tpc.derive.loop_heads import under_heads
from tpc.derive.text import is_hidden


def rows_of_limit(limit: Limit, names: Mapping[str, str], width: float) -> Iterator[Row]:
    """All formulas of a limit, those of a loop indented under its head."""
    notation = BreakableLatex(limit.scope, names)
    shown = (f for f in limit if not isinstance(f, ZInput) and not is_hidden(f))
    for heads, known, formula in under_heads(shown):
        for depth, loop in heads:
            yield Row(STEP * depth, rf"\textbf{{for }} {latex_ranges(notation, [loop])}\textbf{{:}}")
        yield from rows_of_formula(notation, formula, known, width)
    for partial in limit.partials:
        for equation in partial.equations:
            yield from rows_of_equation(notation, equation, 0, width, "")
