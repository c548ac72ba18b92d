"""What the limit says of finite width: for every output its bias and its fluctuation, to print and to save.

At width n an output is, to first order, a random number of mean `value + bias/n` and standard deviation
`fluctuation/√n`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tpc.core.expansion import ASSUMED, KNOWN, OF_ROOTS, ZERO, size_of, tells_nothing
from tpc.evaluate.choice import Started
from tpc.show.entries import plain, print_entries, whole
from tpc.show.figures import print_from, with_error

FIGURES = (12, 15)  # shown of an exact value, and at most beside an error
LONGEST = 24  # characters of a fraction that is shown
TELLS_NOTHING = (
    f"errors of n·bias or √n·fluctuation are more than {ASSUMED:g} times the limit and what else is known: "
    "more points (--samples) may tell"
)
DRAWN = 1000  # the width whose fluctuations are drawn


@dataclass(frozen=True)
class Correction:
    """What is known of one output: arrays of its shape.

    Where a correction does not exist its entries are NaN, and `reason` says why.
    """

    # the limit, and its standard error, None where it is exact
    value: np.ndarray
    stderr: np.ndarray | None
    # n·(mean at width n − limit), and n·variance at width n, as n → ∞
    bias: np.ndarray
    bias_stderr: np.ndarray | None
    variance: np.ndarray
    variance_stderr: np.ndarray | None
    # √n · the standard deviation at width n, whose square may be beyond the range of floats
    fluctuation: np.ndarray
    fluctuation_stderr: np.ndarray | None
    # bias and variance as exact fractions, arrays of objects; None where they are none
    exact: Mapping[str, np.ndarray] | None = None
    # the width from which both hold to a quarter, infinite if beyond the widths that were looked at, NaN or
    # None where it is not known
    first_order_from: np.ndarray | None = None
    reason: str | None = None
    # p of entries of which the means at width n are off by powers of n^(-p), 1 or 1/2; None where all p are 1
    order: np.ndarray | None = None

    def as_far_as_known(self) -> Correction:
        """The same without numbers that tell nothing: NaN, and the reason says so.

        They are not known to be other than 0, nor to be less than is assumed of a bias or a fluctuation of
        which nothing is known.
        """
        if self.bias_stderr is None or self.fluctuation_stderr is None or self.variance_stderr is None:
            return self
        size = size_of(self.value, np.zeros_like(self.value) if self.stderr is None else self.stderr)
        with np.errstate(all="ignore"):
            moves = np.where(self.variance > KNOWN * self.variance_stderr, self.fluctuation, 0)
            leans = np.where(np.abs(self.bias) > KNOWN * self.bias_stderr, np.abs(self.bias), 0)
            of_bias = tells_nothing(self.bias, self.bias_stderr, ASSUMED * np.maximum(size, moves))
            root = np.sqrt(self.variance_stderr)
            large = (root > ASSUMED * np.maximum(size, leans)) & np.isfinite(root)
            of_spread = (large | of_bias) & (moves == 0)  # no second derivative, no first one to trust
        if not of_bias.any() and not of_spread.any():
            return self
        told = "; ".join(filter(None, (self.reason, TELLS_NOTHING)))
        bias, bias_stderr = (np.where(of_bias, np.nan, x) for x in (self.bias, self.bias_stderr))
        variance, variance_stderr, fluctuation, fluctuation_stderr = (
            np.where(of_spread, np.nan, x)
            for x in (self.variance, self.variance_stderr, self.fluctuation, self.fluctuation_stderr)
        )
        return replace(
            self,
            bias=bias,
            bias_stderr=bias_stderr,
            variance=variance,
            variance_stderr=variance_stderr,
            fluctuation=fluctuation,
            fluctuation_stderr=fluctuation_stderr,
            reason=told,
            order=np.where(of_bias, OF_ROOTS, 1.0 if self.order is None else self.order),
        )

    def within(self, share: float) -> np.ndarray:
        """The least width at which the root mean square distance from the limit is `share` of that at most.

        NaN where there is none, as of a limit 0 (within its error); 1 where no width is off.
        """
        known = np.abs(self.value) > (0 if self.stderr is None else ZERO * self.stderr)
        with np.errstate(all="ignore"):
            aim = np.where(known, share * np.abs(self.value), 0)
            variance, bias = np.square(self.fluctuation / aim), self.bias / aim
            n = (variance + np.sqrt(variance**2 + 4 * bias**2)) / 2
        certain = (self.fluctuation == 0) & (self.bias == 0)
        certain &= self.fluctuation_stderr is None and self.bias_stderr is None
        least = np.maximum(1, np.ceil(np.where(certain, 1, n) * (1 - 1e-12)))
        return np.where(np.isfinite(least), least, np.nan)

    def at(self, width: int) -> Expected:
        return Expected(
            self.value + self.bias / width,
            _combined(self.stderr, None if self.bias_stderr is None else self.bias_stderr / width),
            self.fluctuation / width**0.5,
            None if self.fluctuation_stderr is None else self.fluctuation_stderr / width**0.5,
        )


@dataclass(frozen=True, slots=True)
class Expected:
    """The mean and the standard deviation of an output at one width, and how well they are known."""

    mean: np.ndarray
    mean_stderr: np.ndarray | None
    spread: np.ndarray
    spread_stderr: np.ndarray | None


@dataclass(frozen=True, repr=False)
class Corrections:
    """What `tpc corrections` gives. Printed, a table; `to_json` has every entry; `plot` draws it."""

    program: str
    # in words, how they were computed
    method: str
    outputs: Mapping[str, Correction] = field(repr=False)
    # n·covariance of two outputs at width n, by their names, over the axes of both; None if not asked for
    covariances: Mapping[tuple[str, str], np.ndarray] | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    # whether there would have been more repeats
    interrupted: bool = False
    # what limit and width n are conditioned on, if something is random in the limit
    start: Started | None = None

    def __getitem__(self, name: str) -> Correction:
        return self.outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)

    def at(self, width: int) -> dict[str, Expected]:
        """What to expect of every output at width n."""
        return {name: own.at(width) for name, own in self.outputs.items()}

    def to_json(self, *, within: float = 0.01, width: int | None = None) -> dict[str, Any]:
        """Numbers or nested lists, null for what is not there or not finite."""
        found = {name: _to_json(own, within, width) for name, own in self.outputs.items()}
        covariances: dict[str, dict[str, Any]] = {}
        for (a, b), table in (self.covariances or {}).items():
            covariances.setdefault(a, {})[b] = plain(np.asarray(table, float))
        return {
            "program": self.program,
            "method": self.method,
            **({} if self.start is None else {"initial": self.start.to_json()}),
            "within": within,
            **({"at": width} if width is not None else {}),
            "outputs": found,
            **({"covariances": covariances} if self.covariances is not None else {}),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return self.shown()

    def __repr__(self) -> str:
        return f"<the corrections of {self.program}: {', '.join(self.outputs) or 'no outputs'}>"

    def _repr_html_(self) -> str:
        """A row an output: its limit, and bias and fluctuation; pictures have bands of one width."""
        from tpc.display.families import family_row
        from tpc.display.html_tables import table, titled
        from tpc.display.markup import element

        rows = [
            family_row(name, own.value, own.fluctuation / DRAWN**0.5, partial(_line, own, None, None))
            for name, own in self.outputs.items()
        ]
        notes = [element("div", f"note: {note}") for note in self._remarks()]
        title = f"{self.program} at width n, to first order in 1/n"
        return titled(title, f"{self.method}; bands: width {DRAWN:,}", table((), rows), *notes)

    def shown(self, *, within: float | None = None, width: int | None = None) -> str:
        """As text.

        within: a share of the limit, to show the widths from which outputs are so near to it. width: one at
        which to show what to expect.
        """
        lines = [f"{self.program} at width n, to first order in 1/n", f"  {self.method}"]
        lines += [] if self.start is None else [f"  {self.start}"]
        for name, own in self.outputs.items():
            lines += print_entries(name, own.value.shape, partial(_line, own, within, width))
        for (a, b), table in (self.covariances or {}).items():
            lines += print_entries(f"n·cov({a}, {b})", table.shape, partial(_entry, table))
        return "\n".join([*lines, *(f"note: {note}" for note in self._remarks())])

    def _remarks(self) -> list[str]:
        """Why entries are unknown, and the notes."""
        reasons = [f"`{name}`: {own.reason}" for name, own in self.outputs.items() if own.reason]
        return [*reasons, *self.notes]

    def plot(self, path: str | Path) -> None:
        """Draws the expected distance from the limit over the width into a .png, .svg or .pdf file.

        Raises OSError, and ValueError for another ending.
        """
        from tpc.corrections.corrections_plot import plot_corrections

        plot_corrections(self, path)


def _combined(*errors: np.ndarray | None) -> np.ndarray | None:
    there = [np.square(error) for error in errors if error is not None]
    return np.sqrt(sum(there)) if there else None


def _entry(table: np.ndarray, i: tuple[int, ...]) -> str:
    return f"{float(table[i]):.4g}"


def _line(own: Correction, within: float | None, width: int | None, i: tuple[int, ...]) -> str:
    parts = [_number(own.value[i], _at(own.stderr, i))]
    if np.isfinite(own.bias[i]):
        exact = own.exact
        bias = _fraction(exact, "bias", i) or _number(own.bias[i], _at(own.bias_stderr, i))
        parts += [f"n·bias {bias}"]
    else:
        parts += ["n·bias unknown"]
    if np.isfinite(own.fluctuation[i]):
        parts += [f"√n·fluctuation {_number(own.fluctuation[i], _at(own.fluctuation_stderr, i))}"]
        if variance := _fraction(own.exact, "variance", i):
            parts[-1] += f" (n·variance {variance})"
    else:
        parts += ["√n·fluctuation unknown"]
    if own.first_order_from is not None and not np.isnan(own.first_order_from[i]):
        parts += [f"first order {print_from(own.first_order_from[i])}"]
    if within is not None:
        n, known = own.within(within)[i], np.isfinite(own.bias[i]) and np.isfinite(own.fluctuation[i])
        where = f"from n = {n:.0f}" if np.isfinite(n) else "at no n" if known else "from an unknown n"
        parts += [f"within {100 * within:g} % {where}"]
    if width is not None:
        at = own.at(width)
        spread = f"{at.spread[i]:.3g}" if np.isfinite(at.spread[i]) else "unknown"
        parts += [f"at n = {width}: {_number(at.mean[i], _at(at.mean_stderr, i))}, spread {spread}"]
    return ", ".join(parts)


def _fraction(exact: Mapping[str, np.ndarray] | None, which: str, i: tuple[int, ...]) -> str:
    """An exact number as it is shown; nothing where there is none, or a long one."""
    text = "" if exact is None else str(exact[which][i])
    return text if len(text) <= LONGEST else ""


def _at(errors: np.ndarray | None, i: tuple[int, ...]) -> float:
    return 0.0 if errors is None else float(errors[i])


def _number(value: float, error: float) -> str:
    return with_error(float(value), error, *FIGURES) if np.isfinite(value) else "unknown"


def _to_json(own: Correction, within: float, width: int | None) -> dict[str, Any]:
    found = {
        "value": own.value,
        "stderr": own.stderr,
        "bias": own.bias,
        "bias_stderr": own.bias_stderr,
        "fluctuation": own.fluctuation,
        "fluctuation_stderr": own.fluctuation_stderr,
    }
    if width is not None:
        at = own.at(width)
        found |= {
            "mean": at.mean,
            "mean_stderr": at.mean_stderr,
            "spread": at.spread,
            "spread_stderr": at.spread_stderr,
        }
    exact = {} if own.exact is None else {"exact": {k: _fractions(v) for k, v in own.exact.items()}}
    return {
        **{name: plain(None if x is None else np.asarray(x)) for name, x in found.items()},
        "width": whole(own.within(within)),
        "first_order_from": None if own.first_order_from is None else whole(np.round(own.first_order_from)),
        **exact,
        **({} if own.reason is None else {"reason": own.reason}),
    }


def _fractions(x: Any) -> Any:
    return (
        [_fractions(part) for part in x] if isinstance(x, np.ndarray) and x.ndim else str(np.asarray(x)[()])
    )
