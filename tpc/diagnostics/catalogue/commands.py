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
