"""HTML in which only what is `Markup` already stands as it is; all other text is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

FAINT = "color:#777"


class Markup(str):
    """Text that is HTML already. Whoever makes one answers for it."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """Text as HTML that shows it; control characters, which HTML does not have, as �."""
    if isinstance(text, Markup):
        return text
    legible = "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)
    return Markup(escape(legible, quote=True))


def joined(parts: Iterable[str]) -> Markup:
    return Markup("".join(map(escaped, parts)))


def element(name: str, *children: str, **attributes: str | None) -> Markup:
    """`<name attributes>children</name>`, all escaped; an attribute that is None is left out.

    `class_` is written `class`, and `data_line` `data-line`.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{given}>{joined(children)}</{name}>")
