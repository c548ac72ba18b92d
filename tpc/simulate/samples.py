"""What a simulation gives: every output for every seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from tpc.show.entries import End, end_of, print_finite


@dataclass(frozen=True, slots=True)
class Samples:
    """Outputs of a program at finite width."""

    program: str
    width: int
    dtype: str
    seeds: tuple[int, ...]
    # by name, [seeds, *the output's shape], a row for each of `seeds`
    outputs: Mapping[str, np.ndarray] = field(repr=False)
    # whether there are fewer than were asked for
    interrupted: bool = False
    # by name of matrix, "dense" if it was drawn, "free" if only what it was asked was
    matrices: Mapping[str, str] = field(default_factory=dict, repr=False)
    # of those that were not drawn, the most directions of its columns and of its rows that it was asked
    directions: Mapping[str, tuple[int, int]] = field(default_factory=dict, repr=False)

    @property
    def mean(self) -> dict[str, np.ndarray]:
        """The mean over seeds, by output."""
        with np.errstate(all="ignore"):
            return {name: np.mean(values, axis=0) for name, values in self.outputs.items()}

    @property
    def std(self) -> dict[str, np.ndarray]:
        """The standard deviation over seeds, by output.

        From the unbiased estimate of the variance; NaN for a single seed.
        """
        if len(self.seeds) < 2:
            return {name: np.full(values.shape[1:], np.nan) for name, values in self.outputs.items()}
        with np.errstate(all="ignore"):
            return {name: np.std(values, axis=0, ddof=1) for name, values in self.outputs.items()}

    @property
    def diverged(self) -> dict[str, End]:
        """The outputs that leave the finite range for some seed, and where the first of the seeds does."""
        ends = {name: end_of(*values) for name, values in self.outputs.items()}
        return {name: end for name, end in ends.items() if end is not None}

    def __str__(self) -> str:
        count = len(self.seeds)
        lines = [
            f"{self.program} at width {self.width}, {count} "
            f"seed{'s' * (count != 1)}{', interrupted' * self.interrupted}"
            f"{' (± the standard deviation over seeds)' * (count > 1)}"
        ]
        if self.directions:
            asked = ", ".join(f"{name} ({one} + {other})" for name, (one, other) in self.directions.items())
            lines.append(f"  not drawn, exact in law, with the directions that are asked: {asked}")
        ends = self.diverged
        for name in self.outputs:
            mean, std = self.mean[name], self.std[name]
            lines += print_finite(name, mean.shape, ends.get(name), partial(_number, mean, std))
        return "\n".join(lines)


def _number(mean: np.ndarray, std: np.ndarray, index: tuple[int, ...]) -> str:
    return f"{mean[index]:.6g}" + (f" ± {std[index]:.2g}" if np.isfinite(std[index]) else "")
