"""`%%tp`: a program in a cell of a notebook, after `%load_ext tpc`."""

from __future__ import annotations

import shlex
from typing import Any

from tpc.api import Program, parse
from tpc.core.inputs import parse_setting
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError

USAGE = "%%tp [NAME] [--set DIM=NUMBER …], NAME being a variable for the program, `program` if left out"


class CellError(TpcError):
    """A program in a cell is refused: shown as its messages, with carets, and without a traceback."""

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of a traceback."""
        return self.render(colour=True).split("\n")


def register(shell: Any) -> None:
    """Makes `%%tp` known to an IPython shell."""

    def tp(line: str, cell: str) -> Program:
        name, dims = arguments(line)
        program = program_of_cell(cell, name, dims)
        shell.user_ns[name] = program
        return program

    tp.__doc__ = f"A Tensor Program, compiled into a variable: {USAGE}."
    shell.register_magic_function(tp, magic_kind="cell", magic_name="tp")


def program_of_cell(text: str, name: str, dims: dict[str, object]) -> Program:
    """Raises CellError."""
    try:
        return parse(text, name=name, dims=dims)
    except TpcError as error:
        raise CellError(error.diagnostics, error.name, error.text) from None


def arguments(line: str) -> tuple[str, dict[str, object]]:
    """The variable, and the values of dims, of a line of `%%tp`. Raises CellError (TP507, TP602)."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise _refused(str(error)) from None
    name, dims = "program", dict[str, object]()
    named = False
    while words:
        word = words.pop(0)
        if word == "--set":
            if not words:
                raise _refused("--set is not followed by DIM=NUMBER")
            dims |= [_setting(words.pop(0))]
        elif named or not word.isidentifier():
            raise _refused(f"`{word}` is no name of a variable, or one too many")
        else:
            name, named = word, True
    return name, dims


def _setting(text: str) -> tuple[str, object]:
    """As the command line takes it."""
    try:
        return parse_setting(text)
    except TpcError as error:
        raise CellError(error.diagnostics, error.name) from None


def _refused(why: str) -> CellError:
    return CellError([catalogue.running.bad_option("%%tp", f"{why}; it is {USAGE}")], "<cell>")
