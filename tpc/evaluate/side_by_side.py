"""Repeats side by side.

Products of a matrix with one vector leave all processors but one idle, which other repeats can have.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event, Lock
from types import ModuleType
from typing import Any
from weakref import WeakSet

from tpc.evaluate.checkpoint import EvaluationCheckpoint
from tpc.evaluate.long_repeats import LongRepeats
from tpc.machine.memory import SURE, free_memory
from tpc.machine.precision import precision
from tpc.plan.plan import Plan

ROOM = 2e9  # bytes, as the plan has them, that the repeats of one time may take, if one does not take more

# modules of which a repeat has been computed, so that nothing is left to compile
_COMPILED: WeakSet[ModuleType] = WeakSet()


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers(plan: Plan, missing: int, each: float) -> int:
    """How many repeats are computed at a time: as many as there are processors, and room for, on a CPU.

    1 where points are not random.

    each: bytes that one takes.
    """
    import jax

    if not plan.sampled or jax.default_backend() != "cpu":
        return 1
    return max(
        1,
        min(
            processors(), missing, int(ROOM // max(plan.memory, 1)), int(SURE * free_memory() // max(each, 1))
        ),
    )


@dataclass
class Repeats:
    """How the repeats of a run are computed, in the main thread or in others."""

    module: ModuleType
    plan: Plan
    inputs: Mapping[str, Any]
    seed: int
    long: LongRepeats | None
    # held while points are drawn, which sets the filters of warnings, which threads share
    drawing: Lock = field(default_factory=Lock)
    # that nobody waits for others
    over: Event = field(default_factory=Event)

    def here(self, k: int, wait: Callable[[Any], None]) -> Any:
        """Repeat k. wait: waits for arrays of which more is to be made."""
        with self.drawing:
            drawn = self.plan.sampled and not self.over.is_set()
            points = self.module.draw(self.seed, k, self.plan.samples) if drawn else None
        if self.over.is_set():
            return None
        if self.long is not None:
            return self.long.evaluated(k, points, wait)
        return self.module.evaluated(self.inputs, *(points or ()))

    def apart(self, k: int) -> Any:
        """Repeat k, computed to its end in a thread of its own."""
        import jax

        with precision(self.plan.dtype):
            return jax.block_until_ready(self.here(k, self._unless_over))

    def _unless_over(self, arrays: Any) -> None:
        import jax

        jax.block_until_ready(arrays)
        if self.over.is_set():
            raise KeyboardInterrupt


def compute(
    module: ModuleType,
    plan: Plan,
    given: Mapping[str, Any],
    seed: int,
    kept: EvaluationCheckpoint,
    progress: Callable[[int, int], None] | None,
    each: float,
    long: LongRepeats | None = None,
) -> None:
    """Adds the repeats that `kept` lacks, side by side, but for the first one of a module, which compiles.

    They are added in their order; none is where that is no use.

    each: bytes that one takes. long: repeats that take long. `kept.running` must have been entered. Raises
    KeyboardInterrupt on Ctrl-C; what is being computed then ends by itself.
    """
    missing = [k for k in range(plan.repeats) if k not in kept]
    count = workers(plan, len(missing) - 1, each)
    if not missing or (count == 1 and long is None):
        return
    repeats = Repeats(module, plan, module.prepared(given), seed, long)
    pool = ThreadPoolExecutor(count)
    coming = dict[int, Future[Any]]()
    apart = missing if long is None and module in _COMPILED else missing[1:]
    try:
        for k in missing:
            if count > 1 and k == apart[0]:
                coming = {other: pool.submit(repeats.apart, other) for other in apart}
            waited = coming.pop(k, None)
            kept[k] = repeats.here(k, kept.running.wait) if waited is None else kept.running.result(waited)
            if progress is not None:
                progress(len(kept), plan.repeats)
        if long is None:
            _COMPILED.add(module)
    finally:
        repeats.over.set()
        pool.shutdown(wait=False, cancel_futures=True)
