"""Covariance programs as text: an array a line, as it follows from those before."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.core.expr import ONE, ZERO, Expr, brackets, replace
from tpc.core.printer import POWER, SUM, UNARY, print_axes, print_expr
from tpc.core.spectral import SPECTRAL
from tpc.gram.ir import Closed, CovarianceProgram, Definition, Factor, Formula, Piece, Spectral
from tpc.gram.labels import delta_shown
from tpc.gram.marked_variables import with_plain_variables


def print_covariances(covariances: CovarianceProgram) -> str:
    """Every array with its entries and what they are, or with its parts and their entries; then the outputs.

    `delta[i, j]` is 1 where i = j, else 0.
    """
    lines = [line for definition in covariances.definitions for line in _definition(definition)]
    for name, (axes, formula) in covariances.outputs.items():
        lines.append(f"output {name}{print_axes(axes)} = {_expr(formula)}")
    return "\n".join(map(with_plain_variables, lines))


def _definition(definition: Definition) -> list[str]:
    first, *others = definition.pieces or (None,)
    if first is not None and not others and first.extent == definition.shape:
        return [f"{definition.name}{_piece(first)}    # {definition.shown}"]
    begun = f"{definition.name}{brackets(definition.shape)}    # {definition.shown}"
    return [begun, *(f"    {_piece(piece)}" for piece in definition.pieces)]


def _piece(piece: Piece) -> str:
    axes = zip(piece.variables, piece.low, piece.extent, strict=True)
    where = [f"{f'{low} + ' if low else ''}{v} < {low + n}" for v, low, n in axes]
    return f"{brackets(where)} = {print_formula(piece.formula)}"


def print_formula(formula: Formula) -> str:
    """An entry of an array: an expression, or a Gaussian expectation."""
    if isinstance(formula, Expr):
        return _expr(formula)
    if isinstance(formula, Closed):
        product = f"{_factor(formula.left, 'u')}*{_factor(formula.right, 'v')}"
        law = _law(("u", "v"), (ZERO, ZERO), ((formula.q,), (formula.c, formula.r)))
        form = f", {formula.registered}" * bool(formula.registered)
        return f"E {product}, {law}, in closed form{form}{_same(formula.same)}"
    if isinstance(formula, Spectral):
        return _spectral(formula)
    product = "*".join(_expr(x, UNARY) for x in formula.factors)
    law = _law(formula.variables, formula.mean, formula.covariance)
    return f"E {product}, {law}, by quadrature{_same(formula.same)}"


def _spectral(formula: Spectral) -> str:
    """With the coefficients and the inner products of all blocks."""
    tables = (formula.cells, formula.row_products, formula.column_products)
    blocks = [", ".join(f"[{', '.join(map(_expr, row))}]" for row in table) for table in tables]
    counted = [str(formula.steps)] if SPECTRAL[formula.function].steps else []
    options = [*counted, *map(_expr, formula.coefficients)]
    return f"{formula.function} in factors({', '.join([*(f'[{block}]' for block in blocks), *options])})"


def _law(names: Sequence[str], mean: Sequence[Expr], triangle: Sequence[Sequence[Expr]]) -> str:
    """triangle: the lower one of the covariance."""
    size = range(len(names))
    rows = [", ".join(_expr(triangle[max(i, j)][min(i, j)]) for j in size) for i in size]
    covariance = ", ".join(f"[{row}]" for row in rows)
    return f"({', '.join(names)}) ~ N([{', '.join(map(_expr, mean))}], [{covariance}])"


def _same(pairs: Sequence[tuple[str, str]]) -> str:
    agree = " and ".join(f"{a} = {b}" for a, b in pairs)
    return f", one Gaussian where {agree}" if agree else ""


def _factor(factor: Factor, z: str) -> str:
    scaled = z if factor.scale == ONE else f"{_expr(factor.scale, UNARY)}*{z}"
    parts = [] if factor.power == 0 else [z if factor.power == 1 else f"{z}^{factor.power}"]
    parts += [] if factor.kind == "one" else [f"{factor.kind}({scaled})"]
    weight = "" if factor.weight == ONE else f"{_expr(factor.weight, POWER)}*"
    parts += [] if factor.weight == ZERO else [f"exp(-{weight}{z}^2)"]
    return "*".join(parts) or "1"


def _expr(x: Expr, strength: int = SUM) -> str:
    return print_expr(replace(x, delta_shown), strength)
