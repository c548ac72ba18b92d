"""What the formulas of a limit are made of, besides the nodes of `tpc.core.expr`.

The Z of a vector, its parts, and expectations.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tpc.core.affine import Affine
from tpc.core.expr import (
    ONE,
    ZERO,
    Expr,
    Gather,
    Index,
    Mul,
    Position,
    Ref,
    Sum,
    Value,
    add,
    children,
    mul,
    new_position,
    rebuild,
    substitute_index,
    substitute_ref,
    summed,
)


@dataclass(frozen=True, slots=True)
class Z(Expr):
    """`Z^x`, the limit of a vector's coordinates."""

    ref: Ref


@dataclass(frozen=True, slots=True)
class Hat(Expr):
    """`Ẑ^h`, the Gaussian part of a product."""

    ref: Ref


@dataclass(frozen=True, slots=True)
class Dot(Expr):
    """`Ż^h`, the rest of a product: what it owes to earlier products with the transpose."""

    ref: Ref


@dataclass(frozen=True, slots=True)
class Ring(Expr):
    """`θ̊`, the limit of a scalar."""

    ref: Ref


@dataclass(frozen=True, slots=True)
class Partial(Expr):
    """`∂Z^of/∂Ẑ^by`, by symbol (TP4 Remark F.1)."""

    of: Ref
    by: Ref
    product: int = field(default=-1, compare=False, repr=False)  # the number of the site that makes `by`


@dataclass(frozen=True, slots=True)
class Expectation(Expr):
    """`E body`."""

    body: Expr


@dataclass(frozen=True, slots=True)
class Covariance(Expr):
    """`Cov(left, right)`."""

    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Normal(Expr):
    """The law `N(mean, variance)`."""

    mean: Expr
    variance: Expr


@dataclass(frozen=True, slots=True)
class Delta(Expr):
    """Iverson's bracket `[left = right]` of two indices."""

    left: Index
    right: Index


@dataclass(frozen=True, slots=True)
class Stein(Expr):
    """The coefficient of `Z^y` in `Ż^of` by Stein's lemma (Remark F.2).

    by: the product with the transpose, whose operand is y.
    """

    of: Ref
    by: Ref


@dataclass(frozen=True, slots=True)
class Exact(Expr):
    """The closed form of an expectation, a sympy expression."""

    value: Any


Env = Mapping[str, Affine]


def parts(x: Expr) -> tuple[Expr, ...]:
    """The children of `x`, nodes of this module included."""
    match x:
        case Expectation(body):
            return (body,)
        case Covariance(left, right) | Normal(left, right):
            return (left, right)
        case _:
            return children(x)


def nodes(x: Expr) -> Iterator[Expr]:
    """Every node, parents first."""
    stack = [x]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(parts(node)))


def rebuilt(x: Expr, new: tuple[Expr, ...]) -> Expr:
    """`x` with other children, in canonical form."""
    match x:
        case Expectation():
            return expectation(new[0])
        case Covariance():
            return Covariance(*new)
        case Normal():
            return Normal(*new)
        case _:
            return rebuild(x, new)


def delta(left: Index, right: Index) -> Expr:
    """`[left = right]`, a number if that can be told."""
    if left == right:
        return ONE
    if isinstance(left, Affine) and isinstance(right, Affine) and (left - right).constant is not None:
        return ZERO
    return Delta(left, right)


def is_random(x: Expr) -> bool:
    """Does a Z occur outside of expectations?"""
    match x:
        case Z() | Hat() | Dot() | Partial():
            return True
        case Value(_, vector):
            return vector
        case Expectation() | Covariance():
            return False
        case _:
            return any(is_random(part) for part in children(x))


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
        case Z() | Hat() | Dot():
            return 3
        case Delta():
            return 0
        case Expectation() | Partial():
            return 2
        case _:
            return 3 if is_random(x) else 1


# indices


def index_variables(index: Index) -> frozenset[str]:
    return (
        frozenset().union(*(i.variables for i in index.index))
        if isinstance(index, Gather)
        else index.variables
    )


