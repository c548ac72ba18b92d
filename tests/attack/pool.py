"""Trials by number in processes with limits. What is done is noted in a file, from which the same command
goes on."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from tests.attack.trial import METER, Attack, Outcome

ADDRESSES = 24 << 30  # of virtual memory, of which JAX reserves much and uses little
HARD = 6  # times the seconds that a trial may take, after which its process ends
WAITING = 30  # times those that it may take by the clock: others use the machine, too


@dataclass(frozen=True)
class Note:
    """What is noted of a trial. seconds: of the processor. memory: bytes beyond those before it."""

    number: int
    label: str
    bad: bool
    seconds: float
    memory: float


@dataclass
class Worker:
    process: SpawnProcess
    end: Connection
    number: int = -1
    # when its trial began by the clock; of one that is not up yet it has not
    since: float = math.inf
    up: bool = False
    done: int = 0


@contextmanager
def in_folder(folder: Path) -> Iterator[None]:
    """`folder` is made, is the working one, and is removed with all that it holds, whatever that has
    become."""
    folder.mkdir(parents=True, exist_ok=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        for path in (folder, *folder.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
        shutil.rmtree(folder, ignore_errors=True)


def tried(attack: Attack, number: int, folder: Path) -> tuple[Outcome, float, float]:
    """One trial, with the processor's seconds and the bytes that it took. A trial that fails itself is bad,
    too."""
    METER.begin()
    with in_folder(folder):
        try:
            found = attack.trial(number, folder)
        except Exception as error:
            found = Outcome(f"the trial itself: {type(error).__name__}", True, detail=traceback.format_exc())
        taken, grown = METER.taken()
    if not found.bad and taken > attack.seconds:
        found = Outcome(
            f"more than {attack.seconds:.0f} s", True, found.files, f"{found.label}\n{found.detail}"
        )
    if not found.bad and grown > attack.memory:
        found = Outcome(
            f"more than {attack.memory / 1e9:.1f} GB", True, found.files, f"{found.label}\n{found.detail}"
        )
    return found, taken, grown


def work(attack: Attack, end: Connection, folder: Path) -> None:
    """What a process does: a trial for every number that it is sent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ |= {
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_COMPILATION_CACHE_DIR": str(folder.parent / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    end.send(None)  # up, which takes seconds of its own
    while (number := end.recv()) is not None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        most = int(used.ru_utime + used.ru_stime + HARD * attack.seconds + 1)
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))
        outcome, seconds, memory = tried(attack, number, folder / str(number))
        end.send((outcome, seconds, memory))


def started(attack: Attack, folder: Path) -> Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(attack, theirs, folder), daemon=True)
    process.start()
    theirs.close()
    return Worker(process, ours)


def ended(worker: Worker) -> None:
    with suppress(OSError):
        worker.end.send(None)
    worker.process.join(1)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()
    worker.end.close()


class Journal:
    """Notes of trials, one JSON object a line, and beside them a folder for each one that was bad."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.path = folder, folder / f"{name}.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        self.notes: dict[int, Note] = {}
        before = self.path.read_text() if self.path.exists() else ""
        if before and not before.endswith("\n"):
            self.path.write_text(before + "\n")
        for line in before.splitlines():
            with suppress(ValueError, TypeError):  # a line that was being written when it was stopped
                note = Note(**json.loads(line))
                self.notes[note.number] = note

    def add(self, number: int, outcome: Outcome, seconds: float, memory: float) -> None:
        if outcome.bad:
            own = self.folder / f"{self.path.stem}-{number}"
            own.mkdir(exist_ok=True)
            (own / "what.txt").write_text(
                f"{outcome.label}\n{outcome.detail}\n", encoding="utf-8", errors="backslashreplace"
            )
            for name, content in outcome.files.items():
                (own / name).write_bytes(
                    content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
                )
        self.notes[number] = Note(number, outcome.label, outcome.bad, round(seconds, 3), round(memory))
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(self.notes[number])) + "\n")

    def __str__(self) -> str:
        notes = list(self.notes.values())
        lines = [
            f"{count:>8}  {label}{'' if not bad else f'   <<< {self.path.stem}-{number}'}"
            for (label, bad, number), count in sorted(
                self._counts(notes).items(), key=lambda item: (item[0][1], -item[1])
            )
        ]
        if notes:
            slow, large = max(notes, key=lambda n: n.seconds), max(notes, key=lambda n: n.memory)
            lines.append(
                f"slowest {slow.seconds:.1f} s ({slow.number}), largest {large.memory / 1e6:.0f} MB "
                f"({large.number})"
            )
        bad = sum(note.bad for note in notes)
        lines.append(
            f"{len(notes):,} trials of {self.path.stem}, {sum(n.seconds for n in notes):,.0f} s of the "
            f"processor: {bad} bad"
        )
        return "\n".join(lines)

    @staticmethod
    def _counts(notes: list[Note]) -> Counter[tuple[str, bool, int]]:
        first: dict[str, int] = {}
        for note in notes:
            first.setdefault(note.label, note.number)
        return Counter((note.label, note.bad, first[note.label]) for note in notes)


def run(attack: Attack, numbers: range, folder: Path, processes: int) -> Journal:
    """Makes all trials of these numbers that the journal lacks. Ctrl-C ends it; what is done is noted."""
    journal = Journal(folder, attack.name)
    left = iter([n for n in numbers if n not in journal.notes])
    places = Path(tempfile.mkdtemp(prefix="attack-"))
    workers = {k: started(attack, places / str(k)) for k in range(processes)}
    try:
        busy = [k for k in workers if _next(workers[k], left)]
        while busy:
            ready = set(wait([workers[k].end for k in busy], timeout=1))
            for k in list(busy):
                worker = workers[k]
                outcome = _received(worker, attack, worker.end in ready)
                if outcome is None:
                    continue
                journal.add(worker.number, *outcome)
                worker.done += 1
                if (
                    not worker.process.is_alive()
                    or worker.done >= attack.renewed
                    or outcome[0].label.startswith("died")
                ):
                    ended(worker)
                    workers[k] = worker = started(attack, places / str(k))
                if not _next(worker, left):
                    busy.remove(k)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on")
    finally:
        for worker in workers.values():
            worker.process.kill()
        shutil.rmtree(places, ignore_errors=True)
    return journal


def _next(worker: Worker, left: Iterator[int]) -> bool:
    number = next(left, None)
    if number is None:
        return False
    worker.number, worker.since = number, time.monotonic() if worker.up else math.inf
    worker.end.send(number)
    return True


def _received(worker: Worker, attack: Attack, ready: bool) -> tuple[Outcome, float, float] | None:
    """What a process has sent; None while it is at it. One that died, or had to be ended, has done its trial,
    too."""
    if ready:
        try:
            found: tuple[Outcome, float, float] | None = worker.end.recv()
            if found is None:
                worker.up, worker.since = True, time.monotonic()
            return found
        except (EOFError, OSError):
            worker.process.join(5)
            number = worker.process.exitcode or 0
            why = f"died: {signal.Signals(-number).name if number < 0 else f'status {number}'}"
            return Outcome(why, True, detail=f"trial {worker.number}"), 0.0, 0.0
    if time.monotonic() - worker.since > WAITING * attack.seconds:
        worker.process.kill()
        return Outcome("died: no end", True, detail=f"trial {worker.number}"), 0.0, 0.0
    return None
