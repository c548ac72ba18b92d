"""Kernels of networks that use a matrix twice: what they claim of rounding is of the size of rounding."""

import numpy as np
import pytest

import tpc

NETWORK = """
width n
dim N = 3, d = 3
input x[N, d]
weight U : n x d
weight W : n x n
weight R : n x n
weight V : 1 x n
network f(x):
    h1 = U @ x
    h2 = W @ {0}(h1) + R @ {1}(h1)
    h3 = h2 + R @ {1}(h2)
    return V @ {1}(h3)
output k[i, j] = nngp(f)(x[i], x[j]) for i < N for j < N
output t[i, j] = ntk(f)(x[i], x[j]) for i < N for j < N
"""


@pytest.mark.parametrize(("first", "second"), [("gelu", "tanh"), ("sin", "sigmoid")])
def test_rounding_is_no_more_than_that(first, second):
    """A Gaussian with itself has the gap 0, which operations that are off must not take for one below 0."""
    points = np.random.default_rng(0).normal(size=(3, 3))
    found = tpc.parse(NETWORK.format(first, second)).compile()({"x": points})
    assert found.plan.method == "gram"
    for name in ("k", "t"):
        claimed = 0.0 if found[name].stderr is None else np.max(found[name].stderr)
        assert claimed < 1e-8
