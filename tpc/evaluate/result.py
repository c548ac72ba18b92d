"""What `run` gives: every output with its standard error, to print, save and draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Label, TpcError
from tpc.show.entries import End, end_of, plain, print_finite
from tpc.show.figures import figures_of, with_error

if TYPE_CHECKING:
    from tpc.evaluate.choice import Started
    from tpc.plan.plan import Plan
    from tpc.simulate.samples import Samples


@dataclass(frozen=True, slots=True, repr=False)
class Outcome:
    """The value of one output, and how well it is known."""

    # the mean, if the result is integrated over the start
    value: np.ndarray
    # the standard error, of the same shape; None where the value is exact
    stderr: np.ndarray | None
    # over the start, if the result is integrated over it, [size, size]; of a sweep after the grid's axes
    covariance: np.ndarray | None = None
    # where `stderr` is inf, why no error can be told
    reason: str | None = None
    # the standard error of `std`, in the shape of the value; 0 where that is exact
    std_error: np.ndarray | None = None

    def __repr__(self) -> str:
        size = self.value.size
        first, last = ((0,) * self.value.ndim, tuple(k - 1 for k in self.value.shape))
        numbers = [number_of(self, index) for index in dict.fromkeys((first, last))] if size else ["nothing"]
        shape = f"{list(self.value.shape)}: " if self.value.ndim else ""
        return f"<the outcome {shape}{', …, '.join(numbers)}>"

    def _repr_html_(self) -> str:
        from tpc.evaluate.result_tables import html_of_outcome

        return html_of_outcome(self)

    def without_error_at(self, where: np.ndarray, reason: str) -> Outcome:
        """The same without a finite error at some entries."""
        stderr = np.where(where, np.inf, 0.0 if self.stderr is None else self.stderr)
        return replace(self, stderr=stderr, reason=reason)

    @property
    def std(self) -> np.ndarray | None:
        """The standard deviation over the start, in the shape of the value."""
        return (
            None
            if self.covariance is None
            else np.sqrt(np.maximum(np.diagonal(self.covariance, 0, -2, -1), 0)).reshape(self.value.shape)
        )

    @property
    def end(self) -> End | None:
        """Where the values, or their errors, leave the finite range; None if they do not.

        An error that cannot be told is none.
        """
        return end_of(self.value, *(() if self.stderr is None or self.reason is not None else (self.stderr,)))

    def to_json(self) -> dict[str, Any]:
        """Numbers or nested lists, null for what is not finite."""
        spread = (
            {}
            if self.covariance is None
            else {
                "std": plain(self.std),
                "covariance": plain(self.covariance),
                "std_error": None if self.std_error is None else plain(self.std_error),
            }
        )
        reason = {} if self.reason is None else {"reason": self.reason}
        return {
            "value": plain(self.value),
            "stderr": None if self.stderr is None else plain(self.stderr),
            **spread,
            **reason,
        }


@dataclass(frozen=True, slots=True, repr=False)
class Result(Mapping[str, Outcome]):
    """What a run gives: a mapping of the names of outputs to what they are."""

    # its name
    program: str
    # that the outputs were computed by
    plan: Plan
    # by name
    outputs: Mapping[str, Outcome] = field(repr=False)
    # remarks on the run
    notes: tuple[str, ...] = ()
    # independent randomisations done; if the run was interrupted, fewer than planned
    repeats: int = 1
    # what the numbers are conditioned on
    start: Started | None = None
    # whether the run was interrupted, be it after the last repeat
    stopped: bool = False

    def __getitem__(self, name: str) -> Outcome:
        if name not in self.outputs:
            raise KeyError(f"there is no output {name}; there are {', '.join(self.outputs)}")
        return self.outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)

    @property
    def interrupted(self) -> bool:
        return self.stopped or self.repeats < self.plan.repeats

    @property
    def diverged(self) -> dict[str, End]:
        """The outputs that leave the finite range, and where."""
        return {name: end for name, outcome in self.outputs.items() if (end := outcome.end) is not None}

    @property
    def limits(self) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
        """What `verify` compares with finite width."""
        return {name: (outcome.value, outcome.stderr) for name, outcome in self.outputs.items()}

    def to_json(self) -> dict[str, Any]:
        plan = self.plan.to_json()
        start = {} if self.start is None else {"initial": self.start.to_json()}
        return {
            "program": self.program,
            "plan": plan,
            "outputs": {name: outcome.to_json() for name, outcome in self.outputs.items()},
            "notes": list(self.notes),
            **start,
        }

    def __str__(self) -> str:
        lines = [
            f"{self.program} at n = ∞",
            f"  {self.plan}",
            *([] if self.start is None else [f"  {self.start}"]),
        ]
        for name, outcome in self.outputs.items():
            lines += print_finite(name, outcome.value.shape, outcome.end, partial(number_of, outcome))
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def save(self, path: str | Path, samples: Sequence[Samples] = ()) -> None:
        """Writes every output and its standard error, in a file: .npz, .csv, or .tex for LaTeX.

        samples: finite widths to keep beside them, seed by seed (see `tpc.evaluate.saved_results`); in LaTeX
        their means and standard deviations over seeds. Raises OSError.
        """
        from tpc.evaluate.saved_results import save_outcomes, write_tex

        if Path(path).suffix == ".tex":
            write_tex(path, self.to_latex(samples=samples))
            return
        save_outcomes(path, self.outputs, samples)

    def plot(self, path: str | Path | None = None, *, axes: Any = None) -> np.ndarray:
        """Draws the outputs: one panel for each, but for more than three single numbers one for these.

        Errors are as they are printed, one standard error. They are drawn into a .png, .svg or .pdf file,
        into `axes` of matplotlib, of which there must be as many as panels (or one for all single numbers),
        or else into a new figure, which a notebook shows. Returns the axes, an array. Raises OSError;
        ValueError for another ending, or another number of axes.
        """
        from tpc.evaluate.result_plot import plot_result

        return plot_result(self, path, axes=axes)

    def to_pandas(self, output: str | None = None) -> Any:
        """A data frame with a row for each entry of each output: its indices, `value` and `stderr`.

        output: just this one, indexed by its axes. Raises TpcError (TP615) if pandas is not installed,
        KeyError if there is no such output.
        """
        from tpc.evaluate.result_tables import frame_of_result

        return frame_of_result(self, output)

    def to_latex(
        self, names: Mapping[str, str] | None = None, *, rows: int = 40, samples: Sequence[Samples] = ()
    ) -> str:
        """Tables of the outputs in LaTeX, without packages, for a paper.

        names: how outputs and indices are to be written, in LaTeX, by what they are called. rows: of one
        table at most; dots stand for the middle of longer ones. samples: finite widths to have beside the
        limit, means and standard deviations over seeds. Raises ValueError for fewer than 3 rows.
        """
        from tpc.evaluate.result_tables import latex_of_result

        return latex_of_result(self, names or {}, rows, samples)

    def __repr__(self) -> str:
        return f"<the result of {self.program}: {', '.join(self.outputs) or 'no outputs'}>"

    def _repr_html_(self) -> str:
        from tpc.evaluate.result_tables import html_of_result

        return html_of_result(self)


class DivergedError(TpcError):
    """Outputs are not finite (TP603).

    `partial` is the whole result; what comes before the ends in `partial.diverged` is good.
    """

    def __init__(self, partial: Result, at: Label | None = None, why: str = "") -> None:
        super().__init__(
            [
                catalogue.running.diverged(
                    [(name, end.entry, end.lasting) for name, end in partial.diverged.items()], at=at, why=why
                )
            ],
            partial.program,
            of_program=True,
        )
        self.partial = partial


def number_of(outcome: Outcome, index: tuple[int, ...]) -> str:
    """An entry as it is printed, with its error."""
    value = outcome.value[index]
    error = 0.0 if outcome.stderr is None else float(outcome.stderr[index])
    shown = with_error(float(value), error, *figures_of(value.dtype))
    if outcome.std is None:
        return shown
    of_std = 0.0 if outcome.std_error is None else float(outcome.std_error[index])
    std = float(outcome.std[index])
    spread = f"± {std:.3g}" if of_std <= 5e-3 * std else f"± ({std:.3g} ± {of_std:.1g})"
    return f"{shown}, over the start {spread}"
