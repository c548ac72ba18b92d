"""Expectations of products with matrices and of initial vectors: where covariances begin."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.core.affine import Affine
from tpc.core.expr import ONE, ZERO, Delta, Expr, Index, Number, Pow, Ref, Value, add, delta, mul
from tpc.core.program import Gaussians, MatMul, Matrix
from tpc.core.traverse import substitute
from tpc.gram.boxes import Box

if TYPE_CHECKING:
    from tpc.gram.covariance import Covariances


def expectation_of_atoms(engine: Covariances, members: list[tuple[Ref, Box]]) -> Expr:
    """`E x` or `E x·z` of products with matrices and initial vectors (ZHat)."""
    if len(members) == 2:
        (x, a), (z, b) = members
        if isinstance(a.op, MatMul) and isinstance(b.op, MatMul):
            return _hats(engine, x, a, a.op, z, b, b.op)
        if isinstance(a.op, Gaussians) and a.op is b.op:
            return _initial(engine, x, a, z, b, a.op)
    return mul(*(_mean_of(engine, ref, site) for ref, site in members))


def _mean_of(engine: Covariances, ref: Ref, site: Box) -> Expr:
    return (
        engine.scalar(engine.instantiated(site.op.mean[site.position], site.at(ref.index)))
        if isinstance(site.op, Gaussians)
        else ZERO
    )


def _hats(engine: Covariances, x: Ref, a: Box, first: MatMul, z: Ref, b: Box, second: MatMul) -> Expr:
    """`Cov(Ẑ^{Wx}, Ẑ^{Wz}) = σ² E x·z`, times ρ for the transpose.

    Products with different matrices, or sides, are told apart before.
    """
    assert (first.matrix.name, first.transposed) == (second.matrix.name, second.transposed)
    at, by = a.at(x.index), b.at(z.index)
    one, two = (substitute(Value(op.matrix, False), where) for op, where in ((first, at), (second, by)))
    assert isinstance(one, Value)
    assert isinstance(two, Value)
    deltas = [delta(i, j) for i, j in zip(one.ref.index, two.ref.index, strict=True)]
    if ZERO in deltas:
        return ZERO
    operands = [substitute(Value(op.operand, True), where) for op, where in ((first, at), (second, by))]
    solved = _solution(deltas)
    matrix = engine.matrices[first.matrix.name]
    member = {v: i for (v, _), i in zip(matrix.axes, one.ref.index, strict=True)}
    variance = engine.scalar(engine.instantiated(matrix.variance, member))
    ratio = _ratio(engine, matrix) if first.transposed else ONE
    return mul(
        *deltas, variance, engine.scalar(ratio), engine.product([substitute(x, solved) for x in operands])
    )


def _ratio(engine: Covariances, matrix: Matrix) -> Expr:
    """ρ, rows over columns."""
    rows, columns = engine.ratios[matrix.rows], engine.ratios[matrix.columns]
    return ONE if rows == columns else mul(rows, Pow(columns, Number(Fraction(-1))))


def _initial(engine: Covariances, x: Ref, a: Box, z: Ref, b: Box, group: Gaussians) -> Expr:
    deltas = [delta(i, j) for i, j in zip(x.index, z.index, strict=True)]
    means = mul(_mean_of(engine, x, a), _mean_of(engine, z, b))
    covariance = engine.scalar(engine.instantiated(group.covariance[a.position][b.position], a.at(x.index)))
    return add(mul(*deltas, covariance), means)


def _solution(deltas: Sequence[Expr]) -> dict[str, Index]:
    """Variables that the deltas, being 1, tell."""
    found: dict[str, Index] = {}
    for bracket in deltas:
        if isinstance(bracket, Delta):
            left, right = bracket.left, bracket.right
            if (variable := _variable(right)) is not None and variable not in found:
                found[variable] = left
            elif (variable := _variable(left)) is not None and variable not in found:
                found[variable] = right
    return found


def _variable(index: Index) -> str | None:
    """The variable that an index is, None if it is anything else."""
    variables = list(index.variables) if isinstance(index, Affine) else []
    return variables[0] if len(variables) == 1 and index == Affine.var(variables[0]) else None
