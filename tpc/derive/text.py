"""Formulas as plain text that reads like a paper."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from tpc.core.expr import Expr
from tpc.core.greek import LETTERS
from tpc.core.places import IndexRange
from tpc.derive.formula import Equation, ZFormula, ZInput, ZMatMul, ZOuter, ZOuterMul
from tpc.derive.loop_heads import under_heads
from tpc.derive.nodes import Dot, Hat, Z
from tpc.derive.notation import ATOM, POWER, PRODUCT, SUM, Notation, Written

RULE_COLUMN = 88


class TextNotation(Notation):
    """`Ẑ^{h[t]}`, `E[…]`, `Σ_{s<t}`."""

    def name(self, name: str) -> str:
        return LETTERS.get(name, name)

    def member(self, name: str, index: Sequence[str]) -> str:
        return self.name(name) + (f"[{', '.join(index)}]" if index else "")

    def limit(self, kind: type[Expr], label: str) -> str:
        letter = "Ẑ" if kind is Hat else "Ż" if kind is Dot else "Z"
        return f"{letter}^{label}" if len(label) == 1 else f"{letter}^{{{label}}}"

    def ring(self, name: str, index: Sequence[str]) -> str:
        return self.member(self.name(name) + "\u030a", index)

    def partial(self, of: str, by: str) -> str:
        return f"∂{self.limit(Z, of)}/∂{self.limit(Hat, by)}"

    def stein(self, of: str, by: str) -> str:
        return f"a^{{{of}}}_{{{by}}}"

    def matmul(self, matrix: str, transposed: bool, operand: str) -> str:
        return f"{matrix}{'ᵀ' * transposed} {operand}"

    def expectation(self, body: str) -> str:
        return f"E[{body}]"

    def copy_mean(self, body: str) -> str:
        return f"E′[{body}]"

    def kernel(self, label: str, flipped: bool) -> str:
        return f"{label}({'·′, ·' if flipped else '·, ·′'})"

    def copied(self, body: Written) -> Written:
        return f"{body[0] if body[1] >= POWER else f'({body[0]})'}′", POWER

    def covariance(self, left: str, right: str) -> str:
        return f"Cov({left}, {right})"

    def normal(self, mean: str, variance: str) -> str:
        return f"N({mean}, {variance})"

    def delta(self, left: str, right: str) -> str:
        return f"[{left} = {right}]"

    def sum(self, variable: str, relation: str, bound: str, body: str) -> str:
        return f"Σ_{{{variable}{relation}{bound}}} {body}"

    def exact(self, value: Any) -> Written:
        from tpc.derive.to_sympy import strength, to_text

        return to_text(value, self.name_with_index), strength(value, SUM, PRODUCT, POWER, ATOM)

    def name_with_index(self, text: str) -> str:
        base, bracket, index = text.partition("[")
        return self.name(base) + bracket + index

    def times(self, factors: Sequence[str]) -> str:
        return "·".join(factors)

    def fraction(self, above: Written, below: Written) -> Written:
        top = above[0] if above[1] >= PRODUCT else f"({above[0]})"
        bottom = below[0] if below[1] >= POWER else f"({below[0]})"
        return f"{top}/{bottom}", PRODUCT

    def power(self, base: str, exponent: str) -> str:
        return f"{base}^{exponent}" if exponent.isalnum() else f"{base}^({exponent})"

    def function(self, name: str, args: Sequence[str]) -> str:
        return f"{name}({', '.join(args)})"

    def parenthesised(self, text: str) -> str:
        return f"({text})"

    def constant(self, name: str) -> str:
        return "π" if name == "pi" else name

    def compare(self, op: str) -> str:
        return {"<=": "≤", ">=": "≥"}.get(op, op)


def print_ranges(notation: TextNotation, ranges: Iterable[IndexRange]) -> str:
    text = ", ".join(" ".join(notation.below(r.variable, r.count)) for r in ranges)
    return f" for {text}" if text else ""


def print_equation(notation: TextNotation, equation: Equation, known: int, closed: Expr | None = None) -> str:
    """One equation, with the ranges of its variables past the first `known`, and its closed form."""
    text = f"{notation.expr(equation.left)} {equation.relation} {notation.expr(equation.right)}"
    if closed is not None:
        text += f" = {notation.expr(closed)}"
    clause = print_ranges(notation, equation.ranges[known:])
    return f"{text},{clause}" if clause else text


def print_formula(formula: ZFormula) -> str:
    """All equations of a formula, each with its rule."""
    notation = TextNotation(formula.scope)
    if isinstance(formula, ZInput):
        return f"{notation.label(formula.of)} given{print_ranges(notation, formula.loops)}"
    return "\n".join(
        with_rule(print_equation(notation, e, 0, formula.closed(e)), e.rule) for e in formula.equations
    )


def with_rule(text: str, rule: str) -> str:
    marks = sum(unicodedata.combining(c) > 0 for c in text)  # they take no room
    return f"{text:<{RULE_COLUMN + marks}}  ({rule})"


def is_hidden(formula: ZFormula) -> bool:
    """Parts of a line that are shown inside the formulas that use them."""
    return formula.of.name in formula.scope.parts and not isinstance(formula, ZMatMul | ZOuter | ZOuterMul)


def grouped(notation: TextNotation, formulas: Sequence[ZFormula]) -> list[str]:
    """The equations, those of a loop indented under its `for`."""
    lines = list[str]()
    for heads, known, formula in under_heads(formulas):
        lines += ["    " * depth + print_ranges(notation, [loop]).strip() + ":" for depth, loop in heads]
        indent = "    " * known
        for i, e in enumerate(formula.equations):
            closed = formula.closed(e)
            inner = "    " if i and isinstance(formula, ZMatMul) else ""
            lines.append(with_rule(indent + inner + print_equation(notation, e, known, closed), e.rule))
    return lines
