"""What is known of a program before it is chosen how its vectors are represented."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tpc.core.expr import walk
from tpc.core.program import OuterMul, OuterNonlin, Program, instructions
from tpc.plan.cost import TableWork, VectorCount, cost_of_points
from tpc.plan.gaussians import Layout, lay_out
from tpc.plan.rounds import turns
from tpc.plan.structure import Structure, structure


@dataclass(frozen=True, slots=True)
class Draft:
    """What a plan by vectors is made from."""

    # in the order in which it is run
    program: Program
    structure: Structure
    layout: Layout
    # the vectors of each family
    kept: Mapping[str, VectorCount]
    # how many tables there are at once, and what is done to their entries in all
    tables: TableWork

    @classmethod
    def of(cls, program: Program, max_rank: int | None, *, joint: bool = False) -> Draft:
        parts = structure(program, joint=joint)
        program = replace(program, body=parts.body)
        rows = max((math.prod(r.greatest for r in nest) for nest in parts.blocks.values()), default=1)
        layout = lay_out(program, parts.confined, max_rank)
        kept = {
            s.family.name: VectorCount(
                math.prod(s.family.shape[axis] for axis in s.kept),
                math.prod(r.greatest for r in s.dropped.values() if r in parts.parallel),
            )
            for s in parts.storage.values()
            if s.family.kind == "vector"
        }
        return cls(program, parts, replace(layout, rows=rows), kept, table_work(program, parts))

    def cost(self, m: int, dtype: str) -> tuple[float, float]:
        """Seconds and bytes of one repeat on m points."""
        seconds, memory = cost_of_points(self.layout, self.vectors, m, dtype)
        of_tables = self.tables.cost(m, dtype)
        return seconds + of_tables[0], memory + of_tables[1]

    @property
    def vectors(self) -> int:
        """How many vectors there are at once."""
        return sum(number.count for number in self.kept.values())


def table_work(program: Program, parts: Structure) -> TableWork:
    """The tables of a program, as they are kept, and how often their entries are gone through."""
    count = sum(
        math.prod(s.family.shape[axis] for axis in s.kept)
        * math.prod(r.greatest for r in s.dropped.values() if r in parts.parallel)
        for s in parts.storage.values()
        if s.family.kind == "table"
    )
    steps = products = 0
    factored = program.factored
    for op, loops in instructions(program.body):
        if op.out.name in factored or (isinstance(op, OuterMul) and op.vectors is not None):
            continue
        if isinstance(op, OuterNonlin):
            steps += turns(loops) * sum(1 for _ in walk(op.phi))
        elif isinstance(op, OuterMul):
            products += turns(loops)
    return TableWork(count, steps, products)
