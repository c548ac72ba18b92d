"""Powers of n: exact rational exponents, affine in parameters that may be left open (a1, b1, …, c)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Exponent:
    """`const + Σ coefficient·parameter`, the parameters in alphabetical order, no zero coefficients."""

    const: Fraction = Fraction(0)
    terms: tuple[tuple[str, Fraction], ...] = ()

    @staticmethod
    def of(const: Fraction | int, terms: Mapping[str, Fraction]) -> Exponent:
        return Exponent(Fraction(const), tuple(sorted((name, k) for name, k in terms.items() if k)))

    @staticmethod
    def var(name: str) -> Exponent:
        return Exponent(Fraction(0), ((name, Fraction(1)),))

    def __add__(self, other: Exponent | Fraction | int) -> Exponent:
        if not isinstance(other, Exponent):
            return Exponent(self.const + other, self.terms)
        terms = dict(self.terms)
        for name, k in other.terms:
            terms[name] = terms.get(name, Fraction(0)) + k
        return Exponent.of(self.const + other.const, terms)

    def __sub__(self, other: Exponent | Fraction | int) -> Exponent:
        return self + (other.scaled(-1) if isinstance(other, Exponent) else -other)

    def scaled(self, factor: Fraction | int) -> Exponent:
        return Exponent.of(self.const * factor, {name: k * factor for name, k in self.terms})

    def at(self, values: Mapping[str, Fraction]) -> Fraction:
        return self.const + sum((k * values[name] for name, k in self.terms), start=Fraction(0))

    def substitute(self, values: Mapping[str, Exponent]) -> Exponent:
        out = Exponent(self.const)
        for name, k in self.terms:
            out = out + values.get(name, Exponent.var(name)).scaled(k)
        return out

    def __str__(self) -> str:
        parts: list[str] = []
        for name, k in self.terms:
            body = name if abs(k) == 1 else f"{abs(k)}*{name}"
            parts.append(("-" if k < 0 else "") + body if not parts else f" {'-' if k < 0 else '+'} {body}")
        if self.const or not parts:
            parts.append(
                str(self.const) if not parts else f" {'-' if self.const < 0 else '+'} {abs(self.const)}"
            )
        return "".join(parts)
