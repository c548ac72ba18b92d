"""What is nowhere below 0, and what is above it."""

from __future__ import annotations

from tpc.core.expr import (
    ZERO,
    Add,
    Call,
    Constant,
    Expr,
    Extent,
    Mul,
    Number,
    OuterProduct,
    Pow,
    Sum,
    Value,
    coefficient,
    is_vector,
    values,
    walk,
)
from tpc.core.functions import elementwise
from tpc.core.program import Instruction, MatMul, OuterMul, Program, instructions


def nonnegative(x: Expr, families: frozenset[str] = frozenset()) -> bool:
    """Whether a real x is at least 0, as far as this is told; families: those that are."""

    def of(part: Expr) -> bool:
        return nonnegative(part, families)

    match x:
        case Number(value):
            return value >= 0
        case Constant() | Extent():
            return True
        case Value(ref):
            return ref.name in families
        case Pow(_, Number(k)) if k.denominator % 2 == 0 or k.numerator % 2 == 0:
            return True
        case Pow(base, _):
            return of(base)
        case Call("max", arguments):
            return any(map(of, arguments))
        case Call("min", arguments):
            return all(map(of, arguments))
        case Call("where", (_, first, second)):
            return of(first) and of(second)
        case Call(function):
            return elementwise(function).sign in ("positive", "not negative")
        case Mul(factors) if ZERO in factors:
            return True
        case Add() | Mul() | OuterProduct() | Sum():
            return all(map(of, x.parts))
    return False


def positive(x: Expr) -> bool:
    """Whether a real x is above 0, as far as this is told of what it is made of."""
    match x:
        case Number(value):
            return value > 0
        case Constant() | Extent():
            return True
        case Pow(base, _):
            return positive(base)
        case Call("where", (_, first, second)):
            return positive(first) and positive(second)
        case Call("max", arguments):
            return any(map(positive, arguments))
        case Call("min", arguments):
            return all(map(positive, arguments))
        case Call(function):
            return elementwise(function).sign == "positive"
        case Mul(factors):
            return all(map(positive, factors))
        case Add(terms):
            return all(map(nonnegative, terms)) and any(map(positive, terms))
    return False


def has_poles(x: Expr, *, of_scalars: bool = True) -> bool:
    """Whether x may be a quotient by what is 0 for some Gaussians, so that it need not have a mean.

    of_scalars: also by what is 0 for some value of a scalar only, as sqrt(v) + eps is.
    """
    return any(
        isinstance(node, Pow)
        and is_vector(node.base)
        and not (isinstance(node.exponent, Number) and node.exponent.value >= 0)
        and not positive(node.base)
        and (of_scalars or not _positive_but_for_scalars(node.base))
        for node in walk(x)
    )


def _positive_but_for_scalars(x: Expr) -> bool:
    """Whether x is a sum of an unknown scalar and of what is at least 0, or a root or a power of one."""
    match x:
        case Pow(base, _) | Call("sqrt", (base,)):
            return _positive_but_for_scalars(base)
        case Add(terms):
            scalars = [term for term in terms if not is_vector(term)]
            vectors = [term for term in terms if is_vector(term)]
            open_ = [term for term in scalars if values(term) and coefficient(term).value > 0]
            return bool(open_) and all(map(nonnegative, [*vectors, *(s for s in scalars if s not in open_)]))
    return False


def nonnegative_families(program: Program) -> frozenset[str]:
    """The families all of whose members are made of what is at least 0."""
    ops = [op for op, _ in instructions(program.body)]
    found = _constants(program) | {op.out.name for op in ops}

    def holds(op: Instruction) -> bool:
        if isinstance(op, MatMul):
            return False
        if isinstance(op, OuterMul):
            return op.table.name in found and op.operand.name in found
        return nonnegative(op.phi, frozenset(found))

    while wrong := {op.out.name for op in ops if op.out.name in found and not holds(op)}:
        found -= wrong
    return frozenset(found)


def _constants(program: Program) -> set[str]:
    """The Gaussians that have no variance, and are at least 0."""
    return {
        name
        for group in program.gaussians
        for k, (name, mean, row) in enumerate(zip(group.names, group.mean, group.covariance, strict=True))
        if row[k] == ZERO and nonnegative(mean)
    }
