"""Derivatives of a limit in the weights of its points, by central differences of its own code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.core.laws import law_number
from tpc.evaluate.fit import BESIDES
from tpc.machine.memory import account
from tpc.plan.plan import SampledPlan

if TYPE_CHECKING:
    from tpc.evaluate.evaluator import Evaluator

CHUNK = 16  # directions that are looked at in one call at most, each up and down
REMEDY = "take fewer --samples or --signs"  # where memory does not do
WHILE_MADE, COPIES = 3, 3  # arrays of all directions while they are made, and of those of one call


@dataclass(frozen=True, slots=True)
class Differences:
    """On the points of one repeat, by output: its value, and derivatives [directions, *shape].

    They are the first ones and half of the second ones.
    """

    centre: Mapping[str, np.ndarray]
    slope: Mapping[str, np.ndarray]
    half_bend: Mapping[str, np.ndarray]

    def along(self, some: slice) -> Differences:
        """The differences in some of the directions."""
        slope, bend = ({name: a[some] for name, a in part.items()} for part in (self.slope, self.half_bend))
        return Differences(self.centre, slope, bend)

    def to_arrays(self, step: str) -> dict[str, np.ndarray]:
        """All of them under names of their own, with that of the step."""
        parts = {"centre": self.centre, "slope": self.slope, "bend": self.half_bend}
        return {f"{step} {part} {name}": a for part, own in parts.items() for name, a in own.items()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray], step: str) -> Differences:
        found: dict[str, dict[str, np.ndarray]] = {"centre": {}, "slope": {}, "bend": {}}
        for key, array in arrays.items():
            of, part, name = key.split(" ", 2) if key.count(" ") == 2 else ("", "", "")
            if of == step:
                found[part][name] = array
        return cls(found["centre"], found["slope"], found["bend"])


def bytes_of_changes(samples: int, directions: int, widths: int) -> float:
    """Bytes of the changes of weights [directions, M] of every width, and of what they are made of."""
    arrays = (1 << (widths - 1).bit_length()) + widths + WHILE_MADE
    return 8.0 * samples * (arrays * directions + COPIES * (2 * CHUNK + 1))


def signs(count: int, directions: int, rng: np.random.Generator) -> np.ndarray:
    """Signs [directions, count], in rows that are orthogonal if `count` is a power of two (Hadamard)."""
    if count & (count - 1):
        return rng.choice([-1.0, 1.0], (directions, count))
    columns, rows = rng.choice([-1.0, 1.0], count), rng.permutation(count)[:directions]
    odd = np.bitwise_count(rows[:, None] & np.arange(count)) & 1
    return np.where(odd, -columns, columns)


@dataclass(frozen=True)
class Weighted:
    """The limit as a function of the weights of its points."""

    module: Any
    inputs: Any
    # of every width, its ratio to the first
    ratios: tuple[float, ...]
    # where widths have points of their own, which of all Gaussians are of which
    rows: tuple[np.ndarray, ...] | None
    evaluate: Any  # compiled by JAX
    # directions of one call
    chunk: int

    @staticmethod
    def of(
        evaluator: Evaluator, given: Mapping[str, Any], root: str | None = None, chunk: int = CHUNK
    ) -> Weighted:
        """root: the input that is n^(-1/2), if there is one, which is moved to both sides, too."""
        import jax
        from jax import lax

        module, plan = evaluator.module, evaluator.plan
        assert isinstance(plan, SampledPlan)

        def evaluate(inputs: Any, points: Any, weights: Any, changes: Any, roots: Any) -> Any:
            """The outputs at weights + change, for all changes [directions, M], and n^(-1/2) of each."""

            def at(of: Any) -> Any:
                change, size = of
                there = inputs if root is None else {**inputs, root: size}
                return module.limit(there, points, jax.tree.map(lambda w, c: w + c, weights, change))[0]

            return lax.map(at, (changes, roots))

        ratios = tuple(float(law_number(width.ratio, given, ())) for width in evaluator.program.widths)
        rows = _rows(plan) if plan.by_width else None
        return Weighted(module, module.prepared(given), ratios, rows, jax.jit(evaluate), chunk)

    def memory(self, samples: int, gaussians: int, directions: int) -> float:
        """Bytes that so many directions on `samples` points take, by the compiler's account.

        Checks of the limit are counted in. What is compiled for that is what they are computed with.
        """
        import jax

        def shape(*axes: int) -> Any:
            return jax.ShapeDtypeStruct(axes, float)

        widths, changes = len(self.ratios), shape(2 * self.chunk + 1, samples)
        points, weights, every = shape(gaussians, samples), shape(samples), changes
        if self.rows is not None:
            points = tuple(shape(len(own), samples) for own in self.rows)
            weights, every = (weights,) * widths, (changes,) * widths
        compiled = self.evaluate.lower(
            self.inputs, points, weights, every, shape(2 * self.chunk + 1)
        ).compile()
        return account(compiled) + bytes_of_changes(samples, directions, widths) + BESIDES

    def on_points(self, seed: int, k: int) -> OnPoints:
        """On those of the k-th repeat: two independent halves, that each could do alone."""
        count = self.module.SAMPLES
        first, second = (
            self.module.draw(seed, 2 * k + part, samples=(count + part) // 2)[0] for part in (0, 1)
        )
        points = np.concatenate([first, second], axis=1)
        return OnPoints(self, points, np.full(count, 1 / count), first.shape[1])


def _rows(plan: SampledPlan) -> tuple[np.ndarray, ...]:
    """The Gaussians of each width among all of a plan, those of initial vectors first."""
    sectors, whole = plan.space.sectors, plan.layout
    initial, later = iter(range(whole.first_direction)), iter(range(whole.first_direction, whole.total))
    out = []
    for own in (sectors.layout(whole, k) for k in range(sectors.count)):
        rows = [next(initial) for _ in range(own.first_direction)]
        rows += [next(later) for _ in range(own.total - own.first_direction)]
        out.append(np.array(rows, dtype=int))
    return tuple(out)


@dataclass(frozen=True)
class OnPoints:
    """The limit on the points of one repeat, [Gaussians, M] with weights [M]."""

    of: Weighted
    points: np.ndarray
    weights: np.ndarray
    # how many points are of the first half
    first: int

    @property
    def to_halves(self) -> tuple[np.ndarray, np.ndarray]:
        """What takes the weights to those of one half alone, [M] each."""
        own = np.arange(len(self.weights)) < self.first
        first, second = (np.where(half, 1 / half.sum(), 0.0) - self.weights for half in (own, ~own))
        return first, second

    def directions(self, count: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Random changes of the weights of every width, [count, M] each.

        The mean over all of F'[d]² is Σ w IF², and of F''[d, d] what the points have on average: for several
        widths the sums over them, each divided by its ratio to the first.
        """
        m, widths = len(self.weights), len(self.of.ratios)
        whole = signs(m << (widths - 1).bit_length(), count, rng)
        out = []
        for k, ratio in enumerate(self.of.ratios):
            root = np.sqrt(self.weights) * whole[:, k * m : (k + 1) * m]
            out.append((root - self.weights * root.sum(axis=1, keepdims=True)) / ratio**0.5)
        return out

    def differences(
        self, directions: list[np.ndarray], step: float | np.ndarray, shifts: np.ndarray | None = None
    ) -> Differences:
        """step: one for all directions, or one for each.

        shifts: [directions, M], what the weights are changed by before they are moved to both sides; there
        is no second derivative where they are.
        """
        count = len(directions[0])
        steps = np.broadcast_to(step, count)
        up: dict[str, list[np.ndarray]] = {}
        down: dict[str, list[np.ndarray]] = {}
        centre: dict[str, np.ndarray] = {}
        chunk = self.of.chunk
        for start in range(0, count, chunk):
            own = slice(start, start + chunk)
            some = [steps[own, None] * part[own] for part in directions]
            size = len(some[0])
            moved = None if shifts is None else shifts[own]
            for name, values in self._values(some, steps[own], moved).items():
                up.setdefault(name, []).append(values[:size])
                down.setdefault(name, []).append(values[chunk : chunk + size])
                centre[name] = values[-1]
        slope, bend = {}, {}
        for name, at in centre.items():
            high, low = np.concatenate(up[name]), np.concatenate(down[name])
            t = steps.reshape(-1, *[1] * at.ndim)
            slope[name], bend[name] = (high - low) / (2 * t), (high + low - 2 * at) / (2 * t**2)
        return Differences(centre, slope, bend)

    def influence(self, directions: list[np.ndarray], slopes: np.ndarray) -> np.ndarray:
        """What `slopes` [directions, *shape] say of the influence of every point, [*shape, points].

        Exact where the directions are complete, else with noise. The points of several widths follow each
        other.
        """
        found = [np.tensordot(slopes, part / self.weights, (0, 0)) for part in directions]
        return np.concatenate(found, axis=-1) / len(slopes)

    def _values(
        self, changes: list[np.ndarray], steps: np.ndarray, shifts: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """The outputs with all changes, with their opposites, and with none: [2 chunk + 1, *shape]."""
        more = ((0, self.of.chunk - len(changes[0])), (0, 0))
        padded_steps = np.pad(steps, more[0])
        roots = np.concatenate([padded_steps, -padded_steps, [0.0]])
        padded = [np.pad(part, more) for part in changes]
        none = np.zeros_like(padded[0][:1])
        every = tuple(np.concatenate([part, -part, none]) for part in padded)
        if shifts is not None:
            moved = np.pad(shifts, more)
            every = tuple(part + np.concatenate([moved, moved, none]) for part in every)
        rows = self.of.rows
        if rows is None:
            found = self.of.evaluate(self.of.inputs, self.points, self.weights, sum(every), roots)
        else:
            points = tuple(self.points[own] for own in rows)
            found = self.of.evaluate(self.of.inputs, points, (self.weights,) * len(rows), every, roots)
        return {name: np.asarray(value, float) for name, value in found.items()}
