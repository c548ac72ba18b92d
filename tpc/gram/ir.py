"""What a covariance program is made of: arrays of numbers, each a formula in those before it.

A formula is an expression over scalars (inputs and arrays), with one more kind of leaf (`Delta`), or a
Gaussian expectation, in closed form or by quadrature.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tpc.core.affine import Affine
from tpc.core.expr import (
    ONE,
    ZERO,
    Add,
    Delta,
    Expr,
    Gather,
    Index,
    Mul,
    Value,
    add,
    mul,
    number,
    summed,
    walk,
)
from tpc.core.program import Program
from tpc.core.traverse import free_variables, index_variables, indices, substitute


class NotGramError(ValueError):
    """The covariances of the program do not follow from each other. The text says where and why."""


class TooManyGaussiansError(NotGramError):
    """They do, by an integral of too many dimensions."""


class TooDearError(NotGramError):
    """Whether they do was not found out, as it takes too long."""


@dataclass(frozen=True, slots=True)
class Factor:
    """`z^power·f(scale·z)·exp(−weight·z²)`, a function of one Gaussian; f is 1 or of this name."""

    power: int = 0
    kind: Literal["one", "step", "erf", "sin", "cos", "exp", "tanh", "tanh'", "tanh''", "softplus"] = "one"
    scale: Expr = ONE
    weight: Expr = ZERO


@dataclass(frozen=True, slots=True)
class Closed:
    """`E f(u)·g(v)` in closed form, (u, v) ~ N(0, [[q, c], [c, r]])."""

    left: Factor
    right: Factor
    q: Expr
    c: Expr
    r: Expr
    # pairs of axes; where the two of every pair agree, u and v are the same, and c is q exactly
    same: tuple[tuple[str, str], ...] = ()
    # the name of a user's form
    registered: str = ""


@dataclass(frozen=True, slots=True)
class Integral:
    """`E Π φ_i(u)` by quadrature, u ~ N(mean, covariance).

    `variables` are the names of u's coordinates in the φ_i.

    A factor depends on one or more of the variables, and on scalars.
    """

    variables: tuple[str, ...]
    factors: tuple[Expr, ...]
    mean: tuple[Expr, ...]
    # its lower triangle, row by row
    covariance: tuple[tuple[Expr, ...], ...]
    # as for `Closed`, of the first two variables
    same: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Spectral:
    """A function of the singular values of Σ C_ij x_i yᵀ_j, as the array of its coefficients.

    The x, and the y, come in blocks, each over axes of its own: `rows`, `columns`, and once more for the
    other side of inner products, `twins`.
    """

    function: str
    steps: int
    coefficients: tuple[Expr, ...]
    rows: tuple[tuple[str, ...], ...]
    columns: tuple[tuple[str, ...], ...]
    twins: tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]
    # C, ⟨x, x⟩ and ⟨y, y⟩, by blocks
    cells: tuple[tuple[Expr, ...], ...]
    row_products: tuple[tuple[Expr, ...], ...]
    column_products: tuple[tuple[Expr, ...], ...]

    @property
    def parts(self) -> tuple[Expr, ...]:
        tables = (self.cells, self.row_products, self.column_products)
        return (*self.coefficients, *(x for table in tables for row in table for x in row))


Formula = Expr | Closed | Integral | Spectral
Axis = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """`formula` on a part of an array: on every axis from `low` to `low + extent`.

    Its variables, named in `variables`, start at 0.
    """

    low: tuple[int, ...]
    extent: tuple[int, ...]
    variables: tuple[str, ...]
    formula: Formula


@dataclass(slots=True)
class Definition:
    """An array over `shape`, 0 where no piece is."""

    name: str
    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]
    # what it is, as a comment
    shown: str
    # names for it
    also: list[str] = field(default_factory=list)
    # 0/0 in it is 0 (`over`)
    guarded: bool = True


@dataclass(frozen=True, slots=True)
class CovarianceProgram:
    """Definitions in order, and for every output its axes and the formula of an entry."""

    program: Program
    definitions: tuple[Definition, ...]
    outputs: Mapping[str, tuple[tuple[Axis, ...], Expr]]
    # of every variable
    extents: Mapping[str, int]
    # whether products with a Ż were moved to the other side
    moved: bool = False

    @property
    def integrals(self) -> int:
        """How many are done by quadrature."""
        return sum(isinstance(piece.formula, Integral) for d in self.definitions for piece in d.pieces)

    @property
    def entries(self) -> int:
        """Numbers in all arrays."""
        return sum(math.prod(d.shape) for d in self.definitions)


def formula_variables(x: Formula) -> set[str]:
    match x:
        case Closed():
            parts: tuple[Expr, ...] = (
                x.q,
                x.c,
                x.r,
                x.left.scale,
                x.left.weight,
                x.right.scale,
                x.right.weight,
            )
        case Integral():
            parts = (*x.factors, *x.mean, *(c for row in x.covariance for c in row))
        case Spectral():
            return set()
        case _:
            parts = (x,)
    return {v for part in parts for v in free_variables(part)}


def determined(x: Formula) -> Formula:
    """`x` with axes that agree only where it depends on them.

    No covariance can tell the two Gaussians by others.
    """
    if isinstance(x, Expr | Spectral) or {v for pair in x.same for v in pair} <= formula_variables(x):
        return x
    return dataclasses.replace(x, same=())


RangeOf = Callable[[Index], tuple[int, int]]


def total(variable: str, count: int, x: Expr, range_of: RangeOf) -> Expr:
    """`Σ_{variable < count} x`, term by term, factors that do not depend on it in front, deltas used up.

    range_of: the least and greatest value of an index.
    """
    if x == ZERO or count == 0:
        return ZERO
    if variable not in free_variables(x):
        return mul(number(count), x)
    if isinstance(x, Add):
        return add(*(total(variable, count, term, range_of) for term in x.terms))
    factors = list(x.factors) if isinstance(x, Mul) else [x]
    for k, factor in enumerate(factors):
        at = _solved(factor, variable, count, range_of) if isinstance(factor, Delta) else None
        if at is not None:
            return substitute(mul(*factors[:k], *factors[k + 1 :]), {variable: at})
    inside = [f for f in factors if variable in free_variables(f)]
    outside = [f for f in factors if variable not in free_variables(f)]
    return mul(*outside, summed(variable, Affine(count), mul(*inside)))


def _solved(delta: Delta, variable: str, count: int, range_of: RangeOf) -> Index | None:
    """What `variable` must be for `delta` to be 1, if that is certainly within its range."""
    left, right = delta.left, delta.right
    if isinstance(left, Affine) and isinstance(right, Affine):
        difference = left - right
        k = difference.coefficient(variable)
        solved: Index | None = (difference - Affine.of(0, {variable: k})).scaled(-k) if abs(k) == 1 else None
    else:
        there = right if left == Affine.var(variable) else left if right == Affine.var(variable) else None
        solved = there if there is not None and variable not in index_variables(there) else None
    if solved is None:
        return None
    low, high = range_of(solved)
    return solved if low >= 0 and high < count else None


def expressions_in(x: Formula) -> Sequence[Expr]:
    match x:
        case Closed():
            return x.q, x.c, x.r, x.left.scale, x.left.weight, x.right.scale, x.right.weight
        case Integral():
            return *x.factors, *x.mean, *(c for row in x.covariance for c in row)
        case Spectral():
            return x.parts
    assert isinstance(x, Expr)
    return (x,)


def mentioned(x: Expr) -> set[str]:
    return {v.ref.name for v in walk(x) if isinstance(v, Value) and not v.vector} | {
        i.input for i in indices(x) if isinstance(i, Gather)
    }


def needed_names(covariances: CovarianceProgram) -> set[str]:
    """The inputs and arrays that outputs depend on."""
    found: set[str] = set()
    waiting = [formula for _, formula in covariances.outputs.values()]
    by_name = {d.name: d for d in covariances.definitions}
    while waiting:
        for name in mentioned(waiting.pop()):
            if name not in found:
                found.add(name)
                if name in by_name:
                    waiting += [x for piece in by_name[name].pieces for x in expressions_in(piece.formula)]
    return found


def needed_definitions(covariances: CovarianceProgram) -> tuple[Definition, ...]:
    """The arrays that outputs depend on."""
    needed = needed_names(covariances)
    return tuple(d for d in covariances.definitions if d.name in needed)
