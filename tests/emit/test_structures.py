"""Programs of every structure: rolled, unrolled and at finite width they give the same numbers."""

from pathlib import Path

import numpy as np
import pytest

import tpc
from tests.values import values_only

CASES = sorted((Path(__file__).parent / "structures").glob("*.tp"))
# fewer rounds than the recorded modules have: what is compiled unrolled has a line for every product
DIMS = {
    "batch": {"T": 3, "N": 3},
    "blocks": {"N": 2},
    "confined": {"N": 2, "T": 2},
    "gathered": {"T": 3},
    "odd": {"T": 2},
    "training": {"T": 2},
    "triangles": {"N": 3},
}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_rolled_unrolled_and_finite_width_agree(path):
    program = tpc.load(path, dims=DIMS.get(path.stem, {}))
    inputs = {
        i.name: np.arange(np.prod(i.shape)).reshape(i.shape) % i.bound
        for i in program.inputs
        if i.bound is not None
    }
    rolled, flat = (values_only(one.compile())(inputs) for one in (program, program.unroll()))
    finite = program.simulate(inputs, width=512, seeds=16)
    for name, outcome in rolled.outputs.items():
        error = np.zeros_like(outcome.value) if outcome.stderr is None else outcome.stderr
        other = np.zeros_like(outcome.value) if flat[name].stderr is None else flat[name].stderr
        assert np.all(np.hypot(error, other) < 0.1 * (1 + np.abs(outcome.value))), name
        assert np.all(np.abs(outcome.value - flat[name].value) <= 5 * np.hypot(error, other) + 1e-9), name
        allowed = 5 * np.hypot(finite.std[name] / 4, error) + 10 * (1 + np.abs(outcome.value)) / 1024
        assert np.all(np.abs(outcome.value - finite.mean[name]) <= allowed), name
