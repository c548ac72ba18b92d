"""Kernel matrices larger than memory.

Computed in strips of rows that go to a file, and resumed where they stopped.
"""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tpc.diagnostics.catalogue.running import memory
from tpc.diagnostics.diagnostic import TpcError
from tpc.kernels.accuracy import Worst
from tpc.kernels.blocks import BLOCK
from tpc.kernels.kernels import Kernel
from tpc.machine.files import digest, open_regular, read_header, whole
from tpc.machine.interrupt import Interruptible
from tpc.machine.memory import physical_memory

Progress = Callable[[int, int], None]
MANIFEST = 1 << 16  # bytes of a manifest at most
PIECE = 1 << 24  # bytes of it that are looked at at once
STRIP = 1 << 27  # bytes of a strip, or what BLOCK rows take
SHARE = 1 / 16  # of the machine's memory, which a strip is not to exceed
# what a file system says that cannot take room beforehand
UNKNOWN = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def stream(
    kernel: Kernel,
    x: np.ndarray,
    z: np.ndarray | None = None,
    *,
    out: Path,
    strip: int | None = None,
    progress: Progress | None = None,
) -> Worst | None:
    """Writes `kernel(x, z)` to an `.npy` file, a strip of rows at a time.

    Without z only one half is computed, the other is the same.

    strip: rows of a strip. progress: called with the rows that are done and all. Beside the file a manifest,
    `OUT.json`, says what is done as long as something is not; a run of the same kernel on the same inputs
    goes on from there, and gives the same file bit for bit. Returns the worst entry, if its error is not
    small. Raises OccupiedError: a file there that is another one's, too little space on the disk; OSError;
    KeyboardInterrupt at the end of a strip, which loses nothing; TpcError as the kernel does.
    """
    columns = x if z is None else z
    row = len(columns) * int(np.prod(kernel.positions, dtype=int)) ** 2 * np.dtype(kernel.dtype).itemsize
    rows = strip or _rows_of_a_strip(max(1, row))
    shape = (len(x), len(columns), *kernel.positions, *kernel.positions)
    given = {"x": np.asarray(x), **({} if z is None else {"z": np.asarray(z)})}
    manifest = _Manifest.open(out, shape, kernel.dtype, digest(f"{kernel.identity}\n{rows}\n", given))
    if not manifest.done:
        _require_space(out, len(x) * row)
        try:
            manifest.begin()
        except OSError:
            manifest.abandon()
            raise
    elif z is None:
        _mirror(out, manifest.done, rows, len(kernel.positions))
    with Interruptible() as running:
        for start in range(manifest.done, len(x), rows):
            stop = min(start + rows, len(x))
            running.check()
            try:
                worst = _write(out, kernel, x, z, start, stop)
            except TpcError:
                if not manifest.done:
                    manifest.abandon()
                raise
            manifest.reached(stop, worst)
            if progress is not None:
                progress(stop, len(x))
    manifest.end()
    return manifest.worst


