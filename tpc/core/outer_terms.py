"""Expressions over tables as sums of outer products, `Σ c · rows_α columns_β`, where they are such.

The sign of one outer product is the product of the signs, and so are its absolute value and its powers; sums,
products and whole powers of sums are sums again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import combinations

from tpc.core.affine import Affine, Ranges
from tpc.core.brackets import difference
from tpc.core.expr import (
    ONE,
    ZERO,
    Add,
    Call,
    Compare,
    Expr,
    Gather,
    Index,
    Mul,
    Number,
    OuterProduct,
    Pow,
    Ref,
    Sum,
    Value,
    call,
    is_vector,
    mul,
    power,
)
from tpc.core.names import LETTERS, numbered
from tpc.core.signs import nonnegative
from tpc.core.traverse import NotWholeError, substitute, substitute_index

MOST_FACTORS = 64  # outer products in one sum, its ranges not counted


class NotSeparateError(Exception):
    """A table is no sum of outer products that is told here, or one of too many."""


@dataclass(frozen=True, slots=True)
class OuterTerm:
    """`Σ_ranges scale · rows_α columns_β`."""

    scale: Expr = ONE
    rows: Expr = ONE
    columns: Expr = ONE
    ranges: Ranges = ()

    def at(self, env: Mapping[str, Index]) -> OuterTerm:
        """With indices for variables that its ranges do not bind. Raises NotWholeError."""
        scale, rows, columns = (substitute(x, env) for x in (self.scale, self.rows, self.columns))
        return OuterTerm(scale, rows, columns, counted(self.ranges, env))

    def called(self, taken: set[str]) -> OuterTerm:
        """With variables of ranges that are not taken, and are now."""
        names = dict[str, str]()
        for variable, _ in self.ranges:
            names[variable] = own_name(variable, taken)
        new = self.at({v: Affine.var(name) for v, name in names.items() if name != v})
        return replace(new, ranges=tuple((names[v], count) for v, count in new.ranges))


Terms = tuple[OuterTerm, ...]


def counted(ranges: Ranges, env: Mapping[str, Index]) -> Ranges:
    """Ranges with indices in their counts. Raises NotWholeError."""
    found = [(v, substitute_index(count, env)) for v, count in ranges]
    if any(isinstance(count, Gather) for _, count in found):
        raise NotWholeError
    return tuple((v, count) for v, count in found if isinstance(count, Affine))


def own_name(wish: str, taken: set[str]) -> str:
    """A name of a variable that is not taken, and is now."""
    name = next((x for x in (wish, *LETTERS) if x not in taken), None) or numbered(LETTERS[0], taken)
    taken.add(name)
    return name


@dataclass
class OuterSums:
    """The sums that expressions come to, of tables that are known as such."""

    of_table: Callable[[Ref], Terms]
    # families whose members are nowhere below 0
    positive: frozenset[str] = frozenset()
    # variables that no range may be called by
    taken: set[str] = field(default_factory=set)

    def terms(self, x: Expr) -> Terms:
        """Raises NotSeparateError."""
        if not is_vector(x):
            return () if x == ZERO else (OuterTerm(x),)
        match x:
            case Value(ref):
                return self.of_table(ref)
            case OuterProduct(rows, columns):
                return (OuterTerm(ONE, rows, columns),)
            case Add(parts):
                return bounded(tuple(term for part in parts for term in self.terms(part)))
            case Mul(factors):
                return self.product([self.terms(factor) for factor in factors])
            case Sum(variable, count, body):
                return self.sum(variable, count, body)
            case Pow(base, Number(k)):
                return self.power(base, k)
            case Call("sign" | "abs" as function, (argument,)):
                return tuple(each(term, lambda part: call(function, part)) for term in self.one(argument))
            case Call("sqrt", (argument,)):
                return self.power(argument, Fraction(1, 2))
            case Call("where", (Compare(">", size, right), value, other)) if right == other == ZERO:
                return self.where_positive(size, value)
        raise NotSeparateError

    def sum(self, variable: str, count: Affine, body: Expr) -> Terms:
        if count.constant == 1:
            return self.terms(substitute(body, {variable: Affine()}))
        own = own_name(variable, self.taken)
        inner = self.terms(substitute(body, {variable: Affine.var(own)}) if own != variable else body)
        return tuple(replace(term, ranges=((own, count), *term.ranges)) for term in inner)

    def product(self, factors: list[Terms]) -> Terms:
        found: Terms = (OuterTerm(),)
        for terms in factors:
            found = bounded(tuple(self.times(a, b) for a in found for b in terms))
        return found

    def times(self, a: OuterTerm, b: OuterTerm) -> OuterTerm:
        used = {variable for variable, _ in a.ranges}
        b = b.called(self.taken) if used & {variable for variable, _ in b.ranges} else b
        return OuterTerm(
            mul(a.scale, b.scale), mul(a.rows, b.rows), mul(a.columns, b.columns), (*a.ranges, *b.ranges)
        )

    def power(self, base: Expr, k: Fraction) -> Terms:
        terms = self.terms(base)
        if at_most_one(terms) and (len(terms) == 1 or k > 0):
            if k.denominator == 1:
                return tuple(each(term, lambda part: power(part, Number(k))) for term in terms)
            if nonnegative(base, self.positive):
                root = partial(absolute, positive=self.positive)
                return tuple(each(term, lambda part: power(root(part), Number(k))) for term in terms)
        if k.denominator != 1 or not 0 < k <= MOST_FACTORS:
            raise NotSeparateError
        return self.product([terms] * int(k))

    def one(self, x: Expr) -> Terms:
        """Terms of which at most one is not 0: a function that is 0 at 0 may be taken of each."""
        terms = self.terms(x)
        if not at_most_one(terms):
            raise NotSeparateError
        return terms

    def only(self, x: Expr) -> OuterTerm:
        terms = self.one(x)
        if len(terms) != 1:
            raise NotSeparateError
        return terms[0]

    def where_positive(self, size: Expr, value: Expr) -> Terms:
        """`value` where `size`, nowhere below 0, is above it: where none of its factors is 0."""
        if not nonnegative(size, self.positive):
            raise NotSeparateError
        where, what = self.only(size), self.only(value)

        def there(factor: Expr, part: Expr) -> Expr:
            if isinstance(factor, Number):
                return part if factor.value else ZERO
            return call("where", Compare(">", absolute(factor, self.positive), ZERO), part, ZERO)

        rows, columns = there(where.rows, what.rows), there(where.columns, what.columns)
        return (OuterTerm(there(where.scale, what.scale), rows, columns),)


def at_most_one(terms: Terms) -> bool:
    """Whether it is one outer product, or of one member of a family each: `[k = 0]·… + [k = 1]·…`."""
    if any(term.ranges for term in terms):
        return False
    tests = [[test for x in factors(term.scale) if (test := difference(x)) is not None] for term in terms]
    return bool(terms) and all(
        any(apart.constant not in (None, 0) for a in one for b in other for apart in (a - b, a + b))
        for one, other in combinations(tests, 2)
    )


def factors(x: Expr) -> tuple[Expr, ...]:
    return x.factors if isinstance(x, Mul) else (x,)


def each(term: OuterTerm, function: Callable[[Expr], Expr]) -> OuterTerm:
    """A function that is multiplicative, of all factors."""

    def of(part: Expr) -> Expr:
        return part if part == ONE else function(part)

    return OuterTerm(of(term.scale), of(term.rows), of(term.columns))


def absolute(x: Expr, positive: frozenset[str]) -> Expr:
    if isinstance(x, Number):
        return Number(abs(x.value))
    return x if nonnegative(x, positive) else call("abs", x)


def bounded(terms: Terms) -> Terms:
    if len(terms) > MOST_FACTORS:
        raise NotSeparateError
    return terms
