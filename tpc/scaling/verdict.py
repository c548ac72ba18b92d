"""What becomes of a network and its training as n → ∞.

The result of the scaling analysis, and how it prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from tpc.diagnostics.catalogue.words import as_n_grows, power_of_n

Regime = Literal["feature", "kernel"]


@dataclass(frozen=True, slots=True)
class Layer:
    """A weight of a layer that is updated; maximally if r = 0."""

    weight: str
    a: Fraction
    b: Fraction
    # its updates ΔW change what it makes, Wx, by Θ(n^−r); None if not at all
    r: Fraction | None
    # c and d, of another optimizer than SGD or given by weight: the rate of w is η n^−c, its gradient
    # multiplied by n^d
    rate: tuple[Fraction, Fraction] | None = None

    @property
    def updated_maximally(self) -> bool:
        return self.r == 0

    def to_json(self) -> dict[str, Any]:
        rate = {} if self.rate is None else {"c": str(self.rate[0]), "d": str(self.rate[1])}
        known = {"weight": self.weight, "r": _text(self.r), "updated_maximally": self.updated_maximally}
        return known | rate


@dataclass(frozen=True, slots=True)
class LastLayer:
    """Output weights. Updated maximally: ΔV x is Θ(1). Initialised maximally: V₀ Δx is."""

    updated_maximally: bool
    initialised_maximally: bool


@dataclass(frozen=True, slots=True)
class BlowUp:
    """A quantity of size n^power that must be O(1), or, where the power is negative, Θ(1)."""

    quantity: str
    power: Fraction
    # in words
    when: str

    def __str__(self) -> str:
        return f"{self.quantity} {as_n_grows(self.power)} {self.when}"


@dataclass(frozen=True, slots=True, repr=False)
class Verdict:
    """The classification of a parametrized training (TP4 Sec 3 and 5), for any program."""

    program: str
    parametrization: str
    exponents: Mapping[str, Fraction]
    # what forward passes make is Θ(1) at first, and it and the output stay O(1)
    stable: bool
    # training does not change the output in the limit
    trivial: bool
    # of stable, nontrivial ones; feature learning, or a kernel
    regime: Regime | None
    # features (what output weights are multiplied to) change by Θ(n^−r); None if not at all, or if it is not
    # stable
    r: Fraction | None
    layers: tuple[Layer, ...]
    last_layer: LastLayer
    blows_up: tuple[BlowUp, ...]
    # their names
    features: tuple[str, ...]
    # that of the output
    output: str

    def to_json(self) -> dict[str, Any]:
        last = {
            "updated_maximally": self.last_layer.updated_maximally,
            "initialised_maximally": self.last_layer.initialised_maximally,
        }
        return {
            "stable": self.stable,
            "trivial": self.trivial,
            "regime": self.regime,
            "r": _text(self.r),
            "layers": [layer.to_json() for layer in self.layers],
            "last_layer": last,
            "blows_up": [{"quantity": b.quantity, "power": str(b.power)} for b in self.blows_up],
        }

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.program}, {self.parametrization}, "
                + (f"c = {self.exponents['c']}" if "c" in self.exponents else "c and d by weight"),
                *self._table(),
                *self._reasons(),
            ]
        )

    def __repr__(self) -> str:
        learned = {"feature": ", feature learning", "kernel": ", a kernel", None: ""}[self.regime]
        said = f"stable{learned}" if self.stable else "not stable"
        return f"<{self.program}, {self.parametrization}: {said}{', trivial' * self.trivial}>"

    def _repr_html_(self) -> str:
        from tpc.display.html_tables import monospaced

        return monospaced(str(self))

    def _table(self) -> list[str]:
        """A line for each weight."""
        by_weight = any(layer.rate is not None for layer in self.layers)
        rows = [("weight", "a", "b", *(("c", "d") if by_weight else ()), "ΔW x", "")]
        for layer in self.layers:
            exponents = ("", "") if layer.rate is None else tuple(map(str, layer.rate))
            powers = (str(layer.a), str(layer.b), *(exponents if by_weight else ()))
            size = "–" if not self.stable else "0" if layer.r is None else power_of_n(-layer.r)
            most = "updated maximally" if self.stable and layer.updated_maximally else ""
            rows.append((layer.weight, *powers, size, most))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return [
            f"  {'  '.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))}".rstrip()
            for row in rows
        ]

    def _reasons(self) -> list[str]:
        """The verdict, and what it rests on."""
        if not self.stable:
            return [f"not stable: {blow}" for blow in self.blows_up]
        features = ", ".join(self.features)
        moved = (
            f"{features or 'nothing'} {'change' if len(self.features) > 1 else 'changes'} by "
            f"{power_of_n(-self.r) if self.r is not None else '0'}"
        )
        if self.trivial:
            return [
                f"stable, trivial: training changes {self.output or 'the output'} by less than a "
                "constant, as "
                f"n grows; {moved}"
            ]
        last = self.last_layer
        why = [
            text
            for text, true in (
                (f"ΔV {features}", last.updated_maximally),
                (f"V₀ Δ{features}", last.initialised_maximally),
            )
            if true
        ]
        because = (
            f" ({' and '.join(why)} {'is' if len(why) == 1 else 'are'} of order 1)"
            if why and len(self.features) == 1
            else ""
        )
        word = (
            "feature learning (r = 0)"
            if self.regime == "feature"
            else f"kernel regime (r = {self.r if self.r is not None else '∞'})"
        )
        return [f"stable, nontrivial: {self.output} changes by a constant{because}", f"{word}: {moved}"]


def _text(x: Fraction | None) -> str | None:
    return None if x is None else str(x)
