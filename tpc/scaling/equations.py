"""A program as equations between sizes: an instruction becomes a `Node`, whatever its indices are.

All members of a family share one size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from tpc.core.exponent import Exponent
from tpc.core.expr import (
    ONE,
    Add,
    Call,
    Compare,
    Expr,
    Extent,
    Mul,
    Number,
    Pow,
    Sum,
    Value,
    coefficient,
    divide,
    is_vector,
    mul,
)
from tpc.core.functions import elementwise
from tpc.core.names import SplitName
from tpc.core.network import LEARNING
from tpc.core.program import Instruction, MatMul, Moment, OuterMul, Program, instructions
from tpc.scaling import sizes
from tpc.scaling.parity import Parity, parities, parity
from tpc.scaling.sizes import ZERO, SizeNode, Sizes


@dataclass(frozen=True, slots=True)
class SizeEquation:
    """What makes members of a family."""

    family: str
    node: SizeNode


@dataclass(frozen=True, slots=True)
class Circuit:
    """What makes the families of a program."""

    # in program order
    definitions: tuple[SizeEquation, ...]
    # families that are not made by instructions, True where they are 0
    given: Mapping[str, bool]


def circuit(program: Program) -> Circuit:
    """The equations of `program`, whose exponents may be open (`classify.training_of`)."""
    found = parities(program)
    given = {item.name: False for item in program.inputs}
    given |= {name: found[name] is None for group in program.gaussians for name in group.names}
    made = []
    for op, _ in instructions(program.body):
        made.append(SizeEquation(op.out.name, _node(op, found)))
    return Circuit(tuple(made), given)


def _node(op: Instruction, found: Mapping[str, Parity | None]) -> SizeNode:
    if isinstance(op, MatMul):
        return sizes.RefSize(
            op.operand.name
        )  # W has variance 1/columns: Wx is of the size of x, its Ż included
    if isinstance(op, OuterMul):
        return sizes.ProductSize(tuple(sizes.RefSize(ref.name) for ref in (op.table, op.operand)))
    return mean(op.phi, found) if isinstance(op, Moment) else node(op.phi)


def mean(x: Expr, found: Mapping[str, Parity | None]) -> SizeNode:
    """A mean, term by term, scalars put in front."""
    match x:
        case Sum(_, _, body):
            return mean(body, found)
        case Add(terms):
            return sizes.Join(tuple(mean(term, found) for term in terms))
    factors = x.factors if isinstance(x, Mul) else (x,)
    front = [f for f in factors if not is_vector(f)]
    rest = mul(ONE, *(f for f in factors if is_vector(f)))
    own = parity(rest, found)
    return (
        sizes.MeanSize(node(mul(ONE, *front)), node(rest), own is not None and bool(own.odd))
        if is_vector(rest)
        else node(x)
    )


def node(x: Expr) -> SizeNode:
    match x:
        case Number(value):
            return sizes.Const(ZERO) if value else sizes.Zero()
        case Extent():
            return sizes.Const(Exponent(Fraction(1)))
        case Pow(Extent(), exponent):
            return sizes.Const(exponent_of(exponent))
        case Value(ref, _):
            return sizes.Learned((sizes.Const(ZERO),)) if ref.name == LEARNING else sizes.RefSize(ref.name)
        case Add(terms):
            return sizes.Join(tuple(map(node, terms)))
        case Mul(factors):
            rest = tuple(node(f) for f in factors if not (isinstance(f, Value) and f.ref.name == LEARNING))
            return (
                sizes.Learned(rest or (sizes.Const(ZERO),))
                if len(rest) < len(factors)
                else sizes.ProductSize(rest)
            )
        case Pow(base, Number(k)):
            return sizes.PowerSize(node(base), k)
        case Pow(base, _):
            return sizes.FunctionSize("exp", node(base))
        case Sum(_, _, body):
            return node(body)
        case Call(function, args):
            return _call(function, args)
    return sizes.Const(ZERO)  # constants, loop variables


def _call(function: str, args: tuple[Expr, ...]) -> SizeNode:
    if function == "where":
        condition, x, y = args
        assert isinstance(condition, Compare)
        left, right = condition.left, condition.right
        if condition.op == ">" and y == ONE and x == divide(right, left):
            return sizes.Capped(node(left), node(right))
        return sizes.Cases((node(left), node(right)), (node(x), node(y)))
    part = node(args[0]) if len(args) == 1 else sizes.Join(tuple(map(node, args)))
    degree = elementwise(function).degree
    if degree not in (None, 0, 1):
        return sizes.PowerSize(part, degree)
    falls = (
        function == "exp"
        and isinstance(args[0], Mul | Number)
        and coefficient(args[0]).value < 0
        and _is_square(args[0])
    )
    return sizes.FunctionSize("cos" if falls else function, part)  # exp(−x²) is bounded, as the cosine


def _is_square(x: Expr) -> bool:
    """Whether all that varies in a product is squared."""
    factors = x.factors if isinstance(x, Mul) else (x,)
    return all(
        isinstance(f, Number)
        or (isinstance(f, Pow) and isinstance(f.exponent, Number) and f.exponent.value % 2 == 0)
        for f in factors
    )


def exponent_of(x: Expr) -> Exponent:
    """An exponent of a width, as written; open ones are inputs, their names without the mark."""
    match x:
        case Number(value):
            return Exponent(value)
        case Value(ref, _):
            return Exponent.var(SplitName.of(ref.name).base)
        case Add(terms):
            return sum((exponent_of(term) for term in terms), start=Exponent())
    assert isinstance(x, Mul)
    (factor,) = (f for f in x.factors if not isinstance(f, Number))
    return exponent_of(factor).scaled(coefficient(x).value)


def initial(found: Circuit, zero: object) -> dict[str, Sizes]:
    """Sizes before anything is made."""
    start = {name: sizes.NIL if is_zero else Sizes(zero, None, zero) for name, is_zero in found.given.items()}
    return {**{d.family: sizes.NIL for d in found.definitions}, **start}
