"""Random programs by four routes: the evaluator (Stein form), rolled and unrolled; the formulas (derivative
form); finite width.

Five programs in the suite. `TPC_RANDOM=300 pytest tests/random` runs 300; `TPC_RANDOM_WIDTH` sets the
finite width (1024).
"""

import os

import numpy as np
import pytest

import tpc
from tests.derive.random_programs import JUMPS, SMOOTH, random_program
from tests.values import values_only

COUNT, WIDTH = int(os.environ.get("TPC_RANDOM", "5")), int(os.environ.get("TPC_RANDOM_WIDTH", "1024"))
INPUTS = {"c": np.array([0.7, -0.4, 0.9])}
# few repeats have Student's tails: 8 of their σ are as rare as 5 Gaussian ones
REPEATS, SAMPLES, SEEDS, SIGMAS = 16, 2048, 8, 8
BIAS = 0.005  # of finite width


def close(one, error, other, other_error, bias):
    return np.all(np.abs(one - other) <= SIGMAS * np.hypot(error, other_error) + bias * (1 + np.abs(one)))


def evaluated(evaluator):
    return {
        name: (o.value, np.zeros_like(o.value) if o.stderr is None else o.stderr)
        for name, o in evaluator(INPUTS).outputs.items()
    }


def repeated(runs):
    """Means and standard errors over several runs."""
    return {
        name: (
            np.mean([r[name] for r in runs], axis=0),
            np.std([r[name] for r in runs], axis=0, ddof=1) / len(runs) ** 0.5,
        )
        for name in runs[0]
    }


@pytest.mark.parametrize("seed", range(1000, 1000 + COUNT))
def test_four_routes_agree(seed):
    text = random_program(seed, JUMPS + SMOOTH if seed % 3 == 0 else SMOOTH)
    program = tpc.parse(text)
    points = {"samples": SAMPLES, "repeats": REPEATS}
    rolled = evaluated(values_only(program.compile(**points)))
    flat = evaluated(values_only(program.unroll().compile(**points)))
    limit = program.derive()
    formulas = repeated([limit.evaluate(INPUTS, samples=SAMPLES, seed=k) for k in range(6)])
    samples = program.simulate(INPUTS, width=WIDTH, seeds=SEEDS, dtype="float32")
    finite = {name: (samples.mean[name], samples.std[name] / SEEDS**0.5) for name in samples.outputs}
    for name, (value, error) in rolled.items():
        assert close(value, error, *flat[name], 1e-9), f"unrolled, {name}\n{text}"
        assert close(value, error, *formulas[name], 4 / SAMPLES), (
            f"formulas, {name}: {value} {formulas[name]}\n{text}"
        )
        assert close(value, error, *finite[name], BIAS), (
            f"finite width, {name}: {value} {finite[name]}\n{text}"
        )
