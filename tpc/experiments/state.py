"""What a run leaves in its folder, to go on from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.machine.files import read_arrays

KEPT, RESULT = "training.npz", "result.json"


def writing(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file, in a folder that is made if need be. Raises TpcError (TP606)."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    except OSError as error:
        raise TpcError(
            [catalogue.running.cannot_write(str(path), error.strerror or str(error))], str(path)
        ) from None


def kept_arrays(folder: Path, fingerprint: str) -> dict[str, np.ndarray] | None:
    """The arrays that a run with this fingerprint has kept in the folder; None if nothing is kept.

    Raises TpcError (TP624).
    """
    path = folder / KEPT
    if not path.exists():
        return None
    try:
        arrays = read_arrays(path)
    except ValueError as error:
        raise TpcError(
            [catalogue.experiments.other_run(str(folder), f"{KEPT} is damaged ({error})")], str(path)
        ) from None
    if str(arrays.get("fingerprint", "")) != fingerprint:
        raise TpcError(
            [catalogue.experiments.other_run(str(folder), "it has other settings or data")], str(path)
        )
    return arrays
