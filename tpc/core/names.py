"""What names are made of, and names that nothing has yet."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from itertools import count

LETTERS = ("s", "r", "q", "p", "l", "m")
LINK = "$"  # before the number of a part, which no name of the user's has


@dataclass(frozen=True, slots=True)
class SplitName:
    """What is called `base`, or, of what has no name of its own, a part of that: `h$1`, `h$1$2`."""

    base: str
    # None of the whole
    part: str | None = None

    @staticmethod
    def of(text: str) -> SplitName:
        base, link, part = text.partition(LINK)
        return SplitName(base, part if link else None)

    @property
    def superscript(self) -> str | None:
        """The part as formulas have it: `(1.2)` of `h$1$2`."""
        return None if self.part is None else f"({self.part.replace(LINK, '.')})"

    def __str__(self) -> str:
        return self.base if self.part is None else f"{self.base}{LINK}{self.part}"


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


def is_part(name: str) -> bool:
    """Whether a name is that of a part of something."""
    return LINK in name


def is_part_of(name: str, whole: str) -> bool:
    """Whether a name is that of a part of what is called `whole`, which may be a part itself."""
    return name.startswith(f"{whole}{LINK}")


def free_part(base: str, taken: Container[str]) -> str:
    """The first of `base$1`, `base$2`, … that is not taken."""
    return numbered(f"{base}{LINK}", taken)


def part(name: str, taken: set[str], link: str = LINK) -> str:
    """A name that is not taken, and is now, for a part of what has a name: `name$1`, `name$2`, …"""
    found = numbered(f"{SplitName.of(name).base}{link}", taken)
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
