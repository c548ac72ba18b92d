"""Figures written to files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

MISSING = re.compile(r"Glyph (\d+) .*missing from")


def literal(text: str) -> str:
    """Text that matplotlib does not take for mathematics."""
    return text.replace("$", r"\$")


def svg_text(figure: Any) -> str:
    """A figure as an SVG file, the same every time, its letters as text."""
    from matplotlib import rc_context

    made = BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "tpc"}):
        save(figure, made, format="svg", metadata={"Date": None})
    return made.getvalue().decode("utf-8")


def svg_element(figure: Any) -> str:
    """The same to stand in a page."""
    text = svg_text(figure)
    return text[text.index("<svg") :]


def save(figure: Any, path: str | Path | BinaryIO, **options: Any) -> None:
    """Writes a matplotlib figure into a file.

    Warns once (UserWarning) of all letters that its font does not have. Raises OSError.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(path, **options)
    if letters := _missing_letters(caught):
        vector = not isinstance(path, str | Path) or Path(path).suffix == ".svg"
        kept = "" if vector else "; an .svg or .dot graph has them as text"
        warnings.warn(
            f"the font of figures has no {' '.join(letters)}: boxes stand for them{kept}", stacklevel=2
        )


def _missing_letters(caught: Iterable[warnings.WarningMessage]) -> list[str]:
    """The letters that warnings name, each once; other warnings are given again."""
    letters: dict[str, None] = {}
    for warning in caught:
        found = MISSING.match(str(warning.message))
        if found:
            letters[chr(int(found[1]))] = None
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return list(letters)
