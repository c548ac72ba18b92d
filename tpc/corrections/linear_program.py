"""Bias and fluctuation of programs that are linear in their vectors, without points.

The program is run once, on jets: its outputs at the limit, and their first and second derivatives in every
entry of the Gram matrices of its Gaussians (see `coefficients`). In fractions the outcome is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import product as indices_of
from typing import Any

import numpy as np

from tpc.core.affine import Affine
from tpc.core.calculus import NotDifferentiableError, differentiate
from tpc.core.comparisons import COMPARISONS
from tpc.core.expr import (
    ONE,
    ZERO,
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
    Value,
    call,
    is_vector,
    power,
)
from tpc.core.laws import NUMPY
from tpc.core.numeric import evaluate
from tpc.core.program import Gaussians, Instruction, MatMul, Matrix, Moment, Nonlin, Program, Scalar
from tpc.core.unroll import unroll
from tpc.corrections.asked import TINY, SideOfMatrix, product
from tpc.corrections.coefficients import (
    Coefficients,
    Directions,
    GaussiansOfWidth,
    TooLargeError,
    scaled,
    total,
)
from tpc.corrections.jets import Field, Jet
from tpc.corrections.units import unit_of

MOST_BITS = 4096  # of a numerator or denominator
MOST_EXACT, MOST_FLOATS = 40, 48  # Gaussians of one width


class NotRationalError(Exception):
    """A function of which fractions are no fractions."""


@dataclass(frozen=True, slots=True)
class Gradients:
    """An output [...]: its limit, its n·bias and its derivatives, fractions or floats."""

    value: np.ndarray
    bias: np.ndarray
    # derivatives in the entries of the Gram matrices [..., directions], which `weights` [directions] go with
    slopes: np.ndarray
    weights: np.ndarray

    @property
    def variance(self) -> np.ndarray:
        found: np.ndarray = (self.slopes * self.slopes) @ self.weights
        return found

    @property
    def as_floats(self) -> tuple[np.ndarray, np.ndarray]:
        """The variance, 0 or infinite where it is beyond their range, and its root."""
        unit = unit_of(np.asarray(np.max(np.abs(self.slopes), axis=-1, initial=0), float))
        exact = np.frompyfunc(Fraction, 1, 1)(unit) if self.slopes.dtype == object else unit
        slopes = self.slopes / np.asarray(exact)[..., None]
        variance = np.asarray((slopes * slopes) @ self.weights, float)
        return unit * (unit * variance), unit * np.sqrt(variance)


class LinearProgram:
    """Runs a program that is linear in its vectors."""

    def __init__(self, program: Program, inputs: Mapping[str, np.ndarray], over: Field) -> None:
        self.program, self.over = unroll(program), over
        self.inputs = inputs
        self.directions = Directions()
        self.widths = {w.name: self._width(self._law(w.ratio)) for w in program.widths}
        self.matrices = {matrix.name: matrix for matrix in program.matrices}
        self.sides: dict[tuple[Ref, bool], SideOfMatrix] = {}
        self.values: dict[Ref, Any] = {}
        for group in self.program.gaussians:
            for at in indices_of(*(range(n) for _, n in group.axes)):
                self._initial(group, at)

    def run(self) -> dict[str, Gradients]:
        """The outputs by name.

        Raises NotRationalError, TooLargeError, NotDifferentiableError, and ZeroDivisionError or OverflowError
        where an output is not finite.
        """
        for op in self.program.body:
            self._instruction(op)  # type: ignore[arg-type]
        return {o.name: self._moments(o.ref, o.axes) for o in self.program.outputs if not o.check}

    def _moments(self, ref: Ref, axes: Sequence[tuple[str, int]]) -> Gradients:
        shape, count = tuple(n for _, n in axes), len(self.directions.variances)
        dtype = object if self.over.exact else float
        weights = np.array(
            [v / r for v, r in zip(self.directions.variances, self.directions.ratios, strict=True)], dtype
        )
        value, bias = np.empty(shape, dtype), np.empty(shape, dtype)
        slopes = self.over.zeros(*shape, count)
        for index in indices_of(*map(range, shape)):
            at = dict(zip((v for v, _ in axes), index, strict=True))
            jet = self._scalar(self._ref(ref, at))
            seen = len(jet.first)
            value[index], bias[index] = jet.value, jet.second @ weights[:seen]
            slopes[index][:seen] = jet.first
        return Gradients(value, bias, slopes, weights)

    # numbers, vectors and products: a subclass has others

    def _width(self, ratio: Any) -> Any:
        most = MOST_EXACT if self.over.exact else MOST_FLOATS
        return GaussiansOfWidth(self.over, self.directions, ratio, most)

    def _constant(self, x: Expr) -> Any:
        return self._jet(x).value

    def _scaled(self, x: Any, by: Any) -> Any:
        return scaled(x, by)

    def _total(self, parts: Sequence[Any]) -> Any:
        return total(parts)

    def _product(self, near: SideOfMatrix, far: SideOfMatrix, x: Any) -> Any:
        return product(near, far, x)

    # laws

    def _law(self, x: Expr, at: Mapping[str, int] | None = None) -> Any:
        from tpc.core.traverse import substitute

        return self._constant(substitute(x, {v: Affine(k) for v, k in (at or {}).items()}))

    def _initial(self, group: Gaussians, index: tuple[int, ...]) -> None:
        """The vectors of a group as combinations of independent Gaussians (L D Lᵀ of their covariance)."""
        at = dict(zip((v for v, _ in group.axes), index, strict=True))
        width = self.widths[group.width]
        k = len(group.names)
        left = [[self._law(x, at) for x in row] for row in group.covariance]
        parts = [[self._scaled(width.one, self.over.jet(self._law(mean, at)))] for mean in group.mean]
        least = 0 if self.over.exact else 1e-12 * max(left[i][i] for i in range(k))
        for i in range(k):
            variance = left[i][i]
            if variance <= least:
                continue
            fresh = width.new(variance)
            shares = [left[j][i] / variance for j in range(k)]
            for j in range(i, k):
                parts[j].append(self._scaled(fresh, self.over.jet(shares[j])))
            for j, m in indices_of(range(i + 1, k), range(i + 1, k)):
                left[j][m] -= shares[j] * shares[m] * variance
        for name, own in zip(group.names, parts, strict=True):
            self.values[Ref(name, tuple(map(Affine, index)))] = self._total(own)

    def _side(self, ref: Ref, transposed: bool) -> SideOfMatrix:
        if (ref, transposed) not in self.sides:
            matrix: Matrix = self.matrices[ref.name]
            at = {v: i.const for (v, _), i in zip(matrix.axes, ref.index, strict=True)}  # type: ignore[union-attr]
            variance = self._law(matrix.variance, at)
            rows, columns = self.widths[matrix.rows], self.widths[matrix.columns]
            ratio = rows.ratio / columns.ratio
            self.sides[ref, False] = SideOfMatrix(columns, rows, variance, 1 / ratio)
            self.sides[ref, True] = SideOfMatrix(rows, columns, variance * ratio, ratio)
        return self.sides[ref, transposed]

    # instructions

    def _instruction(self, op: Instruction) -> None:
        out = self._ref(op.out)
        match op:
            case MatMul():
                matrix = self._ref(op.matrix)
                near, far = self._side(matrix, op.transposed), self._side(matrix, not op.transposed)
                self.values[out] = self._product(near, far, self.values[self._ref(op.operand)])
            case Nonlin():
                width = next(f.width for f in self.program.families if f.name == out.name)
                assert width is not None
                self.values[out] = self._vector(op.phi, self.widths[width])
            case Moment():
                self.values[out] = self._mean(op.phi, self._width_of(op.phi))
            case Scalar():
                self.values[out] = self._jet(op.phi)
            case _:
                raise NotRationalError("a table")
        if self.over.exact:
            self._limit_digits(self.values[out])

    def _limit_digits(self, made: Jet | Coefficients) -> None:
        for x in np.ravel(made.value):
            if max(abs(x.numerator), x.denominator).bit_length() > MOST_BITS:
                raise TooLargeError(f"fractions of more than {MOST_BITS} binary digits")

    def _width_of(self, x: Expr) -> Any:
        from tpc.core.expr import values
        from tpc.core.program import all_families

        ref = next(v.ref for v in values(x) if v.vector)
        width = all_families(self.program)[ref.name].width
        assert width is not None
        return self.widths[width]

    # members

    def _ref(self, ref: Ref, at: Mapping[str, int] | None = None) -> Ref:
        return Ref(ref.name, tuple(Affine(self._index(i, at or {})) for i in ref.index))

    def _index(self, i: Index, at: Mapping[str, int]) -> int:
        if isinstance(i, Gather):
            return int(self.inputs[i.input][tuple(self._index(j, at) for j in i.index)])
        return i.at(at)

    def _scalar(self, ref: Ref) -> Any:
        if ref.name in self.inputs:
            at = tuple(self._index(i, {}) for i in ref.index)
            return self.over.jet(self.inputs[ref.name][at])
        return self.values[ref]

    # expressions

    def _vector(self, x: Expr, width: Any) -> Any:
        """A vector that is linear in vectors; of a scalar all coordinates are the same."""
        if not is_vector(x):
            return self._scaled(width.one, self._jet(x))
        match x:
            case Value(ref):
                return self.values[self._ref(ref)]
            case Add(terms):
                return self._total([self._vector(term, width) for term in terms])
            case Mul(factors):
                (own,) = (f for f in factors if is_vector(f))
                rest = [self._jet(f) for f in factors if not is_vector(f)]
                out = self._vector(own, width)
                for factor in rest:
                    out = self._scaled(out, factor)
                return out
            case Pow(base, Number(k)) if k == 1:
                return self._vector(base, width)
        raise NotRationalError(f"{type(x).__name__} of a vector")

    def _mean(self, x: Expr, width: Any) -> Any:
        """The mean of what is of second degree in vectors at most."""
        if not is_vector(x):
            return self._jet(x)
        match x:
            case Value():
                return width.inner(self._vector(x, width), width.one)
            case Add(terms):
                jets = [self._mean(term, width) for term in terms]
                return _sum(jets)
            case Pow(base, Number(k)) if k == 2:
                own = self._vector(base, width)
                return width.inner(own, own)
            case Pow(base, Number(k)) if k == 1:
                return self._mean(base, width)
            case Mul(factors):
                of_vectors = [f for f in factors if is_vector(f)]
                if len(of_vectors) == 2:
                    mean = width.inner(*(self._vector(f, width) for f in of_vectors))
                else:
                    mean = self._mean(of_vectors[0], width)
                for f in factors:
                    mean = mean if is_vector(f) else mean * self._jet(f)
                return mean
        raise NotRationalError(f"a mean of {type(x).__name__}")

    def _jet(self, x: Expr) -> Any:
        """A scalar."""
        match x:
            case Number(value):
                return self.over.jet(value)
            case Position(index):
                return self.over.jet(index.const)
            case Value(ref):
                return self._scalar(self._ref(ref))
            case Add(terms):
                return _sum([self._jet(term) for term in terms])
            case Mul(factors):
                out = self._jet(factors[0])
                for factor in factors[1:]:
                    out = out * self._jet(factor)
                return out
            case Pow(base, Number(k)) if k.denominator == 1:
                return self._jet(base) ** int(k)
            case Call("where", (Compare(op, left, right), yes, no)):
                a, b = self._jet(left), self._jet(right)
                if self._tied(a, b):
                    raise NotDifferentiableError("where")
                return self._jet(yes if COMPARISONS[op](a.value, b.value) else no)
            case Constant() if not self.over.exact:
                return self.over.jet(evaluate(x, lambda _: None, NUMPY))
            case Call() | Pow() if not self.over.exact:
                return self._function(x)
        raise NotRationalError(f"{type(x).__name__}")

    def _tied(self, a: Jet, b: Jet) -> bool:
        """Whether two numbers that move are the same at the limit, floats to rounding."""
        apart = a - b
        if apart.constant or self.over.exact:
            return not (apart.constant or apart.value)
        moved = [float(np.max(np.abs(part), initial=0)) for part in (apart.first, apart.second)]
        return bool(abs(apart.value) <= TINY * max(abs(a.value), abs(b.value), *moved))

    def _function(self, x: Expr) -> Jet:
        """A function of jets, by its derivatives."""
        arguments = [self._jet(part) for part in x.parts]
        places = [Value(Ref(f"argument {k}"), False) for k in range(len(arguments))]
        own = call(x.function, *places) if isinstance(x, Call) else power(places[0], places[1])
        at = {place.ref.name: jet.value for place, jet in zip(places, arguments, strict=True)}

        def number(formula: Expr) -> float:
            return float(evaluate(formula, lambda n: at[n.ref.name] if isinstance(n, Value) else None, NUMPY))

        moving = [k for k, jet in enumerate(arguments) if not jet.constant]
        out = self.over.jet(number(own))
        for i in moving:
            slope = differentiate(own, partial(_seed, along=places[i]))
            out = out + arguments[i].mapped(0.0, number(slope), 0.0)
            for j in moving:
                bend = differentiate(slope, partial(_seed, along=places[j]))
                moved = [arguments[k].mapped(0.0, 1.0, 0.0) for k in (i, j)]
                out = out + moved[0] * moved[1] * self.over.jet(number(bend) / 2)
        return out


def _seed(node: Expr, along: Value) -> Expr | None:
    return (ONE if node == along else ZERO) if isinstance(node, Value) else None


def _sum(jets: Sequence[Any]) -> Any:
    out = jets[0]
    for jet in jets[1:]:
        out = out + jet
    return out
