"""Expectations of products with matrices and of initial vectors: where covariances begin."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.core.affine import Affine
from tpc.core.expr import ONE, ZERO, Delta, Expr, Index, Number, Pow, Ref, Value, add, delta, mul
from tpc.core.program import Gaussians, MatMul
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
    """`Cov(Ẑ^{Wx}, Ẑ^{Wz}) = σ² E x·z`, times ρ for the transpose; 0 for different matrices."""
    if first.matrix.name != second.matrix.name or first.transposed != second.transposed:
        return ZERO
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
    variance = engine.scalar(
        engine.instantiated(
            matrix.variance, {v: i for (v, _), i in zip(matrix.axes, one.ref.index, strict=True)}
        )
    )
    ratio = (
        mul(engine.ratios[matrix.rows], Pow(engine.ratios[matrix.columns], Number(Fraction(-1))))
        if first.transposed and engine.ratios[matrix.rows] != engine.ratios[matrix.columns]
        else ONE
    )
    return mul(
        *deltas, variance, engine.scalar(ratio), engine.product([substitute(x, solved) for x in operands])
    )


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
            if (
                isinstance(right, Affine)
                and len(right.terms) == 1
                and right.terms[0][1] == 1
                and right.const == 0
                and right.terms[0][0] not in found
            ):
                found[right.terms[0][0]] = left
            elif (
                isinstance(left, Affine)
                and len(left.terms) == 1
                and left.terms[0][1] == 1
                and left.const == 0
                and left.terms[0][0] not in found
            ):
                found[left.terms[0][0]] = right
    return found
