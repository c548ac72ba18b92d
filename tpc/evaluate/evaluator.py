"""Evaluation of limits: plan, emit, and run just the emitted source."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.core.given import require_whole
from tpc.core.inputs import bind_inputs
from tpc.core.mesh import mesh_of
from tpc.core.program import Program
from tpc.core.unfit import place_of
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.emit.emit import emit
from tpc.emit.module import emit_vectors, source_of_a_repeat
from tpc.evaluate.aim import Aim
from tpc.evaluate.fit import fit_in_memory, of_checks
from tpc.evaluate.initial import Start
from tpc.evaluate.jumps import WITHOUT_LIMIT, require_sizes, without_limit
from tpc.evaluate.output_functions import at_points, functions_of
from tpc.evaluate.remarks import reasons, without_use
from tpc.evaluate.result import DivergedError, Outcome, Result
from tpc.evaluate.side_by_side import workers
from tpc.evaluate.stages import Stage, StagedRun, too_early
from tpc.machine.cache import remark_on
from tpc.machine.files import digest
from tpc.machine.memory import refusing
from tpc.machine.precision import in_own_precision, precision
from tpc.plan.make_plan import make_plan
from tpc.plan.options import Options
from tpc.plan.plan import CoefficientsPlan, Plan, VectorsPlan

if TYPE_CHECKING:
    from tpc.evaluate.in_parts import Training
    from tpc.evaluate.known_start import KnownStart
    from tpc.evaluate.sharding import Points
    from tpc.evaluate.sweep import Sweep

Progress = Callable[[int, int], None]
FEWER = "use fewer --samples, fewer steps or smaller batches"


@dataclass(frozen=True, repr=False)
class Evaluator:
    """A program's limit as code, which calling it runs."""

    # without powers of n
    program: Program
    # what the code is made by
    plan: Plan
    # of a module that stands alone: all that is run is in it
    source: str = field(repr=False)
    # how the scalars that are random in the limit are had, which are inputs of the module; None if there are
    # none
    start: Start | None = field(repr=False)
    # what was asked for
    options: Options = field(repr=False)
    # the program before its tables were made cheaper
    whole: Program = field(repr=False)

    @cached_property
    def module(self) -> types.ModuleType:
        """The emitted module, executed."""
        return self._executed(self.source)

    def _executed(self, source: str) -> types.ModuleType:
        made = types.ModuleType(f"tpc_{self.program.name}")
        with precision(self.dtype):
            exec(compile(source, f"<limit of {self.program.name}>", "exec"), made.__dict__)
        return made

    def __repr__(self) -> str:
        return f"<the evaluator of {self.program.name}: {self.plan}>"

    def _repr_html_(self) -> str:
        """The plan, and the source, folded."""
        from tpc.display.html_tables import folded, monospaced, titled

        inputs = ", ".join(item.name for item in self.program.inputs) or "none"
        source = folded(
            f"the module that it runs ({self.source.count(chr(10)):,} lines)", monospaced(self.source)
        )
        return titled(
            f"Evaluator of {self.program.name}", f"inputs: {inputs}", self.plan._repr_html_(), source
        )

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made where it is needed, which cannot be pickled."""
        return {name: value for name, value in self.__dict__.items() if name not in ("module", "single")}

    @property
    def dtype(self) -> str:
        """The dtype of points and values."""
        return self.plan.dtype

    @property
    def evaluations(self) -> int:
        """How many parts the work has that are kept."""
        return self.plan.evaluations

    @property
    def fixed(self) -> bool:
        """Whether the number of points was asked for.

        Else it may be brought down to what there is memory for.
        """
        return self.options.samples is not None

    @property
    def adding(self) -> bool:
        """Whether repeats and points are added by default."""
        return self.plan.sampled and self.options.samples is None and self.options.repeats is None

    @cached_property
    def identity(self) -> str:
        """A digest of what one repeat depends on besides inputs and seed."""
        return digest(source_of_a_repeat(self.plan, self.source), {})

    @cached_property
    def single(self) -> Evaluator:
        """The same in single precision."""
        options = replace(self.options, dtype="float32")
        plan = make_plan(self.program, options)
        start = None if self.start is None else replace(self.start, evaluator=self.start.evaluator.single)
        return Evaluator(self.program, plan, emit(plan), start, options, self.whole)

    @in_own_precision
    def __call__(
        self,
        inputs: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        progress: Progress | None = None,
        compiling: Callable[[float], None] | None = None,
        rounds: Progress | None = None,
        checkpoint: str | Path | None = None,
        devices: int | None = None,
        error: float | str | None = None,
    ) -> Result:
        """Evaluates the limit.

        inputs: arrays by name; those with a default may be left out. progress: called with the repeats done
        and all. compiling: called before the limit is compiled, with the predicted seconds. rounds: called
        with the rounds of the longest loop done and all, where a repeat takes 20 s or more. checkpoint: a
        folder that keeps every repeat that is done, and from which the same run (or one with more repeats)
        resumes, bit for bit. devices: how many devices (of each process, if there are several) share the
        samples; the numbers are the same, to rounding. error: what repeats and points are added for, a
        number, or "0.5%" of the values; unless samples or repeats were asked for it is 1 % of the values, of
        0.1 at least, as far as it takes no more than 8 times as long.
        Returns every output with its standard error (None where exact). Interrupted (Ctrl-C), returns what
        the repeats that are done give, if these are two at least; `interrupted` and a note say so. Raises
        TpcError for inputs that do not fit (TP50x, TP406), devices that are not there (TP611), processes that
        differ (TP613), a folder that cannot be written (TP606); DivergedError, a TpcError (TP603) with what
        came before, for values that are not finite; KeyboardInterrupt if there is nothing to return.
        """
        if not self.program.reported:
            raise TpcError(
                [catalogue.running.nothing_to_run(self.program.name)], self.program.name, of_program=True
            )
        seed = require_whole("--seed", seed, 0, self.program.name)
        given, known = self._bound(inputs, seed)
        mesh = None if devices is None else mesh_of(devices, self.program.name)
        folder = None if checkpoint is None else Path(checkpoint)
        run = StagedRun(self, given, seed, progress, folder, mesh, compiling, rounds)
        aim = Aim.of(error, self.program.name) if error is not None or self.adding else None
        stage = self._last_stage(run, aim)
        outputs = self._from_start(self._outcomes(stage, given), given, seed, stage.plan, known, mesh)
        result = self._result(stage, outputs, given, () if inputs is None else inputs)
        if result.diverged:
            raise DivergedError(result, *place_of(self.program, given, result.diverged))
        return result

    def _result(
        self, stage: Stage, outputs: dict[str, Outcome], given: Mapping[str, Any], inputs: Collection[str]
    ) -> Result:
        return Result(
            self.program.name,
            stage.plan,
            outputs,
            tuple(dict.fromkeys([*stage.notes, *self._unused()])),
            stage.repeats,
            None if self.start is None else self.start.started(given, inputs),
            stage.interrupted,
        )

    def sweep(
        self,
        values: Mapping[str, Any],
        inputs: Mapping[str, Any] | None = None,
        *,
        progress: Progress | None = None,
        **options: Any,
    ) -> Sweep:
        """Evaluates the limit at every combination of values of some inputs, compiled once.

        values: by the names of inputs that are single numbers. inputs: the others. progress: called with the
        points done and all. options: as of a call. Points that diverge are marked, and the others go on;
        after an interruption (Ctrl-C) what is done is given. Raises TpcError for inputs that cannot be swept
        (TP662), dims (TP663), and as a call does.
        """
        from tpc.evaluate.sweep import sweep

        return sweep(self.program, self, values, inputs, progress=progress, **options)

    def _last_stage(self, run: StagedRun, aim: Aim | None) -> Stage:
        """With what was warned of among its notes. Raises as a call does."""
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", UserWarning)
                remedy = FEWER if self.plan.sampled else None
                with refusing(self.program.name, remedy=remedy, of_program=True):
                    stage = run.last(aim)
        except OSError as error:
            if run.checkpoint is None:
                raise
            wrong = catalogue.running.cannot_write(str(run.checkpoint), error.strerror or str(error))
            raise TpcError([wrong], self.program.name, of_program=True) from None
        except KeyboardInterrupt as error:  # before repeats begin, or from below
            if error.args or not self.plan.sampled:
                raise
            raise too_early(self.plan, 0) from None
        warned = (remark_on(str(w.message)) for w in caught if issubclass(w.category, UserWarning))
        return replace(stage, notes=(*warned, *stage.notes))

    def _unused(self) -> tuple[str, ...]:
        """What is to be said of points that were asked for where there are none."""
        own = self.options
        return without_use(samples=own.samples, repeats=own.repeats) if self.plan.exact else ()

    @in_own_precision
    def memory(self, inputs: Mapping[str, Any] | None = None, *, seed: int = 0) -> float:
        """Bytes that a call with these inputs is predicted to take besides what the process has.

        That is by the compiler's account, for as many repeats as are computed at a time. Nothing is computed.
        Raises TpcError as a call does.
        """
        given = bind_inputs(self.program, self.inputs_with_start(inputs, seed))
        fit = fit_in_memory(self.module, self.plan, given, self.program.name, fixed=self.fixed)
        at_once = workers(fit.plan, fit.plan.repeats - 1, fit.each)
        return fit.each * at_once + of_checks(fit.plan, fit.each)

    @in_own_precision
    def training(
        self,
        inputs: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        repeat: int = 0,
        points: Points | None = None,
        over: str | None = None,
        devices: int | None = None,
    ) -> Training:
        """The program's longest loop at its top level, to be run in parts (see `tpc.evaluate.in_parts`).

        If `over` is given, it is the loop over that variable.

        points: in place of those of `repeat`, [Gaussians, M] with their weights [M]. Independent standard
        Gaussians with weights 1/M make it the network of width M, if the program has no matrices. devices:
        how many share the points or coefficients. Raises TpcError for inputs that do not fit and for devices
        that are not there (TP611), ValueError if there is no such loop.
        """
        from tpc.evaluate.in_parts import Training

        loop = self.plan.structure.longest_loop(over) if isinstance(self.plan, VectorsPlan) else None
        if not isinstance(self.plan, VectorsPlan) or loop is None:
            raise ValueError(f"{self.program.name} has no loop at its top level that is run round by round")
        seed, repeat = (
            require_whole(*option, 0, self.program.name) for option in (("--seed", seed), ("repeat", repeat))
        )
        given = bind_inputs(self.program, self.inputs_with_start(inputs, seed))
        mesh = None if devices is None else mesh_of(devices, self.program.name)
        module = self._executed(emit_vectors(self.plan, loop))
        if points is None and not isinstance(self.plan, CoefficientsPlan):
            points = module.draw(seed, repeat)
        identity = f"{self.identity} {seed} {repeat}"
        return Training.of(self.program, module, given, points, identity, loop.loop, mesh)

    @in_own_precision
    def first_stage(self, inputs: Mapping[str, Any], seed: int) -> Stage:
        """The repeats that are planned: no error is aimed at, and values may be infinite."""
        given = bind_inputs(self.program, inputs)
        return self._last_stage(StagedRun(self, given, seed, None, None, None), None)

    def _bound(
        self, inputs: Mapping[str, Any] | None, seed: int
    ) -> tuple[dict[str, np.ndarray], KnownStart | None]:
        """All inputs, those of the start too, and the covariances of the start, if they are needed."""
        from tpc.evaluate.known_start import needed_start

        known = needed_start(self.start, {} if inputs is None else inputs, seed)
        return bind_inputs(self.program, self.inputs_with_start(inputs, seed, known)), known

    def inputs_with_start(
        self, inputs: Mapping[str, Any] | None, seed: int, known: KnownStart | None = None
    ) -> Mapping[str, Any]:
        """The inputs, and the scalars of the start that are not among them.

        known: their covariances, which are found if they are not given.
        """
        inputs = {} if inputs is None else inputs
        if self.start is None or all(name in inputs for name in self.start.names):
            return inputs
        own = {name: value for name, value in inputs.items() if name not in self.start.names}
        # so that what is wrong is said of the program's own inputs
        bind_inputs(self.start.evaluator.program, own)
        if known is not None and self.start.choice.how == "drawn":
            values = self.start.drawn(known.root)
        else:
            values = self.start.values(own, seed)
        return {**{name: np.asarray(value) for name, value in values.items()}, **inputs}

    def _outcomes(self, stage: Stage, given: Mapping[str, np.ndarray]) -> dict[str, Outcome]:
        """In the program's order; jit sorts by name. Those without a finite error have a reason."""
        watched = stage.watched
        require_sizes(self.program, self.whole, watched, given)
        jumps = without_limit(self.program, self.whole, watched, given)
        why, ordered = reasons(stage.claims), {name: stage.found[name] for name in self.program.reported}
        found = {
            name: Outcome(
                np.asarray(value), None if stderr is None else np.asarray(stderr), reason=why.get(name)
            )
            for name, (value, stderr) in ordered.items()
        }
        return found | {
            name: found[name].without_error_at(where, WITHOUT_LIMIT) for name, where in jumps.items()
        }

    def _from_start(
        self,
        outcomes: dict[str, Outcome],
        given: Mapping[str, np.ndarray],
        seed: int,
        plan: Plan,
        known: KnownStart | None,
        mesh: Any,
    ) -> dict[str, Outcome]:
        """Outcomes with what is not known of the start; integrated over it, if that is the choice."""
        from tpc.evaluate.known_start import with_errors_of_start
        from tpc.evaluate.over_initial import over_the_start

        if self.start is None or known is None:
            return outcomes
        if self.start.choice.how == "drawn":
            return with_errors_of_start(self, known, given, seed, plan, outcomes, mesh)
        own = {name: value for name, value in given.items() if name not in self.start.names}
        return over_the_start(self, known, own, seed, outcomes)

    def function(
        self, output: str, *, seed: int = 0, at: Mapping[str, Any] | None = None
    ) -> Callable[[Mapping[str, Any]], Any]:
        """`output` as a JAX function of the inputs by name, to be jitted, vmapped and differentiated.

        Those with a default may be left out.

        Of a float64 plan it is so where JAX has 64 bits (`jax.config.update("jax_enable_x64", True)`); while
        these are off, calls are in float64, but what JAX transforms is in float32, with a warning. Its value
        is what calling the evaluator gives, to rounding, the points being drawn once, here. Each repeat is
        differentiated on its own, so that memory does not grow with their number. The derivatives are those
        of the mean over the points, exactly, with a warning of jumps that inputs move. For few inputs take
        `jax.jacfwd`, which needs a few times the memory of the value; backwards (`jax.grad`), a loop of T
        rounds keeps the history of each. Panels (of quadrature over one or two Gaussians) are those that suit
        the inputs `at`, or the defaults if all inputs have one, or else none in particular; for other inputs
        the value may differ from that of a call by as much as such panels are worse. Scalars that are random
        in the limit may be among the inputs; else they are as chosen, and held fixed by derivatives.
        Raises ValueError: no such output; and when called: a missing, unknown or ill-shaped input. TpcError:
        inputs `at` that do not fit.
        """
        every = self.functions((output,), seed=seed, at=at)
        return lambda inputs: every(inputs)[output]

    @in_own_precision
    def functions(
        self, outputs: Sequence[str], *, seed: int = 0, at: Mapping[str, Any] | None = None
    ) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        """Several outputs at once, as by `function`."""
        return functions_of(self, outputs, seed, at)

    def at_points(self, outputs: Sequence[str]) -> Callable[..., dict[str, Any]]:
        """Some outputs as a JAX function of all inputs, points [Gaussians, M] and weights [M]."""
        return at_points(self, outputs)

    @in_own_precision
    def points(self, seed: int, k: int) -> tuple[Any, Any]:
        """The points and weights of a repeat.

        For quadrature and k = 0 they are those of the rule, which suits no inputs in particular.
        """
        import jax
        import jax.numpy as jnp

        points, weights = jax.tree.map(lambda a: jnp.asarray(a, self.plan.dtype), self.module.draw(seed, k))
        return points, weights
