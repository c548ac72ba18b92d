"""The commands that compute numbers: `run`, `simulate`, `verify`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.cli.shared import (
    FAILED,
    FIGURES,
    INTERRUPTED,
    OK,
    REFUSED,
    bound,
    load,
    require_writable,
    show,
    writing,
)

if TYPE_CHECKING:
    import numpy as np

    from tpc.core.program import Program
    from tpc.diagnostics.diagnostic import Diagnostic, TpcError
    from tpc.evaluate.result import Result
    from tpc.simulate.samples import Samples


def run(arguments: argparse.Namespace) -> int:
    from tpc.evaluate.result import DivergedError

    together = _joined(arguments)
    program, given = load(arguments)
    inputs = bound(program, given, arguments)
    if not arguments.silent:
        require_writable(arguments.save)
        require_writable(arguments.plot, FIGURES)
    _require_room(program, inputs, arguments)
    try:
        with _alone_on_stdout() if together else nullcontext():
            result = _evaluated(program, inputs, arguments, together=together)
    except DivergedError as stop:
        if not arguments.silent:
            stop.diagnostics += tuple(_unwritten(stop.partial, [], arguments))
        raise
    finally:
        if together and not isinstance(sys.exception(), KeyboardInterrupt):
            import jax

            jax.distributed.shutdown()  # process 0 goes on alone, the others end
    if arguments.silent:
        return INTERRUPTED if result.interrupted else OK
    samples, unfit = ([], []) if result.interrupted else _at_widths(program, inputs, arguments)
    data = {**result.to_json(), **({"widths": [_sample_data(s) for s in samples]} if samples else {})}
    unwritten = _unwritten(result, samples, arguments)
    error = _error([*unfit, *unwritten, *_diverged(samples)], arguments)
    show(arguments, "\n".join(map(str, [result, *samples])), data, error)
    if result.interrupted or any(s.interrupted for s in samples):
        return INTERRUPTED
    return OK if error is None else REFUSED


def simulate(arguments: argparse.Namespace) -> int:
    program, given = load(arguments)
    require_writable(arguments.save)
    samples = _samples(program, bound(program, given, arguments), arguments.width, arguments, arguments.save)
    error = _error(_diverged([samples]), arguments)
    show(arguments, samples, _sample_data(samples), error)
    return INTERRUPTED if samples.interrupted else OK if error is None else REFUSED


def verify(arguments: argparse.Namespace) -> int:
    program, given = load(arguments)
    inputs = bound(program, given, arguments)
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.simulate import verify as compared

    if arguments.seeds < 2:
        raise TpcError(
            [catalogue.running.bad_option("--seeds", "must be at least 2, to tell how much they differ")],
            str(arguments.file),
        )
    require_writable(arguments.plot, FIGURES)
    _require_room(program, inputs, arguments)
    result = _evaluated(program, inputs, arguments, integrate=True)
    if result.interrupted:
        raise KeyboardInterrupt
    samples = []
    for width in arguments.widths:
        samples.append(_samples(program, inputs, width, arguments))
        if samples[-1].interrupted:
            raise KeyboardInterrupt
    error = _error(_diverged(samples), arguments)
    if error is not None:
        data = {
            "program": program.name,
            "plan": result.plan.to_json(),
            "widths": [_sample_data(s) for s in samples],
        }
        show(arguments, "\n".join(map(str, [result, *samples])), data, error)
        return REFUSED
    report = compared(result.limits, samples, random=result.start is not None)
    if arguments.plot is not None:
        try:
            writing(arguments.plot, report.plot)
        except TpcError as unwritten:
            show(arguments, report, {**report.to_json(), "plan": result.plan.to_json()}, unwritten)
            return REFUSED
    show(arguments, report, {**report.to_json(), "plan": result.plan.to_json()})
    return OK if report.agrees else FAILED


# parts of these


def _joined(arguments: argparse.Namespace) -> bool:
    """Makes this process one of several if it is to be. Sets `silent` for all but the first."""
    from tpc.evaluate.devices import join

    arguments.silent = bool(arguments.process)  # for what may go wrong before they have joined
    together = join(arguments.coordinator, arguments.processes, arguments.process, str(arguments.file))
    if together:
        import jax

        arguments.silent = jax.process_index() > 0
    return together


@contextmanager
def _alone_on_stdout() -> Iterator[None]:
    """Keeps what the libraries that connect processes print out of standard output."""
    sys.stdout.flush()
    own, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(own, 1)
        os.close(own)
        os.close(nowhere)


def _evaluated(
    program: Program,
    given: dict[str, np.ndarray],
    arguments: argparse.Namespace,
    *,
    together: bool = False,
    integrate: bool = False,
) -> Result:
    """integrate: over what is random in the limit, if anything is."""
    from tpc.core.inputs import load_data
    from tpc.evaluate.evaluator import compile_program
    from tpc.expand import random_in_the_limit

    initial = (
        "integrate" if integrate and random_in_the_limit(program) else getattr(arguments, "initial", None)
    )
    evaluator = compile_program(
        program,
        method=arguments.method,
        samples=arguments.samples,
        repeats=arguments.repeats,
        dtype=arguments.dtype,
        max_rank=arguments.max_rank,
        initial=load_data(initial) if isinstance(initial, Path) else initial,
    )
    shown = sys.stderr.isatty() and not getattr(arguments, "silent", False)
    if shown:
        print(f"plan: {evaluator.plan}", file=sys.stderr)
    devices = getattr(arguments, "devices", None)
    if together and devices is None:
        import jax

        devices = jax.local_device_count()
    return evaluator(
        given,
        seed=arguments.seed,
        progress=progress_line("repeat") if shown else None,
        devices=devices,
        checkpoint=getattr(arguments, "checkpoint", None),
        error=getattr(arguments, "error", None),
    )


def _at_widths(
    program: Program, inputs: dict[str, np.ndarray], arguments: argparse.Namespace
) -> tuple[list[Samples], Sequence[Diagnostic]]:
    """Finite widths, until one is interrupted, or there is no memory for it, and what is said then: the limit
    is to be printed all the same."""
    from tpc.diagnostics.diagnostic import TpcError

    out: list[Samples] = []
    for width in arguments.widths:
        if out and out[-1].interrupted:
            break
        try:
            out.append(_samples(program, inputs, width, arguments))
        except TpcError as error:
            return out, error.diagnostics
    return out, ()


def _require_room(program: Program, inputs: dict[str, np.ndarray], arguments: argparse.Namespace) -> None:
    """Refuses widths that cannot fit before anything is computed. Raises TpcError (TP604)."""
    if arguments.widths:
        from tpc.simulate.seeds import require_room

        for width in arguments.widths:
            with suppress(ValueError):  # what else is wrong with a width is said when it is run
                require_room(
                    program,
                    inputs,
                    width=width,
                    seeds=arguments.seeds,
                    dtype="float64" if arguments.dtype == "float64" else "float32",
                )


def _samples(
    program: Program,
    given: dict[str, np.ndarray],
    width: int,
    arguments: argparse.Namespace,
    checkpoint: Path | None = None,
) -> Samples:
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.simulate import simulate as simulated

    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    progress = progress_line(f"width {width}, seed") if sys.stderr.isatty() else None
    try:
        return simulated(
            program,
            given,
            width=width,
            seeds=seeds,
            dtype="float64" if arguments.dtype == "float64" else "float32",
            progress=progress,
            checkpoint=checkpoint,
        )
    except OSError as error:
        raise TpcError(
            [catalogue.running.cannot_write(str(checkpoint), error.strerror or str(error))],
            str(arguments.file),
        ) from None
    except ValueError as error:
        raise TpcError(
            [catalogue.running.bad_option("--width" if "width" in str(error) else "--save", str(error))],
            str(arguments.file),
        ) from None


def _sample_data(samples: Samples) -> dict[str, Any]:
    from tpc.show.entries import plain

    outputs = {
        name: {"mean": plain(samples.mean[name]), "std": plain(samples.std[name])} for name in samples.outputs
    }
    return {
        "program": samples.program,
        "width": samples.width,
        "seeds": len(samples.seeds),
        "outputs": outputs,
    }


def _diverged(samples: Sequence[Samples]) -> list[Diagnostic]:
    """What finite widths have that is not finite (TP603)."""
    from tpc.diagnostics import catalogue

    return [
        catalogue.running.diverged(
            [(name, end.entry, end.lasting) for name, end in s.diverged.items()], s.width
        )
        for s in samples
        if s.diverged
    ]


def _error(found: Sequence[Diagnostic], arguments: argparse.Namespace) -> TpcError | None:
    from tpc.diagnostics.diagnostic import TpcError

    return TpcError(found, str(arguments.file)) if found else None


def _unwritten(result: Result, samples: list[Samples], arguments: argparse.Namespace) -> list[Diagnostic]:
    """Writes the files that are asked for; says of which that was impossible (TP606), so that the numbers are
    printed all the same."""
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.show.results import plot_result

    unwritten: list[Diagnostic] = []
    for path, write in (
        (arguments.save, result.save),
        (arguments.plot, lambda part: plot_result(result, part, samples)),
    ):
        if path is not None:
            try:
                writing(path, write)
            except TpcError as error:
                unwritten += error.diagnostics
    return unwritten


def progress_line(what: str) -> Callable[[int, int], None]:
    """Shows what is done on one line of standard error, and, from the time that the last one took, what is
    left to wait."""
    last = time.monotonic()

    def show_progress(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        left, last = (total - done) * (now - last), now
        waiting = f", about {left:.0f} s left" if left >= 1 else ""
        print(
            f"\r{what}: {done} of {total}{waiting}\033[K" + "\r\033[K" * (done == total),
            end="",
            file=sys.stderr,
            flush=True,
        )

    return show_progress
