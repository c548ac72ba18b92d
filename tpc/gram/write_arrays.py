"""Formulas over indices as expressions of whole arrays.

`K[i, j]*v[i]` is `K*v[:, None]`, a sum of products a contraction.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tpc.core.affine import Affine, Ranges
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
    number,
    power,
    values,
)
from tpc.core.functions import FUNCTIONS
from tpc.core.traverse import free_variables, index_variables, indices
from tpc.emit import python as py
from tpc.emit.identifiers import Identifiers
from tpc.emit.python import Py
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
from tpc.gram.array_axes import letters, missing
from tpc.gram.labels import is_array

MOST_TERMS = 512  # of a sum that is written as one over slices


@dataclass(frozen=True, slots=True)
class Array:
    """An array of the module: its name and shape."""

    name: str
    shape: tuple[int, ...]
    # that of an index input, whose numbers are integers below it
    bound: int | None = None


class Arrays:
    """Emits formulas. extents: of variables. table: the arrays that members are read from."""

    def __init__(
        self,
        extents: Mapping[str, int],
        table: Mapping[str, Array],
        names: Identifiers,
        *,
        guarded: bool = True,
    ) -> None:
        self.extents, self.table, self.names, self.guarded = extents, table, names, guarded
        self.integers: dict[str, str] = {}  # variables of comprehensions, which are whole numbers

    def aligned(self, x: Expr, axes: Sequence[str]) -> Py:
        """`x` as an array that broadcasts over `axes`, those in front that it does not depend on left out."""
        match x:
            case Number(value):
                return number_py(value)
            case Constant(name):
                return py.real(math.pi if name == "pi" else math.e)
            case Position(index):
                return index_py(index, self._ranges(), lambda i: self.grid(i, axes))
            case Delta(left, right):
                return py.compare("==", self.grid(left, axes), self.grid(right, axes))
            case Value(ref, _):
                member = self.member(ref, axes)
                return member if self.table[ref.name].bound is None else as_real(member)
            case Add() | Mul() | Pow() if is_constant(x):
                return constant_py(x)
            case Add(terms):
                return py.total([self._signed(term, axes) for term in terms])
            case Mul(factors):
                return self._product(factors, axes)
            case Pow(base, exponent):
                return self._power(base, exponent, axes)
            case Call(function, args):
                return py.formatted(FUNCTIONS[function].jax, [self._argument(a, axes) for a in args])
            case Compare(op, left, right):
                whole = self._whole(left, axes), self._whole(right, axes)
                sides = (
                    (own or self.aligned(side, axes) for own, side in zip(whole, (left, right), strict=True))
                    if all(whole)
                    else (self.aligned(side, axes) for side in (left, right))
                )
                return py.compare(op, *sides)
            case Sum():
                return self._sum(x, axes)
        raise TypeError(f"no array for {type(x).__name__}")

    # arithmetic

    def _signed(self, term: Expr, axes: Sequence[str]) -> tuple[bool, Py]:
        first = term.factors[0] if isinstance(term, Mul) else term
        if isinstance(first, Number) and first.value < 0:
            return True, self.aligned(mul(number(-1), term), axes)
        return False, self.aligned(term, axes)

    def _product(self, factors: Sequence[Expr], axes: Sequence[str]) -> Py:
        upper: list[Py] = []
        lower: list[Py] = []
        safe = True
        first = factors[0]
        negative = isinstance(first, Number) and first.value == -1
        for factor in factors[1:] if negative else factors:
            if (
                isinstance(factor, Pow)
                and isinstance(factor.exponent, Number)
                and factor.exponent.value < 0
                and not is_constant(factor)
            ):
                lower.append(self.aligned(power(factor.base, Number(-factor.exponent.value)), axes))
                safe &= not self._may_vanish(factor.base)
            elif isinstance(factor, Delta):
                shown = self.aligned(factor, axes)
                upper.append(Py(f"({shown.text})"))
            else:
                upper.append(self.aligned(factor, axes))
        if lower and not safe:
            out = py.call("over", py.product(upper) if upper else Py("1"), py.product(lower))
        else:
            out = py.product(upper, lower)
        return py.total([(True, out)]) if negative else out

    def _may_vanish(self, x: Expr) -> bool:
        """Whether a divisor is a moment, which is 0 where an input has norm 0."""
        return self.guarded and any(is_array(v.ref.name) for v in values(x))

    def _argument(self, x: Expr, axes: Sequence[str]) -> Py:
        """`x` as an argument of a function, or in a power, of numbers that may stand alone."""
        return real_py(x.value) if isinstance(x, Number) else self.aligned(x, axes)

    def _ranges(self) -> Ranges:
        return tuple((v, Affine(n)) for v, n in self.extents.items())

    def _whole(self, x: Expr, axes: Sequence[str]) -> Py | None:
        """`x` in integers, if it is made of them."""
        if whole_bounds(x, self._ranges(), lambda name: self.table[name].bound) is None:
            return None
        return whole_py(x, lambda i: self.grid(i, axes), lambda ref: self.member(ref, axes))

    def _power(self, base: Expr, exponent: Expr, axes: Sequence[str]) -> Py:
        if isinstance(exponent, Number):
            if exponent.value == 2 and (square := _square_of_root(base)) is not None:
                return number_py(square)
            if exponent.value < 0:
                return self._product([Pow(base, exponent)], axes)
            if exponent.value == Fraction(1, 2):
                return py.call("jnp.sqrt", self.aligned(base, axes))
            if not counts(base):
                return py.power(self.aligned(base, axes), number_py(exponent.value))
            return py.call("jnp.power", self._argument(base, axes), real_py(exponent.value))
        return py.call(
            "jnp.power",
            self._argument(base, axes),
            self._whole(exponent, axes) or self.aligned(exponent, axes),
        )

    # members

    def grid(self, index: Index, axes: Sequence[str]) -> Py:
        """An index as an array of whole numbers over `axes`."""
        if isinstance(index, Gather):
            return self.member(Ref(index.input, index.index), axes)
        terms: list[tuple[bool, Py]] = []
        for v, k in index.terms:
            one = (
                py.name(self.integers[v])
                if v in self.integers
                else Py(f"jnp.arange({self.extents[v]}){missing(axes, v)}")
            )
            terms.append((k < 0, one if abs(k) == 1 else py.product([py.integer(abs(k)), one])))
        if index.const or not terms:
            terms.append((index.const < 0, py.integer(abs(index.const))))
        return py.total(terms)

    def member(self, ref: Ref, axes: Sequence[str]) -> Py:
        array = self.table[ref.name]
        plain = self._plain(ref, array)
        if plain is None:
            return py.subscript(py.name(array.name), [self.grid(i, axes) for i in ref.index])
        base, variables = plain
        order = sorted(variables, key=axes.index)
        if order != variables:
            base = (
                py.transposed(base)
                if len(order) == 2
                else py.call(
                    "jnp.transpose", base, py.tuple_of([py.integer(variables.index(v)) for v in order])
                )
            )
        if not order:
            return base
        present = axes[axes.index(order[0]) :]
        if len(present) == len(order):
            return base
        index = ", ".join(":" if v in order else "None" for v in present)
        return Py(f"{base.at(py.ATOM)}[{index}]")

    def _plain(self, ref: Ref, array: Array) -> tuple[Py, list[str]] | None:
        """Members at indices of one variable each, as slices, and their variables in order.

        None if they are not that.
        """
        parts: list[Py] = []
        own: list[str] = []
        for index, extent in zip(ref.index, array.shape, strict=True):
            if isinstance(index, Gather):
                return None
            loose = [(v, k) for v, k in index.terms if v not in self.integers]
            if len(loose) > 1 or any(k != 1 for _, k in loose):
                return None
            if not loose:
                parts.append(self.grid(index, ()))
                continue
            ((v, _),) = loose
            own.append(v)
            if len(index.terms) == 1:
                parts.append(py.part(index.const, self.extents[v], extent))
            else:
                start = self.grid(index - Affine.var(v), ()).text
                parts.append(Py(f"{start}:{start} + {self.extents[v]}"))
        base = py.subscript(py.name(array.name), parts)
        if len(set(own)) == len(own):
            return base, own
        unique = list(dict.fromkeys(own))
        table = letters(unique)
        pattern = f"{''.join(table[v] for v in own)}->{''.join(table[v] for v in unique)}"
        return Py(f'contract("{pattern}", {base.text})'), unique

    # sums

    def _sum(self, x: Sum, axes: Sequence[str]) -> Py:
        variables, body = [x.variable], x.body
        while isinstance(body, Sum):
            variables, body = [*variables, body.variable], body.body
        if isinstance(body, Add):
            return py.total(
                [self._signed(_sum_of(variables, self.extents, term), axes) for term in body.terms]
            )
        factors = list(body.factors) if isinstance(body, Mul) else [body]
        while any(isinstance(f, Sum) for f in factors):
            k, inner = next((k, f) for k, f in enumerate(factors) if isinstance(f, Sum))
            if isinstance(inner.body, Add):
                break
            variables.append(inner.variable)
            factors[k : k + 1] = inner.body.factors if isinstance(inner.body, Mul) else [inner.body]
        taps = self._taps(variables, factors)
        if taps:
            return self._over_slices(
                taps, _sum_of([v for v in variables if v not in taps], self.extents, mul(*factors)), axes
            )
        return self._moved(variables, factors, axes) or self._contraction(factors, axes)

    def _moved(self, variables: Sequence[str], factors: Sequence[Expr], axes: Sequence[str]) -> Py | None:
        """A sum over k with a Delta that says `j = k + c`: what is summed, along j, moved by c."""
        for n, delta in enumerate(factors):
            others = [*factors[:n], *factors[n + 1 :]]
            found = _offset(delta, variables) if isinstance(delta, Delta) and others else None
            if found is None:
                continue
            j, k, c = found
            free = free_variables(mul(*others))
            if j not in axes or j in free or k not in free:
                continue
            place = list(axes).index(j)
            along = [*axes[:place], k, *axes[place + 1 :]]
            value = self.aligned(_sum_of([v for v in variables if v != k], self.extents, mul(*others)), along)
            return Py(f"moved({value.text}, {place - len(axes)}, {c}, {self.extents[j]})")
        return None

    def _taps(self, variables: Sequence[str], factors: Sequence[Expr]) -> list[str]:
        """The variables that a sum over slices runs over.

        Those which stand in an index beside another variable.
        """
        beside = set()
        for index in (i for f in factors for i in indices(f) if isinstance(i, Affine)):
            loose = [v for v in index.variables if v not in self.integers]
            if len(loose) > 1:
                small = sorted((v for v in loose if v in variables), key=lambda v: self.extents[v])
                beside |= set(small[: len(loose) - 1])
        out = [v for v in variables if v in beside]
        return out if math.prod(self.extents[v] for v in out) <= MOST_TERMS else []

    def _over_slices(self, taps: Sequence[str], body: Expr, axes: Sequence[str]) -> Py:
        loops = ""
        for v in taps:
            self.integers[v] = self._integer(v[0])
            loops += f" for {self.integers[v]} in range({self.extents[v]})"
        value = self.aligned(body, axes)
        for v in taps:
            del self.integers[v]
        return Py(f"sum({value.text}{loops})")

    def _integer(self, letter: str) -> str:
        """A name for the variable of a comprehension; other comprehensions may have the same one."""
        for k in itertools.count():
            key = f"{letter} {k} of a sum"
            if key not in self.names.table:
                self.names.table[key] = self.names.fresh(letter)
            if self.names.table[key] not in self.integers.values():
                return self.names.table[key]
        raise AssertionError

    def _contraction(self, factors: Sequence[Expr], axes: Sequence[str]) -> Py:
        operands: list[tuple[Py, list[str]]] = []
        numbers = [f for f in factors if isinstance(f, Number)]
        for factor in factors:
            if isinstance(factor, Number):
                continue
            own = self._operand(factor)
            if own is None:
                variables = sorted(v for v in free_variables(factor) if v not in self.integers)
                own = self.aligned(factor, variables), variables
            operands.append(own)
        met = {v for _, variables in operands for v in variables}
        out = [v for v in axes if v in met]
        value = self._einsum(operands, out)
        if out:
            present = list(axes)[list(axes).index(out[0]) :]
            if len(present) > len(out):
                value = Py(f"{value.at(py.ATOM)}[{', '.join(':' if v in out else 'None' for v in present)}]")
        return py.product([*(number_py(n.value) for n in numbers), value]) if numbers else value

    def _operand(self, factor: Expr) -> tuple[Py, list[str]] | None:
        if not isinstance(factor, Value):
            return None
        array = self.table[factor.ref.name]
        if len({v for i in factor.ref.index for v in index_variables(i)}) != len(factor.ref.index):
            return None
        plain = self._plain(factor.ref, array)
        return plain if plain is None or array.bound is None else (as_real(plain[0]), plain[1])

    def _einsum(self, operands: Sequence[tuple[Py, list[str]]], out: Sequence[str]) -> Py:
        every = list(dict.fromkeys([*out, *(v for _, variables in operands for v in variables)]))
        table = letters(every)
        left = ",".join("".join(table[v] for v in variables) for _, variables in operands)
        return Py(
            f'contract("{left}->{"".join(table[v] for v in out)}", {", ".join(o.text for o, _ in operands)})'
        )


def _offset(delta: Delta, variables: Sequence[str]) -> tuple[str, str, int] | None:
    """j, k and c of `j = k + c`, k being summed over and j not."""
    if not isinstance(delta.left, Affine) or not isinstance(delta.right, Affine):
        return None
    difference = delta.left - delta.right
    if sorted(k for _, k in difference.terms) != [-1, 1]:
        return None
    summed = [v for v, _ in difference.terms if v in variables]
    if len(summed) != 1:
        return None
    (k,) = summed
    (j,) = (v for v, _ in difference.terms if v != k)
    return j, k, -difference.const * difference.coefficient(j)


def _square_of_root(x: Expr) -> Fraction | None:
    """The number whose root `x` is: the square of a root would be off by rounding."""
    match x:
        case Call("sqrt", (Number(value),)) | Pow(
            Number(value), Number(Fraction(numerator=1, denominator=2))
        ) if value >= 0:
            return value
    return None


def _sum_of(variables: Sequence[str], extents: Mapping[str, int], x: Expr) -> Expr:
    for v in reversed(variables):
        x = Sum(v, Affine(extents[v]), x)
    return x
