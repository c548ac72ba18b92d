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

from tpc.core.expansion import OF_ROOTS, REST, size_of
from tpc.corrections.differences import CHUNK, REMEDY, Differences, OnPoints, Weighted
from tpc.corrections.first_order import Ladder, Moved
from tpc.corrections.given_start import SOLVED, GivenStart, WeightedGivenStart
from tpc.corrections.settled import SURE, VANISHES, Repeated, settled
from tpc.corrections.units import unit_of
from tpc.evaluate.checkpoint import EvaluationCheckpoint
from tpc.evaluate.stages import ENOUGH
from tpc.machine.memory import require_memory
from tpc.machine.precision import precision

if TYPE_CHECKING:
    from tpc.evaluate.evaluator import Evaluator

# steps t where all functions are smooth: what is left out is of relative order t², and rounding of order
# 1e-16/t²
SMOOTH = 2.0**-12
# where the start is given: powers of n that grow enlarge rounding to 1e-16/t³
OF_START = 2.0**-8
# where functions of vectors have kinks or jumps, points have to cross them: as many as are in a band of
# width t
ROUGH, MOST_ROUGH = 0.3, 0.1  # over the root of the number of Gaussians, and at most
CHECKED = 4  # directions of a repeat in which half the step is tried as well, where all is smooth
SHARED, MOST_SHARED = 16, 8  # directions, of so many one and at most, with larger steps, and on halves
LEFT = 32  # times what solving for a start leaves: outputs without directions are fitted to four steps
ROUNDING = 1e-13  # of an output, and of its derivatives
ALIKE = 0.25  # of squares of differences, that half the step changes: what it changes more is rounding
# in what is kept: differences with the step of the derivatives, its half, larger ones, on halves of the
# points, and what powers of n do alone
WHOLE, HALF, LARGER, FIRST, SECOND, POWERS = "whole", "half", "larger", "first", "second", "powers"
OF_SIZE = ((WHOLE, "slope"), (WHOLE, "half_bend"), (POWERS, "slope"))  # what tells the unit of an output
NO_ERROR = 0.7  # the index of a tail from which on, as in runs of the limit
NO_LIMIT = (
    "with half the step in the weights of the points, differences change more than those of what has "
    "derivatives: a function bends or jumps at the limit itself, or there are too few points where some bend"
)
OF_ROOT = "at width n its mean is off by a multiple of n^(-1/2), so that n times its bias grows"
INFINITE = (
    "the influence of a point has too heavy a tail for a variance that can be told, or for a finite one"
)


@dataclass(frozen=True, slots=True)
class Derived:
    """What the repeats say of an output: arrays of its shape, NaN where differences have no limit."""

    bias: np.ndarray
    bias_stderr: np.ndarray
    # in squares of `unit`
    variance: np.ndarray
    variance_stderr: np.ndarray
    unit: np.ndarray
    # the width from which they hold, infinite if beyond those looked at, NaN if unknown
    first_order_from: np.ndarray
    slopes: Slopes
    # why entries are NaN, if some are
    reason: str | None
    # p of entries of which the means at width n are off by powers of n^(-p)
    order: np.ndarray


