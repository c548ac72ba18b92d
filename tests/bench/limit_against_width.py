"""The limit against finite width: time to a given error on every step's loss, two-hidden-layer tanh net in μP
(TP4 Thm 6.4), d = 1 and ξ, y ∈ {±1}, or with a batch, ξ from the sphere of R^8.

    python -m tests.bench.limit_against_width [--steps 20] [--batch 1] [--lr 0.5] [--dtype float32] [--repeats
    16]

The peer is an ensemble of finite networks trained by a hand-written, jitted and vmapped JAX loop (float32),
with or without extrapolation in 1/n,
tuned over width and seeds: its variance, bias and time per network are measured at each width, and the
cheapest combination that reaches the error is taken, its time being the measured time per network times the
networks needed. The limit's error is measured over seeds against a run with far more samples, its time is
that of whole warm runs, points drawn included. An error is the root mean square over seeds of the worst step,
bias included.
"""

import argparse
import statistics
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import tpc
from tests.two_hidden_layers import trained

PROGRAM = Path(__file__).parents[2] / "programs" / "paper" / "thm_6_4.tp"
BATCHED = trained("dim T = 50, B = 4, d = 8\ninput xi[T, B, d], y[T, B], eta", "sgd(lr = eta)")
TARGETS = 1.5e-3, 2e-4
# networks whose losses are measured at each width
WIDTHS = {64: 2048, 128: 2048, 256: 1024, 512: 512, 1024: 128, 2048: 32}
BATCH = {64: 256, 128: 128, 256: 32, 512: 16, 1024: 8, 2048: 4}  # how many at once
# samples, and the most repeats, that are tried for the limit
LIMITS = {256: 1, 512: 1, 1024: 1, 2048: 1, 4096: 1, 6144: 1, 8192: 1, 10240: 1, 12288: 1, 14336: 1, 16384: 4}
LIMITS |= {65536: 8}
SEEDS = 32


def network(width, inputs, rate):
    """Losses [T] of one network, from a key. inputs: ξ [T, B, d] and y [T, B]."""

    def train(key):
        a, b, c = jax.random.split(key, 3)
        u, v = jax.random.normal(a, (width, inputs[0].shape[2])), jax.random.normal(b, (width,))
        w = jax.random.normal(c, (width, width)) / width**0.5

        def step(state, example):
            u, v, w = state
            xi, y = example
            x = jnp.tanh(xi @ u.T)
            z = jnp.tanh(x @ w.T)
            chi = z @ v / width - y
            dh = (rate / len(y)) * chi[:, None] * v * (1 - z * z)
            dx = dh @ w
            new = u - (dx * (1 - x * x)).T @ xi, v - (rate / len(y)) * chi @ z, w - dh.T @ x / width
            return new, jnp.mean(chi**2) / 2

        return jax.lax.scan(step, (u, v, w), inputs)[1]

    return jax.jit(jax.vmap(train))


def timed(run, repeats=5):
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times), min(times), max(times)


