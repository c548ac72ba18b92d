"""A limit against finite width.

Does the program, as it gets wider, tend to the numbers that its limit gives?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tpc.simulate.compare import (
    FLOORS,
    RESTS,
    Gap,
    Measured,
    Slope,
    fitted_slope,
    rest,
    rms_errors,
)
from tpc.simulate.forecast import Forecast
from tpc.simulate.judged import judged_forecast, judged_gap, usable_widths
from tpc.simulate.predicted import Predicted
from tpc.simulate.samples import Samples

Limits = Mapping[str, tuple[Any, Any | None]]


@dataclass(frozen=True, slots=True)
class AtWidth:
    """One output at one width.

    Arrays over its entries: mean, spread (standard deviation over seeds), standard error of the mean.
    """

    width: int
    mean: np.ndarray
    spread: np.ndarray
    stderr: np.ndarray
    # of the mean from the limit, in combined standard errors (0 where both are 0)
    deviation: np.ndarray
    # `rms`, `rms_stderr`: of the error, over seeds and entries
    rms: float
    rms_stderr: float


@dataclass(frozen=True, slots=True)
class OutputComparison:
    """One output at all widths, against its limit; `stderr` is the limit's, None if it is exact."""

    name: str
    limit: np.ndarray
    stderr: np.ndarray | None
    rows: tuple[AtWidth, ...]
    gap: Gap
    slope: Slope
    # bias and spread against what is predicted of them, if they are
    forecast: Forecast | None = None
    # what the program calls its axes, as far as that is known
    axes: tuple[str, ...] = ()

    @property
    def judged(self) -> np.ndarray:
        """Of which entries anything can be judged: those whose limit has a finite error."""
        return np.ones(self.limit.shape, bool) if self.stderr is None else ~np.isinf(self.stderr)

    @property
    def agrees(self) -> bool:
        """Nothing is seen that disagrees."""
        return self.limit_agrees and not self.disagreeing

    @property
    def limit_agrees(self) -> bool:
        return self.gap.agrees and self.slope.agrees

    @property
    def disagreeing(self) -> tuple[str, ...]:
        """What of finite width is not as predicted: bias, spread."""
        own = self.forecast
        parts = () if own is None else (("bias", own.bias), ("spread", own.variance))
        return tuple(what for what, part in parts if not part.agrees)

    @property
    def worst(self) -> tuple[int, ...]:
        """The index of the entry that agrees least."""
        sigma = np.where(np.isnan(self.gap.sigma), np.inf, self.gap.sigma)
        sigma = np.where(self.judged, sigma, -1)
        if self.forecast is not None:
            for own in (self.forecast.bias, self.forecast.variance):
                sigma = np.maximum(sigma, np.nan_to_num(own.sigma, nan=0.0))
        return tuple(int(i) for i in np.unravel_index(int(np.argmax(sigma)), sigma.shape))


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """The outcome of `verify`. Printed, a table; `to_json` has every entry; `plot` draws it."""

    program: str
    widths: tuple[int, ...]
    seeds: tuple[int, ...]
    outputs: tuple[OutputComparison, ...] = field(repr=False)
    # why bias and spread are not compared, where they are not
    notes: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        return all(output.agrees for output in self.outputs)

    @property
    def limit_agrees(self) -> bool:
        """Whether the limit does, whatever is said of what is predicted of finite width."""
        return all(output.limit_agrees for output in self.outputs)

    @property
    def title(self) -> str:
        """What agrees, or does not, with what."""
        head = f"{self.program}: the limit {'agrees' if self.limit_agrees else 'DISAGREES'} with finite width"
        off = {what for output in self.outputs for what in output.disagreeing}
        if off:
            what = " and ".join(what for what in ("bias", "spread") if what in off)
            head += f", the predicted {what} {'DISAGREE' if len(off) > 1 else 'DISAGREES'}"
        unjudged = [output.name for output in self.outputs if not output.judged.any()]
        if unjudged:
            none = f"of {', '.join(f'`{name}`' for name in unjudged)} nothing can be judged"
            head = f"{head}, {none}" if len(unjudged) < len(self.outputs) else f"{self.program}: {none}"
        seeds = str(self.seeds[0]) if len(set(self.seeds)) == 1 else ", ".join(map(str, self.seeds))
        return f"{head} (n = {', '.join(map(str, self.widths))}; {seeds} seeds)"

    def __repr__(self) -> str:
        return f"<{self.title}>"

    def _repr_html_(self) -> str:
        from tpc.simulate.sample_tables import html_of_report

        return html_of_report(self)

    def to_pandas(self) -> Any:
        """A data frame with a row for each entry of each output at each width, and the limit beside it.

        Raises TpcError (TP615) if pandas is not installed.
        """
        from tpc.simulate.sample_tables import frame_of_report

        return frame_of_report(self)

    def to_latex(self, names: Mapping[str, str] | None = None, *, rows: int = 40) -> str:
        """Tables in LaTeX: the limit, and at each width the mean over seeds, both with standard errors.

        names, rows: as of `Result.to_latex`. Raises ValueError for fewer than 3 rows.
        """
        from tpc.simulate.sample_tables import latex_of_report

        return latex_of_report(self, names or {}, rows)

    def __str__(self) -> str:
        from tpc.simulate.verify_text import print_comparison

        lines = [self.title]
        for output in self.outputs:
            lines += ["", *print_comparison(output)]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def to_json(self) -> dict[str, Any]:
        from tpc.simulate.verify_data import comparison_to_json

        return {
            "program": self.program,
            "agrees": self.agrees,
            "limit_agrees": self.limit_agrees,
            "widths": list(self.widths),
            "seeds": list(self.seeds),
            "outputs": {output.name: comparison_to_json(output) for output in self.outputs},
            "notes": list(self.notes),
        }

    def plot(self, path: str | Path) -> None:
        """A figure in the file `path`: the errors against n, and the means beside the limits."""
        from tpc.simulate.plot import plot_report

        plot_report(self, path)


