"""Shampoo's limit against finite width, by eigendecompositions of n × n matrices, extrapolated in 1/n.

    python -m tests.bench.shampoo [CASE …] [--widths 256:256,512:128]     widths, and networks of each

Two hidden layers of tanh in μP, 14 numbers a case: outputs at two inputs after each of 5 steps, and losses.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import tpc
from tests.bench.optimizers import HEAD_OF_OUTPUTS, OUTPUTS, extrapolated, numbers, problem
from tests.two_hidden_layers import trained

CASES = {
    "sum": "shampoo(lr = 0.2, eps = 0.01)\n    update adam(lr = 0.2, beta2 = 0.95, eps = 0.05) otherwise",
    "average": "shampoo(lr = 0.2, eps = 0.01, beta = 0.9, decay = 0.3)\n    update sgd(lr = 0.3) otherwise",
    "small eps": "shampoo(lr = 0.1)\n    update sgd(lr = 0.3) otherwise",
    "sgd": "sgd(lr = 0.5)",  # a control
}


def compared(name: str, networks: dict[int, int]) -> None:
    """Prints a line."""
    program, data = tpc.parse(trained(HEAD_OF_OUTPUTS, CASES[name], more=OUTPUTS)), problem(5, 2)
    begun = time.process_time()
    limit = program.compile(samples=4096, repeats=32)(data)
    spent = time.process_time() - begun
    value, error = (
        numbers(*(getattr(limit[key], part) for key in ("loss", "g"))) for part in ("value", "stderr")
    )
    means, errors, begun = [], [], time.process_time()
    for width, seeds in networks.items():
        made = program.simulate(data, width=width, seeds=range(seeds)).outputs
        each = np.array([numbers(*pair) for pair in zip(made["loss"], made["g"], strict=True)])
        start = made["g"][:, 0]  # of mean 0 at every width: what varies with it is taken out
        design = np.column_stack([np.ones(seeds), start])
        fit, *_ = np.linalg.lstsq(design, each, rcond=None)
        left = (each - design @ fit).std(axis=0, ddof=design.shape[1])
        means.append(fit[0])
        errors.append(left * np.sqrt(np.linalg.inv(design.T @ design)[0, 0]))
    spent_on_networks = time.process_time() - begun
    a, own, b = extrapolated(list(networks), np.array(means), np.array(errors))
    z = (value - a) / np.hypot(own, error)
    print(
        f"{name:10s} largest difference {abs(value - a).max():.1e}, z: rms {np.sqrt(np.mean(z**2)):.2f}, "
        f"largest {abs(z).max():.1f}; b/n at {min(networks)}: {abs(b).max() / min(networks):.1e}; "
        f"errors {error.max():.1e} and {own.max():.1e}; {spent:.0f} s and {spent_on_networks:.0f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--widths", default="256:256,512:128,1024:64,2048:32")
    arguments = parser.parse_args()
    pairs = (pair.split(":") for pair in arguments.widths.split(","))
    networks = {int(width): int(seeds) for width, seeds in pairs}
    for name in arguments.cases or CASES:
        compared(name, networks)


if __name__ == "__main__":
    main()
