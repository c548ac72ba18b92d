"""The files of helpers that are copied into emitted modules, by sections."""

from __future__ import annotations

from pathlib import Path


def copied(file: str) -> dict[str, str]:
    """The sections of a file of helpers, by title."""
    source = Path(__file__).with_name(file).read_text(encoding="utf-8")
    titled = [part.split("\n", 1) for part in source.split("# ---- ")[1:]]
    return {title.strip(): text.strip() for title, text in titled}
