"""From which width on the first order of the expansion in 1/n holds.

Weights w + t d, with t = 1/√n, are moved as those of a width n are at random. So differences with a finite
step say of that width what derivatives say of the widths that tend to infinity: n times its bias, and n
times its variance. Steps that grow by factors are rungs of a ladder of widths, and the first order holds
from the width on where what is beyond it changes neither by more than a share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tpc.core.expansion import KNOWN, SHARE
from tpc.core.program import MatMul, Nonlin, Program
from tpc.core.unroll import unroll
from tpc.corrections.drawn import DrawnProgram
from tpc.corrections.linear_program import Gradients
from tpc.corrections.settled import Repeated
from tpc.corrections.units import unit_of

LARGEST = 0.25  # of the steps on the ladder: width 16
LADDER = tuple(16.0 * 4**k for k in reversed(range(10)))  # widths at which exact programs are drawn
ALMOST, LIMIT = 1e8, 1e13  # widths that tell of a draw its second order and its first one
MOST_DRAWS, LEAST_DRAWS = 2048, 256  # of a width: the work grows with their number and the cube of Gaussians
FEW_DIRECTIONS, MOST_DRAWN = 256, 64  # that go with the most draws, and Gaussians of one width at most
MEMORY, OF_OUTPUT = 5e8, 8  # bytes of all that is drawn; arrays of an output while they are looked at
LEAST = 1e-3  # of what is allowed: less is not told from none where widths are between two rungs


@dataclass(frozen=True, slots=True)
class Moved:
    """First differences and halves of second ones, over steps: [repeats, directions, *shape] each.

    At w ± t d an output is F + t²·bend ± t·slope.
    """

    slopes: np.ndarray
    bends: np.ndarray

    def along(self, some: slice) -> Moved:
        """The changes in some of the directions."""
        return Moved(self.slopes[:, some], self.bends[:, some])

    def moments(self, step: float) -> tuple[np.ndarray, np.ndarray]:
        """What has the means n·bias and n·variance at the width of this step."""
        even = step * (self.bends - self.bends.mean(axis=(0, 1)))
        return self.bends, np.square(self.slopes) + np.square(even)


@dataclass(frozen=True, slots=True)
class Ladder:
    """Steps that grow by a factor, from that of the derivatives on, and the directions at each."""

    # the step of the derivatives
    least: float
    # the others
    steps: tuple[float, ...]
    directions: int

    @staticmethod
    def above(step: float, directions: int, factor: int) -> Ladder:
        larger = [step * factor**k for k in range(1, 32) if step * factor**k <= LARGEST]
        return Ladder(step, tuple(larger), directions)

    @property
    def count(self) -> int:
        return len(self.steps) * self.directions

    def every(self) -> tuple[np.ndarray, np.ndarray]:
        """The step, and which of the first directions, [steps · directions] each."""
        return np.repeat(self.steps, self.directions), np.tile(np.arange(self.directions), len(self.steps))

    def first_order_from(
        self,
        whole: Moved,
        half: Moved,
        larger: Moved,
        first_order: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
        rounding: np.ndarray,
        students: float,
    ) -> np.ndarray:
        """The width of every entry of an output: infinite if it is beyond the ladder, NaN if unknown.

        whole, half: with the step of the derivatives, and half of it. larger: with all of the ladder.
        first_order: the bias and its error, the variance and its error. Unknown is it where both are 0.
        rounding: of the bias.
        """
        bias, bias_error, variance, variance_error = first_order
        spread = np.where(variance > KNOWN * variance_error, variance, 0)
        sure = np.where(np.abs(bias) > np.maximum(KNOWN * bias_error, rounding), np.abs(bias), 0)
        allowed = SHARE * np.maximum(sure, np.sqrt(spread))

        def beyond(moved: Moved, step: float, other: Moved, its: float, factor: float = 1.0) -> np.ndarray:
            """What one step differs by from another as a multiple of what is allowed.

            Variances are compared with those of the same directions, which are few.
            """
            (bends, squares), (of_bends, of_squares) = moved.moments(step), other.moments(its)
            of_bias, of_variance = (
                factor * Repeated(x - y, students).significant
                for x, y in ((bends, of_bends), (squares, of_squares))
            )
            # a spread that is 0 to first order is of a higher one at all widths
            own = SHARE * of_squares.mean(axis=(0, 1))
            shares = of_bias / allowed, np.where(spread > 0, of_variance / own, 0)
            return np.nan_to_num(np.maximum(*shares), nan=np.inf, posinf=np.inf)

        checked, few = half.slopes.shape[1], self.directions
        # of an error c t² three quarters go where the step is halved
        rungs = [beyond(whole.along(slice(checked)), self.least, half, self.least / 2, 4 / 3)]
        for k, step in enumerate(self.steps):
            own = larger.along(slice(k * few, (k + 1) * few))
            rungs.append(beyond(own, step, whole.along(slice(few)), self.least))
        holds = crossed(1 / np.square([self.least, *self.steps]), np.array(rungs))
        known = np.isfinite(bias) & np.isfinite(variance) & (allowed > 0)
        return np.where(known, holds, np.nan)


def crossed(widths: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """The width from which on `beyond` [widths, …] is at most 1, between two by powers of the width.

    widths: from the largest to the least.
    """
    least = np.full(beyond.shape[1:], widths[-1])
    for k in reversed(range(len(widths))):  # what is more is found later, and stays
        over = beyond[k] > 1
        if k == 0:
            least = np.where(over, np.inf, least)
            continue
        with np.errstate(all="ignore"):
            far, near = np.log(beyond[k]), -np.log(np.maximum(beyond[k - 1], LEAST))
            share = np.where(np.isfinite(far), far / (far + near), 1.0)
            between = widths[k] * (widths[k - 1] / widths[k]) ** np.clip(share, 0, 1)
        least = np.where(over, between, least)
    return least


def first_order_of_draws(
    program: Program, inputs: Mapping[str, np.ndarray], exact: Mapping[str, Gradients], seed: int
) -> dict[str, np.ndarray]:
    """The width of every entry of the outputs of a program that is linear in its vectors.

    exact: their bias and variance. Outputs are drawn at widths of a ladder, and with the same random numbers
    at two widths that are so large that they tell the linear term of each draw, of mean 0, and the one after,
    whose mean is the bias. What differs from both is compared. Empty if that takes too much memory.
    Raises TooLargeError.
    """
    widths = np.array([*LADDER, ALMOST, LIMIT])
    draws = _draws(program, exact, len(widths))
    if draws < LEAST_DRAWS:
        return {}
    drawn = DrawnProgram(program, inputs, widths.tolist(), draws, MOST_DRAWN, seed).outputs()
    out = {}
    for name, own in exact.items():
        value, bias = (np.asarray(part, float) for part in (own.value, own.bias))
        _, fluctuation = own.as_floats
        unit = unit_of(np.maximum(np.maximum(np.abs(value), np.abs(bias)), fluctuation))
        value, bias, fluctuation = value / unit, bias / unit, fluctuation / unit
        off = drawn[name] / unit[..., None, None] - value[..., None, None]
        linear = LIMIT**0.5 * off[..., -1, :]
        rest = widths[:, None] * off - np.sqrt(widths)[:, None] * linear[..., None, :]
        of_bias = _significant(rest[..., :-2, :] - rest[..., -2:-1, :])
        centred = off - off.mean(axis=-1, keepdims=True)
        squares = (widths[:, None] * np.square(centred))[..., :-2, :]
        of_variance = _significant(squares - np.square(linear)[..., None, :])
        spread = np.square(linear).mean(axis=-1)
        allowed = SHARE * np.maximum(np.abs(bias), fluctuation)
        some = fluctuation > 0
        shares = np.where(some[..., None], of_variance / (SHARE * spread[..., None]), 0)
        beyond = np.nan_to_num(np.maximum(of_bias / allowed[..., None], shares), nan=np.inf, posinf=np.inf)
        holds = crossed(np.array(LADDER), np.moveaxis(beyond, -1, 0))
        out[name] = np.where(allowed > 0, holds, np.nan)
    return out


def _draws(program: Program, exact: Mapping[str, Gradients], widths: int) -> int:
    """How many draws of each width take a fair time and memory, a power of two."""
    directions = max((len(own.weights) for own in exact.values()), default=1)
    gaussians = (2 * directions) ** 0.5
    vectors = sum(isinstance(op, MatMul | Nonlin) for op in unroll(program).body)
    arrays = gaussians * vectors + OF_OUTPUT * sum(own.value.size for own in exact.values())
    fair = MOST_DRAWS * (FEW_DIRECTIONS / max(1, directions)) ** 1.5
    most = max(1.0, min(MOST_DRAWS, max(fair, LEAST_DRAWS), MEMORY / (8 * widths * max(1.0, arrays))))
    return 1 << int(np.log2(most))


def _significant(draws: np.ndarray) -> np.ndarray:
    """How large means over draws are beyond what chance explains; a draw and its opposite are one."""
    half = draws.shape[-1] // 2
    pairs = (draws[..., :half] + draws[..., half:]) / 2
    mean, error = pairs.mean(axis=-1), pairs.std(axis=-1, ddof=1) / half**0.5
    found: np.ndarray = np.sqrt(np.maximum(np.square(mean) - np.square(error), 0))
    return found
