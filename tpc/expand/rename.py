"""Names for the terms of series.

`h` for the first one, `δh`, `δ2h` for those below, `f0` for what is random at the start. What they stand for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tpc.core.composed import COMPOSED
from tpc.core.functions import CONSTANTS, FUNCTIONS
from tpc.core.names import SplitName, distinct, free_part, is_part
from tpc.core.printer import print_fraction
from tpc.core.program import Family, Program, instructions

POWER, START, PART = "@", "~", "+"  # what follows the family in a term's name


@dataclass(frozen=True, slots=True)
class TermName:
    """What a term of order n^power, or a part of it, is called while names are not settled."""

    family: str
    power: Fraction
    # START of what the start gives to it, PART of what else is made by itself, "" of the term
    kind: str = ""
    # among several parts
    number: int | None = None

    @staticmethod
    def is_one(text: str) -> bool:
        """False of what is given, which has no terms."""
        return POWER in text

    @staticmethod
    def of(text: str) -> TermName:
        family, _, rest = text.rpartition(POWER)
        kind = next((mark for mark in (START, PART) if mark in rest), "")
        power, _, number = rest.partition(kind) if kind else (rest, "", "")
        return TermName(family, Fraction(power), kind, int(number) if number else None)

    def __str__(self) -> str:
        number = "" if self.number is None else self.number
        return f"{self.family}{POWER}{self.power}{self.kind}{number}"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What `name` stands for: the term of order n^power of `family`, the first of all if `order` is 0."""

    name: str
    family: str
    power: Fraction
    order: int
    # what the start gives to it
    initial: bool = False

    @property
    def told(self) -> bool:
        """Whether the name is shown, and stands for more than the limit of what the program calls so."""
        of_part = is_part(self.family) or is_part(self.name)
        return not of_part and (self.power != 0 or self.order > 0 or self.initial)


def notes_on(meanings: Sequence[Meaning]) -> tuple[str, ...]:
    """What names stand for, in words, those of one kind together."""
    kinds: dict[tuple[bool, int, Fraction], list[Meaning]] = {}
    for m in meanings:
        kinds.setdefault((m.initial, m.order, m.power), []).append(m)
    return tuple(_note(found, *kind) for kind, found in kinds.items())


def _note(found: Sequence[Meaning], initial: bool, order: int, power: Fraction) -> str:
    names, of = ", ".join(m.name for m in found), ", ".join(m.family for m in found)
    if initial:
        return f"{names}: what the start gives to {of}: Gaussian, and what the limit is conditioned on."
    scale = f"n^({print_fraction(-power)})·" if power else ""
    if order == 0:
        return f"{names}: the limit of {scale}{of if len(found) == 1 else f'({of})'}."
    before = "first term" if order == 1 else f"first {order} terms"
    return (
        f"{names}: the limit of {scale}({of} - {'its' if len(found) == 1 else 'their'} "
        f"{before}{'s' * (order == 1 < len(found))})."
    )


def meanings_of(
    program: Program, written: Sequence[str], families: Mapping[str, Family], initial: Collection[str]
) -> dict[str, Meaning]:
    """For each key of a term its name. written: the keys in the order of the program."""
    variables = {loop.variable for _, loops in instructions(program.body) for loop in loops}
    taken = {*CONSTANTS, *FUNCTIONS, *COMPOSED, *program.names, *variables}
    terms = {name: TermName.of(name) for name in written}
    powers = _powers_by_family(terms.values())
    made = {family.name for family in program.families}
    used = taken - made
    out: dict[str, Meaning] = {}
    for kind in ("", START, PART):  # the user's names first
        for name, term in terms.items():
            if term.kind != kind:
                continue
            order = 0 if kind else powers[term.family].index(term.power)
            got = _settled(term, order, used | made) if kind or order else term.family
            used.add(got)
            out[name] = Meaning(got, term.family, term.power, order, kind == START)
    return out


def _powers_by_family(terms: Iterable[TermName]) -> dict[str, list[Fraction]]:
    """The powers of each family's terms, the greatest first."""
    powers: dict[str, list[Fraction]] = {}
    for term in terms:
        if not term.kind:
            powers.setdefault(term.family, []).append(term.power)
    return {family: sorted(some, reverse=True) for family, some in powers.items()}


def _settled(term: TermName, order: int, taken: set[str]) -> str:
    base = SplitName.of(term.family).base
    if term.kind == PART:
        return free_part(base, taken)
    return distinct(f"{base}0" if term.kind else f"δ{order if order > 1 else ''}{term.family}", taken)
