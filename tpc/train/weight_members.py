"""Terms by the member of a family of weights that they are of.

So those of a member are found without a look at those of all others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Generic, TypeVar

from tpc.syntax import tree
from tpc.train.records import Index

T = TypeVar("T")


class ByMember(Generic[T]):
    """Some items, each with the index of a member.

    `of(member)` gives those whose index may be `member`, in order.

    Two indices differ for certain where both are numbers and not the same. groups: by which places of an
    index are numbers, and by these.
    """

    def __init__(self, items: Sequence[T], index: Callable[[T], Index]) -> None:
        self.items = items
        self.groups: dict[tuple[int, ...], dict[tuple[Fraction, ...], list[int]]] = {}
        for position, item in enumerate(items):
            given = numbers(index(item))
            self.groups.setdefault(tuple(given), {}).setdefault(tuple(given.values()), []).append(position)

    def of(self, member: Index) -> list[T]:
        given, found = numbers(member), list[int]()
        for places, groups in self.groups.items():
            if given.keys() >= set(places):
                found += groups.get(tuple(given[place] for place in places), [])
            else:
                found += [
                    position
                    for values, positions in groups.items()
                    for position in positions
                    if all(
                        given.get(place, value) == value for place, value in zip(places, values, strict=True)
                    )
                ]
        return [self.items[position] for position in sorted(found)]


def numbers(index: Index) -> dict[int, Fraction]:
    """The places of an index that are numbers, and these."""
    return {place: i.value for place, i in enumerate(index) if isinstance(i, tree.Literal)}
