"""Which vectors are linear, coordinate by coordinate, in what the rest of them is independent of.

They are linear in initial vectors of mean 0, or in products Q x with a matrix that the rest, and x, are made
without: given these, they are initial vectors of covariance E x x'.

The mean of such a vector, v·x with v Gaussian of mean 0 and x made without v, is Gaussian given x, of mean 0
and variance E v² · E x²/n: the law of large numbers gives 0, the central limit theorem a scalar of order
n^{-1/2}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tpc.core.expr import ZERO, Add, Expr, Mul, Sum, Value, add, children, mul, summed, values
from tpc.core.program import Gaussians

PRODUCT = "@"  # what the names of products with a matrix begin with, among groups
RANDOM = "·"  # in place of a group: scalars that are random in the limit
MOST_TERMS = 256  # a product of sums is not written out beyond this

Groups = frozenset[str]
NO_GROUPS: Groups = frozenset()


def entries(matrix: str) -> str:
    """What products with a matrix are made of, in place of a group of initial vectors."""
    return f"{PRODUCT}{matrix}"


@dataclass(frozen=True, slots=True)
class Chance:
    """What a value is made of.

    Groups of initial vectors, each by its first name, and products with matrices, by the matrix.
    """

    # those in which it is linear, None if it is not
    linear: Groups | None = NO_GROUPS
    # the rest
    others: Groups = NO_GROUPS

    @property
    def groups(self) -> Groups:
        return self.others | (self.linear or NO_GROUPS)

    @property
    def vanishes(self) -> bool:
        """Whether the mean over coordinates is 0 in the limit, for this reason."""
        return bool(self.linear)


ANY = Chance(None)


def join(parts: Iterable[Chance]) -> Chance:
    """A sum, or a family that is now the one, now the other."""
    parts = list(parts)
    linear = frozenset[str]().union(*(part.groups if part.linear is None else part.linear for part in parts))
    others = frozenset[str]().union(*(part.others for part in parts))
    if any(part.linear is None for part in parts) or linear & others:
        return Chance(None, linear | others)
    return Chance(linear, others)


def initial_chance(group: Gaussians) -> Chance:
    own = frozenset({group.names[0]})
    return Chance(own, NO_GROUPS) if all(mean == ZERO for mean in group.mean) else Chance(None, own)


@dataclass(frozen=True)
class Chances:
    """What values are made of."""

    # what a vector or scalar is made of
    of: Callable[[Value], Chance] = field(repr=False)
    # groups that a product is not told to be linear in, where there are others
    avoid: Groups = NO_GROUPS

    def expr(self, x: Expr) -> Chance:
        match x:
            case Value():
                return self.of(x)
            case Add(terms):
                return join(map(self.expr, terms))
            case Sum(_, _, body):
                return self.expr(body)
            case Mul(factors):
                return self._product([self.expr(factor) for factor in factors])
            case _ if x == ZERO:
                return Chance()
            case _:
                return Chance(None, frozenset[str]().union(*(self.expr(part).groups for part in children(x))))

    def _product(self, parts: list[Chance]) -> Chance:
        for k in sorted(
            range(len(parts)), key=lambda k: any(group.startswith(PRODUCT) for group in parts[k].groups)
        ):
            part = parts[k]  # an initial vector, if there is one, before products with matrices
            rest = frozenset[str]().union(
                part.others, *(other.groups for other in parts[:k] + parts[k + 1 :])
            )
            if part.linear is not None and not part.linear & (rest | self.avoid):
                return Chance(part.linear, rest)
        return Chance(None, frozenset[str]().union(*(part.groups for part in parts)))

    def split(self, x: Expr) -> tuple[Expr, Expr]:
        """`x` as a sum of what has mean 0 for this reason, and the rest."""
        if not any(v.vector and self.of(v).vanishes for v in values(x)):
            return ZERO, x
        if self.expr(x).vanishes:
            return x, ZERO
        terms = additive(x)
        found = [self.expr(term).vanishes for term in terms]
        if not any(found):
            return ZERO, x
        return add(*(t for t, own in zip(terms, found, strict=True) if own)), add(
            *(t for t, own in zip(terms, found, strict=True) if not own)
        )


def additive(x: Expr) -> list[Expr]:
    """The terms of `x`, products of sums written out where there are not too many."""
    match x:
        case Add(terms):
            return [part for term in terms for part in additive(term)]
        case Sum(variable, count, body):
            return [summed(variable, count, part) for part in additive(body)]
        case Mul(factors):
            out: list[Expr] = [mul()]
            for factor in factors:
                parts = additive(factor)
                if len(out) * len(parts) > MOST_TERMS:
                    return [x]
                out = [mul(a, b) for a in out for b in parts]
            return out
        case _:
            return [x]
