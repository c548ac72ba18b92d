"""Limits as plain data, for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tpc.core.expr import Expr
from tpc.core.places import IndexRange
from tpc.derive.formula import Equation, ZFormula, ZInput, ZMatMul, ZPartial
from tpc.derive.latex import Latex, latex_equation
from tpc.derive.limit import Limit
from tpc.derive.nodes import Normal
from tpc.derive.text import TextNotation, print_equation


def limit_data(limit: Limit) -> dict[str, Any]:
    return {
        "program": limit.program.name,
        "formulas": [formula_data(f) for f in limit],
        "derivatives": [formula_data(p) for p in limit.partials],
        **({"names": list(limit.notes)} if limit.notes else {}),
    }


def formula_data(formula: ZFormula) -> dict[str, Any]:
    """A formula: what it is of, its rule, the loops around it, and its equations."""
    data: dict[str, Any] = {
        "of": str(formula.of),
        "rule": formula.rule,
        "line": formula.origin.line or None,
        "loops": ranges_data(formula.loops),
    }
    if isinstance(formula, ZPartial):
        data["by"] = str(formula.by)
    if isinstance(formula, ZMatMul):
        data["zdot"] = formula.dot.form if formula.dot.terms else "zero"
    if not isinstance(formula, ZInput):
        data["equations"] = [equation_data(formula, e) for e in formula.equations]
    return data


def equation_data(formula: ZFormula, equation: Equation) -> dict[str, Any]:
    closed = formula.closed(equation)
    text = TextNotation(formula.scope)
    return {
        "rule": equation.rule,
        "left": text.expr(equation.left),
        "relation": equation.relation,
        "right": text.expr(equation.right),
        "closed": None if closed is None else closed_text(text, closed),
        "for": ranges_data(equation.ranges[len(formula.loops) :]),
        "text": print_equation(text, equation, len(formula.loops)),
        "latex": latex_equation(Latex(formula.scope), equation, len(formula.loops)),
    }


def closed_text(notation: TextNotation, closed: Expr) -> str:
    return notation.expr(closed.variance if isinstance(closed, Normal) else closed)


def ranges_data(ranges: Sequence[IndexRange]) -> list[dict[str, str]]:
    return [{"variable": r.variable, "count": str(r.count)} for r in ranges]