@dataclass(frozen=True, slots=True)
class Slopes:
    """First derivatives of an output [repeats, directions, *shape]."""

    whole: np.ndarray
    # in the first directions, half of how they differ between the two halves of the points: what few points
    # make of them, of whose square the mean is to be taken off
    apart: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the output."""
        return self.whole.shape[2:]

    def products(self, other: Slopes) -> np.ndarray:
        """n·covariance of two outputs, over the axes of both."""

        def mean(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            count = x.shape[0] * x.shape[1]
            both: np.ndarray = x.reshape(count, -1).T @ y.reshape(count, -1) / count
            return both.reshape((*self.shape, *other.shape))

        found: np.ndarray = mean(self.whole, other.whole) - mean(self.apart, other.apart)
        return found


@dataclass(frozen=True, slots=True)
class Steps:
    """How derivatives are taken."""

    # half of it is tried in `checked` directions of each repeat
    step: float
    checked: int
    ladder: Ladder
    # by what rounding is, that of solving for a start
    enlarged: float = 1.0

    @staticmethod
    def of(gaussians: int, directions: int, *, rough: bool, started: bool = False) -> Steps:
        few = max(1, min(MOST_SHARED, directions // SHARED))
        factor = 2 if directions >= SHARED else 4  # of steps, where evaluations are dear
        if rough:
            step = min(MOST_ROUGH, ROUGH / max(1, gaussians) ** 0.5)
            checked = directions
        else:
            step, checked = OF_START if started else SMOOTH, min(CHECKED, directions)
        enlarged = 1 / step + LEFT * SOLVED / ROUNDING * step**2 if started else 1.0
        return Steps(step, checked, Ladder.above(step, few, factor), enlarged)

    def count(self, directions: int) -> int:
        """How many differences are taken on the points of one repeat."""
        return directions + self.checked + self.ladder.count + 2 * self.ladder.directions + 4

    def chunk(self, directions: int) -> int:
        """How many of one call: calls of one size, with little room left."""
        count = self.count(directions)
        return -(-count // -(-count // CHUNK))

    def evaluations(self, directions: int) -> int:
        """How often the limit is evaluated on the points of one repeat: to both sides, and once a call."""
        chunk = self.chunk(directions)
        return -(-self.count(directions) // chunk) * (2 * chunk + 1)


def derived(
    evaluator: Evaluator,
    given: Mapping[str, Any],
    *,
    seed: int,
    directions: int,
    steps: Steps,
    kept: EvaluationCheckpoint,
    root: str | None = None,
    start: GivenStart | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Derived]:
    """Bias and variance of every output, from so many directions on the points of each repeat.

    evaluator: of a sampled plan; where there are several widths, one in which each has points of its own.
    root: the input that is n^(-1/2), if there is one. start: what all of it is given, if there is a start.
    kept: the repeats that are done, and where those that are not are put. Interrupted (Ctrl-C), what is done
    is enough if these are two repeats; else raises KeyboardInterrupt.
    """
    plan, module = evaluator.plan, evaluator.module
    names = evaluator.program.reported
    heavy = [name for name in names if name in module.HEAVY]
    with precision(plan.dtype):
        chunk = steps.chunk(directions)
        weighted = (
            Weighted.of(evaluator, given, root, chunk)
            if start is None
            else WeightedGivenStart.given(evaluator, given, start, chunk)
        )
        try:
            with kept.running:
                _repeats(weighted, evaluator, seed, directions, steps, heavy, kept, progress)
        except KeyboardInterrupt:
            if len(kept) < ENOUGH:
                raise
        wider = float(module.students(len(kept)))
    done = [outputs for outputs, _ in kept.ordered]
    found = {
        part: [Differences.of_arrays(own, part) for own in done]
        for part in (WHOLE, HALF, LARGER, FIRST, SECOND, POWERS)
    }
    influences = {name: [own[f"influence {name}"] for own in done] for name in heavy}
    out = {name: _of_output(name, found, steps, wider) for name in names}
    for name in out.keys() & set(module.WILD):
        out[name] = without(out[name], np.array(True), INFINITE)
    for name, own in influences.items():
        out[name] = _tailed(out[name], np.concatenate(own, axis=-1), module.tail_index)
    return out


def _repeats(
    weighted: Weighted,
    evaluator: Evaluator,
    seed: int,
    directions: int,
    steps: Steps,
    heavy: Sequence[str],
    kept: EvaluationCheckpoint,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Computes the repeats that are not kept yet. heavy: outputs of which the influences are wanted."""
    plan = evaluator.plan
    needed = weighted.memory(plan.samples, plan.gaussians, steps.count(directions))
    require_memory(needed, evaluator.program.name, remedy=REMEDY, of_program=True)
    for k in range(plan.repeats):
        if k not in kept:
            on = weighted.on_points(seed, k)
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(k, 1)))
            chosen = on.directions(directions, rng)
            taken = _taken(on, chosen, steps)
            slopes = taken[WHOLE].slope
            influences = {f"influence {name}": on.influence(chosen, slopes[name]) for name in heavy}
            arrays = [own.to_arrays(part) for part, own in taken.items()]
            kept[k] = {key: a for own in [*arrays, influences] for key, a in own.items()}, np.zeros(())
        if progress is not None:
            progress(k + 1, plan.repeats)


