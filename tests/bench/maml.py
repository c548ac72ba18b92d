"""How fast few-shot learning trains at infinite width, beside a transcription of Algorithm 3 that is written by hand.

    python tests/bench/maml.py                # meta-batches of 32 tasks a second, of both, in turns; and that they train the same network

The transcription keeps the coefficients of u, v and the bias on their initial values (A, B, C, D of Algorithm 3), takes kernels of drawings in place of
adapted weights, and is one jitted loop. Drawings are noise: time does not depend on them.
"""

import argparse
import statistics
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import tpc

PROGRAM = Path(__file__).parents[2] / "programs" / "experiments" / "maml.tp"
SIZES = {"K": 32, "ways": 5, "shots": 1, "queries": 15, "d": 784}


def problem(steps, drawings, sizes, seed=0):
    """Inputs of the program."""
    rng = np.random.default_rng(seed)
    ways, shots, queries, tasks = sizes["ways"], sizes["shots"], sizes["queries"], sizes["K"]
    return {"images": rng.random((drawings, sizes["d"])) * (rng.random((drawings, sizes["d"])) < 0.15), "η": np.full(steps, 0.1), "ε": 0.4,
            "support": rng.integers(0, drawings, (steps, tasks, ways * shots)), "query": rng.integers(0, drawings, (steps, tasks, ways * queries)),
            "y": np.repeat(np.arange(ways), shots), "z": np.repeat(np.arange(ways), queries)}


@partial(jax.jit, static_argnames=("steps",))
def algorithm_3(images, support, query, y, z, eta, eps, steps, std=1 / 32):
    """The losses, and the end of u [d, k], v [ways, k] and the bias [k], as coefficients on the initial u, v and bias. Linear net, one inner step."""
    d, ways = images.shape[1], 5 if y.shape[0] % 5 == 0 else 3
    u = jnp.eye(d, d + ways, dtype=images.dtype)
    v = std * jnp.eye(ways, d + ways, d, dtype=images.dtype)
    b = jnp.zeros(d + ways, images.dtype)
    right_s, right_q = jax.nn.one_hot(y, ways, dtype=images.dtype), jax.nn.one_hot(z, ways, dtype=images.dtype)

    def step(t, state):
        losses, u, v, b = state
        xs, xq = images[support[t]], images[query[t]]                               # [tasks, S, d], [tasks, Q, d]
        tasks, shots, queries = xs.shape[0], xs.shape[1], xq.shape[1]
        vu, vb, vv = v @ u.T, v @ b, v @ v.T                                        # inner products are those of coefficients
        chi = (jax.nn.softmax(xs @ vu.T + vb) - right_s) / shots                    # [tasks, S, ways]
        h = (xs.reshape(-1, d) @ u + b).reshape(tasks, shots, -1)                   # hidden vectors of the drawings adapted to
        gram = 1 + jnp.einsum("tsd,tqd->tqs", xs, xq)
        moved = eps * jnp.einsum("tqs,tsl->tql", gram, chi)                         # the adapted net sends a drawing to h - moved v
        hu, hb, hv = (h.reshape(-1, h.shape[-1]) @ u.T).reshape(tasks, shots, d), h @ b, h @ v.T
        hq = jnp.einsum("tqd,tsd->tqs", xq, hu) + hb[:, None] - jnp.einsum("tql,tsl->tqs", moved, hv)
        f = xq @ vu.T + vb - moved @ vv - eps * jnp.einsum("tqs,tsl->tql", hq, chi)
        loss = -jnp.sum(jax.nn.log_softmax(f) * right_q) / queries
        chiq = (jax.nn.softmax(f) - right_q) / queries
        back = -eps * jnp.einsum("tql,tsl->tqs", chiq, chi)                         # the gradient in a hidden vector is chiq v + back h
        gu = jnp.einsum("tql,tqd->dl", chiq, xq) @ v + jnp.einsum("tqs,tqd->dts", back, xq).reshape(d, -1) @ h.reshape(-1, h.shape[-1])
        gb = jnp.sum(chiq, (0, 1)) @ v + jnp.sum(back, 1).reshape(-1) @ h.reshape(-1, h.shape[-1])
        gv = jnp.einsum("tql,tqd->ld", chiq, xq) @ u + jnp.sum(chiq, (0, 1))[:, None] * b - jnp.einsum("tql,tqm->lm", chiq, moved) @ v
        rate = eta[t] * jnp.minimum(1, 0.5 / jnp.sqrt(sum(jnp.sum(g * g) for g in (gu, gb, gv))))
        return losses.at[t].set(loss), u - rate * gu, v - rate * gv, b - rate * gb
    return lax.fori_loop(0, steps, step, (jnp.zeros(steps, images.dtype), u, v, b))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--steps", type=int, default=100)
    options.add_argument("--drawings", type=int, default=4000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--dtype", default="float32")
    args = options.parse_args()
    started = time.perf_counter()
    sizes = {**SIZES, "T": args.steps, "N": args.drawings}
    evaluator = tpc.load(PROGRAM, dims=sizes).compile(dtype=args.dtype)
    module = evaluator.module
    print(f"compiled by tpc in {time.perf_counter() - started:.1f} s")
    given = problem(args.steps, args.drawings, sizes)
    given["images"] = jnp.asarray(given["images"], args.dtype)
    given = {name: jnp.asarray(a) for name, a in given.items()}
    greek = {"η": "eta", "ε": "epsilon"}
    inputs = {greek.get(name, name): a for name, a in given.items()}
    points = [jnp.asarray(a, args.dtype) for a in module.draw(0, 0)]

    def ours():
        return module.compiled(inputs, *points)[0]["loss"]

    def peer():
        return algorithm_3(given["images"], given["support"], given["query"], given["y"], given["z"], given["η"].astype(args.dtype),
                           jnp.asarray(0.4, args.dtype), args.steps)[0]
    started = time.perf_counter()
    one = np.asarray(ours())
    print(f"compiled by XLA in {time.perf_counter() - started:.1f} s")
    print("losses differ by", float(np.max(np.abs(one - np.asarray(peer())))), "first and last", one[0], one[-1])
    rates = {"tpc": [], "Algorithm 3 by hand": []}
    for _ in range(args.rounds):
        for name, run in (("tpc", ours), ("Algorithm 3 by hand", peer)):
            started = time.perf_counter()
            jax.block_until_ready(run())
            rates[name].append(args.steps / (time.perf_counter() - started))
    for name, found in rates.items():
        print(f"{name}: {statistics.median(found):.1f} meta-batches/s (best {max(found):.1f})")
    print(f"ratio of medians {statistics.median(rates['tpc']) / statistics.median(rates['Algorithm 3 by hand']):.2f}, "
          f"of pairs {statistics.median(a / b for a, b in zip(*rates.values(), strict=True)):.2f}")


if __name__ == "__main__":
    main()
