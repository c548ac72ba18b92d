"""Words of messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from fractions import Fraction

LEAST = (0.6, 0.65)  # likeness of what may be meant: of names, of options


def similar(name: str, known: Iterable[str]) -> str | None:
    """What may be meant by a name; the dashes of options, which all have, do not make them alike."""
    plain = {each.removeprefix("--"): each for each in known}
    match = difflib.get_close_matches(name.removeprefix("--"), list(plain), 1, LEAST[name.startswith("--")])
    return f"did you mean `{plain[match[0]]}`?" if match else None


def quoted(name: str) -> str:
    """A name in a message; what has none is "this"."""
    return f"`{name}`" if name else "this"


def counted(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def power_of_n(power: Fraction) -> str:
    whole = power.denominator == 1 and power > 0
    return "1" if not power else "n" if power == 1 else f"n^{power}" if whole else f"n^({power})"


def as_n_grows(power: Fraction) -> str:
    """What becomes of a quantity of size n^power that is to be of order 1."""
    return f"{'grows' if power > 0 else 'vanishes'} like {power_of_n(power)}"


def either(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " or " + items[-1]
