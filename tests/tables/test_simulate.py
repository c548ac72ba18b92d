"""Tables at finite width against the same arrays in NumPy."""

from __future__ import annotations

import numpy as np

import tpc
from tpc.simulate.seeds import draws

TEXT = """
program tables
width n
width m = 2*n
dim B = 2, T = 3
input chi[T, B] = 1
matrix W : n x m ~ N(0, 1/m)
vector u[i < B] : m ~ N(0, 1)
vector v : n ~ N(0, 1)
x[i] = tanh(u[i]) for i < B
table A[0] : n x m = 0
h[0, i] = W @ x[i] for i < B
for t < T:
    d[t, i] = v*tanh'(h[t, i]) for i < B
    table G[t] : n x m = sum(i < B: chi[t, i]*outer(d[t, i], x[i])) + outer(1, u[0])/10
    table A[t+1] : n x m = 0.9*A[t] + 0.1*where(G[t] > 0, G[t]/(abs(G[t]) + 0.1), sin(G[t]))
    h[t+1, i] = W @ x[i] - A[t+1] @ x[i] for i < B
    s[t] = mean(A[t+1]^2)
    q[t] = mean((A[t+1].T @ d[t, 0])*u[0])
output s
output q
output r = mean(outer(v, u[0])^2)
output f[i] = mean(v*h[T, i]) for i < B
"""


def by_hand(W: np.ndarray, u: np.ndarray, v: np.ndarray, chi: np.ndarray) -> dict[str, np.ndarray]:
    (n, m), x = W.shape, np.tanh(u)
    A, h = np.zeros((n, m)), x @ W.T
    s, q = [], []
    for t in range(3):
        d = v * (1 - np.tanh(h) ** 2)
        G = np.einsum("i,ia,ib->ab", chi[t], d, x) + u[0] / 10
        A = 0.9 * A + 0.1 * np.where(G > 0, G / (abs(G) + 0.1), np.sin(G))
        h = x @ W.T - x @ A.T / m
        s.append(np.mean(A**2))
        q.append(np.mean((d[0] @ A / n) * u[0]))
    return {"s": s, "q": q, "r": np.mean(np.outer(v, u[0]) ** 2), "f": np.mean(v * h, axis=1)}


def test_tables_are_arrays_of_both_widths() -> None:
    program = tpc.parse(TEXT)
    chi = np.linspace(-1, 1, 6).reshape(3, 2)
    found = program.simulate({"chi": chi}, width=12, seeds=[3])
    given = draws(program, {"chi": chi}, width=12, seed=3)
    for name, wanted in by_hand(given["W"], given["u"], given["v"], chi).items():
        np.testing.assert_allclose(found.outputs[name][0], wanted, rtol=1e-10, atol=1e-13)
