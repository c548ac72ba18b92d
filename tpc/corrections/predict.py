"""`program.corrections`: what the limit says of finite width."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np

from tpc.core.calculus import NotDifferentiableError
from tpc.core.given import require_whole
from tpc.core.inputs import bind_inputs
from tpc.core.names import SplitName
from tpc.core.printer import as_written
from tpc.core.program import Program
from tpc.corrections.by_points import Derived, derived, without
from tpc.corrections.coefficients import TooLargeError
from tpc.corrections.effort import Effort, Request
from tpc.corrections.first_order import first_order_of_draws
from tpc.corrections.given_start import GivenStart
from tpc.corrections.jets import Field
from tpc.corrections.linear_program import Gradients, LinearProgram, NotRationalError
from tpc.corrections.powers import Rooted, hindrance, rooted
from tpc.corrections.prediction import Correction, Corrections
from tpc.corrections.started import StartedProgram
from tpc.corrections.units import root_of
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.evaluate.checkpoint import EvaluationCheckpoint
from tpc.evaluate.initial import choice_of, require_none
from tpc.evaluate.remarks import without_use
from tpc.evaluate.result import Result
from tpc.expand import expand
from tpc.expand.expand import has_powers
from tpc.expand.lower_orders import nearness
from tpc.machine.files import digest
from tpc.pipeline import compile_program
from tpc.plan.options import Options
from tpc.plan.refusal import UnrepresentableError
from tpc.plan.space import Linear
from tpc.show.figures import print_from

Progress = Callable[[int, int], None]
OF_START = "the start"  # as what it is kept beside the inputs, none of which is called so


class SlowError(Exception):
    """Corrections are predicted to take longer than is waited for: `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def corrections(
    program: Program,
    inputs: Mapping[str, Any] | None = None,
    *,
    limit: Result | None = None,
    progress: Progress | None = None,
    patience: float | None = None,
    checkpoint: str | Path | None = None,
    **options: Any,
) -> Corrections:
    """Bias and fluctuation of the outputs at finite width, to first order in 1/n, from the limit.

    Of a program that is linear in its vectors they are exact, in fractions if its scalars are; else they
    come from derivatives in the weights of points, with standard errors (TP4 Thm 7.4 as a functional of the
    empirical measure, and its expansion by von Mises, 1947). Both are given what is random in the limit, as
    the initial function is in the kernel regime (`initial`, as of a run of the limit).

    inputs: arrays by name. limit: what a run for these inputs gave, if there was one, whose start is that of
    the corrections. progress: called with the repeats done and all. Options: `seed`; `signs`, directions on
    the points of each repeat; `samples`, `repeats`; `method`, "auto", "linear" or "nodes"; `covariances`,
    whether those of outputs with each other are wanted; `initial`. patience: seconds of work by points at
    most, as predicted. checkpoint: a folder that keeps every repeat that is done, and from which the same
    corrections resume, bit for bit.

    Interrupted (Ctrl-C), returns what the repeats that are done give, if these are two at least;
    `interrupted` and a note say so. Raises KeyboardInterrupt if there is nothing to return; TpcError: inputs
    that do not fit (TP50x), a start that is integrated over or powers of n that grow (TP807), options out
    of range or a start that is not the limit's (TP602), and what a run of the limit may raise; ValueError for
    a limit of other outputs; SlowError where patience ends.
    """
    request = _request(program, options)
    given = bind_inputs(program, {} if inputs is None else inputs)
    found = _expansion(program, request, limit)
    if limit is not None and set(limit) != set(program.reported):
        raise ValueError("the limit has other outputs than the program")
    if not program.reported:
        raise TpcError([catalogue.running.nothing_to_run(program.name)], program.name, of_program=True)
    folder = None if checkpoint is None else Path(checkpoint)
    exact = None if request.method == "nodes" else _exact(program, found, given, request, folder)
    if exact is not None:
        return exact
    try:
        return _by_points(program, found, given, request, limit, progress, patience, folder)
    except OSError as error:
        if folder is None:
            raise
        wrong = catalogue.running.cannot_write(str(folder), error.strerror or str(error))
        raise TpcError([wrong], program.name, of_program=True) from None


def _request(program: Program, options: Mapping[str, Any]) -> Request:
    request = Request(**options)
    if request.method not in ("auto", "linear", "nodes"):
        why = f"must be auto, linear or nodes, not {request.method}"
        raise TpcError([catalogue.running.bad_option("--method", why)], program.name, of_program=True)
    for option, value, least in (
        ("--signs", request.signs, 1),
        ("--samples", request.samples, 2),
        ("--repeats", request.repeats, 2),
        ("--seed", request.seed, 0),
    ):
        if value is not None:
            require_whole(option, value, least, program.name)
    return request


def require_expansion(program: Program) -> Rooted | StartedProgram:
    """The program with powers of n as those of one input, and with its start, if it has one.

    Refuses what has no expansion in 1/n that is computed here. Raises TpcError (TP807, and TP80x).
    """
    if not has_powers(program):
        return Rooted(program, None)
    initial = expand(program).initial
    found = rooted(program) if initial is None else StartedProgram.of(program, initial)
    if found is None:
        power, op = hindrance(program, growing=initial is not None)
        near, made = nearness(program), as_written(op.out)
        wrong = catalogue.scaling.powers_without_corrections(op.origin.label, made, power, near)
        raise TpcError([wrong], program.name, of_program=True)
    return found


def _expansion(program: Program, request: Request, limit: Result | None) -> Rooted | StartedProgram:
    """`require_expansion`, where a start is not integrated over, and none is given where there is none, or
    where the limit has another.

    Raises TpcError (TP602, TP807) besides.
    """
    found = require_expansion(program)
    if not isinstance(found, StartedProgram):
        require_none(request.initial, program.name)
        return found
    given = None if limit is None else limit.start
    choice = choice_of(request.initial, program.name)
    if given is not None:
        if request.initial is not None and not choice.is_as(given.choice):
            why = f"the limit that is given has a start of its own, {given.choice}"
            raise TpcError([catalogue.running.bad_option("--initial", why)], program.name, of_program=True)
        choice = given.choice
    if choice.how == "integrated":
        names = tuple(SplitName.of(s.of).base for s in found.initial.scalars)
        raise TpcError([catalogue.scaling.start_without_corrections(names)], program.name, of_program=True)
    return found


def _given(found: Rooted | StartedProgram, limit: Result) -> GivenStart | None:
    """What the start of a limit was, if it has one."""
    if not isinstance(found, StartedProgram):
        return None
    assert limit.start is not None
    return GivenStart(found, found.flat(limit.start.scalars))


# without points


def _exact(
    program: Program,
    found: Rooted | StartedProgram,
    given: Mapping[str, np.ndarray],
    request: Request,
    folder: Path | None,
) -> Corrections | None:
    """Those of a program that is linear in its vectors, None of another. Raises TpcError (TP601) if asked."""
    try:
        if found.root is not None:
            raise UnrepresentableError("there are powers of n")
        made = _linear(program, given, request)
    except UnrepresentableError as error:
        if request.method == "linear":
            wrong = catalogue.running.not_representable("linear", str(error))
            raise TpcError([wrong], program.name, of_program=True) from None
        return None
    own = request.samples, request.repeats, request.signs
    return replace(made, notes=without_use(samples=own[0], repeats=own[1], signs=own[2], checkpoint=folder))


def _linear(program: Program, given: Mapping[str, np.ndarray], request: Request) -> Corrections:
    """The exact corrections of a program that is linear in its vectors.

    Raises UnrepresentableError: a program that is not, or is too large, or bends at its limit.
    """
    why = Linear().refuses(program)
    for exact in (True, False) if why is None else ():
        try:
            with np.errstate(all="ignore"):
                found = LinearProgram(program, given, Field(exact)).run()
                holds = _first_order(program, given, found, request.seed)
                outputs = {name: _of_moments(own, holds.get(name)) for name, own in found.items()}
        except (NotRationalError, TooLargeError) as error:
            why = f"there are {error}"
            continue
        except (NotDifferentiableError, ZeroDivisionError, OverflowError):
            why = "a function of its scalars has no derivatives at the limit"
            break  # what fractions tell, floats may miss
        if not all(np.isfinite(own.bias).all() for own in outputs.values()):
            why = "its corrections are not finite"
            continue
        how = "in fractions" if exact else "to rounding"
        return Corrections(
            program.name,
            f"linear, exact {how}: derivatives in the Gram matrices of the Gaussians",
            outputs,
            _exact_covariances(found) if request.covariances else None,
        )
    raise UnrepresentableError(why)


def _first_order(
    program: Program, given: Mapping[str, np.ndarray], found: Mapping[str, Gradients], seed: int
) -> dict[str, np.ndarray]:
    """The widths from which these hold; none of a program that meets too many Gaussians at finite width."""
    try:
        return first_order_of_draws(program, given, found, seed)
    except TooLargeError:
        return {}


def _of_moments(own: Gradients, first_order_from: np.ndarray | None) -> Correction:
    parts = {"value": own.value, "bias": own.bias, "variance": np.asarray(own.variance)}
    value, bias = (np.asarray(part, dtype=float) for part in (own.value, own.bias))
    variance, fluctuation = own.as_floats
    exact = parts if own.value.dtype == object else None
    return Correction(value, None, bias, None, variance, None, fluctuation, None, exact, first_order_from)


def _exact_covariances(found: Mapping[str, Gradients]) -> dict[tuple[str, str], np.ndarray]:
    return {
        (a, b): np.asarray(np.tensordot(found[a].slopes * found[a].weights, found[b].slopes, (-1, -1)))
        for a, b in combinations_with_replacement(found, 2)
    }


# by points


def _by_points(
    program: Program,
    of_root: Rooted | StartedProgram,
    given: Mapping[str, np.ndarray],
    request: Request,
    limit: Result | None,
    progress: Progress | None,
    patience: float | None,
    folder: Path | None,
) -> Corrections:
    effort = Effort.of(of_root.program, request, of_root if isinstance(of_root, StartedProgram) else None)
    if patience is not None and effort.seconds > patience:
        raise SlowError(effort.seconds)
    if limit is None:
        evaluator = compile_program(program, Options(initial=request.initial))
        limit = evaluator(given, seed=request.seed, checkpoint=folder)
        if limit.interrupted:
            raise KeyboardInterrupt("interrupted in the run of the limit, before there is anything to report")
    start = _given(of_root, limit)
    told = given if start is None else {**given, OF_START: start.values}
    kept = _kept(effort, told, request.seed, folder)
    found = derived(
        effort.evaluator,
        bind_inputs(of_root.program, given),
        seed=request.seed,
        directions=effort.directions,
        steps=effort.steps,
        kept=kept,
        root=of_root.root,
        start=start,
        progress=progress,
    )
    done, repeats = len(kept), effort.evaluator.plan.repeats
    stopped = (f"interrupted after {done} of {repeats} repeats",) if done < repeats else ()
    return Corrections(
        program.name,
        str(effort),
        {name: _of_points(own, limit, name) for name, own in found.items()},
        _covariances(found) if request.covariances else None,
        (*limit.notes, *kept.notes, *_beyond_all(found), *stopped),
        bool(stopped) or limit.interrupted,
        limit.start,
    )


def _beyond_all(found: Mapping[str, Derived]) -> list[str]:
    return [
        f"the first order of `{name}`{' at some entries' * bool(own.bias.shape)} holds {print_from(np.inf)}"
        for name, own in found.items()
        if np.isinf(own.first_order_from).any()
    ]


def _kept(
    effort: Effort, given: Mapping[str, np.ndarray], seed: int, folder: Path | None
) -> EvaluationCheckpoint:
    """The repeats of derivatives that are done, in the folder if there is one."""
    if folder is None:
        return EvaluationCheckpoint()
    evaluator = effort.evaluator
    told = f"corrections {evaluator.identity} {seed} {effort.directions} {effort.steps}"
    return EvaluationCheckpoint.open(
        folder, evaluator.program.name, digest(told, given), evaluator.plan.repeats
    )


def _of_points(own: Derived, limit: Result, name: str) -> Correction:
    outcome = limit[name]
    if outcome.reason is not None:  # no second moment, no expansion
        own = without(own, np.array(True), outcome.reason)
    with np.errstate(over="ignore"):  # infinite, as floats
        variance, variance_error = (
            own.unit * (own.unit * part) for part in (own.variance, own.variance_stderr)
        )
    fluctuation, fluctuation_error = (own.unit * part for part in root_of(own.variance, own.variance_stderr))
    found = Correction(
        outcome.value,
        outcome.stderr,
        own.bias,
        own.bias_stderr,
        variance,
        variance_error,
        fluctuation,
        fluctuation_error,
        first_order_from=own.first_order_from,
        reason=own.reason,
        order=own.order,
    )
    return found.as_far_as_known()


def _covariances(found: Mapping[str, Derived]) -> dict[tuple[str, str], np.ndarray]:
    return {
        (a, b): found[a].slopes.products(found[b].slopes) for a, b in combinations_with_replacement(found, 2)
    }
