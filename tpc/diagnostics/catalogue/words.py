"""Words of messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def similar(name: str, known: Iterable[str]) -> str | None:
    match = difflib.get_close_matches(name, list(known), 1, 0.6)
    return f"did you mean `{match[0]}`?" if match else None


def quoted(name: str) -> str:
    """A name in a message; what has none is "this"."""
    return f"`{name}`" if name else "this"


def counted(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def either(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " or " + items[-1]
