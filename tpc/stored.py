"""Files of arrays that hold what a long run has done: written whole or not at all, read without pickles."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np


def write_npz(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """An .npz archive. The names may be any (`np.savez` has some for itself)."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def write_whole(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an .npz file under another name, then renames it, so that no reader and no interruption meets half of one. Raises OSError."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            write_npz(file, arrays)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file. Raises ValueError, with the reason, if it is none or is damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise ValueError(str(error).splitlines()[0] if str(error) else "it is damaged") from None


def digest(what: str, inputs: Mapping[str, np.ndarray]) -> str:
    """A fingerprint of a text and of arrays by name: their shapes, types and every bit."""
    found = hashlib.sha256(what.encode())
    for name, value in sorted(inputs.items()):
        found.update(f"{name} {value.shape} {value.dtype}\n".encode())
        found.update(np.ascontiguousarray(value).data)                         # no copy: an array may take much of the memory
    return found.hexdigest()