def _taken(on: OnPoints, chosen: list[np.ndarray], steps: Steps) -> dict[str, Differences]:
    """All differences on the points of a repeat, with a few calls for many of them."""
    count, few = len(chosen[0]), steps.ladder.directions
    larger, of_larger = steps.ladder.every()
    whole = np.arange(count)
    parts = {
        WHOLE: (whole, np.full(count, steps.step)),
        HALF: (whole[: steps.checked], np.full(steps.checked, steps.step / 2)),
        LARGER: (of_larger, larger),
        FIRST: (whole[:few], np.full(few, steps.step)),
        SECOND: (whole[:few], np.full(few, steps.step)),
        POWERS: (np.full(4, count), steps.step * np.array([1, 1 / 2, 1, 1])),
    }
    which, sizes = (np.concatenate([part[i] for part in parts.values()]) for i in (0, 1))
    ends = np.cumsum([0, *(len(of) for of, _ in parts.values())])
    at = {part: slice(*ends[i : i + 2]) for i, part in enumerate(parts)}
    shifts = np.zeros((len(which), len(on.weights)))
    shifts[at[FIRST]], shifts[at[SECOND]] = on.to_halves
    shifts[-2:] = on.to_halves
    with_none = [np.concatenate([part, 0 * part[:1]]) for part in chosen]
    every = on.differences([part[which] for part in with_none], sizes, shifts)
    return {part: every.along(some) for part, some in at.items()}


def _of_output(
    name: str, found: Mapping[str, Sequence[Differences]], steps: Steps, students: float
) -> Derived:
    def raw(part: str, what: str) -> np.ndarray:
        return np.stack([getattr(own, what)[name] for own in found[part]])

    moves = [np.abs(raw(part, what)).max(axis=(0, 1)) for part, what in OF_SIZE]
    scale = unit_of(np.maximum.reduce(moves))

    def stacked(part: str, what: str) -> np.ndarray:
        found: np.ndarray = raw(part, what) / scale
        return found

    size = np.max([np.abs(own.centre[name]) for own in found[WHOLE]], axis=0) / scale
    # what powers of n move an output by is the same in all directions: no part of its spread
    roots = stacked(POWERS, "slope")
    of_roots = {WHOLE: 0, HALF: 0, LARGER: 0, FIRST: 2, SECOND: 3}
    slopes = {part: stacked(part, "slope") - roots[:, [k]] for part, k in of_roots.items()}
    bends = {part: stacked(part, "half_bend") for part in (WHOLE, HALF, LARGER)}
    with np.errstate(all="ignore"):
        rounding = ROUNDING * np.maximum(size / steps.step, np.abs(bends[WHOLE]).max(axis=(0, 1)))
        own, variance = _variance(slopes, rounding, students)
        grows = _grows(Repeated(roots[:, :1], students), Repeated(roots[:, 1:2], students), rounding)
        whole, half = (Repeated(bends[part], students) for part in (WHOLE, HALF))
        unit = size / steps.step**2
        moved, halved, larger = (Moved(slopes[part], bends[part]) for part in (WHOLE, HALF, LARGER))
        least = steps.enlarged * _rounding_of(np.stack([own.centre[name] for own in found[WHOLE]])) / scale
        rests = [moves <= least for moves in _moved((moved, halved), steps.step)]
        # what solving for a start leaves goes with the step, too
        alike = ALIKE if steps.enlarged == 1 else -1.0
        variance = _at_rest(variance, rests[0], (moved.slopes, halved.slopes), 2, alike)
        bias = _at_rest(_bias(whole, half, unit), rests[1], (moved.bends, halved.bends), 1, alike)
        bias = np.where(grows, np.nan, bias[0]), np.where(grows, np.nan, bias[1])
        known = (*bias, *variance)
        holds = steps.ladder.first_order_from(moved, halved, larger, known, ROUNDING * unit, students)
    of_all = Slopes(*(np.where(variance[0] == 0, 0, scale * part) for part in (own.whole, own.apart)))
    why = OF_ROOT if grows.any() else None
    order = np.where(np.isnan(bias[0]) | np.isnan(variance[0]), OF_ROOTS, 1.0)
    made = Derived(scale * bias[0], scale * bias[1], *variance, scale, holds, of_all, why, order)
    return without(made, (np.isnan(made.bias) & ~grows) | np.isnan(made.variance), NO_LIMIT)


