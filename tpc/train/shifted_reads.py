"""Cotangents of entries that are read at shifted places, `x[p+k]`.

It is to be known which p reads the entry w, and where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tpc.core.affine import Affine
from tpc.syntax import tree
from tpc.syntax.tree import Tree
from tpc.train.build import Maker
from tpc.train.padding import plus
from tpc.train.records import FiniteAxis
from tpc.train.scene import Scene


@dataclass(frozen=True, slots=True)
class Solution:
    """`variable = value` is where an index is what is wanted; it lies in −before … count − 1 + after."""

    variable: str
    value: Tree
    before: int
    after: int


def solved(
    scene: Scene, own: Tree, wanted: Tree, extent: Tree, axes: Iterable[FiniteAxis]
) -> Solution | None:
    """Where the index `own`, of the variables of `axes`, is `wanted`, from 0 to below `extent`.

    None if that is not a place on one axis.
    """
    index, size = affine(scene, own), scene.integer(extent)
    counts = {a.variable: count for a in axes if (count := scene.integer(a.count)) is not None}
    if (
        index is None
        or size is None
        or not index.variables <= counts.keys()
        or not all(counts[v] > 0 for v in index.variables)
    ):
        return None
    candidates = [v for v, k in index.terms if abs(k) == 1]
    if not candidates:
        return None
    variable = max(candidates, key=lambda v: counts[v])
    sign, rest = (
        index.coefficient(variable),
        Affine.of(index.const, {v: k for v, k in index.terms if v != variable}),
    )
    least = rest.const + sum(min(0, k * (counts[v] - 1)) for v, k in rest.terms)
    most = rest.const + sum(max(0, k * (counts[v] - 1)) for v, k in rest.terms)
    m = Maker(own.span)
    first, last = (-most, size - 1 - least) if sign > 0 else (least - size + 1, most)
    value = m.sub(wanted, of_affine(m, rest)) if sign > 0 else m.sub(of_affine(m, rest), wanted)
    return Solution(variable, value, max(0, -first), max(0, last - counts[variable] + 1))


def affine(scene: Scene, x: Tree) -> Affine | None:
    """An index as a sum of multiples of variables, if it is one."""
    whole = scene.integer(x)
    if whole is not None:
        return Affine(whole)
    match x:
        case tree.Name(name=name):
            return Affine.var(name)
        case tree.Negated(operand=operand):
            inner = affine(scene, operand)
            return None if inner is None else inner.scaled(-1)
        case tree.Chain(operands=operands, operators=operators):
            parts = [affine(scene, o) for o in operands]
            total = parts[0]
            for op, part in zip(operators, parts[1:], strict=True):
                total = combined(op, total, part)
            return total
    return None


def combined(op: str, a: Affine | None, b: Affine | None) -> Affine | None:
    if a is None or b is None or op == "/":
        return None
    if op == "*":
        factor, other = (a.constant, b) if a.constant is not None else (b.constant, a)
        return None if factor is None else other.scaled(factor)
    return a + b if op == "+" else a - b


def of_affine(m: Maker, index: Affine) -> Tree:
    return plus(m, *(m.mul(m.number(k), m.name(v)) for v, k in index.terms), m.number(index.const))


def shifted(
    m: Maker, axes: Iterable[FiniteAxis], solutions: Mapping[str, Solution], values: Mapping[str, Tree]
) -> tuple[Tree, ...]:
    """The index of an array with zeros around it where its axes' variables have these values."""
    return tuple(
        plus(m, values[a.variable], m.number(solutions[a.variable].before if a.variable in solutions else 0))
        for a in axes
    )
