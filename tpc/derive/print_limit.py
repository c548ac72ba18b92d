"""A whole limit as text and in LaTeX."""

from __future__ import annotations

from tpc.core.expr import Expr
from tpc.derive.formula import Equation, ZInput
from tpc.derive.latex import Latex, aligned, latex_equation, latex_ranges, latex_rule
from tpc.derive.limit import Limit
from tpc.derive.symbol_remarks import COEFFICIENTS, DERIVATIVES, has_coefficients
from tpc.derive.text import TextNotation, grouped, is_hidden, print_equation, print_ranges, with_rule


def print_limit(limit: Limit) -> str:
    notation = TextNotation(limit.scope)
    lines = [f"The limit of {limit.program.name}", ""]
    given = [f for f in limit.formulas if isinstance(f, ZInput)]
    if given:
        lines += [
            "Given: "
            + ", ".join(notation.label(f.of) + print_ranges(notation, f.loops) for f in given)
            + ".",
            "",
        ]
    lines += grouped(notation, [f for f in limit if not isinstance(f, ZInput) and not is_hidden(f)])
    if limit.partials:
        lines += ["", f"The derivatives in it, by symbol; {DERIVATIVES.text}:", ""]
        lines += [
            with_rule(print_equation(notation, e, 0), e.rule) for p in limit.partials for e in p.equations
        ]
    notes = [*limit.notes, *[COEFFICIENTS.text] * has_coefficients(limit.formulas)]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def latex_limit(limit: Limit) -> str:
    """All formulas, a row each with its rule, rows of a loop under its head."""
    notation, rows = Latex(limit.scope), list[str]()
    around: tuple[int, ...] = ()
    for formula in limit:
        if isinstance(formula, ZInput) or is_hidden(formula):
            continue
        place = formula.path[:-1]
        if place and place != around:
            rows.append(rf"&\textbf{{for }} {latex_ranges(notation, formula.loops)}\textbf{{:}}")
        around = place
        indent, depth = r"\quad " * len(formula.loops if formula.path else ()), len(formula.loops)
        rows += [indent + _row(notation, e, depth, formula.closed(e)) for e in formula.equations]
    rows += [_row(notation, e, 0, None) for p in limit.partials for e in p.equations]
    return aligned(rows)


def _row(notation: Latex, equation: Equation, depth: int, closed: Expr | None) -> str:
    shown = latex_equation(notation, equation, depth, closed, "&")
    return f"{shown} && {latex_rule(equation.rule)}"
