"""The evaluations of a limit that are done, in memory and, if asked for, in a folder, one file each."""

from __future__ import annotations

import io
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np

from tpc.interrupt import Interruptible
from tpc.stored import read_arrays, write_npz, write_whole

Evaluation = tuple[dict[str, np.ndarray], np.ndarray]              # outputs by name, and the status


class Kept(MutableMapping[int, Evaluation]):
    """What the emitted `limit` gave, by repeat, as NumPy arrays.

    folder: where every addition is written to before it returns, None for nowhere. Each run has a folder of its own, named by its fingerprint, so
    that several runs may be kept side by side. notes: what was found there and cannot be used. running: to be entered while repeats are computed.
    """

    def __init__(self, folder: Path | None = None, fingerprint: str = "") -> None:
        self.folder, self.fingerprint = folder, fingerprint
        self.done: dict[int, Evaluation] = {}
        self.notes: list[str] = []
        self.running = Interruptible()

    @classmethod
    def open(cls, folder: Path, program: str, fingerprint: str, count: int) -> Kept:
        """What is kept in `folder` of the run with this fingerprint, the first `count` repeats. Raises OSError."""
        own = folder / f"{program}-{fingerprint[:16]}"
        own.mkdir(parents=True, exist_ok=True)
        out = cls(own, fingerprint)
        for k in range(count):
            path = out.path(k)
            if path.exists():
                try:
                    out.done[k] = out._read(path)
                except ValueError as error:
                    out.notes.append(f"{path.name} of the checkpoint is damaged ({error}) and was computed again")
        return out

    def _read(self, path: Path) -> Evaluation:
        arrays = read_arrays(path)
        if str(arrays.pop("fingerprint", "")) != self.fingerprint:
            raise ValueError("it is not of this run")
        return _unpacked(arrays)

    def path(self, k: int) -> Path:
        assert self.folder is not None
        return self.folder / f"repeat-{k:04d}.npz"

    def __setitem__(self, k: int, value: Any) -> None:
        self.running.wait(value)
        outputs, status = value
        self.done[k] = {name: np.asarray(array) for name, array in outputs.items()}, np.asarray(status)
        if self.folder is not None:
            write_whole(self.path(k), {**_packed(self.done[k]), "fingerprint": np.array(self.fingerprint)})
        self.running.check()

    def __getitem__(self, k: int) -> Evaluation:
        return self.done[k]

    def __delitem__(self, k: int) -> None:
        del self.done[k]

    def __iter__(self) -> Iterator[int]:
        return iter(self.done)

    def __len__(self) -> int:
        return len(self.done)

    def to_bytes(self) -> bytes:
        """All that is done, to send to another process."""
        file = io.BytesIO()
        arrays = {f"{k} {name}": array for k, each in self.done.items() for name, array in _packed(each).items()}
        write_npz(file, arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Kept:
        found: dict[int, dict[str, np.ndarray]] = {}
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            for key, array in stored.items():
                k, _, name = key.partition(" ")
                found.setdefault(int(k), {})[name] = array
        out = cls()
        out.done = {k: _unpacked(arrays) for k, arrays in found.items()}
        return out


def _packed(each: Evaluation) -> dict[str, np.ndarray]:
    outputs, status = each
    return {**{f"output {name}": array for name, array in outputs.items()}, "status": status}


def _unpacked(arrays: dict[str, np.ndarray]) -> Evaluation:
    return {name.removeprefix("output "): array for name, array in arrays.items() if name.startswith("output ")}, arrays["status"]
