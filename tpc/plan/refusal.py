"""Why a representation is not taken."""

from __future__ import annotations

from dataclasses import dataclass


class UnrepresentableError(ValueError):
    """The method asked for cannot represent the program."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What another plan says of a representation that is not taken."""

    # nothing if it goes without saying
    reason: str = ""
