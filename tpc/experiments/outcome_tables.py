"""Outcomes of experiments as tables: a row for each run, and accuracies by epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from tpc.display.latex_tables import MOST_ROWS, latex_number, tables_of_points
from tpc.show.figures import DOUBLE, with_error

# how models and activations are written in a formula; a width is n = N
WRITTEN = {"mup": r"\mu\mathrm{P}", "ntk": r"\mathrm{NTK}", "gp": r"\mathrm{GP}", "tanh": r"\tanh"}
TOLD = ("model", "activation", "devices")  # by every row; devices change no number
SPECIAL = {letter: rf"\{letter}" for letter in "{}$&#_%"}
SPECIAL |= {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}"}


class Tabled(Protocol):
    """What a run ends with."""

    @property
    def settings(self) -> Any:
        """With a `model` and an `activation`."""

    def row(self) -> Mapping[str, str]:
        """What a table says of the run, by what stands above it."""

    def by_epoch(self) -> Sequence[str]:
        """Accuracies in percent after each epoch; nothing if none are known."""


def percent(share: float, stderr: float | None = None) -> str:
    """A share in percent, as numbers are printed everywhere: down to the second figure of its error."""
    return f"{100 * share:.2f}" if stderr is None else with_error(100 * share, 100 * stderr, *DOUBLE)


def latex_of_outcomes(
    outcomes: Sequence[Tabled], names: Mapping[str, str] | None = None, *, rows: int = MOST_ROWS
) -> str:
    """Tables of runs in LaTeX, without packages, for a paper: experiments of different kinds apart.

    Settings that are not the same in all runs have columns, so that runs can be told apart.
    names: how models (`mup`, `ntk`, `gp`, `width=64`) and activations are to be written, in LaTeX. rows: of
    one table at most; dots stand for the middle of longer ones. Raises ValueError for fewer than 3 rows.
    """
    kinds: dict[type, list[Tabled]] = {}
    for outcome in outcomes:
        kinds.setdefault(type(outcome), []).append(outcome)
    tables = []
    for runs in kinds.values():
        tables.append(_of_runs(runs, names or {}, rows))
        if any(run.by_epoch() for run in runs):
            tables.append(_of_epochs(runs, names or {}, rows))
    return "\n\n".join(tables)


def _of_runs(runs: Sequence[Tabled], names: Mapping[str, str], rows: int) -> str:
    def cell(head: str) -> Callable[[tuple[int, ...]], str]:
        return lambda at: runs[at[0]].row()[head]

    differing = differing_settings(runs)
    return tables_of_points(
        ["model", "activation", *map(in_text, differing)],
        (len(runs),),
        [(head, cell(head)) for head in runs[0].row()],
        rows,
        lambda at: (*_labels(runs[at[0]], names), *_values(runs[at[0]], differing)),
    )


def differing_settings(runs: Sequence[Tabled]) -> list[str]:
    """The settings that are not the same in all runs, but for those that every row tells."""
    known = [asdict(run.settings) for run in runs]
    return [
        name for name in known[0] if name not in TOLD and any(own[name] != known[0][name] for own in known)
    ]


def _values(run: Tabled, settings: Sequence[str]) -> list[str]:
    """Settings in mathematics: numbers, or text."""
    found = [getattr(run.settings, name) for name in settings]
    return [latex_number(str(x)).strip("$") if isinstance(x, int | float) else _text(x) for x in found]


def _text(x: object) -> str:
    return r"\textrm{--}" if x is None else rf"\textrm{{{in_text(str(x))}}}"


def in_text(words: str) -> str:
    """Words of anybody, which TeX is to take for nothing else."""
    return "".join(SPECIAL.get(letter, letter) for letter in words if letter.isprintable())


def _of_epochs(runs: Sequence[Tabled], names: Mapping[str, str], rows: int) -> str:
    """A column for each run; a run of fewer epochs has nothing in the others."""
    accuracies = [run.by_epoch() for run in runs]

    def cell(found: Sequence[str]) -> Callable[[tuple[int, ...]], str]:
        return lambda at: found[at[0]] if at[0] < len(found) else ""

    differing = differing_settings(runs)
    heads = [", ".join(_head(run, names, differing)) for run in runs]
    columns = list(zip(heads, map(cell, accuracies), strict=True))
    return tables_of_points(
        [r"validation, \%, after epoch"],
        (max(map(len, accuracies)),),
        columns,
        rows,
        lambda at: (str(at[0] + 1),),
    )


def _head(run: Tabled, names: Mapping[str, str], differing: Sequence[str]) -> Iterator[str]:
    """What tells a run from the others."""
    yield from (f"${label}$" for label in _labels(run, names))
    for name, value in zip(differing, _values(run, differing), strict=True):
        yield f"{in_text(name)} ${value}$"


def _labels(run: Tabled, names: Mapping[str, str]) -> tuple[str, str]:
    model, activation = run.settings.model, run.settings.activation
    if isinstance(model, int):
        return names.get(f"width={model}", f"n = {model}"), _written(activation, names)
    return _written(model, names), _written(activation, names)


def _written(name: str, names: Mapping[str, str]) -> str:
    return names.get(name) or WRITTEN.get(name) or rf"\mathrm{{{name}}}"
