"""`--stop-after STAGE`: what a stage on the way from the text makes, printed in place of the end."""

from __future__ import annotations

import argparse
import json
from typing import Any

from tpc.cli.shared import OK, load, options_of, read

# of the way from the text to the program, each printed as a file
OF_THE_FILE = {
    "parse": "the file as it is read",
    "networks": "forward passes written out",
    "autodiff": "backward passes, too",
    "updates": "updates of weights, too",
    "resolve": "that file with what its names are",
}
# what is made of a program that is right in itself
OF_THE_PROGRAM = {
    "lower": "the core program",
    "expand": "the program of the limit, without powers of n",
}
# what is made of that for given options of evaluation
OF_THE_LIMIT = {
    "plan": "how it is evaluated",
    "reorder": "the program in the order of the plan",
    "emit": "the module",
}


def add_stop_after(command: Any, last: str) -> None:
    """The option, for the stages up to `last`."""
    stages = {**OF_THE_FILE, **OF_THE_PROGRAM, **OF_THE_LIMIT}
    offered = list(stages)[: list(stages).index(last) + 1]
    command.add_argument(
        "--stop-after",
        choices=offered,
        metavar="STAGE",
        help="print what this stage makes: " + "; ".join(f"{stage}, {stages[stage]}" for stage in offered),
    )


def stop_after(arguments: argparse.Namespace) -> int:
    """Prints what the stage that is asked for makes. Later ones are not run: a file may be wrong for them."""
    stage = arguments.stop_after
    name, text = _of_file(arguments, stage) if stage in OF_THE_FILE else _of_program(arguments, stage)
    print(
        json.dumps({"file": name, "after": stage, "text": text}) if arguments.json else text,
        end="\n" if arguments.json else "",
    )
    return OK


def _of_file(arguments: argparse.Namespace, stage: str) -> tuple[str, str]:
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.pipeline import dims_in, inputs_in, print_after

    name, text, dims, settings = read(arguments)
    inputs = inputs_in(text, name)
    known = sorted(inputs | dims_in(text, name))
    unknown = [catalogue.inputs.unknown_setting(s, known) for s in settings if s not in inputs]
    if unknown:
        raise TpcError(unknown, name)
    return name, print_after(text, name, dims, stage)


def _of_program(arguments: argparse.Namespace, stage: str) -> tuple[str, str]:
    program, _ = load(arguments)
    if stage == "expand":
        from tpc.pipeline import print_expansion

        return str(arguments.file), print_expansion(program)
    if stage in OF_THE_LIMIT:
        from tpc.pipeline import print_stage

        return str(arguments.file), print_stage(stage, program, options_of(program, arguments))
    return str(arguments.file), str(program)
