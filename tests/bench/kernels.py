"""NNGP and NTK of relu perceptrons on N × 784 inputs in float32, against the same formulas by hand in one
plain jitted JAX function.

    python -m tests.bench.kernels [--sizes 2000,2 2000,10 4000,2 4000,10] [--runs 5]

Seconds by the clock, medians and spread over runs, the two taken in turn; peak memory of a process that
computes just ours; the error against float64, off the diagonal and on it, relative to the largest entry.
Before that tanh perceptrons in float64, 1,000 inputs and 20 hidden layers: seconds with compiling, and again,
at several norms of the inputs.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

D = 784
TEXT = """width n
dim d = 784
weight U : n x d
{weights}
weight V : 1 x n
network f(x) = V @ {body}
"""


def ours(layers: int, dtype: str = "float32", activation: str = "relu", scale: str = "2^(1/2)") -> Any:
    import tpc

    body = f"{activation}(U @ x)"
    for k in range(layers - 1):
        body = f"{activation}(W{k} @ {body})"
    weights = "\n".join(f"weight W{k} : n x n, scale = {scale}" for k in range(layers - 1))
    return tpc.parse(TEXT.format(weights=weights, body=body)).kernels(dtype=dtype)


def plain(layers: int) -> Callable[[Any], Any]:
    import jax
    import jax.numpy as jnp

    @jax.jit
    def kernels(x: Any) -> tuple[Any, Any]:
        k = x @ x.T
        norm = jnp.sqrt(jnp.diag(k))
        scale, theta = norm[:, None] * norm[None, :], k
        for layer in range(layers):
            cosine = jnp.clip(k / scale, -1, 1)
            angle = jnp.arccos(cosine)
            variance = 2.0 if layer < layers - 1 else 1.0
            k = variance * scale * (jnp.sqrt(1 - cosine**2) + (math.pi - angle) * cosine) / (2 * math.pi)
            theta = k + theta * variance * (math.pi - angle) / (2 * math.pi)
        return k, theta

    return kernels


def data(n: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, D), np.float32) / np.float32(math.sqrt(D))


def peak() -> str:
    """The most memory that this process had, in MB. (`ru_maxrss` would count that of the process which
    started it, too.)"""
    status = Path("/proc/self/status")
    if not status.exists():
        return "?"
    return str(
        next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        // 1024
    )


def errors(n: int, layers: int) -> tuple[float, float]:
    x = data(n)
    found, exact = ours(layers)(x), ours(layers, "float64")(x.astype(np.float64))
    off = ~np.eye(n, dtype=bool)
    parts = [np.abs(a - b) / b.max() for a, b in zip(found, exact, strict=True)]
    return max(float(p[off].max()) for p in parts), max(float(np.diag(p).max()) for p in parts)


def timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def of_tanh(n: int, layers: int) -> None:
    x = data(n).astype(np.float64)
    kernels = ours(layers, "float64", "tanh", "1")
    first = timed(lambda: kernels(x))
    again = ", ".join(
        f"{timed(lambda norm=norm: kernels(norm * x)):.2f} s at norm {norm:g}" for norm in (1, 10, 1000)
    )
    print(
        f"tanh in float64, N = {n}, {layers} hidden layers: {first:.2f} s with compiling; then {again}",
        flush=True,
    )


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--sizes", nargs="*", default=["2000,2", "2000,10", "4000,2", "4000,10"])
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--memory", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.memory:
        n, layers = map(int, chosen.memory.split(","))
        ours(layers)(data(n))
        print(peak())
        return
    import jax

    of_tanh(1000, 20)
    for size in chosen.sizes:
        n, layers = map(int, size.split(","))
        x, kernels, peer = data(n), ours(layers), plain(layers)

        def by_hand(peer: Any = peer, x: np.ndarray = x) -> None:
            jax.block_until_ready(peer(x))

        def by_tpc(kernels: Any = kernels, x: np.ndarray = x) -> None:
            kernels(x)

        by_hand(), by_tpc()
        times = [(timed(by_hand), timed(by_tpc)) for _ in range(chosen.runs)]
        ratios = sorted(b / a for a, b in times)
        a, b = (statistics.median(t) for t in zip(*times, strict=True))
        memory = subprocess.run(
            [sys.executable, __file__, "--memory", size], capture_output=True, text=True, check=True
        ).stdout.strip()
        spread = f"{ratios[0]:.2f} … {ratios[-1]:.2f}"
        print(
            f"N = {n}, {layers} hidden layers: plain {a:.3f} s, tpc {b:.3f} s, ratio "
            f"{statistics.median(ratios):.2f} ({spread}), "
            f"peak {memory} MB",
            flush=True,
        )
    off, on = errors(1000, 10)
    print(f"float32 against float64, N = 1000, 10 hidden layers: {off:.1e} off the diagonal, {on:.1e} on it")


if __name__ == "__main__":
    main()
