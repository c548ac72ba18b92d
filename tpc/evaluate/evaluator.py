"""Evaluation of limits: plan, emit, and run just the emitted source."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.core.given import require_whole
from tpc.core.inputs import bind_inputs
from tpc.core.program import Program
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.emit.module import emit, planned
from tpc.evaluate.aim import Aim
from tpc.evaluate.devices import mesh_of
from tpc.evaluate.fit import BESIDES, fitted
from tpc.evaluate.initial import Start, Started, chosen
from tpc.evaluate.remarks import reasons
from tpc.evaluate.result import DivergedError, Outcome, Result
from tpc.evaluate.side_by_side import workers
from tpc.evaluate.stages import SAMPLED, Run, evaluations, too_early
from tpc.expand import expand
from tpc.machine.files import digest
from tpc.machine.memory import refusing
from tpc.machine.precision import has_64_bits, in_own_precision, precision, traced
from tpc.plan.infinite import infinite_means
from tpc.plan.plan import Plan, UnrepresentableError

if TYPE_CHECKING:
    from tpc.evaluate.in_parts import Training
    from tpc.evaluate.sharding import Points

MOST = 2**62  # of samples and repeats: far beyond what any memory holds
Progress = Callable[[int, int], None]
NARROW = (
    "JAX's 64 bits are off, so a function that it transforms (jit, grad, vmap, …) is computed in float32: "
    "call jax.config.update('jax_enable_x64', True) before, or compile(dtype='float32')"
)
# points whose error is not from repeats: there is nothing to be had of a part of the work
GRIDS = ("panels", "gauss-hermite", "quadrature")
FEWER = "use fewer --samples, fewer steps or smaller batches"


@dataclass(frozen=True)
class Evaluator:
    """A program's limit as code. `source` is a module that stands alone; calling the evaluator runs just
    that.

    identity: a digest of the source but for the number of repeats: what one repeat depends on besides inputs
    and seed. start: how the scalars that are random in the limit are had, which are inputs of the module;
    None if there are none. adding: whether repeats and points are added by default.
    fixed: whether the number of points was asked for; else it may be brought down to what there is memory
    for.
    """

    program: Program
    plan: Plan
    source: str = field(repr=False)
    identity: str = field(repr=False)
    start: Start | None = field(default=None, repr=False)
    adding: bool = field(default=False, repr=False)
    # the source of a module that can run a loop (`over=`) in parts
    in_parts: Callable[..., str] = field(repr=False, compare=False, default=str)
    fixed: bool = field(default=True, repr=False)
    # the same in single precision
    in_single: Callable[[], Evaluator] = field(repr=False, compare=False, kw_only=True)
    notes: tuple[str, ...] = ()  # on options that mean nothing to the plan

    @cached_property
    def module(self) -> types.ModuleType:
        """The emitted module, executed."""
        return self._executed(self.source)

    def _executed(self, source: str) -> types.ModuleType:
        made = types.ModuleType(f"tpc_{self.program.name}")
        with precision(self.dtype):
            exec(compile_source(source, self.program.name), made.__dict__)
        return made

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made where it is needed, which cannot be pickled."""
        return {name: value for name, value in self.__dict__.items() if name not in ("module", "_single")}

    @property
    def dtype(self) -> str:
        """Of points and values."""
        return self.plan.dtype

    @cached_property
    def _single(self) -> Evaluator:
        """The same in single precision."""
        return self.in_single()

    @property
    def evaluations(self) -> int:
        """How many parts the work has that are kept."""
        return evaluations(self.plan)

    @in_own_precision
    def __call__(
        self,
        inputs: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        progress: Progress | None = None,
        checkpoint: str | Path | None = None,
        devices: int | None = None,
        error: float | str | None = None,
    ) -> Result:
        """Evaluates the limit.

        inputs: arrays by name; those with a default may be left out. progress: called with the repeats done
        and all. checkpoint: a folder that keeps every repeat that is done, and from which the same run (or
        one with more repeats) resumes, bit for bit. devices: how many devices (of each process, if there are
        several) share the samples; the numbers are the same, to rounding. error: what repeats and points are
        added for, a number, or "0.5%" of the values; unless samples or repeats were asked for it is 1 % of
        the values, of 0.1 at least, as far as it takes no more than 8 times as long.
        Returns every output with its standard error (None where exact). Interrupted (Ctrl-C), returns what
        the repeats that are done give, if these are two at least; `interrupted` and a note say so. Raises
        TpcError for inputs that do not fit (TP50x, TP406), for devices that are not there (TP611) and
        processes that differ (TP613), for a folder that cannot be written (TP606); DivergedError, a TpcError
        (TP603) with what came before, for values that are not finite; KeyboardInterrupt if there is nothing
        to return.
        """
        if not self.program.outputs:
            raise TpcError(
                [catalogue.running.nothing_to_run(self.program.name)], self.program.name, of_program=True
            )
        seed = require_whole("--seed", seed, 0, self.program.name)
        given = bind_inputs(self.program, self._started(inputs, seed))
        mesh = None if devices is None else mesh_of(devices, self.program.name)
        aim = Aim.of(error, self.program.name) if error is not None or self.adding else None
        run = Run(self, given, seed, progress, None if checkpoint is None else Path(checkpoint), mesh)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", UserWarning)
                with refusing(
                    self.program.name, remedy=FEWER if self.plan.points in SAMPLED else None, of_program=True
                ):
                    stage = run.last(aim)
        except OSError as error:
            if checkpoint is None:
                raise
            raise TpcError(
                [catalogue.running.cannot_write(str(checkpoint), error.strerror or str(error))],
                self.program.name,
                of_program=True,
            ) from None
        except KeyboardInterrupt as error:  # before repeats begin, or from below
            if error.args or self.plan.exact or self.plan.points in GRIDS:
                raise
            raise too_early(self.plan, 0) from None
        outputs = self._outcomes(stage.found, given, seed, reasons(stage.claims))
        notes = (
            *(str(w.message) for w in caught if issubclass(w.category, UserWarning)),
            *stage.notes,
            *self.notes,
        )
        started = (
            None
            if self.start is None
            else Started(self.start.choice, {name: given[name] for name in self.start.names})
        )
        result = Result(
            self.program.name,
            stage.plan,
            outputs,
            tuple(dict.fromkeys(notes)),
            stage.repeats,
            started,
            stage.interrupted,
        )
        if result.diverged:
            raise DivergedError(result)
        return result

    @in_own_precision
    def memory(self, inputs: Mapping[str, Any] | None = None, *, seed: int = 0) -> float:
        """Bytes that a call with these inputs is predicted to take besides what the process has: by the
        compiler's account, of as many repeats as are computed at a time. Nothing is computed. Raises TpcError
        as a call does."""
        given = bind_inputs(self.program, self._started(inputs, seed))
        fit = fitted(self.module, self.plan, given, self.program.name, fixed=self.fixed)
        besides = BESIDES if self.plan.points in SAMPLED else 0.0
        return fit.each * workers(fit.plan, fit.plan.repeats - 1, fit.each) + besides

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
        """The program's longest loop at its top level, or the one over the variable `over`, to be run in
        parts (see `tpc.evaluate.in_parts`).

        points: in place of those of `repeat`, [Gaussians, M] with their weights [M]. Independent standard
        Gaussians with weights 1/M make it the network of width M, if the program has no matrices. devices:
        how many share the points or coefficients. Raises TpcError for inputs that do not fit and for devices
        that are not there (TP611), ValueError if there is no such loop.
        """
        from tpc.evaluate.in_parts import Training, longest

        if self.plan.method == "gram" or longest(self.program, over) is None:
            raise ValueError(f"{self.program.name} has no loop at its top level that is run round by round")
        seed, repeat = (
            require_whole(*option, 0, self.program.name) for option in (("--seed", seed), ("repeat", repeat))
        )
        given = bind_inputs(self.program, self._started(inputs, seed))
        mesh = None if devices is None else mesh_of(devices, self.program.name)
        module = self._executed(self.in_parts(over=over))
        drawn = module.draw(seed, repeat) if points is None and self.plan.points != "coefficients" else points
        return Training.of(self, module, given, drawn, f"{self.identity} {seed} {repeat}", over, mesh)

    def _started(self, inputs: Mapping[str, Any] | None, seed: int) -> Mapping[str, Any]:
        """The inputs, and the scalars of the start that are not among them."""
        inputs = {} if inputs is None else inputs
        if self.start is None or all(name in inputs for name in self.start.names):
            return inputs
        own = {name: value for name, value in inputs.items() if name not in self.start.names}
        # so that what is wrong is said of the program's own inputs
        bind_inputs(self.start.evaluator.program, own)
        return {**{name: np.asarray(value) for name, value in self.start.values(own, seed).items()}, **inputs}

    def _outcomes(
        self,
        found: Mapping[str, tuple[Any, Any]],
        given: Mapping[str, np.ndarray],
        seed: int,
        why: Mapping[str, str],
    ) -> dict[str, Outcome]:
        """In the program's order; jit sorts by name. why: those without a finite error have none."""
        ordered = {output.name: found[output.name] for output in self.program.outputs}
        if self.start is None or self.start.choice.how != "integrated":
            return {
                name: Outcome(
                    np.asarray(value), None if stderr is None else np.asarray(stderr), reason=why.get(name)
                )
                for name, (value, stderr) in ordered.items()
            }
        from tpc.evaluate.over_initial import over_the_start

        own = {name: value for name, value in given.items() if name not in self.start.names}
        return {
            name: Outcome(*parts, reason=why.get(name))
            for name, parts in over_the_start(self, own, seed, ordered).items()
        }

    def function(
        self, output: str, *, seed: int = 0, at: Mapping[str, Any] | None = None
    ) -> Callable[[Mapping[str, Any]], Any]:
        """`output` as a JAX function of the inputs by name (those with a default may be left out), to be
        jitted, vmapped and differentiated.

        Of a float64 plan it is so where JAX has 64 bits (`jax.config.update("jax_enable_x64", True)`); while
        these are off, calls are in float64, but what JAX traces, to transform it, is in float32, with a
        warning. Its value is what calling the evaluator gives, to rounding, the points being drawn once,
        here. Each repeat is differentiated on its own, so that memory does not grow with their number. The
        derivatives are those of the mean over the points, exactly. For few inputs take `jax.jacfwd`, which
        needs a few times the memory of the value; backwards (`jax.grad`), a loop of T rounds keeps the
        history of each. Panels (of quadrature over one or two Gaussians) are those that suit the inputs `at`,
        or the defaults if all inputs have one, or else none in particular; for other inputs the value may
        differ from that of a call by as much as such panels are worse. Scalars that are random in the limit
        may be among the inputs; else they are as chosen, and held fixed by derivatives.
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
        import jax
        import jax.numpy as jnp

        for output in outputs:
            if output not in {o.name for o in self.program.outputs}:
                raise ValueError(
                    f"there is no output {output}; there are "
                    f"{', '.join(o.name for o in self.program.outputs)}"
                )
        rule, repeats, sampled = self.chosen_points(outputs, seed, at)
        on_rule, on_repeats = (
            jax.tree.map(lambda *parts: jnp.asarray(np.stack(parts), self.plan.dtype), *drawn)
            if drawn
            else None
            for drawn in (rule, repeats)
        )  # of every sector
        on_points = self.at_points(outputs)

        @jax.jit
        def means(given: Mapping[str, Any], *groups: Any) -> Any:
            found = [
                jax.lax.map(jax.checkpoint(lambda own: on_points(given, *own)), group)
                for group in groups
                if group is not None
            ]
            values = [{name: jnp.mean(value, axis=0) for name, value in each.items()} for each in found]
            return (
                values[0]
                if len(values) == 1
                else {name: jnp.where(sampled[name], values[1][name], values[0][name]) for name in values[0]}
            )

        def function(inputs: Mapping[str, Any]) -> dict[str, Any]:
            if self.dtype == "float64" and not has_64_bits() and traced(inputs):
                return in_single()(inputs)
            with precision(self.dtype):
                return evaluated(dict(inputs))

        @cache
        def in_single() -> Callable[[Mapping[str, Any]], dict[str, Any]]:
            warnings.warn(NARROW, stacklevel=4)
            with jax.ensure_compile_time_eval():
                return self._single.functions(outputs, seed=seed, at=at)

        def evaluated(given: dict[str, Any]) -> dict[str, Any]:
            if self.start is not None and any(name not in given for name in self.start.names):
                own = {name: value for name, value in given.items() if name not in self.start.names}
                given = {**jax.lax.stop_gradient(self.start.values(own, seed)), **given}
            found: dict[str, Any] = means(self.module.prepared(given), on_rule, on_repeats)
            return found

        return function

    @in_own_precision
    def chosen_points(
        self, outputs: Sequence[str], seed: int, at: Mapping[str, Any] | None
    ) -> tuple[list[Any], list[Any], dict[str, Any]]:
        """The points and weights of a rule, those of repeats, and where the latter are taken if there are
        both.

        They are as for a call with the inputs `at`; None: the defaults, or if some have none, what suits no
        inputs in particular.
        """
        draw = self.module.draw
        if not any(self.plan.checks):
            # of two grids the first is the finer one
            count = 1 if self.plan.points in GRIDS else self.evaluations
            return [], [draw(seed, k) for k in range(count)], {}
        if at is None and any(
            item.default is None
            for item in self.program.inputs
            if self.start is None or item.name not in self.start.names
        ):
            return [draw(seed, 0)], [], {}
        import jax

        points, kept = draw(seed, 0), {}
        with jax.ensure_compile_time_eval(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            given = bind_inputs(self.program, self._started(at, seed))
            if self.plan.points == "panels":
                seen = self.module.adapted(given)
                points, kept = self.module.points_of(seen), {0: self.module.integrated(given, None, seen)}
            self.module.run(given, seed=seed, kept=kept)
            sampled = {
                name: np.asarray(found[2])
                for name, found in self.module.verdicts([kept[k] for k in range(self.evaluations)]).items()
            }
        better = any(np.any(sampled[name]) for name in outputs)
        return [points], [draw(seed, k) for k in range(1, self.evaluations)] if better else [], sampled

    @in_own_precision
    def points(self, seed: int, k: int) -> tuple[Any, Any]:
        """The points and weights of a repeat; of quadrature, for k = 0 those of the rule, which suits no
        inputs in particular."""
        import jax
        import jax.numpy as jnp

        points, weights = jax.tree.map(lambda a: jnp.asarray(a, self.plan.dtype), self.module.draw(seed, k))
        return points, weights

    def at_points(self, outputs: Sequence[str]) -> Callable[..., dict[str, Any]]:
        """Some outputs as a JAX function of all inputs, points and weights."""
        return lambda given, points, weights: {
            name: self.module.limit(given, points, weights)[0][name] for name in outputs
        }


def compile_source(source: str, name: str) -> types.CodeType:
    return compile(source, f"<limit of {name}>", "exec")


def compile_program(
    program: Program,
    *,
    method: str = "auto",
    samples: int | None = None,
    repeats: int | None = None,
    dtype: str = "float64",
    max_rank: int | None = None,
    initial: Any = None,
) -> Evaluator:
    """The evaluator of a program's limit.

    method: "auto" (the cheapest exact one, else nodes), "linear", "gram", "chaos" or "nodes". samples: points
    of a repeat (nodes), at least 2.
    repeats: independent randomisations, at least 2. dtype: "float64", "float32", or "bfloat16" for
    coefficients: float32, but for what loops carry, which is rounded at random. max_rank: the most directions
    kept for one side of a matrix.
    initial: what to take for scalars that are random in the limit: None (drawn by seed 0), a seed, "zero",
    "integrate", or arrays by name.
    Raises TpcError: a method that cannot represent the program (TP601), options out of range (TP602), a
    program that has no limit (TP80x).
    """
    samples, repeats, max_rank = (
        None if value is None else require_whole(option, value, least, program.name, MOST)
        for option, value, least in (
            ("--samples", samples, 2),
            ("--repeats", repeats, 2),
            ("--max-rank", max_rank, 1),
        )
    )
    if dtype not in ("float64", "float32", "bfloat16"):
        raise TpcError(
            [catalogue.running.bad_option("--dtype", f"must be float64, float32 or bfloat16, not {dtype}")],
            program.name,
            of_program=True,
        )
    computed = "float64" if dtype == "float64" else "float32"
    if method not in ("auto", "linear", "gram", "chaos", "nodes"):
        why = f"must be auto, linear, gram, chaos or nodes, not {method}"
        raise TpcError([catalogue.running.bad_option("--method", why)], program.name, of_program=True)
    in_single = partial(
        compile_program,
        program,
        method=method,
        samples=samples,
        repeats=repeats,
        dtype="float32",
        max_rank=max_rank,
        initial=initial,
    )
    expansion = expand(program)
    program = expansion.limit
    infinite, _ = infinite_means(program)
    if infinite:
        errors = [
            catalogue.scaling.infinite_mean(op.origin.label, str(op.out).partition("$")[0]) for op in infinite
        ]
        raise TpcError(errors, program.name, of_program=True)
    if expansion.initial is None and initial is not None:
        raise TpcError(
            [catalogue.running.bad_option("--initial", "no scalar is random in the limit of this program")],
            program.name,
            of_program=True,
        )
    start = None
    if expansion.initial is not None:
        of_start = compile_program(
            expansion.initial.covariances, samples=samples, repeats=repeats, dtype=computed, max_rank=max_rank
        )
        start = Start(expansion.initial, chosen(initial, program.name), of_start)
    try:
        ordered, plan, parts, layout = planned(
            program, method=method, samples=samples, repeats=repeats, dtype=computed, max_rank=max_rank
        )
    except UnrepresentableError as error:
        raise TpcError(
            [catalogue.running.not_representable(method, str(error))], program.name, of_program=True
        ) from None
    if dtype == "bfloat16":
        if plan.method != "linear":
            raise TpcError(
                [
                    catalogue.running.bad_option(
                        "--dtype",
                        f"bfloat16 is for the coefficients of method linear, and the plan is {plan.method}",
                    )
                ],
                program.name,
                of_program=True,
            )
        plan = replace(plan, packed=True)
    source = emit(ordered, plan, parts, layout)
    of_one = source if plan.repeats == 1 else emit(ordered, replace(plan, repeats=1), parts, layout)
    adding = samples is None and repeats is None and plan.points in SAMPLED
    in_parts = partial(emit, ordered, plan, parts, layout, segments=True)
    return Evaluator(
        program,
        plan,
        source,
        digest(of_one, {}),
        start,
        adding,
        in_parts,
        samples is not None,
        in_single=in_single,
        notes=_unused(samples, repeats, plan),
    )


def _unused(samples: int | None, repeats: int | None, plan: Plan) -> tuple[str, ...]:
    """What is to be said of points that were asked for where there are none."""
    asked = [
        f"{option}={value}"
        for option, value in (("samples", samples), ("repeats", repeats))
        if value is not None
    ]
    return (
        (f"{' and '.join(asked)} had no use: the limit is exact, without points",)
        if asked and plan.exact
        else ()
    )