def _moved(moves: tuple[Moved, Moved], step: float) -> tuple[np.ndarray, np.ndarray]:
    """By how much an output moves at most, in the first order and in the second.

    moves: with the step, and half of it.
    """
    first, second = (
        [t**k * np.abs(part).max(axis=(0, 1)) for part, t in zip(parts, (step, step / 2), strict=True)]
        for k, parts in ((1, [own.slopes for own in moves]), (2, [own.bends for own in moves]))
    )
    return np.maximum(*first), np.maximum(*second)


def _rounding_of(centres: np.ndarray) -> np.ndarray:
    """What rounding makes of an output: numbers that cancel leave less than it. centres: of each repeat."""
    mean = centres.mean(axis=0)
    stderr = centres.std(axis=0, ddof=1) / len(centres) ** 0.5
    return ROUNDING * size_of(np.where(np.abs(mean) <= REST, 0, mean), stderr)


def _at_rest(
    found: tuple[np.ndarray, np.ndarray],
    rests: np.ndarray,
    parts: tuple[np.ndarray, np.ndarray],
    power: int,
    alike: float,
) -> tuple[np.ndarray, np.ndarray]:
    """A number and its error, 0 where no more than rounding moves the output, and no two steps move it alike.

    parts: the differences that it is a mean of, to that power, with the step and with half of it; the
    greatest one is the error of a 0 of which no other is known. alike: of squares of differences, what half
    the step changes of them at most.
    """
    (number, error), (whole, half) = found, parts
    some = whole[:, : half.shape[1]]
    apart, size = (np.square(x).mean(axis=(0, 1)) for x in (some - half, some))
    zero = rests & (apart > alike * size)
    greatest, own = (np.abs(whole) ** power).max(axis=(0, 1)), np.hypot(number, error)
    return np.where(zero, 0, number), np.where(zero, np.where(np.isnan(own), greatest, own), error)


def _bias(whole: Repeated, half: Repeated, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The bias and its error. unit: what second differences are multiples of rounding of."""
    found, error = settled(whole, half, ROUNDING * unit)
    repeats, directions = whole.values.shape[:2]
    least = np.finfo(float).eps * unit / (repeats * directions) ** 0.5
    return found, np.hypot(error, np.where(whole.values.any(axis=(0, 1)), least, 0))


def _variance(
    slopes: Mapping[str, np.ndarray], rounding: np.ndarray, students: float
) -> tuple[Slopes, tuple[np.ndarray, np.ndarray]]:
    """The slopes without what is rounding, and the variance and its error."""
    told = {part: np.where(np.abs(own) <= rounding, 0, own) for part, own in slopes.items()}
    apart = slopes[FIRST] - slopes[SECOND]
    own = Slopes(told[WHOLE], np.where(np.abs(apart) <= rounding, 0, apart / 2))
    whole, half, few = (Repeated(np.square(x), students) for x in (own.whole, told[HALF], own.apart))
    variance, error = settled(whole, half, np.square(rounding), few)
    some = (told[WHOLE] != slopes[WHOLE]).any(axis=(0, 1))
    return own, (variance, np.hypot(error, np.where(some, np.square(rounding), 0)))


def _grows(root: Repeated, half: Repeated, rounding: np.ndarray) -> np.ndarray:
    """Whether the mean is off by a multiple of n^(-1/2), by its slopes in that, with the step and half."""
    there = np.abs(root.mean) > SURE * root.stderr + rounding
    found: np.ndarray = there & (np.abs(half.mean) > VANISHES * np.abs(root.mean))
    return found


def without(own: Derived, lost: np.ndarray, reason: str) -> Derived:
    """The same without entries that are lost; what has no second derivative has no first one to trust."""
    if not np.any(lost):
        return own

    def left(part: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.where(lost, np.nan, part)
        return found

    return replace(
        own,
        bias=left(own.bias),
        bias_stderr=left(own.bias_stderr),
        variance=left(own.variance),
        variance_stderr=left(own.variance_stderr),
        first_order_from=left(own.first_order_from),
        reason=own.reason or reason,
    )


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
