"""Random programs and trainings: what the limit predicts of finite width against matrices that are drawn, and
against those that are not.

One in the suite. `TPC_VERIFIED=300 pytest tests/random/test_verified.py` runs 300, and `python -m
tests.random.test_verified COUNT [FIRST]` prints what is found, and the z's of all.
"""

from __future__ import annotations

import os
import sys
import time
from random import Random

import numpy as np
import pytest

import tpc
from tests.attack.programs import training
from tests.derive.random_programs import SMOOTH, random_program
from tpc.simulate import verify

COUNT = int(os.environ.get("TPC_VERIFIED", "1"))
WIDTHS, SEEDS = (64, 192), 256
KINDS = ("dense", "free")


def chosen(seed):
    """A program with its inputs: a training if the number is odd."""
    if seed % 2:
        return training(Random(f"verified {seed}"))
    return random_program(70_000 + seed, SMOOTH), {"c": np.array([0.7, -0.4, 0.9])}


def reports(seed):
    """The text, and by kind of matrices the report of finite widths against what is predicted of them."""
    text, inputs = chosen(seed)
    program = tpc.parse(text)
    result = program.compile(samples=4096, repeats=8)(inputs)
    predicted = program.corrections(inputs, limit=result, repeats=8).outputs
    found = {}
    for k, kind in enumerate(KINDS):  # seeds of their own: vectors are drawn alike
        samples = [
            program.simulate(inputs, width=n, seeds=range(k * SEEDS, (k + 1) * SEEDS), matrices=kind)
            for n in WIDTHS
        ]
        found[kind] = verify(result.limits, samples, corrections=predicted)
    return text, found


@pytest.mark.parametrize("seed", range(1, COUNT + 1))
def test_both_kinds_of_matrices_are_as_predicted(seed):
    text, found = reports(seed)
    for kind, report in found.items():
        assert report.agrees, f"{kind}\n{report}\n{text}"


def sigmas(report):
    """Of bias and spread, for every entry for which they are predicted."""
    parts = [own for o in report.outputs if o.forecast for own in (o.forecast.bias, o.forecast.variance)]
    return np.concatenate([np.ravel(own.sigma) for own in parts] or [np.zeros(0)])


def main(count, first):
    agree, every = dict.fromkeys(KINDS, 0), {kind: [np.zeros(0)] for kind in KINDS}
    done = refused = 0
    for seed in range(first, first + count):
        start = time.process_time()
        try:
            text, found = reports(seed)
        except tpc.TpcError as error:
            refused += 1
            print(f"{seed}: {error.diagnostics[0].code}", flush=True)
            continue
        done += 1
        for kind, report in found.items():
            agree[kind] += report.agrees
            every[kind].append(sigmas(report))
            if not report.agrees:
                print(f"{seed}, {kind}:\n{report}\n{text}", flush=True)
        print(f"{seed}: {time.process_time() - start:.0f} s of processor time", flush=True)
    for kind in KINDS:
        z = np.concatenate(every[kind])
        z = z[np.isfinite(z)]
        print(
            f"{kind}: {agree[kind]} of {done} agree ({refused} refused); {len(z)} predictions, "
            f"{np.mean(z > 2):.1%} beyond 2 and {np.mean(z > 3):.2%} beyond 3 standard errors, greatest "
            f"{z.max(initial=0):.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
