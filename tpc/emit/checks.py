"""What an emitted module does to see whether its errors are right, as constants of its section `claims`."""

from __future__ import annotations

import math

from tpc.core.program import Program
from tpc.hilbert.infinite import without_error
from tpc.hilbert.plan import Plan, total_rounds
from tpc.hilbert.tails import heavy_and_edged

CHEAP = 0.2                                        # predicted seconds of a run below which time is no matter
COMPILED = 2.0                                     # and below which evaluating half the points as all of them beats compiling for half
HALVED, HALVED_CHEAPLY = 2, 4                      # repeats whose halves are evaluated
PASSES, PASSES_CHEAPLY = 2, 64                     # integrands that are looked at
LEAST, MOST = 512, 16_384                          # points that integrands are looked at
HISTORY = 1e9                                      # bytes that all rounds of loops may keep for that


def checks(program: Program, plan: Plan) -> list[str]:
    """The lines that define them. The outputs named are those whose integrands are looked at."""
    heavy, edged = heavy_and_edged(program)
    seconds = plan.seconds * plan.repeats
    halved = min(plan.repeats, HALVED_CHEAPLY if seconds < CHEAP else max(1, min(HALVED, plan.repeats // 4)))
    a_point = plan.memory / plan.samples * (2 + total_rounds(program))
    room = min(MOST if seconds < CHEAP else plan.samples / 4, HISTORY / max(a_point, 1))
    most = 1 << int(math.log2(max(1, room)))
    pulled = most if most >= max(LEAST, 2 * plan.gaussians) else 0
    passes = PASSES_CHEAPLY if seconds < CHEAP else PASSES
    return [f"HALVED, PADDED, PULLED, PASSES = {halved}, {seconds < COMPILED}, {pulled}, {passes}    # of `checked`",
            f"HEAVY, EDGED = {heavy!r}, {edged!r}    # outputs whose integrands may have long tails; kinks or jumps",
            f"WILD = {without_error(program)!r}    # outputs of which E f² is infinite"]
