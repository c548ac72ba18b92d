"""What can be said of uses and makings without going through their rounds.

None of it is ever wrong; "not certain" leaves the question to `order`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from tpc.core.affine import Affine
from tpc.syntax.region import IntegerRegion
from tpc.syntax.scope import Loop

MAX_PIECES = 32  # parts of a use's rounds that are looked at one by one
MAX_MAKINGS = 24  # definitions of one family
BY, AGAIN = "by:", "again:"  # put before the variables of makings, which are others than those of a use


class Event(Protocol):
    """A reference to members `index` of a family, over `loops`, at `stamp`."""

    @property
    def index(self) -> tuple[Affine, ...]: ...
    @property
    def loops(self) -> tuple[Loop, ...]: ...
    @property
    def stamp(self) -> Affine: ...


def extents(makings: Sequence[Event]) -> tuple[int, ...] | None:
    """The extents of a family whose members are all certainly made once, at indices that start at 0."""
    if len(makings) > MAX_MAKINGS:
        return None
    top = [0] * len(makings[0].index)
    regions = [(making, region) for making in makings if not (region := _region(making, BY)).is_empty]
    for making, region in regions:
        for axis, i in enumerate(making.index):
            span = region.span(_renamed(i, BY))
            if span is None or span[0] < 0:
                return None
            top[axis] = max(top[axis], span[1] + 1)
    for number, (making, region) in enumerate(regions):
        if not _once(making, region) or not all(
            _apart(making, region, other) for other, _ in regions[:number]
        ):
            return None
    return tuple(top)


def _apart(making: Event, region: IntegerRegion, other: Event) -> bool:
    """Whether two definitions certainly make no member both."""
    same = [_renamed(i, BY) - _renamed(j, AGAIN) for i, j in zip(making.index, other.index, strict=True)]
    return region.where(_region(other, AGAIN).at_least, same).is_empty


def _once(making: Event, region: IntegerRegion) -> bool:
    """Whether no two rounds of a definition make the same member."""
    if _solved(making, making.index) is not None:
        return True
    same = [_renamed(i, BY) - _renamed(i, AGAIN) for i in making.index]
    both = region.where(_region(making, AGAIN).at_least, same)
    for loop in making.loops:
        here, there = Affine.var(BY + loop.variable), Affine.var(AGAIN + loop.variable)
        if not both.where([there - here - 1]).is_empty:
            return False
        both = both.where((), [here - there])
    return True


def within(use: Event, shape: Sequence[int]) -> bool:
    """Whether every index is certainly inside `shape`."""
    rounds = _region(use)
    return all(
        rounds.where([i.scaled(-1) - 1]).is_empty and rounds.where([i - extent]).is_empty
        for i, extent in zip(use.index, shape, strict=True)
    )


def made_before(use: Event, makings: Sequence[Event]) -> bool:
    """Whether every member that is used is certainly made, and before its use."""
    rounds = _region(use)
    if rounds.is_empty:
        return True
    if len(makings) > MAX_MAKINGS:
        return False
    pieces = [rounds]
    for making in makings:
        same = [_renamed(i, BY) - j for i, j in zip(making.index, use.index, strict=True)]
        met = rounds.where(_region(making, BY).at_least, same)
        if met.is_empty:
            continue
        if not met.where([_renamed(making.stamp, BY) - use.stamp]).is_empty:
            return False
        round_ = _solved(making, use.index)
        if round_ is not None:
            pieces = [left for piece in pieces for left in _minus(piece, making, round_, use.index)]
            if len(pieces) > MAX_PIECES:
                return False
    return not pieces


def _minus(
    piece: IntegerRegion, making: Event, round_: dict[str, Affine], index: Sequence[Affine]
) -> Iterator[IntegerRegion]:
    """The parts of `piece` whose members `making` does not make, in the round that would have to be."""
    for i, j in zip(making.index, index, strict=True):
        gap = i.substitute(round_) - j
        if gap != Affine():
            yield from _present([piece.where([gap - 1]), piece.where([gap.scaled(-1) - 1])])
            piece = piece.where((), [gap])
    for bound in _bounds(making.loops):
        bound = bound.substitute(round_)
        yield from _present([piece.where([bound.scaled(-1) - 1])])
        piece = piece.where([bound])


def _present(regions: Iterable[IntegerRegion]) -> Iterator[IntegerRegion]:
    return (region for region in regions if not region.is_empty)


def _solved(making: Event, index: Sequence[Affine]) -> dict[str, Affine] | None:
    """The only round of `making` that may make the member at `index`.

    Its loop variables, affine in those of `index`. None if that is not clear.
    """
    found: dict[str, Affine] = {}
    wanted = {loop.variable for loop in making.loops}
    progress = True
    while wanted - found.keys() and progress:
        progress = False
        for i, j in zip(making.index, index, strict=True):
            unknown = [(v, k) for v, k in i.terms if v not in found]
            if len(unknown) == 1 and abs(unknown[0][1]) == 1:
                v, k = unknown[0]
                known = Affine.of(i.const, {w: c for w, c in i.terms if w != v})
                found[v] = (j - known.substitute(found)).scaled(k)
                progress = True
    return None if wanted - found.keys() else found


def _bounds(loops: Sequence[Loop]) -> Iterator[Affine]:
    for loop in loops:
        yield Affine.var(loop.variable)
        yield loop.count - 1 - Affine.var(loop.variable)


def _region(event: Event, prefix: str = "") -> IntegerRegion:
    return IntegerRegion(tuple(_renamed(bound, prefix) for bound in _bounds(event.loops)))


def _renamed(x: Affine, prefix: str) -> Affine:
    return Affine.of(x.const, {prefix + v: k for v, k in x.terms}) if prefix else x
