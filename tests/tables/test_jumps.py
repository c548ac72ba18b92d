"""Whether a step in the direction of nothing is told, and no other, at many points and repeats."""

import numpy as np
import pytest

import tpc
from tests.two_hidden_layers import trained

HEAD = "dim T = 3, B = 1, d = 1\ninput xi[T, B, d], y[T, B]"
LION, MUON = "lion(lr = 0.05)", "muon(lr = 0.05) of U, V, W"
RPROP = "rprop(lr = 0.05)"


# with many repeats the error of what vanishes is small beside it
@pytest.mark.parametrize(
    ("update", "samples", "repeats"), [(LION, 64, 8), (LION, 256, 64), (RPROP, 64, 8), (MUON, 64, 8)]
)
def test_a_gradient_that_vanishes_is_told_and_no_other(update: str, samples: int, repeats: int) -> None:
    evaluator = tpc.parse(trained(HEAD, update)).compile(samples=samples, repeats=repeats)
    inputs = np.reshape([1, -0.5, 0.7], (3, 1, 1))
    for seed in range(3):  # the derivative of a loss whose label is the start's own f, 0
        with pytest.raises(tpc.TpcError, match="TP748"):
            evaluator({"xi": inputs, "y": np.zeros((3, 1))}, seed=seed)
    for labels in ([1, 0.5, -0.2], [1, 0, 0.1]):
        evaluator({"xi": inputs, "y": np.reshape(labels, (3, 1))})


TINY = [
    "adam(lr = 0.05)",
    "adamw(lr = 0.05, root = 1)",
    "adamax(lr = 0.05)",
    "rmsprop(lr = 0.05, eps = tiny)",
    "signsgd(lr = 0.05, eps = tiny)",
    "mine(lr = 0.05, eps = 0)",
    "shampoo(lr = 0.05, eps = tiny)\n    update sgd(lr = 0.1) otherwise",
]
ONE_LAYER = """width n
dim T = 2
input x[T] = 1, y[T]
weight U : n x 1
weight V : 1 x n
network f(z) = V @ tanh(U @ z)
train f for t < T:
    batch (x[t], y[t])
    loss mse
    update {}
output loss
"""
RULE = "optimizer mine(eps):\n    return g/(abs(g) + eps)\n"


@pytest.mark.parametrize("update", TINY)
def test_an_eps_below_what_points_tell_from_0_is_told(update: str) -> None:
    """With eps = 1e-8 a step is a sign but at widths above 1e16, and of a label 0 one of a fluctuation."""
    program = tpc.parse(trained(f"{HEAD}, tiny = 1e-12\n{RULE}", update), dims={"T": 1})
    evaluator = program.compile(samples=64, repeats=8)
    with pytest.raises(tpc.TpcError, match="TP748"):
        evaluator({"xi": np.ones((1, 1, 1)), "y": np.zeros((1, 1))})
    evaluator({"xi": np.ones((1, 1, 1)), "y": np.ones((1, 1))})


def test_gradients_that_are_0_at_every_width_have_no_direction() -> None:
    """An input of zeros moves nothing, also where the limit is exact."""
    text = trained(HEAD, MUON).replace("tanh", "")
    evaluator = tpc.parse(text).compile()
    inputs = {"xi": np.reshape([0, 1, 1.0], (3, 1, 1)), "y": np.ones((3, 1))}
    shifted = {"xi": np.reshape([1, 1, 0.0], (3, 1, 1)), "y": np.ones((3, 1))}
    found, other = evaluator(inputs)["loss"], evaluator(shifted)["loss"]
    assert found.stderr is None
    np.testing.assert_allclose(found.value[2], other.value[1], rtol=1e-12)
    with pytest.raises(tpc.TpcError, match="TP748"):
        evaluator({"xi": np.ones((3, 1, 1)), "y": np.reshape([0, 1, 1.0], (3, 1))})


def test_an_eps_above_it_has_its_limit() -> None:
    """All labels 0, a gradient that is 0 in the limit, and a step of the size gradient/eps."""
    update = "adam(lr = 0.05, eps = 1)"
    evaluator = tpc.parse(trained(HEAD, update)).compile(samples=256, repeats=8)
    result = evaluator({"xi": np.reshape([1, -0.5, 0.7], (3, 1, 1)), "y": np.zeros((3, 1))})
    assert np.all(np.abs(result["loss"].value) < 1e-4)


@pytest.mark.parametrize("update", ["adam(lr = 0.1)", "adamw(lr = 0.1)", "rmsprop(lr = 0.1)"])
def test_by_quadrature_the_points_that_check_it_tell(update: str) -> None:
    """A rule finds that a gradient is 0, points do not, and what they disagree on is theirs."""
    evaluator = tpc.parse(ONE_LAYER.format(update)).compile()
    assert evaluator.plan.checks[1]
    with pytest.raises(tpc.TpcError, match="TP748"):
        evaluator({"y": [0, 0]})
    loss = evaluator({"y": [1, 0.5]})["loss"]
    assert loss.value[0] == pytest.approx(0.5, abs=1e-10)
    assert 0 < loss.value[1] < 0.126  # f moves from 0 towards 1, and is wanted to be 1/2
