"""What commands that compute numbers share: the limit and finite widths as the arguments ask for them."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.cli.shared import options_of, text_of

if TYPE_CHECKING:
    import numpy as np

    from tpc.core.program import Program
    from tpc.diagnostics.diagnostic import Diagnostic, TpcError
    from tpc.evaluate.evaluator import Evaluator
    from tpc.evaluate.result import Result
    from tpc.simulate.distribution import Histogram, Quantiles
    from tpc.simulate.samples import Samples


def result_of(
    program: Program,
    given: dict[str, np.ndarray],
    arguments: argparse.Namespace,
    *,
    together: bool = False,
    integrate: bool = False,
) -> Result:
    """integrate: over what is random in the limit, if anything is."""
    evaluator = evaluator_of(program, arguments, integrate=integrate)
    shown = _is_shown(arguments)
    devices = getattr(arguments, "devices", None)
    if together and devices is None:
        import jax

        devices = jax.local_device_count()
    return evaluator(
        given,
        seed=arguments.seed,
        progress=progress_line("repeat") if shown else None,
        compiling=compiling_line if shown else None,
        rounds=progress_line("round") if shown else None,
        devices=devices,
        checkpoint=getattr(arguments, "checkpoint", None),
        error=getattr(arguments, "error", None),
    )


def start_of(arguments: argparse.Namespace) -> Any:
    """What `--initial` says, with the arrays of a file."""
    from tpc.core.inputs import load_data

    initial = getattr(arguments, "initial", None)
    return load_data(initial) if isinstance(initial, Path) else initial


def evaluator_of(program: Program, arguments: argparse.Namespace, *, integrate: bool = False) -> Evaluator:
    """As the arguments ask for. Where somebody looks, its plan is shown before anything is computed."""
    from tpc.expand import random_in_the_limit
    from tpc.pipeline import compile_program

    initial = "integrate" if integrate and random_in_the_limit(program) else start_of(arguments)
    evaluator = compile_program(program, options_of(program, arguments, initial))
    if _is_shown(arguments):
        print(f"plan: {evaluator.plan}", file=sys.stderr)
    return evaluator


def _is_shown(arguments: argparse.Namespace) -> bool:
    return sys.stderr.isatty() and not getattr(arguments, "silent", False)


def require_widths(program: Program, inputs: dict[str, np.ndarray], arguments: argparse.Namespace) -> None:
    """Refuses widths that cannot fit before anything is computed. Raises TpcError (TP604)."""
    if arguments.widths:
        from tpc.simulate.finite_program import require_room
        from tpc.simulate.initialisation import WidthError

        for width in arguments.widths:
            with suppress(WidthError):  # what else is wrong with a width is said when it is run
                require_room(
                    program,
                    inputs,
                    width=width,
                    seeds=arguments.seeds,
                    dtype="float64" if arguments.dtype == "float64" else "float32",
                    matrices=arguments.matrices,
                )


def sample(
    program: Program,
    given: dict[str, np.ndarray],
    width: int,
    arguments: argparse.Namespace,
    checkpoint: Path | None = None,
    devices: int | None = None,
) -> Samples:
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.simulate import simulate
    from tpc.simulate.done import CheckpointError
    from tpc.simulate.initialisation import WidthError
    from tpc.simulate.seeds import SeedError

    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    progress = progress_line(f"width {width}, seed") if _is_shown(arguments) else None
    try:
        return simulate(
            program,
            given,
            width=width,
            seeds=seeds,
            dtype="float64" if arguments.dtype == "float64" else "float32",
            progress=progress,
            checkpoint=checkpoint,
            matrices=arguments.matrices,
            devices=devices,
        )
    except OSError as error:
        raise TpcError(
            [catalogue.running.cannot_write(str(checkpoint), error.strerror or str(error))],
            str(arguments.file),
        ) from None
    except (WidthError, SeedError, CheckpointError) as error:
        option = {WidthError: "--width", SeedError: "--seeds", CheckpointError: "--save"}[type(error)]
        raise TpcError([catalogue.running.bad_option(option, str(error))], str(arguments.file)) from None


def samples_to_json(
    samples: Samples,
    quantiles: Mapping[str, Quantiles] | None = None,
    histograms: Mapping[str, Histogram] | None = None,
) -> dict[str, Any]:
    from tpc.show.entries import plain

    outputs = {
        name: {
            "mean": plain(samples.mean[name]),
            "std": plain(samples.std[name]),
            **({} if quantiles is None else {"quantiles": quantiles[name].to_json()}),
            **({} if histograms is None else {"histogram": histograms[name].to_json()}),
        }
        for name in samples.outputs
    }
    return {
        "program": samples.program,
        "width": samples.width,
        "seeds": len(samples.seeds),
        "matrices": dict(samples.matrices),
        "outputs": outputs,
    }


def diverged_widths(
    program: Program, inputs: Mapping[str, np.ndarray], samples: Sequence[Samples]
) -> list[Diagnostic]:
    """What finite widths have that is not finite (TP603)."""
    from tpc.core.unfit import place_of
    from tpc.diagnostics import catalogue

    return [
        catalogue.running.diverged(
            [(name, end.entry, end.lasting) for name, end in s.diverged.items()],
            s.width,
            *place_of(program, inputs, s.diverged),
        )
        for s in samples
        if s.diverged
    ]


def error_of(found: Sequence[Diagnostic], arguments: argparse.Namespace) -> TpcError | None:
    from tpc.diagnostics.diagnostic import TpcError

    return TpcError(found, str(arguments.file), text_of(arguments)) if found else None


def compiling_line(seconds: float) -> None:
    """Says that something is compiled, until progress is shown in its place."""
    print(f"\rcompiling, about {math.ceil(seconds)} s\033[K", end="", file=sys.stderr, flush=True)


def progress_line(what: str) -> Callable[[int, int], None]:
    """Shows what is done on one line of standard error, and what is left to wait.

    The latter from the time that the last one took.
    """
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
