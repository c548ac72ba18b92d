"""Formulas of variances multiplied out, to see whether two of them are the same."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from tpc.core.affine import Affine
from tpc.core.expr import Add, Call, Expr, Mul, Number, Pow, Sum, Value, replace
from tpc.core.traverse import substitute
from tpc.gram.ir import Definition

Monomial = frozenset[tuple[Expr, Fraction]]  # atoms with their powers
Polynomial = Mapping[Monomial, Fraction]
UNIT: Monomial = frozenset()
MOST_TERMS, MOST_POWER = 64, 4
MOST_BITS = 4096  # bits of a number that a power of one may come to


class Monomials:
    """Everything in it is taken to be positive.

    definitions: arrays that are formulas of others are written out.
    """

    def __init__(self, definitions: Mapping[str, Definition]) -> None:
        self.definitions = definitions
        self.known: dict[Expr, Polynomial] = {}

    def of(self, x: Expr) -> Polynomial:
        if x not in self.known:
            self.known[x] = self._find(x)
        return self.known[x]

    def _find(self, x: Expr) -> Polynomial:
        match x:
            case Number(value):
                return {UNIT: value} if value else {}
            case Add(terms):
                return plus([self.of(term) for term in terms])
            case Mul(factors):
                out: Polynomial = {UNIT: Fraction(1)}
                for factor in factors:
                    out = times(out, self.of(factor))
                    if len(out) > MOST_TERMS:
                        return _atom(x)
                return out
            case Pow(base, Number(k)):
                return self._power(base, k) or _atom(x)
            case Call("sqrt", (base,)):
                return self._power(base, Fraction(1, 2)) or _atom(x)
            case Value():
                inner = open_array(x, self.definitions)
                return _atom(x) if inner is None else self.of(inner)
            case Sum():
                return _atom(anonymous(x))
        return _atom(x)

    def _power(self, base: Expr, k: Fraction) -> Polynomial | None:
        inner = self.of(base)
        if len(inner) == 1:
            ((monomial, coefficient),) = inner.items()
            if coefficient > 0:
                return times(
                    {frozenset((atom, p * k) for atom, p in monomial): Fraction(1)}, _root(coefficient, k)
                )
        if k.denominator == 1 and 0 < k <= MOST_POWER and len(inner) ** int(k) <= MOST_TERMS:
            out: Polynomial = {UNIT: Fraction(1)}
            for _ in range(int(k)):
                out = times(out, inner)
            return out
        return {frozenset({(base, k)}): Fraction(1)}


def plus(parts: list[Polynomial]) -> Polynomial:
    out: dict[Monomial, Fraction] = {}
    for part in parts:
        for monomial, coefficient in part.items():
            out[monomial] = out.get(monomial, Fraction(0)) + coefficient
    return {m: c for m, c in out.items() if c}


def times(a: Polynomial, b: Polynomial) -> Polynomial:
    return plus([_times(m, n, c * d) for m, c in a.items() for n, d in b.items()])


def _times(m: Monomial, n: Monomial, coefficient: Fraction) -> Polynomial:
    """The product of two, whole powers of numbers as part of the coefficient."""
    powers: dict[Expr, Fraction] = {}
    for atom, k in (*m, *n):
        powers[atom] = powers.get(atom, Fraction(0)) + k
    for atom, k in list(powers.items()):
        if k == 0:
            del powers[atom]
        elif isinstance(atom, Number) and _whole_power(atom.value, k):
            coefficient *= atom.value ** int(k)
            del powers[atom]
    return {frozenset(powers.items()): coefficient}


def _root(coefficient: Fraction, k: Fraction) -> Polynomial:
    if _whole_power(coefficient, k):
        return {UNIT: coefficient ** int(k)}
    return {UNIT: Fraction(1)} if coefficient == 1 else {frozenset({(Number(coefficient), k)}): Fraction(1)}


def _whole_power(value: Fraction, k: Fraction) -> bool:
    """Whether a power is a number, and one that can be written down."""
    bits = max(value.numerator.bit_length(), value.denominator.bit_length())
    return k.denominator == 1 and (value != 0 or k >= 0) and abs(k) * bits <= MOST_BITS


def _atom(x: Expr) -> Polynomial:
    return {frozenset({(x, Fraction(1))}): Fraction(1)}


def open_array(x: Value, definitions: Mapping[str, Definition]) -> Expr | None:
    """What an array is there, if that is one formula of other arrays."""
    definition = definitions.get(x.ref.name)
    if definition is None or not whole(definition):
        return None
    piece = definition.pieces[0]
    return (
        substitute(piece.formula, dict(zip(piece.variables, x.ref.index, strict=True)))
        if isinstance(piece.formula, Expr)
        else None
    )


def whole(definition: Definition) -> bool:
    """Whether one formula makes all of it."""
    return len(definition.pieces) == 1 and definition.pieces[0].extent == definition.shape


def anonymous(x: Sum) -> Expr:
    """The sum with its variable named after how deep it is."""

    def named(node: Expr, depth: int) -> Expr:
        if not isinstance(node, Sum):
            return replace(node, lambda part: named(part, depth) if isinstance(part, Sum) else None)
        variable = f"sum {depth}"
        return Sum(
            variable,
            node.count,
            named(substitute(node.body, {node.variable: Affine.var(variable)}), depth + 1),
        )

    return named(x, 0)
