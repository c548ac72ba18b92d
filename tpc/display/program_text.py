"""Texts in colours, and with lines that can be pointed at."""

from __future__ import annotations

from collections.abc import Iterable

from tpc.display.markup import Markup, element, escaped, joined

STYLES = {
    "comment": "color:#6a737d;font-style:italic",
    "keyword": "color:#8250df;font-weight:600",
    "function": "color:#0550ae",
    "constant": "color:#0550ae",
    "number": "color:#0a7d4f",
    "operator": "color:#b35900",
    "wrong": "background:#ffd7d5",
}


def coloured(pieces: Iterable[tuple[str, str]]) -> Markup:
    """(kind, text) pairs one after another; kinds as in `tpc.syntax.highlight`."""
    return joined(
        element("span", text, style=STYLES[kind]) if kind in STYLES else escaped(text)
        for kind, text in pieces
    )


def listing(pieces: Iterable[tuple[str, str]]) -> Markup:
    """A program as it stands, in colours."""
    return element("pre", coloured(pieces), style="line-height:1.4;overflow-x:auto;margin:4px 0")


def numbered(pieces: Iterable[tuple[str, str]], prefix: str) -> Markup:
    """The same with line numbers, every line an element with the id `prefix` and its number."""
    lines: list[list[tuple[str, str]]] = [[]]
    for kind, text in pieces:
        first, *others = text.split("\n")
        lines[-1].append((kind, first))
        lines += [[(kind, other)] for other in others]
    if lines and not any(text for _, text in lines[-1]):
        lines.pop()
    rows = [
        element("span", element("i", f"{n:>4}  "), coloured(line), "\n", id=f"{prefix}{n}", class_="line")
        for n, line in enumerate(lines, 1)
    ]
    return element("pre", *rows, class_="listing")
