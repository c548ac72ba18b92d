"""Predicted bias and fluctuation against finite width, and what a prediction costs.

    python -m tests.bench.corrections [PROGRAM …] [--widths 32,128] [--seeds 20000]
    python -m tests.bench.corrections --cost

n·bias and n·variance of the entries of each output, as predicted and as seeds have them at each width, with
standard errors. --cost: processor time of 64 directions over that of one run of the limit on the same points.
"""

import argparse
import time
from pathlib import Path

import jax
import numpy as np

import tpc
from tpc.core.inputs import bind_inputs
from tpc.corrections.differences import Weighted
from tpc.machine.precision import precision

PROGRAMS = Path(__file__).parents[2] / "programs"
TRAIN = """
train f for t < T:
    batch (xi[t], y[t])
    loss mse
    update sgd(lr = eta)
output loss
"""
TWO_LAYERS = (PROGRAMS / "paper" / "thm_6_4.tp").read_text(encoding="utf-8")
DATA = {"xi": [1.0, -1.0, 1.0, 1.0], "y": [-1.0, 1.0, 1.0, -1.0]}
CASES = {
    "tanh": (TWO_LAYERS, {"T": 4}, DATA),
    "relu": (TWO_LAYERS.replace("tanh(s)", "relu(s)"), {"T": 4}, {**DATA, "eta": 0.5}),
    "two widths": (
        "width n\nwidth m = 2*n\ndim T = 3\ninput xi[T] = 1, y[T] = 1, eta = 1/2\nweight U : n x 1\n"
        "weight W : m x n, std = 3/2\nweight V : 1 x m\nnetwork f(x) = V @ tanh(W @ tanh(U @ x))" + TRAIN,
        {},
        {},
    ),
    "recurrent": (
        "width n\ndim T = 3\ninput xi[T, 2] = 1, y[T] = 1, eta = 0.3\nweight U : n x 2\n"
        "weight R : n x n, std = 1.2\nweight V : 1 x n\nnetwork f(x):\n    s[0] = tanh(U @ x)\n"
        "    s[r+1] = tanh(R @ s[r] + U @ x) for r < 2\n    return V @ s[2]" + TRAIN,
        {},
        {},
    ),
    "message passing": ((PROGRAMS / "matrices" / "amp.tp").read_text(encoding="utf-8"), {"T": 4}, {}),
    "normalised": (
        "width n\ndim T = 3\ninput xi[T, 2] = 1, y[T] = 1, eta = 0.3\nweight U : n x 2\nweight W : n x n\n"
        "weight V : 1 x n\nnetwork f(x):\n    h = W @ tanh(U @ x)\n"
        "    return V @ gelu((h - mean(h))/sqrt(0.1 + mean(h^2)))" + TRAIN,
        {},
        {},
    ),
}


def compare(name, widths, seeds):
    text, dims, inputs = CASES[name]
    program = tpc.parse(text, name=name, dims=dims)
    start = time.process_time()
    found = program.corrections(inputs)
    print(f"{name}: {found.method}; {time.process_time() - start:.1f} s of processor time")
    samples = {n: program.simulate(inputs, width=n, seeds=seeds).outputs for n in widths}
    for output, own in found.outputs.items():
        for index in np.ndindex(own.value.shape):
            entry = f"  {output}{list(index) if index else ''}"
            print(
                f"{entry}: n·bias {own.bias[index]:.4f} ± {own.bias_stderr[index]:.4f}, n·variance "
                f"{own.variance[index]:.4f} ± {own.variance_stderr[index]:.4f}",
                *(f"; at {n}: {_at(n, samples[n][output][:, *index], own, index)}" for n in widths),
                flush=True,
            )


def _at(n, values, own, index):
    error = n * values.std() / len(values) ** 0.5
    kurtosis = np.mean((values - values.mean()) ** 4) / values.var() ** 2
    variance = n * values.var()
    return (
        f"{n * (values.mean() - own.value[index]):.4f} ± {error:.4f}, {variance:.4f} ± "
        f"{variance * ((kurtosis - 1) / len(values)) ** 0.5:.4f}"
    )


def cost(steps, samples):
    program = tpc.parse(TWO_LAYERS, dims={"T": steps})
    rng = np.random.default_rng(0)
    given = bind_inputs(program, {k: rng.choice([-1.0, 1.0], steps) for k in ("xi", "y")} | {"eta": 0.3})
    evaluator = program.compile(method="nodes", samples=samples, repeats=2)
    with precision("float64"):
        on = Weighted.of(evaluator, given).on_points(0, 0)
        directions = on.directions(64, rng)
        inputs = evaluator.module.prepared(given)
        once = lambda: jax.block_until_ready(evaluator.module.evaluated(inputs, on.points, on.weights))  # noqa: E731
        many = lambda: on.differences(directions, 1e-3)  # noqa: E731
        once(), many()
        ratios = [_seconds(many) / np.mean([_seconds(once) for _ in range(8)]) for _ in range(5)]
    print(f"T = {steps}, {samples} points: 64 directions cost {np.median(ratios):.0f} runs")


def _seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=list(CASES), choices=[[], *CASES])
    parser.add_argument("--widths", default="32,128")
    parser.add_argument("--seeds", type=int, default=20_000)
    parser.add_argument("--cost", action="store_true")
    options = parser.parse_args()
    if options.cost:
        for steps, samples in ((4, 4096), (40, 1024), (40, 4096)):
            cost(steps, samples)
    else:
        for name in options.names or CASES:
            compare(name, [int(n) for n in options.widths.split(",")], options.seeds)
