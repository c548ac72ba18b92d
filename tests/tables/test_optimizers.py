"""Optimizers at finite width, entry by entry, against their own definitions, and against optax's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tpc
from tests.tables import finite
from tpc.simulate.seeds import draws

STEPS, BATCH, DIM = 10, 3, 2
TEXT = """
width n
dim T = {steps}, B = 3, d = 2
input xi[T, B, d], y[T, B], xs[2, d]
weight U : n x d
weight W : n x n
weight V : 1 x n
bias b : n
network f(x) = V @ tanh(W @ tanh(U @ x + b))
train f for t < T:
    batch (xi[t, i], y[t, i]) for i < B
    loss mse
    update {update}
output loss
output g[i] = f(xs[i]) for i < 2
"""
RULES = {
    "adam(lr = 0.1)": (finite.adam(), 0.1, 0.0),
    "adam(lr = 0.1, beta2 = 0.9, eps = 0.1, root = 1)": (finite.adam(0.9, 0.9, 0.1, root=True), 0.1, 0.0),
    "adamw(lr = 0.1, beta1 = 0.8, eps = 1e-3, decay = 0.3)": (finite.adam(0.8, eps=1e-3), 0.1, 0.3),
    "signsgd(lr = 0.05)": (finite.signsgd(), 0.05, 0.0),
    "signsgd(lr = 0.05, momentum = 0.9, eps = 0.1)": (finite.signsgd(0.9, 0.1), 0.05, 0.0),
    "rmsprop(lr = 0.05, eps = 1e-3, momentum = 1/2)": (finite.rmsprop(eps=1e-3, momentum=0.5), 0.05, 0.0),
    "adagrad(lr = 0.1, decay = 0.1)": (finite.adagrad(), 0.1, 0.1),
    "lion(lr = 0.05, decay = 0.2)": (finite.lion(), 0.05, 0.2),
    "adamax(lr = 0.1)": (finite.adamax(), 0.1, 0.0),
    "nadam(lr = 0.1)": (finite.nadam(), 0.1, 0.0),
}


def data(steps: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    shapes = {"xi": (steps, BATCH, DIM), "y": (steps, BATCH), "xs": (2, DIM)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def start_of(program: Any, inputs: dict[str, np.ndarray], width: int, dtype: Any) -> dict[str, np.ndarray]:
    given = draws(program, inputs, width=width, seed=1, dtype=dtype)
    return {"U": given["U0"].T, "W": given["W"], "v": given["V0"], "b": given["b0"]}


@pytest.mark.parametrize("update", RULES)
def test_optimizers_at_finite_width(update: str) -> None:
    step, rate, decay = RULES[update]
    program, inputs = tpc.parse(TEXT.format(steps=4, update=update)), data(4)
    found = program.simulate(inputs, width=16, seeds=[1]).outputs
    weights = start_of(program, inputs, 16, "float64")
    losses, after = finite.trained(weights, inputs["xi"], inputs["y"], step, rate, decay)
    np.testing.assert_allclose(found["loss"][0], losses, rtol=1e-9)
    np.testing.assert_allclose(found["g"][0], finite.Net().outputs(after, inputs["xs"]), rtol=1e-9)
