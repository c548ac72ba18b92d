"""Ranges of options."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any


@dataclass(frozen=True, slots=True)
class Bound:
    """The range of an option: from `least` on, or above it; `wanted` is that in words."""

    option: str
    least: Fraction
    # whether `least` is none of its values
    above: bool
    # what they are below
    below: Fraction | None
    wanted: str

    def holds(self, value: Any) -> Any:
        """Whether a number is in it, or which ones of an array are."""
        least = float(self.least)
        large = value > least if self.above else value >= least
        return large if self.below is None else large & (value < float(self.below))
