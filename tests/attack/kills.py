"""Runs that are killed, interrupted or ended at any moment, once or several times, and then go on: to the
bits of one that nobody disturbed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from tests.attack.damaged import MAML, NODES, corpus, drawings, points
from tests.attack.trial import Attack, Outcome

ROOT = Path(__file__).parents[2]
SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
# SIGINT may be ignored where this process was started
AHEAD = (
    "import signal, sys, runpy; signal.signal(signal.SIGINT, signal.default_int_handler); sys.argv = "
    "sys.argv[1:]; "
    "runpy.run_module('tpc.cli.main', run_name='__main__')"
)
TIMES = ("notes", "meta_batches_per_second", "words_per_second")


@dataclass(frozen=True)
class Long:
    """A command that takes a while, and goes on with `again`. result: a file that it writes."""

    name: str
    make: Callable[[], None]
    argv: tuple[str, ...]
    again: tuple[str, ...] = ()
    result: str = ""


def nodes() -> None:
    Path("p.tp").write_text(NODES)


def many() -> None:
    import numpy as np

    points()
    np.save("x.npy", np.random.default_rng(1).standard_normal((120, 3)))


MODELS = (
    Long("run", nodes, ("run", "p.tp", "--samples", "8192", "--repeats", "12", "--checkpoint", "kept")),
    Long("simulate", nodes, ("simulate", "p.tp", "--width", "600", "--seeds", "40", "--save", "k.npz")),
    Long("kernel", many, ("kernel", "p.tp", "-x", "x.npy", "-o", "K.npy", "--strip", "2"), result="K.npy"),
    Long(
        "maml",
        drawings,
        ("experiment", "maml", "--data", "d.npz", "--epochs", "12", *MAML, "--out", "kept"),
        ("--resume",),
    ),
    Long(
        "word2vec",
        corpus,
        (
            "experiment",
            "word2vec",
            "--corpus",
            "c.txt",
            "--epochs",
            "40",
            "--min-count",
            "1",
            "--out",
            "kept",
        ),
        ("--resume",),
    ),
)


def started(argv: tuple[str, ...]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", AHEAD, "tpc", *argv, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def shown(out: str, long: Long) -> str:
    printed = json.loads(out)
    for name in TIMES:
        printed.pop(name, None)
    return json.dumps(printed) + (Path(long.result).read_bytes().hex() if long.result else "")


@cache
def undisturbed(name: str) -> tuple[str, float]:
    """What the command ends with, and the seconds that it takes."""
    long = next(m for m in MODELS if m.name == name)
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        try:
            os.chdir(folder)
            long.make()
            begun = time.monotonic()
            process = started(long.argv)
            out, err = process.communicate()
            assert process.returncode == 0, err
            return shown(out, long), time.monotonic() - begun
        finally:
            os.chdir(before)


def trial(number: int, folder: Path) -> Outcome:
    rng = Random(f"kills {number}")
    return killed(MODELS[number % len(MODELS)], rng, rng.choice([1, 1, 2, 3]))


def killed(long: Long, rng: Random, times: int) -> Outcome:
    expected, seconds = undisturbed(long.name)
    long.make()
    argv, told = long.argv, []
    for _ in range(times):
        process = started(argv)
        number = rng.choice(SIGNALS)
        try:
            process.wait(rng.uniform(0.2, 1.05) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        out, err = process.communicate()
        told.append(f"{number.name}: {process.returncode}")
        if process.returncode not in (0, -number, 130) or (
            "Traceback" in err and not err.rstrip().endswith("KeyboardInterrupt")
        ):
            return Outcome(f"{long.name}, {told[-1]}", True, {"said.txt": f"{err}\n{out[:2000]}"}, err)
        if process.returncode == 0:
            break
        argv = (*long.argv, *long.again)
    else:
        process = started(argv)
        out, err = process.communicate()
    if (
        process.returncode == 2
        and long.result
        and Path(long.result).read_bytes().hex() in expected
        and "is there already" in err
    ):
        return Outcome(f"{long.name}, {told[-1]}: whole, and not written again")
    if process.returncode != 0:
        return Outcome(
            f"{long.name}, {told[-1]}: does not go on",
            True,
            {"said.txt": f"{told}\n{err}\n{out[:2000]}"},
            err,
        )
    if shown(out, long) != expected:
        return Outcome(
            f"{long.name}, {told[-1]}: other bits",
            True,
            {"said.txt": f"{told}\n{out}\n{expected}"},
            str(told),
        )
    left = [str(p) for p in Path.cwd().rglob("*.part*")]
    return Outcome(
        f"{long.name}, {told[-1]}: the same "
        f"bits{', and a part of a file is left' if left and 'KILL' not in str(told) else ''}"
    )


ATTACK = Attack("kills", "runs that are killed at any moment, and go on", trial, seconds=300, memory=4e9)
