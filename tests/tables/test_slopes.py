"""Derivatives of trainings by Adam and its kin in their options and in data, against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc

TEXT = """width n
dim T = 3, B = 2, d = 2
input x[T, B, d], y[T, B], eta = 0.1, small = 0.05, share = 0.5
weight U : n x d
weight W : n x n
weight V : 1 x n
network f(x) = V @ tanh(W @ tanh(U @ x))
train f for t < T:
    batch (x[t, i], y[t, i]) for i < B
    loss mse
    update {}
output loss
"""
RULE = """optimizer own(beta, eps):
    m = beta*m + (1 - beta)*g
    v = beta*v + m^2
    return over(m, sqrt(v) + eps)
"""
UPDATES = [
    "adam(lr = eta, eps = small, beta2 = share)",
    "adamw(lr = eta, eps = small, beta1 = share, root = 1, decay = small, limit = share)",
    "rmsprop(lr = eta, eps = small, beta2 = share, momentum = share)",
    "nadam(lr = eta, eps = small, beta1 = share)",
    "adadelta(lr = eta, eps = small, rho = share)",
    "signsgd(lr = eta, eps = small, momentum = share)",
    "own(lr = eta, eps = small, beta = share)",
]


@pytest.mark.parametrize("update", UPDATES)
def test_derivatives_are_those_of_the_mean_over_the_points(update):
    evaluator = tpc.parse(TEXT.format(update).replace("train", f"{RULE}train")).compile(samples=64, repeats=2)
    r = np.random.default_rng(3)
    x, y = r.standard_normal((3, 2, 2)), r.standard_normal((3, 2))
    with jax.enable_x64(True):
        loss = evaluator.function("loss")

        def last(q):
            labels = jnp.asarray(y).at[0, 0].add(q[3])
            return loss({"x": x, "y": labels, "eta": q[0], "small": q[1], "share": q[2]})[-1]

        at, steps = jnp.array([0.1, 0.05, 0.5, 0]), 2e-4 * jnp.eye(4)
        near, far = ([(last(at + k * e) - last(at - k * e)) / (2 * k * 2e-4) for e in steps] for k in (1, 2))
        wanted = [(4 * one - two) / 3 for one, two in zip(near, far, strict=True)]  # of the fourth order
        forwards, backwards = jax.jacfwd(last)(at), jax.grad(last)(at)
    np.testing.assert_allclose(forwards, wanted, rtol=5e-10)
    np.testing.assert_allclose(backwards, forwards, rtol=1e-14)
    assert np.all(np.abs(forwards) > 1e-6)
