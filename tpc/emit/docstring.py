"""The docstring of an emitted module: what it computes, on what that rests, and the program."""

from __future__ import annotations

from collections.abc import Iterator

from tpc.core.printer import print_program
from tpc.core.program import Program

WIDEST = 120
MOST_LINES, MOST_CHARACTERS = 400, 20_000  # of a program that is shown


def docstring(program: Program, how: str) -> str:
    """how: what the numbers rest on."""
    name = "".join(c if c.isalnum() or c in "_-. " else "_" for c in program.name)
    source = program.source
    if source is None:
        shown, text = "The program, in the core language:", print_program(program)
    else:
        dims = ", ".join(f"{name} = {value}" for name, value in source.dims)
        shown, text = f"The program{f', with {dims}' * bool(dims)}:", source.text
    lines = [
        f"The infinite-width limit of the Tensor Program `{name}`, written by tpc.",
        "",
        how,
        "",
        shown,
        "",
        *(f"    {line}" if line else "" for line in _escaped(_cut(text))),
    ]
    return "\n".join([f'"""{lines[0]}', *lines[1:], '"""'])


def _cut(text: str) -> str:
    """A text without what is too long of it, which is said."""
    lines = text.strip("\n").splitlines() or [""]
    kept = lines[:MOST_LINES]
    while sum(map(len, kept)) > MOST_CHARACTERS and len(kept) > 1:
        kept = kept[: len(kept) // 2]
    kept[0] = kept[0] if len(kept[0]) <= MOST_CHARACTERS else f"{kept[0][:MOST_CHARACTERS]} …"
    rest = len(lines) - len(kept)
    return "\n".join([*kept, *[f"… and {rest} more lines"] * bool(rest)])


def _escaped(text: str) -> Iterator[str]:
    """The lines of a text as they stand in triple quotes, which nothing in it ends.

    Long ones go on after a backslash.
    """
    for line in text.split("\n"):
        room = WIDEST - len("    \\")
        shown, before = "", ""
        for c in line.rstrip():
            part, before = _character(c, before), c
            if len(shown) + len(part) > room:
                cut = shown.rfind(" ") + 1 or len(shown)
                yield f"{shown[:cut]}\\"
                shown = shown[cut:]
            shown += part
        yield shown


def _character(c: str, before: str) -> str:
    if c == "\\" or c == before == '"':
        return f"\\{c}"
    return c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode("ascii")