def ref_variables(ref: Ref) -> frozenset[str]:
    return frozenset().union(*(index_variables(i) for i in ref.index)) if ref.index else frozenset()


def bound_variables(x: Expr) -> frozenset[str]:
    return frozenset(node.variable for node in nodes(x) if isinstance(node, Sum))


def free_variables(x: Expr) -> frozenset[str]:
    match x:
        case Z(ref) | Hat(ref) | Dot(ref) | Ring(ref) | Value(ref, _):
            return ref_variables(ref)
        case Partial(of, by) | Stein(of, by):
            return ref_variables(of) | ref_variables(by)
        case Delta(left, right):
            return index_variables(left) | index_variables(right)
        case Position(index):
            return index.variables
        case Sum(variable, count, body):
            return (free_variables(body) - {variable}) | count.variables
        case _:
            return frozenset().union(*(free_variables(part) for part in parts(x)))


MAX_WRITTEN_OUT = 12
NAMES = ("s", "r", "q", "p", "l", "m")


@dataclass(frozen=True, slots=True)
class Together:
    """The names in several collections, none of which is copied: they may be all names of a program."""

    parts: tuple[Container[str], ...]

    def __contains__(self, name: object) -> bool:
        return any(name in part for part in self.parts)


def fresh(wish: str, taken: Container[str]) -> str:
    """`wish` if it is free, else a letter that is, else `wish` with primes."""
    for name in (wish, *NAMES):
        if name not in taken:
            return name
    while wish in taken:
        wish += "'"
    return wish


def at(x: Expr, env: Env) -> Expr:
    """`x` with its free loop variables replaced by indices; bound ones are renamed where they would capture.

    A sum whose length becomes a small number is written out.
    """
    if not env:
        return x
    memo: dict[int, Expr] = {}

    def go(node: Expr) -> Expr:
        if id(node) not in memo:
            memo[id(node)] = rule(node)
        return memo[id(node)]

    def rule(node: Expr) -> Expr:
        match node:
            case Value(ref, vector):
                return Value(substitute_ref(ref, env), vector)
            case Z(ref) | Hat(ref) | Dot(ref) | Ring(ref):
                return type(node)(substitute_ref(ref, env))
            case Partial(of, by, product):
                return Partial(substitute_ref(of, env), substitute_ref(by, env), product)
            case Stein(of, by):
                return Stein(substitute_ref(of, env), substitute_ref(by, env))
            case Delta(left, right):
                return delta(substitute_index(left, env), substitute_index(right, env))
            case Position(index):
                return new_position(index.substitute(env))
            case Sum():
                return _sum_at(node, env)
            case _:
                inner = parts(node)
                return rebuilt(node, tuple(go(part) for part in inner)) if inner else node

    return go(x)


def _sum_at(x: Sum, env: Env) -> Expr:
    inner = {v: a for v, a in env.items() if v != x.variable}
    incoming = frozenset().union(*(a.variables for v, a in inner.items() if v in free_variables(x.body)))
    variable, count = x.variable, x.count.substitute(env)
    if x.count.terms and count.constant is not None and count.constant <= MAX_WRITTEN_OUT:
        return add(*(at(x.body, {**inner, variable: Affine(s)}) for s in range(count.constant)))
    if variable in incoming:
        variable = fresh(variable, incoming | free_variables(x.body) | bound_variables(x.body))
        inner[x.variable] = Affine.var(variable)
    return summed(variable, count, at(x.body, inner))


def limits(x: Expr, inputs: frozenset[str]) -> Expr:
    """`x` in the limit (ZNonlin⁺, ZMoment).

    Every vector is replaced by its Z, and every scalar that the program makes by its limit.
    """
    match x:
        case Value(ref, True):
            return Z(ref)
        case Value(ref, False):
            return x if ref.name in inputs else Ring(ref)
        case _:
            inner = children(x)
            return rebuild(x, [limits(part, inputs) for part in inner]) if inner else x
