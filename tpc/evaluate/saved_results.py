"""Results in files: archives of arrays, or tables with a line for every number, by the file's name."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.machine.files import open_regular, write_npz

if TYPE_CHECKING:
    from tpc.evaluate.result import Outcome
    from tpc.simulate.samples import Samples

ENDINGS = (".npz", ".csv", ".tex")
SEAL = b"tpc "  # what the comment of our archives begins with, at their end
SEAL_OF_TEX = "% written by tpc\n"  # the first line of our tables in LaTeX
COLUMNS = ("output", "index", "width", "seed", "value", "stderr")
SWEPT_COLUMNS = ("output", "index", "value", "stderr")  # behind those of the inputs that are swept
LONGEST_SEAL = 512  # bytes at the end of an archive that hold its comment


def save_outcomes(path: str | Path, outcomes: Mapping[str, Outcome], samples: Sequence[Samples] = ()) -> None:
    """Writes outputs and, of finite widths, those of every seed.

    An .npz file has `name`, where it is not exact `name_stderr`, and `name_n256` [seeds, …] and `seeds_n256`
    for a width of 256. A .csv file has a line for every number, in the columns output, index, width (`inf`
    is the limit), seed, value and stderr. Raises OSError, and ValueError for another ending.
    """
    if Path(path).suffix == ".csv":
        write_csv(path, COLUMNS, _lines(outcomes, samples))
        return
    arrays = arrays_of(outcomes)
    for each in samples:
        arrays[f"seeds_n{each.width}"] = np.asarray(each.seeds)
        arrays |= {f"{name}_n{each.width}": values for name, values in each.outputs.items()}
    write_archive(path, arrays)


def arrays_of(outcomes: Mapping[str, Outcome]) -> dict[str, np.ndarray]:
    arrays = {}
    for name, outcome in outcomes.items():
        arrays[name] = outcome.value
        if outcome.stderr is not None:
            arrays[f"{name}_stderr"] = outcome.stderr
        if outcome.covariance is not None:
            arrays[f"{name}_covariance"] = outcome.covariance
    return arrays


def write_archive(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Raises OSError."""
    with open(path, "wb") as file:
        write_npz(file, arrays, sealed=True)


def write_csv(path: str | Path, columns: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Raises OSError."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(lines)


def write_tex(path: str | Path, tables: str) -> None:
    """Raises OSError."""
    Path(path).write_text(f"{SEAL_OF_TEX}{tables}\n", encoding="utf-8")


def _lines(outcomes: Mapping[str, Outcome], samples: Sequence[Samples]) -> Iterable[tuple[object, ...]]:
    for name, outcome in outcomes.items():
        for index, value, error in entries(outcome.value, outcome.stderr):
            yield name, index, "inf", "", value, error
    for each in samples:
        for name, values in each.outputs.items():
            for seed, one in zip(each.seeds, values, strict=True):
                for index, value, _ in entries(one, None):
                    yield name, index, each.width, seed, value, ""


def entries(value: Any, stderr: Any) -> Iterable[tuple[str, float, float | str]]:
    """Index, value and standard error (empty where there is none) of every entry."""
    for index in np.ndindex(np.shape(value)):
        error = "" if stderr is None else float(np.asarray(stderr)[index])
        yield ",".join(map(str, index)), float(np.asarray(value)[index]), error


def is_own(path: Path) -> bool:
    """Whether a file has been written here, or there is none, or nothing in it. Raises OSError."""
    if not path.is_file() or not path.stat().st_size:
        return True
    with open_regular(path) as file:
        if path.suffix == ".csv":
            header = file.readline(4096).decode("utf-8", "replace").strip().split(",")
            return any(tuple(header[-len(own) :]) == own for own in (COLUMNS, SWEPT_COLUMNS))
        if path.suffix == ".tex":
            return file.readline(4096).decode("utf-8", "replace") == SEAL_OF_TEX
        file.seek(max(0, path.stat().st_size - LONGEST_SEAL))
        return SEAL in file.read()
