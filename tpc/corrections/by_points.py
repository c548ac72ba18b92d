"""Bias and fluctuation from derivatives of the limit in the weights of its points.

At width n an output is a functional F of the empirical measure of n points, and the limit is F of their
law. With weights w of M points and signs ξ, d_α = √w_α ξ_α − w_α Σ_β √w_β ξ_β is a random direction in
which E F'[d]² = Σ w IF² is n times the variance, and ½ E F''[d, d] is n times the bias (von Mises, 1947).
Both derivatives are central differences of the limit's own code, run with weights w ± t d: what a width of
n = 1/t² does at random, to both sides. The signs of several directions are rows of a Hadamard matrix with
random columns, so that M of them give the sums without an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.machine.precision import precision

if TYPE_CHECKING:
    from tpc.evaluate.evaluator import Evaluator

# steps t where all functions are smooth: what is left out is of relative order t², and rounding of order
# 1e-16/t²
SMOOTH = 2.0**-8
# where functions of vectors have kinks or jumps, points have to cross them: as many as are in a band of
# width t
ROUGH, MOST_ROUGH = 0.3, 0.1  # over the root of the number of Gaussians, and at most
CHECKED = 4  # directions of a repeat in which half the step is tried as well, where all is smooth
APART, SURE = 0.1, 6.0  # of the derivative, and standard errors: steps that differ by more have no limit
ROUNDING = 1e-13  # of an output


@dataclass(frozen=True, slots=True)
class Derived:
    """What the repeats say of an output: arrays of its shape, NaN where differences have no limit."""

    bias: np.ndarray
    bias_stderr: np.ndarray
    variance: np.ndarray
    variance_stderr: np.ndarray
    # of all repeats and directions [repeats, directions, *shape]
    slopes: np.ndarray


@dataclass(frozen=True, slots=True)
class Differences:
    """Differences with one step: first and half of second derivatives, [repeats, directions, *shape] each."""

    slope: np.ndarray
    half_bend: np.ndarray


@dataclass(frozen=True, slots=True)
class Repeated:
    """Numbers [repeats, directions, *shape], and the factor by which few repeats make an error too small."""

    values: np.ndarray
    students: float

    @property
    def mean(self) -> np.ndarray:
        found: np.ndarray = self.values.mean(axis=(0, 1))
        return found

    @property
    def stderr(self) -> np.ndarray:
        """The standard error of the mean, by the spread of the repeats."""
        each = self.values.mean(axis=1)
        found: np.ndarray = self.students * each.std(axis=0, ddof=1) / len(each) ** 0.5
        return found


@dataclass(frozen=True, slots=True)
class Steps:
    """How derivatives are taken."""

    # the step, half of which is tried in `checked` directions of each repeat
    step: float
    checked: int

    @staticmethod
    def of(gaussians: int, directions: int, *, rough: bool) -> Steps:
        if rough:
            return Steps(min(MOST_ROUGH, ROUGH / max(1, gaussians) ** 0.5), directions)
        return Steps(SMOOTH, min(CHECKED, directions))


def derived(
    evaluator: Evaluator,
    given: Mapping[str, Any],
    *,
    seed: int,
    directions: int,
    steps: Steps,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Derived]:
    """Bias and variance of every output, from so many directions on the points of each repeat."""
    module, plan = evaluator.module, evaluator.plan
    found: list[tuple[Any, Any]] = []
    centre: list[Any] = []
    with precision(plan.dtype):
        inputs = module.prepared(given)
        for k in range(plan.repeats):
            points, weights = module.draw(seed, k)
            on = _OnPoints(module, inputs, points, weights)
            centre.append(on.centre)
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(k, 1)))
            chosen = list(signs(len(weights), directions, rng))
            found.append(
                (
                    on.differences(chosen, steps.step),
                    on.differences(chosen[: steps.checked], steps.step / 2),
                )
            )
            if progress is not None:
                progress(k + 1, plan.repeats)
    out, wider = {}, float(module.students(plan.repeats))
    for output in evaluator.program.outputs:
        name = output.name
        slopes, bends, halved_slopes, halved_bends = (
            np.stack([getattr(pair[i][name], which) for pair in found])
            for i in range(2)
            for which in ("slope", "half_bend")
        )
        size = np.abs([at[name] for at in centre]).max(axis=0)
        variance = _settled(
            Repeated(np.square(slopes), wider),
            Repeated(np.square(halved_slopes), wider),
            np.square(ROUNDING * size / steps.step),
        )
        bias = _settled(
            Repeated(bends, wider), Repeated(halved_bends, wider), ROUNDING * size / steps.step**2
        )
        out[name] = Derived(*bias, *variance, slopes)
    return out


def signs(count: int, directions: int, rng: np.random.Generator) -> Any:
    """`directions` arrays of signs [count], orthogonal as far as a power of two has so many."""
    columns, places = rng.choice([-1.0, 1.0], count), np.arange(count)
    if count & (count - 1):
        for _ in range(directions):
            yield rng.choice([-1.0, 1.0], count)
        return
    for row in rng.permutation(count)[:directions]:
        yield np.where(np.bitwise_count(places & row) & 1, -columns, columns)


@dataclass(frozen=True)
class _OnPoints:
    """The limit on the points of one repeat."""

    module: Any
    inputs: Any
    points: Any
    weights: np.ndarray

    @cached_property
    def centre(self) -> dict[str, np.ndarray]:
        """The outputs without a change."""
        return self._values(self.weights)

    def differences(self, chosen: list[np.ndarray], step: float) -> dict[str, Differences]:
        at = self.centre
        slopes: dict[str, list[Any]] = {name: [] for name in at}
        bends: dict[str, list[Any]] = {name: [] for name in at}
        for own in chosen:
            root = np.sqrt(self.weights) * own
            change = step * (root - self.weights * root.sum())
            up, down = self._values(self.weights + change), self._values(self.weights - change)
            for name, value in at.items():
                slopes[name].append((up[name] - down[name]) / (2 * step))
                bends[name].append((up[name] + down[name] - 2 * value) / (2 * step**2))
        return {name: Differences(np.array(slopes[name]), np.array(bends[name])) for name in at}

    def _values(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        found, _ = self.module.evaluated(self.inputs, self.points, weights)
        return {name: np.asarray(value, float) for name, value in found.items()}


def _settled(own: Repeated, halved: Repeated, rounding: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and its standard error, NaN where there is none to which smaller steps lead.

    halved: with half the step, in the first directions; what this changes is in the error.
    """
    some = Repeated(own.values[:, : halved.values.shape[1]], own.students)
    difference = Repeated(some.values - halved.values, own.students)
    change, noise = difference.mean, difference.stderr
    size = np.sqrt(np.square(some.values).mean(axis=(0, 1)))
    without = np.abs(change) > np.maximum(SURE * noise, APART * size) + rounding
    # of an error c t² three quarters go where the step is halved
    beyond = 4 / 3 * np.sqrt(np.maximum(np.square(change) - np.square(noise), 0))
    lost = without | ~np.isfinite(own.values).all(axis=(0, 1))
    return np.where(lost, np.nan, own.mean), np.where(lost, np.nan, np.hypot(own.stderr, beyond))
