"""Sweeps: a limit for every combination of values of some inputs, compiled once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tpc.core.given import numbers
from tpc.core.greek import normalise
from tpc.core.program import Program
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.evaluate.result import DivergedError, Outcome, Result
from tpc.evaluate.saved_results import SWEPT_COLUMNS, arrays_of, entries, write_archive, write_csv, write_tex
from tpc.show.entries import plain
from tpc.show.figures import with_error

MOST_POINTS = 10_000
MOST_ROWS = 60  # that a table shows
SHOWN_FIGURES = 5  # of swept values


@dataclass(frozen=True, repr=False)
class Sweep:
    """The limits at every point of a grid.

    Arrays have the axes of the grid first. Points that diverged, or were not reached before an interruption,
    have NaN where there is no finite value.
    """

    program: str
    # the values of each input that is swept, in the order of the grid's axes
    axes: Mapping[str, np.ndarray]
    # by name, [*grid, *the output's shape]
    outputs: Mapping[str, Outcome] = field(repr=False)
    # at which points values are not finite
    diverged: np.ndarray = field(repr=False)
    notes: tuple[str, ...] = ()
    # how many points were computed
    done: int = 0

    @property
    def interrupted(self) -> bool:
        return self.done < self.diverged.size

    def summary(self, name: str) -> Outcome:
        """An output as one number for each point: the last entry along its first axis, the mean of others.

        Of a mean the standard error is the largest one of its entries, and so is that of its deviation over
        the start, which has their covariances. Without entries it is NaN.
        """
        grid, own = self.diverged.ndim, self.outputs[name]
        value, parts = own.value, [own.stderr, own.std_error]
        if not value.size:
            return Outcome(np.full(self.diverged.shape, np.nan), None)
        shown = np.zeros(value.shape[grid:])  # what an entry counts for
        shown[self._last(name) if shown.ndim else ...] = 1
        shown /= shown.sum()
        if shown.ndim:
            value = value.take(-1, grid)
            parts = [None if part is None else part.take(-1, grid) for part in parts]
        over = tuple(range(grid, value.ndim))
        stderr, std_error = (None if part is None else part.max(over, initial=0) for part in parts)
        covariance = own.covariance
        if covariance is not None:
            covariance = (shown.ravel() @ covariance @ shown.ravel())[..., None, None]
        return Outcome(value.mean(over), stderr, covariance, std_error=std_error)

    def label(self, name: str) -> str:
        """What `summary` is of an output."""
        last = self._last(name)
        return f"{self._mean_of(name)}{name}" + ("" if last is None else f"[{last}]")

    def _last(self, name: str) -> int | None:
        """The last index along an output's first axis, if it has one."""
        shape = self.outputs[name].value.shape[self.diverged.ndim :]
        return shape[0] - 1 if shape and shape[0] else None

    def _mean_of(self, name: str) -> str:
        return "mean of " if self.outputs[name].value.ndim > self.diverged.ndim + 1 else ""

    def best(self, name: str | None = None) -> dict[str, float] | None:
        """The point where an output, the first one if unnamed, is least; None if it is nowhere finite."""
        name = next(iter(self.with_entries()), None) if name is None else name
        at = None if name is None else self._least(self.summary(name))
        if at is None:
            return None
        return {axis: float(values[k]) for (axis, values), k in zip(self.axes.items(), at, strict=True)}

    def with_entries(self) -> list[str]:
        """The outputs that have numbers at all: an axis may be of a dim that is 0."""
        return [name for name, outcome in self.outputs.items() if outcome.value.size]

    def _least(self, summary: Outcome) -> tuple[int, ...] | None:
        """The index of the least value; None if none is finite."""
        finite = np.isfinite(summary.value)
        where = np.where(finite, summary.value, np.inf)
        return tuple(map(int, np.unravel_index(np.argmin(where), where.shape))) if finite.any() else None

    def points(self) -> Iterator[tuple[tuple[int, ...], tuple[float, ...]]]:
        """Every point's index in the grid, and its values."""
        for index in np.ndindex(self.diverged.shape):
            yield index, tuple(float(v[k]) for v, k in zip(self.axes.values(), index, strict=True))

    @property
    def title(self) -> str:
        """Over what it is, in words."""
        swept = " × ".join(f"{len(v)} values of {name}" for name, v in self.axes.items())
        return f"{self.program} at n = ∞, {swept}"

    def __repr__(self) -> str:
        return f"<the sweep {self.title}: {', '.join(self.outputs) or 'no outputs'}>"

    def _repr_html_(self) -> str:
        """What `summary` gives, a row a point, of many the first and the last ones."""
        from tpc.display.html_tables import table, titled
        from tpc.display.markup import element

        (headings, *rows), notes = self._cells(), [f"note: {note}" for note in self.notes]
        if len(rows) > MOST_ROWS:
            half = MOST_ROWS // 2
            rows = [*rows[:half], [f"… {len(rows) - 2 * half} more"], *rows[-half:]]
        said = [element("div", line) for line in (*self._closing(), *notes)]
        return titled(self.title, "", table(headings, rows), *said)

    def _cells(self) -> list[list[str]]:
        """The table, as text: its head, and a row for each point."""
        told = {self.label(name): self.summary(name) for name in self.with_entries()}
        rows = [[*self.axes, *told]]
        for index, _ in self.points():
            rows.append([*self._coordinates(index), *(_shown(outcome, index) for outcome in told.values())])
        return rows

    def __str__(self) -> str:
        """A table of what `summary` gives, and the best point of the first output."""
        rows = self._cells()
        left_out = len(rows) - 1 - MOST_ROWS
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        lines = [
            "  " + "  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        return "\n".join(
            [
                self.title,
                *_folded(lines, left_out),
                *self._closing(),
                *(f"note: {n}" for n in self.notes),
            ]
        )

    def _closing(self) -> list[str]:
        first = next(iter(self.with_entries()), None)
        if first is None:
            return []
        summary, best = self.summary(first), self.best()
        at = self._least(summary)
        if at is None or best is None:
            return [f"`{self.label(first)}` is nowhere finite"]
        where = ", ".join(f"{name} = {value:.{SHOWN_FIGURES}g}" for name, value in best.items())
        return [f"best: {where}, with {self.label(first)} = {_shown(summary, at)}"]

    def to_json(self) -> dict[str, Any]:
        return {
            "program": self.program,
            "sweep": {name: plain(values) for name, values in self.axes.items()},
            "outputs": {name: outcome.to_json() for name, outcome in self.outputs.items()},
            "diverged": [[int(k) for k in index] for index in np.argwhere(self.diverged)],
            "best": self.best(),
            "points_done": self.done,
            "notes": list(self.notes),
        }

    def save(self, path: str | Path) -> None:
        """Writes an .npz archive of the grid's axes and the outputs, a .csv table, a line a number, or LaTeX.

        The last, a .tex file, is a table of what `summary` gives. Raises OSError.
        """
        if Path(path).suffix == ".tex":
            write_tex(path, self.to_latex())
        elif Path(path).suffix == ".csv":
            write_csv(path, (*self.axes, *SWEPT_COLUMNS), self._lines())
        else:
            write_archive(path, {**self.axes, **arrays_of(self.outputs), "diverged": self.diverged})

    def to_latex(self, names: Mapping[str, str] | None = None, *, rows: int = 40) -> str:
        """What `summary` gives as tables in LaTeX; `names` and `rows` are those of `Result.to_latex`."""
        from tpc.derive.latex import renamed
        from tpc.display.latex_tables import tables_of_points

        written = {name: renamed(name, names or {}) for name in (*self.axes, *self.outputs)}
        columns = []
        for name in self.with_entries():
            last = self._last(name)
            index = "" if last is None else f"_{{{last}}}"
            head = f"{self._mean_of(name)}${written[name]}{index}$"
            columns.append((head, partial(_shown, self.summary(name))))
        heads = [f"${written[name]}$" for name in self.axes]
        return tables_of_points(heads, self.diverged.shape, columns, rows, self._coordinates)

    def _coordinates(self, at: tuple[int, ...]) -> list[str]:
        """A point's values as they are shown."""
        return [f"{v[k]:.{SHOWN_FIGURES}g}" for v, k in zip(self.axes.values(), at, strict=True)]

    def _lines(self) -> Iterator[tuple[object, ...]]:
        for at, values in self.points():
            for name, outcome in self.outputs.items():
                stderr = None if outcome.stderr is None else outcome.stderr[at]
                for index, value, error in entries(outcome.value[at], stderr):
                    yield *values, name, index, value, error

    def plot(self, path: str | Path) -> None:
        """Draws what `summary` gives into a .png, .svg or .pdf file. Raises OSError."""
        from tpc.evaluate.sweep_plot import plot_sweep

        plot_sweep(self, path)


