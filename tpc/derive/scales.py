"""The factors σ² and ρ of a matrix (theory of unequal widths: TP3; TP4 Setup 7.2 has ρ = 1)."""

from __future__ import annotations

from collections.abc import Mapping

from tpc.core.affine import Affine
from tpc.core.expr import Expr, Gather, Index, Position, Ref, Value, divide, mul, new_position, replace
from tpc.core.program import MatMul, Matrix, Program


def matrix_of(program: Program, op: MatMul) -> Matrix:
    return next(m for m in program.matrices if m.name == op.matrix.name)


def variance(program: Program, op: MatMul) -> Expr:
    """σ² of the member of the family of matrices that `op` multiplies with."""
    matrix = matrix_of(program, op)
    return _at(
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


def _at(x: Expr, env: Mapping[str, Index]) -> Expr:
    """`x` with the axes of a family replaced by indices, which may be read from inputs."""
    affine = {v: i for v, i in env.items() if isinstance(i, Affine)}
    gathered = {v: i for v, i in env.items() if isinstance(i, Gather)}

    def index(i: Index) -> Index:
        if isinstance(i, Affine):
            single = i.terms[0][0] if len(i.terms) == 1 and i == Affine.var(i.terms[0][0]) else None
            return gathered[single] if single in gathered else i.substitute(affine)
        return Gather(i.input, tuple(j.substitute(affine) for j in i.index))

    def leaf(node: Expr) -> Expr | None:
        match node:
            case Value(ref, vector):
                return Value(Ref(ref.name, tuple(index(i) for i in ref.index)), vector)
            case Position(i):
                new = index(i)
                return (
                    Value(Ref(new.input, new.index), False) if isinstance(new, Gather) else new_position(new)
                )
        return None

    return replace(x, leaf)
