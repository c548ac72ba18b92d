"""What a simulation gives: every output for every seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tpc.show.entries import End, end_of, print_finite
from tpc.show.figures import figures_of, with_error
from tpc.simulate.distribution import LEVELS, Histogram, Quantiles, histogram_of, quantiles_of


@dataclass(frozen=True, slots=True, repr=False)
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
    # what the program calls the axes of an output, as far as that is known
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

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

    def quantiles(self, levels: Sequence[float] = LEVELS) -> dict[str, Quantiles]:
        """Quantiles over seeds with their standard errors, by output (see `Quantiles`).

        Raises ValueError for levels that are no different numbers from 0 to 1.
        """
        return {name: quantiles_of(values, levels) for name, values in self.outputs.items()}

    def histogram(self, bins: int | None = None) -> dict[str, Histogram]:
        """Histograms over seeds of every entry, by output (see `Histogram`): `plt.stairs(h.counts, h.edges)`.

        bins: by the number of seeds, if left out. Raises ValueError for one that is not whole, below 1 or
        above 10,000.
        """
        return {name: histogram_of(values, bins) for name, values in self.outputs.items()}

    def to_pandas(self) -> Any:
        """A data frame with a row for each entry of each output at each seed: `seed`, indices, `value`.

        Raises TpcError (TP615) if pandas is not installed.
        """
        from tpc.simulate.sample_tables import frame_of_samples

        return frame_of_samples(self)

    def __repr__(self) -> str:
        return f"<{self._title()}: {', '.join(self.outputs) or 'no outputs'}>"

    def _repr_html_(self) -> str:
        from tpc.simulate.sample_tables import html_of_samples

        return html_of_samples(self, self._title())

    def _title(self) -> str:
        count = len(self.seeds)
        seeds = f"{count} seed{'s' * (count != 1)}"
        return f"{self.program} at width {self.width}, {seeds}{', interrupted' * self.interrupted}"

    def __str__(self) -> str:
        return self.described()

    def described(
        self,
        quantiles: Mapping[str, Quantiles] | None = None,
        histograms: Mapping[str, Histogram] | None = None,
    ) -> str:
        """Means and standard deviations as text, with quantiles and histograms beside them."""
        lines = [f"{self._title()}{' (± the standard deviation over seeds)' * (len(self.seeds) > 1)}"]
        if self.directions:
            asked = ", ".join(f"{name} ({one} + {other})" for name, (one, other) in self.directions.items())
            lines.append(f"  not drawn, exact in law, with the directions that are asked: {asked}")
        ends = self.diverged
        for name in self.outputs:
            mean, std = self.mean[name], self.std[name]
            more = [part[name] for part in (quantiles, histograms) if part is not None]

            def entry(
                index: tuple[int, ...], mean: np.ndarray = mean, std: np.ndarray = std, more: Any = more
            ) -> str:
                return "; ".join(
                    [mean_with_spread(mean, std, index), *(part.described(index) for part in more)]
                )

            lines += print_finite(name, mean.shape, ends.get(name), entry)
        return "\n".join(lines)


def mean_with_spread(mean: np.ndarray, std: np.ndarray, index: tuple[int, ...]) -> str:
    """An entry as it is printed: its mean and standard deviation over seeds."""
    if not np.isfinite(std[index]):  # of a single seed, or beyond the largest number
        return f"{mean[index]:.6g}"
    return with_error(float(mean[index]), float(std[index]), *figures_of(mean.dtype))
