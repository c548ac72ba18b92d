"""What is wrong with what commands are asked for besides a program: TP66."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.diagnostics.catalogue.words import similar
from tpc.diagnostics.diagnostic import Diagnostic


def unknown_page(kind: str, name: str, known: Sequence[str]) -> Diagnostic:
    """kind: topic, code or example."""
    return Diagnostic(
        "TP661", f"there is no {kind} `{name}`", help=similar(name, known) or f"there are {', '.join(known)}"
    )


def bad_sweep(what: str, why: str) -> Diagnostic:
    return Diagnostic(
        "TP662",
        f"`{what}` cannot be swept: {why}",
        help="write `NAME=LOW:HIGH:N` (evenly), `NAME=LOW:HIGH:logN` (by factors) or `NAME=A,B,C`, for an "
        "input that is a single number",
    )


def swept_dim(name: str) -> Diagnostic:
    return Diagnostic(
        "TP663",
        f"`{name}` is a dim, and cannot be swept: every value of it makes another program",
        help=f"run one after the other, with `--set {name}=…`; a training of T steps has all losses before",
    )
