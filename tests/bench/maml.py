"""How fast few-shot learning trains at infinite width, beside a transcription of Algorithm 3 that is written
by hand.

    python -m tests.bench.maml                # meta-batches of 32 tasks a second, of both, in turns; and that
    they train the same network

Drawings are noise: time does not depend on them.
"""

import argparse
import statistics
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import tpc
from tests.oracles.algorithm_3 import algorithm_3

PROGRAM = Path(__file__).parents[2] / "programs" / "experiments" / "maml.tp"
SIZES = {"K": 32, "ways": 5, "shots": 1, "queries": 15, "d": 784}


def problem(steps, drawings, sizes, seed=0):
    """Inputs of the program by their Greek names."""
    rng = np.random.default_rng(seed)
    ways, shots, queries, tasks = sizes["ways"], sizes["shots"], sizes["queries"], sizes["K"]
    return {
        "images": rng.random((drawings, sizes["d"])) * (rng.random((drawings, sizes["d"])) < 0.15),
        "η": np.full(steps, 0.1),
        "ε": 0.4,
        "support": rng.integers(0, drawings, (steps, tasks, ways * shots)),
        "query": rng.integers(0, drawings, (steps, tasks, ways * queries)),
        "y": np.repeat(np.arange(ways), shots),
        "z": np.repeat(np.arange(ways), queries),
        "unseen": np.zeros((20, sizes["d"])),
        "shown": np.zeros((5, ways * shots), int),
        "asked": np.zeros((5, ways * 3), int),
        "w": np.repeat(np.arange(ways), 3),
    }


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--steps", type=int, default=100)
    options.add_argument("--drawings", type=int, default=4000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument(
        "--queries",
        type=int,
        default=SIZES["queries"],
        help="drawings of a class that the gradient is taken at",
    )
    options.add_argument("--dtype", default="float32")
    args = options.parse_args()
    started = time.perf_counter()
    sizes = {**SIZES, "queries": args.queries, "T": args.steps, "N": args.drawings}
    evaluator = tpc.load(PROGRAM, dims=sizes).compile(dtype=args.dtype)
    module = evaluator.module
    print(f"compiled by tpc in {time.perf_counter() - started:.1f} s")
    given = problem(args.steps, args.drawings, sizes)
    given["images"] = jnp.asarray(given["images"], args.dtype)
    given = {name: jnp.asarray(a) for name, a in given.items()}
    given |= {"sigma": 1.0, "tau": 1 / 32, "rho": 0.0, "kappa": 1.0, "lambda": 1.0, "alpha": 1.0}
    greek = {"η": "eta", "ε": "epsilon"}
    inputs = {greek.get(name, name): a for name, a in given.items()}
    points = [jnp.asarray(a, args.dtype) for a in module.draw(0, 0)]

    def ours():
        return module.compiled(inputs, *points)[0]["loss"]

    def peer():
        return algorithm_3(
            given["images"],
            given["support"],
            given["query"],
            given["y"],
            given["z"],
            given["η"].astype(args.dtype),
            jnp.asarray(0.4, args.dtype),
            steps=args.steps,
            ways=5,
        )[0]

    started = time.perf_counter()
    one = np.asarray(ours())
    print(f"compiled by XLA in {time.perf_counter() - started:.1f} s")
    print(
        "losses differ by", float(np.max(np.abs(one - np.asarray(peer())))), "first and last", one[0], one[-1]
    )
    rates = {"tpc": [], "Algorithm 3 by hand": []}
    worked = {name: [] for name in rates}
    for _ in range(args.rounds):
        for name, run in (("tpc", ours), ("Algorithm 3 by hand", peer)):
            started, before = time.perf_counter(), time.process_time()
            jax.block_until_ready(run())
            rates[name].append(args.steps / (time.perf_counter() - started))
            worked[name].append((time.process_time() - before) / args.steps)
    for name, found in rates.items():
        print(f"{name}: {statistics.median(found):.1f} meta-batches/s (best {max(found):.1f})")
    print(
        "CPU time a meta-batch: "
        f"{', '.join(f'{name} {1000 * statistics.median(found):.2f} ms' for name, found in worked.items())}, "
        "ratio of speeds by it "
        f"{statistics.median(worked['Algorithm 3 by hand']) / statistics.median(worked['tpc']):.2f}"
    )
    print(
        "ratio of medians "
        f"{statistics.median(rates['tpc']) / statistics.median(rates['Algorithm 3 by hand']):.2f}, "
        f"of pairs {statistics.median(a / b for a, b in zip(*rates.values(), strict=True)):.2f}"
    )


if __name__ == "__main__":
    main()
