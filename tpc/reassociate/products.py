"""Expressions that are linear in their vectors, or bilinear under a mean, as sums of terms.

Each a sum over indices of a product.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tpc.core.affine import Affine, Ranges
from tpc.core.expr import (
    Add,
    Expr,
    Gather,
    Mul,
    Number,
    Position,
    Pow,
    Ref,
    Sum,
    Value,
    is_vector,
    number,
    walk,
)
from tpc.core.functions import is_defined
from tpc.core.names import SplitName
from tpc.core.traverse import NotWholeError, free_variables, index_variables, ref_variables, substitute

MAX_TERMS = 32  # an expression that comes to more is left as it is


class NotMultilinearError(Exception):
    """The expression is no sum of such terms."""


@dataclass(frozen=True, slots=True)
class Term:
    """`number · Π scalars · Π vectors`, summed over `sums`, whose counts do not depend on each other."""

    number: Fraction = Fraction(1)
    sums: Ranges = ()
    scalars: tuple[Expr, ...] = ()
    vectors: tuple[Ref, ...] = ()

    def __mul__(self, other: Term) -> Term:
        return Term(
            self.number * other.number,
            self.sums + other.sums,
            self.scalars + other.scalars,
            self.vectors + other.vectors,
        )


DefinitionOf = Callable[[Ref], "Expr | None"]  # what a vector stands for, None if it is one that is made


class MultilinearExpansion:
    """Expands expressions. define: of vectors that are not made. Bound variables get names of their own."""

    def __init__(self, define: DefinitionOf) -> None:
        self.define = define
        self.count = itertools.count(1)

    def terms(self, x: Expr) -> list[Term]:
        """Raises NotMultilinearError."""
        if not is_vector(x):
            return [self._scalar(x)]
        match x:
            case Value(ref, _):
                meaning = self.define(ref)
                return [Term(vectors=(ref,))] if meaning is None else self.terms(meaning)
            case Add(parts):
                return self._few([term for part in parts for term in self.terms(part)])
            case Mul(parts):
                return self._product([self.terms(part) for part in parts])
            case Pow(base, exponent) if exponent == number(2):
                return self._product([self.terms(base), self.terms(base)])
            case Sum(variable, count, body):
                fresh = self._fresh(variable)
                inside = self.terms(substitute(body, {variable: Affine.var(fresh)}))
                return [self._sum(fresh, count, term) for term in inside]
        raise NotMultilinearError

    def _fresh(self, variable: str) -> str:
        return str(SplitName(SplitName.of(variable).base, str(next(self.count))))

    def _scalar(self, x: Expr) -> Term:
        """A scalar as one term: sums and products are taken apart as far as they are that."""
        match x:
            case Number(value):
                return Term(value)
            case Mul(parts):
                out = Term()
                for part in parts:
                    out = out * self._scalar(part)
                return out
            case Sum(variable, count, body) if not isinstance(body, Add):
                fresh = self._fresh(variable)
                return self._sum(fresh, count, self._scalar(substitute(body, {variable: Affine.var(fresh)})))
        return Term(scalars=(x,))

    def _sum(self, variable: str, count: Affine, term: Term) -> Term:
        if any(variable in inner.variables for _, inner in term.sums):
            raise NotMultilinearError  # a triangle is no array
        if count.constant is None and not all(
            is_defined(x) or variable in free_variables(x) for x in term.scalars
        ):
            raise NotMultilinearError  # where there are no terms this factor may be no number
        if any(variable in free_variables(x) for x in term.scalars) or any(
            variable in ref_variables(ref) for ref in term.vectors
        ):
            return Term(term.number, ((variable, count), *term.sums), term.scalars, term.vectors)
        return term * (
            Term(Fraction(count.const)) if count.constant is not None else Term(scalars=(Position(count),))
        )

    def _product(self, factors: Sequence[list[Term]]) -> list[Term]:
        out = [Term()]
        for terms in factors:
            out = self._few([a * b for a in out for b in terms])
        return out

    def _few(self, terms: list[Term]) -> list[Term]:
        if len(terms) > MAX_TERMS:
            raise NotMultilinearError
        return terms


def indices_of_onehots(term: Term, moving: frozenset[str]) -> bool:
    """Whether a factor takes one of `moving` as a number, as a one-hot input does.

    A product with it is no product of arrays.
    """
    return any(
        isinstance(node, Position) and node.index.variables & moving for x in term.scalars for node in walk(x)
    )


def meaning_at(out: Ref, phi: Expr, used: Ref) -> Expr | None:
    """What `used` stands for if `out = phi` is its definition.

    None if that cannot be said by replacing variables.
    """
    at: dict[str, Affine] = {}
    gathered: dict[str, Gather] = {}
    for own, index in zip(out.index, used.index, strict=True):
        assert isinstance(own, Affine)
        if not own.variables:
            if own != index:
                return None
        elif isinstance(index, Gather):
            gathered[next(iter(own.variables))] = index
        else:
            at[next(iter(own.variables))] = index
    moving = gathered.keys()
    if moving and any(
        isinstance(node, Position | Sum) and any(index_variables(i) & moving for i in node.indices)
        for node in walk(phi)
    ):
        return None
    try:
        return substitute(phi, {**at, **gathered})
    except NotWholeError:
        return None