def verify(
    limits: Limits,
    samples: Sequence[Samples],
    *,
    random: bool = False,
    corrections: Mapping[str, Predicted] | None = None,
    notes: Sequence[str] = (),
    order: float = 1.0,
) -> Report:
    """Compares limits with samples of the same program, one for each width.

    limits: value and standard error, None if exact, by output.

    Each entry's mean is extrapolated to n = ∞, which takes a bias O(1/n) away, or one in powers of n^(-1/2)
    where corrections tell that it may be one (`compare.py` has the statistics); it disagrees if the
    extrapolation is more than 5 σ from the limit, its own error and the limit's combined, with Student's
    correction for few seeds. With one width, which tells no bias from a gap,
    `10·max(|limit|, √n·spread)/n` is allowed for the bias. With three widths, an output disagrees as well if
    its error clearly does not go down: if the slope of log RMS error against log n is more than 3 of its
    standard errors above -1/4.
    corrections: what is predicted of finite width (`Program.corrections`), by output: bias and spread are
    compared with it, and to disagree with it by more than 5 σ is to disagree. Where it tells the width from
    which the first order in 1/n holds, an entry is judged at wider ones alone, and its limit, if there are
    none, at the widest. Where it says that the spread is mostly of a higher order, as of `mean(u)^4`, the
    limit may have the predicted bias and a remainder that decays at least like n^(-3/2) instead, and
    `10·spread` is allowed with one width (`higher_order.py`). notes: to be shown.
    order: means come near to the limit in powers of n^(-order), with no slope to judge if it is not 1.
    random: that the limits are means of what is random in the limit (integrated over the start), so that only
    means are compared, and no slopes. An output without entries is left out.
    Raises ValueError: no samples, a width twice, fewer than two seeds, outputs that are not the limits'.
    """
    ordered = sorted(samples, key=lambda s: s.width)
    widths = tuple(s.width for s in ordered)
    if not widths or len(set(widths)) < len(widths) or min(len(s.seeds) for s in ordered) < 2:
        raise ValueError("to compare, take different widths, at least one, and at least two seeds at each")
    if any(set(s.outputs) != set(limits) for s in ordered):
        raise ValueError("the samples have other outputs than the limit")
    outputs = tuple(
        _compare(
            name, *limits[name], ordered, random, None if corrections is None else corrections[name], order
        )
        for name in ordered[0].outputs
        if np.size(limits[name][0])
    )
    seeds = tuple(len(s.seeds) for s in ordered)
    return Report(ordered[0].program, widths, seeds, outputs, tuple(notes))


def _compare(
    name: str,
    value: Any,
    stderr: Any | None,
    samples: Sequence[Samples],
    random: bool,
    predicted: Predicted | None,
    order: float,
) -> OutputComparison:
    limit = np.asarray(value, dtype=float)
    error = (
        np.zeros_like(limit)
        if stderr is None
        else np.broadcast_to(np.asarray(stderr, dtype=float), limit.shape)
    )
    values = [np.asarray(s.outputs[name], dtype=float) for s in samples]
    if any(v.shape[1:] != limit.shape for v in values):
        raise ValueError(
            f"the limit of {name} has shape {limit.shape}, and at finite width {values[0].shape[1:]}"
        )
    widths = [s.width for s in samples]
    dtype = max((s.dtype for s in samples), key=FLOORS.__getitem__)
    rounding = max(
        FLOORS[dtype] * float(np.max(np.abs(limit), initial=0)),
        float(np.max(rest(limit, error, RESTS[dtype]), initial=0)),
    )
    own = 1.0 if predicted is None or predicted.order is None else predicted.order
    measured = Measured(widths, values, limit, error, np.broadcast_to(np.minimum(order, own), limit.shape))
    rms, rms_errs = rms_errors(measured)
    rows = tuple(
        _at_width(n, v, limit, error, float(r), float(e))
        for n, v, r, e in zip(widths, values, rms, rms_errs, strict=True)
    )
    slope = fitted_slope(widths, rms, rms_errs, rounding)
    usable = int(usable_widths(widths, predicted, limit.shape).min(initial=len(widths)))
    slope = Slope(None, None, usable) if random or order != 1 else replace(slope, widths=usable)
    return OutputComparison(
        name,
        limit,
        None if stderr is None else error,
        rows,
        judged_gap(measured, dtype, predicted),
        slope,
        None if predicted is None else judged_forecast(measured, predicted, rounding),
        samples[0].axes.get(name, ()),
    )


def _at_width(
    width: int, values: np.ndarray, limit: np.ndarray, error: np.ndarray, rms: float, rms_stderr: float
) -> AtWidth:
    mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1)
    stderr = spread / np.sqrt(len(values))
    combined = np.hypot(stderr, error)
    deviation = np.divide(mean - limit, combined, out=np.zeros_like(limit), where=combined > 0)
    return AtWidth(width, mean, spread, stderr, deviation, rms, rms_stderr)
