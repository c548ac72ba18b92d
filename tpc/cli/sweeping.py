"""`tpc run --sweep`: the limit over a grid of values of its inputs."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from tpc.cli.numbers import compiling_line, evaluator_of, progress_line
from tpc.cli.shared import INTERRUPTED, OK, REFUSED, not_written, show

if TYPE_CHECKING:
    import numpy as np

    from tpc.core.program import Program
    from tpc.diagnostics.diagnostic import Diagnostic

# what belongs to a single run, by option
ALONE = {"widths": "--widths", "checkpoint": "--checkpoint", "coordinator": "--coordinator"}


def add_sweep(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--sweep",
        action="append",
        default=[],
        metavar="NAME=LOW:HIGH:[log]N|A,B,…",
        dest="sweeps",
        help="the limit for every value of an input; given again, for every combination: a table, the best "
        "point, with --plot a figure of the last entries",
    )


def run_sweep(arguments: argparse.Namespace, program: Program, given: dict[str, np.ndarray]) -> int:
    """Prints the table, and writes what is asked for."""
    axes = _axes(arguments, given)
    evaluator = evaluator_of(program, arguments)
    shown = sys.stderr.isatty()
    found = evaluator.sweep(
        axes,
        given,
        progress=progress_line("point") if shown else None,
        compiling=compiling_line if shown else None,
        seed=arguments.seed,
        devices=arguments.devices,
        error=arguments.error,
    )
    from tpc.diagnostics.diagnostic import TpcError

    unwritten = not_written(((arguments.save, found.save), (arguments.plot, found.plot)))
    error = TpcError(unwritten, str(arguments.file)) if unwritten else None
    show(arguments, found, found.to_json(), error)
    if found.interrupted:
        return INTERRUPTED
    return OK if error is None else REFUSED


def _axes(arguments: argparse.Namespace, given: dict[str, np.ndarray]) -> dict[str, Any]:
    """The values of each input. Raises TpcError (TP602, TP662)."""
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.evaluate.sweep import parse_sweep

    wrong = _misplaced_options(arguments)
    axes: dict[str, Any] = {}
    for text in arguments.sweeps:
        name, values = parse_sweep(text)
        if name in axes or name in given:
            wrong.append(catalogue.commands.bad_sweep(name, "it is given twice"))
        axes[name] = values
    if wrong:
        raise TpcError(wrong, str(arguments.file))
    return axes


def _misplaced_options(arguments: argparse.Namespace) -> list[Diagnostic]:
    """What is given and a sweep does not have."""
    from tpc.diagnostics import catalogue

    wrong = [
        catalogue.running.bad_option(option, "belongs to a single run, and not to a --sweep")
        for name, option in ALONE.items()
        if getattr(arguments, name)
    ]
    if arguments.plot is not None and len(arguments.sweeps) > 2:
        wrong.append(catalogue.running.bad_option("--plot", "shows a --sweep over one input or two"))
    return wrong
