"""Repeats side by side.

Products of a matrix with one vector leave all processors but one idle, which other repeats can have.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock
from types import ModuleType
from typing import Any

from tpc.evaluate.checkpoint import Kept
from tpc.evaluate.long_repeats import LongRepeats
from tpc.machine.memory import SURE, free_memory
from tpc.machine.precision import precision
from tpc.plan.plan import Plan

ROOM = 3e8  # bytes, as the plan has them, that the repeats of one time may take, if one does not take more


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


def compute(
    module: ModuleType,
    plan: Plan,
    given: Mapping[str, Any],
    seed: int,
    kept: Kept,
    progress: Callable[[int, int], None] | None,
    each: float,
    long: LongRepeats | None = None,
) -> None:
    """Adds the repeats that `kept` lacks, those after the first one (which compiles) side by side.

    They are added in their order; none is where that is no use.

    each: bytes that one takes. long: repeats that take long. `kept.running` must have been entered. Raises
    KeyboardInterrupt on Ctrl-C; what is being computed then ends by itself.
    """
    missing = [k for k in range(plan.repeats) if k not in kept]
    count = workers(plan, len(missing) - 1, each)
    if not missing or (count == 1 and long is None):
        return
    inputs, drawing, over = module.prepared(given), Lock(), Event()

    def evaluated(k: int, points: Any, wait: Callable[[Any], None]) -> Any:
        return module.evaluated(inputs, *points) if long is None else long.evaluated(k, points, wait)

    def unless_over(arrays: Any) -> None:
        import jax

        jax.block_until_ready(arrays)
        if over.is_set():
            raise KeyboardInterrupt

    def one(k: int) -> Any:
        with precision(plan.dtype):
            return computed(k)

    def computed(k: int) -> Any:
        import jax

        with drawing:  # it sets the filters of warnings, which threads share
            if over.is_set():
                return None
            points = module.draw(seed, k, plan.samples)
        return None if over.is_set() else jax.block_until_ready(evaluated(k, points, unless_over))

    pool = ThreadPoolExecutor(count)
    try:
        first, *others = missing
        own = {first} if count > 1 else set(missing)
        coming = dict[int, Future[Any]]()
        for k in missing:
            if k in own:
                points = module.draw(seed, k, plan.samples) if plan.sampled else None
                kept[k] = evaluated(k, points, kept.running.wait)
            else:
                kept[k] = kept.running.result(coming.pop(k))
            if k == first and count > 1:
                coming = {k: pool.submit(one, k) for k in others}
            if progress is not None:
                progress(len(kept), plan.repeats)
    finally:
        over.set()
        pool.shutdown(wait=False, cancel_futures=True)
