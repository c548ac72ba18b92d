"""Are matrices that are not drawn the same in law? Means, spreads and skewness of every output of six
programs, free against dense, in standard errors of the difference.

    python -m tests.bench.matrix_free [--width 40] [--seeds 20000] [--only NAME,NAME]

Of N numbers the greatest is about √(2 log N) if the laws are the same.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import tpc

NET = """
width n
dim T = 3, d = 2
input xi[t < T, d], y[t < T], xs[2, d]
{weights}
train f for t < T:
    batch (xi[t], y[t])
    loss mse
    update sgd(lr = 1/2)
output loss
output f[i] = f(xs[i]) for i < 2
"""
WEIGHTS = {
    "two widths": "width m = 2*n\nweight U : m x d\nweight W : n x m\nweight V : 1 x n\n"
    "network f(x) = V @ tanh(W @ tanh(U @ x))",
    "recurrent": "weight U : n x d\nweight W : n x n\nweight V : 1 x n\nnetwork f(x):\n"
    "    s[0] = tanh(U @ x)\n    s[r+1] = tanh(W @ s[r] + U @ x) for r < 2\n    return V @ s[2]",
    "tied": "weight U : n x d\nweight W : n x n\nweight V : 1 x n\n"
    "network f(x) = V @ tanh(W.T @ tanh(W @ tanh(U @ x)))",
    "bottleneck": "width m = n/8\nweight U : n x d\nweight A : m x n\nweight B : n x m\nweight V : 1 x n\n"
    "network f(x) = V @ tanh(B @ tanh(A @ tanh(U @ x)))",
    "normalised": "weight U : n x d\nweight W : n x n\nweight V : 1 x n\nnetwork f(x):\n"
    "    h = W @ tanh(U @ x)\n"
    "    z = (h - mean(h))/sqrt(0.1 + mean((h - mean(h))^2))\n    return V @ tanh(z)",
}
ADAPTED = """
width n
dim T = 2, K = 2, B = 2, d = 2
input xi[T, K, B, d], y[T, K, B], xs[2, d]
weight U : n x d
weight W : n x n
weight V : 1 x n
network f(x) = V @ tanh(W @ tanh(U @ x))
train f for t < T:
    g[k] = adapt(f, (xi[t, k, i], y[t, k, i]) for i < B, loss = mse, lr = 0.4) for k < K
    gradient (g[k], xi[t, k, i], y[t, k, i]) for i < B for k < K
    loss mse
    update sgd(lr = 0.3)
output loss
output f[i] = f(xs[i]) for i < 2
"""
PROGRAMS = {name: NET.replace("{weights}", own) for name, own in WEIGHTS.items()} | {"adapted": ADAPTED}
POWERS = {"mean": 1, "spread": 2, "skewness": 3}


def statistics(values: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean, standard deviation and skewness over seeds [seeds, ...], with standard errors by influence."""
    z = (values - values.mean(axis=0)) / values.std(axis=0)
    skew = (z**3).mean(axis=0)
    found = {
        "mean": (values.mean(axis=0), values.std(axis=0) * z),
        "spread": (values.std(axis=0), values.std(axis=0) * (z**2 - 1) / 2),
        "skewness": (skew, z**3 - skew - 3 * z - 1.5 * skew * (z**2 - 1)),
    }
    return {name: (v, i.std(axis=0) / len(values) ** 0.5) for name, (v, i) in found.items()}


def compared(text: str, width: int, seeds: int) -> dict[str, np.ndarray]:
    """By statistic, how far the two kinds are apart, in standard errors, for every entry of every output."""
    program, random = tpc.parse(text), np.random.default_rng(0)
    inputs = {i.name: random.choice([-1.0, 1.0], i.shape) for i in program.inputs}
    told: dict[str, list[np.ndarray]] = {name: [] for name in POWERS}
    # seeds of their own: vectors are drawn alike
    kinds = {"free": range(seeds), "dense": range(seeds, 2 * seeds)}
    samples = {k: program.simulate(inputs, width=width, seeds=own, matrices=k) for k, own in kinds.items()}
    for output in samples["free"].outputs:
        free, dense = (statistics(samples[k].outputs[output].reshape(seeds, -1)) for k in ("free", "dense"))
        for name in POWERS:
            told[name].append((free[name][0] - dense[name][0]) / np.hypot(free[name][1], dense[name][1]))
    return {name: np.concatenate(parts) for name, parts in told.items()}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--width", type=int, default=40)
    options.add_argument("--seeds", type=int, default=20_000)
    options.add_argument("--only", default=",".join(PROGRAMS))
    chosen = options.parse_args()
    for name in chosen.only.split(","):
        start = time.process_time()
        found = compared(PROGRAMS[name], chosen.width, chosen.seeds)
        told = ", ".join(f"{what} {np.abs(z).max():.1f}" for what, z in found.items())
        print(
            f"{name}, {found['mean'].size} entries, {chosen.seeds} seeds: greatest |z| of {told} "
            f"({time.process_time() - start:.0f} s of processor time)",
            flush=True,
        )


if __name__ == "__main__":
    main()
