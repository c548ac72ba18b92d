"""Where the members of a family are kept while a program runs.

That is a variable, a value carried from round to round, or an array.

An axis is *dropped* if every use of the family is in the same round of the loop that makes it; it is
*carried* if only the value of the round before is ever needed; else it is *kept*, an axis of an array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from tpc.core.affine import Affine, Ranges, bounds
from tpc.core.expr import ZERO, Expr, Ref, Sum, summed, walk
from tpc.core.expr import replace as rebuilt
from tpc.core.program import Family, For, Instruction, Op, Product, Program
from tpc.core.traverse import used_refs


@dataclass(frozen=True, eq=False, slots=True)
class Region:
    """A loop in its place. Two regions are the same only if they are one object."""

    loop: For
    around: Regions
    body: tuple[Node, ...] = field(default=(), init=False)

    @classmethod
    def around_body(cls, loop: For, around: Regions, body: Callable[[Regions], tuple[Node, ...]]) -> Region:
        """The loop with what `body` makes, given the regions around that: this one is the last of them."""
        region = cls(loop, around)
        object.__setattr__(region, "body", body(region.loops))  # the only time: both refer to each other
        return region

    @property
    def variable(self) -> str:
        return self.loop.variable

    @property
    def loops(self) -> tuple[Region, ...]:
        return (*self.around, self)

    @property
    def greatest(self) -> int:
        return max(0, bounds(self.loop.count, ranges(self.around))[1])

    def nest(self) -> list[Region]:
        """The region and the loops that are all there is in it."""
        nest = [self]
        while len(nest[-1].body) == 1 and isinstance(deeper := nest[-1].body[0], Region):
            nest.append(deeper)
        return nest


@dataclass(frozen=True, eq=False, slots=True)
class Leaf:
    op: Instruction
    around: Regions


Node = Region | Leaf
Regions = tuple[Region, ...]


def ranges(regions: Sequence[Region]) -> Ranges:
    return tuple((r.loop.variable, r.loop.count) for r in regions)


def build(body: Sequence[Op], around: Regions = ()) -> tuple[Node, ...]:
    """The program's body with every loop in its place.

    Loops of no rounds are left out, and sums of no terms.
    """
    nodes: list[Node] = []
    for op in body:
        if not isinstance(op, For):
            nodes.append(_leaf(op, around))
        elif bounds(op.count, ranges(around))[1] > 0:
            region = Region.around_body(op, around, partial(build, op.body))
            if region.body:
                nodes.append(region)
    return tuple(nodes)


def _leaf(op: Instruction, around: Regions) -> Leaf:
    if not isinstance(op, Product):
        op = replace(op, phi=_without_empty_sums(op.phi, ranges(around)))
    return Leaf(op, around)


def _without_empty_sums(x: Expr, around: Ranges) -> Expr:
    """`x` with 0 for sums that have no terms in any round.

    Nothing may have been made that they could read.
    """

    def leaf(node: Expr) -> Expr | None:
        if not isinstance(node, Sum):
            return None
        if bounds(node.count, around)[1] <= 0:
            return ZERO
        return summed(
            node.variable, node.count, _without_empty_sums(node.body, (*around, (node.variable, node.count)))
        )

    return rebuilt(x, leaf) if any(isinstance(node, Sum) for node in walk(x)) else x


def leaves(nodes: Sequence[Node]) -> Iterator[Leaf]:
    for node in nodes:
        if isinstance(node, Leaf):
            yield node
        else:
            yield from leaves(node.body)


@dataclass(frozen=True, eq=False, slots=True)
class Carry:
    """`axis` runs over the rounds of `region`.

    The member at `first` is made before it, the one at variable + first + 1 in each round.
    """

    axis: int
    region: Region
    first: int


@dataclass(frozen=True, eq=False, slots=True)
class Storage:
    """How a family is kept. scope: the region in whose rounds it lives, None for the whole run."""

    family: Family
    dropped: Mapping[int, Region]
    carry: Carry | None
    kept: tuple[int, ...]
    plain: bool
    # references used where they are made
    direct: frozenset[Ref]
    writers: int

    @property
    def scope(self) -> Region | None:
        regions = list(self.dropped.values())
        return max(regions, key=lambda r: len(r.around)) if regions else None


@dataclass(slots=True)
class _Sites:
    made: list[tuple[Ref, Leaf]] = field(default_factory=list)
    used: list[tuple[Ref, Leaf | None]] = field(default_factory=list)  # None: by an output


def analyse(program: Program, nodes: Sequence[Node]) -> dict[str, Storage]:
    """The storage of every family that the program makes."""
    sites = {family.name: _Sites() for family in program.families}
    for leaf in leaves(nodes):
        sites[leaf.op.out.name].made.append((leaf.op.out, leaf))
        for ref in used_refs(leaf.op):
            if ref.name in sites:
                sites[ref.name].used.append((ref, leaf))
    for output in program.outputs:
        if output.ref.name in sites:
            sites[output.ref.name].used.append((output.ref, None))
    return {
        family.name: _storage(family, sites[family.name])
        for family in program.families
        if sites[family.name].made
    }


def _storage(family: Family, sites: _Sites) -> Storage:
    dropped = {}
    for axis in range(len(family.shape)):
        region = _dropping(axis, sites)
        if region is not None:
            dropped[axis] = region
    dropped = {axis: region for axis, region in dropped.items() if _once(region, dropped)}
    others = [axis for axis in range(len(family.shape)) if axis not in dropped]
    carry = next(
        (
            c
            for axis in others
            if (c := _carrying(axis, sites, [a for a in others if a != axis])) and _once(c.region, dropped)
        ),
        None,
    )
    kept = tuple(axis for axis in others if carry is None or axis != carry.axis)
    direct = frozenset(
        ref
        for ref, user in sites.used
        for out, maker in sites.made
        if ref == out and user is not None and user.around[: len(maker.around)] == maker.around
    )
    draft = Storage(family, dropped, carry, kept, False, direct, len(sites.made))
    scope = () if draft.scope is None else draft.scope.loops
    plain = not kept and carry is None and len(sites.made) == 1 and sites.made[0][1].around == scope
    return Storage(family, dropped, carry, kept, plain, direct, len(sites.made))


def _dropping(axis: int, sites: _Sites) -> Region | None:
    """The region of which `axis` is the variable wherever the family occurs."""
    first = sites.made[0]
    region = next((r for r in first[1].around if first[0].index[axis] == Affine.var(r.variable)), None)
    if region is None:
        return None
    own = Affine.var(region.variable)
    here = all(
        site is not None and region in site.around and ref.index[axis] == own
        for ref, site in (*sites.made, *sites.used)
    )
    return region if here else None


def _once(region: Region, dropped: Mapping[int, Region]) -> bool:
    """Whether all that reads a member of the family stands in the round of the loops around the region that
    made it: their later rounds run the region again."""
    return all(r.greatest <= 1 or r in dropped.values() for r in region.around)


def _carrying(axis: int, sites: _Sites, others: Sequence[int]) -> Carry | None:
    made_at = [(index, leaf) for ref, leaf in sites.made if isinstance(index := ref.index[axis], Affine)]
    starts = [(index, leaf) for index, leaf in made_at if not index.variables]
    rounds = [(index, leaf) for index, leaf in made_at if index.variables]
    if len(starts) != 1 or len(rounds) != 1 or len(made_at) != len(sites.made):
        return None
    (start, before), (made, maker) = starts[0], rounds[0]
    first = start.const
    region = next((r for r in maker.around if made == Affine.var(r.variable) + (first + 1)), None)
    if region is None or region in before.around or before.around[: len(region.around)] != region.around:
        return None
    if not others and (maker.around != region.loops or before.around != region.around):
        return None
    inside = {Affine.var(region.variable) + first, made}
    outside = {start, region.loop.count + first}
    for ref, site in sites.used:
        around = () if site is None else site.around
        allowed = inside | {start} if region in around else outside
        if (
            ref.index[axis] not in allowed
            or (site is None and region.around)
            or around[: len(region.around)] != region.around
        ):
            return None
    return Carry(axis, region, first)


def inner_regions(nodes: Sequence[Node]) -> Iterator[Region]:
    for node in nodes:
        if isinstance(node, Region):
            yield node
            yield from inner_regions(node.body)
