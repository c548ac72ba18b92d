"""Passes that make the program of a limit cheaper.

What is made twice is made once, and what a loop makes without its past has a loop of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from tpc.core.affine import Affine
from tpc.core.expr import Ref, Value, substitute, substitute_ref
from tpc.core.expr import replace as replaced
from tpc.core.program import For, Instruction, MatMul, Op, instructions
from tpc.expand.simplify import Body, MemberPlace, rewritten, used_by


def without_duplicates(body: Body, keep: Collection[str]) -> Body:
    """`body` with one family in place of several that are made by the same instruction in the same loops.

    Those in `keep` stay.
    """
    made: dict[str, list[MemberPlace]] = {}
    for op, loops in instructions(body):
        made.setdefault(op.out.name, []).append(MemberPlace(op, loops))
    first: dict[object, str] = {}
    same: dict[str, str] = {}
    for op, _ in instructions(body):
        name = op.out.name
        if len(made[name]) > 1:
            continue
        form = _form(made[name][0], same)
        if form in first and name not in keep:
            same[name] = first[form]
        elif form is not None:
            first.setdefault(form, name)
    return rewritten(body, lambda op: None if op.out.name in same else _with(op, same))


def _form(place: MemberPlace, same: dict[str, str]) -> object:
    """What is made, the same for two families whose members are the same.

    None where the loops are not those of the members.
    """
    variables = [
        i.terms[0][0] if isinstance(i, Affine) and i.terms and i == Affine.var(i.terms[0][0]) else ""
        for i in place.op.out.index
    ]
    counts = {loop.variable: loop.count for loop in place.loops}
    if len(set(variables)) < len(variables) or set(variables) != set(counts):
        return None
    names = {variable: Affine.var(f"·{k}") for k, variable in enumerate(variables)}
    op = _with(place.op, same)
    sizes = tuple(counts[variable].substitute(names) for variable in variables)
    if isinstance(op, MatMul):
        return sizes, substitute_ref(op.matrix, names), op.transposed, substitute_ref(op.operand, names)
    return sizes, type(op).__name__, substitute(op.phi, names)


def _with(op: Instruction, same: dict[str, str]) -> Instruction:
    def ref(old: Ref) -> Ref:
        return Ref(same.get(old.name, old.name), old.index)

    if isinstance(op, MatMul):
        return replace(op, operand=ref(op.operand))
    return replace(
        op,
        phi=replaced(
            op.phi, lambda node: Value(ref(node.ref), node.vector) if isinstance(node, Value) else None
        ),
    )


def split_loops(body: Body) -> Body:
    """`body` with loops of the top level in two.

    First what does not depend on the rest of the loop, if there is a product in it; its rounds are then
    independent, and evaluated at once.
    """
    out: list[Op] = []
    for op in body:
        first = _without_past(op) if isinstance(op, For) else frozenset()
        if isinstance(op, For) and any(
            isinstance(inner, MatMul) and id(inner) in first for inner, _ in instructions(op.body)
        ):
            out += [*_chosen(op, first, True), *_chosen(op, first, False)]
        else:
            out.append(op)
    return tuple(out)


def _chosen(loop: For, first: Collection[int], own: bool) -> Body:
    """The loop with only those of its instructions that are in `first`, or that are not."""
    return rewritten((loop,), lambda op: op if (id(op) in first) == own else None)


def _without_past(loop: For) -> frozenset[int]:
    """The instructions of `loop` that use of what it makes only what such instructions make.

    None of them does so by way of itself.
    """
    made: dict[str, list[Instruction]] = {}
    for op, _ in instructions(loop.body):
        made.setdefault(op.out.name, []).append(op)
    families: set[str] = set()
    while True:
        new = {
            name
            for name, ops in made.items()
            if name not in families
            and all(ref.name in families for op in ops for ref in used_by(op) if ref.name in made)
        }
        if not new:
            return frozenset(id(op) for name in families for op in made[name])
        families |= new
