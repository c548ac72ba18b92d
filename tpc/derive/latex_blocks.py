"""Formulas in LaTeX that fit: lines of a given width, and for MathJax blocks that it takes.

MathJax 2, which nbviewer, Colab and older notebooks have, refuses a formula of more than 5,120 characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tpc.derive.formula import Equation, ZFormula, ZInput
from tpc.derive.latex import RELATIONS, Latex, between, latex_ranges, latex_rule, renamed
from tpc.derive.line_breaks import FACTOR, TERM, broken, measured
from tpc.derive.notation import POWER, PRODUCT, Written
from tpc.derive.sites import FormulaScope

MOST_CHARACTERS = 4800  # of a block
SCREEN, PAGE = 96.0, 54.0  # letters of a line: of a cell's output, of a page of 345 pt at 10 pt
TOO_LONG = r"\text{(a line too long for MathJax; it is in the text of the limit)}"
WIDEST = 26.0  # letters of a root or a case that stands as such
WIDEST_FRACTION = 40.0  # of a numerator or a denominator
STEP = 1.5  # letters, by which a loop is indented


class BreakableLatex(Latex):
    """Marks where lines may end; fractions wider than a line are written with a stroke."""

    plus, minus = f" {TERM}+ ", f" {TERM}- "
    quotient = POWER  # a factor after a stroke would seem to be below it

    def __init__(self, scope: FormulaScope, names: Mapping[str, str]) -> None:
        super().__init__(scope)
        self.names = names

    def name(self, name: str) -> str:
        return renamed(name, self.names)

    def times(self, factors: Sequence[str]) -> str:
        return f"{between(factors)}{FACTOR}".join(factors)

    def fraction(self, above: Written, below: Written) -> Written:
        if max(measured(above[0])[0], measured(below[0])[0]) <= WIDEST_FRACTION:
            return super().fraction(above, below)
        top, bottom = (
            self.parenthesised(text) if strength < POWER else text for text, strength in (above, below)
        )
        return f"{top} {FACTOR}/ {bottom}", PRODUCT

    def function(self, name: str, args: Sequence[str]) -> str:
        if name not in ("sqrt", "where") or max(measured(a)[0] for a in args) <= WIDEST:
            return super().function(name, args)
        if name == "sqrt":
            return self.power(self.parenthesised(args[0]), "1/2")
        return r"\operatorname{where}" + self.parenthesised(f",\\, {TERM}".join(args))

    def power(self, base: str, exponent: str) -> str:
        """Without braces around what is in delimiters already, so that it may be broken in them."""
        return f"{base}^{{{exponent}}}" if base.startswith(r"\left") else super().power(base, exponent)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a display: how far it is indented, the formula, and what is said of it at the right."""

    depth: float
    text: str
    rule: str = ""

    def __str__(self) -> str:
        indent = rf"\hspace{{{self.depth:g}em}} " if self.depth else ""
        return f"&{indent}{self.text}" + (f" && {self.rule}" if self.rule else "")


def rows_of_formulas(formulas: Iterable[ZFormula], names: Mapping[str, str], width: float) -> Iterator[Row]:
    for formula in formulas:
        notation = BreakableLatex(formula.scope, names)
        if isinstance(formula, ZInput):
            yield Row(0, notation.label(formula.of))
        yield from rows_of_formula(notation, formula, 0, width)


def rows_of_formula(notation: Latex, formula: ZFormula, known: int, width: float) -> Iterator[Row]:
    """The equations of a formula. known: the loops whose heads stand above it."""
    for equation in formula.equations:
        closed = formula.closed(equation)
        equal = "" if closed is None else f" {TERM}= {notation.expr(closed)}"
        yield from rows_of_equation(notation, equation, known, width, equal)


def rows_of_equation(
    notation: Latex, equation: Equation, known: int, width: float, closed: str
) -> Iterator[Row]:
    """An equation in lines, with its closed form in LaTeX."""
    relation = RELATIONS.get(equation.relation, equation.relation)
    text = f"{notation.expr(equation.left)} {TERM}{relation} {notation.expr(equation.right)}{closed}"
    clause = latex_ranges(notation, equation.ranges[known:])
    text += rf" {TERM}\qquad ({clause})" if clause else ""
    first, *others = broken(text, width - STEP * known)
    yield Row(STEP * known, first, latex_rule(equation.rule))
    for line in others:
        yield Row(STEP * (known + 2), line)


def blocks(rows: Iterable[Row]) -> list[str]:
    """`aligned` environments for MathJax; a row that is too long for any says where it is to be had."""
    made: list[list[str]] = [[]]
    for row in rows:
        text = str(row)
        if len(text) > MOST_CHARACTERS:
            text = str(Row(row.depth, TOO_LONG))
        if sum(map(len, made[-1])) + 4 * len(made[-1]) + len(text) > MOST_CHARACTERS:
            made.append([])
        made[-1].append(text)
    return [f"\\begin{{aligned}}\n{_lines(lines)}\n\\end{{aligned}}" for lines in made if lines]


def html_blocks(rows: Iterable[Row], remarks: Iterable[str] = ()) -> str:
    """The blocks one under another, flush left, as HTML that MathJax typesets, and sentences below them."""
    from tpc.display.markup import element, joined

    shown = (
        element("div", f"$\\displaystyle {block}$", style="overflow-x:auto;margin:0 0 2px")
        for block in blocks(rows)
    )
    return joined([*shown, *(element("p", remark) for remark in remarks)])


def page(rows: Iterable[Row]) -> str:
    r"""An `align*` of amsmath, which may be broken between pages."""
    lines = _lines([str(row) for row in rows])
    return f"{{\\allowdisplaybreaks\n\\begin{{align*}}\n{lines}\n\\end{{align*}}}}"


def _lines(rows: Sequence[str]) -> str:
    return " \\\\\n".join(rows)
