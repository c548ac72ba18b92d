"""A whole limit in LaTeX that fits, loops indented under their heads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tpc.core.places import IndexRange
from tpc.derive.formula import ZInput
from tpc.derive.latex import latex_ranges
from tpc.derive.latex_blocks import STEP, BreakableLatex, Row, rows_of_equation, rows_of_formula
from tpc.derive.limit import Limit
from tpc.derive.text import is_hidden


def rows_of_limit(limit: Limit, names: Mapping[str, str], width: float) -> Iterator[Row]:
    """All formulas of a limit, those of a loop indented under its head."""
    notation = BreakableLatex(limit.scope, names)
    around, path = tuple[IndexRange, ...](), tuple[int, ...]()
    for formula in limit:
        if isinstance(formula, ZInput) or is_hidden(formula):
            continue
        loops = formula.loops if formula.path else ()
        same = 0
        while same < min(len(around), len(loops)) and path[same] == formula.path[same]:
            same += 1
        for depth in range(same, len(loops)):
            head = latex_ranges(notation, loops[depth : depth + 1])
            yield Row(STEP * depth, rf"\textbf{{for }} {head}\textbf{{:}}")
        around, path = loops, formula.path
        yield from rows_of_formula(notation, formula, len(loops), width)
    for partial in limit.partials:
        for equation in partial.equations:
            yield from rows_of_equation(notation, equation, 0, width, "")
