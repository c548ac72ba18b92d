"""Muon's exact steps of weights with a finite side, of gradients of any rank, against NumPy's SVD."""

from __future__ import annotations

import numpy as np
import pytest

import tpc
from tpc.simulate import draws
from tpc.simulate.finite_program import DType

TEXT = """width n
dim B = {B}, d = {d}
input xi[B, d], y[B], xs[d]
weight U : n x d
weight V : 1 x n
network f(x) = V @ tanh(U @ x)
train f for t < 1:
    batch (xi[i], y[i]) for i < B
    loss mse
    update muon(lr = 0.5, steps = exact) of U
    update sgd(lr = 0) otherwise
output f1 = f(xs)
"""
# examples, columns and how far apart the first two examples are: the more, the more singular values are 0
CASES = [(1, 2, 1.0), (1, 6, 1.0), (2, 5, 1.0), (3, 3, 1.0), (2, 4, 1e-12)]
# small singular values are told from 0 by products of columns, in double precision only
NEAR = [(2, 4, 1e-1), (2, 4, 1e-2), (2, 2, 1e-2)]


def data(examples: int, d: int, apart: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(d)
    xi = rng.standard_normal((examples, d))
    if apart != 1:
        xi[1] = xi[0] + apart * xi[1]
    return {"xi": xi, "y": np.arange(1.0, examples + 1), "xs": rng.standard_normal(d)}


def by_hand(program: tpc.Program, inputs: dict[str, np.ndarray], width: int, dtype: DType) -> float:
    """The step on the n × d matrix of the gradient: its polar factor by SVD."""
    drawn = draws(program, inputs, width=width, seed=0, dtype=dtype)
    u, v = drawn["U0"].T, drawn["V0"]
    xi, y = inputs["xi"], inputs["y"]
    h = xi @ u.T
    chi = np.tanh(h) @ v / width - y
    gradient = (chi[:, None] * v / np.cosh(h) ** 2).T @ xi
    left, s, right = np.linalg.svd(gradient, full_matrices=False)
    kept = s > 1e-7 * s[0]
    step = (left * kept) @ right * np.sqrt(width)
    return float(v @ np.tanh((u - 0.5 * step) @ inputs["xs"]) / width)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_by_svd(dtype: DType) -> None:
    double = dtype == "float64"
    for examples, d, apart in CASES + NEAR * double:
        program, inputs = tpc.parse(TEXT.format(B=examples, d=d)), data(examples, d, apart)
        found = program.simulate(inputs, width=24, seeds=[0], dtype=dtype).outputs["f1"][0]
        exact = by_hand(program, inputs, 24, dtype)
        assert found == pytest.approx(exact, rel=1e-6 if double else 1e-3), (examples, d, apart)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_limit_of_one_example(dtype: DType) -> None:
    """A direction alone: what rounding leaves in the others is not enlarged."""
    inputs = data(1, 3, 1.0)
    limit = tpc.parse(TEXT.format(B=1, d=3)).compile(samples=512, repeats=4, dtype=dtype)(inputs)
    plain = TEXT.replace(
        "muon(lr = 0.5, steps = exact)", "muon(lr = 0.5, steps = 2, coefficients = [1, 0, 0])"
    )
    same = tpc.parse(plain.format(B=1, d=3)).compile(samples=512, repeats=4, dtype=dtype)(inputs)
    value, other = (float(found.outputs["f1"].value) for found in (limit, same))
    # whose norm has 1e-7 added to it
    assert value == pytest.approx(other, rel=1e-6 if dtype == "float64" else 1e-4)
