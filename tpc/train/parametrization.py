"""Where powers of n and ratios of widths enter: weights, gradients and updates as quantities of order 1 (μP).

`W = n^{−a} w` with a = −1 + p/2, p the number of growing sides, a = 1/2 for output weights and 0 for output biases; b = 1/2, c = 0. In the program
a weight with a growing side of inputs only is `U` (coordinates N(0, 1)), an output weight is `nV`, and a cotangent of a vector of width m is
`m ∂L/∂h`. With these, no n is left anywhere; r below is the ratio of a width to the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tpc.syntax.tree import Tree
from tpc.train.make import Maker

Kind = Literal["matrix", "input", "output", "finite"]


def kind_of(rows: bool, columns: bool) -> Kind:
    """By which sides grow."""
    return "matrix" if rows and columns else "input" if rows else "output" if columns else "finite"


@dataclass(frozen=True, slots=True)
class Scaling:
    """Factors of one weight. rows, columns: the ratios of its growing sides to the first width (None: 1, or a finite side)."""

    kind: Kind
    rows: Tree | None
    columns: Tree | None

    def forward(self, m: Maker) -> Tree:
        """In front of `E nV x`: (1/n) Σ over a width rn is r times a mean."""
        return self.columns or m.number(1) if self.kind == "output" else m.number(1)

    def backward(self, m: Maker, transposed: bool = True) -> Tree:
        """In front of `Wᵀ dh` (n_C ∂L/∂x = (n_C/n_R) Wᵀ dh), of `W dh` where `Wᵀ` was used (n_R ∂L/∂x = (n_R/n_C) W dh), and of `nV df`."""
        if self.kind == "matrix":
            return self._quotient(m) if transposed else self.record(m, transposed=True)
        return self.forward(m)

    def record(self, m: Maker, transposed: bool) -> Tree:
        """In front of a term of the gradient that comes from `h = Wᵀ x`: ∂L/∂W = x dhᵀ/n_C, and that from `h = W x` is `dh xᵀ/n_R`."""
        return self._inverse(m) if self.kind == "matrix" and transposed else m.number(1)

    def update(self, m: Maker, transposed: bool = False) -> Tree:
        """In front of an update's `dh E x_s x` (transposed: of `x E dh_s y`) and of `dh ξ`."""
        if self.kind == "matrix":
            return m.number(1) if transposed else self._quotient(m)
        return m.div(m.number(1), self.rows) if self.kind == "input" and self.rows is not None else m.number(1)

    def norm(self, m: Maker) -> Tree:
        """In front of the gradient's squared norm, in the parametrized weights w, as a moment of its parts."""
        return self._quotient(m) if self.kind == "matrix" else self.update(m) if self.kind == "input" else self.forward(m)

    def _inverse(self, m: Maker) -> Tree:
        over, under = self.rows or m.number(1), self.columns or m.number(1)
        return m.number(1) if over == under else m.div(over, under)

    def _quotient(self, m: Maker) -> Tree:
        over, under = self.columns or m.number(1), self.rows or m.number(1)
        return m.number(1) if over == under else m.div(over, under)


def ratios(widths: Mapping[str, Tree | None], first: str, m: Maker) -> dict[str, Tree | None]:
    """Ratios of widths to the first, from how they are declared (`width m = 2*n`)."""
    from tpc.train.make import substituted
    return {name: None if name == first or ratio is None else substituted(ratio, {first: m.number(1)}) for name, ratio in widths.items()}
