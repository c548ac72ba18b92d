"""Members of families of matrices.

Some can be matrices of their own; of the others, how often each is multiplied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tpc.core.affine import Affine, bounds
from tpc.core.expr import Ref
from tpc.core.passes import rewrite
from tpc.core.program import For, Instruction, MatMul, Matrix, Program, instructions
from tpc.core.traverse import substitute

MOST_ROUNDS = 10**7  # of the loops in an index, to be counted one by one


def taken_apart(program: Program) -> Program:
    """The same program with a matrix for each member that is always named by numbers.

    `W[3] @ x` multiplies a matrix called `W[3]`.

    Axes along which an index has a variable somewhere, or is read from an input, stay axes. Members that are
    never multiplied are left out.
    """
    axes: dict[str, set[int]] = {m.name: set(range(len(m.axes))) for m in program.matrices}
    used: dict[str, list[Ref]] = {m.name: [] for m in program.matrices}
    for op, _ in instructions(program.body):
        if isinstance(op, MatMul):
            axes[op.matrix.name] -= {
                axis for axis, i in enumerate(op.matrix.index) if not isinstance(i, Affine) or i.terms
            }
            used[op.matrix.name].append(op.matrix)
    if not any(axes[name] for name, refs in used.items() if refs):
        return program
    matrices: list[Matrix] = []
    for matrix in program.matrices:
        own = axes[matrix.name]
        members = {_name(ref, own).name: ref for ref in used[matrix.name]}
        matrices += (
            [_member(matrix, name, ref, own) for name, ref in members.items()]
            if own and members
            else [matrix]
        )

    def member(op: Instruction) -> Instruction:
        own = axes[op.matrix.name] if isinstance(op, MatMul) else set()
        return replace(op, matrix=_name(op.matrix, own)) if isinstance(op, MatMul) and own else op

    return replace(program, matrices=tuple(matrices), body=rewrite(program.body, member))


def _name(ref: Ref, own: set[int]) -> Ref:
    """The member with its numbers on the axes `own` in its name, `W[3,*]`.

    No name that a program gives has brackets.
    """
    parts = ",".join(str(i) if axis in own else "*" for axis, i in enumerate(ref.index))
    return Ref(f"{ref.name}[{parts}]", tuple(i for axis, i in enumerate(ref.index) if axis not in own))


def _member(matrix: Matrix, name: str, ref: Ref, own: set[int]) -> Matrix:
    """What is left of a family at the numbers that `ref` has on the axes `own`."""
    at = {matrix.axes[axis][0]: i for axis in own if isinstance(i := ref.index[axis], Affine)}
    left = tuple(axis for k, axis in enumerate(matrix.axes) if k not in own)
    return replace(matrix, name=name, axes=left, variance=substitute(matrix.variance, at))


def multiplied(op: MatMul, shape: tuple[int, ...], loops: tuple[For, ...], first: int = 0) -> np.ndarray:
    """How many times each member of a family [*shape] is multiplied by this instruction, at most.

    That is in the loops from the first one on.

    An index that is read from an input may be any. Loops before the first one are in one round, the worst for
    each member.
    """
    ranges = tuple((loop.variable, loop.count) for loop in loops)
    counts = [max(0, bounds(loop.count, ranges[:i])[1]) for i, loop in enumerate(loops)]
    affine = [i for i in op.matrix.index if isinstance(i, Affine)]
    own = [k for k, loop in enumerate(loops) if any(loop.variable in i.variables for i in affine)]
    others = math.prod(n for k, n in enumerate(counts) if k >= first and k not in own)
    sides = [n for n, i in zip(shape, op.matrix.index, strict=True) if isinstance(i, Affine)]
    size = math.prod(counts[k] for k in own)
    if size > MOST_ROUNDS:
        return np.full(shape, others * math.prod(counts[k] for k in own if k >= first))
    met = _met(affine, sides, [(loops[k].variable, counts[k]) for k in own], sum(k < first for k in own))
    along = tuple(n if isinstance(i, Affine) else 1 for n, i in zip(shape, op.matrix.index, strict=True))
    return np.broadcast_to(others * met.reshape(along), shape)


def _met(
    index: Sequence[Affine], shape: Sequence[int], own: Sequence[tuple[str, int]], fixed: int
) -> np.ndarray:
    """How many rounds of the loops `own`, variables and counts, meet each member [*shape].

    The first `fixed` of them are in one round.
    """
    members = math.prod(shape)
    if not own:
        met = np.zeros(shape, dtype=np.int64)
        met[tuple(i.const for i in index)] = 1
        return met
    grids = dict(zip([v for v, _ in own], np.indices([n for _, n in own]), strict=True))
    places = [np.broadcast_to(i.over(grids), [n for _, n in own]).ravel() for i in index]
    rounds = math.prod(n for _, n in own[fixed:])
    outer = np.arange(len(places[0])) // max(rounds, 1)
    # bounds of counts may be too wide
    there = np.all([(p >= 0) & (p < n) for p, n in zip(places, shape, strict=True)], axis=0)
    flat = outer * members + np.ravel_multi_index([np.where(there, p, 0) for p in places], shape)
    kinds, times = np.unique(flat[there], return_counts=True)
    met = np.zeros(members, dtype=np.int64)
    np.maximum.at(met, kinds % members, times)
    return met.reshape(shape)
