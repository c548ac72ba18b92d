"""Passes that many others are made of: instructions replaced, what is not needed left out, other names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from tpc.core.expr import Gather, Index, Ref
from tpc.core.places import Site
from tpc.core.program import For, Instruction, Op, Program, instructions
from tpc.core.traverse import map_refs, used_refs

Body = tuple[Op, ...]


def rewrite(body: Body, rule: Callable[[Instruction], Instruction | None]) -> Body:
    """`body` with another instruction for each, or none; loops that are left empty go."""
    out: list[Op] = []
    for op in body:
        if isinstance(op, For):
            inner = rewrite(op.body, rule)
            if inner:
                out.append(replace(op, body=inner))
        elif (new := rule(op)) is not None:
            out.append(new)
    return tuple(out)


def rewrite_sites(body: Body, sites: Sequence[Site], rule: Callable[[Site], Sequence[Op]]) -> Body:
    """`body` with other instructions for each of its sites; loops that are left empty go."""
    left = iter(sites)

    def visit(ops: Body) -> Body:
        out: list[Op] = []
        for op in ops:
            if isinstance(op, For):
                inner = visit(op.body)
                out += [replace(op, body=inner)] if inner else []
            else:
                out += rule(next(left))
        return tuple(out)

    return visit(body)


def needed_for(body: Body, wanted: Collection[str]) -> set[str]:
    """The families that those `wanted` depend on, themselves included."""
    needed, ops = set(wanted), [op for op, _ in instructions(body)]
    while more := {ref.name for op in ops if op.out.name in needed for ref in used_refs(op)} - needed:
        needed |= more
    return needed


def part_for(body: Body, wanted: Collection[str]) -> Body:
    """What makes the families that those `wanted` depend on."""
    needed = needed_for(body, wanted)
    return rewrite(body, lambda op: op if op.out.name in needed else None)


def without_unused(program: Program) -> Program:
    """The program without what no output needs."""
    body = part_for(program.body, {output.ref.name for output in program.outputs})
    made = {op.out.name for op, _ in instructions(body)}
    return replace(program, body=body, families=tuple(f for f in program.families if f.name in made))


def renamed(program: Program, names: Mapping[str, str]) -> Program:
    """`program` with its families called by other names."""

    def ref(old: Ref) -> Ref:
        return Ref(names.get(old.name, old.name), tuple(map(index, old.index)))

    def index(i: Index) -> Index:
        return Gather(names.get(i.input, i.input), i.index) if isinstance(i, Gather) else i

    return replace(
        program,
        body=tuple(map_refs(op, ref) for op in program.body),
        outputs=tuple(replace(o, ref=ref(o.ref)) for o in program.outputs),
        families=tuple(replace(f, name=names.get(f.name, f.name)) for f in program.families),
    )
