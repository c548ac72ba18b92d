"""Derivatives of outputs with jumps that inputs move: told, and no others."""

import warnings

import jax
import numpy as np
import pytest

import tpc
from tpc.evaluate.moved_jumps import with_moved_jumps

TRAINING = """width n
dim T = 2, B = 2
input x[T, B], y[T, B], eta = 0.1, small = 0.1
weight U : n x 1
weight W : n x n
weight V : 1 x n
network f(x) = V @ {act}(W @ {act}(U @ x))
train f for t < T:
    batch (x[t, i], y[t, i]) for i < B
    loss mse
    update {update}
output loss
"""
SMOOTH = ["adam(lr = eta, eps = small)", "rmsprop(lr = eta, eps = small)", "adadelta(lr = eta, eps = small)"]
SMOOTH += ["signsgd(lr = eta, eps = small)", "nadam(lr = eta, eps = 0.1)", "sgd(lr = eta)"]
JUMPING = ["signsgd(lr = eta)", "lion(lr = eta)", "rprop(lr = eta)"]


def told(text):
    return "loss" in with_moved_jumps(tpc.parse(text))


@pytest.mark.parametrize("update", SMOOTH)
def test_smooth_steps_of_smooth_networks_have_their_derivatives(update):
    assert not told(TRAINING.format(act="tanh", update=update))


@pytest.mark.parametrize(
    ("act", "update"), [*(("tanh", update) for update in JUMPING), ("relu", "sgd(lr = eta)")]
)
def test_jumps_that_inputs_move_are_found(act, update):
    assert told(TRAINING.format(act=act, update=update))


@pytest.mark.parametrize(
    ("line", "moves"),
    [
        ("mean(sign(v)*(a*v)^3)", False),  # a jump that stays
        ("mean(relu(v + a))", False),
        ("mean(where(v > a, v - a, 0))", False),  # a kink
        ("mean(where(v > a, v, 0))", True),
        ("mean(step(v - a))", True),
        ("mean(sign(v)*where(a > 0, v, 0))", False),  # a choice for all entries
    ],
)
def test_which_jumps_inputs_move(line, moves):
    program = tpc.parse(f"width n\ninput a\nvector v : n ~ N(0, 1)\noutput q = {line}\n")
    assert with_moved_jumps(program) == ({"q"} if moves else set())


def test_a_vector_whose_variance_is_an_input_moves():
    program = tpc.parse("width n\ninput a\nvector v : n ~ N(1, a^2)\noutput q = mean(step(v))\n")
    assert with_moved_jumps(program) == {"q"}


def test_a_derivative_that_misses_a_jump_is_told():
    """E step(v - a) is 1 - Φ(a), and at points constant; values alone say nothing."""
    text = "width n\ninput a\nvector v : n ~ N(0, 1)\noutput q = mean(step(v - a)), r = mean(tanh(v - a))\n"
    evaluator = tpc.parse(text.replace(", r", "\noutput r")).compile(method="nodes", samples=64, repeats=2)
    function = evaluator.function("q")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "derivatives of")
        assert np.isfinite(function({"a": 0.5}))
        assert jax.grad(lambda a: evaluator.function("r")({"a": a}))(0.5) < 0
    with pytest.warns(UserWarning, match="derivatives of `q` leave out"):
        assert jax.grad(lambda a: function({"a": a}))(0.5) == 0
