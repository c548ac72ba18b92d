"""Ranges of options of optimizers, also of those that inputs decide."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Protocol

from tpc.core.option_bound import Bound
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.scope import NotANumberError, fraction
from tpc.syntax.tree import Tree
from tpc.syntax.walk import names_in


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


def check_range(
    scene: Ranged,
    option: str,
    value: Tree,
    time: tree.Range,
    wanted: str,
    *,
    least: Fraction | None = Fraction(0),
    below: Fraction | None = None,
) -> None:
    """Whether an option is at least `least`, or above 0 if that is None; else raises RefusedError.

    If it is made of inputs, they are looked at when they are given, in every round of a training.

    below: what it is below, if there is such a number.
    """
    bound = Bound(option, least or Fraction(0), least is None, below, wanted)
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
        raise RefusedError(catalogue.options.option_range(value.span, option, wanted))
