"""What is known of a program before it is chosen how its vectors are represented."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tpc.core.program import Program
from tpc.plan.cost import VectorCount
from tpc.plan.gaussians import Layout, lay_out
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

    @classmethod
    def of(cls, program: Program, max_rank: int | None) -> Draft:
        parts = structure(program)
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
        return cls(program, parts, replace(layout, rows=rows), kept)

    @property
    def vectors(self) -> int:
        """How many vectors there are at once."""
        return sum(number.count for number in self.kept.values())
