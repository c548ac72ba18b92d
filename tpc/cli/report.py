"""`tpc report`: a program, its limit, its numbers and finite widths on one page."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tpc.cli.arguments import add_command, add_evaluation, add_matrices, different_widths, positive
from tpc.cli.numbers import diverged_widths, error_of, require_widths, sample
from tpc.cli.shared import OK, bound, load, options_of, require_writable, writing

WIDTHS = "64,256"


def add_report(commands: Any) -> None:
    made = add_command(commands, "report", report, "write a page about the program and its limit", data=True)
    made.add_argument("-o", "--output", type=Path, required=True, metavar="F.html", help="the page to write")
    made.add_argument(
        "--widths",
        type=lambda text: [] if text == "none" else different_widths(text),
        default=different_widths(WIDTHS),
        metavar="N,N,…|none",
        help="finite widths to compare the limit with",
    )
    made.add_argument(
        "--seeds", type=positive, default=8, metavar="N", help="random initialisations at each of them"
    )
    add_matrices(made)
    add_evaluation(made)


def report(arguments: argparse.Namespace) -> int:
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.report.study import Clock, study

    require_writable(arguments.output, (".html",))
    if arguments.widths and arguments.seeds < 2:
        why = "must be at least 2, to tell how much they differ"
        raise TpcError([catalogue.running.bad_option("--seeds", why)], str(arguments.file))
    clock = Clock()
    with clock.timing("reading"):
        program, given = load(arguments)
        inputs = bound(program, given, arguments)
    require_widths(program, inputs, arguments)
    from tpc.expand import random_in_the_limit

    options = options_of(program, arguments, "integrate" if random_in_the_limit(program) else None)
    made = study(
        program,
        inputs,
        options,
        seed=arguments.seed,
        widths=arguments.widths,
        sample=lambda width: sample(program, inputs, width, arguments),
        clock=clock,
    )
    error = error_of(diverged_widths(program, inputs, made.samples), arguments)
    if error is not None:
        raise error
    from tpc.report.page import page

    text = page(made)
    writing(arguments.output, lambda part: part.write_text(text, encoding="utf-8"))
    if arguments.json:
        numbers = {} if made.result is None else made.result.to_json()
        print(json.dumps({**numbers, "program": program.name, "output": str(arguments.output)}))
    else:
        print(f"{arguments.output}: {program.name}, {len(text) / 1e3:,.0f} kB")
    return OK
