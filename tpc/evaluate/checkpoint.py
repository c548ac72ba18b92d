"""The evaluations of a limit that are done, in memory and, if asked for, in a folder, one file each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tpc.machine.files import read_arrays, write_whole
from tpc.machine.interrupt import Interruptible

Evaluation = tuple[dict[str, np.ndarray], np.ndarray]  # outputs by name, and the status


class EvaluationCheckpoint(MutableMapping[int, Evaluation]):
    """What the emitted `limit` gave, by repeat, as NumPy arrays.

    `checks` is what was found about the errors of their mean.

    folder: where every addition is written to before it returns, None for nowhere. Each run has a folder of
    its own, named by its fingerprint, so that several runs may be kept side by side. notes: what was found
    there and cannot be used. running: to be entered while repeats are computed.
    """

    def __init__(self, folder: Path | None = None, fingerprint: str = "") -> None:
        self.folder, self.fingerprint = folder, fingerprint
        self.done: dict[int, Evaluation] = {}
        self.checks = Checks(self)
        self.notes: list[str] = []
        self.running = Interruptible()

    @classmethod
    def open(cls, folder: Path, program: str, fingerprint: str, count: int) -> EvaluationCheckpoint:
        """What is kept in `folder` of the run with this fingerprint, the first `count` repeats.

        Raises OSError.
        """
        own = folder / f"{program}-{fingerprint[:16]}"
        own.mkdir(parents=True, exist_ok=True)
        out = cls(own, fingerprint)
        for k in range(count):
            if (path := out.path(k)).exists():
                with out._noting_damage(path):
                    out.done[k] = _unpacked(out._arrays(path))
        for path in sorted(own.glob("check-*.npz")):
            with out._noting_damage(path):
                out.checks.done[path.stem.removeprefix("check-")] = {
                    name.removeprefix("found "): array for name, array in out._arrays(path).items()
                }
        return out

    @contextmanager
    def _noting_damage(self, path: Path) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            self.notes.append(_damaged(path, error))

    def _arrays(self, path: Path) -> dict[str, np.ndarray]:
        arrays = read_arrays(path)
        if str(arrays.pop("fingerprint", "")) != self._description(path):
            raise ValueError("it is not of this run, or another part of it")
        return arrays

    def _description(self, path: Path) -> str:
        """What a file says of which run it is, and which part of it."""
        return f"{self.fingerprint} {path.stem}"

    def write(self, path: Path, arrays: dict[str, np.ndarray]) -> None:
        """Raises OSError."""
        write_whole(path, {**arrays, "fingerprint": np.array(self._description(path))})

    def path(self, k: int) -> Path:
        assert self.folder is not None
        return self.folder / f"repeat-{k:04d}.npz"

    def __setitem__(self, k: int, value: Any) -> None:
        self.running.wait(value)
        outputs, status = value
        self.done[k] = {name: np.asarray(array) for name, array in outputs.items()}, np.asarray(status)
        if self.folder is not None:
            self.write(self.path(k), _packed(self.done[k]))
        self.running.check()

    def __getitem__(self, k: int) -> Evaluation:
        return self.done[k]

    def __delitem__(self, k: int) -> None:
        del self.done[k]

    def __iter__(self) -> Iterator[int]:
        return iter(self.done)

    def __len__(self) -> int:
        return len(self.done)

    @property
    def ordered(self) -> list[Evaluation]:
        """All that is done, in the order of the repeats."""
        return [self.done[k] for k in sorted(self.done)]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All that is done, to send to another process."""
        arrays = {
            f"{k} {name}": array for k, each in self.done.items() for name, array in _packed(each).items()
        }
        checks = {
            f"check {key}/{name}": array for key, each in self.checks.items() for name, array in each.items()
        }
        return arrays | checks

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> EvaluationCheckpoint:
        found: dict[int, dict[str, np.ndarray]] = {}
        out = cls()
        for key, array in arrays.items():
            k, _, name = key.partition(" ")
            if k == "check":
                check, _, name = name.partition("/")
                out.checks.done.setdefault(check, {})[name] = array
            else:
                found.setdefault(int(k), {})[name] = array
        out.done = {k: _unpacked(arrays) for k, arrays in found.items()}
        return out


class Checks(MutableMapping[str, dict[str, np.ndarray]]):
    """Arrays by name, by check, which are written where the repeats are."""

    def __init__(self, kept: EvaluationCheckpoint) -> None:
        self.kept = kept
        self.done: dict[str, dict[str, np.ndarray]] = {}

    def __setitem__(self, key: str, value: dict[str, Any]) -> None:
        self.kept.running.wait(value)
        self.done[key] = {name: np.asarray(array) for name, array in value.items()}
        if self.kept.folder is not None:
            self.kept.write(
                self.kept.folder / f"check-{key}.npz",
                {f"found {name}": array for name, array in self.done[key].items()},
            )
        self.kept.running.check()

    def __getitem__(self, key: str) -> dict[str, np.ndarray]:
        return self.done[key]

    def __delitem__(self, key: str) -> None:
        del self.done[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.done)

    def __len__(self) -> int:
        return len(self.done)


def _damaged(path: Path, error: ValueError) -> str:
    return f"{path.name} of the checkpoint is damaged ({error}) and was computed again"


def _packed(each: Evaluation) -> dict[str, np.ndarray]:
    outputs, status = each
    return {**{f"output {name}": array for name, array in outputs.items()}, "status": status}


def _unpacked(arrays: dict[str, np.ndarray]) -> Evaluation:
    return {
        name.removeprefix("output "): array for name, array in arrays.items() if name.startswith("output ")
    }, arrays["status"]
