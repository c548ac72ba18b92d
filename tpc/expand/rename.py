"""Names for the terms of series.

`h` for the first one, `δh`, `δ2h` for those below, `f0` for what is random at the start. What they stand for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from tpc.core.expr import Expr, Gather, Index, Ref, Value
from tpc.core.expr import replace as replaced
from tpc.core.functions import CONSTANTS, is_function
from tpc.core.printer import print_fraction
from tpc.core.program import Family, For, MatMul, Op, Program, instructions


@dataclass(frozen=True, slots=True)
class Meaning:
    """What `name` stands for: the term of order n^power of `family`, the first of its series if `order` is 0.

    initial: what the start gives to it.
    """

    name: str
    family: str
    power: Fraction
    order: int
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
    out = []
    for (initial, order, p), found in kinds.items():
        names, of = ", ".join(m.name for m in found), ", ".join(m.family for m in found)
        scale = f"n^({print_fraction(-p)})·" if p else ""
        if initial:
            out.append(
                f"{names}: what the start gives to {of}: Gaussian, and what the limit is conditioned on."
            )
        elif order == 0:
            out.append(f"{names}: the limit of {scale}{of if len(found) == 1 else f'({of})'}.")
        else:
            before = "first term" if order == 1 else f"first {order} terms"
            out.append(
                f"{names}: the limit of {scale}({of} - {'its' if len(found) == 1 else 'their'} "
                f"{before}{'s' * (order == 1 < len(found))})."
            )
    return tuple(out)


def meanings_of(
    program: Program, written: Sequence[str], families: Mapping[str, Family], initial: Collection[str]
) -> dict[str, Meaning]:
    """For each key of a term its name. written: the keys in the order of the program."""
    taken = _taken(program)
    own = {name: _parsed(name) for name in written}
    powers: dict[str, list[Fraction]] = {}
    for family, p, mark in own.values():
        if not mark:
            powers.setdefault(family, []).append(p)
    made = {family.name for family in program.families}
    used = taken - made
    out: dict[str, Meaning] = {}
    for mark in ("", "~", "+"):  # the user's names first
        for name in written:
            family, p, own_mark = own[name]
            if own_mark != mark:
                continue
            order = sorted(powers.get(family, [p]), reverse=True).index(p) if not mark else 0
            wish = family if not mark and not order else _wish(family, order, mark)
            got = wish if not mark and not order else _fresh(wish, used | made, "$" if mark == "+" else "_")
            used.add(got)
            out[name] = Meaning(got, family, p, order, mark == "~")
    return out


def _parsed(name: str) -> tuple[str, Fraction, str]:
    mark = name[-1] if name[-1] in "~+" else ""
    family, _, p = name.rstrip("~+").rpartition("@")
    return family, Fraction(p), mark


def _wish(family: str, order: int, mark: str) -> str:
    if mark == "+":
        return family.partition("$")[0] + "$1"
    if mark == "~":
        return family.partition("$")[0] + "0"
    return f"δ{order if order > 1 else ''}{family}"


def _fresh(wish: str, taken: Collection[str], link: str) -> str:
    base, name, k = wish.partition("$")[0] if link == "$" else wish, wish, 1
    while name in taken or is_function(name):
        k += 1
        name = f"{base}{link}{k}"
    return name


def _taken(program: Program) -> set[str]:
    found = {
        *CONSTANTS,
        *(w.name for w in program.widths),
        *(i.name for i in program.inputs),
        *(m.name for m in program.matrices),
    }
    found |= (
        {name for group in program.gaussians for name in group.names}
        | {f.name for f in program.families}
        | {o.name for o in program.outputs}
    )
    return found | {loop.variable for _, loops in instructions(program.body) for loop in loops}


def renamed(program: Program, names: Mapping[str, str]) -> Program:
    """`program` with its families called by other names."""

    def ref(old: Ref) -> Ref:
        return Ref(names.get(old.name, old.name), tuple(map(index, old.index)))

    def index(i: Index) -> Index:
        return Gather(names.get(i.input, i.input), i.index) if isinstance(i, Gather) else i

    def leaf(node: Expr) -> Expr | None:
        return Value(ref(node.ref), node.vector) if isinstance(node, Value) else None

    def op(old: Op) -> Op:
        if isinstance(old, For):
            return replace(old, body=tuple(map(op, old.body)))
        if isinstance(old, MatMul):
            return replace(old, out=ref(old.out), operand=ref(old.operand))
        return replace(old, out=ref(old.out), phi=replaced(old.phi, leaf))

    return replace(
        program,
        body=tuple(map(op, program.body)),
        outputs=tuple(replace(o, ref=ref(o.ref)) for o in program.outputs),
        families=tuple(replace(f, name=names.get(f.name, f.name)) for f in program.families),
    )
