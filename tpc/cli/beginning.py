"""Commands to begin with: `new`, `examples` and `completion`."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from tpc.cli.arguments import Command
from tpc.cli.shared import OK, make_new

SHELLS = ("bash", "zsh", "fish")
STARTER = Path(__file__).with_name("starter")
NEXT = """{program} and {data} are written. What comes next:
  tpc check {program}
  tpc run {program} --data {data}
  tpc run {program} --data {data} --plot {figure} --widths 256
Put your own numbers in {data}, a row an example, and set N and B to their counts.
`tpc help tutorial` goes on from here."""
COPIED = (".tp", ".npz", ".csv")


def add_topical(commands: Any, name: str, function: Command, text: str) -> argparse.ArgumentParser:
    """A command that is not about a program's file. `file` stands for it in messages."""
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}."
    )
    made.set_defaults(command=function, file=Path(name))
    made.add_argument("--json", action="store_true", help="print one JSON object")
    return made


def add_new(commands: Any) -> None:
    made = add_topical(commands, "new", new, "begin a program: a commented file with data of its own")
    made.add_argument("name", type=Path, metavar="NAME", help="what to call it: NAME.tp and NAME.csv")


def new(arguments: argparse.Namespace) -> int:
    """Writes a program and its data, neither of which may be there."""
    name = arguments.name.with_suffix("") if arguments.name.suffix == ".tp" else arguments.name
    if not name.name.strip(".") or not name.name.isprintable():
        from tpc.diagnostics import catalogue
        from tpc.diagnostics.diagnostic import TpcError

        raise TpcError([catalogue.running.bad_option("NAME", "must be the name of a file")], "new")
    program, data = (name.with_name(f"{name.name}{ending}") for ending in (".tp", ".csv"))
    text = (STARTER / "net.tp").read_text(encoding="utf-8").replace("NAME", name.name)
    make_new({program: text.encode(), data: (STARTER / "net.csv").read_bytes()})
    if arguments.json:
        print(json.dumps({"program": str(program), "data": str(data)}))
    else:
        figure = name.with_name(f"{name.name}.png")
        typed = {"program": program, "data": data, "figure": figure}
        print(NEXT.format(**{word: _typed(path) for word, path in typed.items()}))
    return OK


def _typed(path: Path) -> str:
    """A path as it is written in a command, where it is no option."""
    return shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))


def add_examples(commands: Any) -> None:
    made = add_topical(commands, "examples", examples, "list the programs that come with tpc, or copy some")
    made.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="a program, a folder of them, or `all`: copied, with its data",
    )
    made.add_argument("-o", "--output", type=Path, default=Path(), metavar="DIR", help="where to")


def examples(arguments: argparse.Namespace) -> int:
    from tpc.machine.shipped import programs

    root = programs()
    there = sorted(path for path in root.glob("*/*") if path.suffix in COPIED)
    if not arguments.names:
        _list(arguments, root, [path for path in there if path.suffix == ".tp"])
        return OK
    chosen = [path for name in arguments.names for path in _named(name, there)]
    copies = {arguments.output / path.name: path for path in chosen}
    make_new({copy: path.read_bytes() for copy, path in copies.items()})
    if arguments.json:
        print(json.dumps({"written": [str(copy) for copy in copies]}))
    else:
        print("\n".join(map(str, copies)))
    return OK


def _list(arguments: argparse.Namespace, root: Path, there: list[Path]) -> None:
    told = {path.relative_to(root).with_suffix("").as_posix(): _first_words(path) for path in there}
    if arguments.json:
        print(json.dumps(told))
        return
    size = max(map(len, told))
    print("\n".join(f"{name:{size}}  {words}" for name, words in told.items()))
    print("\n`tpc examples NAME` copies one into this folder.")


def _first_words(path: Path) -> str:
    """The first sentence of the comment that a program begins with."""
    first = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
    return first if len(first) <= 90 else f"{first[:88].rsplit(' ', 1)[0]} …"


def _named(name: str, there: list[Path]) -> list[Path]:
    """The files of a program, a folder or all. Raises TpcError (TP661)."""
    wanted = name.removesuffix(".tp").removeprefix("programs/")
    found = [
        path
        for path in there
        if wanted in ("all", path.parent.name, path.stem, f"{path.parent.name}/{path.stem}")
    ]
    if not found:
        from tpc.diagnostics import catalogue
        from tpc.diagnostics.diagnostic import TpcError

        known = sorted({word for path in there for word in (path.stem, path.parent.name)})
        raise TpcError([catalogue.commands.unknown_page("example", name, known)], "examples")
    return found


def add_completion(commands: Any) -> None:
    made = add_topical(commands, "completion", completion, "print what completes commands in a shell")
    made.add_argument("shell", choices=SHELLS, help='for example: eval "$(tpc completion bash)"')


def completion(arguments: argparse.Namespace) -> int:
    """Made by shtab of the parser, so that no option is forgotten, and pressing a key starts no Python."""
    import shtab

    from tpc.cli.main import parser

    top = parser()
    for action in top.every_action():
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    text = shtab.complete(top, shell=arguments.shell)
    print(json.dumps({"shell": arguments.shell, "text": text}) if arguments.json else text)
    return OK
