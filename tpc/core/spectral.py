"""Functions of the singular values of tables, which act on a table as a whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tpc.core.expr import ZERO, Expr, walk

SPECTRAL = {"newton_schulz": 5, "polar": 1}  # how many arguments they have as written
TINY = Fraction(1, 10**7)  # added to the norm that an iteration divides by
# singular values below so much of the largest one count as 0, in float64 and in less precise numbers
LEAST, LEAST_SINGLE = 1e-6, 1e-3


@dataclass(frozen=True, slots=True)
class SpectralMap(Expr):
    """The table with the singular vectors of another one, A, and functions of its singular values.

    These are those of A/√(nm), which is what A is as an operator. `newton_schulz`: so many steps of
    `Y ← a Y + b (Y Yᵀ) Y + c (Y Yᵀ)² Y`, from A over its Frobenius norm plus 1e-7. `polar`: 1 in place of
    what is not 0.
    """

    function: str
    steps: int
    table: Expr
    # a, b, c
    coefficients: tuple[Expr, ...] = ()
    # of a table in factors: the outer product of the sums of all vectors that it may be made of
    vectors: Expr | None = None

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (self.table, *self.coefficients, *(() if self.vectors is None else (self.vectors,)))

    def with_parts(self, parts: Sequence[Expr]) -> Expr:
        table, *rest = parts
        vectors = None if self.vectors is None else rest.pop()
        return spectral_map(self.function, self.steps, table, *rest, vectors=vectors)


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
    function: str, steps: int, table: Expr, *coefficients: Expr, vectors: Expr | None = None
) -> Expr:
    """The map of a table, 0 of one that is 0."""
    return ZERO if table == ZERO else SpectralMap(function, steps, table, coefficients, vectors)


def is_spectral(x: Expr) -> bool:
    """Whether a function of singular values occurs in `x`."""
    return any(isinstance(node, SpectralMap) for node in walk(x))


def mapped(np: Any, node: SpectralMap, operator: Any, coefficients: Sequence[Any]) -> Any:
    """The function of a matrix [..., n, m] that is an operator, by its definition. np: numpy or jax.numpy."""
    if node.function == "polar":
        u, s, v = np.linalg.svd(operator, full_matrices=False)
        least = LEAST if s.dtype == np.float64 else LEAST_SINGLE
        kept = s > least * s[..., :1]
        return (u * kept[..., None, :]) @ v
    a, b, c = coefficients
    y = operator / (np.sqrt(np.sum(operator**2, axis=(-2, -1), keepdims=True)) + float(TINY))
    for _ in range(node.steps):
        square = y @ np.swapaxes(y, -1, -2)
        y = a * y + (b * square + c * square @ square) @ y
    return y
