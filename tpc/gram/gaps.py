"""How the correlation of two Gaussians falls short of 1.

From the covariances that theirs is made of, so that small angles keep their digits.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from tpc.core.affine import Affine
from tpc.core.expr import ONE, Add, Expr, Mul, Number, Ref, Sum, Value, add, mul, number, power
from tpc.core.signs import nonnegative
from tpc.core.traverse import free_variables, substitute
from tpc.gram.ir import Closed, Definition, Factor
from tpc.gram.monomials import UNIT, Monomials, Polynomial, open_array, plus, times, whole

RELU = Factor(1, "step")
MOST_SUMMANDS, DEEPEST = 64, 100  # that a sum is multiplied out to, and arrays opened inside of each other
MOST_TERMS = 4  # of a sum: their number of pairs is what is computed


@dataclass(frozen=True, slots=True)
class Product:
    """The gap of `c`, Σ left·right over some variables, left and right being inputs of the program."""

    c: Expr
    variables: tuple[str, ...]
    left: Expr
    right: Expr
    # `q`, `r`: the sums of their squares
    q: Expr
    r: Expr


@dataclass(frozen=True, slots=True)
class OfRelu:
    """The gap of an array that is `E relu(u)·relu(v)`, at these indices."""

    ref: Ref


@dataclass(frozen=True, slots=True)
class OfSum:
    """The gap of an array, at these indices, that is a sum of covariances."""

    ref: Ref
    terms: tuple[GapTerm, ...]


@dataclass(frozen=True, slots=True)
class Common:
    """No gap: what is added to both is the same."""


@dataclass(frozen=True, slots=True)
class GapTerm:
    """A covariance that is a term of one: `sign·√(q·r)·(1 − gap)`."""

    gap: Product | OfRelu | OfSum | Common
    sign: int
    q: Expr
    r: Expr
    # `left`, `right`: q and r multiplied out, without the sign
    left: Polynomial = field(compare=False)
    right: Polynomial = field(compare=False)


Sides = tuple[frozenset[str], frozenset[str]]


class Gaps:
    """Finds what gaps follow from. definitions: the arrays, by name."""

    def __init__(self, definitions: Mapping[str, Definition], inputs: frozenset[str]) -> None:
        self.definitions, self.inputs = definitions, inputs
        self.monomials = Monomials(definitions)
        self.cores: dict[tuple[Expr, Sides], tuple[Product | OfRelu | OfSum, Expr, Expr] | None] = {}

    def terms(self, x: Closed) -> tuple[GapTerm, ...]:
        """Covariances that `c` is the sum of, `q` and `r` being the sums of their variances.

        () if there are none such.
        """
        found = self._sum(x.c, (frozenset(free_variables(x.q)), frozenset(free_variables(x.r))))
        sums = [
            plus([times({UNIT: Fraction(t.sign)}, side) for t, side in zip(found, of, strict=True)])
            for of in ([t.left for t in found], [t.right for t in found])
        ]
        return found if sums == [self.monomials.of(x.q), self.monomials.of(x.r)] else ()

    def _sum(self, c: Expr, sides: Sides) -> tuple[GapTerm, ...]:
        """The terms of a sum of covariances, () if one of them is none.

        Those that all others are written out to, if they are few.
        """
        return self._terms(self._summands(c, (Add,)), sides) or self._terms(self._summands(c, ()), sides)

    def _terms(self, parts: Iterator[tuple[Expr, int] | None], sides: Sides) -> tuple[GapTerm, ...]:
        found: list[GapTerm] = []
        for part in itertools.islice(parts, MOST_SUMMANDS + 1):
            term = None if part is None else self._term(*part, sides)
            if term is None:
                return ()
            found = _join(found, term)
        whole = next(parts, None) is None
        return (
            tuple(found)
            if whole and len(found) <= MOST_TERMS and (all(t.sign == 1 for t in found) or alike(found))
            else ()
        )

    def _summands(
        self, x: Expr, opening: tuple[type[Expr], ...], depth: int = 0
    ) -> Iterator[tuple[Expr, int] | None]:
        """Terms with their signs.

        Arrays that are multiples of others are written out, and those that are expressions of the kinds
        `opening`; None where that leads too far.
        """
        if depth > DEEPEST:
            yield None
            return
        if isinstance(x, Add):
            for term in x.terms:
                yield from self._summands(term, opening, depth + 1)
            return
        factors = list(x.factors) if isinstance(x, Mul) else [x]
        first = factors[0]
        if isinstance(first, Number) and first.value < 0:
            for part in self._summands(mul(number(-1), x), opening, depth + 1):
                yield None if part is None else (part[0], -part[1])
            return
        for k, factor in enumerate(factors):
            inner = (
                open_array(factor, self.definitions)
                if isinstance(factor, Value)
                else factor
                if isinstance(factor, Add)
                else None
            )
            if inner is not None and (isinstance(factor, Add) or isinstance(inner, (Value, Mul, *opening))):
                for term in inner.terms if isinstance(inner, Add) else (inner,):
                    yield from self._summands(mul(*factors[:k], term, *factors[k + 1 :]), opening, depth + 1)
                return
        yield x, 1

    def _term(self, x: Expr, sign: int, sides: Sides) -> GapTerm | None:
        """A product of one covariance with factors that are not negative.

        Each of these depends on one side, or on both in the same way.
        """
        factors = list(x.factors) if isinstance(x, Mul) else [x]
        left, right = sides
        core: Expr | None = None
        ways: list[Expr] = [ONE, ONE]
        for factor in factors:
            own = free_variables(factor)
            if not own - (left & right) and nonnegative(factor):
                ways = [mul(way, factor) for way in ways]
            elif nonnegative(factor) and (own <= left or own <= right):
                side = 0 if own <= left else 1
                ways[side] = mul(ways[side], power(factor, number(2)))
            elif core is None:
                core = factor
            else:
                return None
        gap, q, r = (Common(), ONE, ONE) if core is None else self._core(core, sides) or (None, ONE, ONE)
        if gap is None:
            return None
        q, r = mul(ways[0], q), mul(ways[1], r)
        return GapTerm(gap, sign, q, r, self.monomials.of(q), self.monomials.of(r))

    def _core(self, x: Expr, sides: Sides) -> tuple[Product | OfRelu | OfSum, Expr, Expr] | None:
        """Its gap and variances."""
        if (x, sides) not in self.cores:
            self.cores[x, sides] = self._find(x, sides)
        return self.cores[x, sides]

    def _find(self, x: Expr, sides: Sides) -> tuple[Product | OfRelu | OfSum, Expr, Expr] | None:
        if isinstance(x, Sum):
            return self._product(x, x, sides)
        if not isinstance(x, Value) or x.ref.name not in self.definitions or not plain(x.ref):
            return None
        inner = open_array(x, self.definitions)
        if isinstance(inner, Sum):
            return self._product(inner, x, sides)
        if inner is not None:
            terms = self._sum(inner, sides)
            q, r = (
                add(*(mul(number(t.sign), t.q) for t in terms)),
                add(*(mul(number(t.sign), t.r) for t in terms)),
            )
            positive = all(k > 0 for side in (q, r) for k in self.monomials.of(side).values())
            return (OfSum(x.ref, terms), q, r) if terms and positive else None
        definition = self.definitions[x.ref.name]
        formula = definition.pieces[0].formula
        if not whole(definition) or not isinstance(formula, Closed) or not is_relu(formula):
            return None
        for ref in (x.ref, _turned(x.ref, definition, formula)):
            at = dict(zip(definition.pieces[0].variables, ref.index, strict=True))
            q, r = (mul(number(Fraction(1, 2)), substitute(side, at)) for side in (formula.q, formula.r))
            if free_variables(q) <= sides[0] and free_variables(r) <= sides[1]:
                return OfRelu(ref), q, r
        return OfRelu(ref), r, q

    def _product(self, x: Sum, c: Expr, sides: Sides) -> tuple[Product, Expr, Expr] | None:
        """The product of two vectors of inputs, one of each side."""
        variables: list[str] = []
        counts: list[Affine] = []
        body: Expr = x
        while isinstance(body, Sum):
            variables, counts, body = [*variables, body.variable], [*counts, body.count], body.body
        factors = body.factors if isinstance(body, Mul) else (body,)
        bound = frozenset(variables)
        if len(factors) != 2 or not all(
            isinstance(f, Value) and f.ref.name in self.inputs and plain(f.ref) for f in factors
        ):
            return None
        own = [frozenset(free_variables(f)) for f in factors]
        if not all(bound <= o for o in own):
            return None
        if not (own[0] <= sides[0] | bound and own[1] <= sides[1] | bound):
            factors, own = factors[::-1], own[::-1]
        if not (own[0] <= sides[0] | bound and own[1] <= sides[1] | bound):
            return None
        squares = []
        for factor in factors:
            square: Expr = mul(factor, factor)
            for variable, count in zip(reversed(variables), reversed(counts), strict=True):
                square = Sum(variable, count, square)
            squares.append(square)
        q, r = squares
        return Product(c, tuple(variables), factors[0], factors[1], q, r), q, r


def is_relu(x: Closed) -> bool:
    return x.left == RELU == x.right and not x.registered


def _join(terms: list[GapTerm], new: GapTerm) -> list[GapTerm]:
    """With one more term; two of the same gap, if one is a multiple of the other, are one."""
    for k, term in enumerate(terms):
        if (
            term.gap == new.gap
            and alike([term, new])
            and (ratio := _ratio(new.left, term.left)) == _ratio(new.right, term.right)
        ):
            weight = term.sign + new.sign * ratio
            if not weight:
                return terms[:k] + terms[k + 1 :]
            size = number(abs(weight))
            left, right = (times({UNIT: size.value}, side) for side in (term.left, term.right))
            joined = GapTerm(
                term.gap, 1 if weight > 0 else -1, mul(size, term.q), mul(size, term.r), left, right
            )
            return [*terms[:k], joined, *terms[k + 1 :]]
    return [*terms, new]


def _ratio(x: Polynomial, y: Polynomial) -> Fraction:
    return sum(x.values(), Fraction(0)) / sum(y.values(), Fraction(0))


def _turned(ref: Ref, definition: Definition, formula: Closed) -> Ref:
    """The member for the two Gaussians the other way round, which is the same."""
    places = {v: k for k, v in enumerate(definition.pieces[0].variables)}
    index = list(ref.index)
    for a, b in formula.same:
        index[places[a]], index[places[b]] = index[places[b]], index[places[a]]
    return Ref(ref.name, tuple(index))


def alike(terms: Sequence[GapTerm]) -> bool:
    """Whether the variances of the terms are multiples of each other."""
    return all(
        len({_scaled(side) for side in of}) == 1 for of in ([t.left for t in terms], [t.right for t in terms])
    )


def _scaled(x: Polynomial) -> frozenset[object]:
    total = sum(x.values())
    return frozenset((monomial, coefficient / total) for monomial, coefficient in x.items())


def plain(ref: Ref) -> bool:
    """Whether it is at one variable of its own, or at a number, on each axis."""
    found = [i.terms[0][0] if isinstance(i, Affine) and i.terms else None for i in ref.index]
    return len(set(found) - {None}) == len([v for v in found if v]) and all(
        isinstance(i, Affine) and (not i.terms or i == Affine.var(i.terms[0][0])) for i in ref.index
    )
