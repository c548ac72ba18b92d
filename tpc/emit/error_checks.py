"""What an emitted module does to see whether its errors are right, as constants of its section `claims`."""

from __future__ import annotations

import math

from tpc.core.expr import Add, Expr, Mul, Number, walk
from tpc.core.program import MatMul, instructions
from tpc.plan.infinite import without_error
from tpc.plan.plan import CovariancesPlan, Plan, SampledPlan
from tpc.plan.rounds import rounds_in_order, total_rounds
from tpc.plan.tails import heavy_and_edged

CHEAP = 0.2  # predicted seconds of a run below which time is no matter
COMPILED = 2.0  # and below which evaluating half the points as all of them beats compiling for half
# repeats whose halves are evaluated; where time is no matter half of all, but so many at least
HALVED, HALVED_CHEAPLY = 2, 4
PASSES, PASSES_CHEAPLY = 2, 64  # integrands that are looked at
LEAST, MOST = 512, 16_384  # points that integrands are looked at
LARGE = 400  # instructions: what is made of so many takes minutes and gigabytes to compile once more
HISTORY = 1e9  # bytes that all rounds of loops may keep for that
NAMES = (
    "rounding",
    "with_rounding",
    "EVALUATIONS",
    "replayed",
    "replays",
    "replay",
    "operation",
    "coarsened",
    "size_of",
    "ROUNDED",
    "COARSER",
    "SAFETY",
    "ENOUGH",
    "MOST_STEPS",
    "SHOWN",
)


def may_cancel(plan: Plan) -> bool:
    """Whether a plan without repeats looks at what rounding does: where something is subtracted, in runs that
    are short and not round by round."""
    if not (plan.exact or isinstance(plan, CovariancesPlan)) or plan.seconds > COMPILED:
        return False
    if rounds_in_order(plan.program) > 1:
        return False
    found = [op for op, _ in instructions(plan.program.body)]
    return len(found) <= LARGE and any(_subtracts(op.phi) for op in found if not isinstance(op, MatMul))


def run_sections(plan: Plan, cancels: bool) -> list[str]:
    """The sections that make numbers of what a plan without repeats evaluates."""
    own = "exact" if plan.exact else "rules compared"
    return [own, "rounding", "and rounding"] if cancels else [own, "once" if plan.exact else "all rules"]


def evaluations_line(plan: Plan) -> str:
    return f"EVALUATIONS = {plan.evaluations}"


def _subtracts(x: Expr) -> bool:
    return any(isinstance(node, Add) and any(map(_is_negative, node.terms)) for node in walk(x))


def _is_negative(term: Expr) -> bool:
    number = term.factors[0] if isinstance(term, Mul) else term
    return isinstance(number, Number) and number.value < 0


def checks(plan: SampledPlan) -> list[str]:
    """The lines that define them. The outputs named are those whose integrands are looked at."""
    program = plan.program
    heavy, edged = heavy_and_edged(program)
    seconds = plan.seconds * plan.repeats
    few = (
        max(HALVED_CHEAPLY, plan.repeats // 2) if seconds < CHEAP else max(1, min(HALVED, plan.repeats // 4))
    )
    halved = min(plan.repeats, few)
    a_point = plan.memory / plan.samples * (2 + total_rounds(program))
    room = min(MOST if seconds < CHEAP else plan.samples / 4, HISTORY / max(a_point, 1))
    most = 1 << int(math.log2(max(1, room)))
    small = len(list(instructions(program.body))) <= LARGE
    pulled = most if small and most >= max(LEAST, 2 * plan.gaussians) else 0
    passes = PASSES_CHEAPLY if seconds < CHEAP else PASSES
    padded = seconds < COMPILED or not small
    return [
        f"HALVED, PADDED, PULLED, PASSES, REPLAYED = {halved}, {padded}, {pulled}, {passes}, {small}    # of "
        "`checked`",
        f"HEAVY, EDGED = {heavy!r}, {edged!r}    # outputs whose integrands may have long tails; kinks or "
        "jumps",
        f"WILD = {without_error(program)!r}    # outputs of which E f² is infinite",
    ]
