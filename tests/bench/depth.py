"""Kernels of deep networks against recursions in NumPy: `python -m tests.bench.depth [layers]`, with the time
that compiling and running take."""

from __future__ import annotations

import sys
import time

import numpy as np

import tpc

NODES = 200  # of Gauss–Hermite rules for the reference
X = np.array([[0.6, -0.2], [0.1, 0.9]])
TEXT = """width n
dim N = 2, d = 2
input x[N, d], sw = 1.3, sb = 0.3
weight U : n x d
weight W[l < {L}] : n x n
weight V : 1 x n
bias b[l < {L}] : n
network f(x):
    h[0] = U @ x
    for l < {L}:
        h[l+1] = sw*(W[l] @ {phi}(h[l])) + sb*b[l]
    return V @ h[{L}]
output S[i, j] = nngp(f)(x[i], x[j]) for i < N for j < N
output T[i, j] = ntk(f)(x[i], x[j]) for i < N for j < N
"""


def of_tanh(k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E φ(u)φ(v) and E φ'(u)φ'(v) of all pairs, by their covariance matrix."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    both, slopes = np.empty_like(k), np.empty_like(k)
    for i in range(len(k)):
        for j in range(len(k)):
            c = k[i, j] / np.sqrt(k[i, i])
            u = np.sqrt(k[i, i]) * nodes[:, None]
            v = c * nodes[:, None] + np.sqrt(max(k[j, j] - c * c, 0)) * nodes
            both[i, j] = weights @ (np.tanh(u) * np.tanh(v)) @ weights
            slopes[i, j] = weights @ ((1 - np.tanh(u) ** 2) * (1 - np.tanh(v) ** 2)) @ weights
    return both, slopes


def of_relu(k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same, by the arc-cosine kernels."""
    norms = np.sqrt(np.outer(np.diag(k), np.diag(k)))
    angle = np.arccos(np.clip(k / norms, -1, 1))
    return norms * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi), (np.pi - angle) / (
        2 * np.pi
    )


def reference(pairs, layers: int, sw: float, sb: float) -> dict[str, np.ndarray]:
    """NNGP and NTK of the network."""
    k = X @ X.T
    slopes, products = [], []
    for _ in range(layers):
        both, slope = pairs(k)
        slopes.append(slope)
        products.append(both)
        k = sw**2 * both + sb**2
    g, ntk = np.ones_like(k), k.copy()
    for both, slope in zip(reversed(products), reversed(slopes), strict=True):
        ntk += g * (sw**2 * both + sb**2)
        g = g * sw**2 * slope
    return {"S": k, "T": ntk + g * (X @ X.T)}


def main(layers: int) -> None:
    for phi, pairs, sw in (("tanh", of_tanh, 1.3), ("relu", of_relu, 2**0.5)):
        start, cpu = time.perf_counter(), time.process_time()
        result = tpc.parse(TEXT.format(L=layers, phi=phi)).compile()({"x": X, "sw": sw, "sb": 0.3})
        spent = f"{time.perf_counter() - start:.1f} s, {time.process_time() - cpu:.1f} s of CPU"
        exact = reference(pairs, layers, sw, 0.3)
        errors = {name: float(np.max(np.abs(result[name].value / exact[name] - 1))) for name in ("S", "T")}
        print(f"{phi}, {layers} layers, {result.plan.method}: {spent}, relative differences {errors}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
