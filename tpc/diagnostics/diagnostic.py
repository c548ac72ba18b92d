"""What a user is told: a diagnostic is data, rendered in one place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tpc.diagnostics.spans import Span


@dataclass(frozen=True, slots=True)
class Label:
    """A place and a few words about it."""

    span: Span
    text: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing refused."""

    code: str
    message: str
    # the primary place (None: the file or the command line as a whole)
    at: Label | None = None
    # secondary ones
    also: tuple[Label, ...] = field(default=())
    help: str | None = None

    def in_line(self, what: str) -> Diagnostic:
        """This, with what made the line that it points at; the user wrote it if `what` is empty."""
        if not what or self.at is None or self.at.text:
            return self
        return replace(self, at=replace(self.at, text=what))

    def to_json(self, file: str) -> dict[str, Any]:
        def place(label: Label) -> dict[str, Any]:
            s = label.span
            return {
                "line": s.line,
                "column": s.column,
                "end_line": s.end_line,
                "end_column": s.end_column,
                "text": label.text,
            }

        return {
            "file": file,
            "code": self.code,
            "message": legible(self.message),
            "at": place(self.at) if self.at else None,
            "also": [place(label) for label in self.also],
            "help": legible(self.help) if self.help else self.help,
        }


class RefusedError(Exception):
    """One thing is refused. Passes raise it; whoever runs a pass makes a TpcError of it."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class TpcError(Exception):
    """Bad input of a user: one or several diagnostics about one file.

    `name` is the file's, `text` its source.

    of_program: `name` is the program's, as the file is not known where this was raised.
    """

    def __init__(
        self, diagnostics: Sequence[Diagnostic], name: str, text: str = "", *, of_program: bool = False
    ) -> None:
        super().__init__(diagnostics[0].message)
        self.of_program = of_program
        self.diagnostics = tuple(diagnostics)
        self.name = name
        self.text = text

    def __reduce__(self) -> tuple[Any, ...]:
        """For errors of workers.

        What an exception is made of again is all its arguments, not the message alone.
        """
        return _remade, (type(self), (str(self.args[0]),), {**self.__dict__})

    def render(self, *, colour: bool = False) -> str:
        blocks = [render(d, self.name, self.text, colour=colour) for d in self.diagnostics]
        return "\n\n".join(blocks)

    def __str__(self) -> str:
        return self.render()

    def to_json(self) -> dict[str, Any]:
        return {"errors": [d.to_json(self.name) for d in self.diagnostics]}


def in_order(errors: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Each error once at a place, in the order of the file."""
    unique = dict[object, Diagnostic]()
    for d in errors:
        unique.setdefault((d.code, d.message, d.at), d)
    return sorted(unique.values(), key=lambda d: (d.at.span.line, d.at.span.column) if d.at else (0, 0))


def _remade(kind: type[TpcError], args: tuple[str, ...], state: dict[str, Any]) -> TpcError:
    made = kind.__new__(kind)
    Exception.__init__(made, *args)
    made.__dict__.update(state)
    return made


MAX_SHOWN = 160  # columns of a source line that are shown
MAX_WORD = 200  # characters of a name
ENDLESS = re.compile(rf"\S{{{MAX_WORD},}}")
RED, BLUE, BOLD, PLAIN = "\033[1;31m", "\033[1;34m", "\033[1m", "\033[0m"


def legible(text: str) -> str:
    """What of a message may be shown.

    Names are of files and data of anybody, so they may be endless, or would move the terminal's cursor.
    """
    text = "".join(c if c.isprintable() or c == "\n" else "�" for c in text)
    return ENDLESS.sub(lambda found: f"{found[0][: MAX_WORD // 2]}…{found[0][-MAX_WORD // 4 :]}", text)


def render(d: Diagnostic, name: str, text: str, *, colour: bool = False) -> str:
    """`FILE:LINE:COLUMN: error[TPxxx]: message`, the lines concerned, and the remedy.

    Carets stand under the places.
    """
    red, blue, bold, plain = (RED, BLUE, BOLD, PLAIN) if colour else ("", "", "", "")
    name, message, remedy = legible(name), legible(d.message), legible(d.help or "")
    place = f"{name}:{d.at.span.line}:{d.at.span.column}" if d.at else name
    out = [f"{bold}{place}: {red}error[{d.code}]{plain}{bold}: {message}{plain}"]
    source = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    labels = [(label, "-") for label in d.also] + ([(d.at, "^")] if d.at else [])
    labels = sorted(
        (pair for pair in labels if 0 < pair[0].span.line <= len(source)),
        key=lambda pair: (pair[0].span.line, pair[1] == "^"),
    )
    gutter = max((len(str(label.span.line)) for label, _ in labels), default=0)
    shown = 0
    for label, mark in labels:
        line = label.span.line
        if line != shown:
            out.append(f"{blue}{line:>{gutter}} |{plain} {_visible(source[line - 1])}".rstrip())
            shown = line
        out.append(
            f"{blue}{'':>{gutter}} |{plain} "
            f"{red if mark == '^' else blue}{_underline(label, source[line - 1], mark)}{plain}".rstrip()
        )
    if remedy:
        out.append(f"{'':>{gutter}} {blue}={plain} help: {remedy}")
    return "\n".join(out)


def _visible(line: str) -> str:
    line = "".join(c if c.isprintable() or c == "\t" else "�" for c in line).replace("\t", " ")
    return line if len(line) <= MAX_SHOWN else line[:MAX_SHOWN] + " …"


def _underline(label: Label, line: str, mark: str) -> str:
    start = min(label.span.column - 1, MAX_SHOWN + 1)
    end = label.span.end_column - 1 if label.span.end_line == label.span.line else len(line)
    return " " * start + mark * max(1, min(end, MAX_SHOWN) - start) + (f" {label.text}" if label.text else "")
