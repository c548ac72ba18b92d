"""Differences of a program whose start is given: on paths of weights on which the start stays what it is.

At width n = 1/t² a start f₀ = √n S(μ_n) is g where S(μ_n) = t g. So weights are moved by ± t d only with
what keeps S at t g: d is freed from the influences of S (as linear regression does), along these it goes
t K⁻¹ g, K being the covariance of the start, and what is left is solved for. The mean over directions of half
the second differences is n times the bias, but for one part: all else is not distributed as without the
condition, but with the density N(g; 0, K(μ_n)) as a factor, whose logarithm has an influence of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.corrections.differences import Differences, OnPoints, Weighted
from tpc.corrections.started import StartedProgram
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError

if TYPE_CHECKING:
    from tpc.evaluate.evaluator import Evaluator

LEAST = 1e-9  # of the greatest variance: directions of the start with less are none
WITHIN = 1e-3  # of a start, that may be where it has no variance
IMPOSSIBLE = "gives what no network has: the covariance of what is random in the limit leaves it no variance"
FITTED = np.array([0.5, 1, 1.5, 2])  # steps at which a polynomial has what no direction moves
# of Broyden's method: turns at most, and how near to the start it ends, of its deviation
# times t³, by which second differences of what is as much off are divided; and what rounding leaves
TURNS, SOLVED, ROUNDED = 32, 1e-9, 4e-15


@dataclass(frozen=True)
class GivenStart:
    """A program with its start, and what that is, [N]."""

    started: StartedProgram
    values: np.ndarray


@dataclass(frozen=True)
class WeightedGivenStart(Weighted):
    """The program as a function of the weights of its points, with its start."""

    start: GivenStart
    # the start and its covariances at many changes of the weights
    start_at: Any
    # the derivatives of the start in the weights of every width, [N, M] each
    start_slopes: Any
    # the program's own outputs
    reported: tuple[str, ...]

    @staticmethod
    def given(
        evaluator: Evaluator,
        inputs: Mapping[str, Any],
        start: GivenStart,
        chunk: int,
    ) -> WeightedGivenStart:
        import jax
        import jax.numpy as jnp

        started = start.started
        plain = Weighted.of(evaluator, inputs, started.root, chunk)
        wanted = {*started.means.values(), *started.blocks.values()}

        def start_at(own: Any, points: Any, weights: Any, changes: Any) -> Any:
            def at(change: Any) -> Any:
                moved = jax.tree.map(jnp.add, weights, change)
                found = plain.module.limit(own, points, moved)[0]
                return {name: value for name, value in found.items() if name in wanted}

            return jax.lax.map(at, changes)

        def means(own: Any, points: Any, weights: Any) -> Any:
            found = plain.module.limit(own, points, weights)[0]
            return jnp.concatenate([found[started.means[s.name]].ravel() for s in started.initial.scalars])

        return WeightedGivenStart(
            plain.module,
            plain.inputs,
            plain.ratios,
            plain.rows,
            plain.evaluate,
            chunk,
            start,
            jax.jit(start_at),
            jax.jit(jax.jacrev(means, argnums=2)),
            evaluator.program.reported,
        )

    def on_points(self, seed: int, k: int) -> PointsGivenStart:
        own = super().on_points(seed, k)
        return PointsGivenStart(self, own.points, own.weights, own.first)


@dataclass(frozen=True)
class Regression:
    """What the weights are changed by for changes of the start."""

    # of the start by itself: what has a variance at all, [N, r]
    basis: np.ndarray
    # the inverse of the covariance K there, [N, N]
    inverse: np.ndarray
    # the derivatives of the start in the weights of every width, [N, M] each
    slopes: tuple[np.ndarray, ...]
    # by how much weights move for each scalar, K⁻¹ times covariances with it, [N, M] for every width
    moves: tuple[np.ndarray, ...]
    # the standard deviation of all scalars together
    deviation: float

    @staticmethod
    def of(slopes: tuple[np.ndarray, ...], weights: np.ndarray, ratios: tuple[float, ...]) -> Regression:
        """slopes: the derivatives of the start in the weights, [N, M] for every width."""
        influences = [own - (own @ weights)[:, None] for own in slopes]
        shares = [weights * own / ratio for own, ratio in zip(influences, ratios, strict=True)]
        covariance = sum(own @ share.T for own, share in zip(influences, shares, strict=True))
        variances, vectors = np.linalg.eigh(np.asarray(covariance))
        there = variances > LEAST * variances.max(initial=0)
        basis = vectors[:, there]
        inverse = (basis / variances[there]) @ basis.T
        moves = tuple(inverse @ share for share in shares)
        return Regression(basis, inverse, slopes, moves, float(np.sqrt(variances.max(initial=0))))

    def freed(self, directions: list[np.ndarray]) -> list[np.ndarray]:
        """Directions [rows, M] of every width, that do not move the start to first order."""
        moved = sum(part @ own.T for part, own in zip(directions, self.slopes, strict=True))
        return [part - moved @ own for part, own in zip(directions, self.moves, strict=True)]

    def along(self, values: np.ndarray) -> list[np.ndarray]:
        """Changes of the weights [rows, M] that move the start by `values` [rows, N] to first order."""
        return [values @ own for own in self.moves]


@dataclass(frozen=True)
class PointsGivenStart(OnPoints):
    """The program on the points of one repeat."""

    of: WeightedGivenStart

    @cached_property
    def regression(self) -> Regression:
        """Raises TpcError (TP602) for a start that no network has."""
        of = self.of
        found = of.start_slopes(of.inputs, *self._drawn)
        slopes = (found,) if of.rows is None else found
        made = Regression.of(tuple(np.asarray(own, float) for own in slopes), self.weights, of.ratios)
        values = of.start.values
        beyond = values - made.basis @ (made.basis.T @ values)
        if np.abs(beyond).max(initial=0) > WITHIN * np.abs(values).max(initial=0):
            name = self.of.start.started.program.name
            raise TpcError([catalogue.running.bad_option("--initial", IMPOSSIBLE)], name, of_program=True)
        return made

    def differences(
        self, directions: list[np.ndarray], step: float | np.ndarray, shifts: np.ndarray | None = None
    ) -> Differences:
        """As without a start; directions that are 0 move along the start alone."""
        count = len(directions[0])
        steps = np.broadcast_to(np.asarray(step, float), count)
        freed = self.regression.freed(directions)
        shifted = 0.0 if shifts is None else shifts
        centre, along, table = self._alone(float(steps.min()))
        up, down = (self._moved(shifted, [sign * part for part in freed], steps) for sign in (1, -1))
        leaning = self._leaning(table, up, down) / (2 * steps)
        slope, bend = {}, {}
        for name, at in centre.items():
            high, low = up[name], down[name]
            t, lean = (part.reshape(-1, *[1] * at.ndim) for part in (steps, leaning))
            own = (high - low) / (2 * t)
            slope[name] = own + along[name]
            bend[name] = ((high + low) / 2 - at - t * along[name]) / t**2 + own * lean
        return Differences(centre, slope, bend)

    def _alone(self, step: float) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
        """What no direction moves: the outputs as t → 0, their slopes in t, and the start's covariance.

        By a polynomial in t > 0 alone: vectors that are of order t are new directions of a matrix, whose
        Gaussians go with their signs, so that on few points other signs of t are another matrix.
        """
        steps = step * FITTED
        none = [np.zeros((len(steps), len(self.weights))) for _ in self.of.ratios]
        found = self._moved(0.0, none, steps)
        weights = np.linalg.inv(np.vander(FITTED, increasing=True))
        centre, slopes = (
            {name: np.tensordot(weights[k], own, 1) / step**k for name, own in found.items()} for k in (0, 1)
        )
        reported = self.of.reported
        return (
            {name: centre[name] for name in reported},
            {name: slopes[name] for name in reported},
            self._covariance({name: own[None] for name, own in centre.items()})[0],
        )

    def _moved(
        self, shifts: np.ndarray | float, directions: list[np.ndarray], steps: np.ndarray
    ) -> dict[str, np.ndarray]:
        """All outputs at n^(-1/2) = steps [rows], with the start as it is given, NaN where it cannot be."""
        of, wanted = self.of, steps[:, None] * self.of.start.values
        first = self.regression.along(wanted)
        changes = [shifts + steps[:, None] * part + own for part, own in zip(directions, first, strict=True)]
        changes, solved = self._solved(changes, wanted, steps)
        found = self._by_chunks(changes, lambda own, at: of.evaluate(of.inputs, *self._drawn, own, steps[at]))
        return {
            name: np.where(solved.reshape(-1, *[1] * (own.ndim - 1)), own, np.nan)
            for name, own in found.items()
        }

    def _solved(
        self, changes: list[np.ndarray], wanted: np.ndarray, steps: np.ndarray
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Changes of the weights with which the start is `wanted` [rows, N]; and for which rows it is."""
        basis, left = self.regression.basis, np.arange(len(wanted))
        least = self.regression.deviation * np.maximum(ROUNDED, SOLVED * np.abs(steps) ** 3)
        solved = np.zeros(len(wanted), bool)
        inverse = np.tile(np.eye(basis.shape[1]), (len(wanted), 1, 1))
        moves = last = np.zeros((len(wanted), basis.shape[1]))
        for turn in range(TURNS):
            off = (wanted[left] - self._start([own[left] for own in changes])) @ basis
            if turn:
                inverse = _bent(inverse, moves, last - off)
            sizes = np.abs(off).max(axis=1, initial=0)
            solved[left] = sizes <= least[left]
            more = ~solved[left] & np.isfinite(sizes)
            left, last, inverse = left[more], off[more], inverse[more]
            if not len(left):
                break
            moves = (inverse @ last[..., None])[..., 0]
            for own, part in zip(changes, self.regression.along(moves @ basis.T), strict=True):
                own[left] += part
        return changes, solved

    def _start(self, changes: list[np.ndarray]) -> np.ndarray:
        """The means that the start is made of, [rows, N]."""
        of = self.of
        found = self._by_chunks(changes, lambda own, _: of.start_at(of.inputs, *self._drawn, own))
        return of.start.started.means_in(found)

    @property
    def _drawn(self) -> tuple[Any, Any]:
        """Points and weights, as the module takes them."""
        rows = self.of.rows
        if rows is None:
            return self.points, self.weights
        return tuple(self.points[own] for own in rows), (self.weights,) * len(rows)

    def _by_chunks(self, changes: list[np.ndarray], evaluate: Any) -> dict[str, np.ndarray]:
        """The outputs at all changes, by calls of one size."""
        size, count = 2 * self.of.chunk + 1, len(changes[0])
        found: dict[str, list[np.ndarray]] = {}
        for start in range(0, count, size):
            at = np.minimum(np.arange(start, start + size), count - 1)
            own = tuple(part[at] for part in changes)
            outputs = evaluate(own[0] if self.of.rows is None else own, at)
            for name, value in outputs.items():
                found.setdefault(name, []).append(np.asarray(value, float))
        return {name: np.concatenate(parts)[:count] for name, parts in found.items()}

    def _covariance(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Of the start given all else, where that has a variance, [rows, r, r]."""
        basis = self.regression.basis
        found: np.ndarray = basis.T @ self.of.start.started.covariances_in(outputs) @ basis
        return found

    def _leaning(
        self, table: np.ndarray, up: Mapping[str, np.ndarray], down: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """By how much the logarithm of the density of the start differs between two sides, [rows].

        To first order in the covariance of the start given all else, which is `table` between them: with
        steps across kinks some weights are negative, and tables to a side need not have an inverse.
        """
        values = self.of.start.values @ self.regression.basis
        along, inverse = np.linalg.solve(table, values), np.linalg.inv(table)
        apart = self._covariance(up) - self._covariance(down)
        found: np.ndarray = np.einsum("kab,ab->k", apart, np.outer(along, along) - inverse) / 2
        return found


def _bent(inverse: np.ndarray, moves: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Inverses [rows, r, r] of a derivative, by the changes `made` of `moves` [rows, r] (Broyden, 1965)."""
    with np.errstate(all="ignore"):  # of what diverges
        expected = (inverse @ made[..., None])[..., 0]
        along = np.einsum("ka,ka->k", moves, expected)
        back = (moves[:, None] @ inverse) / np.where(along == 0, 1, along)[:, None, None]
        found: np.ndarray = inverse + (moves - expected)[..., None] * back
    return found
