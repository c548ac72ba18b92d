"""The factors σ² and ρ of a matrix (theory of unequal widths: TP3; TP4 Setup 7.2 has ρ = 1)."""

from __future__ import annotations

from tpc.core.expr import Expr, divide, mul
from tpc.core.program import MatMul, Matrix, Program
from tpc.core.traverse import substitute


def matrix_of(program: Program, op: MatMul) -> Matrix:
    return next(m for m in program.matrices if m.name == op.matrix.name)


def variance(program: Program, op: MatMul) -> Expr:
    """σ² of the member of the family of matrices that `op` multiplies with."""
    matrix = matrix_of(program, op)
    return substitute(
        matrix.variance, {variable: i for (variable, _), i in zip(matrix.axes, op.matrix.index, strict=True)}
    )


def ratio(program: Program, op: MatMul) -> Expr:
    """ρ = rows/columns of the matrix."""
    matrix = matrix_of(program, op)
    widths = {width.name: width.ratio for width in program.widths}
    rows, columns = widths[matrix.rows], widths[matrix.columns]
    return divide(rows, columns) if rows != columns else mul()


def coefficient_scale(program: Program, op: MatMul) -> Expr:
    """The factor of both ZHat's covariance and ZDot's sum: σ² for Wx, ρσ² for Wᵀy."""
    return mul(ratio(program, op), variance(program, op)) if op.transposed else variance(program, op)


def stein_scale(program: Program, op: MatMul) -> Expr:
    """The factor of C⁺b: 1/ρ for Wx, ρ for Wᵀy, as Cov Ẑ^{Wᵀy} = ρσ² C and Cov Ẑ^{Wx} = σ² C."""
    rho = ratio(program, op)
    return rho if op.transposed else divide(mul(), rho)
