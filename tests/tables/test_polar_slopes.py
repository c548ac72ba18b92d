"""Derivatives of polar factors, where singular values are the same, where some are 0, and by coefficients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tpc.emit.helpers.singular_values import polar, polar_in_factors

FINE = 1e-5


def matrix(values, rows=5, columns=4, seed=0):
    """A matrix with these singular values, and two bases that move with a number, by turns of theirs."""
    random = np.random.default_rng(seed)
    u, v = (np.linalg.qr(random.standard_normal((k, k)))[0] for k in (rows, columns))
    s = np.zeros((rows, columns))
    s[np.arange(len(values)), np.arange(len(values))] = values
    return u @ s @ v.T, random.standard_normal((rows, rows)), random.standard_normal((columns, columns))


def differences(function, at=0.0):
    """By the fourth order."""
    a, b, c, d = (np.asarray(function(at + k * FINE)) for k in (-2, -1, 1, 2))
    return (a - 8 * b + 8 * c - d) / (12 * FINE)


VALUES = [(3, 2, 1, 0.5), (2, 2, 2, 2), (2, 2, 1, 0), (1, 1, 0, 0), (1, 1e-3, 0, 0)]


@pytest.mark.parametrize("values", VALUES)
def test_dense_tables(values):
    """With what keeps 0 at 0: A moves to (1 + εX) A (1 + εY)."""
    a, x, y = matrix(values)
    weights, columns = np.linspace(1, 2, 5) / 7.5, np.linspace(2, 1, 4) / 6
    root = np.sqrt(np.outer(weights, columns))

    def moved(t):
        own = (jnp.eye(5) + t * x) @ a @ (jnp.eye(4) + t * y)
        return polar(own / root, weights, columns)

    slope = jax.jvp(moved, (0.0,), (1.0,))[1]
    scale = np.abs(slope).max()
    np.testing.assert_allclose(slope, differences(jax.jit(moved)), atol=2e-7 * scale)
    backwards = jax.grad(lambda t: jnp.sum(moved(t) * root * a))(0.0)
    np.testing.assert_allclose(backwards, np.sum(slope * root * a), rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("dependent", [False, True])
def test_by_coefficients(values, dependent):
    """C of M = X C Yᵀ, all three moving; more vectors than dimensions, too; and once more, if it can be."""
    random = np.random.default_rng(1)
    a, x, y = matrix(values)
    more = 2 if dependent else 0
    rows, columns = random.standard_normal((5, 5 + more)), random.standard_normal((4, 4 + more))
    inner = np.linalg.pinv(rows) @ a @ np.linalg.pinv(columns).T
    shift = random.standard_normal((5 + more, 5 + more))

    def moved(t):
        near, far = (jnp.eye(5) + t * x) @ rows, (jnp.eye(4) + t * y) @ columns
        own = near @ (turn := jnp.eye(5 + more) + t * shift)  # the same M by other vectors
        table = jnp.linalg.solve(turn, jnp.asarray(inner))
        return own @ polar_in_factors(table, own.T @ own, far.T @ far) @ far.T

    def slope(t):
        return jax.jvp(moved, (t,), (1.0,))[1]

    scale = np.abs(slope(0.0)).max()
    np.testing.assert_allclose(slope(0.0), differences(jax.jit(moved)), atol=1e-6 * scale)
    if len(set(values) - {0}) == np.count_nonzero(values):
        curve = jax.jvp(slope, (0.0,), (1.0,))[1]
        np.testing.assert_allclose(curve, differences(jax.jit(slope)), atol=1e-6 * np.abs(curve).max())
    assert np.isfinite(jax.grad(lambda t: jnp.sum(moved(t) ** 3))(0.0))


def test_trainings_have_derivatives_by_inputs():
    """Muon of two examples whose gradients have the same singular value, and of one whose rank is less."""
    text = """
width n
dim T = 2, B = 2
input x[T, B, 2], y[T, B], r = 1
weight U : n x 2
weight W : n x n
weight V : 1 x n
network f(z) = V @ (W @ (U @ z))
train f for t < T:
    batch (x[t, i], r*y[t, i]) for i < B
    loss mse
    update muon(lr = 0.1, momentum = 0.5, steps = exact)
    update sgd(lr = 0.3) otherwise
output loss
"""
    evaluator = tpc.parse(text).compile()
    assert evaluator.plan.exact
    loss = evaluator.function("loss")
    given = {"x": np.array([[[1.0, 0], [0, 1]]] * 2), "y": np.array([[1.0, -1.0], [0.5, 0.25]])}
    at = jax.jit(lambda r: loss({**given, "r": r})[1])
    slope = jax.grad(at)(1.0)
    np.testing.assert_allclose(slope, differences(at, 1.0), rtol=1e-7)
