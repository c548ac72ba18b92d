"""Formulas in LaTeX, for notebooks and papers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from tpc.core.expr import Expr
from tpc.core.functions import elementwise
from tpc.core.greek import LETTERS, spelled
from tpc.core.names import SplitName
from tpc.core.places import IndexRange
from tpc.core.spectral import SPECTRAL
from tpc.derive.formula import Equation, ZFormula, ZInput
from tpc.derive.nodes import Dot, Hat, Z
from tpc.derive.notation import ATOM, POWER, PRODUCT, SUM, Notation, Written

UPRIGHT = {
    "Alpha": "A",
    "Beta": "B",
    "Epsilon": "E",
    "Zeta": "Z",
    "Eta": "H",
    "Iota": "I",
    "Kappa": "K",
    "Mu": "M",
    "Nu": "N",
    "Omicron": "O",
    "Rho": "P",
    "Tau": "T",
    "Chi": "X",
}  # capitals that LaTeX has no command for
SMALL = 4  # 10 to minus so much, and beyond, is written as a power
RELATIONS = {"<=": r"\le", ">=": r"\ge", "~": r"\sim"}


def latex_name(name: str) -> str:
    """An identifier: Greek letters as such, `dh` like a differential, other long names as words."""
    split = SplitName.of(name)
    if split.superscript is not None:
        return f"{latex_name(split.base)}^{{{split.superscript}}}"
    if name == "omicron":
        return "o"
    if name in LETTERS:
        return rf"\mathrm{{{UPRIGHT[name]}}}" if name in UPRIGHT else f"\\{name}"
    if len(name) == 1:
        return name
    if name[0] == "d" and (len(name) == 2 or name[1:] in LETTERS) and name[1:].isalpha():
        return f"d{latex_name(name[1:])}"
    return rf"\mathit{{{''.join(map(_letter, name))}}}"


def _letter(letter: str) -> str:
    """A letter of a longer name; those that LaTeX does not have in mathematics by their commands."""
    if letter == "_":
        return r"\_"
    name = spelled(letter)
    return latex_name(name) + " " if name != letter else letter


def between(factors: Sequence[str]) -> str:
    """A dot where a factor, beside the one before it, would be read as more digits of a number."""
    return r" \cdot " if any(f.lstrip("{")[:1].isdigit() for f in factors[1:]) else r" \, "


def renamed(name: str, names: Mapping[str, str]) -> str:
    """An identifier as `names` has it in LaTeX, or else as it is written anyway."""
    return f"{{{names[name]}}}" if name in names else latex_name(name)


class Latex(Notation):
    r"""`\hat Z^{h_{t}}`, `\mathbb{E}\left[…\right]`, `\sum_{s<t}`."""

    def name(self, name: str) -> str:
        return latex_name(name)

    def member(self, name: str, index: Sequence[str]) -> str:
        return self.name(name) + (f"_{{{', '.join(index)}}}" if index else "")

    def limit(self, kind: type[Expr], label: str) -> str:
        letter = r"\hat Z" if kind is Hat else r"\dot Z" if kind is Dot else "Z"
        return f"{letter}^{{{label}}}"

    def ring(self, name: str, index: Sequence[str]) -> str:
        return rf"\mathring{{{self.name(name)}}}" + (f"_{{{', '.join(index)}}}" if index else "")

    def partial(self, of: str, by: str) -> str:
        return rf"\frac{{\partial {self.limit(Z, of)}}}{{\partial {self.limit(Hat, by)}}}"

    def stein(self, of: str, by: str) -> str:
        return f"a^{{{of}}}_{{{by}}}"

    def matmul(self, matrix: str, transposed: bool, operand: str) -> str:
        return (f"{{{matrix}}}^{{\\top}}" if transposed else matrix) + f" {operand}"

    def expectation(self, body: str) -> str:
        return rf"\mathbb{{E}}\left[{body}\right]"

    def copy_mean(self, body: str) -> str:
        return rf"\mathbb{{E}}'\left[{body}\right]"

    def kernel(self, label: str, flipped: bool) -> str:
        points = r"\cdot', \cdot" if flipped else r"\cdot, \cdot'"
        return rf"{label}\left({points}\right)"

    def copied(self, body: Written) -> Written:
        return rf"{{{body[0]}}}'" if body[1] >= POWER else rf"\left({body[0]}\right)'", POWER

    def covariance(self, left: str, right: str) -> str:
        return rf"\operatorname{{Cov}}\left({left},\, {right}\right)"

    def normal(self, mean: str, variance: str) -> str:
        return rf"\mathcal{{N}}\left({mean},\, {variance}\right)"

    def delta(self, left: str, right: str) -> str:
        return rf"\left[{left} = {right}\right]"

    def sum(self, variable: str, relation: str, bound: str, body: str) -> str:
        return rf"\sum_{{{variable} {relation} {bound}}} {body}"

    def exact(self, value: Any) -> Written:
        import sympy

        from tpc.derive.to_sympy import strength

        names = {symbol: self.exact_symbol(str(symbol)) for symbol in value.free_symbols}
        return sympy.latex(value, symbol_names=names), strength(value, SUM, PRODUCT, POWER, ATOM)

    def exact_symbol(self, text: str) -> str:
        base, _, index = text.partition("[")
        return self.member(base, [index[:-1]] if index else [])

    def times(self, factors: Sequence[str]) -> str:
        return between(factors).join(factors)

    def fraction(self, above: Written, below: Written) -> Written:
        return rf"\frac{{{above[0]}}}{{{below[0]}}}", POWER

    def number(self, value: Fraction) -> Written:
        zeros = len(str(value.denominator)) - 1
        if value.numerator == 1 and value.denominator == 10**zeros and zeros >= SMALL:
            return self.power("10", str(-zeros)), POWER
        return super().number(value)

    def power(self, base: str, exponent: str) -> str:
        return f"{{{base}}}^{{{exponent}}}"

    def function(self, name: str, args: Sequence[str]) -> str:
        if name in SPECTRAL:
            spelled_out = "".join(word.capitalize() for word in name.split("_"))
            return rf"\operatorname{{{spelled_out}}}\left({', '.join(args)}\right)"
        plain, primes = name.rstrip("'"), len(name) - len(name.rstrip("'"))
        text = elementwise(plain).latex.format(*args)
        return text.replace(rf"\{plain}", rf"\{plain}{primes * chr(39)}", 1) if primes else text

    def parenthesised(self, text: str) -> str:
        return rf"\left({text}\right)"

    def constant(self, name: str) -> str:
        return r"\pi" if name == "pi" else "e"

    def compare(self, op: str) -> str:
        return RELATIONS.get(op, op)


def latex_ranges(notation: Latex, ranges: Iterable[IndexRange]) -> str:
    return r",\ ".join(" ".join(notation.below(r.variable, r.count)) for r in ranges)


def latex_equation(
    notation: Latex, equation: Equation, known: int, closed: Expr | None = None, align: str = ""
) -> str:
    """One equation, with the ranges of its variables past the first `known`."""
    relation = RELATIONS.get(equation.relation, equation.relation)
    text = f"{notation.expr(equation.left)} {align}{relation} {notation.expr(equation.right)}"
    if closed is not None:
        text += f" = {notation.expr(closed)}"
    clause = latex_ranges(notation, equation.ranges[known:])
    return rf"{text} \qquad ({clause})" if clause else text


def latex_formula(formula: ZFormula) -> str:
    notation = Latex(formula.scope)
    if isinstance(formula, ZInput):
        return notation.label(formula.of)
    rows = [latex_equation(notation, e, 0, formula.closed(e), "&") for e in formula.equations]
    return rows[0].replace("&", "", 1) if len(rows) == 1 else aligned(rows)


def latex_formulas(formulas: Iterable[ZFormula]) -> str:
    return aligned(
        [latex_equation(Latex(f.scope), e, 0, f.closed(e), "&") for f in formulas for e in f.equations]
    )


def aligned(rows: Sequence[str]) -> str:
    body = " \\\\\n".join(rows)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def latex_rule(rule: str) -> str:
    return rf"\text{{{re.sub(r'[^A-Za-z ]', '', rule)}}}"
