"""What repeats say of numbers, and whether smaller steps lead them to a limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

APART, SURE = 0.1, 6.0  # of the derivative, and standard errors: steps that differ by more have no limit
# what is left with half the step of numbers that tend to 0, at least as fast as the step does, and not slowly
VANISHES = 0.6


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

    @property
    def significant(self) -> np.ndarray:
        """How large the mean is beyond what chance explains."""
        found: np.ndarray = np.sqrt(np.maximum(np.square(self.mean) - np.square(self.stderr), 0))
        return found


def change(own: Repeated, halved: Repeated) -> Repeated:
    """What numbers change by where the step is halved; that is done in the first directions only."""
    some = own.values[:, : halved.values.shape[1]]
    return Repeated(some - halved.values, own.students)


def settled(
    own: Repeated, halved: Repeated, rounding: np.ndarray, less: Repeated | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The mean and its standard error, NaN where there is none to which smaller steps lead.

    halved: with half the step, in the first directions; what this changes is in the error. less: of the same
    repeats, what is to be taken off their numbers.
    """
    some = own.values[:, : halved.values.shape[1]]
    changed = change(own, halved)
    size = np.sqrt(np.square(some).mean(axis=(0, 1)))
    vanishes = np.abs(halved.mean) <= VANISHES * np.abs(some.mean(axis=(0, 1)))
    without = np.abs(changed.mean) > np.maximum(SURE * changed.stderr, APART * size) + rounding
    # of an error c t² three quarters go where the step is halved; what vanishes may be all error
    beyond = np.maximum(4 / 3 * changed.significant, np.where(vanishes, np.abs(own.mean), 0))
    lost = (without & ~vanishes) | ~np.isfinite(own.values).all(axis=(0, 1))
    each = own.values.mean(axis=1, keepdims=True)
    left = Repeated(each if less is None else each - less.values.mean(axis=1, keepdims=True), own.students)
    return np.where(lost, np.nan, left.mean), np.where(lost, np.nan, np.hypot(left.stderr, beyond))
