"""Formulas as sympy expressions, built node by node.

Only this module and `closed.py` load sympy, and only when asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tpc.core.affine import Affine
from tpc.core.expr import (
    Add,
    Call,
    Compare,
    Constant,
    Delta,
    Expr,
    Gather,
    Index,
    Mul,
    Number,
    Position,
    Pow,
    Ref,
    Sum,
    Value,
)
from tpc.core.functions import elementwise
from tpc.core.spectral import SpectralMap
from tpc.derive.formula import Equation
from tpc.derive.gaussian import engine
from tpc.derive.nodes import (
    Copied,
    CopyMean,
    Covariance,
    Dot,
    Exact,
    Expectation,
    Hat,
    Normal,
    Partial,
    Ring,
    Stein,
    TableKernel,
    Z,
)

T = TypeVar("T")


def to_equation(equation: Equation) -> Any:
    sympy = engine()
    left, right = to_sympy(equation.left), to_sympy(equation.right)
    return sympy.Eq(left, right, evaluate=False)


def to_sympy(x: Expr) -> Any:
    """`x` in sympy.

    Z's are symbols (indexed ones in a family), E, Cov and N undefined functions, sums `Sum`.
    """
    sympy = engine()
    match x:
        case Number(value):
            return sympy.Rational(value.numerator, value.denominator)
        case Constant(name):
            return sympy.pi if name == "pi" else sympy.E
        case Position(index):
            return affine(index)
        case Value(ref, _):
            return member(ref.name, ref)
        case Z(ref):
            return member(f"Z^{ref.name}", ref)
        case Hat(ref):
            return member(f"Zhat^{ref.name}", ref)
        case Dot(ref):
            return member(f"Zdot^{ref.name}", ref)
        case Ring(ref):
            return member(ref.name, ref)
        case Partial(of, by):
            return member(f"dZ^{of.name}/dZhat^{by.name}", Ref("", (*of.index, *by.index)))
        case Stein(of, by):
            return member(f"a^{of.name}_{by.name}", Ref("", (*of.index, *by.index)))
        case Expectation(body):
            return sympy.Function("E")(to_sympy(body))
        case Covariance(left, right):
            return sympy.Function("Cov")(to_sympy(left), to_sympy(right))
        case Normal(mean, variance):
            return sympy.Function("N")(to_sympy(mean), to_sympy(variance))
        case Delta(left, right):
            return sympy.KroneckerDelta(position(left), position(right))
        case Exact(value):
            return value
        case Add(terms):
            return sympy.Add(*map(to_sympy, terms))
        case Mul(factors):
            return sympy.Mul(*map(to_sympy, factors))
        case Pow(base, exponent):
            return sympy.Pow(to_sympy(base), to_sympy(exponent))
        case Sum(variable, count, body):
            return sympy.Sum(to_sympy(body), (index_symbol(variable), 0, affine(count) - 1))
        case Compare(op, left, right):
            return sympy.Rel(to_sympy(left), to_sympy(right), op)
        case Call(function, args):
            return apply(function, *map(to_sympy, args))
    return of_table(x)


def of_table(x: Expr) -> Any:
    """What only formulas of tables are made of."""
    sympy = engine()
    match x:
        case TableKernel(ref, flipped):
            return member(f"K'^{ref.name}" if flipped else f"K^{ref.name}", ref)
        case Copied(body):
            return sympy.Function("copy")(to_sympy(body))
        case CopyMean(body):
            return sympy.Function("E'")(to_sympy(body))
        case SpectralMap(function, steps, tables, coefficients):
            counted = [sympy.Integer(steps)] if x.signature.steps else []
            return sympy.Function(function)(*map(to_sympy, tables), *counted, *map(to_sympy, coefficients))
    raise TypeError(f"no sympy expression for {type(x).__name__}")


def apply(function: str, *args: Any) -> Any:
    """A function of the table on sympy expressions."""
    sympy = engine()
    entry = elementwise(function)
    return sympy.Function(function)(*args) if entry.sympy is None else entry.sympy(sympy, *args)


def index_symbol(name: str) -> Any:
    sympy = engine()
    return sympy.Symbol(name, integer=True)


def affine(i: Affine) -> Any:
    sympy = engine()
    return sympy.Add(i.const, *(k * index_symbol(v) for v, k in i.terms))


def position(i: Index) -> Any:
    return member(i.input, Ref(i.input, i.index)) if isinstance(i, Gather) else affine(i)


def member(name: str, ref: Ref) -> Any:
    sympy = engine()
    if not ref.index:
        return sympy.Symbol(name, real=True)
    return sympy.IndexedBase(name, real=True)[tuple(position(i) for i in ref.index)]


def strength(value: Any, total: T, product: T, power: T, atom: T) -> T:
    """How strongly a printed sympy expression binds."""
    if value.is_Add or value.could_extract_minus_sign():
        return total
    if value.is_Mul and value.as_numer_denom()[1] == 1:
        return power
    if value.is_Mul or (value.is_Rational and not value.is_Integer):
        return product
    return power if value.is_Pow else atom


def to_text(value: Any, name: Callable[[str], str]) -> str:
    """A sympy expression as plain text. `name` gives the printed form of a symbol."""
    from sympy.printing.str import StrPrinter

    class Printer(StrPrinter):
        def _print_Symbol(self, x: Any) -> str:  # noqa: N802
            return name(x.name)

        def _print_Pi(self, x: Any) -> str:  # noqa: N802
            return "π"

        def _print_Exp1(self, x: Any) -> str:  # noqa: N802
            return "e"

        def _print_Pow(self, x: Any, rational: bool = False) -> str:  # noqa: N802
            if x.exp.is_Integer and x.exp < -1:
                return f"1/{self._print(x.base**-x.exp)}"
            return str(super()._print_Pow(x, rational))  # type: ignore[no-untyped-call]

    printer: Any = Printer
    return str(printer().doprint(value)).replace("**", "^").replace("*", "·")
