"""Limits of entrywise optimizers against closed forms, quadrature, and each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import erf

import tpc
from tests.two_hidden_layers import trained
from tests.values import values_only

PROGRAMS = Path(__file__).parents[2] / "programs" / "optimisers"
C = np.sqrt(2 / np.pi)
SIGMAS = 4


def near(found: Any, wanted: Any) -> None:
    """Whether sampled values are within four standard errors, which are small."""
    error = np.asarray(found.stderr)
    assert np.all(np.abs(np.asarray(found.value) - wanted) <= SIGMAS * error), (found, wanted)
    assert np.all(error <= 2e-3)


def test_one_layer_is_exact() -> None:
    result = values_only(tpc.load(PROGRAMS / "linear_one_layer.tp").compile())()
    eta = 0.1
    p = erf(eta / np.sqrt(2))
    second = 2 * eta * C + 2 * eta * C * np.exp(-(eta**2) / 2) + 2 * eta**2 * p * (2 - p)
    np.testing.assert_allclose(result["first"].value, 2 * eta * C, atol=1e-9)
    np.testing.assert_allclose(result["second"].value, second, atol=1e-9)


def test_a_linear_net_with_one_hidden_table() -> None:
    evaluator = values_only(tpc.load(PROGRAMS / "linear_two_layers.tp").compile(samples=1024, repeats=16))
    near(evaluator({"eps": 0.1})["f1"], 0.2002660874)
    near(evaluator({"eps": 0.0})["f1"], 0.1 * (2 * C + 2 / np.pi))


def test_a_table_of_signs() -> None:
    result = values_only(tpc.load(PROGRAMS / "kernel.tp").compile(samples=512, repeats=16))()
    near(result["s"], C / 2)
    assert result["one"].value == pytest.approx(1, abs=1e-12)


TANH = """
width n
input eta = 0.2
weight U : n x 1
weight W : n x n
weight V : 1 x n
network f(x) = V @ tanh(W @ tanh(U @ x))
train f for t < 1:
    batch (1, 1)
    loss mse
    update signsgd(lr = eta)
output f1 = f(1)
"""


def test_hats_dots_and_a_kernel_at_once() -> None:
    """By quadrature over the three Gaussians of each layer, split at 0."""
    result = values_only(tpc.parse(TANH).compile(samples=1024, repeats=16))()
    near(result["f1"], 0.2198596486)


def test_one_example_by_signs() -> None:
    """Against the same training written out with outer products of signs, on 8,192 points."""
    given = json.loads((Path(__file__).parent / "sign_batch1.json").read_text(encoding="utf-8"))
    wanted, error = np.array([0.11124, 0.07349, -0.08857, 0.03052]), np.array([6e-5, 8e-5, 13e-5, 14e-5])
    result = values_only(tpc.load(PROGRAMS / "sign_batch1.tp").compile(samples=1024, repeats=8))(given)["fx"]
    apart = np.abs(np.asarray(result.value) - wanted)
    assert np.all(apart <= SIGMAS * np.hypot(np.asarray(result.stderr), error))


def program_and_inputs(
    update: str, steps: int, loss: str = "mse"
) -> tuple[tpc.Program, dict[str, np.ndarray]]:
    rng, batch = np.random.default_rng(3), 2
    shapes = (steps, batch)
    inputs = {"xi": rng.standard_normal((*shapes, 2)), "y": 1 + rng.random(shapes), "xs": np.array([1, -1])}
    head = f"dim T = {steps}, B = {batch}, d = 2\ninput xi[T, B, d], y[T, B], xs[d]"
    return tpc.parse(trained(head, update, loss=loss, more="output g = f(xs)\n")), inputs


def evaluated(update: str, steps: int = 2, *, loss: str = "mse") -> np.ndarray:
    """The losses and the output after training, from the formulas, on 64 points."""
    program, inputs = program_and_inputs(update, steps, loss)
    found = program.derive().evaluate(inputs, samples=64)
    return np.append(found["loss"], found["g"])


IDENTITIES = [
    ("adam(lr = 0.2, beta1 = 0, beta2 = 0, eps = 0)", "signsgd(lr = 0.2)", 2),
    ("adam(lr = 0.2, eps = 0.1)", "adam(lr = 0.2, beta1 = 0, beta2 = 0, eps = 0.1)", 1),
    ("adagrad(lr = 0.2, eps = 0.1)", "adam(lr = 0.2, eps = 0.1)", 1),
    ("lion(lr = 0.2, beta1 = 0.9, beta2 = 0.9)", "signsgd(lr = 0.2, momentum = 0.9)", 2),
    ("rmsprop(lr = 0.2, beta2 = 0, eps = 0.1)", "adam(lr = 0.2, beta1 = 0, beta2 = 0, eps = 0.1)", 2),
    ("adamw(lr = 0.2, eps = 0.1, decay = 0)", "adam(lr = 0.2, eps = 0.1)", 2),
    ("adam(lr = 0.2, eps = 0.1, clip = 1e6)", "adam(lr = 0.2, eps = 0.1, limit = 1e6)", 2),
]


@pytest.mark.parametrize(("one", "other", "steps"), IDENTITIES)
def test_optimizers_that_are_the_same(one: str, other: str, steps: int) -> None:
    np.testing.assert_allclose(evaluated(one, steps), evaluated(other, steps), rtol=1e-9)


def test_adam_with_a_large_eps_is_sgd() -> None:
    """At finite width, where a table is an array and a history is none."""
    found = []
    for update in ("sgd(lr = 0.2)", "adam(lr = 0.2e6, beta1 = 0, beta2 = 0, eps = 1e6)"):
        program, inputs = program_and_inputs(update, 2)
        found.append(program.simulate(inputs, width=16, seeds=[0]).outputs)
    for name, values in found[0].items():
        np.testing.assert_allclose(found[1][name], values, atol=1e-5)


def test_without_eps_the_scale_of_a_loss_means_nothing() -> None:
    own = evaluated("adam(lr = 0.1, eps = 0)", loss="(f, y) = 7*(f - y)^2/2")
    np.testing.assert_allclose(own[:-1] / 7, evaluated("adam(lr = 0.1, eps = 0)")[:-1], rtol=1e-9)


def test_a_bound_that_is_met_bounds_the_step() -> None:
    """One step of a limit θ below the root mean square 1 of signs is one at the rate θη."""
    np.testing.assert_allclose(
        evaluated("signsgd(lr = 0.2, limit = 0.5)", 1), evaluated("signsgd(lr = 0.1)", 1), rtol=1e-9
    )
