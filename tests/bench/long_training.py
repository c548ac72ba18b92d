"""Long trainings: two hidden tanh layers in μP (TP4 Thm 6.4), one example a step, ξ, y ∈ {±1}: time, memory,
and the error of every loss.

    python -m tests.bench.long_training [--steps 1000] [--lr 0.1] [--samples 2048] [--repeats 8]

The error is the distance from a run with four times the nodes and as many repeats, root mean square over the
losses, and in standard errors of the two. Time is of a warm run, points drawn included; memory is the peak of
the process after that run.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

import tpc

PROGRAM = Path(__file__).parents[2] / "programs" / "paper" / "thm_6_4.tp"


def inputs(steps: int, rate: float) -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {"xi": random.choice([-1.0, 1.0], steps), "y": random.choice([-1.0, 1.0], steps), "eta": rate}


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def main() -> None:
    options = argparse.ArgumentParser()
    for name, kind, default in (
        ("steps", int, 1000),
        ("lr", float, 0.1),
        ("samples", int, 2048),
        ("repeats", int, 8),
    ):
        options.add_argument(f"--{name}", type=kind, default=default)
    options = options.parse_args()
    program, given = tpc.load(PROGRAM, dims={"T": options.steps}), inputs(options.steps, options.lr)
    limit = program.compile(samples=options.samples, repeats=options.repeats)
    limit(given, seed=1)
    start = time.perf_counter()
    found = limit(given, seed=2)["loss"]
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    finer = program.compile(samples=4 * options.samples, repeats=options.repeats)(given, seed=3)["loss"]
    errors = np.abs(found.value - finer.value) / np.where(
        found.stderr > 0, np.hypot(found.stderr, finer.stderr), 1
    )
    print(
        f"T = {options.steps}, η = {options.lr}, M = {options.samples}, {options.repeats} repeats: "
        f"{seconds:.1f} s, {memory:.0f} MB; standard "
        f"error {rms(found.stderr):.1e}, from {4 * options.samples} points "
        f"{rms(found.value - finer.value):.1e} (theirs "
        f"{rms(finer.stderr):.1e}), RMS over the losses; beyond 3 standard errors: {np.mean(errors > 3):.1%} "
        f"of them, the worst {errors.max():.1f}"
    )


if __name__ == "__main__":
    main()
