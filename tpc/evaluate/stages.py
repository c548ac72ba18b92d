"""A run in stages: the plan's repeats, then more until their errors are what is aimed at.

More of them, or as many with two or four times the points, and so on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.evaluate.aim import Aim, added, beginning, following, missed, seconds, shortfall
from tpc.evaluate.checkpoint import EvaluationCheckpoint
from tpc.evaluate.fit import Fitted, fit_in_memory, growth
from tpc.evaluate.jumps import Watched
from tpc.evaluate.long_repeats import LongRepeats, Rounds
from tpc.evaluate.remarks import not_looked_at, remarks, rounding_notes
from tpc.evaluate.side_by_side import compute
from tpc.machine.files import digest
from tpc.machine.memory import SURE, free_of_devices, give_back, require_memory
from tpc.machine.processes import arrays_of_first, is_first, require_agreement, several
from tpc.plan.plan import Plan, SampledPlan

if TYPE_CHECKING:
    from tpc.evaluate.evaluator import Evaluator
    from tpc.evaluate.in_parts import Training
    from tpc.evaluate.sharding import Points

ENOUGH = 2  # repeats that an interrupted run must have done for a standard error
LARGE = 2.5e8  # bytes of a repeat, from which on what it leaves behind is given back


@dataclass(frozen=True)
class Stage:
    """The repeats of one plan."""

    plan: Plan
    kept: EvaluationCheckpoint
    # what the module's `run` gives
    found: Mapping[str, tuple[Any, Any]]
    # what the module says of its errors, by output; nothing where they do not come from repeats
    claims: Mapping[str, Any]
    # the same of what a run only looks at
    of_checks: Mapping[str, Any]
    # how many are done
    repeats: int
    # whether there would have been more
    interrupted: bool = False
    # on what was done
    notes: tuple[str, ...] = ()

    @property
    def watched(self) -> Watched:
        """What is found of what a run only looks at, at the points that check a quadrature, too."""
        repeats = self.plan.checks[1]
        checks = [outputs for outputs, _ in self.kept.ordered[1:]] if repeats else []
        return Watched(max(self.repeats, repeats), self.found, self.of_checks, checks)


@dataclass(frozen=True)
class StagedRun:
    """What all stages have in common."""

    evaluator: Evaluator
    given: Mapping[str, np.ndarray] = field(repr=False)
    seed: int
    progress: Callable[[int, int], None] | None
    # the folder of kept repeats
    checkpoint: Path | None
    # the devices that share the samples
    mesh: Any
    # called before something is compiled, with the predicted seconds
    compiling: Callable[[float], None] | None = None
    # called with the rounds done and all, where repeats take long
    rounds: Rounds | None = None

    def last(self, aim: Aim | None) -> Stage:
        """The stage that reaches what is aimed at, or the last one that there is.

        That is the last one that may be tried, or that an interruption leaves.
        """
        whole = self.evaluator.plan
        fit = self.fit(whole if aim is None or self.fixed else beginning(whole, aim))
        plan = first = fit.plan
        stage, spent = self.stage(plan, None, fit.each), seconds(plan)
        if fit.note is not None:
            stage = _with(stage, fit.note, interrupted=stage.interrupted)
        while (
            aim is not None
            and isinstance(plan, SampledPlan)
            and not stage.interrupted
            and all(map(_finite, stage.claims.values()))
        ):
            short = shortfall(stage.claims, aim)
            if not short.names:
                break
            power = growth(first)
            each = fit.each / first.samples**power
            # processes that work together have to agree
            most = (SURE * free_of_devices() / each) ** (1 / power) if self.mesh is None else math.inf
            step = following(plan, first, short, aim, spent, most)
            if step is None:
                return _with(stage, missed(short, aim, plan))
            try:
                later = self.stage(
                    step, stage.kept if step.samples == plan.samples else None, each * step.samples**power
                )
            except KeyboardInterrupt:
                return _with(
                    stage,
                    f"interrupted with {step.samples} points, before there was anything better to report",
                    interrupted=True,
                )
            spent += added(step, plan)
            stage, plan = later, step
        return stage

    @property
    def fixed(self) -> bool:
        """Whether a run begins with the points of the plan: they were asked for, or devices share them."""
        return self.evaluator.fixed or self.mesh is not None

    def fit(self, plan: Plan) -> Fitted:
        """The plan with as many points as there is memory for.

        Several devices have to agree, and take the plan as it is.
        """
        evaluator = self.evaluator
        if self.mesh is not None:
            require_memory(plan.memory, evaluator.program.name, of_program=True)
            return Fitted(plan, plan.memory)
        return fit_in_memory(
            evaluator.module,
            plan,
            self.given,
            evaluator.program.name,
            fixed=evaluator.fixed,
            compiling=self.compiling,
        )

    def stage(self, plan: Plan, kept: EvaluationCheckpoint | None, each: float) -> Stage:
        """The repeats of a plan.

        kept: those that an earlier stage with the same points has. each: bytes that a repeat takes.

        Raises KeyboardInterrupt before two are done.
        """
        kept = self._load(plan, kept)
        found, stopped = self._evaluate(plan, kept, each)
        count = plan.evaluations
        repeats = plan.repeats if len(kept) >= count else len(kept)
        claims: Mapping[str, Any] = {}
        of_checks: Mapping[str, Any] = {}
        shown = self.evaluator.program.reported
        unknown: list[str] = []
        if plan.sampled:
            module = self.evaluator.module
            told = module.claims(kept.ordered, kept.checks)
            claims = {name: told[name] for name in shown}
            of_checks = {name: told[name] for name in told if name not in claims}
            unknown = [*not_looked_at(module, kept.ordered, kept.checks, shown)]
        rounded = rounding_notes({name: found[name] for name in shown}, plan)
        notes = [*kept.notes, *remarks(claims, plan), *rounded, *unknown]
        if repeats < plan.repeats:
            notes.append(f"interrupted after {repeats} of {plan.repeats} repeats")
        elif stopped:
            notes.append("interrupted before the errors were checked")
        return Stage(plan, kept, found, claims, of_checks, repeats, stopped, tuple(notes))

    def training_of(self, points: Points | None) -> Training:
        return self.evaluator.training(self.given, points=points)

    def _load(self, plan: Plan, kept: EvaluationCheckpoint | None) -> EvaluationCheckpoint:
        """What is done already. Of several processes that work together, the first one has the folder."""
        if kept is not None and self.checkpoint is None:
            return kept
        evaluator, folder = self.evaluator, self.checkpoint
        together = self.mesh is not None and several()
        if folder is None and not together:
            return EvaluationCheckpoint()
        points = "" if plan.samples == evaluator.plan.samples else f" {plan.samples}"
        name = evaluator.program.name
        fingerprint = digest(f"{evaluator.identity} {self.seed}{points}", self.given)
        if folder is None or (together and not is_first()):
            kept = EvaluationCheckpoint()
        else:
            kept = EvaluationCheckpoint.open(folder, name, fingerprint, plan.evaluations)
        return _agreed(kept, fingerprint, name) if together else kept

    def _evaluate(
        self, plan: Plan, kept: EvaluationCheckpoint, each: float
    ) -> tuple[Mapping[str, tuple[Any, Any]], bool]:
        """What the module's `run` gives; and whether it was interrupted.

        If it was, what its `summary` makes of the repeats that are done.
        """
        sampled = (
            {"samples": plan.samples, "repeats": plan.repeats, "checks": kept.checks} if plan.sampled else {}
        )
        progress = self.progress if each < LARGE else self._between
        try:
            with kept.running:
                module = self.evaluator.module  # an interruption of what JAX imports for it may be lost
                if self.mesh is None:
                    left = plan.evaluations - len(kept)
                    long = LongRepeats.of(self.training_of, plan, left, self.rounds)
                    compute(module, plan, self.given, self.seed, kept, progress, each, long)
                shown = None if len(kept) == plan.evaluations else progress
                found: dict[str, Any] = module.run(
                    self.given, seed=self.seed, progress=shown, kept=kept, mesh=self.mesh, **sampled
                )
        except KeyboardInterrupt:
            if not sampled:
                raise
            if len(kept) < ENOUGH:
                raise too_early(plan, len(kept)) from None
            return self.evaluator.module.summary(kept.ordered, kept.checks), True
        return found, False

    def _between(self, done: int, total: int) -> None:
        """What is done between two repeats that are large."""
        give_back()
        if self.progress is not None:
            self.progress(done, total)


def _agreed(kept: EvaluationCheckpoint, fingerprint: str, name: str) -> EvaluationCheckpoint:
    """What process 0 has kept, for all processes, so that all compute the same repeats.

    Raises TpcError (TP613) if they run different things.
    """
    require_agreement(fingerprint, name)
    received = arrays_of_first(kept.to_arrays())
    return kept if is_first() else EvaluationCheckpoint.from_arrays(received)


def too_early(plan: Plan, done: int) -> KeyboardInterrupt:
    return KeyboardInterrupt(
        f"interrupted after {done} of {plan.repeats} repeats, before there is anything to report"
    )


def _finite(claim: Any) -> bool:
    return bool(np.isfinite(np.asarray(claim.value)).all() and np.isfinite(np.asarray(claim.spread)).all())


def _with(stage: Stage, note: str, *, interrupted: bool = False) -> Stage:
    return replace(stage, interrupted=interrupted, notes=(*stage.notes, note))
