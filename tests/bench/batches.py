"""The share of the machine's GEMM speed that training on batches runs at: two-hidden-layer tanh net in μP,
batch B, T steps, rank T·B.

    python -m tests.bench.batches [--batch 32] [--steps 32] [--samples 16384] [--dtype float64]

Counted are the multiplications and additions of the algorithm, at the ranks that are really met: for every
product the coordinates on the directions met so far and their removal, both twice (reorthogonalisation), Ẑ
and Ż; for every step the two history sums. Not counted: orthonormalising inside a batch, elementwise
functions, and what is computed in vain in blocks of directions that are not full. The speed is that of the
whole compiled evaluation, points not included. The peak is measured before and after, on square matrices of
side 2048 and on the shapes that occur. Where other programs share the machine, compare the lines of processor
time.
"""

import argparse
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import tpc

PROGRAM = Path(__file__).parents[1] / "emit" / "structures" / "training.tp"


def best(run, repeats=5):
    """The least of the times of a few runs, in seconds on the clock and in seconds of processor time, an
    array."""
    jax.block_until_ready(run())
    times = []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        jax.block_until_ready(run())
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return np.min(times, axis=0)


def peaks(batch, rank, samples, dtype):
    """GFLOP/s, by the clock and by processor time, of a square product, of [R, M] with [M, B], and of [B, R]
    with [R, M]."""
    square, rows, few = (
        jnp.ones((2048, 2048), dtype),
        jnp.ones((rank, samples), dtype),
        jnp.ones((batch, samples), dtype),
    )
    coefficients = jnp.ones((rank, batch), dtype)
    product, combined = jax.jit(lambda a, b: a @ b), jax.jit(lambda c, b: c.T @ b)
    flops = 2 * batch * rank * samples
    return (
        2 * 2048**3 / best(lambda: product(square, square)) / 1e9,
        flops / best(lambda: product(rows, few.T)) / 1e9,
        flops / best(lambda: combined(coefficients, rows)) / 1e9,
    )


def flops(steps, batch, samples):
    """Of one evaluation, if every example is a new direction."""
    total = 0
    for t in range(steps):
        before, after = t * batch, (t + 1) * batch
        forward = 10 * before + 4 * before  # on the directions of W, and Ż through those of its transpose
        backward = 10 * before + 4 * after
        total += batch * samples * (forward + backward + 2 * 4 * before)
    return total


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--batch", type=int, default=32)
    options.add_argument("--steps", type=int, default=32)
    options.add_argument("--samples", type=int, default=16384)
    options.add_argument("--dtype", default="float64")
    given = options.parse_args()
    jax.config.update("jax_enable_x64", given.dtype == "float64")
    program = tpc.load(PROGRAM, dims={"T": given.steps, "B": given.batch, "d": 64})
    evaluator = program.compile(samples=given.samples, repeats=2, dtype=given.dtype)
    random = np.random.default_rng(0)
    shape = given.steps, given.batch
    inputs = {
        "xi": random.standard_normal((*shape, 64)) / 8,
        "y": random.choice([-1.0, 1.0], shape),
        "eta": 0.5,
    }
    module = evaluator.module
    points = jnp.asarray(random.standard_normal((module.GAUSSIANS, given.samples)), given.dtype)
    weights = jnp.full(given.samples, 1 / given.samples, given.dtype)
    rank = given.steps * given.batch
    first = peaks(given.batch, rank, given.samples, given.dtype)
    start = time.perf_counter()
    jax.block_until_ready(module.evaluated(inputs, points, weights))
    compiled = time.perf_counter() - start
    seconds = best(lambda: module.evaluated(inputs, points, weights), 3)
    peak = np.maximum(first, peaks(given.batch, rank, given.samples, given.dtype))
    speed = flops(*shape, given.samples) / seconds / 1e9
    print(
        f"batch {given.batch}, {given.steps} steps (rank {rank}), {given.samples} samples, "
        f"{given.dtype}; the "
        f"first time {compiled:.1f} s"
    )
    for k, unit in enumerate(("s on the clock", "s of processor time")):
        square, onto, along = peak[:, k]
        print(
            f"  {seconds[k]:.2f} {unit}: {speed[k]:.1f} GFLOP/s; peak {square:.1f} (2048 x 2048), {onto:.1f} "
            f"and {along:.1f} (the shapes that "
            f"occur): {100 * speed[k] / square:.0f} % of the peak"
        )


if __name__ == "__main__":
    main()
