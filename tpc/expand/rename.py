"""Names for the terms of series.

`h` for the first one, `δh`, `δ2h` for those below, `f0` for what is random at the start. What they stand for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tpc.core.composed import COMPOSED
from tpc.core.functions import CONSTANTS, FUNCTIONS
from tpc.core.names import distinct, numbered
from tpc.core.printer import print_fraction
from tpc.core.program import Family, Program, instructions


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
        return "$" not in self.family and (self.power != 0 or self.order > 0 or self.initial)


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
    own = {name: _parsed(name) for name in written}
    powers = _powers_by_family(own.values())
    made = {family.name for family in program.families}
    used = taken - made
    out: dict[str, Meaning] = {}
    for mark in ("", "~", "+"):  # the user's names first
        for name in written:
            family, p, own_mark = own[name]
            if own_mark != mark:
                continue
            order = powers[family].index(p) if not mark else 0
            got = family if not mark and not order else _name(family, order, mark, used | made)
            used.add(got)
            out[name] = Meaning(got, family, p, order, mark == "~")
    return out


def _powers_by_family(terms: Iterable[tuple[str, Fraction, str]]) -> dict[str, list[Fraction]]:
    """The powers of each family's terms, the greatest first."""
    powers: dict[str, list[Fraction]] = {}
    for family, p, mark in terms:
        if not mark:
            powers.setdefault(family, []).append(p)
    return {family: sorted(own, reverse=True) for family, own in powers.items()}


def _parsed(name: str) -> tuple[str, Fraction, str]:
    mark = name[-1] if name[-1] in "~+" else ""
    family, _, p = name.rstrip("~+").rpartition("@")
    return family, Fraction(p), mark


def _name(family: str, order: int, mark: str, taken: set[str]) -> str:
    base = family.partition("$")[0]
    if mark == "+":
        return numbered(f"{base}$", taken)
    return distinct(f"{base}0" if mark else f"δ{order if order > 1 else ''}{family}", taken)
