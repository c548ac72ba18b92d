"""Time from the shell, each command a process of its own: seconds, processor seconds and peak memory, medians
and spread over runs.

    python -m tests.bench.start_up [--runs 5] [--tpc COMMAND]

`tpc --help` and `tpc check`; README's example and a student of 20 steps, as second runs, which have what the
first one compiled, and without that (`--no-cache`); the first numbers of the two-hidden-layer program (TP4
Thm 6.4), and of a network of three hidden layers, with 256 samples at T = 10 and T = 1,000 steps, and the
lines of its modules; training on digits. COMMAND: what to measure (`python -m tpc.cli.main` of the checkout
that this file is in).
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.two_hidden_layers import trained

ROOT = Path(__file__).parents[2]
THEOREM, DIGITS = "programs/paper/thm_6_4.tp", "programs/experiments/digits.tp"
SHORT, LONG = 10, 1000
DEEP = """width n
dim T = 10
input xi[t < T] = 1, y[t < T] = -1, eta = 0.1
weight U : n x 1
weight W : n x n
weight X : n x n
weight V : 1 x n
network f(x) = V @ tanh(X @ tanh(W @ tanh(U @ x)))
train f for t < T:
    batch (xi[t], y[t])
    loss mse
    update sgd(lr = eta)
output loss
"""
STUDENT = trained(
    "dim T = 20, B = 4, d = 2, N = 4\ninput xi[T, B, d], y[T, B], z[N, d], v[N]",
    "sgd(lr = 0.5)",
    more="output test = sum(i < N: (f(z[i]) - v[i])^2/2)/N\n",
)
MAXRSS = 1 if sys.platform == "darwin" else 1024  # bytes in the unit of ru_maxrss


@dataclass(frozen=True)
class Cost:
    """Of one process: seconds by the clock and of the processor, peak memory in MB."""

    wall: float
    processor: float
    memory: float


def cost(command: list[str]) -> Cost:
    """Runs a command, its output thrown away. Raises RuntimeError if it fails."""
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            errors.seek(0)
            raise RuntimeError(f"{shlex.join(command)} failed: {errors.read().decode()}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * MAXRSS / 1e6)


def measured(title: str, command: list[str], runs: int) -> float:
    """Prints the medians of some runs after a first one that warms the disk's cache. Returns the median of
    seconds."""
    costs = [cost(command) for _ in range(runs + 1)][1:]
    wall = [c.wall for c in costs]
    processor, memory = (
        statistics.median(c.processor for c in costs),
        statistics.median(c.memory for c in costs),
    )
    print(
        f"{title:<54} {statistics.median(wall):6.2f} s ({min(wall):.2f} … {max(wall):.2f}), {processor:6.2f} "
        f"s of the processor, {memory:5.0f} MB",
        flush=True,
    )
    return statistics.median(wall)


def second_runs(tpc: list[str], folder: Path, runs: int) -> None:
    """README's example, and a student that learns what a teacher says of Gaussian points."""
    random = np.random.default_rng(0)
    x, z = random.standard_normal((20, 4, 2)), random.standard_normal((4, 2))
    y, v = (np.tanh(points[..., 0] + points[..., 1] ** 2 / 2 - 0.5) for points in (x, z))
    np.savez(folder / "student.npz", xi=x, y=y, z=z, v=v)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (folder / "readme.tp").write_text(readme.split("```tp\n")[1].split("```")[0], encoding="utf-8")
    (folder / "student.tp").write_text(STUDENT, encoding="utf-8")
    for name, data in (("readme", []), ("student", ["--data", str(folder / "student.npz")])):
        for title, options in (("a second run", []), ("without the cache", ["--no-cache"])):
            command = [*tpc, "run", str(folder / f"{name}.tp"), *data, *options]
            measured(f"tpc run {name}, {title}", command, runs)


def lines(tpc: list[str], steps: int) -> int:
    command = [*tpc, "compile", THEOREM, "--set", f"T={steps}", "--samples", "256", "-o", "-"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    return done.stdout.count(b"\n")


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--tpc", type=shlex.split, default=[sys.executable, "-m", "tpc.cli.main"])
    chosen = options.parse_args()
    tpc, runs = chosen.tpc, chosen.runs
    measured("tpc --help", [*tpc, "--help"], runs)
    measured("tpc check thm_6_4", [*tpc, "check", THEOREM], runs)
    measured("tpc check digits", [*tpc, "check", DIGITS], runs)
    with tempfile.TemporaryDirectory() as folder:
        second_runs(tpc, Path(folder), runs)
        deep = Path(folder) / "three_layers.tp"
        deep.write_text(DEEP)
        for file, repeats in ((THEOREM, 2), (THEOREM, 8), (str(deep), 2), (str(deep), 8)):
            short, long = (
                measured(
                    f"tpc run {Path(file).stem}, T = {steps}, 256 samples, {repeats} repeats",
                    [*tpc, "run", file, "--set", f"T={steps}", "--samples", "256", "--repeats", str(repeats)],
                    runs,
                )
                for steps in (SHORT, LONG)
            )
            print(f"    ratio {long / short:.2f}")
    short, long = lines(tpc, SHORT), lines(tpc, LONG)
    print(f"lines emitted: {short} at T = {SHORT}, {long} at T = {LONG}, ratio {long / short:.2f}")
    measured("tpc run digits", [*tpc, "run", DIGITS, "--data", DIGITS.replace(".tp", ".npz")], min(runs, 3))


if __name__ == "__main__":
    main()
