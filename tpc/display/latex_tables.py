"""Outputs as tables in LaTeX that fit a page."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tpc.show.entries import shown_indices

MOST_ROWS, MOST_COLUMNS = 40, 4  # of numbers, in one table
POWER_OF_TEN = re.compile(r"e([+-]?)0*(\d+)")
Number = Callable[[tuple[int, ...]], str]


@dataclass(frozen=True, slots=True)
class TabledOutput:
    """An output: name and axes in LaTeX, shape, and its entries as text."""

    name: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    number: Number


def latex_tables(outputs: Sequence[TabledOutput], rows: int = MOST_ROWS) -> str:
    """`tabular` environments: one of single numbers, and one for all outputs with the same axes.

    No table has more than `rows` rows, the middle of longer ones being dots, nor more than four columns of
    numbers. Raises ValueError for fewer than 3 rows.
    """
    if rows < 3:
        raise ValueError(f"a table has 3 rows at least, not {rows}")
    tables = []
    single = [output for output in outputs if not output.shape]
    for k in range(0, len(single), rows):
        lines = [(f"${o.name}$", latex_number(o.number(()))) for o in single[k : k + rows]]
        tables.append(_tabular(("", "value"), lines, 1))
    families: dict[tuple[tuple[str, ...], tuple[int, ...]], list[TabledOutput]] = {}
    for output in outputs:
        if output.shape and 0 not in output.shape:
            families.setdefault((output.axes, output.shape), []).append(output)
    for (axes, shape), members in families.items():
        for k in range(0, len(members), MOST_COLUMNS):
            tables.append(_family(axes, shape, members[k : k + MOST_COLUMNS], rows))
    return "\n\n".join(tables)


def _family(axes: tuple[str, ...], shape: tuple[int, ...], members: Sequence[TabledOutput], rows: int) -> str:
    most = rows if math.prod(shape) <= rows else rows - 1  # the dots are a row, too
    shown = shown_indices(shape, most)
    head = [f"${axis}$" for axis in axes]
    head += [f"${m.name}_{{{', '.join(axes)}}}$" for m in members]
    lines = [
        [r"\vdots"] * len(head)
        if i is None
        else [*(f"${k}$" for k in i), *(latex_number(m.number(i)) for m in members)]
        for i in shown
    ]
    return _tabular(head, lines, len(axes))


def tables_of_points(
    axes: Sequence[str],
    points: Sequence[Sequence[str]],
    outputs: Mapping[str, Sequence[str]],
    rows: int = MOST_ROWS,
) -> str:
    """`tabular` environments with a row for each point of a grid, its coordinates and what is found there.

    axes: what is written above the coordinates. outputs: what is found at each point, as text, by what is
    written above it. Raises ValueError for fewer than 3 rows.
    """
    if rows < 3:
        raise ValueError(f"a table has 3 rows at least, not {rows}")
    most = rows if len(points) <= rows else rows - 1
    shown = shown_indices((len(points),), most)
    names, tables = list(outputs), list[str]()
    for k in range(0, len(names), MOST_COLUMNS):
        members = names[k : k + MOST_COLUMNS]
        lines = [
            [r"\vdots"] * (len(axes) + len(members))
            if at is None
            else [*(f"${x}$" for x in points[at[0]]), *(latex_number(outputs[m][at[0]]) for m in members)]
            for at in shown
        ]
        tables.append(_tabular([*axes, *members], lines, len(axes)))
    return "\n\n".join(tables)


def _tabular(head: Sequence[str], lines: Iterable[Sequence[str]], indices: int) -> str:
    columns = "r" * indices + "l" * (len(head) - indices)
    body = [" & ".join(line) + r" \\" for line in lines]
    top = [rf"\begin{{tabular}}{{{columns}}}", r"\hline", " & ".join(head) + r" \\", r"\hline"]
    return "\n".join([*top, *body, r"\hline", r"\end{tabular}"])


def latex_number(text: str) -> str:
    """A number as it is printed, with its error or what is said instead of one, in LaTeX."""
    if text.isalpha() and text not in ("nan", "inf"):
        return text
    number, comma, remark = text.partition(",")
    number = POWER_OF_TEN.sub(
        lambda found: rf" \cdot 10^{{{'-' if found[1] == '-' else ''}{found[2]}}}", number
    )
    number = number.replace("±", r"\pm").replace("inf", r"\infty").replace("nan", r"\mathrm{nan}")
    remark = remark.replace("±", r"$\pm$")
    return f"${number}$" + (f",{remark}" if comma else "")
