"""Sets of whole numbers given by affine inequalities.

Whether one is empty, and the values that an index takes over it.

Variables are eliminated one after another (Fourier and Motzkin's way). That decides emptiness of the rational
points; for whole numbers it may say "not certain", but never a wrong "empty". A projection is exact where
every elimination had a coefficient ±1 on one side (Pugh's Omega test).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import gcd

from tpc.core.affine import Affine

MAX_ROWS = 300  # inequalities at one time; past that, nothing is certain
Row = list[int]  # coefficients of the variables, then the constant: … ≥ 0 or … = 0


class EmptyError(Exception):
    """No point satisfies the rows."""


class TooManyRowsError(Exception):
    """Elimination was given up."""


@dataclass(frozen=True, slots=True)
class IntegerRegion:
    """The points where every one of `at_least` is ≥ 0 and every one of `zero` is 0."""

    at_least: tuple[Affine, ...] = ()
    zero: tuple[Affine, ...] = ()

    def where(self, at_least: Iterable[Affine] = (), zero: Iterable[Affine] = ()) -> IntegerRegion:
        return IntegerRegion((*self.at_least, *at_least), (*self.zero, *zero))

    @property
    def is_empty(self) -> bool:
        """True only if it certainly is."""
        try:
            self._project(None)
        except EmptyError:
            return True
        except TooManyRowsError:
            return False
        return False

    def span(self, index: Affine) -> tuple[int, int] | None:
        """The least and the greatest value of `index` here, attained.

        None if that is not certain. The region must not be empty.
        """
        try:
            rows, exact = self._project(index)
        except (EmptyError, TooManyRowsError):
            return None
        least = [-constant for k, constant in rows if k > 0]
        greatest = [constant for k, constant in rows if k < 0]
        return (max(least), min(greatest)) if exact and least and greatest else None

    def _project(self, index: Affine | None) -> tuple[list[Row], bool]:
        """The rows that are left for the value of `index` when all variables are eliminated.

        Gives also whether that is exact for whole numbers.
        """
        indices = [] if index is None else [index]
        names = sorted({v for x in (*self.at_least, *self.zero, *indices) for v in x.variables})
        place = {name: i + 1 for i, name in enumerate(names)}  # column 0 is the value of `index`

        def row(x: Affine, value: int = 0) -> Row:
            out = [value] + [0] * len(names) + [x.const]
            for name, k in x.terms:
                out[place[name]] = k
            return out

        return _eliminate(
            [row(x) for x in self.at_least], [*map(row, self.zero), *(row(x, -1) for x in indices)]
        )


def _eliminate(inequalities: list[Row], equations: list[Row]) -> tuple[list[Row], bool]:
    """Eliminates every column but the first and the constant."""
    inequalities += _substitute(inequalities, equations)
    rows, exact = _tight(inequalities), True
    while True:
        column = _cheapest(rows)
        if column is None:
            return [[r[0], r[-1]] for r in rows if r[0]], exact
        positive, negative = [r for r in rows if r[column] > 0], [r for r in rows if r[column] < 0]
        exact &= all(p[column] == 1 or n[column] == -1 for p in positive for n in negative)
        combined = [
            [-n[column] * a + p[column] * b for a, b in zip(p, n, strict=True)]
            for p in positive
            for n in negative
        ]
        rows = _tight([*(r for r in rows if not r[column]), *combined])
        if len(rows) > MAX_ROWS:
            raise TooManyRowsError


def _cheapest(rows: list[Row]) -> int | None:
    """The column, but for the first and the constant, whose elimination makes the fewest rows."""
    costs = []
    for column in range(1, len(rows[0]) - 1 if rows else 0):
        above, below = sum(r[column] > 0 for r in rows), sum(r[column] < 0 for r in rows)
        if above or below:
            costs.append((above * below, column))
    return min(costs)[1] if costs else None


def _substitute(inequalities: list[Row], equations: list[Row]) -> list[Row]:
    """Uses up the equations, in place: each is solved for a variable with coefficient ±1.

    Gives, as inequalities, those that cannot be.
    """
    left = []
    while equations:
        row = equations.pop()
        divisor = gcd(*row[:-1])
        if not divisor or row[-1] % divisor:
            if row[-1]:
                raise EmptyError
            continue
        row = [k // divisor for k in row]
        column = next((i for i in range(1, len(row) - 1) if abs(row[i]) == 1), None)
        if column is None:
            left.append(row)
            continue
        for others in (inequalities, equations, left):
            others[:] = [_without(column, other, row) for other in others]
    return [signed for row in left for signed in (row, [-k for k in row])]


def _without(column: int, row: Row, equation: Row) -> Row:
    factor = row[column] * equation[column]
    return [a - factor * b for a, b in zip(row, equation, strict=True)] if factor else row


def _tight(rows: Sequence[Row]) -> list[Row]:
    """Each row divided by its common divisor, the constant rounded down, as whole numbers allow.

    Of rows that differ in it only, the strongest is kept.
    """
    strongest: dict[tuple[int, ...], int] = {}
    for row in rows:
        divisor = gcd(*row[:-1])
        if not divisor:
            if row[-1] < 0:
                raise EmptyError
            continue
        key = tuple(k // divisor for k in row[:-1])
        strongest[key] = min(strongest.get(key, row[-1] // divisor), row[-1] // divisor)
    return [[*key, constant] for key, constant in strongest.items()]
