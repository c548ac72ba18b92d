"""Families of which only the last round or two are ever needed.

Their history arrays are as long as that, and are used in turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tpc.core.affine import Affine
from tpc.core.dependence import is_parallel
from tpc.core.expr import Index
from tpc.core.program import Family, Program, instructions
from tpc.core.storage import Carry, Region, analyse, build, ranges
from tpc.core.traverse import used_refs


@dataclass(frozen=True, slots=True)
class Rolling:
    """An axis along which `period` places serve all members, the one at i being at i modulo period."""

    axis: int
    period: int
    # that of the loop
    variable: str

    def place(self, index: Index) -> Index | None:
        """Where the member at `index` is; None if that is not a number or the loop's variable plus one."""
        if not isinstance(index, Affine):
            return None
        if not index.variables:
            return Affine(index.const % self.period)
        if self.period == 1:
            return Affine(0)
        if index - Affine.var(self.variable) == Affine(index.const):
            return Affine.var(turn(self.variable, index.const))
        return None


def turn(variable: str, offset: int) -> str:
    """A name for `variable + offset` modulo 2."""
    return f"{variable}%{offset % 2}"


def rolling(program: Program) -> Mapping[str, tuple[Rolling, ...]]:
    """The axes of every family that need not be kept whole."""
    found = {}
    for name, kept in analyse(program, build(program.body)).items():
        axes = [
            Rolling(axis, 1, region.variable) for axis, region in kept.dropped.items() if _in_rounds(region)
        ]
        if (
            kept.carry is not None
            and _in_rounds(kept.carry.region)
            and not _start_is_used(program, name, kept.carry)
        ):
            axes.append(Rolling(kept.carry.axis, 2, kept.carry.region.variable))
        if axes:
            found[name] = tuple(axes)
    return found


def _start_is_used(program: Program, name: str, carry: Carry) -> bool:
    """Whether the member that the loop begins with is used by its index after its place may be taken.

    That may be in the loop or after it.
    """
    start = Affine(carry.first)
    used = [ref for op, _ in instructions(program.body) for ref in used_refs(op)] + [
        output.ref for output in program.outputs
    ]
    return any(ref.name == name and ref.index[carry.axis] == start for ref in used)


def places(family: Family, axes: Sequence[Rolling]) -> tuple[int, ...]:
    """The shape of a family's array."""
    shape = list(family.shape)
    for axis in axes:
        shape[axis.axis] = min(shape[axis.axis], axis.period)
    return tuple(shape)


def _in_rounds(region: Region) -> bool:
    """Whether the simulator runs a loop round by round."""
    return not is_parallel(region.loop, ranges(region.around))
