"""Quadrature over few Gaussians against Sobol points: trainings from tame to wild, one line for each, and how far claims hold.

    python tests/bench/quadrature.py [--quick] [--dtype float32]

z: the greatest distance from the reference, in units of both errors; gain: by which factor its error is less than that of as many Sobol points as check.
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np

import tpc

NET = """
width n
dim T = {rounds}
dim D = {inputs}
input x[T, D], y[T]
weight U : n x D
weight V : 1 x n
network f(ξ) = V @ {activation}(U @ ξ)
train f for t < T:
    batch (x[t], y[t])
    loss mse
    update sgd(lr = {rate})
output loss
"""
ALONE = """
width n
dim T = {rounds}
input x[T], y[T]
vector u : n ~ N(0, 1)
U[0] = u
for t < T:
    f[t] = mean({activation}(x[t]*U[t]))
    loss[t] = (f[t] - y[t])^2/2
    U[t+1] = U[t] - {rate}*(f[t] - y[t])*x[t]*{activation}'(x[t]*U[t])
output loss
"""
X = np.array([[2, 0.5, -1], [-1.5, 1, 0.3], [3, -0.7, 0.2], [1, 1.1, 0.5], [-2.5, 0.4, 1.3]]) / 3
Y = np.array([1, 0.5, -1, 1, -0.5])


def training(gaussians: int, activation: str, rate: float, scale: float, rounds: int = 5) -> tuple[tpc.Program, dict[str, np.ndarray]]:
    """A net with one hidden layer whose limit has so many Gaussians, and its inputs."""
    x = scale * np.resize(X, (rounds, 3))
    text = ALONE if gaussians == 1 else NET
    program = tpc.parse(text.format(rounds=rounds, activation=activation, rate=rate, inputs=gaussians - 1))
    return program, {"x": x[:, 0] if gaussians == 1 else x[:, :gaussians - 1], "y": np.resize(Y, rounds)}


def compared(program: tpc.Program, inputs: dict[str, np.ndarray], dtype: str = "float64", samples: int = 65_536,
             repeats: int = 16) -> tuple[np.ndarray, np.ndarray, str, float]:
    """z and gain of every entry of the loss, the kind of points, and seconds."""
    evaluator = program.compile(dtype=dtype)
    begun = time.perf_counter()
    found = evaluator(inputs)["loss"]
    taken = time.perf_counter() - begun
    reference = program.compile(samples=samples, repeats=repeats)(inputs)["loss"]
    sampled = program.compile(samples=4096, repeats=8, dtype=dtype)(inputs)["loss"]
    z = np.abs(found.value - reference.value) / np.hypot(found.stderr, reference.stderr)
    return z, sampled.stderr / found.stderr, evaluator.plan.points, taken


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a tenth of all")
    parser.add_argument("--dtype", default="float64")
    options = parser.parse_args()
    activations = ("tanh", "erf", "sigmoid", "softplus", "relu", "selu")
    cases = list(itertools.product((1, 2, 3, 4), activations, (1, 3, 10, 30), (1, 3, 10)))
    worst, beyond = 0.0, 0
    for case in cases[::10] if options.quick else cases:
        try:
            z, gain, points, seconds = compared(*training(*case), dtype=options.dtype)
        except tpc.TpcError as error:
            print(case, str(error).splitlines()[0], flush=True)
            continue
        worst, beyond = max(worst, z.max()), beyond + int(np.sum(z > 4))
        print(case, points, f"z {z.max():.1f}, gain {gain.min():.1e} … {gain.max():.1e}, {seconds:.1f} s", flush=True)
    print(f"greatest z {worst:.1f}; {beyond} entries beyond 4")


if __name__ == "__main__":
    main()
