"""Outputs as tables in LaTeX that fit a page."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tpc.show.entries import shown_indices

MOST_ROWS, MOST_COLUMNS = 40, 4  # of numbers, in one table
POWER_OF_TEN = re.compile(r"e([+-]?)0*(\d+)")
Number = Callable[[tuple[int, ...]], str]
Coordinates = Callable[[tuple[int, ...]], Iterable[str]]


@dataclass(frozen=True, slots=True)
class TabledOutput:
    """An output: name and axes in LaTeX, shape, and its entries as text."""

    name: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    number: Number
    # what stands beside it, in the limit: at which n, and the entries there; as of all outputs of the tables
    beside: tuple[tuple[str, Number], ...] = ()


def latex_tables(outputs: Sequence[TabledOutput], rows: int = MOST_ROWS) -> str:
    """`tabular` environments: one of single numbers, and one for all outputs with the same axes.

    Beside finite widths each output with axes has one of its own.

    No table has more than `rows` rows, the middle of longer ones being dots, nor more than four columns of
    numbers. Raises ValueError for fewer than 3 rows.
    """
    _require_rows(rows)
    tables = []
    single = [output for output in outputs if not output.shape]
    for k in range(0, len(single), rows):
        part = single[k : k + rows]
        heads = [rf"$n = {n}$" for n, _ in part[0].beside]
        lines = [
            (f"${o.name}$", latex_number(o.number(())), *(latex_number(number(())) for _, number in o.beside))
            for o in part
        ]
        tables.append(_tabular(("", r"$n = \infty$" if heads else "value", *heads), lines, 1))
    families: dict[tuple[object, ...], list[TabledOutput]] = {}
    for output in outputs:
        if output.shape and 0 not in output.shape:
            own = output.name if output.beside else None
            families.setdefault((output.axes, output.shape, own), []).append(output)
    for members in families.values():
        axes, columns = members[0].axes, list[tuple[str, Number]]()
        for m in members:
            at = r",\ n = \infty" if m.beside else ""
            columns.append((f"${m.name}_{{{', '.join(axes)}}}{at}$", m.number))
            columns += [(f"$n = {n}$", number) for n, number in m.beside]
        tables.append(tables_of_points([f"${axis}$" for axis in axes], members[0].shape, columns, rows))
    return "\n\n".join(tables)


def tables_of_points(
    axes: Sequence[str],
    shape: tuple[int, ...],
    columns: Sequence[tuple[str, Number]],
    rows: int = MOST_ROWS,
    coordinates: Coordinates | None = None,
) -> str:
    """`tabular` environments with a row for each point of a grid of this shape, of four columns at most.

    axes: what is written above the coordinates. columns: what is written above each one, and what is found at
    a point. coordinates: of a point by its index, which they are if left out. Of more than `rows` points the
    middle is dots. Raises ValueError for fewer than 3 rows.
    """
    _require_rows(rows)
    shown = shown_indices(shape, rows if math.prod(shape) <= rows else rows - 1)  # the dots are a row, too
    tables = []
    for k in range(0, len(columns), MOST_COLUMNS):
        members = columns[k : k + MOST_COLUMNS]
        lines = [
            [r"\vdots"] * (len(axes) + len(members))
            if at is None
            else [
                *(f"${x}$" for x in (at if coordinates is None else coordinates(at))),
                *(latex_number(number(at)) for _, number in members),
            ]
            for at in shown
        ]
        tables.append(_tabular([*axes, *(head for head, _ in members)], lines, len(axes)))
    return "\n\n".join(tables)


def _require_rows(rows: int) -> None:
    if rows < 3:
        raise ValueError(f"a table has 3 rows at least, not {rows}")


def _tabular(head: Sequence[str], lines: Iterable[Sequence[str]], indices: int) -> str:
    columns = "r" * indices + "l" * (len(head) - indices)
    body = [" & ".join(line) + r" \\" for line in lines]
    top = [rf"\begin{{tabular}}{{{columns}}}", r"\hline", " & ".join(head) + r" \\", r"\hline"]
    return "\n".join([*top, *body, r"\hline", r"\end{tabular}"])


def latex_number(text: str) -> str:
    """A number as it is printed, with its error or what is said instead of one, in LaTeX."""
    if not text or (text.isalpha() and text not in ("nan", "inf")):
        return text
    number, comma, remark = text.partition(",")
    number = POWER_OF_TEN.sub(
        lambda found: rf" \cdot 10^{{{'-' if found[1] == '-' else ''}{found[2]}}}", number
    )
    number = number.replace("±", r"\pm").replace("inf", r"\infty").replace("nan", r"\mathrm{nan}")
    remark = remark.replace("±", r"$\pm$")
    return f"${number}$" + (f",{remark}" if comma else "")
