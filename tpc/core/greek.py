"""Greek letters and their names, one identifier each way it is written."""

from __future__ import annotations

import unicodedata

_SMALL = {
    chr(c): unicodedata.name(chr(c)).rsplit(" ", 1)[1].lower().replace("lamda", "lambda")
    for c in range(0x3B1, 0x3CA)
    if c != 0x3C2
}
LETTERS = {name: letter for letter, name in _SMALL.items()} | {
    name.capitalize(): letter.upper() for letter, name in _SMALL.items()
}
_NAMES = {letter: name for name, letter in LETTERS.items()} | {
    "ς": "sigma",
    "ϕ": "phi",
    "ϵ": "epsilon",
    "ϑ": "theta",
    "ϱ": "rho",
}


def spelled(identifier: str) -> str:
    """A lone Greek letter by its name, as programs keep it."""
    return _NAMES.get(identifier, identifier)


def normalise(identifier: str) -> str:
    """The one spelling of an identifier: NFKC, and a Greek letter is its name."""
    return _NAMES.get(identifier) or spelled(unicodedata.normalize("NFKC", identifier))
