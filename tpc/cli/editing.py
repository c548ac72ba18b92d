"""Commands for editors: `fmt`, which lays a program's text out, and `lsp`, the language server."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tpc.cli.shared import FAILED, OK, source_of, writing


def add_fmt(commands: Any) -> None:
    made = commands.add_parser(
        "fmt",
        help="lay the text of a program out",
        description="Lay the text of a program out: spaces, indentation and blank lines, in place. "
        "What is written stays, comments too.",
    )
    made.set_defaults(command=fmt)
    made.add_argument(
        "file", type=Path, metavar="FILE", help="a .tp file; `-` for standard input, to standard output"
    )
    made.add_argument(
        "--check", action="store_true", help="change nothing; exit status 1 if it would be changed"
    )
    made.add_argument("--json", action="store_true", help="print one JSON object")


def fmt(arguments: argparse.Namespace) -> int:
    from tpc.editors.layout_text import laid_out

    piped = str(arguments.file) == "-"
    text = source_of(arguments)
    name = str(arguments.file)
    made = laid_out(text, name)
    changed = made != text
    if not arguments.check and piped:
        print(json.dumps({"changed": changed, "text": made}) if arguments.json else made, end="")
        return OK
    if not arguments.check and changed:
        writing(arguments.file, lambda part: part.write_text(made, encoding="utf-8", newline="\n"))
    if arguments.json:
        print(json.dumps({"file": name, "changed": changed}))
    elif changed:
        print(f"{name}: {'would be laid out anew' if arguments.check else 'laid out anew'}")
    return FAILED if changed and arguments.check else OK


def add_lsp(commands: Any) -> None:
    made = commands.add_parser(
        "lsp",
        help="the language server, for editors",
        description="The language server: editors start it, and use its standard input and output.",
    )
    made.set_defaults(command=lsp)
    made.set_defaults(file=Path("tpc lsp"), json=False)  # for messages


def lsp(arguments: argparse.Namespace) -> int:
    from tpc.machine.packages import needing

    with needing("pygls", "tpc lsp"):
        from tpc.editors.server import serve

        serve()
    return OK
