"""The kernel regime against finite width: training in NTP, each draw of the network against the limit conditioned on its own initial function.

`python -m tests.bench.kernel_regime [--steps 100] [--widths 256,1024,4096] [--seeds 4] [--layers 2] [--activations tanh,relu]` prints the RMS
difference of the losses and of f after training by width, its slope (−1/2 by theory) and √n times it (constant by theory).
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from tests.scaling.kernels import program


def measure(layers: int, phi: str, steps: int, widths: list[int], seeds: int) -> None:
    net = program(layers, phi, T=steps, d=4, N=5)
    r = np.random.default_rng(0)
    given = {"eta": 0.2, "xi": r.standard_normal((steps, 4)) / 2, "xs": r.standard_normal((5, 4)) / 2}
    given["y"] = np.sign(given["xi"][:, 0] * given["xi"][:, 1])
    evaluator = net.compile()
    limit = evaluator.functions(("loss", "end"))
    print(f"{layers} hidden layers, {phi}, {steps} steps: {evaluator.plan}")
    errors = []
    for width in widths:
        start = time.perf_counter()
        made = net.simulate(given, width=width, seeds=seeds, dtype="float32").outputs
        found = [limit({**given, "f0": a, "f_start0": b}) for a, b in zip(made["first"], made["start"], strict=True)]
        parts = [np.sqrt(np.mean(np.square(np.stack([one[name] for one in found]) - made[name]))) for name in ("loss", "end")]
        errors.append(parts)
        print(f"  width {width:5}: loss {parts[0]:.2e}, f after training {parts[1]:.2e}; "
              f"times √n {parts[0] * width**0.5:.2f}, {parts[1] * width**0.5:.2f}   ({time.perf_counter() - start:.0f} s)", flush=True)
    if len(widths) > 1:
        slopes = np.polyfit(np.log(widths), np.log(errors), 1)[0]
        print(f"  slopes {slopes[0]:.2f}, {slopes[1]:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--widths", default="256,1024,4096")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--activations", default="tanh,relu")
    options = parser.parse_args()
    for phi in options.activations.split(","):
        measure(options.layers, phi, options.steps, [int(n) for n in options.widths.split(",")], options.seeds)


if __name__ == "__main__":
    main()
