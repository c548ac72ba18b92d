"""What a repeat of a run takes, by the compiler's account, and as many points as there is memory for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from tpc.diagnostics.catalogue.running import memory
from tpc.machine.interrupt import Interruptible
from tpc.machine.memory import SURE, account, free_of_devices, require_memory
from tpc.plan.plan import ChaosPlan, CoefficientsPlan, Plan, SampledPlan

DRAWN = 5  # arrays of all points that are there while they are drawn
HOPELESS = 4  # times the free memory: predicted of a plan, so much is too much whatever the compiler says
BESIDES = 1e8  # bytes that checks of errors take: many small computations, each compiled
A_LINE = 8e-4  # seconds that XLA takes for a line of what it compiles
A_REPEAT = 2000.0  # bytes that a repeat takes when it is done, or waits for its turn
FEWEST = 512  # points that a plan is brought down to


@dataclass(frozen=True, slots=True)
class Fitted:
    """A plan for the memory that there is."""

    # with as many points as fit
    plan: Plan
    # bytes that one repeat takes
    each: float
    # what was done to the plan, if anything
    note: str | None = None


def of_repeat(
    module: ModuleType,
    plan: Plan,
    given: Mapping[str, Any],
    compiling: Callable[[float], None] | None = None,
) -> float:
    """Bytes that one evaluation takes.

    What the compiled `limit` says of itself, and the points as NumPy draws them, in double precision.

    It is compiled for that, and need not be again. compiling: called before, with the predicted seconds,
    which are fewer if it is kept from an earlier run. Where what is evaluated is no single function of that
    kind (panels), the plan's prediction.
    """
    if plan.shape is None:
        return plan.memory
    shapes = _shapes(module, plan.shape)
    drawn = 8.0 * plan.gaussians * plan.samples if plan.sampled else 0.0
    lowered = module.compiled.lower(module.prepared(given), *shapes)
    if compiling is not None:
        compiling(A_LINE * lowered.as_text().count("\n"))
    return max(DRAWN * drawn, drawn + account(lowered.compile()))


def of_checks(plan: Plan, each: float) -> float:
    """Bytes that checks of errors take besides repeats of `each`.

    That of rounding is one on a few points, which has tables in proportion to those of a repeat.
    """
    from tpc.emit.error_checks import REPLAYED_TABLES

    if not plan.sampled:
        return 0.0
    few = max(REPLAYED_TABLES, 2 * plan.gaussians)
    share = min(1.0, few / plan.samples) ** growth(plan) if plan.program.tables else 0.0
    return BESIDES + share * each


def _shapes(module: ModuleType, shape: tuple[int, int]) -> tuple[Any, Any]:
    """The shapes of the points and weights that `limit` is given."""
    import jax

    return jax.ShapeDtypeStruct(shape, module.DTYPE), jax.ShapeDtypeStruct(shape[-1:], module.DTYPE)


def fit_in_memory(
    module: ModuleType,
    plan: Plan,
    given: Mapping[str, Any],
    program: str,
    *,
    fixed: bool,
    compiling: Callable[[float], None] | None = None,
) -> Fitted:
    """The plan with half the points, and half again, until a repeat fits into what is free.

    fixed: how many there are was asked for.

    Raises TpcError (TP604) if that is not to be, with the number that would fit, and KeyboardInterrupt.
    """
    require_memory(plan.repeats * A_REPEAT, program, remedy="use fewer --repeats", of_program=True)
    running = Interruptible()
    first, free = plan, SURE * free_of_devices()
    if plan.memory > HOPELESS * free:  # not to be compiled, to learn that
        fewer = None if fixed else _fewer(plan, plan.memory / HOPELESS, free)
        if fewer is None:
            require_memory(
                plan.memory, program, free=free, remedy=_remedy(plan, plan.memory, free), of_program=True
            )
        else:
            plan = fewer
    with running:
        each = of_repeat(module, plan, given, compiling)
        while each > free and not fixed and (fewer := _fewer(plan, each, free)) is not None:
            plan = fewer
            each = of_repeat(module, plan, given, compiling)
            free = SURE * free_of_devices()
    running.check()
    require_memory(each, program, free=free, remedy=_remedy(plan, each, free), of_program=True)
    if plan is first:
        return Fitted(plan, each)
    return Fitted(
        plan,
        each,
        f"{plan.samples} points instead of {first.samples}, for which {memory(free)} of free memory are too "
        "little",
    )


def _fewer(plan: Plan, each: float, free: float) -> SampledPlan | None:
    """The plan to try next where `each` is too much.

    Its points a power of 2 fewer, and no fewer than what bases have room for; None if there is none.
    """
    if not isinstance(plan, SampledPlan):
        return None
    wanted, power = plan.samples, growth(plan)
    while (wanted / plan.samples) ** power * each > free and wanted // 2 >= max(FEWEST, plan.gaussians):
        wanted //= 2
    if wanted == plan.samples:
        return None
    return with_points(plan, wanted)


def with_points(plan: SampledPlan, samples: int) -> SampledPlan:
    """The plan with so many points, and what a repeat then takes."""
    share = (samples / plan.samples) ** growth(plan)
    return replace(plan, samples=samples, seconds=plan.seconds * share, memory=plan.memory * share)


def growth(plan: Plan) -> int:
    """The power of the number of points with which memory and time grow: tables have the square of it."""
    return 2 if plan.program.tables else 1


def _remedy(plan: Plan, each: float, free: float) -> str | None:
    if plan.sampled:
        fits = int(plan.samples * (free / each) ** (1 / growth(plan))) if each > free else plan.samples
        if fits >= max(2, plan.gaussians):
            return f"--samples {1 << (fits.bit_length() - 1)} would fit"
        return "use fewer steps, or smaller batches"
    return (
        "use fewer steps, smaller batches, or --method nodes, whose points may be few"
        if isinstance(plan, CoefficientsPlan | ChaosPlan)
        else None
    )
