"""Expressions of the core as expressions of JAX."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType

from tpc.core.affine import Affine, Ranges
from tpc.core.brackets import compared
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
    OuterProduct,
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
from tpc.core.factored import Slots
from tpc.core.functions import FUNCTIONS, has_kinks
from tpc.core.program import Input, Nonlin, OuterMul, OuterNonlin, Scalar
from tpc.core.spectral import SpectralMap
from tpc.emit import in_factors
from tpc.emit import python as py
from tpc.emit.identifiers import Identifiers
from tpc.emit.python import Py
from tpc.emit.scopes import Frame
from tpc.emit.sums import Sums, greatest
from tpc.emit.whole import (
    as_real,
    constant_py,
    counts,
    index_py,
    is_constant,
    number_py,
    real_py,
    whole_bounds,
    whole_py,
)
from tpc.plan.space import Space, degree


class Expressions:
    """Emits expressions in a frame.

    ranges: the loops and sums around, for bounds of counts. inputs: those that are indices are integers.
    """

    def __init__(
        self,
        space: Space,
        names: Identifiers,
        inputs: Sequence[Input] = (),
        tables: frozenset[str] = frozenset(),
        factored: Mapping[str, tuple[Slots, Slots]] = MappingProxyType({}),
    ) -> None:
        self.tables, self.factored = tables, factored
        self.places: tuple[Slots, Slots] | None = None  # those of the table in factors that is being made
        self.space = space
        self.names = names
        self.bound_of = {item.name: item.bound for item in inputs}.get
        self.packed: tuple[str, ...] = ()  # families that loops carry in 16 bits a number
        self.roots = False  # whether there are any of vectors

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
        return held.part([self.index(i, frame) for i in held.rest(ref)])

    # elementwise

    def suffix(self, *parts: Expr) -> str:
        """What names of the sector have in which the vectors of an expression live."""
        return self.space.sectors.suffix(v.ref.name for part in parts for v in values(part) if v.vector)

    def entrywise(self, op: Nonlin | OuterNonlin | Scalar, x: Expr, frame: Frame, ranges: Ranges) -> Py:
        """`x` as what an instruction makes: a vector, a table or a scalar."""
        if isinstance(op, Nonlin):
            return self.vector(x, frame, ranges, self.space.sectors.suffix([op.out.name]))
        if isinstance(op, OuterNonlin):
            return self.table(op.out.name, x, frame, ranges)
        return self.value(x, frame, ranges)

    def vector(self, x: Expr, frame: Frame, ranges: Ranges, suffix: str = "") -> Py:
        """`x` as an element of the space. suffix: of the names of its sector."""
        if self.space.pointwise:
            value = self.value(x, frame, ranges)
            return value if is_vector(x) else py.filled(py.name(f"size{suffix}"), value)
        if degree(x) == 0:
            return (
                py.product([self.value(x, frame, ranges), py.name("one")])
                if x != number(1)
                else py.name("one")
            )
        match x:
            case Add(terms):
                return py.total([self._signed(term, frame, ranges, element=True) for term in terms])
            case Mul(factors):
                return (
                    self.value(mul(*(f for f in factors if degree(f) == 0)), frame, ranges)
                    if degree(x) == 0
                    else py.product(
                        [
                            *self._scalars(factors, frame, ranges),
                            self.vector(next(f for f in factors if degree(f)), frame, ranges),
                        ]
                    )
                )
        return self.value(x, frame, ranges)

    def sides(self, family: str) -> tuple[str, ...]:
        """The suffixes of the sectors in which vectors of a family live, or rows and columns of tables."""
        rows = self.space.sectors.suffix([family])
        return (rows, self.space.sectors.columns_suffix(family)) if family in self.tables else (rows,)

    def sizes(self, family: str) -> tuple[str, ...]:
        """The names of the lengths of members of a family of vectors or tables."""
        if family in self.factored:
            return tuple(str(slots.count) for slots in self.factored[family])
        return tuple(f"size{suffix}" for suffix in self.sides(family))

    def table(self, family: str, x: Expr, frame: Frame, ranges: Ranges) -> Py:
        """`x`, a member of a family, as an array over the points of the rows and those of the columns.

        Of a table in factors it is one of coefficients, over the places of rows and of columns.
        """
        self.places = self.factored.get(family)
        value = self.value(x, frame, ranges)
        self.places = None
        shape = py.tuple_of(list(map(py.name, self.sizes(family))))
        if not is_vector(x):
            return py.filled(shape, value)
        if family in self.factored:
            return value
        full = any(
            is_vector(node.rows) and is_vector(node.columns)
            if isinstance(node, OuterProduct)
            else isinstance(node, Value) and node.ref.name in self.tables
            for node in walk(x)
        )
        return value if full else py.call("jnp.broadcast_to", value, shape)

    def outer(self, x: OuterProduct, frame: Frame, ranges: Ranges) -> Py:
        """`rows_α columns_β` for all points α and, beside them, independent ones β."""
        if self.places is not None:
            return in_factors.cell(self, x, self.places, frame)
        rows, columns = (self.value(part, frame, ranges) for part in (x.rows, x.columns))
        if is_vector(x.rows):
            rows = Py(f"{rows.at(py.ATOM)}[:, None]")
        return py.product([part for part, own in ((rows, x.rows), (columns, x.columns)) if own != number(1)])

    def spectral(self, x: SpectralMap, frame: Frame, ranges: Ranges) -> Py:
        """A function of tables as operators, the entries being weighted as points are."""
        if self.places is not None:
            return in_factors.spectral(self, x, frame, ranges)
        tables, scalars = (
            [self.value(part, frame, ranges) for part in own] for own in (x.tables, x.coefficients)
        )
        first = next(v.ref.name for v in values(x.table) if v.ref.name in self.tables)
        weights = [py.name(f"weights{suffix}") for suffix in self.sides(first)]
        if (side := x.signature.summed) is not None:
            return py.call("gram_over", tables[0] if side else py.transposed(tables[0]), weights[side])
        counted = [py.integer(x.steps)] if x.signature.steps else []
        return py.call(x.function, *tables, *weights, *counted, *scalars)

    def table_product(self, op: OuterMul, frame: Frame) -> Py:
        """The mean over one side of a table's entries times a vector's."""
        if op.table.name in self.factored:
            return in_factors.product(self, op, frame)
        table, x = self.member(op.table, frame), self.member(op.operand, frame)
        weighted = py.product([py.name(f"weights{self.space.sectors.suffix([op.operand.name])}"), x])
        return py.matmul(weighted, table) if op.transposed else py.matmul(table, weighted)

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
                return index_py(index, ranges, lambda i: self.affine(i, frame))
            case Value(ref, _):
                member = self.member(ref, frame)
                return member if self.bound_of(ref.name) is None else as_real(member)
            case Add() | Mul() | Pow() if is_constant(x):
                return constant_py(x)
            case Add(terms):
                return py.total([self._signed(term, frame, ranges) for term in terms])
            case Mul(factors):
                return self._product(factors, frame, ranges)
            case Pow(base, exponent):
                return self._power(base, exponent, frame, ranges)
            case Call("sqrt", (base,)):
                return self._root(base, Fraction(1, 2), frame, ranges)
            case Call() if (sides := compared(x)) is not None:
                return self._bracket(sides, frame, ranges)
            case Call(function, args):
                return py.formatted(FUNCTIONS[function].jax, [self._argument(a, frame, ranges) for a in args])
            case Compare(op, left, right):
                return py.compare(op, *self._sides(left, right, frame, ranges))
            case OuterProduct():
                return self.outer(x, frame, ranges)
            case SpectralMap():
                return self.spectral(x, frame, ranges)
            case Sum():
                return self.sum(x, frame, ranges)
        raise TypeError(f"no JAX for {type(x).__name__}")

    def _sides(self, left: Expr, right: Expr, frame: Frame, ranges: Ranges) -> tuple[Py, Py]:
        """Both sides of a comparison, as integers if both are."""
        whole = self._whole(left, frame, ranges), self._whole(right, frame, ranges)
        if whole[0] is not None and whole[1] is not None:
            return whole[0], whole[1]
        return self.value(left, frame, ranges), self.value(right, frame, ranges)

    def _bracket(self, sides: tuple[Expr, Expr], frame: Frame, ranges: Ranges) -> Py:
        equal = py.compare("==", *self._sides(*sides, frame, ranges))
        return py.call("jnp.where", equal, py.floating(1), py.floating(0))

    def _product(self, factors: Sequence[Expr], frame: Frame, ranges: Ranges) -> Py:
        over: list[Py] = []
        under: list[Py] = []
        for factor in factors:
            if (
                isinstance(factor, Pow)
                and isinstance(factor.exponent, Number)
                and factor.exponent.value < 0
                and not is_constant(factor)
            ):
                under.append(self.value(power(factor.base, Number(-factor.exponent.value)), frame, ranges))
            else:
                over.append(self.value(factor, frame, ranges))
        if factors[0] == number(-1) and len(over) > 1:
            return py.total([(True, py.product(over[1:], under))])
        return py.product(over, under)

    def _root(self, base: Expr, exponent: Fraction, frame: Frame, ranges: Ranges) -> Py:
        """A power between 0 and 1, whose derivative at 0 is infinite.

        If its base may rest there, it is taken apart.
        """
        inner = self._argument(base, frame, ranges)
        half = exponent == Fraction(1, 2)
        if (self.space.pointwise and is_vector(base)) or (values(base) and has_kinks(base)):
            self.roots = True
            return py.call("root", inner, *[real_py(exponent)] * (not half))
        return (
            py.call("jnp.sqrt", inner)
            if half
            else py.call("jnp.power", inner, real_py(exponent))
            if counts(base)
            else py.power(inner, real_py(exponent))
        )

    def _argument(self, x: Expr, frame: Frame, ranges: Ranges) -> Py:
        """`x` as an argument of a function, or in a power, of numbers that may stand alone."""
        return real_py(x.value) if isinstance(x, Number) else self.value(x, frame, ranges)

    def _whole(self, x: Expr, frame: Frame, ranges: Ranges) -> Py | None:
        """`x` in integers, if it is made of them."""
        if whole_bounds(x, ranges, self.bound_of) is None:
            return None
        return whole_py(x, lambda i: self.affine(i, frame), lambda ref: self.member(ref, frame))

    def _power(self, base: Expr, exponent: Expr, frame: Frame, ranges: Ranges) -> Py:
        if isinstance(exponent, Number):
            if exponent.value < 0:
                return py.product([], [self.value(power(base, Number(-exponent.value)), frame, ranges)])
            if 0 < exponent.value < 1:
                return self._root(base, exponent.value, frame, ranges)
            if not counts(base):
                return py.power(self.value(base, frame, ranges), number_py(exponent.value))
            return py.call("jnp.power", self._argument(base, frame, ranges), real_py(exponent.value))
        return py.call(
            "jnp.power",
            self._argument(base, frame, ranges),
            self._whole(exponent, frame, ranges) or self.value(exponent, frame, ranges),
        )

    # sums

    def sum(self, node: Sum, frame: Frame, ranges: Ranges) -> Py:
        """A sum, as a product with an array of members where it is one."""
        return Sums(self).sum(node, frame, ranges)

    # moments

    def moment(self, x: Expr, frame: Frame, ranges: Ranges) -> Py:
        """E x."""
        if isinstance(x, Add) and (
            not self.space.pointwise or any(isinstance(t, Sum) or not is_vector(t) for t in x.terms)
        ):
            return py.total([(False, self.moment(term, frame, ranges)) for term in x.terms])
        if not is_vector(x):
            return self.value(x, frame, ranges)
        factors = x.factors if isinstance(x, Mul) else (x,)
        scalars = [f for f in factors if not is_vector(f)]
        vectors = [f for f in factors if is_vector(f)]
        inner = self._mean(vectors, frame, ranges)
        return py.product([self.value(mul(*scalars), frame, ranges), inner]) if scalars else inner

    def _mean(self, factors: Sequence[Expr], frame: Frame, ranges: Ranges) -> Py:
        table = next((v.ref.name for f in factors for v in values(f) if v.ref.name in self.tables), None)
        if table is not None:
            rows, columns = self.sides(table)
            over_columns = py.call(f"mean{columns}", self.value(mul(*factors), frame, ranges))
            return py.call(f"mean{rows}", over_columns)
        if len(factors) == 1 and isinstance(factors[0], Pow) and factors[0].exponent == number(2):
            factors = [factors[0].base, factors[0].base]
        if (
            len(factors) == 1
            and isinstance(factors[0], Sum)
            and (not self.space.pointwise and degree(factors[0]) > 1)
        ):
            node = factors[0]
            parameter = self.names.fresh(node.variable)
            inner = Frame(parent=frame, variables={node.variable: parameter})
            body = self.moment(node.body, inner, (*ranges, (node.variable, node.count)))
            return py.call(
                "total",
                py.lambda_of(parameter, body),
                self.affine(node.count, frame),
                py.integer(greatest(node.count, ranges)),
            )
        if len(factors) == 2 and all(not self.space.pointwise or isinstance(f, Value) for f in factors):
            if all(degree(f) <= 1 for f in factors):
                return py.call(
                    f"inner{self.suffix(*factors)}", *(self.vector(f, frame, ranges) for f in factors)
                )
        if not self.space.pointwise:
            if len(factors) == 1 and degree(factors[0]) <= 1:
                return py.call("inner", py.name("one"), self.vector(factors[0], frame, ranges))
            return self._expand(factors, frame, ranges)
        return py.call(f"mean{self.suffix(*factors)}", self.value(mul(*factors), frame, ranges))

    def _expand(self, factors: Sequence[Expr], frame: Frame, ranges: Ranges) -> Py:
        """A polynomial of second order that is not a product of two linear ones as written.

        Multiplied out.
        """
        for k, factor in enumerate(factors):
            rest = [f for j, f in enumerate(factors) if j != k]
            if isinstance(factor, Pow):
                assert factor.exponent == number(2)  # what else the linear space takes has been dealt with
                return self.moment(Mul((factor.base, factor.base, *rest)), frame, ranges)
            if isinstance(factor, Add):
                return self.moment(Add(tuple(mul(term, *rest) for term in factor.terms)), frame, ranges)
            if isinstance(factor, Mul):
                return self.moment(mul(*factor.factors, *rest), frame, ranges)
        raise TypeError("not of second order")