def _rows_of_a_strip(row: int) -> int:
    """row: bytes of one."""
    return max(1, min(max(BLOCK, STRIP // row // BLOCK * BLOCK), int(SHARE * physical_memory() // row)))


def _write(
    out: Path, kernel: Kernel, x: np.ndarray, z: np.ndarray | None, start: int, stop: int
) -> Worst | None:
    """A strip, and what mirrors it; its worst entry.

    The file is mapped anew each time, so that memory does not grow with what has been written.
    """
    found, worst = kernel.measured(x[start:stop], x[start:] if z is None else z)
    worst = None if worst is None else worst.moved(start, start if z is None else 0)
    if z is None:
        found[:, : stop - start], _ = kernel.measured(x[start:stop])  # exact on the diagonal
    file = np.lib.format.open_memmap(out, mode="r+")
    if z is None:
        file[start:stop, start:] = found
        file[stop:, start:stop] = _turned(found[:, stop - start :], len(kernel.positions))
    else:
        file[start:stop] = found
    file.flush()
    return worst


def _mirror(out: Path, done: int, rows: int, positions: int) -> None:
    """What the rows that are done say of the others, once more: check sums are of the rows that are done."""
    for start in range(0, done, rows):
        stop = min(start + rows, done)
        whole = np.lib.format.open_memmap(out, mode="r+")
        whole[done:, start:stop] = _turned(whole[start:stop, done:], positions)
        whole.flush()


def _turned(found: np.ndarray, positions: int) -> np.ndarray:
    """The transpose of a part of the matrix, whose positions are exchanged, too."""
    return np.transpose(found, (1, 0, *range(2 + positions, 2 + 2 * positions), *range(2, 2 + positions)))


class OccupiedError(ValueError):
    """The file that is to be written is another one's, or there is no room for it."""


class _Manifest:
    """What is done of a file of this shape and type.

    The rows up to `done`, with the check sum and the worst entry of these.
    """

    def __init__(self, out: Path, shape: tuple[int, ...], dtype: str, fingerprint: str) -> None:
        self.out, self.shape, self.dtype, self.fingerprint = out, shape, np.dtype(dtype), fingerprint
        self.done, self.sum = 0, 0
        self.worst: Worst | None = None
        self.path = out.with_name(f"{out.name}.json")

    @classmethod
    def open(cls, out: Path, shape: tuple[int, ...], dtype: str, fingerprint: str) -> _Manifest:
        """Raises OccupiedError if there is a file that is not this run's unfinished one."""
        found = cls(out, shape, dtype, fingerprint)
        if not found.path.exists():
            if out.exists():
                raise OccupiedError(f"{out} is there already; remove it, or name another file")
            return found
        own = found._read()
        if own != fingerprint:
            raise OccupiedError(
                f"{out} is begun by another run (another kernel, other inputs or strips); remove it and "
                f"{found.path.name}, "
                "or name another file"
            )
        if found.done and not out.exists():
            raise OccupiedError(
                f"{out}, of which {found.path} says that it is begun, is gone; remove that, too"
            )
        if found.done and not found._whole():
            raise OccupiedError(f"{out} is not as this run left it; remove it and {found.path.name}")
        return found

    def _read(self) -> str:
        """Takes over what is done. Returns the fingerprint. Raises OccupiedError."""
        try:
            with open_regular(self.path) as file:
                kept = json.loads(file.read(MANIFEST))
            if not isinstance(kept, dict) or kept.pop("seal", None) != digest(json.dumps(kept), {}):
                raise ValueError("it is not as it was written")
            own, self.done, self.sum = str(kept["fingerprint"]), int(kept["rows"]), int(kept["sum"])
            self.worst = Worst.of_json(kept["worst"]) if kept.get("worst") else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise OccupiedError(
                f"{self.path} is damaged ({next(iter(str(error).splitlines()), 'not readable')}); "
                f"remove it and {self.out}"
            ) from None
        return own

    def _whole(self) -> bool:
        """Whether the file is as it was begun, and has the rows that were written.

        Its length and header tell, and the check sum.
        """
        try:
            with open_regular(self.out) as file:
                shape, fortran, dtype = read_header(file)
                held = os.fstat(file.fileno()).st_size - file.tell()
                if (shape, fortran, dtype, held) != (
                    self.shape,
                    False,
                    self.dtype,
                    math.prod(self.shape) * self.dtype.itemsize,
                ):
                    return False
                found, left = 0, self.done * (held // max(1, self.shape[0]))
                while left and (part := file.read(min(left, PIECE))):
                    found, left = zlib.crc32(part, found), left - len(part)
        except (OSError, ValueError):
            return False
        return left == 0 and found == self.sum

    def begin(self) -> None:
        """Takes all the room on the disk that the file needs. Raises OSError if there is less."""
        self.reached(0)
        np.lib.format.open_memmap(self.out, mode="w+", dtype=self.dtype, shape=self.shape).flush()
        # a file with holes would end the process when they are filled and the disk is full
        with self.out.open("r+b") as file:
            _take_room(file)

    def reached(self, rows: int, worst: Worst | None = None) -> None:
        """worst: the worst entry of the last strip."""
        self.worst = self.worst if worst is None else worst.joined(self.worst)
        if rows > self.done:
            self.sum = zlib.crc32(
                np.ascontiguousarray(np.lib.format.open_memmap(self.out, mode="r")[self.done : rows]).data,
                self.sum,
            )
        kept = {
            "fingerprint": self.fingerprint,
            "rows": rows,
            "sum": self.sum,
            **({} if self.worst is None else {"worst": self.worst.to_json()}),
        }
        kept["seal"] = digest(json.dumps(kept), {})
        with whole(self.path) as part:
            part.write_text(json.dumps(kept), encoding="utf-8")
        self.done = rows

    def abandon(self) -> None:
        """Leaves nothing, of a run that has written nothing.

        What was wrong can be mended, and the file is not in the way.
        """
        self.end()
        self.out.unlink(missing_ok=True)

    def end(self) -> None:
        self.path.unlink(missing_ok=True)


def _take_room(file: BinaryIO) -> None:
    """Has the disk set aside all that a file is long, by writing it where the file system knows no other way.

    Raises OSError if there is less.
    """
    length = os.fstat(file.fileno()).st_size
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, length)
            return
        except OSError as error:
            if error.errno not in UNKNOWN:
                raise
    for at in range(0, length, PIECE):
        file.seek(at)
        part = file.read(PIECE)  # zeros, where nothing has been written
        file.seek(at)
        file.write(part)


def _require_space(out: Path, needed: int) -> None:
    free = shutil.disk_usage(out.parent).free
    if needed > free:
        raise OccupiedError(f"it takes {memory(needed)}, and {memory(free)} are free on that disk")
