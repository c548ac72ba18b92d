"""Commands on a program's text and formulas: `check`, `lower`, `derive`, `graph`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.cli.arguments import add_command
from tpc.cli.shared import OK, bound, load, require_writable, writing
from tpc.cli.stop_after import add_stop_after, stop_after

if TYPE_CHECKING:
    from tpc.core.program import Program

COLUMN = 34.0  # letters of a line in LaTeX, of one of two columns of 230 pt
MOST_UNROLLED = 4000  # instances of instructions that `derive --unroll` writes out


def add_check(commands: Any) -> None:
    add_command(commands, "check", check, "look for mistakes")


def check(arguments: argparse.Namespace) -> int:
    program, given = load(arguments)
    if given:
        bound(program, given, arguments)
    from tpc.core.language import language_of

    language = language_of(program)
    if arguments.json:
        found = {"program": program.name, "language": language, "errors": [], "notes": list(program.notes)}
        print(json.dumps(found, allow_nan=False))
    else:
        from tpc.diagnostics.diagnostic import legible

        print(f"{legible(str(arguments.file))}: {program.name} is a {language} program")
    return OK


def add_lower(commands: Any) -> None:
    made = add_command(commands, "lower", lower, "print the core program (Def 7.1) that the file stands for")
    made.add_argument(
        "--after",
        choices=("networks", "autodiff", "updates"),
        dest="stop_after",
        help="print the file after this pass: forward passes; backward passes too; updates of weights too",
    )
    add_stop_after(made, "lower")


def lower(arguments: argparse.Namespace) -> int:
    if arguments.stop_after is not None:
        return stop_after(arguments)
    program, _ = load(arguments)
    print(
        json.dumps({"program": program.name, "core": str(program)}) if arguments.json else program,
        end="\n" if arguments.json else "",
    )
    return OK


def add_derive(commands: Any) -> None:
    made = add_command(commands, "derive", derive, "print the Z-recursion of the limit (Def 7.3)")
    made.add_argument(
        "--format",
        choices=("text", "latex", "json"),
        default="text",
        help="of the formulas; latex: for a paper that uses amsmath and amssymb",
    )
    made.add_argument(
        "--columns",
        type=int,
        choices=(1, 2),
        help="of the paper, to which lines in LaTeX are broken: of 345 pt, or of 230 (1 if left out)",
    )
    made.add_argument("--unroll", action="store_true", help="write loops out")
    add_stop_after(made, "expand")


def derive(arguments: argparse.Namespace) -> int:
    wrong = None
    if arguments.stop_after is not None and (arguments.unroll or arguments.format != "text"):
        wrong = "--stop-after", "prints no formulas, which --unroll and --format are for"
    elif arguments.columns is not None and (arguments.json or arguments.format != "latex"):
        wrong = "--columns", "are those of --format latex"
    if wrong is not None:
        from tpc.diagnostics import catalogue
        from tpc.diagnostics.diagnostic import TpcError

        raise TpcError([catalogue.running.bad_option(*wrong)], str(arguments.file))
    if arguments.stop_after is not None:
        return stop_after(arguments)
    program, _ = load(arguments)
    if arguments.unroll:
        program = _unrolled(program, arguments)
    from tpc.pipeline import derive_limit

    limit = derive_limit(program)
    if arguments.json or arguments.format == "json":
        print(json.dumps(limit.to_json(), allow_nan=False))
    else:
        from tpc.derive.latex_blocks import PAGE

        width = COLUMN if arguments.columns == 2 else PAGE
        print(limit.to_latex(width=width) if arguments.format == "latex" else limit.text())
    return OK


def _unrolled(program: Program, arguments: argparse.Namespace) -> Program:
    from tpc.core.unroll import unroll
    from tpc.core.wellformed import instances
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError

    count = instances(program.body)
    if count > MOST_UNROLLED:
        why = (
            f"the loops written out make {count:,} instructions, more than {MOST_UNROLLED:,}; make dims "
            "smaller by --set"
        )
        raise TpcError([catalogue.running.bad_option("--unroll", why)], str(arguments.file))
    return unroll(program)


def add_graph(commands: Any) -> None:
    made = add_command(commands, "graph", graph, "draw the dependency graph")
    made.add_argument(
        "-o", "--output", type=Path, required=True, metavar="F.svg|.png|.dot", help="the file of the picture"
    )


def graph(arguments: argparse.Namespace) -> int:
    require_writable(arguments.output, (".svg", ".png", ".dot"))
    program, _ = load(arguments)
    from tpc.show.draw import draw

    writing(arguments.output, lambda part: draw(program, part))
    if arguments.json:
        from tpc.core.graph import dependency_graph

        made = dependency_graph(program)
        print(
            json.dumps(
                {
                    "program": program.name,
                    "nodes": [{"name": n, **_plain(d)} for n, d in made.nodes(data=True)],
                    "edges": [{"from": a, "to": b, **_plain(d)} for a, b, d in made.edges(data=True)],
                }
            )
        )
    return OK


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        if isinstance(value, bool | int | str | type(None))
        else list(value)
        if isinstance(value, tuple)
        else str(value)
        for key, value in data.items()
    }
