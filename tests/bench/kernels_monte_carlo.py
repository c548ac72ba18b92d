"""NNGP and NTK of the architectures against Monte Carlo: the mean over seeds of the empirical kernels of
dense networks, at a large width.

    python -m tests.bench.kernels_monte_carlo [--width 4096] [--seeds 100] [NAME …]

NAMEs are programs of `programs/architectures`; without any, all that tests/train/architectures.py has a dense
network of. For each kernel the greatest difference from the limit is printed, over the limit's largest entry,
and the greatest in standard errors, those of the limit included. A mean has a bias of order 1/n besides,
which at these widths is below its standard error.
"""

import argparse
import time
from pathlib import Path

import jax
import numpy as np

import tpc
from tests.train.architectures import ARCHITECTURES, empirical_kernels, inputs_of

PROGRAMS = Path(__file__).parents[2] / "programs" / "architectures"


def limit(name, **options):
    """The program's kernels: (value, standard error) of the NNGP and the NTK."""
    program = tpc.load(PROGRAMS / f"{name}.tp", dims=ARCHITECTURES[name].dims)
    outputs = program.compile(**options)({"xi": inputs_of(name)}).outputs
    return [(o.value, 0.0 if o.stderr is None else o.stderr) for o in (outputs["S"], outputs["Theta"])]


def monte_carlo(name, width, seeds, at_once=1):
    """Mean and standard error over seeds of the empirical kernels, [2, N, N] each."""
    one = jax.jit(jax.vmap(lambda key: empirical_kernels(name, width, key)))
    keys = jax.vmap(jax.random.key)(np.arange(seeds))
    values = np.concatenate(
        [np.asarray(one(keys[k : k + at_once]), dtype=float) for k in range(0, seeds, at_once)]
    )
    return values.mean(axis=0), values.std(axis=0, ddof=1) / seeds**0.5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=list(ARCHITECTURES))
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--seeds", type=int, default=100)
    args = parser.parse_args()
    for name in args.names:
        start = time.perf_counter()
        mean, error = monte_carlo(name, args.width, args.seeds)
        taken = time.perf_counter() - start
        for kernel, (value, stderr), m, e in zip(("NNGP", "NTK"), limit(name), mean, error, strict=True):
            off = np.abs(m - value)
            print(
                f"{name:16} {kernel:4}  off by {off.max() / np.abs(value).max():.1e} of the largest entry, "
                f"{(off / np.hypot(e, stderr)).max():.1f} standard errors  ({taken:.0f} s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