def _folded(lines: list[str], left_out: int) -> list[str]:
    """The lines of a table without those in the middle, if they are too many."""
    if left_out <= 1:
        return lines
    kept = 1 + MOST_ROWS // 2
    return [*lines[:kept], f"  … {left_out} more, which --save and --json have", *lines[kept + left_out :]]


def _shown(outcome: Outcome, at: tuple[int, ...]) -> str:
    value = float(outcome.value[at])
    error = 0.0 if outcome.stderr is None else float(outcome.stderr[at])
    if not np.isfinite(value):
        return "diverged"
    spread = "" if outcome.std is None else f", over the start ± {float(outcome.std[at]):.3g}"
    return f"{with_error(value, error, 8, 10)}{spread}"


def sweep(
    program: Program,
    evaluate: Callable[..., Result],
    values: Mapping[str, Any],
    inputs: Mapping[str, Any] | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Sweep:
    """See `Evaluator.sweep`."""
    axes = checked_axes(program, values, inputs)
    shape = tuple(len(v) for v in axes.values())
    found: list[Result] = []
    diverged = np.zeros(shape, bool)
    for at, point in zip(np.ndindex(shape), itertools.product(*axes.values()), strict=True):
        given = {**(inputs or {}), **dict(zip(axes, point, strict=True))}
        try:
            result = evaluate(given, **options)
        except DivergedError as error:
            result, diverged[at] = error.partial, True
        except KeyboardInterrupt:
            break
        if result.interrupted:
            break
        found.append(result)
        if progress is not None:
            progress(len(found), diverged.size)
    if not found:
        raise KeyboardInterrupt("interrupted before the first point was done")
    return _collected(program.name, axes, found, diverged)


def _collected(
    program: str, axes: Mapping[str, np.ndarray], found: Sequence[Result], diverged: np.ndarray
) -> Sweep:
    missing = diverged.size - len(found)
    outputs = {name: _gathered([result[name] for result in found], diverged) for name in found[0]}
    notes = list(dict.fromkeys(note for result in found for note in result.notes))
    if missing:
        notes.append(f"interrupted after {len(found)} of {diverged.size} points")
    return Sweep(program, axes, outputs, diverged, tuple(notes), len(found))


def _gathered(found: Sequence[Outcome], diverged: np.ndarray) -> Outcome:
    """An output over the grid; its errors are 0 at points where it is exact, None if it is so at all.

    A limit may be exact to rounding at some points, and lose digits at others. So it is with what there is
    over the start.
    """

    def over_grid(made: Sequence[np.ndarray | None]) -> np.ndarray | None:
        like = next((part for part in made if part is not None), None)
        if like is None:
            return None
        missing = [np.full_like(like, np.nan)] * (diverged.size - len(made))
        there = [np.zeros_like(like) if part is None else part for part in made]
        return np.stack([*there, *missing]).reshape(*diverged.shape, *like.shape)

    value = over_grid([own.value for own in found])
    assert value is not None
    return Outcome(
        value,
        over_grid([own.stderr for own in found]),
        over_grid([own.covariance for own in found]),
        std_error=over_grid([own.std_error for own in found]),
    )


def checked_axes(
    program: Program, values: Mapping[str, Any], inputs: Mapping[str, Any] | None
) -> dict[str, np.ndarray]:
    """The values of each axis, of inputs that are single numbers.

    Raises TpcError (TP504, TP662, TP663) for names and values that cannot be swept.
    """
    known, axes, wrong = {item.name: item for item in program.inputs}, dict[str, np.ndarray](), []
    dims = dims_of(program)
    for spelled, given in values.items():
        name = normalise(spelled)
        if name in dims:
            wrong.append(catalogue.commands.swept_dim(name))
            continue
        if name not in known:
            wrong.append(catalogue.inputs.unknown_setting(name, list(known)))
            continue
        try:
            array = np.atleast_1d(numbers(given))
        except (TypeError, ValueError):
            array = np.zeros(0)
        if known[name].shape:
            wrong.append(
                catalogue.commands.bad_sweep(name, f"it has the axes {known[name].shape}, and is no number")
            )
        elif array.ndim > 1 or not array.size or len(set(array.tolist())) < array.size:
            wrong.append(catalogue.commands.bad_sweep(name, "its values are not different numbers"))
        elif name in axes or name in {normalise(str(other)) for other in inputs or {}}:
            wrong.append(catalogue.commands.bad_sweep(name, "it is given twice"))
        else:
            axes[name] = array
    count = int(np.prod([len(v) for v in axes.values()], dtype=float))
    if not wrong and not axes:
        raise ValueError("a sweep is over one input at least")
    if count > MOST_POINTS:
        wrong.append(
            catalogue.commands.bad_sweep(next(iter(axes)), f"{count:,} points are more than {MOST_POINTS:,}")
        )
    if wrong:
        raise TpcError(wrong, program.name, of_program=True)
    return axes


def dims_of(program: Program) -> set[str]:
    """The names of the dims of the text that a program was made of, if it was."""
    from tpc.syntax.parse import parse_file

    return set() if program.source is None else parse_file(program.source.text, program.source.name).dims


def parse_sweep(text: str) -> tuple[str, np.ndarray]:
    """`NAME=LOW:HIGH:N`, `NAME=LOW:HIGH:logN` or `NAME=A,B,…`. Raises TpcError (TP662)."""
    name, equals, value = text.partition("=")
    try:
        if not equals or not name.strip():
            raise ValueError("there is no `NAME=`")
        return normalise(name.strip()), _values(value)
    except ValueError as error:
        raise TpcError([catalogue.commands.bad_sweep(text, str(error))], "--sweep") from None


def _values(text: str) -> np.ndarray:
    parts = text.split(":")
    if len(parts) == 1:
        return np.array([_number(part) for part in text.split(",")])
    if len(parts) != 3:
        raise ValueError("a range is LOW:HIGH:N or LOW:HIGH:logN")
    low, high = map(_number, parts[:2])
    spacing, count = ("log", parts[2][3:]) if parts[2].startswith("log") else ("even", parts[2])
    if not count.isascii() or not count.isdigit() or not 2 <= int(count[:9]) <= MOST_POINTS:
        raise ValueError(f"`{parts[2]:.20}` is no number of values from 2 to {MOST_POINTS:,}")
    if spacing == "even":
        return np.linspace(low, high, int(count))
    if not (low > 0 and high > 0):
        raise ValueError("values that are spaced by factors are above 0")
    return np.geomspace(low, high, int(count))


def _number(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        raise ValueError(f"`{text:.20}` is no number") from None
    if not np.isfinite(found):
        raise ValueError(f"`{text:.20}` is not finite")
    return found
