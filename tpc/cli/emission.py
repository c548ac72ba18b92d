"""`tpc compile`: a program's limit as a module that stands alone."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tpc.cli.arguments import add_command, add_evaluation
from tpc.cli.shared import OK, load, options_of, require_writable, writing
from tpc.cli.stop_after import add_stop_after, stop_after


def add_compile(commands: Any) -> None:
    made = add_command(
        commands, "compile", compile_file, "write a stand-alone JAX module that evaluates the limit"
    )
    written = made.add_mutually_exclusive_group(required=True)
    written.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="F.py",
        help="`-` for standard output, with --json as `source`",
    )
    add_stop_after(written, "emit")
    add_evaluation(made)


def compile_file(arguments: argparse.Namespace) -> int:
    if arguments.stop_after is not None:
        return stop_after(arguments)
    if str(arguments.output) != "-":
        require_writable(arguments.output)
    program, _ = load(arguments)
    from tpc.pipeline import compile_program

    evaluator = compile_program(program, options_of(program, arguments))
    start, made = (
        evaluator.start,
        {"program": program.name, "plan": evaluator.plan.to_json(), "output": str(arguments.output)},
    )
    if str(arguments.output) == "-":
        if arguments.json:
            started = (
                {}
                if start is None
                else {"start": {"source": start.evaluator.source, "scalars": list(start.names)}}
            )
            print(json.dumps({**made, "source": evaluator.source, **started}, allow_nan=False))
        else:
            print(evaluator.source, end="")
        return OK
    writing(arguments.output, lambda part: part.write_text(evaluator.source, encoding="utf-8"))
    lines = [f"{arguments.output}: {evaluator.plan}"]
    if start is not None:
        path = arguments.output.with_stem(f"{arguments.output.stem}_start")
        of_start = start.evaluator
        writing(path, lambda part: part.write_text(of_start.source, encoding="utf-8"))
        made["start"] = {"plan": of_start.plan.to_json(), "output": str(path), "scalars": list(start.names)}
        lines.append(
            f"{path}: the covariances of {', '.join(start.names)}, inputs of {arguments.output}; "
            f"{of_start.plan}"
        )
    print(json.dumps(made, allow_nan=False) if arguments.json else "\n".join(lines))
    return OK
