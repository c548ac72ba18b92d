"""How many points, repeats and directions corrections are computed with, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tpc.core.program import Program
from tpc.corrections.bends import has_moving_bends
from tpc.corrections.by_points import Steps
from tpc.corrections.differences import REMEDY, bytes_of_changes
from tpc.corrections.started import StartedProgram
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.emit.emit import emit
from tpc.machine.memory import require_memory
from tpc.pipeline import compile_program, plan_limit
from tpc.plan.options import Options
from tpc.plan.plan import SampledPlan, VectorsPlan

if TYPE_CHECKING:
    from tpc.evaluate.evaluator import Evaluator

# points: a power of two of so many for each Gaussian
PER_GAUSSIAN, LEAST, LEAST_STARTED, LEAST_ROUGH = 16, 256, 1024, 2048
LEAST_PER_GAUSSIAN, FEWEST_POINTS = 4, 16  # points: twice as many as Gaussians in each half of them
DIRECTIONS, DIRECTIONS_ROUGH, FEW, FEWEST = 256, 512, 16, 4  # on the points of one repeat
HEAVY = 1024  # points and directions where functions grow fast, so that heavy tails are seen
REPEATS = (16, 8, 4)  # in turn, until `FEW` directions take a fair time
SECONDS, LEAST_SECONDS = 20.0, 2e-4  # predicted: a fair time; of one evaluation at least
# measured: seconds of an evaluation besides its products, and of compiling, without a start and with one
OVERHEAD, COMPILING, COMPILING_STARTED = 4e-5, 1.0, 6.0
# given a start: times the seconds of a plan, and turns of solving for it, to begin with and for each scalar
MORE, TURNS_OF_NONE, TURNS_OF_EACH = 2.0, 4.0, 0.5


@dataclass(frozen=True)
class Request:
    """What is asked for; None for what suits."""

    seed: int = 0
    # random directions on the points of each repeat
    signs: int | None = None
    samples: int | None = None
    repeats: int | None = None
    # "auto" is exact where the program is linear in its vectors, else "nodes"
    method: str = "auto"
    covariances: bool = False
    # what scalars that are random in the limit are, as of `tpc run`
    initial: Any = None


@dataclass(frozen=True)
class Effort:
    """Derivatives on the points of an evaluator."""

    evaluator: Evaluator
    directions: int
    steps: Steps
    # whether functions bend at places that move with the weights
    rough: bool
    # predicted seconds of one evaluation, with those in which its start is solved for
    each: float

    @property
    def seconds(self) -> float:
        """Predicted of all directions of all repeats."""
        plan = self.evaluator.plan
        compiling = COMPILING_STARTED if isinstance(plan, SampledPlan) and plan.fine else COMPILING
        return plan.repeats * self.steps.evaluations(self.directions) * self.each + compiling

    @property
    def memory(self) -> float:
        """Bytes, predicted before anything is compiled: of one evaluation, and all directions."""
        plan, widths = self.evaluator.plan, len(self.evaluator.program.widths)
        return plan.memory + bytes_of_changes(plan.samples, self.steps.count(self.directions), widths)

    @staticmethod
    def of(program: Program, request: Request, start: StartedProgram | None = None) -> Effort:
        """How many of all suit a program. start: what is its start, if it has one.

        Raises TpcError: too few points (TP602), too little memory (TP604), and as `compile_program`.
        """
        rough, started = has_moving_bends(program), start is not None
        least = LEAST_ROUGH if rough else LEAST_STARTED if started else LEAST
        evaluator = _on_points(program, request, least, started=started)
        plan = evaluator.plan
        assert isinstance(plan, SampledPlan)
        own = LEAST_PER_GAUSSIAN * plan.gaussians
        if plan.samples < max(FEWEST_POINTS, own):
            why = f"must be at least {FEWEST_POINTS}, and {own}, four times the Gaussians, not {plan.samples}"
            raise TpcError([catalogue.running.bad_option("--samples", why)], program.name, of_program=True)
        own_seconds = _seconds_of_one(plan, start)
        each = max(own_seconds, LEAST_SECONDS) * (4 if rough else 2)
        repeats = request.repeats or next((r for r in REPEATS if r * FEW * each <= SECONDS), REPEATS[-1])
        most = HEAVY if evaluator.module.HEAVY else DIRECTIONS_ROUGH if rough else DIRECTIONS
        widths = len(program.widths)
        complete = plan.samples << (widths - 1).bit_length()
        fair = max(FEWEST, int(SECONDS / (each * repeats)))
        directions = min(complete, request.signs or min(most * widths, fair))
        plan = replace(plan, repeats=repeats, by_width=widths > 1, fine=started)
        source = emit(plan) if plan.by_width or started else evaluator.source
        steps = Steps.of(plan.gaussians, directions, rough=rough, started=started)
        found = Effort(replace(evaluator, plan=plan, source=source), directions, steps, rough, own_seconds)
        require_memory(found.memory, program.name, remedy=REMEDY, of_program=True)
        return found

    def __str__(self) -> str:
        plan = self.evaluator.plan
        edges = ", with steps across the kinks of its functions" if self.rough else ""
        return (
            f"nodes, derivatives in the weights of {plan.samples} points of {plan.gaussians} "
            f"Gaussian{'s' * (plan.gaussians != 1)}, "
            f"{self.directions} directions at each of {plan.repeats} repeats{edges}"
        )


def _seconds_of_one(plan: SampledPlan, start: StartedProgram | None) -> float:
    """Predicted of one evaluation; given a start, of those in which that is solved for, too."""
    if start is None:
        return plan.seconds + OVERHEAD
    alone = plan_limit(start.alone, Options(method="nodes", samples=plan.samples))
    turns = TURNS_OF_NONE + TURNS_OF_EACH * start.initial.size
    return MORE * (plan.seconds + turns * alone.seconds) + (1 + turns) * OVERHEAD


def _on_points(program: Program, request: Request, points: int, *, started: bool) -> Evaluator:
    """The evaluator of the limit on sampled points, so many at least if none are asked for."""
    samples, repeats = request.samples, request.repeats or REPEATS[0]
    # rounds side by side are of one sample where outputs are held against each other, or against a start; and
    # where one is made from several rounds, as its second derivative has the products of their first ones
    options = Options(method="nodes", samples=LEAST, repeats=repeats, joint=started or request.covariances)
    few = plan_limit(program, options)
    assert isinstance(few, VectorsPlan)
    if few.structure.mixes_rounds:  # none does of those that are of one sample
        options = replace(options, joint=True)
        few = few if samples is not None else plan_limit(program, options)
    if samples is None:
        samples = max(points, 1 << (PER_GAUSSIAN * max(1, few.gaussians) - 1).bit_length())
    evaluator = compile_program(program, replace(options, samples=samples))
    if request.samples is None and samples < HEAVY and evaluator.module.HEAVY:
        return compile_program(program, replace(options, samples=HEAVY))
    return evaluator
