"""Whether a step in the direction of nothing is told, and no other, at many points and repeats."""

import numpy as np
import pytest

import tpc
from tests.two_hidden_layers import trained

HEAD = "dim T = 3, B = 1, d = 1\ninput xi[T, B, d], y[T, B]"
LION, MUON = "lion(lr = 0.05)", "muon(lr = 0.05) of U, V, W"


# with many repeats the error of what vanishes is small beside it
@pytest.mark.parametrize(("update", "samples", "repeats"), [(LION, 64, 8), (LION, 1024, 64), (MUON, 64, 8)])
def test_a_gradient_that_vanishes_is_told_and_no_other(update: str, samples: int, repeats: int) -> None:
    evaluator = tpc.parse(trained(HEAD, update)).compile(samples=samples, repeats=repeats)
    inputs = np.reshape([1, -0.5, 0.7], (3, 1, 1))
    for seed in range(3):  # the derivative of a loss whose label is the start's own f, 0
        with pytest.raises(tpc.TpcError, match="TP748"):
            evaluator({"xi": inputs, "y": np.zeros((3, 1))}, seed=seed)
    for labels in ([1, 0.5, -0.2], [1, 0, 0.1]):
        evaluator({"xi": inputs, "y": np.reshape(labels, (3, 1))})
