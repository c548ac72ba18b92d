"""A whole limit as text and in LaTeX."""

from __future__ import annotations

from tpc.core.expr import Expr
from tpc.derive.formula import Equation, ZInput, ZMatMul
from tpc.derive.latex import Latex, aligned, latex_equation, latex_ranges, latex_rule
from tpc.derive.limit import Limit
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
        lines += ["", "The derivatives in it, by symbol; each is 0 where its numerator is made first:", ""]
        lines += [
            with_rule(print_equation(notation, e, 0), e.rule) for p in limit.partials for e in p.equations
        ]
    notes = [*limit.notes, *footnotes(limit)]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def has_coefficients(limit: Limit) -> bool:
    """Whether there is a Ż by Stein's lemma in it."""
    return any(isinstance(f, ZMatMul) and f.dot.form == "stein" and f.dot.terms for f in limit.formulas)


def footnotes(limit: Limit) -> list[str]:
    if not has_coefficients(limit):
        return []
    return [
        "Where no derivative exists, Stein's lemma gives the coefficients a of Ż^h, h = W x, over the "
        "opposing products g_i = Wᵀ y_i:",
        "a = C⁺b (times ρ for a product with the transpose, 1/ρ for one with W), C_ij = E[Z^{y_i}·Z^{y_j}], "
        "b_i = E[Ẑ^{g_i}·Z^x].",
    ]


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
