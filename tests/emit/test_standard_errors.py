"""The standard error that one run claims is the spread over seeds, and there is no bias beside it: at rank 4
and at rank 80.

A small version of `tests/bench/standard_errors.py`. 200 seeds tell the spread to 5 %, so 20 % are four
standard errors. Rank 80 takes minutes: `TPC_FULL=1`.
"""

import os

import numpy as np
import pytest

from tests.bench.standard_errors import calibration

FULL = bool(os.environ.get("TPC_FULL"))


@pytest.mark.parametrize(
    ("steps", "samples"),
    [
        pytest.param(2, 256, id="rank 4"),
        pytest.param(40, 1024, id="rank 80", marks=pytest.mark.skipif(not FULL, reason="minutes")),
    ],
)
def test_claims_are_right(steps, samples):
    found = calibration(steps, samples, seeds=200)
    assert np.all(np.abs(found.ratio - 1) < 0.2), str(found)
    assert np.all(np.abs(found.bias) < 0.3), str(found)
    assert found.noise.max() < 0.15, str(found)  # else the finer run tells nothing
