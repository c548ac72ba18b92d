"""Standard streams that are closed, full or of a narrow encoding.

What a long run found is not lost for their sake.
"""

from __future__ import annotations

import codecs
import os
import sys
from typing import TextIO

SPELLED = {
    "∞": "inf",
    "±": "+-",
    "·": "*",
    "×": "x",
    "√": "sqrt",
    "→": "->",
    "←": "<-",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "≈": "~",
    "−": "-",
    "–": "-",
    "…": "...",
    "“": '"',
    "”": '"',
    "’": "'",
    "Σ": "sum ",
    "∂": "d",
    "∈": "in",
    "ᵀ": ".T",
    "⊤": "T",
    "⁺": "+",
    "²": "^2",
    "³": "^3",
    "½": "1/2",
    "Ẑ": "Zhat",
    "Ż": "Zdot",
    "\u030a": "_lim",
    "ℝ": "R",
    "│": "|",
    "—": "-",
}


def spelled_out(error: UnicodeError) -> tuple[str, int]:
    """A handler for `codecs`: what an encoding lacks in letters that all have, Greek ones by name."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    import unicodedata

    from tpc.core.greek import spelled

    out = []
    for letter in error.object[error.start : error.end]:
        plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
        out.append(SPELLED.get(letter) or (spelled(letter) if spelled(letter) != letter else plain or "?"))
    return "".join(out), error.end


def prepare() -> None:
    """Makes standard output and error take any text.

    A closed one is replaced by nowhere: nothing that is written there can be missed.
    """
    codecs.register_error("spelled out", spelled_out)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="spelled out")


def say(text: str) -> None:
    """Prints on standard error, if that can be written."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        abandon(sys.stderr)


def abandon(stream: TextIO) -> None:
    """Lets a stream that cannot be written lead nowhere.

    Python would stumble over it once more at its end.
    """
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):  # it is none of the system's, or closed
        return
