"""Which families of vectors are histories.

One step is made in each round of a loop, and later only sums over steps are taken.

They are kept in blocks of steps, like bases, so that a sum over the steps so far leaves out those blocks that
are not begun.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from tpc.core.affine import Affine, Ranges
from tpc.core.dependence import references
from tpc.core.expr import Ref
from tpc.core.program import Instruction, MatMul, Moment, Output
from tpc.core.storage import Leaf, Node, Region, Storage, leaves, ranges

LEAST = 32  # vectors: fewer are one block in any case


class _Use(NamedTuple):
    ref: Ref
    op: Instruction
    around: tuple[Region, ...]
    sums: Ranges


def histories(
    nodes: Sequence[Node],
    storage: Mapping[str, Storage],
    outputs: Sequence[Output],
    at_once: Collection[Region],
) -> frozenset[str]:
    """The names of the families. at_once: the loops all rounds of which are computed together."""
    made: dict[str, list[Leaf]] = {name: [] for name in storage}
    used: dict[str, list[_Use]] = {name: [] for name in storage}
    for leaf in leaves(nodes):
        made[leaf.op.out.name].append(leaf)
        for ref, inside in references(leaf.op, ranges(leaf.around)):
            if ref.name in used:
                used[ref.name].append(_Use(ref, leaf.op, leaf.around, inside[len(leaf.around) :]))
    shown = {output.ref.name for output in outputs}
    return frozenset(
        name
        for name, s in storage.items()
        if name not in shown and len(made[name]) == 1 and _is_history(s, made[name][0], used[name], at_once)
    )


def _is_history(s: Storage, maker: Leaf, uses: Sequence[_Use], at_once: Collection[Region]) -> bool:
    if (
        s.family.kind != "vector"
        or s.carry is not None
        or math.prod(s.family.shape[axis] for axis in s.kept) <= LEAST
    ):
        return False
    first, *rest = s.kept
    out = maker.op.out
    steps = next((r for r in maker.around if out.index[first] == Affine.var(r.variable)), None)
    if steps is None or steps in at_once:
        return False
    within = maker.around[len(steps.loops) :]  # the loops that make one step, as a whole
    whole = all(
        r in at_once
        and out.index[axis] == Affine.var(r.variable)
        and r.loop.count.constant == s.family.shape[axis]
        for r, axis in zip(within, rest, strict=False)
    )
    if not whole or len(within) != len(rest):
        return False
    return all(
        _is_now(use, first, steps) or _is_summed(use, s.kept) or _is_paired(use, s.kept, steps, at_once)
        for use in uses
    )


def _is_now(use: _Use, first: int, steps: Region) -> bool:
    """Whether it is the step of the round itself, which is at hand."""
    return steps in use.around and use.ref.index[first] == Affine.var(steps.variable)


def _is_summed(use: _Use, kept: Sequence[int]) -> bool:
    """Whether it is summed over, over all that is kept."""
    order = [Affine.var(v) for v, _ in use.sums]
    return bool(order) and [use.ref.index[axis] for axis in kept] == order[: len(kept)]


def _is_paired(use: _Use, kept: Sequence[int], steps: Region, at_once: Collection[Region]) -> bool:
    """Whether it stands in inner products of one vector with all that is kept."""
    own = use.around[len(use.around) - len(kept) :]
    return (
        isinstance(use.op, Moment)
        and not isinstance(use.op, MatMul)
        and not use.sums
        and all(r in at_once and r is not steps for r in own)
        and [use.ref.index[axis] for axis in kept] == [Affine.var(r.variable) for r in own]
    )
