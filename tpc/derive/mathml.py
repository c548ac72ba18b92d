"""Formulas in MathML, for pages that browsers show without anything else.

A notation of its own rather than a translation of the LaTeX (by latex2mathml, say, which tpc would need for
this alone), or of sympy's expressions, which have no expectations and families. Sympy prints closed forms.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tpc.core.expr import Expr
from tpc.core.greek import LETTERS
from tpc.core.names import SplitName
from tpc.derive.formula import Equation, ZFormula, ZInput
from tpc.derive.nodes import Dot, Hat, Z
from tpc.derive.notation import ATOM, POWER, PRODUCT, SUM, Notation, Written
from tpc.display.markup import Markup, element, escaped

LEAF = re.compile(r"<(mi|mn|mo|mtext|mspace)\b[^>]*>.*?</\1>|<[^>]*>|[^<]+", re.DOTALL)
BARE = re.compile(r"&[#\w]+;|[0-9.]+|\s+|[^\s0-9.&]")
DIGIT = re.compile(r"(?:<msup>|<mrow>)*[0-9]")  # of a number, or of the base of a power
MINUS = {"-": "−"}


def tag(name: str, *parts: str, **attributes: str) -> str:
    """An element of parts that are MathML already."""
    return element(name, *map(Markup, parts), **attributes)


def operator(text: str, **attributes: str) -> str:
    return element("mo", text, **attributes)


def row(*parts: str) -> str:
    return tag("mrow", *parts)


PRIME = operator("′")


class MathML(Notation):
    """Signs and numbers that a notation puts between its parts are bare text, until `whole` wraps them."""

    def name(self, name: str) -> str:
        split = SplitName.of(name)
        if split.superscript is not None:
            return tag("msup", self.name(split.base), element("mi", split.superscript))
        return element("mi", LETTERS.get(name, name))

    def member(self, name: str, index: Sequence[str]) -> str:
        return tag("msub", self.name(name), commas(index)) if index else self.name(name)

    def limit(self, kind: type[Expr], label: str) -> str:
        mark = "^" if kind is Hat else "˙" if kind is Dot else ""
        letter = element("mi", "Z")
        return tag("msup", accented(letter, mark) if mark else letter, row(label))

    def ring(self, name: str, index: Sequence[str]) -> str:
        ring = accented(self.name(name), "˚")
        return tag("msub", ring, commas(index)) if index else ring

    def partial(self, of: str, by: str) -> str:
        d = operator("∂")
        return tag("mfrac", row(d, self.limit(Z, of)), row(d, self.limit(Hat, by)))

    def stein(self, of: str, by: str) -> str:
        return tag("msubsup", element("mi", "a"), row(by), row(of))

    def matmul(self, matrix: str, transposed: bool, operand: str) -> str:
        matrix = tag("msup", row(matrix), operator("⊤")) if transposed else matrix
        return row(matrix, tag("mspace", width="0.2em"), operand)

    def expectation(self, body: str) -> str:
        return row(element("mi", "𝔼"), operator("["), body, operator("]"))

    def copy_mean(self, body: str) -> str:
        return row(tag("msup", element("mi", "𝔼"), PRIME), operator("["), body, operator("]"))

    def kernel(self, label: str, flipped: bool) -> str:
        here, there = operator("·"), tag("msup", operator("·"), PRIME)
        return row(label, self.parenthesised(commas([there, here] if flipped else [here, there])))

    def copied(self, body: Written) -> Written:
        return tag("msup", row(body[0] if body[1] >= POWER else self.parenthesised(body[0])), PRIME), POWER

    def covariance(self, left: str, right: str) -> str:
        return row(element("mi", "Cov"), self.parenthesised(commas([left, right])))

    def normal(self, mean: str, variance: str) -> str:
        return row(element("mi", "𝒩"), self.parenthesised(commas([mean, variance])))

    def delta(self, left: str, right: str) -> str:
        return row(operator("["), left, operator("="), right, operator("]"))

    def sum(self, variable: str, relation: str, bound: str, body: str) -> str:
        return row(tag("munder", operator("∑"), row(variable, relation, bound)), body)

    def exact(self, value: Any) -> Written:
        from tpc.derive.to_sympy import strength

        return printed_by_sympy(value, self), strength(value, SUM, PRODUCT, POWER, ATOM)

    def times(self, factors: Sequence[str]) -> str:
        between = operator("·") if any(map(DIGIT.match, factors[1:])) else tag("mspace", width="0.17em")
        return row(between.join(factors))

    def fraction(self, above: Written, below: Written) -> Written:
        return tag("mfrac", row(above[0]), row(below[0])), POWER

    def power(self, base: str, exponent: str) -> str:
        return tag("msup", row(base), row(exponent))

    def function(self, name: str, args: Sequence[str]) -> str:
        match name:
            case "sqrt":
                return tag("msqrt", *args)
            case "abs":
                return row(operator("|"), *args, operator("|"))
            case "where":
                condition, then, otherwise = args
                cases = ((then, condition), (otherwise, element("mtext", "otherwise")))
                table = tag("mtable", *(tag("mtr", *(tag("mtd", x) for x in case)) for case in cases))
                return row(operator("{"), table)
        return row(element("mi", name.replace("'", "′")), self.parenthesised(commas(args)))

    def parenthesised(self, text: str) -> str:
        return row(operator("("), text, operator(")"))

    def constant(self, name: str) -> str:
        return element("mi", "π" if name == "pi" else name)

    def compare(self, op: str) -> str:
        return operator({"<=": "≤", ">=": "≥"}.get(op, op))


def accented(letter: str, mark: str) -> str:
    return tag("mover", letter, operator(mark, stretchy="false"), accent="true")


def commas(parts: Sequence[str]) -> str:
    return row(operator(",", separator="true").join(parts))


def whole(body: str) -> Markup:
    """A formula as an element of a page."""
    return Markup(tag("math", row(wrapped(body)), displaystyle="true"))


def wrapped(body: str) -> str:
    """Bare signs and numbers as elements."""
    return "".join(
        part[0] if part[0].startswith("<") else "".join(map(_leaf, BARE.findall(part[0])))
        for part in LEAF.finditer(body)
    )


def _leaf(text: str) -> str:
    if not text.strip():
        return ""
    return f"<mn>{text}</mn>" if text[0].isdigit() else f"<mo>{MINUS.get(text, text)}</mo>"


def mathml_equation(notation: MathML, equation: Equation, known: int, closed: Expr | None = None) -> Markup:
    """One equation, with the ranges of its variables past the first `known`, and its closed form."""
    relation = {"~": "∼"}.get(equation.relation, equation.relation)
    body = notation.expr(equation.left) + operator(relation) + notation.expr(equation.right)
    if closed is not None:
        body += operator("=") + notation.expr(closed)
    ranges = [row(*notation.below(r.variable, r.count)) for r in equation.ranges[known:]]
    if ranges:
        body += tag("mspace", width="2em") + notation.parenthesised(commas(ranges))
    return whole(body)


def mathml_formula(formula: ZFormula, known: int = 0) -> list[tuple[Markup, str]]:
    """The equations of a formula, each with its rule."""
    notation = MathML(formula.scope)
    if isinstance(formula, ZInput):
        return [(whole(notation.label(formula.of)), "given")]
    return [(mathml_equation(notation, e, known, formula.closed(e)), e.rule) for e in formula.equations]


def printed_by_sympy(value: Any, notation: MathML) -> str:
    """A closed form; its symbols are scalars of the program."""
    from xml.dom.minidom import parseString

    from sympy.printing.mathml import MathMLPresentationPrinter

    class ClosedFormPrinter(MathMLPresentationPrinter):
        def _print_Symbol(self, symbol: Any, style: str = "plain") -> Any:  # noqa: N802
            base, _, index = str(symbol).partition("[")
            name = notation.member(base, [escaped(index[:-1])] if index else [])
            return parseString(wrapped(name)).documentElement

    return str(ClosedFormPrinter().doprint(value))  # type: ignore[no-untyped-call]
