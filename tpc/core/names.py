"""Names that nothing has yet."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from itertools import count

LETTERS = ("s", "r", "q", "p", "l", "m")


@dataclass(frozen=True, slots=True)
class Together:
    """The names in several collections, none of which is copied: they may be all names of a program."""

    parts: tuple[Container[str], ...]

    def __contains__(self, name: object) -> bool:
        return any(name in part for part in self.parts)


def numbered(stem: str, taken: Container[str], first: int = 1) -> str:
    """The first of `stem1`, `stem2`, … that is not taken."""
    return next(name for k in count(first) if (name := f"{stem}{k}") not in taken)


def distinct(wish: str, taken: Container[str], link: str = "_") -> str:
    """`wish` if it is free, else `wish_2` or the like."""
    return wish if wish not in taken else numbered(f"{wish}{link}", taken, 2)


def part(name: str, taken: set[str], link: str = "$") -> str:
    """A name that is not taken, and is now, for a part of what has a name: `name$1`, `name$2`, …"""
    found = numbered(f"{name.partition('$')[0]}{link}", taken)
    taken.add(found)
    return found


def fresh(wish: str, taken: Container[str]) -> str:
    """`wish` if it is free, else a letter that is, else `wish` with primes."""
    for name in (wish, *LETTERS):
        if name not in taken:
            return name
    while wish in taken:
        wish += "'"
    return wish
