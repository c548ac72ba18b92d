"""Rules by hand are steps like others: against `update sgd`, in every order; so is what `adapt` does."""

import jax
import numpy as np
import pytest

from tests.train.exotic import lowered


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


HAND_HEAD = """width n
dim T = 4, d = 2
input eta = 0.5, xi[t < T, d], y[t < T]
weight U : n x d
weight W : n x n
bias b : n
weight V : 1 x n, frozen
network first(x) = U @ x + b
network f(x):
    h1 = first(x)
    x1 = tanh(h1)
    h2 = W @ x1
    return V @ tanh(h2)
network back(s) = W.T @ s
"""
END = "output end[i] = f(xi[i]) for i < T\n"


def by_hand(start, steps):
    """Steps of SGD from example `start` on, with the backward pass written out."""
    return f"""for t < {steps}:
    chi{start}[t] = f(xi[t+{start}]) - y[t+{start}]
    dh{start}[t] = V0*tanh'(f.h2(xi[t+{start}]))
    dx{start}[t] = back(dh{start}[t])*tanh'(f.h1(xi[t+{start}]))
    W += -eta*chi{start}[t]*outer(dh{start}[t], f.x1(xi[t+{start}]))
    U += -eta*chi{start}[t]*outer(dx{start}[t], xi[t+{start}])
    b += -eta*chi{start}[t]*dx{start}[t]
"""


def by_sgd(start, steps, options=""):
    return (
        f"train f as s{start} for t < {steps}:\n"
        f"    batch (xi[t+{start}], y[t+{start}])\n"
        "    loss mse\n"
        f"    update sgd(lr = eta{options})\n"
    )


def end_of(text, head=HAND_HEAD):
    r = np.random.default_rng(4)
    return lowered(head + text, {"xi": r.standard_normal((4, 2)), "y": r.choice([-1.0, 1.0], 4)})[0]["end"]


@pytest.mark.parametrize(
    "parts",
    [
        by_hand(0, 4),
        by_sgd(0, 2) + by_hand(2, 2),
        by_hand(0, 2) + by_sgd(2, 2),
        by_hand(0, 2) + by_hand(2, 2),
    ],
)
def test_rules_by_hand_are_steps_like_others(parts):
    np.testing.assert_allclose(end_of(parts + END), end_of(by_sgd(0, 4) + END), rtol=1e-14)


def test_a_rule_by_hand_changes_the_weight_with_what_stands_in_front_of_it():
    head = HAND_HEAD.replace("weight W : n x n", "weight W : n x n, scale = 2").replace(
        "weight U : n x d", "weight U : n x d, scale = 1/2, std = 3"
    )
    rule = by_hand(0, 4).replace("W += -eta", "W += -4*eta").replace("U += -eta", "U += -1/4*eta")
    np.testing.assert_allclose(end_of(rule + END, head), end_of(by_sgd(0, 4) + END, head), rtol=1e-14)


@pytest.mark.parametrize("before", ["", by_hand(0, 2), by_sgd(0, 2, ", momentum = 1/2, decay = 0.1")])
def test_adapting_is_training_on_its_own(before):
    adapted = "g = adapt(f, (xi[i], y[i]) for i < 2, loss = mse, lr = eta, steps = 3)\n" + END.replace(
        "f(", "g("
    )
    trained = (
        "train f for t < 3:\n    batch (xi[i], y[i]) for i < 2\n    loss mse\n    update sgd(lr = eta)\n"
        + END
    )
    np.testing.assert_allclose(end_of(before + adapted), end_of(before + trained), rtol=1e-14)


def test_a_part_of_a_trained_network_is_trained_with_it():
    part, whole = (
        end_of(by_sgd(0, 4) + f"output end[t] = mean({x}(xi[0])^2) for t < T + 1\n")
        for x in ("first[t]", "f[t].h1")
    )
    np.testing.assert_allclose(part, whole, rtol=1e-14)
    assert np.unique(part).size == 5
