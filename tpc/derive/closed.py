"""Exact values of the expectations of a limit, where they have a closed form that is short enough to read.

A Z is a polynomial in the program's Gaussians and in functions of linear forms of them (relu(w) = w/2 +
w·sign(w)/2, and so on); the expectation of one is a sum over its monomials, each a product over independent
groups of Gaussians (`gaussian.py`). What does not fit stays `E[…]`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

from tpc.core.expr import Add, Call, Constant, Expr, Gather, Mul, Number, Pow, Ref, Value, mul, walk
from tpc.core.functions import elementwise
from tpc.core.program import MatMul
from tpc.derive.formula import Equation, ZFormula, ZInit, ZMatMul, ZMoment, ZNonlin, ZScalar
from tpc.derive.gaussian import Moments, NotClosed, engine, tidy
from tpc.derive.nodes import (
    Covariance,
    Dot,
    Exact,
    Expectation,
    Hat,
    Normal,
    Partial,
    Ring,
    Stein,
    Z,
    is_random,
)
from tpc.derive.polynomial import (
    MAX_DEGREE,
    Argument,
    GaussianFactor,
    Monomial,
    Polynomial,
    components,
    constant,
    generator,
    times,
    wave,
)
from tpc.derive.scales import coefficient_scale

if TYPE_CHECKING:
    from tpc.derive.limit import Limit
T = TypeVar("T")
MAX_SIMPLIFIED = 60  # operations; sympy takes its time over more
MAX_OPEN = 30  # expressions that wait for a part of them on the machine's stack


class TooDeepError(Exception):
    """Too many values wait for each other.

    That of `key` is to be made first, by `call`, and then what has been begun once more.
    """

    def __init__(self, key: tuple[str, object], call: Callable[[], Any]) -> None:
        super().__init__(key)
        self.key = key
        self.call = call


class ClosedForms:
    """The closed forms of one limit. `closed["m"]`: of a scalar, a sympy expression, or None."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.moments = Moments()
        self.formulas: dict[Ref, ZFormula] = {f.of: f for f in limit.formulas if not f.loops or not f.path}
        self.initial: dict[str, ZInit] = {f.of.name: f for f in limit.formulas if isinstance(f, ZInit)}
        self.partials = {(p.of, p.by): p for p in limit.partials if not p.loops and not p.ranges}
        self.positive = {w.ratio for w in limit.program.widths} | {m.variance for m in limit.program.matrices}
        self.memo: dict[tuple[str, object], Any] = {}
        self.open = 0
        self.waiting: list[TooDeepError] = []

    def __getitem__(self, name: str) -> Any | None:
        formula = self.limit[name]
        return self.value(Ring(formula.of)) if isinstance(formula, ZMoment | ZScalar) else None

    def value(self, x: Expr) -> Any | None:
        """The value of a deterministic expression in sympy, None where it has no closed form."""
        found, first = None, TooDeepError(("value", x), lambda: constant(self.polynomial(x)))
        self.waiting = [first]
        while self.waiting:
            try:
                found = self.waiting[-1].call()
            except TooDeepError as deeper:
                self.waiting.append(deeper)
                continue
            except NotClosed:
                found = None
            self.waiting.pop()
        return found

    def equation(self, equation: Equation) -> Expr | None:
        """What to write after the right side of `equation`.

        The same with expectations replaced by their values, None if that is nothing new.
        """
        right = equation.right
        if isinstance(right, Normal):
            variance = self.exact(right.variance)
            return None if variance == right.variance else Normal(self.exact(right.mean), variance)
        if isinstance(equation.left, Dot | Ring | Covariance):
            new = self.exact(right)
            return None if new == right else new
        return None

    def exact(self, x: Expr) -> Expr:
        """`x` with what is deterministic in it replaced by closed forms, as far as they exist."""
        if not any(isinstance(node, Expectation | Ring | Stein) for node in walk(x)):
            return x
        if not is_random(x):
            return self.deterministic(x)
        if isinstance(x, Mul):
            fixed = [f for f in x.factors if not is_random(f)]
            if 1 < len(fixed) < len(x.factors):
                constant_part = self.deterministic(mul(*fixed))
                return mul(constant_part, *(self.exact(f) for f in x.factors if is_random(f)))
        inner = x.parts
        if not inner or isinstance(x, Expectation):
            return x
        return x.with_parts([self.exact(part) for part in inner])

    def deterministic(self, x: Expr) -> Expr:
        """What is no random variable by its closed form, if it has one."""
        value = self.value(x)
        return x if value is None else exact(shortest(value))

    # polynomials

    def once(self, kind: str, key: object, make: Callable[[], T]) -> T:
        """What `make` gives, remembered, failures too."""
        full = (kind, key)
        if full not in self.memo:
            if self.open >= MAX_OPEN and any(other.key == full for other in self.waiting):
                raise NotClosed  # a circle
            if self.open >= MAX_OPEN:
                raise TooDeepError(full, lambda: self.once(kind, key, make))
            self.memo[full] = NotClosed()  # also what a circle finds
            try:
                self.memo[full] = make()
            except NotClosed as failure:
                self.memo[full] = failure
            except TooDeepError:
                del self.memo[full]
                raise
        found = self.memo[full]
        if isinstance(found, NotClosed):
            raise NotClosed
        return found  # type: ignore[no-any-return]

    def polynomial(self, x: Expr) -> Polynomial:
        """`x` as a polynomial in the program's Gaussians and functions of them. Raises NotClosed."""
        self.open += 1
        try:
            return self._polynomial(x)
        finally:
            self.open -= 1

    def _polynomial(self, x: Expr) -> Polynomial:
        sy = engine()
        match x:
            case Number(value):
                return Polynomial.of(sy.Rational(value.numerator, value.denominator))
            case Constant(name):
                return Polynomial.of(sy.pi if name == "pi" else sy.E)
            case Value(ref, False):
                return Polynomial.of(self.symbol(ref, x))
            case Ring(ref):
                return self.once("scalar", ref, lambda: self.scalar(ref))
            case Z(ref):
                return self.once("Z", ref, lambda: self.z(ref))
            case Hat(ref):
                return self.once("hat", ref, lambda: self.hat(ref))
            case Partial(of, by):
                return self.once("partial", (of, by), lambda: self.partial(of, by))
            case Stein(of, by):
                return Polynomial.of(self.once("stein", of, lambda: self.stein(of)).get(by, sy.Integer(0)))
            case Expectation(body):
                return Polynomial.of(self.once("E", body, lambda: self.expectation(self.polynomial(body))))
            case Add(terms):
                return Polynomial.sum(self.polynomial(term) for term in terms)
            case Mul(factors):
                return times(*(self.polynomial(factor) for factor in factors))
            case Pow(base, exponent):
                return self.power(self.polynomial(base), self.polynomial(exponent))
            case Argument(value):
                return value
            case Call(function, args):
                return self.call(function, [self.polynomial(a) for a in args])
        raise NotClosed

    def symbol(self, ref: Ref, x: Expr) -> Any:
        if any(isinstance(i, Gather) or i.constant is None for i in ref.index):
            raise NotClosed
        return engine().Symbol(str(ref), **({"positive": True} if x in self.positive else {"real": True}))

    def power(self, base: Polynomial, exponent: Polynomial) -> Polynomial:
        k = constant(exponent)
        if k.is_number and abs(k) > MAX_DEGREE:  # exact numbers of millions of digits are no closed form
            raise NotClosed
        if base.is_constant:
            return Polynomial.of(tidy(constant(base) ** k))
        if not k.is_Integer or k < 0:
            raise NotClosed
        return times(*[base] * int(k))

    def call(self, function: str, args: list[Polynomial]) -> Polynomial:
        from tpc.derive.to_sympy import apply

        if function == "where":
            raise NotClosed
        if all(a.is_constant for a in args):
            return Polynomial.of(apply(function, *map(constant, args)))
        simpler = elementwise(function).simpler
        return wave(function, args[0]) if simpler is None else self.polynomial(simpler(*map(Argument, args)))

    # the formulas

    def scalar(self, ref: Ref) -> Polynomial:
        formula = self.formulas.get(ref)
        if not isinstance(formula, ZMoment | ZScalar):
            raise NotClosed
        return self.polynomial(formula.value)

    def z(self, ref: Ref) -> Polynomial:
        formula = self.formulas.get(ref)
        if ref.name in self.initial:
            formula = self.initial[ref.name]
            return Polynomial.sum([self.polynomial(formula.mean), generator(GaussianFactor(ref))])
        if isinstance(formula, ZNonlin):
            return self.polynomial(formula.value)
        if isinstance(formula, ZMatMul):
            return Polynomial.sum([self.polynomial(Hat(ref)), self.polynomial(formula.dot.value)])
        raise NotClosed

    def hat(self, ref: Ref) -> Polynomial:
        g = GaussianFactor(ref)
        return Polynomial() if self.covariance(g, g) == 0 else generator(g)

    def partial(self, of: Ref, by: Ref) -> Polynomial:
        if (of, by) not in self.partials:
            raise NotClosed
        return self.polynomial(self.partials[of, by].value)

    def stein(self, h: Ref) -> dict[Ref, Any]:
        """`C⁺b` for the opposing products of h (Remark F.2), where C is invertible."""
        sy, dot = engine(), self.product(h).dot
        y = [self.polynomial(Z(term.y)) for term in dot.terms]
        x = self.polynomial(Z(dot.operand))
        gram = sy.Matrix(len(y), len(y), lambda i, j: self.expectation(times(y[i], y[j])))
        b = sy.Matrix([self.expectation(times(self.polynomial(Hat(term.g)), x)) for term in dot.terms])
        if gram.det() == 0:
            raise NotClosed
        a = gram.LUsolve(b) * constant(self.polynomial(dot.stein))
        return {term.g: tidy(value) for term, value in zip(dot.terms, a, strict=True)}

    def product(self, ref: Ref) -> ZMatMul:
        formula = self.formulas.get(ref)
        if not isinstance(formula, ZMatMul):
            raise NotClosed
        return formula

    # expectations

    def expectation(self, x: Polynomial) -> Any:
        total = engine().Integer(0)
        for monomial, coefficient in x.terms:
            total += coefficient * self.monomial(monomial)
        return tidy(total)

    def monomial(self, monomial: Monomial) -> Any:
        """The product over its independent factors; 0 if one of them is, whatever the others."""
        total, failed = engine().Integer(1), False
        for law, powers, functions in components(monomial, self.covariance):
            try:
                total *= self.moments.moment(law, powers, functions)
            except NotClosed:
                failed = True
        if failed and total != 0:
            raise NotClosed
        return total

    def covariance(self, a: GaussianFactor, b: GaussianFactor) -> Any:
        key = (a, b) if str(a.ref) <= str(b.ref) else (b, a)
        return self.once("covariance", key, lambda: self._covariance(*key))

    def _covariance(self, a: GaussianFactor, b: GaussianFactor) -> Any:
        if a.ref.name in self.initial or b.ref.name in self.initial:
            return self.initial_covariance(a.ref, b.ref)
        f, g = self.product(a.ref), self.product(b.ref)
        if not same_side(f.product, g.product):
            return engine().Integer(0)
        scale = constant(self.polynomial(coefficient_scale(self.limit.program, f.product)))
        x, y = self.polynomial(Z(f.product.operand)), self.polynomial(Z(g.product.operand))
        return tidy(scale * self.expectation(times(x, y)))

    def initial_covariance(self, a: Ref, b: Ref) -> Any:
        together = any(
            a.name in group.names and b.name in group.names for group in self.limit.program.gaussians
        )
        if not together:
            return engine().Integer(0)
        if a.index != b.index:
            if any(isinstance(i, Gather) for i in (*a.index, *b.index)):
                raise NotClosed  # inputs decide
            return engine().Integer(0)
        env = {loop.variable: i for loop, i in zip(self.initial[a.name].loops, a.index, strict=True)}
        first, second = self.initial[a.name].at(env), self.initial[b.name].at(env)  # type: ignore[arg-type]
        if a == b:
            return constant(self.polynomial(first.variance))
        for other, value in (*first.covariances, *second.covariances):
            if other in (a, b):
                return constant(self.polynomial(value))
        return engine().Integer(0)


def same_side(f: MatMul, g: MatMul) -> bool:
    """Are both products with one matrix, on one side? Raises NotClosed where inputs decide."""
    if any(isinstance(i, Gather) for i in (*f.matrix.index, *g.matrix.index)):
        raise NotClosed
    return f.matrix == g.matrix and f.transposed == g.transposed


def exact(value: Any) -> Expr:
    return Number(Fraction(int(value.p), int(value.q))) if value.is_Rational else Exact(value)


def shortest(value: Any) -> Any:
    """`value` simplified, if it is a formula with roots and functions and that makes it shorter."""
    if value.is_Rational or value.is_polynomial() or value.count_ops() > MAX_SIMPLIFIED:
        return value
    simpler = engine().simplify(value)
    return simpler if simpler.count_ops() < value.count_ops() else value
