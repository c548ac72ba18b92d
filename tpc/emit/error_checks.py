"""What an emitted module does to see whether its errors are right, as constants of its section `claims`."""

from __future__ import annotations

import math

from tpc.core.expr import Add, Expr, Mul, Number, walk
from tpc.core.program import Product, instructions
from tpc.emit.assemble import Setting
from tpc.plan.infinite import without_error
from tpc.plan.plan import CovariancesPlan, Plan, SampledPlan
from tpc.plan.rounds import rounds_in_order, total_rounds
from tpc.plan.tails import looks

CHEAP = 0.2  # predicted seconds of a run below which time is no matter
COMPILED = 2.0  # that evaluating halves of the points as all of them may take, which saves compiling for half
# repeats whose halves are evaluated; where time is no matter half of all, but so many at least
HALVED, HALVED_CHEAPLY = 2, 4
PASSES, PASSES_CHEAPLY = 2, 64  # integrands that are looked at
LEAST, MOST = 512, 16_384  # points that integrands are looked at
LARGE = 400  # instructions: what is made of so many takes minutes and gigabytes to compile once more
# points on which rounding is looked at: there is no time to compile well for that, and tables take the square
REPLAYED, REPLAYED_TABLES = 4096, 256
REPLAYED_LONG = 512  # the same of runs that take longer than compiling for another number of points
HISTORY = 1e9  # bytes that all rounds of loops may keep for that


def may_cancel(plan: Plan) -> bool:
    """Whether a plan without repeats looks at what rounding does.

    It does where something is subtracted, in runs that are short and not round by round.
    """
    if not (plan.exact or isinstance(plan, CovariancesPlan)) or plan.seconds > COMPILED:
        return False
    if rounds_in_order(plan.program) > 1:
        return False
    found = [op for op, _ in instructions(plan.program.body)]
    return len(found) <= LARGE and any(_subtracts(op.phi) for op in found if not isinstance(op, Product))


def run_sections(plan: Plan, cancels: bool) -> list[str]:
    """The sections that make numbers of what a plan without repeats evaluates."""
    own = "exact" if plan.exact else "rules compared"
    return [own, "rounding", "and rounding"] if cancels else [own, "once" if plan.exact else "all rules"]


def evaluations(plan: Plan) -> Setting:
    """How often a plan without repeats evaluates its outputs."""
    return Setting({"EVALUATIONS": str(plan.evaluations)})


def _subtracts(x: Expr) -> bool:
    return any(isinstance(node, Add) and any(map(_is_negative, node.terms)) for node in walk(x))


def _is_negative(term: Expr) -> bool:
    number = term.factors[0] if isinstance(term, Mul) else term
    return isinstance(number, Number) and number.value < 0


def checks(plan: SampledPlan) -> list[Setting]:
    """What the helper `checked` does. The outputs named are those whose integrands are looked at."""
    program = plan.program
    wanted = looks(program)
    seconds = plan.seconds * plan.repeats
    few = (
        max(HALVED_CHEAPLY, plan.repeats // 2) if seconds < CHEAP else max(1, min(HALVED, plan.repeats // 4))
    )
    halved = min(plan.repeats, few)
    a_point = plan.memory / plan.samples * (2 + total_rounds(program))
    fit = HISTORY / max(a_point, 1)
    if program.tables:  # which take the square
        fit = math.sqrt(fit * plan.samples)
    # tables on many more points than a repeat's take the square of the time
    quick = seconds < CHEAP and not program.tables
    room = min(MOST if quick else plan.samples / 4, fit)
    most = 1 << int(math.log2(max(1, room)))
    small = len(list(instructions(program.body))) <= LARGE
    pulled = most if small and most >= max(LEAST, 2 * plan.gaussians) else 0
    passes = PASSES_CHEAPLY if quick else PASSES
    # half the points as all of them take as long as a half more, each of the two halves
    padded = halved * plan.seconds < COMPILED or not small
    replayed = REPLAYED if plan.seconds < COMPILED else REPLAYED_LONG
    of_checked = {
        "HALVED": str(halved),
        "PADDED": str(padded),
        "PULLED": str(pulled),
        "PASSES": str(passes),
        "REPLAYED": str((REPLAYED_TABLES if program.tables else replayed) if small else 0),
    }
    return [
        Setting(of_checked, "of `checked`"),
        Setting(
            {"HEAVY": repr(wanted.heavy), "EDGED": repr(wanted.edged), "UNROUNDED": repr(wanted.unrounded)},
            "outputs whose integrands may have long tails; kinks or jumps; of which rounding is no matter",
        ),
        Setting({"WILD": repr(without_error(program))}, "outputs of which E f² is infinite"),
    ]
