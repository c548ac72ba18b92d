"""Passes that make the program of a limit cheaper.

What is made twice is made once, and what a loop makes without its past has a loop of its own.
"""

from __future__ import annotations

from collections.abc import Collection

from tpc.core.affine import Affine
from tpc.core.expr import Ref
from tpc.core.passes import Body, rewrite
from tpc.core.places import Site, by_family, sites_of
from tpc.core.program import For, Instruction, MatMul, Op, OuterMul, instructions
from tpc.core.traverse import map_used, substitute, substitute_ref, used_refs


def without_duplicates(body: Body, keep: Collection[str]) -> Body:
    """`body` with one family in place of several that are made by the same instruction in the same loops.

    Those in `keep` stay.
    """
    sites = sites_of(body)
    made = by_family(sites)
    first: dict[object, str] = {}
    same: dict[str, str] = {}
    for site in sites:
        name = site.out.name
        if len(made[name]) > 1:
            continue
        form = _form(site, same)
        if form in first and name not in keep:
            same[name] = first[form]
        elif form is not None:
            first.setdefault(form, name)
    return rewrite(body, lambda op: None if op.out.name in same else _with(op, same))


def _form(site: Site, same: dict[str, str]) -> object:
    """What is made, the same for two families whose members are the same.

    None where the loops are not those of the members.
    """
    variables = [
        i.terms[0][0] if isinstance(i, Affine) and i.terms and i == Affine.var(i.terms[0][0]) else ""
        for i in site.out.index
    ]
    counts = {loop.variable: loop.count for loop in site.loops}
    if len(set(variables)) < len(variables) or set(variables) != set(counts):
        return None
    names = {variable: Affine.var(f"·{k}") for k, variable in enumerate(variables)}
    op = _with(site.op, same)
    sizes = tuple(counts[variable].substitute(names) for variable in variables)
    if isinstance(op, MatMul):
        return sizes, substitute_ref(op.matrix, names), op.transposed, substitute_ref(op.operand, names)
    if isinstance(op, OuterMul):
        return sizes, substitute_ref(op.table, names), op.transposed, substitute_ref(op.operand, names)
    return sizes, type(op).__name__, substitute(op.phi, names)


def _with(op: Instruction, same: dict[str, str]) -> Instruction:
    def ref(old: Ref) -> Ref:
        return Ref(same.get(old.name, old.name), old.index)

    return map_used(op, ref)


def split_loops(body: Body) -> Body:
    """`body` with loops of the top level in two.

    First what does not depend on the rest of the loop, if there is a product in it; its rounds are then
    independent, and evaluated at once.
    """
    out: list[Op] = []
    for op in body:
        first = _without_past(op) if isinstance(op, For) else frozenset()
        if isinstance(op, For) and any(
            isinstance(inner, MatMul) and inner.out.name in first for inner, _ in instructions(op.body)
        ):
            out += [*_select(op, first, True), *_select(op, first, False)]
        else:
            out.append(op)
    return tuple(out)


def _select(loop: For, first: Collection[str], own: bool) -> Body:
    """The loop with only those of its instructions that make families in `first`, or that do not."""
    return rewrite((loop,), lambda op: op if (op.out.name in first) == own else None)


def _without_past(loop: For) -> frozenset[str]:
    """The families that `loop` makes of such families only, none by way of itself.

    As far as it makes what they are made of.
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
            and all(ref.name in families for op in ops for ref in used_refs(op) if ref.name in made)
        }
        if not new:
            return frozenset(families)
        families |= new
