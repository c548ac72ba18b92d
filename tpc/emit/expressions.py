"""Expressions of the core as expressions of JAX."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from tpc.affine import Affine, Ranges, bounds
from tpc.core.dependence import expr_references
from tpc.core.expr import (
    Add,
    Call,
    Compare,
    Constant,
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
    is_vector,
    mul,
    number,
    power,
    values,
    walk,
)
from tpc.core.functions import FUNCTIONS
from tpc.emit import python as py
from tpc.emit.frame import Frame, Held
from tpc.emit.names import Names
from tpc.emit.python import Py
from tpc.hilbert.space import Space, degree

PLAIN_INTEGER = 10**15
SPARE = 2                                    # so many rows too many are read rather than the others copied


def number_py(value: Fraction) -> Py:
    if max(abs(value.numerator), value.denominator) >= PLAIN_INTEGER:
        return py.real(float(value))
    return py.integer(value.numerator) if value.denominator == 1 else py.ratio(value.numerator, value.denominator)


class Expressions:
    """Emits expressions in a frame. ranges: the loops and sums around, for bounds of counts."""

    def __init__(self, space: Space, names: Names) -> None:
        self.space = space
        self.names = names

    # indices and members

    def affine(self, index: Affine, frame: Frame) -> Py:
        terms = []
        for variable, k in index.terms:
            factors = [py.name(frame.variable(variable))]
            terms.append((k < 0, py.product([py.integer(abs(k)), *factors] if abs(k) != 1 else factors)))
        if index.const or not terms:
            terms.append((index.const < 0, py.integer(abs(index.const))))
        return py.total(terms)

    def index(self, index: Index, frame: Frame) -> Py:
        if isinstance(index, Gather):
            return self.member(Ref(index.input, index.index), frame)
        return self.affine(index, frame)

    def member(self, ref: Ref, frame: Frame) -> Py:
        held = frame.find(ref)
        return py.subscript(py.name(held.name), [self.index(i, frame) for i in held.rest(ref)])

    # elementwise

    def suffix(self, *parts: Expr) -> str:
        """What names of the sector have in which the vectors of an expression live."""
        return self.space.sectors.suffix(v.ref.name for part in parts for v in values(part) if v.vector)

    def vector(self, x: Expr, frame: Frame, ranges: Ranges, suffix: str = "") -> Py:
        """`x` as an element of the space. suffix: of the names of its sector."""
        if self.space.pointwise:
            value = self.value(x, frame, ranges)
            return value if is_vector(x) else py.call("jnp.full", py.name(f"size{suffix}"), value, py.name("dtype"))
        if degree(x) == 0:
            return py.product([self.value(x, frame, ranges), py.name("one")]) if x != number(1) else py.name("one")
        match x:
            case Add(terms):
                return py.total([self._signed(term, frame, ranges, element=True) for term in terms])
            case Mul(factors):
                return self.value(mul(*(f for f in factors if degree(f) == 0)), frame, ranges) if degree(x) == 0 else py.product(
                    [*self._scalars(factors, frame, ranges), self.vector(next(f for f in factors if degree(f)), frame, ranges)])
        return self.value(x, frame, ranges)

    def _scalars(self, factors: Sequence[Expr], frame: Frame, ranges: Ranges) -> list[Py]:
        scalars = [f for f in factors if degree(f) == 0]
        return [self.value(mul(*scalars), frame, ranges)] if scalars else []

    def _signed(self, term: Expr, frame: Frame, ranges: Ranges, *, element: bool = False) -> tuple[bool, Py]:
        emit = self.vector if element else self.value
        if isinstance(term, Number) and term.value < 0:
            return True, emit(Number(-term.value), frame, ranges)
        if isinstance(term, Mul) and isinstance(term.factors[0], Number) and term.factors[0].value < 0:
            return True, emit(mul(number(-1), term), frame, ranges)
        return False, emit(term, frame, ranges)

    def value(self, x: Expr, frame: Frame, ranges: Ranges) -> Py:
        match x:
            case Number(value):
                return number_py(value)
            case Constant(name):
                return py.real(math.pi if name == "pi" else math.e)
            case Position(index):
                return self.affine(index, frame)
            case Value(ref, _):
                return self.member(ref, frame)
            case Add(terms):
                return py.total([self._signed(term, frame, ranges) for term in terms])
            case Mul(factors):
                return self._product(factors, frame, ranges)
            case Pow(base, exponent):
                return self._power(base, exponent, frame, ranges)
            case Call(function, args):
                return py.formatted(FUNCTIONS[function].jax, [self.value(a, frame, ranges) for a in args])
            case Compare(op, left, right):
                return py.compare(op, self.value(left, frame, ranges), self.value(right, frame, ranges))
            case Sum():
                return self.sum(x, frame, ranges)
        raise TypeError(f"no JAX for {type(x).__name__}")

    def _product(self, factors: Sequence[Expr], frame: Frame, ranges: Ranges) -> Py:
        over: list[Py] = []
        under: list[Py] = []
        for factor in factors:
            if isinstance(factor, Pow) and isinstance(factor.exponent, Number) and factor.exponent.value < 0:
                under.append(self.value(power(factor.base, Number(-factor.exponent.value)), frame, ranges))
            else:
                over.append(self.value(factor, frame, ranges))
        if over and over[0].text == "-1" and len(over) > 1:
            return py.total([(True, py.product(over[1:], under))])
        return py.product(over, under)

    def _power(self, base: Expr, exponent: Expr, frame: Frame, ranges: Ranges) -> Py:
        inner = self.value(base, frame, ranges)
        if isinstance(exponent, Number):
            if exponent.value < 0:
                return py.product([], [self.value(power(base, Number(-exponent.value)), frame, ranges)])
            if exponent.value == Fraction(1, 2):
                return py.call("jnp.sqrt", inner)
            if not isinstance(base, Position):
                return py.power(inner, number_py(exponent.value))
        return py.call("jnp.power", py.product([py.real(1.0), inner]) if isinstance(base, Position) else inner, self.value(exponent, frame, ranges))

    # sums

    def sum(self, node: Sum, frame: Frame, ranges: Ranges) -> Py:
        """A sum, as a product with an array of members where it is one."""
        terms = node.body.terms if isinstance(node.body, Add) else (node.body,)
        return py.total([(False, self._history(Sum(node.variable, node.count, term), frame, ranges)) for term in terms])

    def _history(self, node: Sum, frame: Frame, ranges: Ranges) -> Py:
        s, body = node.variable, node.body
        if s not in {v for ref, _ in expr_references(body, ()) for i in ref.index for v in _variables(i)} | _positions(body):
            return self.value(mul(self._count(node), body), frame, ranges)
        factors = body.factors if isinstance(body, Mul) else (body,)
        moving = [f for f in factors if _depends(f, s)]
        still = [f for f in factors if not _depends(f, s)]
        vectors = [f for f in moving if is_vector(f)]
        scalars = [f for f in moving if not is_vector(f)]
        held = self._array(vectors[0], s, frame) if len(vectors) == 1 else None
        if (vectors and held is None) or (not vectors and not scalars):
            return self._total(node, frame, ranges)
        coefficients = self._coefficients(scalars, node, frame, ranges)
        array, length = (None, None) if held is None else self._slice(held, vectors[0], node, frame, ranges)
        if node.count.constant is None:
            padded = [] if length is None or length == _greatest(node.count, ranges) else [py.integer(length)]
            coefficients = py.call("before", self.affine(node.count, frame), coefficients, *padded)
        if array is not None:
            plain = not scalars and node.count.constant is not None
            found = py.call("jnp.sum", array, Py("axis=0")) if plain else py.matmul(coefficients, array)
        else:
            found = py.call("jnp.sum", coefficients)
        return py.product([self.value(mul(*still), frame, ranges), found]) if still else found

    def _coefficients(self, scalars: Sequence[Expr], node: Sum, frame: Frame, ranges: Ranges) -> Py:
        """The product of scalars for every value of the sum's variable, an array."""
        n = _greatest(node.count, ranges)
        if not scalars:
            return py.call("jnp.ones", py.integer(n))
        if not any(isinstance(part, Sum) for f in scalars for part in walk(f)) and self._over_axis(scalars, node.variable, frame):
            return self.value(mul(*scalars), self._along(node, frame, ranges), ranges)
        parameter = self.names.fresh(node.variable)
        inner = Frame(parent=frame, variables={node.variable: parameter})
        body = self.value(mul(*scalars), inner, (*ranges, (node.variable, node.count)))
        return Py(f"jax.vmap({py.lambda_of(parameter, body).text})(jnp.arange({n}))")

    def _count(self, node: Sum) -> Expr:
        return number(node.count.const) if node.count.constant is not None else Position(node.count)

    def _array(self, x: Expr, s: str, frame: Frame) -> Held | None:
        """The array that `x` is a member of, if `x` is one, the sum's variable is in one of its indices, and that is shifted by a number at most."""
        if not isinstance(x, Value):
            return None
        held = frame.find(x.ref)
        along = [i for i in held.rest(x.ref) if s in _variables(i)]
        good = len(along) == 1 and isinstance(along[0], Affine) and not (along[0] - Affine.var(s)).variables
        return held if good and not any(isinstance(i, Gather) for i in held.rest(x.ref)) else None

    def _over_axis(self, scalars: Sequence[Expr], s: str, frame: Frame) -> bool:
        """Whether the scalars can be read as arrays over the sum's variable."""
        return all(not isinstance(i, Gather) or s not in _variables(i) for f in scalars for ref, _ in expr_references(f, ()) for i in ref.index)

    def _along(self, node: Sum, frame: Frame, ranges: Ranges) -> Frame:
        """A frame in which the sum's variable is an axis: an array of its values, and slices in place of members."""
        n = _greatest(node.count, ranges)
        return _Axis(parent=frame, variables={node.variable: f"jnp.arange({n})"}, axis=node.variable, extent=n, emit=self)

    def _slice(self, held: Held, x: Expr, node: Sum, frame: Frame, ranges: Ranges) -> tuple[Py, int]:
        """The members that the sum runs over, as one array, and its length: a little more where that saves a copy and coefficients are 0."""
        assert isinstance(x, Value)
        n = length = _greatest(node.count, ranges)
        parts = []
        for axis, i in zip(held.kept, held.rest(x.ref), strict=True):
            if isinstance(i, Affine) and node.variable in i.variables:
                start = (i - Affine.var(node.variable)).const
                if start == 0 and node.count.constant is None and n < held.shape[axis] <= n + SPARE:
                    length = held.shape[axis]
                parts.append(slice_py(start, length, held.shape[axis]))
            else:
                parts.append(self.index(i, frame))
        return py.subscript(py.name(held.name), parts), length

    def _total(self, node: Sum, frame: Frame, ranges: Ranges) -> Py:
        """Any other sum: its terms computed side by side and added."""
        parameter = self.names.fresh(node.variable)
        inner = Frame(parent=frame, variables={node.variable: parameter})
        body = self.value(node.body, inner, (*ranges, (node.variable, node.count)))
        return py.call("total", py.lambda_of(parameter, body), self.affine(node.count, frame), py.integer(_greatest(node.count, ranges)))

    # moments

    def moment(self, x: Expr, frame: Frame, ranges: Ranges) -> Py:
        """E x."""
        if isinstance(x, Add) and (not self.space.pointwise or any(isinstance(t, Sum) or not is_vector(t) for t in x.terms)):
            return py.total([(False, self.moment(term, frame, ranges)) for term in x.terms])
        if not is_vector(x):
            return self.value(x, frame, ranges)
        factors = x.factors if isinstance(x, Mul) else (x,)
        scalars = [f for f in factors if not is_vector(f)]
        vectors = [f for f in factors if is_vector(f)]
        inner = self._mean(vectors, frame, ranges)
        return py.product([self.value(mul(*scalars), frame, ranges), inner]) if scalars else inner

    def _mean(self, factors: Sequence[Expr], frame: Frame, ranges: Ranges) -> Py:
        if len(factors) == 1 and isinstance(factors[0], Pow) and factors[0].exponent == number(2):
            factors = [factors[0].base, factors[0].base]
        if len(factors) == 1 and isinstance(factors[0], Sum) and (not self.space.pointwise and degree(factors[0]) > 1):
            node = factors[0]
            parameter = self.names.fresh(node.variable)
            inner = Frame(parent=frame, variables={node.variable: parameter})
            body = self.moment(node.body, inner, (*ranges, (node.variable, node.count)))
            return py.call("total", py.lambda_of(parameter, body), self.affine(node.count, frame), py.integer(_greatest(node.count, ranges)))
        if len(factors) == 2 and all(not self.space.pointwise or isinstance(f, Value) for f in factors):
            if all(degree(f) <= 1 for f in factors):
                return py.call(f"inner{self.suffix(*factors)}", *(self.vector(f, frame, ranges) for f in factors))
        if not self.space.pointwise:
            if len(factors) == 1 and degree(factors[0]) <= 1:
                return py.call("inner", py.name("one"), self.vector(factors[0], frame, ranges))
            return self._expanded(factors, frame, ranges)
        return py.call(f"mean{self.suffix(*factors)}", self.value(mul(*factors), frame, ranges))

    def _expanded(self, factors: Sequence[Expr], frame: Frame, ranges: Ranges) -> Py:
        """A polynomial of second order that is not a product of two linear ones as written: multiplied out."""
        for k, factor in enumerate(factors):
            rest = [f for j, f in enumerate(factors) if j != k]
            if isinstance(factor, Pow):
                assert factor.exponent == number(2)                  # what else the linear space takes has been dealt with
                return self.moment(Mul((factor.base, factor.base, *rest)), frame, ranges)
            if isinstance(factor, Add):
                return self.moment(Add(tuple(mul(term, *rest) for term in factor.terms)), frame, ranges)
            if isinstance(factor, Mul):
                return self.moment(mul(*factor.factors, *rest), frame, ranges)
        raise TypeError("not of second order")


