"""`tpc corrections`: what the limit says of finite width."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tpc.cli.arguments import add_command, initial, positive
from tpc.cli.numbers import progress_line, start_of
from tpc.cli.shared import FIGURES, INTERRUPTED, OK, REFUSED, bound, load, require_writable, show, writing


def add_corrections(commands: Any) -> None:
    made = add_command(
        commands,
        "corrections",
        predicted,
        "predict bias and fluctuation at finite width, to first order in 1/n, from the limit",
        data=True,
    )
    made.add_argument(
        "--width", type=positive, metavar="N", help="means and deviations to expect at this width"
    )
    made.add_argument(
        "--within",
        type=share,
        nargs="?",
        const=0.01,
        metavar="P%",
        help="the width from which outputs are so near their limits, root mean square (1%%)",
    )
    made.add_argument(
        "--initial",
        type=initial,
        metavar="seed=N|zero|F.npz|F.json",
        help="scalars that are random in the limit, on which it is conditioned, and so is width n, as of run",
    )
    made.add_argument("--covariances", action="store_true", help="of all outputs with each other, too")
    made.add_argument(
        "--method",
        choices=("auto", "linear", "nodes"),
        default="auto",
        help="linear: exact, of programs that are linear in their vectors; nodes: derivatives in the weights "
        "of points (auto)",
    )
    made.add_argument("--signs", type=positive, metavar="S", help="directions on the points of one repeat")
    made.add_argument("--samples", type=positive, metavar="M", help="points of one repeat")
    made.add_argument(
        "--repeats", type=positive, metavar="R", help="independent ones, whose spread is the standard error"
    )
    made.add_argument(
        "--checkpoint",
        type=Path,
        metavar="DIR",
        help="a folder that keeps every repeat when it is done, and to resume from",
    )
    made.add_argument("--plot", type=Path, metavar="F.png", help="draw what to expect over the width")


def share(text: str) -> float:
    """A percentage, as a part of 1."""
    try:
        found = float(text.removesuffix("%")) / 100
    except ValueError:
        found = 0.0
    if not 0 < found < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is not a percentage between 0 and 100, as in 1%")
    return found


def predicted(arguments: argparse.Namespace) -> int:
    from tpc.corrections import corrections
    from tpc.diagnostics.diagnostic import TpcError

    program, given = load(arguments)
    inputs = bound(program, given, arguments)
    require_writable(arguments.plot, FIGURES)
    found = corrections(
        program,
        inputs,
        seed=arguments.seed,
        signs=arguments.signs,
        samples=arguments.samples,
        repeats=arguments.repeats,
        method=arguments.method,
        covariances=arguments.covariances,
        initial=start_of(arguments),
        progress=progress_line("repeat") if sys.stderr.isatty() else None,
        checkpoint=arguments.checkpoint,
    )
    unwritten: TpcError | None = None
    if arguments.plot is not None:
        try:
            writing(arguments.plot, found.plot)
        except TpcError as error:
            unwritten = error
    within = 0.01 if arguments.within is None else arguments.within
    text = found.shown(within=arguments.within, width=arguments.width)
    show(arguments, text, found.to_json(within=within, width=arguments.width), unwritten)
    if found.interrupted:
        return INTERRUPTED
    return OK if unwritten is None else REFUSED
