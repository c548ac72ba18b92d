"""Loops that read a table step by step, run in the loop that makes it: so one step's is kept, and not all.

for t < T:                          for t < T:
    table A[t+1] = …                    table A[t+1] = …
for s < T + 1:              →           x[t] = A[t] @ y
    x[s] = A[s] @ y                 x[T] = A[T] @ y
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from tpc.core.affine import Affine
from tpc.core.dependence import is_parallel
from tpc.core.expr import Index, Ref
from tpc.core.program import For, Op, Program, instructions
from tpc.core.traverse import at_round, used_refs


def read_while_there(program: Program) -> Program:
    """The program with such loops of its top level joined to the one that makes the tables."""
    tables, body, place = program.tables, program.body, 0
    while place < len(body):
        maker = body[place]
        own = {op.out.name for op, _ in instructions((maker,))} & tables
        if isinstance(maker, For) and own:
            body = _joined(body, place, maker, own)
        place += 1
    return program if body is program.body else replace(program, body=body)


def _joined(body: tuple[Op, ...], place: int, maker: For, tables: Collection[str]) -> tuple[Op, ...]:
    given = {op.out.name for op, _ in instructions(body[:place])}
    every = {op.out.name for op, _ in instructions(body)}
    steps: dict[str, list[Ref]] = {}
    _add_made(steps, maker.body)
    inside, after = [*maker.body], list[Op]()
    for op in body[place + 1 :]:
        loop = _step_by_step(op, maker, tables)
        if loop is None or not _is_there(loop, steps, every - given, maker.variable):
            after.append(op)
            continue
        rounds = [at_round(part, {loop.variable: Affine.var(maker.variable)}) for part in loop.body]
        inside += rounds
        _add_made(steps, rounds)
        if loop.count != maker.count:  # the step after the last one
            after += [at_round(part, {loop.variable: maker.count}) for part in loop.body]
    if len(inside) == len(maker.body):
        return body
    return (*body[:place], replace(maker, body=tuple(inside)), *after)


def _add_made(made: dict[str, list[Ref]], ops: Sequence[Op]) -> None:
    """Adds what instructions make, by family."""
    for op, _ in instructions(tuple(ops)):
        made.setdefault(op.out.name, []).append(op.out)


def _step_by_step(op: Op, maker: For, tables: Collection[str]) -> For | None:
    """A loop over all steps, or one more, that reads a table of each, itself the outermost of its nest."""
    if not isinstance(op, For):
        return None
    nest = [op]
    while len(nest[-1].body) == 1 and isinstance(inner := nest[-1].body[0], For):
        nest.append(inner)
    parts = list(instructions(nest[-1].body))
    read = {i for part, _ in parts for ref in used_refs(part) if ref.name in tables for i in ref.index}
    own = [loop for loop in nest if any(_moves_with(i, loop.variable) for i in read)]
    variables = {loop.variable for loop in nest}
    names = {loop.variable for _, loops in parts for loop in loops} | variables - {v.variable for v in own}
    if (
        len(own) != 1
        or own[0].count not in (maker.count, maker.count + 1)
        or any(loop.count.variables & variables for loop in nest)
        or maker.variable in names
        or not _independent(nest)
    ):
        return None
    body = nest[-1].body
    for loop in reversed(nest):
        body = body if loop is own[0] else (replace(loop, body=body),)
    return replace(own[0], body=body)


def _moves_with(index: Index, variable: str) -> bool:
    """Whether an index is a variable, or one a number away from it."""
    return isinstance(index, Affine) and (index - Affine.var(variable)).constant is not None


def _independent(nest: Sequence[For]) -> bool:
    """Whether no round of a nest uses what another one makes, in whatever order its loops are."""
    ranges = tuple((loop.variable, loop.count) for loop in nest)
    return all(
        is_parallel(replace(loop, body=nest[-1].body), (*ranges[:k], *ranges[k + 1 :]))
        for k, loop in enumerate(nest)
    )


def _is_there(loop: For, steps: Mapping[str, Sequence[Ref]], later: Collection[str], variable: str) -> bool:
    """Whether all that a round of the loop reads is there at the end of the same round of the maker.

    steps: what the maker makes, by family, in terms of `variable`; later: families that are not made before.
    """
    own = {part.out.name for part, _ in instructions(loop.body)}
    for part, _ in instructions(loop.body):
        for ref in used_refs(part):
            if ref.name in own:
                continue
            if ref.name in steps:
                made = [out.index for out in steps[ref.name]]
                if not all(_made_by_then(ref.index, index, loop.variable, variable) for index in made):
                    return False
            elif ref.name in later:
                return False
    return True


def _made_by_then(read: Sequence[Index], made: Sequence[Index], own: str, variable: str) -> bool:
    """Whether what round s of a loop reads at an index is made by round s of the maker, or before."""
    for i, j in zip(read, made, strict=True):
        if isinstance(i, Affine) and isinstance(j, Affine) and variable in j.variables:
            behind = (j - Affine.var(variable)) - (i - Affine.var(own))
            return behind.constant is not None and behind.constant >= 0
    return False
