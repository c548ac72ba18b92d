"""Where an instruction stands, which rounds it has, and whether a reference may be to what it makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tpc.core.affine import Affine, extreme
from tpc.core.expr import Gather, Index, Ref
from tpc.core.program import For, Instruction, MatMul, Op


class IndexRange(NamedTuple):
    """A variable that runs over 0 … count−1."""

    variable: str
    count: Affine  # type: ignore[assignment]


@dataclass(frozen=True, eq=False, slots=True)
class Site:
    """An instruction in its loops; two are the same only if they are one object."""

    # its place among all instructions of the program, by which facts about it are kept
    number: int
    op: Instruction
    # a position for every region around it, and one in the innermost
    path: tuple[int, ...]
    # outermost first
    loops: tuple[IndexRange, ...]

    @property
    def out(self) -> Ref:
        return self.op.out

    @property
    def variables(self) -> frozenset[str]:
        return frozenset(loop.variable for loop in self.loops)

    @property
    def product(self) -> MatMul:
        assert isinstance(self.op, MatMul)
        return self.op


def sites_of(body: Sequence[Op]) -> tuple[Site, ...]:
    """All instructions, in program order."""
    found: list[Site] = []

    def visit(ops: Sequence[Op], path: tuple[int, ...], loops: tuple[IndexRange, ...]) -> None:
        for i, op in enumerate(ops):
            if isinstance(op, For):
                visit(op.body, (*path, i), (*loops, IndexRange(op.variable, op.count)))
            else:
                found.append(Site(len(found), op, (*path, i), loops))

    visit(body, (), ())
    return tuple(found)


def by_family(sites: Sequence[Site]) -> dict[str, list[Site]]:
    """The sites that make members of each family."""
    made: dict[str, list[Site]] = {}
    for site in sites:
        made.setdefault(site.out.name, []).append(site)
    return made


def shared(a: Site, b: Site) -> int:
    """The number of regions that are around both."""
    depth = 0
    while depth < min(len(a.loops), len(b.loops)) and a.path[depth] == b.path[depth]:
        depth += 1
    return depth


# rounds


def rounds(loops: Sequence[IndexRange | For], at: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """The values of the variables in all rounds of nested loops, those around them being given."""
    if not loops:
        yield dict(at)
        return
    for k in range(loops[0].count.at(at)):
        yield from rounds(loops[1:], {**at, loops[0].variable: k})


def in_rounds(body: Sequence[Op], at: Mapping[str, int]) -> Iterator[tuple[Instruction, Mapping[str, int]]]:
    """Every instruction in every round, in the order in which a program is run."""
    for op in body:
        if isinstance(op, For):
            for own in rounds((op,), at):
                yield from in_rounds(op.body, own)
        else:
            yield op, at


# indices


def least(index: Affine, ranges: Sequence[tuple[str, Affine]]) -> int | None:
    """The least value of `index` over `ranges` (outermost first), None if a variable is not among them."""
    return extreme(index, ranges, -1)


def greatest(index: Affine, ranges: Sequence[tuple[str, Affine]]) -> int | None:
    return extreme(index, ranges, 1)


def may_meet(
    a: Index, a_ranges: Sequence[tuple[str, Affine]], b: Index, b_ranges: Sequence[tuple[str, Affine]]
) -> bool:
    """Can the two indices be equal? (True where that cannot be told.)"""
    if isinstance(a, Gather) or isinstance(b, Gather):
        return True
    if not a.terms and not b.terms:
        return a.const == b.const
    lows, highs = (least(a, a_ranges), least(b, b_ranges)), (greatest(a, a_ranges), greatest(b, b_ranges))
    if lows[0] is None or lows[1] is None or highs[0] is None or highs[1] is None:
        return True
    return lows[0] <= highs[1] and lows[1] <= highs[0]


def may_make(site: Site, ref: Ref, ranges: Sequence[tuple[str, Affine]]) -> bool:
    """Can `ref`, with its variables in `ranges`, be a member that `site` makes?"""
    return site.out.name == ref.name and all(
        may_meet(i, ranges, j, site.loops) for i, j in zip(ref.index, site.out.index, strict=True)
    )
