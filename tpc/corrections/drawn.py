"""Programs that are linear in their vectors at finite widths, drawn in law without their coordinates.

The coordinates of a width n enter by the Gram matrix of its Gaussians alone, and this is a Wishart matrix
over n. So Gaussians are rows of its Cholesky factor (Bartlett): independent N(0, 1/n) in the directions of
the constant 1 and of those before, and the root of χ²/n of what is left of n. Vectors are arrays
[directions, draws] then, and inner products those of arrays. Each draw has a width of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammaincinv, ndtr

from tpc.core.expr import Expr, Position, Value
from tpc.core.laws import NUMPY
from tpc.core.numeric import evaluate
from tpc.core.program import Program
from tpc.corrections.asked import TINY, Answer, SideOfMatrix
from tpc.corrections.coefficients import TooLargeError
from tpc.corrections.jets import Field
from tpc.corrections.linear_program import LinearProgram

MANY = 1e5  # degrees of freedom from which on χ² is a series in Gaussians
TWICE = range(2)  # to be orthogonal to rounding
NOTHING = 1e-24  # what rounding leaves of a squared norm, relative to the whole


class Draws(Field):
    """Floats, and arrays of them, as they are."""

    def __init__(self) -> None:
        super().__init__(False)

    def jet(self, x: Any) -> Any:
        return np.asarray(x, float)


@dataclass(slots=True)
class DrawnGaussians:
    """The Gaussians of one width, as they are met."""

    # of the width, to the first one
    ratio: float
    # of every draw, [rungs · draws], and how many different draws there are
    widths: np.ndarray
    draws: int
    rng: np.random.Generator
    # the most that may be met, and those that were, the constant 1 among them
    most: int
    met: int = 1

    @property
    def one(self) -> np.ndarray:
        return np.ones((1, len(self.widths)))

    def new(self, variance: Any) -> np.ndarray:
        """A Gaussian that is independent of all that there are. Raises TooLargeError."""
        own = self.met
        if own > self.most:
            raise TooLargeError(f"more than {self.most} Gaussians of one width")
        self.met += 1
        half = self.rng.standard_normal((own + 1, self.draws // 2))
        normals = np.tile(np.concatenate([half, -half], axis=1), len(self.widths) // self.draws)
        rows = normals / np.sqrt(self.widths)
        rows[np.arange(own + 1)[:, None] >= self.widths] = 0
        rows[own] = np.sqrt(_chi_square(self.widths - own, normals[own]) / self.widths)
        found: np.ndarray = np.sqrt(variance) * rows
        return found

    def inner(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        count = min(len(x), len(y))
        found: np.ndarray = np.einsum("is,is->s", x[:count], y[:count])
        return found


def _chi_square(freedom: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The quantile of χ² at that of a Gaussian z; 0 without degrees of freedom."""
    few = np.clip(freedom, 1e-3, MANY)
    root = np.sqrt(2 * np.maximum(freedom, MANY))
    series = freedom + root * z + (z**2 - 1) * (2 / 3) + (z**3 - 7 * z) / (9 * root)  # Cornish and Fisher
    exact = 2 * gammaincinv(few / 2, ndtr(z))
    found: np.ndarray = np.where(freedom > MANY, series, np.where(freedom > 0, exact, 0))
    return found


class DrawnProgram(LinearProgram):
    """Runs such a program on draws."""

    def __init__(
        self,
        program: Program,
        inputs: Mapping[str, np.ndarray],
        widths: Sequence[float],
        draws: int,
        most: int,
        seed: int,
    ) -> None:
        """widths: each with the same draws, an even number, of which the second half has opposite signs."""
        self.columns = np.repeat(np.asarray(widths, float), draws)
        self.draws, self.most, self.rng = draws, most, np.random.default_rng(seed)
        super().__init__(program, inputs, Draws())

    def outputs(self) -> dict[str, np.ndarray]:
        """By name, [*shape, widths, draws]. Raises TooLargeError."""
        for op in self.program.body:
            self._instruction(op)  # type: ignore[arg-type]
        found = {}
        for output in self.program.outputs:
            if output.check:
                continue
            shape = tuple(n for _, n in output.axes)
            every = np.empty((*shape, len(self.columns)))
            for index in np.ndindex(*shape):
                at = dict(zip((v for v, _ in output.axes), index, strict=True))
                every[index] = self._scalar(self._ref(output.ref, at))
            found[output.name] = every.reshape(*shape, len(self.columns) // self.draws, self.draws)
        return found

    # numbers are arrays [draws], or single ones

    def _width(self, ratio: Any) -> DrawnGaussians:
        return DrawnGaussians(ratio, ratio * self.columns, self.draws, self.rng, self.most)

    def _constant(self, x: Expr) -> Any:
        return float(self._jet(x))

    def _scaled(self, x: Any, by: Any) -> Any:
        return by * x

    def _total(self, parts: Sequence[Any]) -> Any:
        out = np.zeros((max(map(len, parts)), len(self.columns)))
        for part in parts:
            out[: len(part)] += part
        return out

    def _jet(self, x: Expr) -> Any:
        def leaf(node: Expr) -> Any | None:
            match node:
                case Value(ref, False):
                    return self._scalar(self._ref(ref))
                case Position(index):
                    return float(index.const)
            return None

        return evaluate(x, leaf, NUMPY)

    def _product(self, near: SideOfMatrix, far: SideOfMatrix, x: Any) -> Any:
        rest, parts = self._left(near, x)
        square, whole = near.operands.inner(rest, rest), near.operands.inner(x, x)
        if near.variance and np.any(square > TINY * whole):
            there = square > NOTHING * whole
            parts.append(self._answered(near, far, rest * there, square * there))
        return self._total(parts or [self._scaled(near.images.one, 0.0)])

    def _left(self, near: SideOfMatrix, x: Any) -> tuple[Any, list[Any]]:
        """What is left of x beyond all that the matrix has been asked, and what it makes of the rest."""
        parts = []
        for _ in TWICE:
            for asked in near.met:
                share = divided(near.operands.inner(asked.vector, x), asked.square)
                parts.append(share * asked.image)
                x = self._total([x, -share * asked.vector])
        return x, parts

    def _answered(self, near: SideOfMatrix, far: SideOfMatrix, p: Any, square: Any) -> Any:
        """What the matrix makes of p, which is orthogonal to all that it has been asked; it is kept."""
        image = near.images.new(near.variance * square)
        for _ in TWICE:
            for q in far.met:
                image = self._total(
                    [image, -divided(near.images.inner(q.vector, image), q.square) * q.vector]
                )
        known = [divided(near.scale * near.operands.inner(q.image, p), q.square) * q.vector for q in far.met]
        near.met.append(Answer(p, square, self._total([image, *known])))
        return near.met[-1].image


def divided(x: Any, y: Any) -> Any:
    """x/y, and 0 where y is."""
    return np.divide(x, y, out=np.zeros_like(x), where=y > 0)
