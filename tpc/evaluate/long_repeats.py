"""Repeats that take long, some rounds of their longest loop at a time, so that one knows how far they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from tpc.plan.plan import CoefficientsPlan, Plan, VectorsPlan

if TYPE_CHECKING:
    from tpc.evaluate.in_parts import Training
    from tpc.evaluate.sharding import Points

LONG = 20.0  # predicted seconds of a repeat from which on it is computed in parts
PARTS = 32  # of a repeat, at most

Rounds = Callable[[int, int], None]


@dataclass
class LongRepeats:
    """The repeats of a run that are still to be computed, in parts of a loop.

    Whether there are parts depends on the plan alone, so that a run which resumes does what it did before.
    """

    # the loop on given points (None: on coefficients)
    training_of: Callable[[Points | None], Training]
    # the rounds of all repeats
    total: int
    # called with the rounds done and all
    told: Rounds | None
    # by repeat
    done: dict[int, int] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)
    training: Training | None = None

    @classmethod
    def of(
        cls,
        training_of: Callable[[Points | None], Training],
        plan: Plan,
        count: int,
        told: Rounds | None,
    ) -> LongRepeats | None:
        """None for repeats that are short, or have no loop whose rounds come one after another."""
        if not isinstance(plan, VectorsPlan) or plan.seconds < LONG:
            return None
        loop = plan.structure.longest_loop()
        if loop is None or not (plan.sampled or isinstance(plan, CoefficientsPlan)):
            return None
        return cls(training_of, count * loop.greatest, told)

    def evaluated(
        self, k: int, points: Points | None, wait: Callable[[Any], None]
    ) -> tuple[dict[str, Any], Any]:
        """What the module's `limit` gives on the points of repeat k.

        The first one compiles, and no other may run beside it. wait: waits for arrays; what it raises ends
        the repeat.
        """
        if self.training is None:
            self.training = self.training_of(points)
        training = self.training if points is None else self.training.at(points)
        state, every = training.start(), -(-training.rounds // PARTS)
        while state.round < training.rounds:
            state = training.advance(state, min(training.rounds, state.round + every), keep=False)
            wait(state.carried)
            self.reached(k, state.round)
        return training.ended(state)

    def reached(self, k: int, rounds: int) -> None:
        with self.lock:
            self.done[k] = rounds
            if self.told is not None:
                self.told(sum(self.done.values()), self.total)
