"""What a program's networks and weights are, as far as the scaling analysis needs it.

The core program itself knows vectors and scalars only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from tpc.core.exponent import Exponent
from tpc.core.names import SplitName

# the input that every update is multiplied with, where a program is opened
LEARNING = str(SplitName("learning", ""))
C = str(SplitName("c", ""))


@dataclass(frozen=True, slots=True)
class Source:
    """The text that a program was lowered from: its file's name, and the dims that were set."""

    text: str
    name: str
    dims: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Pass:
    """A forward pass."""

    network: str
    output: str
    # `vectors`, `scalars`: the families it makes, in order, the output's included
    vectors: tuple[str, ...]
    scalars: tuple[str, ...]
    # what output weights are multiplied to
    features: tuple[str, ...]
    # what is made by multiplying with a weight, (family, weight)
    products: tuple[tuple[str, str], ...]
    # whether a gradient is taken of it
    training: bool


def faithful_d(kind: str, a: Exponent, readout: Exponent | None, *, spectral: bool = False) -> Exponent:
    """The d that makes n^d ∂L/∂w of order 1 at initialisation (TP4b Def 2.8.5: faithful), W = n^−a w.

    A matrix whose nm entries are of order 1/√(nm) is of order 1 for an optimizer that acts on it as such.

    readout: A = a + b of the output weights, None if there are none. spectral: for such an optimizer.
    """
    through_readout, growing = (
        kind in ("matrix", "input"),
        {"matrix": 2, "input": 1, "output": 1, "finite": 0},
    )
    size = Exponent(Fraction(1)) if readout is None else readout
    return a + (size if through_readout else 0) - (Fraction(growing[kind], 2) if spectral else 0)


@dataclass(frozen=True, slots=True)
class WeightInfo:
    """A weight: its exponents as the file has them, and the families that are what it has become.

    Its updates' coefficients are among these.
    """

    name: str
    kind: Literal["matrix", "input", "output", "finite"]
    bias: bool
    trained: bool
    a: Fraction
    b: Fraction
    own: tuple[str, ...]
    # whether an optimizer other than SGD updates it, so that it has exponents c and d of its own
    entrywise: bool = False
    # whether that acts on it as a matrix
    spectral: bool = False
    # c and d, where the file gives each weight its own
    rate: tuple[Fraction, Fraction] | None = None


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks of a program, for the analysis of scaling."""

    # in the order of declaration; a1, b1 are the first one's
    weights: tuple[WeightInfo, ...]
    passes: tuple[Pass, ...]
    parametrization: str
    c: Fraction

    def exponents(self) -> Mapping[str, Fraction]:
        """The values that the file gives to a1, b1, …, c, or to c1, d1, … if each weight has its own."""
        found = {
            f"{letter}{k}": value
            for k, w in enumerate(self.weights, 1)
            for letter, value in (("a", w.a), ("b", w.b))
        }
        rates = {k: w.rate for k, w in enumerate(self.weights, 1) if w.rate is not None}
        own = {f"{letter}{k}": x for k, rate in rates.items() for letter, x in zip("cd", rate, strict=True)}
        return found | (own or {"c": self.c})


def exponent_input(letter: str, place: int) -> str:
    """The input that an exponent of the weight at `place` (from 0) is, where a program is opened.

    Its name without the mark is the exponent's.
    """
    return str(SplitName(f"{letter}{place + 1}", ""))


def exponent_inputs(weights: int) -> list[str]:
    """All exponents that are inputs there."""
    return [C, *(exponent_input(letter, place) for place in range(weights) for letter in "abcd")]