def finite(inputs, rate, reference):
    """By width: seconds for one network, variance of its losses [T], their mean's distance from the limit
    [T]."""
    found = {}
    for width, count in WIDTHS.items():
        train = network(width, tuple(jnp.asarray(x, jnp.float32) for x in inputs), jnp.float32(rate))
        keys = jax.random.split(jax.random.key(width), (count // BATCH[width], BATCH[width]))
        seconds, *_ = timed(lambda train=train, keys=keys: jax.block_until_ready(train(keys[0])))
        losses = np.concatenate([np.asarray(train(k)) for k in keys]).astype(float)
        found[width] = seconds / BATCH[width], losses.var(axis=0, ddof=1), losses.mean(axis=0) - reference
        print(
            f"  width {width:5d}: {found[width][0] * 1e3:8.3f} ms a network, "
            f"std {np.sqrt(found[width][1].max()):.4f}, bias {np.abs(found[width][2]).max():.4f}"
        )
    return found


def cheapest(found, error):
    """Seconds of the cheapest ensemble with the given error, and which it is."""
    best = (np.inf, "")
    # the bias is about b/n
    coefficient = np.median(
        [width * np.abs(bias) for width, (_, _, bias) in found.items() if width <= 256], axis=0
    )
    for width, (seconds, variance, _) in found.items():
        room = error**2 - (coefficient / width) ** 2
        if np.all(room > 0):
            networks = int(np.ceil(np.max(variance / room)))
            best = min(best, (networks * seconds, f"{networks} networks of width {width}"))
    widths = sorted(found)
    for small, large in pairwise(widths):  # 2 f(2n) - f(n), the bias taken to be gone
        (t1, v1, _), (t2, v2, _) = found[small], found[large]
        v1, v2 = v1.max(), 4 * v2.max()
        # the best division of time between the two
        total = (np.sqrt(v1 * t1) + np.sqrt(v2 * t2)) ** 2 / error**2
        best = min(best, (total, f"widths {small} and {large}, extrapolated"))
    return best


def cheapest_limits(program, data, reference, dtype):
    """For each of TARGETS the cheapest limit run that has the error: what it is, the error measured over
    seeds, the times of a warm run.

    Repeats are independent: the error of several is measured on groups of single ones.
    """
    wanted = list(TARGETS)
    for samples, most in LIMITS.items():
        evaluator = program.compile(samples=samples, repeats=max(2, most), dtype=dtype)
        module = evaluator.module

        def one(seed, module=module):
            return jax.block_until_ready(module.evaluated(data, *module.draw(seed, 0)))

        pool = np.stack([np.asarray(one(1000 + seed)[0]["loss"], float) for seed in range(SEEDS)])
        for repeats in (2**k for k in range(most.bit_length())):
            means = pool.reshape(-1, repeats, len(reference)).mean(axis=1)
            measured = float(np.sqrt(((means - reference) ** 2).mean(axis=0)).max())
            print(f"  {samples} samples, {repeats} repeats: error {measured:.1e}", flush=True)
            while wanted and measured <= wanted[0]:
                several = program.compile(samples=samples, repeats=max(2, repeats), dtype=dtype)
                seconds = timed(partial(one, 99) if repeats == 1 else partial(several, data, seed=99))
                yield wanted.pop(0), f"{samples} samples, {repeats} repeats", measured, seconds
        if not wanted:
            return


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--steps", type=int, default=20)
    options.add_argument("--batch", type=int, default=1)
    options.add_argument("--lr", type=float, default=0.5)
    options.add_argument(
        "--dtype", default="float64", help="of the limit; the peer has float32, the reference float64"
    )
    options.add_argument("--repeats", type=int, default=16, help="of the reference")
    steps, batch, rate, dtype, repeats = vars(options.parse_args()).values()
    jax.config.update("jax_enable_x64", True)
    random = np.random.default_rng(0)
    if batch == 1:
        data = {"xi": random.choice([-1.0, 1.0], steps), "y": random.choice([-1.0, 1.0], steps), "eta": rate}
        program = tpc.load(PROGRAM, dims={"T": steps})
    else:
        xi = random.standard_normal((steps, batch, 8))
        data = {
            "xi": xi / np.linalg.norm(xi, axis=-1, keepdims=True),
            "y": random.choice([-1.0, 1.0], (steps, batch)),
            "eta": rate,
        }
        program = tpc.parse(BATCHED, dims={"T": steps, "B": batch})
    fine = program.compile(samples=1 << 16, repeats=repeats)(data)
    reference = fine["loss"].value
    print(
        f"T = {steps}, batch {batch}, learning rate {rate}; reference with 2^16 samples, {repeats} repeats, "
        f"standard error at most {fine['loss'].stderr.max():.1e}"
    )
    found = finite((data["xi"].reshape(steps, batch, -1), data["y"].reshape(steps, batch)), rate, reference)
    for error in TARGETS:
        print(
            f"error {error:.1e}: finite width {cheapest(found, error)[0]:.2f} s ({cheapest(found, error)[1]})"
        )
    for error, how, measured, (median, least, most) in cheapest_limits(program, data, reference, dtype):
        print(
            f"error {error:.1e}: limit {median * 1e3:.1f} ms ({least * 1e3:.1f} … {most * 1e3:.1f}; {how}, "
            f"{dtype}, measured {measured:.1e}); "
            f"ratio {cheapest(found, error)[0] / median:.0f}"
        )


if __name__ == "__main__":
    main()
