"""The plan of a program: the cheapest representation that is exact, else points."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from tpc.core.program import Program
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.gram import NotGramError
from tpc.plan.chaos import find_rule
from tpc.plan.cost import SECONDS, cost_of_points
from tpc.plan.degrees import TooMuchError
from tpc.plan.draft import Draft
from tpc.plan.matrix_members import taken_apart
from tpc.plan.options import Options
from tpc.plan.plan import ChaosPlan, CoefficientsPlan, CovariancesPlan, Plan, PointsPlan, VectorsPlan
from tpc.plan.plan_covariances import plan_covariances, try_covariances
from tpc.plan.plan_points import plan_points
from tpc.plan.refusal import Refusal, UnrepresentableError
from tpc.plan.sectors import separate
from tpc.plan.space import Chaos, Linear
from tpc.reassociate import reassociate

LONG = 0.05  # seconds of a linear plan beyond which covariances are tried as well


def make_plan(program: Program, options: Options) -> Plan:
    """The plan of a program without powers of n.

    Raises TpcError: a method that cannot represent the program (TP601), a precision that is not for its plan
    (TP602).
    """
    try:
        plan = _plan(program, options)
    except UnrepresentableError as error:
        wrong = catalogue.running.not_representable(options.method, str(error))
        raise TpcError([wrong], program.name, of_program=True) from None
    if not options.packed:
        return plan
    if not isinstance(plan, CoefficientsPlan):
        why = f"bfloat16 is for the coefficients of method linear, and the plan is {plan.method}"
        raise TpcError([catalogue.running.bad_option("--dtype", why)], program.name, of_program=True)
    return replace(plan, packed=True)


def _plan(program: Program, options: Options) -> Plan:
    """Raises UnrepresentableError."""
    covariances = try_covariances(program, options)
    if isinstance(covariances, CovariancesPlan):
        return covariances
    apart = taken_apart(program)
    as_written = _roomy(apart, options)
    plan = _in_order(as_written, apart, options)
    kept = plan is as_written and isinstance(plan, CoefficientsPlan)  # another order is as cheap as it gets
    if options.method == "auto" and kept and plan.seconds > LONG:
        with suppress(NotGramError):
            other = plan_covariances(program, options.precision, SECONDS)
            if other.exact and other.seconds < plan.seconds:
                return other
    if covariances.reason and not plan.exact:
        plan = replace(plan, why=f"{plan.why}; {covariances.reason}")
    return plan


def _in_order(plan: VectorsPlan, program: Program, options: Options) -> VectorsPlan:
    """The plan with the program's sums in the order that takes the fewest operations.

    The order is for vectors of as many numbers as the plan has in one; it is left if it takes more Gaussians.
    Raises UnrepresentableError.
    """
    if isinstance(plan, ChaosPlan) or program.tables or program.factored:
        return plan
    reordered = reassociate(program, plan.samples)
    if reordered is program:
        return plan
    reason = plan.reason if isinstance(plan, PointsPlan) else ""
    again = _roomy(reordered, replace(options, method=plan.method), reason)
    return again if again.gaussians <= plan.gaussians else plan


def _roomy(program: Program, options: Options, reason: str = "asked for") -> VectorsPlan:
    """By vectors, with no more directions of a matrix than there are dimensions of a sample."""
    draft = Draft.of(program, options.max_rank, joint=options.joint)
    plan = _by_vectors(draft, options, reason)
    crowded = max(draft.layout.capacity.values(), default=0) > plan.samples
    if options.max_rank is not None or not crowded or plan.exact:
        return plan
    options = replace(options, samples=options.samples or plan.samples)
    return _by_vectors(Draft.of(program, plan.samples, joint=options.joint), options, reason)


def _by_vectors(draft: Draft, options: Options, reason: str) -> VectorsPlan:
    """reason: why points are taken, if another method than "auto" is asked for.

    Raises UnrepresentableError.
    """
    nonlinear = Linear().refuses(draft.program)
    if options.method in ("auto", "linear"):
        if nonlinear is None:
            return _plan_coefficients(draft, options)
        if options.method == "linear":
            raise UnrepresentableError(nonlinear)
    if options.method in ("auto", "chaos"):
        chaos = _plan_chaos(draft, options)
        if isinstance(chaos, ChaosPlan):
            return chaos
        reason = f"{nonlinear}{chaos.reason}"
    return plan_points(draft, options, reason)


def _plan_coefficients(draft: Draft, options: Options) -> CoefficientsPlan:
    dtype, size = options.precision, draft.layout.total + 1
    seconds, memory = cost_of_points(draft.layout, draft.vectors, size, dtype)
    return CoefficientsPlan(
        program=draft.program,
        structure=draft.structure,
        layout=draft.layout,
        dtype=dtype,
        why="the program is linear in its vectors, so coefficients on Gaussians represent it",
        seconds=seconds,
        memory=memory,
    )


def _plan_chaos(draft: Draft, options: Options) -> ChaosPlan | Refusal:
    """The exact plan for polynomials, or what to add to the reason for another one.

    Raises UnrepresentableError if it is asked for.
    """
    program, dtype, forced = draft.program, options.precision, options.method == "chaos"
    sectors = separate(program)
    refused = Chaos(sectors).refuses(program)
    if refused is not None:
        return _refused(refused, "", forced)
    try:
        rule = find_rule(program, draft.layout, sectors, draft.structure.confined, draft.kept, dtype)
    except TooMuchError as error:
        return _refused(f"it would need {error}", f"; chaos would need {error}: nodes instead", forced)
    over = rule.over_budget(dtype)
    if over is not None and not forced:
        return Refusal(f"; chaos would need {over}: nodes instead")
    return ChaosPlan(
        program=program,
        structure=draft.structure,
        layout=draft.layout,
        dtype=dtype,
        why=(
            f"the vectors are polynomials of Gaussians, and {rule.shown} integrate all that occurs, of "
            f"degree {rule.degree} at most"
        ),
        seconds=rule.seconds,
        memory=rule.memory,
        sectors=sectors,
        rule=rule.nodes,
    )


def _refused(error: str, reason: str, forced: bool) -> Refusal:
    if forced:
        raise UnrepresentableError(error)
    return Refusal(reason)
