"""Affine indices `c + k·t + …` over loop variables, and the values that they take.

They are the only arithmetic that an index of a family may have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Affine:
    """`const + Σ coefficient·variable`, the variables in alphabetical order, no zero coefficients."""

    const: int = 0
    terms: tuple[tuple[str, int], ...] = ()

    @staticmethod
    def of(const: int, terms: Mapping[str, int]) -> Affine:
        return Affine(const, tuple(sorted((v, k) for v, k in terms.items() if k)))

    @staticmethod
    def var(name: str) -> Affine:
        return Affine(0, ((name, 1),))

    @property
    def variables(self) -> frozenset[str]:
        return frozenset(v for v, _ in self.terms)

    @property
    def constant(self) -> int | None:
        """Its value if no variable occurs."""
        return None if self.terms else self.const

    def coefficient(self, name: str) -> int:
        return next((k for v, k in self.terms if v == name), 0)

    def __add__(self, other: Affine | int) -> Affine:
        other = other if isinstance(other, Affine) else Affine(other)
        if not (self.terms and other.terms):
            return Affine(self.const + other.const, self.terms or other.terms)
        terms = dict(self.terms)
        for v, k in other.terms:
            terms[v] = terms.get(v, 0) + k
        return Affine.of(self.const + other.const, terms)

    def __sub__(self, other: Affine | int) -> Affine:
        return self + (other if isinstance(other, Affine) else Affine(other)).scaled(-1)

    def scaled(self, factor: int) -> Affine:
        return Affine(self.const * factor, tuple((v, k * factor) for v, k in self.terms) if factor else ())

    def substitute(self, values: Mapping[str, Affine]) -> Affine:
        if not any(v in values for v, _ in self.terms):
            return self
        if self.terms[1:]:
            out = Affine(self.const)
            for v, k in self.terms:
                out = out + values.get(v, Affine.var(v)).scaled(k)
            return out
        ((v, k),) = self.terms
        return values[v] if k == 1 and not self.const else values[v].scaled(k) + self.const

    def at(self, values: Mapping[str, int]) -> int:
        return self.const + sum(k * values[v] for v, k in self.terms)

    def over(self, grids: Mapping[str, np.ndarray]) -> np.ndarray:
        """Its values on arrays of the variables."""
        out: np.ndarray = np.asarray(self.const, dtype=np.int64)
        for v, k in self.terms:
            out = out + k * grids[v]
        return out

    def __str__(self) -> str:
        parts: list[str] = []
        for v, k in self.terms:
            body = v if abs(k) == 1 else f"{abs(k)}*{v}"
            parts.append(("-" if k < 0 else "+" if parts else "") + body)
        if self.const or not parts:
            parts.append(("-" if self.const < 0 else "+" if parts else "") + str(abs(self.const)))
        return "".join(parts)


# variables and counts, outermost first; a count may depend on the variables before it
Ranges = tuple[tuple[str, Affine], ...]


def bounds(index: Affine, ranges: Sequence[tuple[str, Affine]]) -> tuple[int, int]:
    """The least and greatest value of `index`, whose variables `ranges` bind.

    They may not be attained where a range may be empty.
    """
    low, high = extreme(index, ranges, -1), extreme(index, ranges, 1)
    assert low is not None
    assert high is not None
    return low, high


def extreme(index: Affine, ranges: Sequence[tuple[str, Affine]], sign: int) -> int | None:
    """The least value of `index` (sign: −1), or the greatest; None if a variable is not among `ranges`."""
    if not index.terms:
        return index.const
    const, terms = index.const, dict(index.terms)
    for variable, count in reversed(ranges):
        k = terms.pop(variable, 0)
        if k * sign > 0:  # at its greatest value, count − 1, else at 0
            const += k * (count.const - 1)
            for v, c in count.terms:
                terms[v] = terms.get(v, 0) + k * c
    return None if any(terms.values()) else const
