"""How formulas are written.

The order of factors, signs, fractions and parentheses, the same for plain text and LaTeX.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

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
    mul,
    neg,
    new_position,
    number,
    power,
)
from tpc.core.functions import FUNCTIONS
from tpc.core.program import MatMul, Moment, Nonlin, OuterMul, OuterNonlin, Product
from tpc.core.spectral import SpectralMap
from tpc.core.traverse import substitute_ref
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
    at,
    is_random,
    limits,
    moment,
)
from tpc.derive.sites import FormulaScope

SUM, PRODUCT, POWER, ATOM = range(4)  # binding strengths
Written = tuple[str, int]


class Notation(ABC):
    """A way to write formulas.

    Parts of a line (`scope.parts`) are shown as what they are, in place of their fresh names.
    """

    # before a term
    plus, minus = " + ", " - "
    # how strongly a fraction must bind for a factor to stand after it
    quotient = PRODUCT

    def __init__(self, scope: FormulaScope) -> None:
        self.scope = scope

    # what a notation decides

    @abstractmethod
    def name(self, name: str) -> str: ...
    @abstractmethod
    def member(self, name: str, index: Sequence[str]) -> str: ...
    @abstractmethod
    def limit(self, kind: type[Expr], label: str) -> str:
        """`Z^label`, or with a hat or a dot."""

    @abstractmethod
    def ring(self, name: str, index: Sequence[str]) -> str: ...
    @abstractmethod
    def partial(self, of: str, by: str) -> str: ...
    @abstractmethod
    def stein(self, of: str, by: str) -> str: ...
    @abstractmethod
    def matmul(self, matrix: str, transposed: bool, operand: str) -> str: ...
    @abstractmethod
    def expectation(self, body: str) -> str: ...
    @abstractmethod
    def copy_mean(self, body: str) -> str:
        """`E′[body]`, over the independent copy."""

    @abstractmethod
    def kernel(self, label: str, flipped: bool) -> str:
        """`A(·, ·′)`, flipped `A(·′, ·)`."""

    @abstractmethod
    def copied(self, body: Written) -> Written:
        """`Z′`."""

    @abstractmethod
    def covariance(self, left: str, right: str) -> str: ...
    @abstractmethod
    def normal(self, mean: str, variance: str) -> str: ...
    @abstractmethod
    def delta(self, left: str, right: str) -> str: ...
    @abstractmethod
    def sum(self, variable: str, relation: str, bound: str, body: str) -> str: ...
    @abstractmethod
    def exact(self, value: Any) -> Written:
        """A closed form, a sympy expression."""

    @abstractmethod
    def times(self, factors: Sequence[str]) -> str: ...
    @abstractmethod
    def fraction(self, above: Written, below: Written) -> Written: ...
    @abstractmethod
    def power(self, base: str, exponent: str) -> str: ...
    @abstractmethod
    def function(self, name: str, args: Sequence[str]) -> str: ...
    @abstractmethod
    def parenthesised(self, text: str) -> str: ...
    @abstractmethod
    def constant(self, name: str) -> str: ...
    @abstractmethod
    def compare(self, op: str) -> str: ...

    # what they share

    def expr(self, x: Expr, strength: int = SUM) -> str:
        """`x`, in parentheses if it binds less than `strength`."""
        text, own = self.written(x)
        return self.parenthesised(text) if own < strength else text

    def written(self, x: Expr) -> Written:
        match x:
            case Number(value):
                return self.number(value)
            case Constant(name):
                return self.constant(name), ATOM
            case Position(index):
                variable = not index.const and [k for _, k in index.terms] == [1]
                return self.affine(index), ATOM if variable else SUM
            case Value(ref, _):
                return self.label(ref), ATOM
            case Z(ref) | Hat(ref) | Dot(ref):
                if isinstance(x, Z) and (body := self.body(ref)) is not None:
                    return self.written(body)
                return self.limit(type(x), self.label(ref)), POWER
            case Ring(ref):
                if (body := self.body(ref)) is not None:
                    return self.written(body)
                return self.ring(ref.name, self.indices(ref)), ATOM
            case Partial(of, by):
                return self.partial(self.label(of), self.label(by)), POWER
            case Stein(of, by):
                return self.stein(self.label(of), self.label(by)), ATOM
            case Expectation(body):
                return self.expectation(self.expr(body)), ATOM
            case Covariance(left, right):
                return self.covariance(self.expr(left), self.expr(right)), ATOM
            case Normal(mean, variance):
                return self.normal(self.expr(mean), self.expr(variance)), ATOM
            case Delta(left, right):
                return self.delta(self.index(left), self.index(right)), ATOM
            case Add(terms):
                if argument := tanh_derivative(x):
                    return self.function("tanh'", [self.expr(argument)]), ATOM
                return self.total(with_one_index(terms))
            case Mul(factors):
                return self.product(factors)
            case Pow():
                return self.powered(x)
            case Call("sqrt", (argument,)) if isinstance(argument, Number):
                return self.function("sqrt", [self.expr(argument)]), ATOM
            case Call(function, args):
                return self.function(function, [self.expr(a) for a in args]), ATOM
            case Compare(op, left, right):
                return f"{self.expr(left)} {self.compare(op)} {self.expr(right)}", SUM
            case Sum(variable, count, body):
                return self.sum(*self.below(variable, count), self.expr(body, PRODUCT)), PRODUCT
            case Exact(value):
                return self.exact(value)
        return self.of_table(x)

    def of_table(self, x: Expr) -> Written:
        """What only formulas of tables are made of."""
        match x:
            case CopyMean(body):
                return self.copy_mean(self.expr(body)), ATOM
            case TableKernel(ref, flipped):
                return self.kernel(self.member(ref.name, self.indices(ref)), flipped), ATOM
            case Copied(body):
                return self.copied(self.written(body))
            case SpectralMap(function, steps, tables, coefficients):
                more = [*([number(steps)] if x.signature.steps else []), *coefficients]
                own = [self.table_name(table) for table in tables]
                return self.kernel(self.function(function, [*own, *map(self.expr, more)]), False), ATOM
        raise TypeError(f"no notation for {type(x).__name__}")

    def table_name(self, x: Expr) -> str:
        """A table as an argument of a function; 0 is one."""
        return self.member(x.ref.name, self.indices(x.ref)) if isinstance(x, TableKernel) else self.expr(x)

    def number(self, value: Fraction) -> Written:
        if value < 0:
            return f"-{self.number(-value)[0]}", SUM
        if value.denominator == 1:
            return str(value.numerator), ATOM
        return self.fraction((str(value.numerator), ATOM), (str(value.denominator), ATOM))

    def total(self, terms: Sequence[Expr]) -> Written:
        """A sum, what is subtracted after what is added to."""
        if len(terms) == 1:
            return self.written(terms[0])
        positive = [t for t in terms if not is_negative(t)]
        text = self.plus.join(self.expr(t, PRODUCT) for t in positive)
        for term in terms:
            if is_negative(term):
                body = self.expr(neg(term), PRODUCT)
                text = f"{text}{self.minus}{body}" if text else f"-{body}"
        return text, SUM

    def product(self, factors: Sequence[Expr]) -> Written:
        if is_negative(factors[0]):
            text, strength = self.written(neg(mul(*factors)))
            return f"-{self.parenthesised(text) if strength < PRODUCT else text}", SUM
        above, below = list[Expr](), list[Expr]()
        for factor in collect(sorted(factors, key=rank)):
            if isinstance(factor, Number) and factor.value.denominator != 1:
                above += [number(factor.value.numerator)] if factor.value.numerator != 1 else []
                below.append(number(factor.value.denominator))
            elif (
                isinstance(factor, Pow) and isinstance(factor.exponent, Number) and factor.exponent.value < 0
            ):
                below.append(power(factor.base, number(-factor.exponent.value)))
            else:
                above.append(factor)
        if not below:
            return self.factors(above)
        random = [f for f in above if rank(f) >= 3]
        if (random and len(random) < len(above)) or (random and all(isinstance(b, Number) for b in below)):
            constant = self.fraction(self.factors([f for f in above if rank(f) < 3]), self.factors(below))
            if constant[1] >= self.quotient:
                beside = self.factors(random)[0] if len(random) > 1 else self.expr(random[0], PRODUCT)
                return self.times([constant[0], beside]), PRODUCT
        return self.fraction(self.factors(above), self.factors(below))

    def factors(self, factors: Sequence[Expr]) -> Written:
        if not factors:
            return "1", ATOM
        if len(factors) == 1:
            return self.written(factors[0])
        last = len(factors) - 1
        return self.times(
            [
                self.expr(f, PRODUCT if i == last and isinstance(f, Sum) else POWER)
                for i, f in enumerate(factors)
            ]
        ), PRODUCT

    def powered(self, x: Pow) -> Written:
        if isinstance(x.exponent, Number) and x.exponent.value < 0:
            return self.fraction(("1", ATOM), self.written(power(x.base, number(-x.exponent.value))))
        return self.power(self.expr(x.base, ATOM), self.expr(x.exponent)), POWER

    # names

    def label(self, ref: Ref) -> str:
        """A vector or scalar by its name; a part of a line by what it is, `W x[t]`."""
        part = self.scope.part(ref)
        if part is not None:
            site, env = part
            if isinstance(site.op, MatMul):
                matrix, operand = substitute_ref(site.op.matrix, env), substitute_ref(site.op.operand, env)
                return self.matmul(
                    self.member(matrix.name, self.indices(matrix)), site.op.transposed, self.label(operand)
                )
            if isinstance(site.op, OuterMul):
                table, operand = substitute_ref(site.op.table, env), substitute_ref(site.op.operand, env)
                return self.matmul(
                    self.member(table.name, self.indices(table)), site.op.transposed, self.label(operand)
                )
            if isinstance(site.op, Nonlin):
                return self.parenthesised(self.expr(at(site.op.phi, env)))
        return self.member(ref.name, self.indices(ref))

    def body(self, ref: Ref) -> Expr | None:
        """What a fresh scalar, or vector that is no product, stands for."""
        part = self.scope.part(ref)
        if part is None or isinstance(part[0].op, Product | OuterNonlin):
            return None
        phi, inputs = at(part[0].op.phi, part[1]), self.scope.inputs
        return (
            moment(phi, inputs, self.scope.tables) if isinstance(part[0].op, Moment) else limits(phi, inputs)
        )

    def indices(self, ref: Ref) -> list[str]:
        return [self.index(i) for i in ref.index]

    def index(self, i: Index) -> str:
        return (
            self.member(i.input, [self.affine(j) for j in i.index])
            if isinstance(i, Gather)
            else self.affine(i)
        )

    def affine(self, i: Affine) -> str:
        text = str(i.const) if i.const > 0 and i.terms and all(k < 0 for _, k in i.terms) else ""
        const = 0 if text else i.const
        for variable, k in sorted(i.terms, key=lambda term: term[1] < 0):
            body = self.name(variable) if abs(k) == 1 else self.times([str(abs(k)), self.name(variable)])
            text += ("-" if k < 0 else "+" if text else "") + body
        if const or not text:
            text += ("-" if const < 0 else "+" if text else "") + str(abs(const))
        return text

    def below(self, variable: str, count: Affine) -> tuple[str, str, str]:
        """`s < t`, or `s ≤ t` for a count t+1."""
        weak = count.terms and count.const >= 1
        return (
            self.name(variable),
            self.compare("<=" if weak else "<"),
            self.affine(count - 1 if weak else count),
        )


def is_negative(x: Expr) -> bool:
    """Is `x` written with a minus sign in front?"""
    first = x.factors[0] if isinstance(x, Mul) else x
    return isinstance(first, Number) and first.value < 0


def with_one_index(terms: Sequence[Expr]) -> Sequence[Expr]:
    positions = [t for t in terms if isinstance(t, Position)]
    whole = [t for t in terms if isinstance(t, Number) and t.value.denominator == 1]
    if not positions:
        return terms
    total = Affine(sum(int(t.value) for t in whole))
    for position in positions:
        total = total + position.index
    return [new_position(total), *(t for t in terms if t not in positions and t not in whole)]


def collect(factors: Sequence[Expr]) -> list[Expr]:
    """Equal factors as one power."""
    counts: dict[Expr, int] = {}
    for factor in factors:
        counts[factor] = counts.get(factor, 0) + 1
    return [power(factor, number(k)) for factor, k in counts.items()]


def tanh_derivative(x: Add) -> Expr | None:
    """The argument if `x` is 1 - tanh(…)^2, which reads better as tanh'(…)."""
    last = x.terms[-1]
    base = last.factors[-1].base if isinstance(last, Mul) and isinstance(last.factors[-1], Pow) else None
    if (
        isinstance(base, Call)
        and base.function == "tanh"
        and FUNCTIONS["tanh"].derivatives[0](base.args[0]) == x  # type: ignore[misc]
    ):
        return base.args[0]
    return None


def rank(x: Expr) -> int:
    """The place of a factor in a product.

    Numbers, scalars, expectations, derivatives, functions of Z, Z, sums.
    """
    match x:
        case Number():
            return -1
        case Sum():
            return 6
        case Delta():
            return 0
        case Expectation() | Stein() | Exact():
            return 2
        case Z() | Hat() | Dot() | Copied():
            return 4
        case Partial():
            return 5
        case _:
            return 3 if is_random(x) else 1
