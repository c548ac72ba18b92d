"""Quadrature over few Gaussians against references, trainings from tame to wild, one line for each.

    python -m tests.bench.quadrature [--every 10] [--dtype float32]

z: the greatest distance from the reference, in units of both errors; gain: by which factors errors are less
than those of as many Sobol points as check.
"""

import argparse
import itertools
import time

import numpy as np

import tpc
from tests.evaluate.trainings import ACTIVATIONS, reference, training


def compared(case, dtype):
    """z and gain of every entry of the loss, the kind of points, and seconds."""
    program, inputs = training(*case)
    evaluator = program.compile(dtype=dtype)
    begun = time.perf_counter()
    found = evaluator(inputs)["loss"]
    taken = time.perf_counter() - begun
    truth, error = reference(*case[:3], inputs, 2**18)
    sampled = program.compile(samples=4096, repeats=8, dtype=dtype)(inputs)["loss"]
    return (
        np.abs(found.value - truth) / np.hypot(found.stderr, error),
        sampled.stderr / found.stderr,
        evaluator.plan.points,
        taken,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1, help="one in so many cases")
    parser.add_argument("--dtype", default="float64")
    options = parser.parse_args()
    cases = itertools.product((1, 2, 3, 4), ACTIVATIONS, (1, 3, 10, 30), (1, 3, 10))
    worst, beyond = 0.0, 0
    for case in itertools.islice(cases, 0, None, options.every):
        try:
            z, gain, points, seconds = compared(case, options.dtype)
        except tpc.TpcError as error:
            print(case, str(error).splitlines()[0], flush=True)
            continue
        worst, beyond = max(worst, z.max()), beyond + int(np.sum(z > 4))
        print(
            case,
            points,
            f"z {z.max():.1f}, gain {gain.min():.1e} … {gain.max():.1e}, {seconds:.1f} s",
            flush=True,
        )
    print(f"greatest z {worst:.1f}; {beyond} entries beyond 4")


if __name__ == "__main__":
    main()
