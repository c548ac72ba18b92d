"""Functions of tables as operators: of their singular values, and their products with themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from tpc.core.expr import ZERO, Expr, Number, add, call, divide, mul, neg, number, power, walk

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TableFunction:
    """How a function of tables is written: tables, a number of steps if it has one, scalars.

    A letter stands for a side, `rc` for a table whose rows and columns are those of the first one.
    """

    tables: tuple[str, ...]
    result: str
    scalars: int = 0
    steps: bool = False
    # whether it goes by singular vectors, or eigenvectors
    decomposes: bool = False

    @property
    def arguments(self) -> int:
        return len(self.tables) + self.steps + self.scalars

    @property
    def of_singular_values(self) -> bool:
        """Whether it is of the singular values of one table, and makes one between the same sides."""
        return self.tables == (self.result,)

    @property
    def summed(self) -> int | None:
        """The side that a product of a table with itself is summed over, 0 for rows; None for others."""
        gone = [side for side, letter in enumerate(self.tables[0]) if letter not in self.result]
        return gone[0] if gone else None

    def fits(self, tables: Sequence[Sequence[object]], result: Sequence[object]) -> bool:
        """Whether every letter is one side, of these tables and of the result; one that is 0 has none."""
        known = dict[str, object]()
        return all(
            known.setdefault(letter, side) == side
            for letters, own in zip((*self.tables, self.result), (*tables, result), strict=True)
            for letter, side in zip(letters, own, strict=False)
        )

    def result_sides(self, tables: Sequence[tuple[T, T]]) -> tuple[T, T]:
        """The sides of what it makes of tables with these."""
        known = {
            letter: side
            for letters, own in zip(self.tables, tables, strict=True)
            for letter, side in zip(letters, own, strict=True)
        }
        return known[self.result[0]], known[self.result[1]]


SPECTRAL = {
    "newton_schulz": TableFunction(("rc",), "rc", scalars=3, steps=True),
    "polar": TableFunction(("rc",), "rc", decomposes=True),
    "left_gram": TableFunction(("rc",), "rr"),
    "right_gram": TableFunction(("rc",), "cc"),
    "preconditioned": TableFunction(("rc", "rr", "cc"), "rc", scalars=2, decomposes=True),
}
TINY = Fraction(1, 10**7)  # added to the norm that an iteration divides by
# singular values below so much of the largest one count as 0, in float64 and in less precise numbers
LEAST, LEAST_SINGLE = 1e-6, 1e-3


@dataclass(frozen=True, slots=True)
class SpectralMap(Expr):
    """A function of tables A, which are A/√(nm) as operators, and so is what it makes.

    `newton_schulz`: so many steps of `Y ← a Y + b (Y Yᵀ) Y + c (Y Yᵀ)² Y`, from A over its Frobenius norm
    plus 1e-7. `polar`: 1 in place of the singular values that are not 0. `left_gram`: A Aᵀ, `right_gram`:
    Aᵀ A. `preconditioned`: (ε + L)^(−p) A (ε + R)^(−p), L and R made symmetric, and 0 where they are below.
    """

    function: str
    steps: int
    tables: tuple[Expr, ...]
    # a, b, c; ε, p
    coefficients: tuple[Expr, ...] = ()
    # of tables in factors: the outer product of the sums of all vectors that the first may be made of
    vectors: Expr | None = None

    @property
    def table(self) -> Expr:
        return self.tables[0]

    @property
    def signature(self) -> TableFunction:
        return SPECTRAL[self.function]

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (*self.tables, *self.coefficients, *(() if self.vectors is None else (self.vectors,)))

    def with_parts(self, parts: Sequence[Expr]) -> Expr:
        rest = list(parts)
        vectors = None if self.vectors is None else rest.pop()
        count = len(self.tables)
        return spectral_map(self.function, self.steps, rest[:count], rest[count:], vectors=vectors)


@dataclass(frozen=True, slots=True)
class SpectralEntry(Expr):
    """A coefficient of such a table, of one in factors Σ C_ij x_i yᵀ_j; a scalar.

    rows, columns: the sums of all x, and of all y, each term of which is a block of them. cells: for each
    block of rows and each of columns the sum of C over both. block: which of both; at: the values of the
    variables of its sums.
    """

    function: str
    steps: int
    rows: Expr
    columns: Expr
    cells: tuple[Expr, ...]
    coefficients: tuple[Expr, ...]
    block: tuple[int, int]
    at: tuple[Expr, ...]

    @property
    def whole(self) -> tuple[Expr, ...]:
        """What all coefficients are made of."""
        return (self.rows, self.columns, *self.cells, *self.coefficients)

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (*self.whole, *self.at)

    def with_parts(self, parts: Sequence[Expr]) -> Expr:
        rows, columns, *rest = parts
        ends = len(self.cells), len(self.cells) + len(self.coefficients)
        return dataclasses.replace(
            self,
            rows=rows,
            columns=columns,
            cells=tuple(rest[: ends[0]]),
            coefficients=tuple(rest[slice(*ends)]),
            at=tuple(rest[ends[1] :]),
        )


def spectral_map(
    function: str,
    steps: int,
    tables: Sequence[Expr],
    coefficients: Sequence[Expr] = (),
    *,
    vectors: Expr | None = None,
) -> Expr:
    """The function of tables, 0 of a first one that is 0."""
    if tables[0] == ZERO:
        return ZERO
    return SpectralMap(function, steps, tuple(tables), tuple(coefficients), vectors)


def is_spectral(x: Expr) -> bool:
    """Whether a function of tables as operators occurs in `x`."""
    return any(isinstance(node, SpectralMap) for node in walk(x))


def mapped(np: Any, node: SpectralMap, operators: Sequence[Any], coefficients: Sequence[Any]) -> Any:
    """The function of matrices [..., n, m], as operators, by its definition. np: numpy or jax.numpy."""
    operator = operators[0]
    match node.function:
        case "polar":
            u, s, v = np.linalg.svd(operator, full_matrices=False)
            least = LEAST if s.dtype == np.float64 else LEAST_SINGLE
            kept = s > least * s[..., :1]
            return (u * kept[..., None, :]) @ v
        case "newton_schulz":
            return _newton_schulz(np, node.steps, operator, coefficients)
        case "left_gram":
            return operator @ np.swapaxes(operator, -1, -2)
        case "right_gram":
            return np.swapaxes(operator, -1, -2) @ operator
    left, right = (_power(np, own, *coefficients) for own in operators[1:])
    return left @ operator @ right


def _newton_schulz(np: Any, steps: int, operator: Any, coefficients: Sequence[Any]) -> Any:
    a, b, c = coefficients
    y = operator / (np.sqrt(np.sum(operator**2, axis=(-2, -1), keepdims=True)) + float(TINY))
    for _ in range(steps):
        square = y @ np.swapaxes(y, -1, -2)
        y = a * y + (b * square + c * square @ square) @ y
    return y


def _power(np: Any, operator: Any, eps: Any, power: Any) -> Any:
    """(ε + L)^(−p) of the symmetric part of L."""
    flipped = np.swapaxes(operator, -1, -2)
    values, vectors = np.linalg.eigh((operator + flipped) / 2)
    powers = (eps + np.maximum(values, 0)[..., None, :]) ** -power
    return (vectors * powers) @ np.swapaxes(vectors, -1, -2)


def of_constants(
    function: str, steps: int, tables: Sequence[Expr], scalars: Sequence[Expr], named: Callable[[Expr], Expr]
) -> Expr:
    """A function of tables each of which is the same everywhere: that is its only singular value.

    named: gives what an iteration goes on from a name.
    """
    x = tables[0]
    match function:
        case "polar":
            return call("sign", x)
        case "left_gram" | "right_gram":
            return mul(x, x)
        case "preconditioned":
            eps, exponent = scalars
            return mul(x, *(power(add(eps, call("max", own, ZERO)), neg(exponent)) for own in tables[1:]))
    return _newton_schulz_of_constant(steps, x, scalars, named)


def _newton_schulz_of_constant(
    steps: int, x: Expr, coefficients: Sequence[Expr], named: Callable[[Expr], Expr]
) -> Expr:
    a, b, c = coefficients
    y = named(divide(x, add(call("abs", x), Number(TINY))))
    for _ in range(steps):
        y = named(mul(y, add(a, mul(b, power(y, number(2))), mul(c, power(y, number(4))))))
    return y
