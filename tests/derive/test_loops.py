"""A limit derived from loops, once, is the limit of the program with its loops written out."""

from typing import Any

import numpy as np
import pytest

import tpc
from tpc.derive import derive
from tpc.simulate import simulate

from .programs import two_layers

AMP = """
width n
dim T = 3
matrix A : n x n ~ N(0, 1/n)
vector v : n ~ N(0, 1)
x[0] = v
for t < T:
    y[t] = A @ x[t]
    z[t] = A.T @ tanh(y[t])
    b[t] = mean(tanh'(y[t]))
    x[t+1] = tanh(z[t] - b[t]*x[t]) + v
    m[t] = mean(x[t+1]*v)
output m
"""
BATCHES = """
width n
dim T = 2, B = 2
matrix W : n x n ~ N(0, 2/n)
vector u[i < B] : n ~ N(0, 1)
vector v : n ~ N(0, 1)
for i < B:
    x[0, i] = tanh(u[i])
for t < T:
    for i < B:
        h[t, i] = W @ x[t, i]
        k[t, i] = tanh(h[t, i] + v)
    for i < B:
        g[t, i] = W.T @ (k[t, i]*sum(j < B: k[t, j]))
    for i < B:
        x[t+1, i] = tanh(x[t, i] + g[t, i] + sum(j < i: mean(g[t, j]*u[j])*x[t, j]))
for i < B:
    f[i] = mean(x[T, i]*u[0])
output f
"""
TRIANGLE = """
width n
dim T = 3
matrix W : n x n ~ N(0, 1/n)
vector v : n ~ N(0, 1)
x[0] = v
for t < T:
    for s < t+1:
        y[t, s] = W @ x[s]
        z[t, s] = W.T @ tanh(y[t, s])
    x[t+1] = tanh(sum(s < t+1: z[t, s])) + v
    m[t] = mean(x[t+1]*v)
output m
"""
MATRICES = """
width n
dim L = 3
matrix W[l < L] : n x n ~ N(0, (1 + l)/n)
vector v : n ~ N(0, 1)
x[0] = v
for l < L:
    h[l] = W[l] @ x[l]
    x[l+1] = tanh(h[l]) + v
d[0] = x[L]*v
for l < L:
    d[l+1] = W[L-1-l].T @ (d[l]*tanh'(h[L-1-l]))
    m[l] = mean(d[l+1]*x[0])
output m
"""
OUTSIDE = """
width n
dim T = 3
matrix W : n x n ~ N(0, 1/n)
vector v : n ~ N(0, 1)
vector w : n ~ N(0, 1)
a = W.T @ w
for t < T:
    y[t] = W @ (v*(t+1) + tanh(a))
z = W.T @ sum(t < T: tanh(y[t]))
u = W @ tanh(z)
output m = mean(z*v)
output q = mean(u*w*y[1])
"""
GATHER = """
width n
dim T = 3
input j[t < T] : index(2)
matrix W[i < 2] : n x n ~ N(0, 1/n)
vector c[i < 2] : n ~ N(0, 1)
for t < T:
    y[t] = W[j[t]] @ c[j[t]]
    z[t] = W[1].T @ tanh(y[t])
    m[t] = mean(z[t]*c[j[t]])
output m
"""
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "two layers": (two_layers(3), {"xi": [1.0, -1.0, 0.7], "y": [1.0, -0.5, 0.3]}),
    "two layers, sine": (two_layers(3, "sin(x) + x/2"), {"xi": [1.0, -1.0, 0.7], "y": [1.0, -0.5, 0.3]}),
    "amp": (AMP, {}),
    "batches": (BATCHES, {}),
    "triangle": (TRIANGLE, {}),
    "matrices": (MATRICES, {}),
    "outside": (OUTSIDE, {}),
    "gather": (GATHER, {"j": [0, 1, 1]}),
}


@pytest.mark.parametrize("name", CASES)
def test_rolled_equals_unrolled(name: str) -> None:
    text, inputs = CASES[name]
    rolled = derive(tpc.parse(text))
    one, two = (
        rolled.evaluate(inputs, samples=512, seed=3),
        rolled.unroll().evaluate(inputs, samples=512, seed=3),
    )
    assert one.keys() == two.keys()
    for output in one:
        np.testing.assert_allclose(one[output], two[output], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_formulas_agree_with_finite_width(name: str) -> None:
    """Thm 7.4, with room for the O(1/n) bias."""
    text, inputs = CASES[name]
    program = tpc.parse(text)
    inputs = {
        item.name: np.asarray(inputs[item.name])
        if item.name in inputs
        else np.asarray(float(item.default or 0))
        for item in program.inputs
    }
    found = simulate(program, inputs, width=512, seeds=range(12))
    limit = derive(program).evaluate(inputs, samples=1 << 12)
    for output, value in limit.items():
        seeds = np.asarray(found.outputs[output])
        error = seeds.std(axis=0, ddof=1) / np.sqrt(len(seeds))
        assert np.all(np.abs(seeds.mean(axis=0) - value) < 6 * error + 0.02 * (1 + np.abs(value))), output


@pytest.mark.parametrize(
    "factors", ["sum(s < 2: x[s])*sum(s < 1: x[s])", "sum(s < 1: x[s])*sum(s < 2: x[s])"]
)
def test_members_in_sums_of_two_lengths_are_derivatives_of_both(factors: str) -> None:
    text = f"""
width n
matrix W : n x n ~ N(0, 1/n)
vector a : n ~ N(0, 1)
h0 = W @ a
x[0] = relu(h0)
h1 = W @ x[0]
x[1] = relu(h1)
y = {factors}
g = W.T @ y
output c = mean(g*x[0])
output d = mean(g*a)
"""
    limit = derive(tpc.parse(text))
    assert "E[∂Z^y/∂Ẑ^{h1}]·Z^{x[0]}" in str(limit["g"])
    rolled, unrolled = limit.evaluate(samples=1 << 12), limit.unroll().evaluate(samples=1 << 12)
    for name in ("c", "d"):
        assert rolled[name] == pytest.approx(unrolled[name], rel=1e-9)
