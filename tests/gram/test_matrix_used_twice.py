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


def test_products_with_others_and_with_the_transpose_are_independent():
    """Of one vector, which they depend on alike."""
    products = {"a": "W @ u", "b": "W.T @ u", "c": "R @ u", "d": "R.T @ u"}
    means = [(p, q) for p in products for q in products if p <= q]
    program = tpc.parse(
        "width n\nmatrix W : n x n ~ N(0, 2/n)\nmatrix R : n x n ~ N(0, 3/n)\nvector u : n ~ N(0, 1)\n"
        + "".join(f"{name} = {product}\n" for name, product in products.items())
        + "".join(f"output {p}{q} = mean({p}*{q})\n" for p, q in means)
    )
    found = program.compile(method="gram")()
    variances = dict(zip(products, (2, 2, 3, 3), strict=True))
    assert {name: float(found[name].value) for name in found.outputs} == {
        f"{p}{q}": variances[p] if p == q else 0 for p, q in means
    }
