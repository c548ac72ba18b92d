"""What the formulas of a limit are made of, besides the nodes of `tpc.core.expr`.

The Z of a vector, its parts, and expectations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tpc.core.affine import Affine
from tpc.core.expr import Delta, Expr, Index, Mul, OuterProduct, Ref, Value, mul, walk
from tpc.core.names import fresh
from tpc.core.traverse import substitute


@dataclass(frozen=True, slots=True)
class OfMember(Expr):
    """What is known of a member of a family."""

    ref: Ref

    @property
    def indices(self) -> tuple[Index, ...]:
        return self.ref.index

    def with_indices(self, indices: Sequence[Index]) -> Expr:
        return type(self)(Ref(self.ref.name, tuple(indices)))


@dataclass(frozen=True, slots=True)
class Z(OfMember):
    """`Z^x`, the limit of a vector's coordinates."""


@dataclass(frozen=True, slots=True)
class Hat(OfMember):
    """`Ẑ^h`, the Gaussian part of a product."""


@dataclass(frozen=True, slots=True)
class Dot(OfMember):
    """`Ż^h`, the rest of a product: what it owes to earlier products with the transpose."""


@dataclass(frozen=True, slots=True)
class Ring(OfMember):
    """`θ̊`, the limit of a scalar."""


@dataclass(frozen=True, slots=True)
class OfTwo(Expr):
    """What is known of two members of families."""

    of: Ref
    by: Ref

    @property
    def indices(self) -> tuple[Index, ...]:
        return (*self.of.index, *self.by.index)

    def with_indices(self, indices: Sequence[Index]) -> Expr:
        k = len(self.of.index)
        of, by = Ref(self.of.name, tuple(indices[:k])), Ref(self.by.name, tuple(indices[k:]))
        return replace(self, of=of, by=by)


@dataclass(frozen=True, slots=True)
class Partial(OfTwo):
    """`∂Z^of/∂Ẑ^by`, by symbol (TP4 Remark F.1)."""

    product: int = field(default=-1, compare=False, repr=False)  # the number of the site that makes `by`


@dataclass(frozen=True, slots=True)
class Stein(OfTwo):
    """The coefficient of `Z^y` in `Ż^of` by Stein's lemma (Remark F.2).

    `by` is the product with the transpose, and y its operand.
    """


@dataclass(frozen=True, slots=True)
class Expectation(Expr):
    """`E body`."""

    body: Expr

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (self.body,)

    def with_parts(self, parts: Sequence[Expr]) -> Expr:
        return expectation(*parts)


@dataclass(frozen=True, slots=True)
class TableKernel(OfMember):
    """The limit of a table's entries: a function of a point of the rows' space and one of the columns'.

    The second is of an independent copy. Flipped, the first one is (of the transpose).
    """

    flipped: bool = False

    def with_indices(self, indices: Sequence[Index]) -> Expr:
        return TableKernel(Ref(self.ref.name, tuple(indices)), self.flipped)


@dataclass(frozen=True, slots=True)
class Copied(Expr):
    """`Z′`: what is random in the body, of the independent copy."""

    body: Expr

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (self.body,)

    def with_parts(self, parts: Sequence[Expr]) -> Expr:
        return copied(*parts)


@dataclass(frozen=True, slots=True)
class CopyMean(Expr):
    """`E′ body`: the mean over the independent copy alone."""

    body: Expr

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (self.body,)

    def with_parts(self, parts: Sequence[Expr]) -> Expr:
        return CopyMean(*parts)


@dataclass(frozen=True, slots=True)
class Covariance(Expr):
    """`Cov(left, right)`."""

    left: Expr
    right: Expr

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (self.left, self.right)

    def with_parts(self, parts: Sequence[Expr]) -> Expr:
        return Covariance(*parts)


@dataclass(frozen=True, slots=True)
class Normal(Expr):
    """The law `N(mean, variance)`."""

    mean: Expr
    variance: Expr

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (self.mean, self.variance)

    def with_parts(self, parts: Sequence[Expr]) -> Expr:
        return Normal(*parts)


@dataclass(frozen=True, slots=True)
class Exact(Expr):
    """The closed form of an expectation, a sympy expression."""

    value: Any


def is_random(x: Expr) -> bool:
    """Does a Z occur outside of expectations?"""
    match x:
        case Z() | Hat() | Dot() | Partial() | TableKernel():
            return True
        case Value(_, vector):
            return vector
        case Expectation() | Covariance():
            return False
        case _:
            return any(is_random(part) for part in x.parts)


def copied(body: Expr) -> Expr:
    """`body` of the independent copy; what is not random is the same there."""
    return Copied(body) if is_random(body) else body


def expectation(body: Expr) -> Expr:
    """`E body`, with factors that are constants in front.

    So are the brackets of indices that no Z depends on.
    """
    if not is_random(body):
        return body
    if not isinstance(body, Mul):
        return Expectation(body)
    constant = [f for f in body.factors if not is_random(f)]
    return mul(*constant, Expectation(mul(*(f for f in body.factors if is_random(f)))))


def ordered(x: Expr) -> Expr:
    """A product with its constants before its Z's, as one writes it."""
    if not isinstance(x, Mul):
        return x
    return mul(*sorted(x.factors, key=_rank))


def _rank(x: Expr) -> int:
    match x:
        case Z() | Hat() | Dot() | TableKernel() | Copied():
            return 3
        case Delta():
            return 0
        case Expectation() | Partial():
            return 2
        case _:
            return 3 if is_random(x) else 1


Env = Mapping[str, Affine]
MAX_WRITTEN_OUT = 12


def at(x: Expr, env: Env) -> Expr:
    """`x` with its free loop variables replaced by indices; bound ones are renamed where they would capture.

    A sum whose length becomes a small number is written out.
    """
    return substitute(x, env, rename=fresh, short=MAX_WRITTEN_OUT)


def limits(x: Expr, inputs: frozenset[str], tables: frozenset[str] = frozenset()) -> Expr:
    """`x` in the limit (ZNonlin⁺, ZMoment).

    Every vector is replaced by its Z, in the columns of an outer product by that of a copy, every table by
    its kernel, and every scalar that the program makes by its limit.
    """
    match x:
        case Value(ref, True) if ref.name in tables:
            return TableKernel(ref)
        case OuterProduct(rows, columns):
            return mul(limits(rows, inputs), copied(limits(columns, inputs)))
        case Value(ref, True):
            return Z(ref)
        case Value(ref, False):
            return x if ref.name in inputs else Ring(ref)
        case _:
            return x.with_parts([limits(part, inputs, tables) for part in x.parts]) if x.parts else x


def moment(x: Expr, inputs: frozenset[str], tables: frozenset[str]) -> Expr:
    """`E x` in the limit (ZMoment); of tables over both sides, `E E′ x`."""
    value = limits(x, inputs, tables)
    return expectation(
        CopyMean(value) if any(isinstance(node, TableKernel) for node in walk(value)) else value
    )
