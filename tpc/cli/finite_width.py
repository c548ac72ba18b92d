"""Programs at finite width: `simulate`, and `verify`, which compares them with the limit."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.cli.arguments import (
    add_command,
    add_evaluation,
    add_width_sampling,
    different_widths,
    levels,
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
from tpc.cli.together import add_processes, joined, working

if TYPE_CHECKING:
    import numpy as np

    from tpc.core.program import Program
    from tpc.corrections import Correction
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.evaluate.result import Result
    from tpc.simulate.samples import Samples


PATIENCE = 120.0  # predicted seconds that `verify` spends on what it compares finite width with


def add_simulate(commands: Any) -> None:
    made = add_command(commands, "simulate", simulate, "run the program at finite width", data=True)
    made.add_argument("--width", type=positive, required=True, metavar="N", help="the first width")
    add_width_sampling(made)
    made.add_argument(
        "--save",
        type=Path,
        metavar="F.npz",
        help="write every output of every seed to a file, and resume from it",
    )
    add_processes(made, "coordinates")
    made.add_argument(
        "--quantiles", type=levels, metavar="P,P,…", help="show quantiles over the seeds: 0.05,0.5,0.95"
    )
    made.add_argument(
        "--histogram", action="store_true", help="show how many seeds have an output between which values"
    )
    made.add_argument(
        "--bins", type=positive, metavar="N", help="of the histogram (by the number of seeds, if left out)"
    )


def add_verify(commands: Any) -> None:
    made = add_command(commands, "verify", verify, "compare the limit with finite widths", data=True)
    made.add_argument(
        "--widths",
        type=different_widths,
        default=[256, 1024, 4096],
        metavar="N,N,…",
        help="the finite widths",
    )
    made.add_argument("--plot", type=Path, metavar="F.png", help="draw the differences against the width")
    add_evaluation(made, dtype=False)
    add_width_sampling(made)


def simulate(arguments: argparse.Namespace) -> int:
    together = joined(arguments)
    program, given = load(arguments)
    if not arguments.silent:
        require_writable(arguments.save)
    _require_bins(arguments)
    inputs = bound(program, given, arguments)
    devices = arguments.devices or (1 if together else None)
    samples = working(
        together, lambda: sample(program, inputs, arguments.width, arguments, arguments.save, devices)
    )
    error = error_of(diverged_widths(program, inputs, [samples]), arguments)
    _show_samples(samples, arguments, error)
    return INTERRUPTED if samples.interrupted else OK if error is None else REFUSED


def _show_samples(samples: Samples, arguments: argparse.Namespace, error: TpcError | None) -> None:
    """Prints them, with the quantiles and histograms that are asked for."""
    quantiles = samples.quantiles(arguments.quantiles) if arguments.quantiles else None
    asked = arguments.histogram or arguments.bins
    histograms = samples.histogram(arguments.bins) if asked else None
    text = samples.described(quantiles, histograms)
    show(arguments, text, samples_to_json(samples, quantiles, histograms), error)


def _require_bins(arguments: argparse.Namespace) -> None:
    """Raises TpcError (TP602)."""
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.simulate.distribution import MOST_BINS

    if arguments.bins and arguments.bins > MOST_BINS:
        why = f"must be at most {MOST_BINS}, not {arguments.bins}"
        raise TpcError([catalogue.running.bad_option("--bins", why)], str(arguments.file))


def _predicted(
    program: Program, inputs: dict[str, np.ndarray], result: Result, arguments: argparse.Namespace
) -> tuple[Mapping[str, Correction] | None, Sequence[str]]:
    """What the limit says of finite width, or why it says nothing."""
    from tpc.corrections import SlowError, corrections
    from tpc.diagnostics.diagnostic import TpcError

    try:
        found = corrections(program, inputs, limit=result, seed=arguments.seed, patience=PATIENCE)
    except SlowError as slow:
        return None, [
            f"bias and spread are not predicted: that would take about {slow.seconds:.0f} s, as `tpc "
            "corrections` does"
        ]
    except TpcError as error:
        return None, [f"bias and spread are not predicted: {d.message}" for d in error.diagnostics]
    if found.interrupted:
        raise KeyboardInterrupt
    return found.outputs, [f"of `{name}`: {own.reason}" for name, own in found.outputs.items() if own.reason]


def verify(arguments: argparse.Namespace) -> int:
    program, given = load(arguments)
    inputs = bound(program, given, arguments)
    from tpc.corrections.powers import order_of
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.simulate import verify as compared

    if arguments.seeds < 2:
        raise TpcError(
            [catalogue.running.bad_option("--seeds", "must be at least 2, to tell how much they differ")],
            str(arguments.file),
        )
    require_writable(arguments.plot, FIGURES)
    require_widths(program, inputs, arguments)
    result = result_of(program, inputs, arguments, integrate=True)
    if result.interrupted:
        raise KeyboardInterrupt
    samples = []
    for width in arguments.widths:
        samples.append(sample(program, inputs, width, arguments))
        if samples[-1].interrupted:
            raise KeyboardInterrupt
    error = error_of(diverged_widths(program, inputs, samples), arguments)
    if error is not None:
        data = {
            "program": program.name,
            "plan": result.plan.to_json(),
            "widths": [samples_to_json(s) for s in samples],
        }
        show(arguments, "\n".join(map(str, [result, *samples])), data, error)
        return REFUSED
    predicted, notes = _predicted(program, inputs, result, arguments)
    report = compared(
        result.limits,
        samples,
        random=result.start is not None,
        corrections=predicted,
        notes=(*result.notes, *notes),
        order=order_of(program),
    )
    if arguments.plot is not None:
        try:
            writing(arguments.plot, report.plot)
        except TpcError as unwritten:
            show(arguments, report, {**report.to_json(), "plan": result.plan.to_json()}, unwritten)
            return REFUSED
    show(arguments, report, {**report.to_json(), "plan": result.plan.to_json()})
    return OK if report.agrees else FAILED
