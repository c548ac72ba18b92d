"""Plans by covariances, where outputs follow from them."""

from __future__ import annotations

from dataclasses import replace

from tpc.core.expr import Ref
from tpc.core.printer import as_written
from tpc.core.program import Program
from tpc.diagnostics.catalogue.words import counted
from tpc.expand.arrange import without_duplicates
from tpc.gram import (
    Closed,
    CovarianceProgram,
    Integral,
    NotGramError,
    TooDearError,
    TooManyGaussiansError,
    covariance_program,
)
from tpc.gram.alike import runs
from tpc.gram.cuts import quadrature_entries, seconds_of_compiling
from tpc.gram.in_coefficients import in_coefficients
from tpc.plan.cost import PER_ENTRY, SECONDS, bytes_of, shown_seconds
from tpc.plan.gaussians import lay_out
from tpc.plan.options import DType, Options
from tpc.plan.plan import RULE, RULES, CovariancesPlan
from tpc.plan.plan_points import GRID
from tpc.plan.refusal import Refusal, UnrepresentableError
from tpc.plan.rounds import rounds_in_order
from tpc.plan.space import Linear

FINDING, QUICK = 8, 1  # seconds that finding covariances may take unasked, and where points do as well
# that a run, or XLA, may be predicted to take where covariances are asked for
LONGEST, COMPILING = 1e5, 1800.0
# seconds that XLA takes for an array, and that it may take for all of loops that are written out, unasked
A_LINE, PATIENCE = 0.06, 40
MOST_ROUNDS = 256  # of loops that covariances are tried on unasked: they are written out


def try_covariances(program: Program, options: Options) -> CovariancesPlan | Refusal:
    """The plan by covariances, if it is asked for or the best one. Raises UnrepresentableError."""
    if tables := program.tables:
        why = f"`{as_written(Ref(min(tables)))}` is a table, whose limit takes an independent copy"
        if options.method == "gram":
            raise UnrepresentableError(why)
        return Refusal()
    if options.method == "gram":
        try:
            plan = plan_covariances(program, options.precision, None)
        except NotGramError as error:
            raise UnrepresentableError(str(error)) from None
        too_long(plan)
        return plan
    if options.method != "auto" or Linear().refuses(program) is None:
        return Refusal()
    rounds = rounds_in_order(program)
    if rounds > MOST_ROUNDS:
        return Refusal(f"gram was not tried, which would write out the {rounds:,} rounds of its loops")
    few = rounds > 1 and _few_gaussians(program)
    try:
        plan = plan_covariances(program, options.precision, QUICK if few else FINDING)
    except TooManyGaussiansError as error:
        return Refusal(f"gram would need too many dimensions of quadrature: {error}")
    except TooDearError as error:
        return Refusal(f"gram was given up: {error}")
    except NotGramError:
        return Refusal()
    if few and not plan.exact:
        return Refusal()
    in_lines = plan.covariances.moved or bool(program.factored)
    if in_lines and (compiling := seconds_in_lines(plan.covariances)) > PATIENCE:
        return Refusal(f"gram would take {shown_seconds(compiling)} to compile")
    taken = plan.seconds + seconds_of_compiling(plan.covariances)
    if not plan.exact and taken > SECONDS:
        return Refusal(f"gram would take {shown_seconds(taken)}, {_integrals(plan)}")
    return plan


def plan_covariances(program: Program, dtype: DType, seconds: float | None) -> CovariancesPlan:
    """seconds: what finding the covariances may take, None for as long as it takes. Raises NotGramError."""
    own, outputs = in_coefficients(program), {output.ref.name for output in program.outputs}
    # a product that is written twice is one Gaussian, which an integral has no two dimensions for
    once = replace(own, body=without_duplicates(own.body, outputs))
    covariances = covariance_program(once, seconds)
    entries = covariances.entries
    work = RULES * quadrature_entries(covariances, RULE) if covariances.integrals else entries
    return CovariancesPlan(
        program=program,
        covariances=covariances,
        dtype=dtype,
        why=_described(covariances),
        seconds=work * PER_ENTRY,
        memory=3.0 * entries * bytes_of(dtype),
    )


def seconds_in_lines(covariances: CovarianceProgram) -> float:
    """What XLA is predicted to take for the arrays of loops that are written out, but for those in loops."""
    rolled = sum((len(run.names) - 2) * run.period for run in runs(covariances.definitions))
    return A_LINE * (len(covariances.definitions) - rolled)


def too_long(plan: CovariancesPlan) -> None:
    """Raises UnrepresentableError if quadrature would take out of all proportion."""
    compiling = seconds_of_compiling(plan.covariances)
    if plan.covariances.integrals and (plan.seconds > LONGEST or compiling > COMPILING):
        raise UnrepresentableError(
            f"{_integrals(plan)}, over {_dimensions(plan)} Gaussians at most, would take "
            f"{shown_seconds(plan.seconds)} to evaluate, of {plan.covariances.entries:,} entries of arrays "
            f"in all, and {shown_seconds(compiling)} to compile"
        )


def _integrals(plan: CovariancesPlan) -> str:
    return f"{counted(plan.covariances.integrals, 'expectation', 'expectations')} by quadrature"


def _dimensions(plan: CovariancesPlan) -> int:
    formulas = [piece.formula for d in plan.covariances.definitions for piece in d.pieces]
    return max((len(x.variables) for x in formulas if isinstance(x, Integral)), default=0)


def _described(covariances: CovarianceProgram) -> str:
    closed = sum(isinstance(p.formula, Closed) for d in covariances.definitions for p in d.pieces)
    arrays = counted(len(covariances.definitions), "array", "arrays")
    why = f"all outputs follow from covariances, in {arrays}"
    if closed:
        why += f" with {closed} Gaussian expectation{'s' * (closed > 1)} in closed form"
    if covariances.integrals:
        why += f"{' and' if closed else ' with'} {covariances.integrals} by quadrature"
    return why


def _few_gaussians(program: Program) -> bool:
    """Whether a training is of so few Gaussians that points for all at once are cheaper.

    Cheaper than an integral for every moment of each round.
    """
    return 0 < lay_out(program, {}, None).total <= max(GRID)
