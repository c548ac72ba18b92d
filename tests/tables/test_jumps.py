"""Whether a step in the direction of nothing is told, and no other, at many points and repeats."""

import pytest

import tpc

TEXT = """width n
dim T = 3
input xi[T], y[T]
weight U : n x 1
weight W : n x n
weight V : 1 x n
network f(x) = V @ tanh(W @ tanh(U @ x))
train f for t < T:
    batch (xi[t], y[t])
    loss mse
    update {update}
output loss
"""
LION, MUON = "lion(lr = 0.05)", "muon(lr = 0.05) of U, V, W"


# with many repeats the error of what vanishes is small beside it
@pytest.mark.parametrize(("update", "samples", "repeats"), [(LION, 64, 8), (LION, 1024, 64), (MUON, 64, 8)])
def test_a_gradient_that_vanishes_is_told_and_no_other(update: str, samples: int, repeats: int) -> None:
    evaluator = tpc.parse(TEXT.format(update=update)).compile(samples=samples, repeats=repeats)
    inputs = [1, -0.5, 0.7]
    for seed in range(3):  # the derivative of a loss whose label is the start's own f, 0
        with pytest.raises(tpc.TpcError, match="TP748"):
            evaluator({"xi": inputs, "y": [0, 0, 0]}, seed=seed)
    for labels in ([1, 0.5, -0.2], [1, 0, 0.1]):
        evaluator({"xi": inputs, "y": labels})
