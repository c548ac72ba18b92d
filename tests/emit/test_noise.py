"""Inner products on sampled points have errors, which do not grow in long trainings."""

import numpy as np

import tpc
from tests.bench.long_training import PROGRAM, inputs


def test_errors_do_not_breed_in_long_trainings():
    """200 steps: the limit's losses from few points are those from four times as many, within the errors. Of
    products whose errors do not fit together each of 200 directions would send its own back."""
    steps = 200
    program, given = tpc.load(PROGRAM, dims={"T": steps}), inputs(steps, 0.1)
    module = program.compile(samples=1024, repeats=8).module
    few = module.claims(module.evaluations(given, lambda k: module.draw(1024, k), 8))["loss"]
    many = program.compile(samples=4096, repeats=2)(given, seed=8192)["loss"].value
    assert np.sqrt(np.mean(few.spread**2)) < 5e-4
    assert np.sqrt(np.mean((few.value - many) ** 2)) < 1e-3
