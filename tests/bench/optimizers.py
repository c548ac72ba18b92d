"""Limits of optimizers against finite width, and what they cost.

    python -m tests.bench.optimizers widths [CASE …]     14 numbers a case against widths extrapolated in 1/n
        --widths 256:256,512:128     so many networks of each; --samples, --repeats of the limit
    python -m tests.bench.optimizers muon                a training by Muon against one by SGD, on M points
    python -m tests.bench.optimizers step                a step of Adam on M points against one at width M
    python -m tests.bench.optimizers ensemble            time to an error of 2e-3 against tuned ensembles

Finite networks are written by hand, in jitted JAX (float32). Two hidden layers of tanh in μP.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import tpc
from tests.bench.limit_against_width import cheapest, timed
from tests.tables import finite
from tests.tables.finite import Chosen, State, Step
from tests.two_hidden_layers import trained

HEAD = "dim T = 5, B = 2, d = 2\ninput xi[T, B, d], y[T, B]"
HEAD_OF_OUTPUTS = f"{HEAD}, xs[2, d]"
OUTPUTS = "output g[t, j] = f[t](xs[j]) for t < T + 1 for j < 2\n"
CASES = {
    "sgd": ("sgd(lr = 0.5)", Chosen(finite.sgd(), 0.5)),
    "signsgd": ("signsgd(lr = 0.15)", Chosen(finite.signsgd(), 0.15)),
    "signsgd momentum": ("signsgd(lr = 0.15, momentum = 0.9)", Chosen(finite.signsgd(0.9), 0.15)),
    "adam": ("adam(lr = 0.2, eps = 0.1)", Chosen(finite.adam(eps=0.1), 0.2)),
    "adam small": ("adam(lr = 0.1, beta2 = 0.95)", Chosen(finite.adam(0.9, 0.95), 0.1)),
    "adamw": (
        "adamw(lr = 0.2, beta2 = 0.95, eps = 0.05, decay = 0.3)",
        Chosen(finite.adam(0.9, 0.95, 0.05), 0.2, 0.3),
    ),
    "rmsprop": ("rmsprop(lr = 0.1, beta2 = 0.9, eps = 0.05)", Chosen(finite.rmsprop(0.9, 0.05), 0.1)),
    "adagrad": ("adagrad(lr = 0.2, eps = 0.05)", Chosen(finite.adagrad(0.05), 0.2)),
    "lion": ("lion(lr = 0.15)", Chosen(finite.lion(), 0.15)),
    "lion decay": (
        "lion(lr = 0.15, beta1 = 0.5, beta2 = 0.7, decay = 0.3)",
        Chosen(finite.lion(0.5, 0.7), 0.15, 0.3),
    ),
    "adamax": ("adamax(lr = 0.1, eps = 0.05)", Chosen(finite.adamax(eps=0.05), 0.1)),
    "nadam": ("nadam(lr = 0.1, eps = 0.05)", Chosen(finite.nadam(eps=0.05), 0.1)),
    "adadelta": ("adadelta(lr = 1, eps = 1e-3)", Chosen(finite.adadelta(eps=1e-3), 1.0)),
    "rprop": ("rprop(lr = 0.1)", Chosen(finite.rprop(), 0.1)),
}
QUINTIC = (3.4445, -4.775, 2.0315)


def muon(momentum: float) -> Step:
    """Five steps of Newton–Schulz on the matrix itself; g is n times the slope, and so is the step of W."""

    def step(state: State, g: Any, t: Any) -> tuple[State, Any]:
        m = momentum * state[0] + g
        u = momentum * m + g
        n, (a, b, c) = len(u), QUINTIC
        scale = n if u.shape == (n, n) else n**0.5
        y = u.reshape(n, -1).T / scale
        y = y / (jnp.linalg.norm(y) + 1e-7)
        for _ in range(5):
            square = y @ y.T
            y = a * y + b * (square @ y) + c * (square @ (square @ y))
        return (m, m), scale * y.T.reshape(u.shape)

    return step


OTHERS = Chosen(finite.adam(eps=0.1), 0.2)
BY_WEIGHT: dict[str, tuple[str, dict[str, Chosen]]] = {
    "muon": (
        "muon(lr = 0.2, momentum = 0.9)\n    update adam(lr = 0.2, eps = 0.1) otherwise",
        {"U": OTHERS, "W": Chosen(muon(0.9), 0.2), "v": OTHERS},
    ),
    "muon all": (
        "muon(lr = 0.2, momentum = 0.9) of U, W, V",
        dict.fromkeys("UWv", Chosen(muon(0.9), 0.2)),
    ),
}
WIDTHS = {256: 256, 512: 128, 1024: 64, 2048: 32}  # networks of each
SAMPLES, REPEATS = 2048, 12
# by width, so many networks, and so many at once
ENSEMBLES = {64: (1024, 128), 128: (1024, 64), 256: (512, 16), 512: (128, 8), 1024: (32, 2)}


def start(key: Any, width: int, points: Any | None) -> dict[str, Any]:
    """Weights, order 1. points: inputs at which f is 0 at first, U being whitened: the same limit."""
    a, b, c = jax.random.split(key, 3)
    u, v = jax.random.normal(a, (width, 2)), jax.random.normal(c, (width,))
    w = jax.random.normal(b, (width, width)) / width**0.5
    if points is not None:
        u -= u.mean(axis=0)
        u = jnp.linalg.solve(jnp.linalg.cholesky(u.T @ u / width), u.T).T
        z = jnp.tanh(w @ jnp.tanh(u @ points.T))
        v -= z @ jnp.linalg.lstsq(z, v)[0]
        v *= jnp.sqrt(width / (v @ v))
    return {"U": u, "W": w, "v": v}


def outputs(w: dict[str, Any], x: Any) -> Any:
    return w["v"] @ jnp.tanh(w["W"] @ jnp.tanh(w["U"] @ x.T)) / len(w["v"])


def loss(w: dict[str, Any], x: Any, y: Any) -> Any:
    return jnp.mean((outputs(w, x) - y) ** 2) / 2


def network(
    width: int, of: Mapping[str, Chosen], data: dict[str, Any], *, whitened: bool
) -> Callable[[Any], Any]:
    """What trains one network, from a key: its losses [T], and outputs [T + 1, 2] at `xs`."""
    xi, y, xs = (jnp.asarray(data[name], jnp.float32) for name in ("xi", "y", "xs"))
    points = jnp.concatenate([xi.reshape(-1, xi.shape[-1]), xs]) if whitened else None
    if points is not None:
        points = jnp.unique(points, axis=0)

    @jax.jit
    def train(key: Any) -> Any:
        w = start(key, width, points)
        states = {name: (jnp.zeros_like(x), jnp.zeros_like(x)) for name, x in w.items()}

        def step(carry: Any, item: Any) -> Any:
            w, states = carry
            t, x, label = item
            value, slopes = jax.value_and_grad(loss)(w, x, label)
            made = {name: of[name].step(states[name], width * g, t) for name, g in slopes.items()}
            before = outputs(w, xs)
            w = {
                name: (1 - of[name].rate * of[name].decay) * x
                - of[name].rate * made[name][1] / (width if name == "W" else 1)
                for name, x in w.items()
            }
            return (w, {name: state for name, (state, _) in made.items()}), (value, before)

        items = (jnp.arange(len(xi), dtype=jnp.float32), xi, y)
        (w, _), (losses, fs) = jax.lax.scan(step, (w, states), items)
        return losses, jnp.concatenate([fs, outputs(w, xs)[None]])

    return train


def problem(steps: int, batch: int) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    points = rng.standard_normal((max(3, batch), 2))
    points *= 1.2 / np.linalg.norm(points, axis=1, keepdims=True)
    labels = np.sign(rng.standard_normal(len(points))) * (0.5 + rng.random(len(points)))
    which = np.arange(steps * batch).reshape(steps, batch) % len(points)
    return {"xi": points[which], "y": labels[which], "xs": np.stack([points[0], rng.standard_normal(2)])}


def numbers(losses: Any, fs: Any) -> np.ndarray:
    """Outputs after each step, and losses after the first."""
    return np.concatenate([np.asarray(fs, float)[1:].ravel(), np.asarray(losses, float)[1:]])


def extrapolated(at: Sequence[int], means: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, ...]:
    """a of a + b/n, its standard error, and b, each [K]; means and errors at the widths n are [N, K]."""
    n = np.array(at, float)
    design = np.stack([np.ones_like(n), 1 / n], axis=1)[:, None] / errors[..., None]
    inverse = np.linalg.inv(np.einsum("nki,nkj->kij", design, design))
    fit = np.einsum("kij,nkj,nk->ki", inverse, design, means / errors)
    return fit[:, 0], np.sqrt(inverse[:, 0, 0]), fit[:, 1]


def case(name: str) -> tuple[str, Mapping[str, Chosen]]:
    """The lines of a program, and the optimizer of each weight."""
    if name in BY_WEIGHT:
        return BY_WEIGHT[name]
    update, own = CASES[name]
    return update, dict.fromkeys("UWv", own)


def widths(names: Sequence[str], counts: Mapping[int, int], samples: int, repeats: int) -> None:
    data = problem(5, 2)
    for name in names or (*CASES, *BY_WEIGHT):
        update, of = case(name)
        means, errors = [], []
        for width, count in counts.items():
            train = network(width, of, data, whitened=True)
            runs = np.stack([numbers(*train(jax.random.key(width * 1000 + k))) for k in range(count)])
            means.append(runs.mean(axis=0))
            errors.append(runs.std(axis=0, ddof=1) / count**0.5)
        evaluator = tpc.parse(trained(HEAD_OF_OUTPUTS, update, more=OUTPUTS)).compile(
            method="nodes", samples=samples, repeats=repeats
        )
        result = evaluator(data)
        limit, error = (
            numbers(*(getattr(result[key], what) for key in ("loss", "g"))) for what in ("value", "stderr")
        )
        wanted, apart, slope = extrapolated([*counts], np.array(means), np.array(errors))
        z = (limit - wanted) / np.hypot(error, apart)
        print(
            f"{name:18s} max difference {np.abs(limit - wanted).max():.1e}, "
            f"rms z {np.sqrt((z**2).mean()):.2f}, max z {np.abs(z).max():.2f}, "
            f"standard error of the limit {error.max():.1e}, of widths {apart.max():.1e}, "
            f"b/256 {np.abs(slope).max() / 256:.1e}",
            flush=True,
        )


def fastest(run: Callable[[], Any], repeats: int = 5) -> float:
    _, least, _ = timed(run, repeats)  # type: ignore[no-untyped-call]
    return float(least)


def run(train: Callable[[Any], Any], key: Any) -> Any:
    return jax.block_until_ready(train(key))


def cut(data: dict[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in ("xi", "y")}


def step(samples: int = 2048, batch: int = 20, steps: int = 10) -> None:
    """The same training on points and at width M, in turn, so that both meet the same load."""
    data = problem(steps, batch)
    update, of = case("adam")
    program = tpc.parse(trained(HEAD, update), dims={"T": steps, "B": batch})
    module = program.compile(samples=samples, repeats=2, dtype="float32").module
    train, key = network(samples, of, data, whitened=False), jax.random.key(1)

    def limit() -> Any:
        return jax.block_until_ready(module.evaluated(cut(data), *module.draw(1, 0)))

    for _ in range(4):
        pair = [fastest(one, 3) / steps for one in (limit, partial(run, train, key))]
        print(
            f"a step: limit {pair[0] * 1e3:.0f} ms, width {samples} {pair[1] * 1e3:.0f} ms, "
            f"ratio {pair[0] / pair[1]:.2f}",
            flush=True,
        )


def against_sgd(samples: int = 4096, batch: int = 4, steps: int = 50) -> None:
    """The same training by Muon and by SGD in turn, in processor time, too."""
    data, runs = problem(steps, batch), {}
    for update in ("sgd(lr = 0.3)", "muon(lr = 0.1)\n    update sgd(lr = 0.3) otherwise"):
        program = tpc.parse(trained(HEAD, update), dims={"T": steps, "B": batch})
        module = program.compile(method="nodes", samples=samples, repeats=2).module

        def run(module: Any = module, points: Any = module.draw(1, 0)) -> Any:  # noqa: B008
            return jax.block_until_ready(module.evaluated(cut(data), *points))

        run()
        runs[update] = run
    best = dict.fromkeys(runs, (np.inf, np.inf))
    for _ in range(7):
        for update, run in runs.items():
            wall, processor = time.perf_counter(), time.process_time()
            run()
            taken = time.perf_counter() - wall, time.process_time() - processor
            best[update] = (min(best[update][0], taken[0]), min(best[update][1], taken[1]))
    sgd, own = best.values()
    ratios = [a / b for a, b in zip(own, sgd, strict=True)]
    print(
        f"{steps} steps of {batch} examples on {samples} points: SGD {sgd[0]:.2f} s, Muon {own[0]:.2f} s, "
        f"ratio {ratios[0]:.2f}, in processor time {ratios[1]:.2f}"
    )


def ensemble(error: float = 2e-3, steps: int = 20, batch: int = 4) -> None:
    data = problem(steps, batch)
    update, of = case("adam")
    program = tpc.parse(trained(HEAD, update), dims={"T": steps, "B": batch})
    fine = program.compile(samples=2048, repeats=64)(cut(data))["loss"]
    print(f"reference: standard error at most {np.max(np.asarray(fine.stderr)):.1e}", flush=True)
    found = {}
    for width, (count, together) in ENSEMBLES.items():
        train = jax.jit(jax.vmap(network(width, of, data, whitened=False)))
        keys = jax.random.split(jax.random.key(width), (count // together, together))
        seconds = fastest(partial(run, train, keys[0]), 3)
        losses = np.concatenate([np.asarray(train(k)[0]) for k in keys]).astype(float)
        found[width] = seconds / together, losses.var(axis=0, ddof=1), losses.mean(axis=0) - fine.value
        print(
            f"  width {width}: {found[width][0] * 1e3:.2f} ms a network, deviation "
            f"{np.sqrt(found[width][1].max()):.4f}, bias {np.abs(found[width][2]).max():.4f}",
            flush=True,
        )
    peer, which = cheapest(found, error)  # type: ignore[no-untyped-call]
    print(f"finite width: {peer:.2f} s, {which}", flush=True)
    for samples, count in ((128, 2048), (256, 1024), (384, 768), (512, 512), (768, 256), (1024, 128)):
        module = program.compile(samples=samples, repeats=2, dtype="float32").module

        def one(seed: int, module: Any = module) -> Any:
            return jax.block_until_ready(module.evaluated(cut(data), *module.draw(seed, 0)))

        runs = np.stack([np.asarray(one(1000 + seed)[0]["loss"], float) for seed in range(count)])
        # the mean's distance has its own error in it, which is taken for bias, too
        variance, bias = runs.var(axis=0, ddof=1), runs.mean(axis=0) - fine.value
        room = error**2 - bias**2
        repeats = int(np.ceil(np.max(variance / room))) if np.all(room > 0) else 0
        seconds = fastest(partial(one, 7)) * repeats
        several = program.compile(samples=samples, repeats=max(2, repeats), dtype="float32")
        whole = fastest(partial(several, cut(data), seed=7)) if repeats else np.inf
        print(
            f"{samples} points: deviation {np.sqrt(variance.max()):.1e}, bias {np.abs(bias).max():.1e}, "
            + (
                f"{repeats} repeats in {seconds:.3f} s, ratio {peer / seconds:.0f}; "
                f"with all that a run looks at {whole:.3f} s, ratio {peer / whole:.0f}"
                if repeats
                else "bias"
            ),
            flush=True,
        )


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("what", choices=["widths", "step", "ensemble", "muon"])
    options.add_argument("case", nargs="*", choices=[*CASES, *BY_WEIGHT, []])
    options.add_argument("--widths", default=",".join(f"{n}:{count}" for n, count in WIDTHS.items()))
    options.add_argument("--samples", type=int)
    options.add_argument("--repeats", type=int, default=REPEATS)
    chosen = options.parse_args()
    jax.config.update("jax_enable_x64", True)
    if chosen.what == "widths":
        counts = dict(tuple(map(int, pair.split(":"))) for pair in chosen.widths.split(","))
        widths(chosen.case, counts, chosen.samples or SAMPLES, chosen.repeats)
    elif chosen.what == "muon":
        against_sgd(chosen.samples or 4096)
    else:
        {"step": step, "ensemble": ensemble}[chosen.what]()


if __name__ == "__main__":
    main()
