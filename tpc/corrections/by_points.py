"""Bias and fluctuation from derivatives of the limit in the weights of its points.

At width n an output is a functional F of the empirical measure of n points, and the limit is F of their
law. With weights w of M points and signs ξ, d_α = √w_α ξ_α − w_α Σ_β √w_β ξ_β is a random direction in
which E F'[d]² = Σ w IF² is n times the variance, and ½ E F''[d, d] is n times the bias (von Mises, 1947).
Both derivatives are central differences of the limit's own code, run with weights w ± t d: what a width of
n = 1/t² does at random, to both sides. The signs of several directions are rows of a Hadamard matrix with
random columns, so that M of them give the sums without an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.corrections.differences import REMEDY, Differences, Weighted
from tpc.evaluate.checkpoint import Kept
from tpc.evaluate.stages import ENOUGH
from tpc.machine.memory import require_memory
from tpc.machine.precision import precision

if TYPE_CHECKING:
    from tpc.evaluate.evaluator import Evaluator

# steps t where all functions are smooth: what is left out is of relative order t², and rounding of order
# 1e-16/t²
SMOOTH = 2.0**-10
# where functions of vectors have kinks or jumps, points have to cross them: as many as are in a band of
# width t
ROUGH, MOST_ROUGH = 0.3, 0.1  # over the root of the number of Gaussians, and at most
CHECKED = 4  # directions of a repeat in which half the step is tried as well, where all is smooth
APART, SURE = 0.1, 6.0  # of the derivative, and standard errors: steps that differ by more have no limit
ROUNDING = 1e-13  # of an output
WHOLE, HALF = "whole", "half"  # steps, in the names of arrays that are kept
NO_ERROR = 0.7  # the index of a tail from which on, as in runs of the limit
NO_LIMIT = (
    "with half the step in the weights of the points, differences change more than those of what has "
    "derivatives: a function bends or jumps at the limit itself, or there are too few points where some bend"
)
INFINITE = (
    "the influence of a point has too heavy a tail for a variance that can be told, or for a finite one"
)


@dataclass(frozen=True, slots=True)
class Derived:
    """What the repeats say of an output: arrays of its shape, NaN where differences have no limit."""

    bias: np.ndarray
    bias_stderr: np.ndarray
    variance: np.ndarray
    variance_stderr: np.ndarray
    # of all repeats and directions [repeats, directions, *shape]
    slopes: np.ndarray
    # why entries are NaN, if some are
    reason: str | None


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
    kept: Kept,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Derived]:
    """Bias and variance of every output, from so many directions on the points of each repeat.

    evaluator: of a sampled plan; where there are several widths, one in which each has points of its own.
    kept: the repeats that are done, and where those that are not are put. Interrupted (Ctrl-C), what is done
    is enough if these are two repeats; else raises KeyboardInterrupt.
    """
    plan, module = evaluator.plan, evaluator.module
    names = evaluator.program.reported
    heavy = [name for name in names if name in module.HEAVY]
    with precision(plan.dtype):
        try:
            with kept.running:
                _repeats(evaluator, given, seed, directions, steps, heavy, kept, progress)
        except KeyboardInterrupt:
            if len(kept) < ENOUGH:
                raise
        wider = float(module.students(len(kept)))
    done = [outputs for outputs, _ in kept.ordered]
    found = [(Differences.of_arrays(own, WHOLE), Differences.of_arrays(own, HALF)) for own in done]
    influences = {name: [own[f"influence {name}"] for own in done] for name in heavy}
    out = {name: _of_output(name, found, steps.step, wider) for name in names}
    for name in out.keys() & set(module.WILD):
        out[name] = without(out[name], np.array(True), INFINITE)
    for name, own in influences.items():
        out[name] = _tailed(out[name], np.concatenate(own, axis=-1), module.tail_index)
    return out


def _repeats(
    evaluator: Evaluator,
    given: Mapping[str, Any],
    seed: int,
    directions: int,
    steps: Steps,
    heavy: Sequence[str],
    kept: Kept,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Computes the repeats that are not kept yet. heavy: outputs of which the influences are wanted."""
    weighted, plan = Weighted.of(evaluator, given), evaluator.plan
    needed = weighted.memory(plan.samples, plan.gaussians, directions)
    require_memory(needed, evaluator.program.name, remedy=REMEDY, of_program=True)
    for k in range(plan.repeats):
        if k not in kept:
            on = weighted.on_points(seed, k)
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(k, 1)))
            chosen = on.directions(directions, rng)
            some = [part[: steps.checked] for part in chosen]
            whole, half = on.differences(chosen, steps.step), on.differences(some, steps.step / 2)
            influences = {f"influence {name}": on.influence(chosen, whole.slope[name]) for name in heavy}
            kept[k] = {**whole.to_arrays(WHOLE), **half.to_arrays(HALF), **influences}, np.zeros(())
        if progress is not None:
            progress(k + 1, plan.repeats)


def _of_output(
    name: str, found: Sequence[tuple[Differences, Differences]], step: float, wider: float
) -> Derived:
    whole, half = ([pair[i] for pair in found] for i in range(2))
    size = np.max([np.abs(own.centre[name]) for own in whole], axis=0)
    slopes, halved = (np.stack([own.slope[name] for own in part]) for part in (whole, half))
    bends, halved_bends = (np.stack([own.half_bend[name] for own in part]) for part in (whole, half))
    with np.errstate(all="ignore"):
        variance = _settled(
            Repeated(np.square(slopes), wider),
            Repeated(np.square(halved), wider),
            np.square(ROUNDING * size / step),
        )
        bias = _settled(Repeated(bends, wider), Repeated(halved_bends, wider), ROUNDING * size / step**2)
    made = Derived(*bias, *variance, slopes, None)
    return without(made, np.isnan(made.bias) | np.isnan(made.variance), NO_LIMIT)


def without(own: Derived, lost: np.ndarray, reason: str) -> Derived:
    """The same without entries that are lost; what has no second derivative has no first one to trust."""
    if not np.any(lost):
        return own
    parts = (own.bias, own.bias_stderr, own.variance, own.variance_stderr)
    bias, bias_stderr, variance, variance_stderr = (np.where(lost, np.nan, part) for part in parts)
    return Derived(bias, bias_stderr, variance, variance_stderr, own.slopes, own.reason or reason)


def _tailed(own: Derived, influence: np.ndarray, tail_index: Callable[[np.ndarray], float]) -> Derived:
    """The same with wider errors for heavy tails of the influence of points, or without them.

    influence: [*shape, points]. Its square has a tail of twice its index; from `NO_ERROR` on that leaves the
    mean no error that can be told.
    """
    flat = np.abs(influence.reshape(-1, influence.shape[-1]))
    index = 2 * np.array([tail_index(each) for each in flat]).reshape(influence.shape[:-1])
    wider = np.maximum(1, 0.85 / (1 - 1.15 * np.minimum(index, NO_ERROR)))
    widened = replace(own, bias_stderr=wider * own.bias_stderr, variance_stderr=wider * own.variance_stderr)
    return without(widened, index >= NO_ERROR, INFINITE)


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
