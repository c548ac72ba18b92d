"""Axes of arrays in modules of covariances: where they stand, and their letters in contractions."""

from __future__ import annotations

from collections.abc import Sequence


def missing(axes: Sequence[str], variable: str) -> str:
    """The subscript that puts an array over one variable in its place."""
    behind = len(axes) - 1 - list(axes).index(variable)
    return f"[:{', None' * behind}]" if behind else ""


def letters(variables: Sequence[str]) -> dict[str, str]:
    """A letter for each variable, its own where that is free."""
    out: dict[str, str] = {}
    for v in variables:
        wish = [v[0], *"ijklpqrsabcdefghmnotuvwxyz"]
        out[v] = next(c for c in wish if c.isascii() and c.isalpha() and c not in out.values())
    return out