class _Axis(Frame):
    """See `Expressions._along`: members are read as slices along the axis."""

    __slots__ = ("axis", "emit", "extent")

    def __init__(self, parent: Frame, variables: dict[str, str], axis: str, extent: int, emit: Expressions) -> None:
        super().__init__(parent=parent, variables=variables)
        self.axis, self.extent, self.emit = axis, extent, emit

    def find(self, ref: Ref) -> Held:
        assert self.parent is not None
        held = self.parent.find(ref)
        along = [(axis, i) for axis, i in zip(held.kept, held.rest(ref), strict=True) if self.axis in _variables(i)]
        if len(along) != 1:
            return held
        axis, i = along[0]
        if not isinstance(i, Affine) or (i - Affine.var(self.axis)).variables:
            return held
        parts = [slice_py(i.const, self.extent, held.shape[axis]) if a == axis else self.emit.index(j, self.parent)
                 for a, j in zip(held.kept, held.rest(ref), strict=True)]
        text = py.subscript(py.name(held.name), parts).text
        return Held(text, held.family, held.vector, dict(enumerate(ref.index)), (), held.shape, held.frame, store=False)


def slice_py(start: int, length: int, extent: int) -> Py:
    if start == 0:
        return Py(":" if length == extent else f":{length}")
    return Py(f"{start}:" if start + length == extent else f"{start}:{start + length}")


def _greatest(count: Affine, ranges: Ranges) -> int:
    return max(0, bounds(count, ranges)[1])


def _variables(index: Index) -> set[str]:
    if isinstance(index, Gather):
        return {v for i in index.index for v in i.variables}
    return set(index.variables)


def _positions(x: Expr) -> set[str]:
    found: set[str] = set()
    for node in walk(x):
        if isinstance(node, Position):
            found |= node.index.variables
        if isinstance(node, Sum):
            found |= node.count.variables
    return found


def _depends(x: Expr, s: str) -> bool:
    return s in _positions(x) or any(s in _variables(i) for ref, _ in expr_references(x, ()) for i in ref.index)
