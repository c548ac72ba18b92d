"""The kernel regime against finite width: training in NTP, each draw of the network against the limit
conditioned on its own initial function.

`python -m tests.bench.kernel_regime [--steps 100] [--widths 256,1024,4096]
[--seeds 8,8,4] [--layers 2] [--activations tanh,relu] [--samples 8192] [--repeats
2]` prints the RMS difference of the losses and of f after training by width,
its slope (−1/2 by theory) and √n times it (constant by theory), and, where the limit is not exact, its own
error: the RMS difference over √2 of what two seeds of its points give.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from tests.scaling.kernels import program

NAMES = ("loss", "end")


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def measure(layers: int, phi: str, steps: int, widths: list[int], seeds: list[int], **options: int) -> None:
    net = program(layers, phi, T=steps, d=4, N=5)
    r = np.random.default_rng(0)
    given = {"eta": 0.2, "xi": r.standard_normal((steps, 4)) / 2, "xs": r.standard_normal((5, 4)) / 2}
    given["y"] = np.sign(given["xi"][:, 0] * given["xi"][:, 1])
    evaluator = net.compile(**options)
    limit, again = (evaluator.functions(NAMES, seed=seed) for seed in (0, 1))
    print(f"{layers} hidden layers, {phi}, {steps} steps: {evaluator.plan}")
    errors = []
    for width, count in zip(widths, seeds, strict=True):
        start = time.perf_counter()
        made = net.simulate(given, width=width, seeds=count, dtype="float32").outputs
        starts = [
            {**given, "f0": a, "f_start0": b} for a, b in zip(made["first"], made["start"], strict=True)
        ]
        found = [limit(one) for one in starts]
        parts = [rms(np.stack([one[name] for one in found]) - made[name]) for name in NAMES]
        errors.append(parts)
        print(
            f"  width {width:5}: loss {parts[0]:.2e}, f after training {parts[1]:.2e}; "
            f"times √n {parts[0] * width**0.5:.2f}, {parts[1] * width**0.5:.2f}   "
            f"({time.perf_counter() - start:.0f} s)",
            flush=True,
        )
        if width == widths[0] and not evaluator.plan.exact:
            other = again(starts[0])
            own = [rms(np.asarray(found[0][name]) - np.asarray(other[name])) / 2**0.5 for name in NAMES]
            print(f"  the limit's own error: loss {own[0]:.2e}, f after training {own[1]:.2e}")
    if len(widths) > 1:
        slopes = np.polyfit(np.log(widths), np.log(errors), 1)[0]
        print(f"  slopes {slopes[0]:.2f}, {slopes[1]:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--widths", default="256,1024,4096")
    parser.add_argument("--seeds", default="8,8,4", help="of each width")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--activations", default="tanh,relu")
    parser.add_argument("--samples", type=int, default=8192)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    widths, seeds = ([int(n) for n in text.split(",")] for text in (options.widths, options.seeds))
    for phi in options.activations.split(","):
        measure(
            options.layers,
            phi,
            options.steps,
            widths,
            seeds,
            samples=options.samples,
            repeats=options.repeats,
        )


if __name__ == "__main__":
    main()
