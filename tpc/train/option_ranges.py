"""Ranges of options of optimizers, also of those that inputs decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from tpc.core.option_bound import Bound
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.scope import NotANumberError, fraction
from tpc.syntax.tree import Tree
from tpc.syntax.walk import names_in


@dataclass(frozen=True, slots=True)
class ParameterRange:
    """The numbers that an option may be, in words, too."""

    wanted: str
    # the least one; above 0 if that is None
    least: Fraction | None = Fraction(0)
    below: Fraction | None = None


NOT_BELOW_0 = ParameterRange("at least 0")


class FreshNames(Protocol):
    """What gives names that nothing has yet."""

    def fresh(self, wish: str, /) -> str: ...


class Ranged(Protocol):
    """What keeps the ranges of options that inputs decide."""

    @property
    def constants(self) -> Mapping[str, int]: ...

    @property
    def names(self) -> FreshNames: ...

    @property
    def bounds(self) -> list[tree.OutputStatement]: ...


def check_range(scene: Ranged, option: str, value: Tree, time: tree.Range, own: ParameterRange) -> None:
    """Whether an option is in its range; else raises RefusedError.

    If it is made of inputs, they are looked at when they are given, in every round of a training.
    """
    bound = Bound(option, own.least or Fraction(0), own.least is None, own.below, own.wanted)
    try:
        number = fraction(value, dict(scene.constants))
    except (NotANumberError, OverflowError):
        uses = any(name.name == time.variable.name for name in names_in(value))
        target: Tree = tree.Name(value.span, scene.names.fresh(option))
        if uses:
            target = tree.Indexed(value.span, target, (time.variable,))
        clauses = (time,) if uses else ()
        scene.bounds.append(tree.OutputStatement(value.span, target, value, clauses, bound=bound))
        return
    if not bound.holds(number):
        raise RefusedError(catalogue.options.option_range(value.span, option, own.wanted))
