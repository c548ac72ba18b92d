"""What a simulation gives: every output for every seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from tpc.show.entries import print_entries


@dataclass(frozen=True, slots=True)
class Samples:
    """Outputs of a program at finite width.

    outputs: by name, [seeds, *the output's shape], a row for each of `seeds`. interrupted: whether there are fewer than were asked for.
    """

    program: str
    width: int
    dtype: str
    seeds: tuple[int, ...]
    outputs: Mapping[str, np.ndarray] = field(repr=False)
    interrupted: bool = False

    @property
    def mean(self) -> dict[str, np.ndarray]:
        """The mean over seeds, by output."""
        return {name: np.mean(values, axis=0) for name, values in self.outputs.items()}

    @property
    def std(self) -> dict[str, np.ndarray]:
        """The standard deviation over seeds (the unbiased estimate of the variance; NaN for a single seed), by output."""
        if len(self.seeds) < 2:
            return {name: np.full(values.shape[1:], np.nan) for name, values in self.outputs.items()}
        return {name: np.std(values, axis=0, ddof=1) for name, values in self.outputs.items()}

    def __str__(self) -> str:
        count = len(self.seeds)
        lines = [f"{self.program} at width {self.width}, {count} seed{'s' * (count != 1)}{', interrupted' * self.interrupted}"
                 f"{' (± the standard deviation over seeds)' * (count > 1)}"]
        for name in self.outputs:
            lines += print_entries(name, self.mean[name].shape, partial(_number, self.mean[name], self.std[name]))
        return "\n".join(lines)


def _number(mean: np.ndarray, std: np.ndarray, index: tuple[int, ...]) -> str:
    return f"{mean[index]:.6g}" + (f" ± {std[index]:.2g}" if np.isfinite(std[index]) else "")
