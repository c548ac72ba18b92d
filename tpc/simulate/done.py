"""The seeds that a simulation has done, in memory and, if asked for, in a file."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tpc.core.program import Program
from tpc.machine.files import digest, read_arrays, write_whole
from tpc.machine.processes import arrays_of_first, is_first, require_agreement

PAUSE = 20  # times as long as the last writing took are between two, which have all seeds


class CheckpointError(ValueError):
    """A file that is not this run's checkpoint."""


class SeedCheckpoint:
    """Outputs by seed. The file has them all or none, and is written again now and then, and at last."""

    def __init__(self, path: Path | None, fingerprint: str) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self.by_seed: dict[int, dict[str, np.ndarray]] = {}
        self.unwritten = False
        self.next_writing = 0.0

    @classmethod
    def open(
        cls,
        path: Path | None,
        program: Program,
        inputs: Mapping[str, np.ndarray],
        width: int,
        dtype: str,
        free: Sequence[str] = (),
    ) -> SeedCheckpoint:
        """What the file holds, nothing if there is none. free: the matrices that are not drawn.

        Raises CheckpointError if it is another run's, or none.
        """
        told = f"free {free!r}\n" if free else ""
        out = cls(path, digest(f"{program}\n{width}\n{dtype}\n{told}", inputs))
        if path is not None and path.exists():
            out._load(path)
        return out

    def _load(self, path: Path) -> None:
        try:
            arrays = read_arrays(path)
        except ValueError as error:
            raise CheckpointError(f"{path} is no checkpoint: {error}") from None
        if str(arrays.pop("fingerprint", "")) != self.fingerprint:
            raise CheckpointError(
                f"{path} is the checkpoint of another run (another program, input, width, precision or "
                "--matrices); remove it, or name another file"
            )
        self._take(arrays)

    def _take(self, arrays: dict[str, np.ndarray]) -> None:
        seeds = arrays.pop("seeds")
        self.add(
            [int(seed) for seed in seeds],
            {name.removeprefix("output "): values for name, values in arrays.items()},
            save=False,
        )

    def agreed(self, seeds: Sequence[int], name: str) -> SeedCheckpoint:
        """What process 0 has, for all processes, so that all run the same ones of the seeds that are wanted.

        Raises TpcError (TP613) if they run different things.
        """
        require_agreement(digest(f"{self.fingerprint} {list(seeds)}", {}), name)
        received = arrays_of_first(self._arrays())
        if not is_first():
            self._take(received)
        return self

    def __contains__(self, seed: int) -> bool:
        return seed in self.by_seed

    def add(self, seeds: Sequence[int], outputs: Mapping[str, np.ndarray], *, save: bool = True) -> None:
        """outputs: [seeds, *shape] by name."""
        for i, seed in enumerate(seeds):
            self.by_seed[seed] = {name: values[i] for name, values in outputs.items()}
        self.unwritten |= save and self.path is not None
        if self.unwritten and time.monotonic() >= self.next_writing:
            self.write()

    def write(self) -> None:
        """Writes what is not yet in the file."""
        if self.path is None or not self.unwritten:
            return
        start = time.monotonic()
        self._save(self.path)
        self.unwritten, end = False, time.monotonic()
        self.next_writing = end + PAUSE * (end - start)

    def _save(self, path: Path) -> None:
        write_whole(path, {**self._arrays(), "fingerprint": np.array(self.fingerprint)})

    def _arrays(self) -> dict[str, np.ndarray]:
        seeds = tuple(self.by_seed)
        names = self.by_seed[seeds[0]] if seeds else ()
        arrays = {f"output {name}": self.stacked(name, seeds) for name in names}
        return {**arrays, "seeds": np.array(seeds, dtype=np.uint32)}

    def stacked(self, name: str, seeds: Sequence[int]) -> np.ndarray:
        return np.stack([self.by_seed[seed][name] for seed in seeds])
