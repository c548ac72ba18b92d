"""Sizes with open exponents.

n to the largest of several affine forms, under facts that make most of them superfluous.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from tpc.core.exponent import Exponent

Forms = frozenset[Exponent]  # the size is the largest


class NotWrittenError(Exception):
    """A size that is no maximum of forms: the smaller of two that nothing is known of."""


class Open:
    """The algebra of such sizes.

    solved: what exponents must be for stability. facts: forms that are at most 0 in what is stable.

    Changes are taken to be no larger than what they change, as in what is stable.
    """

    def __init__(self, solved: Mapping[str, Exponent] | None = None) -> None:
        self.solved = solved or {}
        self.facts: set[Exponent] = set()
        self.known: dict[tuple[Forms, int], Forms] = {}

    def const(self, form: Exponent) -> Forms:
        return frozenset({form.substitute(self.solved)})

    def plus(self, x: Forms | None, y: Forms | None) -> Forms | None:
        return None if x is None or y is None else self.reduced({a + b for a in x for b in y})

    def join(self, x: Forms | None, y: Forms | None) -> Forms | None:
        return y if x is None else x if y is None or x == y else self.reduced(x | y)

    def least(self, x: Forms | None, y: Forms | None) -> Forms | None:
        """Where it is asked for, the first is the smaller one in what is stable.

        a change beside 1, or beside what changes.
        """
        return None if y is None else x

    def smaller(self, x: Forms | None, y: Forms | None) -> Forms | None:
        """Of two that nothing is taken for granted of, as a norm and its bound."""
        if x is None or y is None:
            return None
        for one, other in ((x, y), (y, x)):
            if all(implied(form, sorted(other, key=str), self.facts) for form in one):
                return one
        raise NotWrittenError

    def scaled(self, x: Forms | None, factor: Fraction) -> Forms | None:
        if x is not None and factor < 0 and len(x) > 1:
            raise NotWrittenError
        return None if x is None else frozenset(form.scaled(factor) for form in x)

    def reduced(self, forms: Iterable[Exponent]) -> Forms:
        """Without those that never are the largest, given the facts."""
        whole = frozenset(forms)
        if len(whole) == 1:
            return whole
        key = whole, len(self.facts)
        if key not in self.known:
            kept = list(_largest_consts(whole))
            for form in sorted(kept, key=str):
                rest = [g for g in kept if g != form]
                if rest and implied(form, rest, self.facts):
                    kept = rest
            self.known[key] = frozenset(kept)
        return self.known[key]


def _largest_consts(forms: Forms) -> set[Exponent]:
    """The forms without those that another exceeds by a number."""
    best: dict[tuple[tuple[str, Fraction], ...], Fraction] = {}
    for form in forms:
        best[form.terms] = max(form.const, best.get(form.terms, form.const))
    return {Exponent(const, terms) for terms, const in best.items()}


def implied(form: Exponent, others: Sequence[Exponent], facts: Iterable[Exponent]) -> bool:
    """Whether `form` is at most the largest of `others` where the facts are at most 0.

    By Farkas' lemma it is then a mean of the others, facts and slack.
    """
    import numpy as np
    from scipy.optimize import linprog  # type: ignore[attr-defined,unused-ignore]

    columns = [*others, *facts]
    names = sorted({name for x in (form, *columns) for name, _ in x.terms})

    def vector(x: Exponent) -> list[float]:
        own = dict(x.terms)
        return [float(own.get(name, 0)) for name in names] + [float(x.const)]

    # form = Σ μ g + Σ λ fact − slack, with Σ μ = 1
    matrix = np.array([vector(x) for x in columns]).T.reshape(len(names) + 1, len(columns))
    slack = np.zeros((len(names) + 1, 1))
    slack[-1] = -1
    weights = np.array([[1.0] * len(others) + [0.0] * (len(columns) - len(others) + 1)])
    found: Any = linprog(
        np.zeros(len(columns) + 1),
        A_eq=np.vstack([np.hstack([matrix, slack]), weights]),
        b_eq=[*vector(form), 1.0],  # type: ignore[no-untyped-call,unused-ignore]
        method="highs",
    )
    return bool(found.status == 0)


def solve(equations: Iterable[Exponent]) -> dict[str, Exponent]:
    """What some of the exponents are, if all `equations` are 0.

    B's, as far as they occur, in terms of the rest.
    """
    solved: dict[str, Exponent] = {}
    for equation in equations:
        left = equation.substitute(solved)
        if not left.terms:
            continue
        name, k = max(left.terms, key=lambda term: (term[0].startswith("b"), term[0]))
        value = (left - Exponent.var(name).scaled(k)).scaled(-1 / k)
        solved = {other: x.substitute({name: value}) for other, x in solved.items()} | {name: value}
    return solved
