"""Formulas under the heads of their loops, in which order any notation shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tpc.core.places import IndexRange
from tpc.derive.formula import ZFormula


def under_heads(formulas: Iterable[ZFormula]) -> Iterator[tuple[list[tuple[int, IndexRange]], int, ZFormula]]:
    """The loops that begin before each formula, with their depths, in how many it stands, and itself."""
    around, path = tuple[IndexRange, ...](), tuple[int, ...]()
    for formula in formulas:
        loops = formula.loops if formula.path else ()
        same = 0
        while same < min(len(around), len(loops)) and path[same] == formula.path[same]:
            same += 1
        around, path = loops, formula.path
        yield [*enumerate(loops)][same:], len(loops), formula
