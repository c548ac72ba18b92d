"""`tpc run`: the limit in numbers, beside finite widths if these are asked for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.cli.arguments import (
    add_command,
    add_evaluation,
    add_matrices,
    different_widths,
    initial,
    positive,
)
from tpc.cli.numbers import (
    diverged_widths,
    error_of,
    require_widths,
    result_of,
    sample,
    samples_to_json,
)
from tpc.cli.shared import (
    FIGURES,
    INTERRUPTED,
    OK,
    REFUSED,
    bound,
    load,
    not_written,
    require_own,
    require_writable,
    show,
)
from tpc.cli.sweeping import add_sweep, run_sweep
from tpc.cli.together import add_processes, joined, working

if TYPE_CHECKING:
    import numpy as np

    from tpc.core.program import Program
    from tpc.diagnostics.diagnostic import Diagnostic
    from tpc.evaluate.result import Result
    from tpc.simulate.samples import Samples


SEEDS = 8  # at each width, if none are asked for


def add_run(commands: Any) -> None:
    made = add_command(commands, "run", run, "evaluate the limit", data=True)
    add_evaluation(made)
    made.add_argument(
        "--initial",
        type=initial,
        metavar="seed=N|zero|integrate|F.npz|F.json",
        help="scalars that are random in the limit, such as the initial function in the kernel regime: drawn "
        "(seed=0), set to 0, "
        "integrated over, or given by name",
    )
    made.add_argument(
        "--error",
        metavar="E|P%",
        help="add repeats, and then points, until every output has this error, a number, or a percentage "
        "of its values; 1%% of them, of 0.1 at least, if neither --samples nor --repeats is given, in no "
        "more "
        "than 8 times the time",
    )
    made.add_argument(
        "--save",
        type=Path,
        metavar="F.npz|F.csv|F.tex",
        help="write the outputs, and every seed of finite widths, in LaTeX their means; what tpc did not "
        "write stays as it is",
    )
    add_sweep(made)
    _add_long_runs(made)
    made.add_argument("--plot", type=Path, metavar="F.png", help="draw the outputs")
    made.add_argument(
        "--widths",
        type=different_widths,
        default=[],
        metavar="N,N,…",
        help="finite widths to show beside the limit",
    )
    made.add_argument(
        "--seeds", type=positive, metavar="N", help=f"random initialisations at each of them ({SEEDS})"
    )
    add_matrices(made)


def _add_long_runs(made: argparse.ArgumentParser) -> None:
    """What keeps long runs, and shares them among devices and processes."""
    made.add_argument(
        "--checkpoint",
        type=Path,
        metavar="DIR",
        help="a folder that keeps every repeat when it is done, and to resume from",
    )
    add_processes(made, "samples or coefficients")


def run(arguments: argparse.Namespace) -> int:
    from tpc.evaluate.result import DivergedError

    together = joined(arguments)
    _require_use(arguments)
    program, given = load(arguments)
    if not arguments.silent:
        require_own(arguments.save)
        require_writable(arguments.plot, FIGURES)
    if arguments.sweeps:
        return run_sweep(arguments, program, given)
    inputs = bound(program, given, arguments)
    require_widths(program, inputs, arguments)
    try:
        result = working(together, lambda: result_of(program, inputs, arguments, together=together))
    except DivergedError as stop:
        if not arguments.silent:
            stop.diagnostics += tuple(_unwritten(stop.partial, [], arguments))
        raise
    if arguments.silent:
        return INTERRUPTED if result.interrupted else OK
    samples, unfit = ([], []) if result.interrupted else _at_widths(program, inputs, arguments)
    data = {**result.to_json(), **({"widths": [samples_to_json(s) for s in samples]} if samples else {})}
    unwritten = _unwritten(result, samples, arguments)
    error = error_of([*unfit, *unwritten, *diverged_widths(program, inputs, samples)], arguments)
    show(arguments, "\n".join(map(str, [result, *samples])), data, error)
    if result.interrupted or any(s.interrupted for s in samples):
        return INTERRUPTED
    return OK if error is None else REFUSED


def _require_use(arguments: argparse.Namespace) -> None:
    """Refuses options of finite widths where there are none. Raises TpcError (TP602)."""
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError

    asked = {"--seeds": arguments.seeds is not None, "--matrices": arguments.matrices != "auto"}
    why = "belongs to --widths, of which there are none"
    wrong = [catalogue.running.bad_option(option, why) for option, there in asked.items() if there]
    if wrong and not arguments.widths:
        raise TpcError(wrong, str(arguments.file))
    arguments.seeds = arguments.seeds or SEEDS


def _at_widths(
    program: Program, inputs: dict[str, np.ndarray], arguments: argparse.Namespace
) -> tuple[list[Samples], Sequence[Diagnostic]]:
    """Finite widths, until one is interrupted, or there is no memory for it, and what is said then.

    The limit is to be printed all the same.
    """
    from tpc.diagnostics.diagnostic import TpcError

    out: list[Samples] = []
    for width in arguments.widths:
        if out and out[-1].interrupted:
            break
        try:
            out.append(sample(program, inputs, width, arguments))
        except TpcError as error:
            return out, error.diagnostics
    return out, ()


def _unwritten(result: Result, samples: list[Samples], arguments: argparse.Namespace) -> list[Diagnostic]:
    """Writes the files that are asked for.

    Says of which that was impossible (TP606), so that the numbers are printed all the same.
    """
    from tpc.evaluate.result_plot import plot_result

    def draw(part: Path) -> None:
        plot_result(result, part, samples)

    return not_written(((arguments.save, lambda part: result.save(part, samples)), (arguments.plot, draw)))
