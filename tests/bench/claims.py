"""Do claimed errors cover the truth? z = (value - truth)/claim over many programs and seeds: its RMS is about
1, and never more than 6.

    OPENBLAS_NUM_THREADS=1 python -m tests.bench.claims [--programs 200] [--seeds 60] [--repeats R]
    [--kinds moments,edges,heavy,rare,nets,amp] [--rows FILE]

(Half an hour of one core. With threads of its own, which wait for each other, NumPy takes ten times as long.)
`--rows` keeps a line of what each program gave; programs that have one already are not run again.

Moments of functions of a sum of Gaussians, whose truth is an integral over one Gaussian; trainings and
message passing, whose truth is a run with 32 times the points, its own claim added. A program whose claim is
that there is none (inf) passes: it has said so. With 8 repeats z has Student's distribution with 7 degrees of
freedom, whose tails are long: the widening of claims (1.2) makes its RMS 1, and one entry in 5,000 is beyond
6 yet. As many repeats as the plan takes by default for short programs, 32, have none.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.integrate import quad
from scipy.special import erf, expit
from scipy.stats import norm

import tpc

ROOT = Path(__file__).parents[2]
RMS, MOST = 1.3, 6.0
FINER = 32


@dataclass(frozen=True)
class Case:
    """A program, with the truth of its outputs and the error of that; None for what a finer run gives."""

    name: str
    text: str
    dims: Mapping[str, int] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    truth: Mapping[str, float] | None = None
    samples: int | None = None


@dataclass(frozen=True)
class Score:
    """The root mean square and the greatest of z, 0 where no claim was made, over so many seeds and entries;
    `silent` is the share without a claim."""

    name: str
    seeds: int
    entries: int
    rms: float
    most: float
    silent: float

    @classmethod
    def of(cls, name: str, z: np.ndarray, silent: float) -> Score:
        """z: [seeds, entries]."""
        return cls(name, *z.shape, float(np.sqrt(np.mean(z**2))), float(np.abs(z).max()), silent)

    @property
    def right(self) -> bool:
        """A few seeds tell the RMS to 1/√(2 seeds)."""
        return self.most <= MOST and self.rms <= RMS * (1 + 2 / (2 * self.seeds) ** 0.5)

    def __str__(self) -> str:
        told = f", no claim in {self.silent:.0%}" if self.silent else ""
        return (
            f"{self.name:<46} rms z {self.rms:6.2f}, max "
            f"{self.most:6.2f}{told}{'' if self.right else '   <<<'}"
        )


def moment(
    name: str,
    function: str,
    f: Callable[[float], float],
    corners: tuple[float, ...],
    random: np.random.Generator,
) -> Case:
    """E f(x), x a sum of 1 to 6 Gaussians of variance 1 in all."""
    count = int(random.integers(1, 7))
    a = random.standard_normal(count)
    a /= np.linalg.norm(a)
    total = " + ".join(f"({c:.12f})*g[{i}]" for i, c in enumerate(a))
    edges = sorted({-38.0, *corners, 38.0})
    parts = (
        quad(lambda s: f(s) * norm.pdf(s), low, high, epsabs=0, epsrel=1e-11, limit=400)[0]
        for lower, upper in pairwise(edges)
        for low, high in pieces(lower, upper)
    )
    text = f"width n\nvector g[i < {count}] : n ~ N(0, 1)\nx = {total}\noutput m = mean({function})\n"
    return Case(f"{name} of {count}", text, truth={"m": sum(parts)}, samples=4096)


def pieces(low: float, high: float) -> Iterator[tuple[float, float]]:
    """An interval in parts of length 1 at most, for quadrature."""
    cuts = np.linspace(low, high, max(2, int(np.ceil(high - low)) + 1))
    yield from pairwise(cuts)


def moments(random: np.random.Generator) -> Iterator[Case]:
    while True:
        c = random.uniform(0.3, 2)
        yield moment(f"tanh({c:.2f} x)^2", f"tanh({c!r}*x)^2", lambda s, c=c: np.tanh(c * s) ** 2, (), random)
        yield moment(f"sin({c:.2f} x + 1)", f"sin({c!r}*x + 1)", lambda s, c=c: np.sin(c * s + 1), (), random)
        yield moment(
            f"x sigmoid({c:.2f} x)", f"x*sigmoid({c!r}*x)", lambda s, c=c: s * expit(c * s), (), random
        )
        yield moment(f"erf({c:.2f} x) x", f"erf({c!r}*x)*x", lambda s, c=c: erf(c * s) * s, (), random)
        yield moment(f"exp(-{c:.2f} x^2)", f"exp(-{c!r}*x^2)", lambda s, c=c: np.exp(-c * s * s), (), random)
        yield moment(f"exp({c / 2:.2f} x)", f"exp({c / 2!r}*x)", lambda s, c=c: np.exp(c * s / 2), (), random)


def edges(random: np.random.Generator) -> Iterator[Case]:
    while True:
        c = random.uniform(-1.5, 1.5)
        yield moment(
            f"relu(x - {c:.2f})^2", f"relu(x - ({c!r}))^2", lambda s, c=c: max(s - c, 0) ** 2, (c,), random
        )
        yield moment(f"|x - {c:.2f}|", f"abs(x - ({c!r}))", lambda s, c=c: abs(s - c), (c,), random)
        yield moment(f"step(x - {c:.2f})", f"step(x - ({c!r}))", lambda s, c=c: float(s > c), (c,), random)
        yield moment(
            f"sign(x - {c:.2f}) x", f"sign(x - ({c!r}))*x", lambda s, c=c: np.sign(s - c) * s, (c,), random
        )
        yield moment(
            f"where(x > {c:.2f}, tanh(x), x/10)",
            f"where(x > ({c!r}), tanh(x), x/10)",
            lambda s, c=c: np.tanh(s) if s > c else s / 10,
            (c,),
            random,
        )


def heavy(random: np.random.Generator) -> Iterator[Case]:
    while True:
        c, p, a = random.uniform(1, 6), 2 * int(random.integers(2, 11)), random.uniform(0.1, 0.495)
        yield moment(f"exp({c:.2f} x)", f"exp({c!r}*x)", lambda s, c=c: np.exp(c * s), (), random)
        yield moment(f"x^{p}", f"x^{p}", lambda s, p=p: s**p, (), random)
        yield moment(f"exp({a:.3f} x^2)", f"exp({a!r}*x^2)", lambda s, a=a: np.exp(a * s * s), (), random)
        yield moment(
            f"cosh({c / 2:.2f} x)", f"cosh({c / 2!r}*x)", lambda s, c=c: np.cosh(c * s / 2), (), random
        )


def rare(random: np.random.Generator) -> Iterator[Case]:
    while True:
        c, scale = random.uniform(2.5, 6), 10 ** random.uniform(-6, 6)
        yield moment(
            f"{scale:.0e} step(x - {c:.2f})",
            f"{scale!r}*step(x - {c!r})",
            lambda s, c=c, scale=scale: scale * (s > c),
            (c,),
            random,
        )
        yield moment(f"relu(x - {c:.2f})", f"relu(x - {c!r})", lambda s, c=c: max(s - c, 0), (c,), random)
        yield moment(
            f"step(x - {c:.2f}) + tanh(x)^2",
            f"step(x - {c!r}) + tanh(x)^2",
            lambda s, c=c: float(s > c) + np.tanh(s) ** 2,
            (c,),
            random,
        )


def nets(random: np.random.Generator) -> Iterator[Case]:
    while True:
        steps, rate, activation = (
            int(random.integers(2, 9)),
            random.uniform(0.1, 2),
            random.choice(["tanh", "relu", "softplus"]),
        )
        text = (
            "width n\n"
            f"dim T = {steps}\n"
            "input xi[T], y[T]\n"
            "weight U : n x 1\n"
            "weight W : n x n\n"
            "weight V : 1 x n\n"
            f"network f(x) = V @ {activation}(W @ {activation}(U @ x))\n"
            "train f for t < T:\n"
            "    batch (xi[t], y[t])\n"
            "    loss mse\n"
            f"    update sgd(lr = {rate:.3f})\n"
            "output loss\n"
        )
        inputs = {"xi": random.uniform(-1.5, 1.5, steps), "y": random.choice([-1.0, 1.0], steps)}
        yield Case(
            f"{activation} net, {steps} steps, lr {rate:.2f}",
            text,
            inputs=inputs,
            samples=int(2 ** random.integers(9, 13)),
        )


def amp(random: np.random.Generator) -> Iterator[Case]:
    text = (ROOT / "programs" / "matrices" / "amp.tp").read_text()
    near = (
        "width n\n"
        "dim T = 20\n"
        "matrix A : n x n ~ N(0, 1/n)\n"
        "vector g : n ~ N(0, 1)\n"
        "x[0] = g\n"
        "m[0] = mean(x[0]^2)\n"
        "for t < T:\n"
        "    x[t+1] = tanh(1.1*(A @ x[t]) + {0}*g)\n"
        "    m[t+1] = mean(x[t+1]^2)\n"
        "output m[t] = m[t] for t < T + 1\n"
    )
    while True:
        steps = int(random.integers(4, 24))
        yield Case(f"amp, {steps} steps", text, {"T": steps}, samples=2048)
        h = random.uniform(0, 0.3)
        yield Case(f"recurrent, field {h:.2f}", near.format(f"{h:.3f}"), samples=2048)


KINDS = {"moments": moments, "edges": edges, "heavy": heavy, "rare": rare, "nets": nets, "amp": amp}


def score(case: Case, seeds: int, repeats: int | None = None) -> Score:
    """repeats: those of a run, or (None) as many as the plan takes by default."""
    program = tpc.parse(case.text, name=case.name, dims=dict(case.dims))
    evaluator = program.compile(method="nodes", samples=case.samples, repeats=repeats)
    if case.truth is None:
        fine = program.compile(method="nodes", samples=FINER * evaluator.plan.samples, repeats=8)(
            case.inputs, seed=10**6
        )
        truth = {name: (o.value, o.stderr) for name, o in fine.outputs.items()}
    else:
        truth = {
            name: (np.asarray(value), np.asarray(1e-10 * abs(value))) for name, value in case.truth.items()
        }
    z, silent = [], []
    for seed in range(seeds):
        result = evaluator(case.inputs, seed=seed)
        claim = np.concatenate(
            [np.ravel(np.hypot(o.stderr, truth[name][1])) for name, o in result.outputs.items()]
        )
        off = np.concatenate([np.ravel(o.value - truth[name][0]) for name, o in result.outputs.items()])
        size = np.concatenate([np.ravel(np.abs(truth[name][0])) for name in result.outputs])
        off = np.where(np.abs(off) <= 1e-12 * np.maximum(size, 1e-300), 0, off)  # rounding
        silent.append(np.isinf(claim))
        z.append(np.where(off == 0, 0, off / np.maximum(claim, 1e-300)))
    return Score.of(case.name, np.array(z), float(np.mean(silent)))


def cases(count: int, kinds: list[str], seed: int = 0) -> Iterator[Case]:
    """So many of all kinds in turns."""
    sources = [KINDS[kind](np.random.default_rng([seed, list(KINDS).index(kind)])) for kind in kinds]
    return islice((next(source) for _ in range(count) for source in sources), count)


def kept(rows: Path | None) -> dict[str, Score]:
    """The scores in a file, by their programs."""
    if rows is None or not rows.exists():
        return {}
    scores = (Score(**json.loads(line)) for line in rows.read_text(encoding="utf-8").splitlines())
    return {score.name: score for score in scores}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--programs", type=int, default=200)
    options.add_argument("--seeds", type=int, default=60)
    options.add_argument("--kinds", default=",".join(KINDS))
    options.add_argument("--repeats", type=int)
    options.add_argument("--rows", type=Path)
    chosen = options.parse_args()
    start, scores, done = time.process_time(), [], kept(chosen.rows)
    for k, case in enumerate(cases(chosen.programs, chosen.kinds.split(","))):
        name = f"{k} {case.name}"
        scores.append(done.get(name) or score(replace(case, name=name), chosen.seeds, chosen.repeats))
        if chosen.rows is not None and name not in done:
            with chosen.rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(scores[-1])) + "\n")
        print(scores[-1], flush=True)
    count = sum(s.seeds * s.entries for s in scores)
    weak = [s for s in scores if not s.right]
    print(
        f"{len(scores)} programs x {chosen.seeds} seeds, {time.process_time() - start:.0f} s: rms z "
        f"{(sum(s.rms**2 * s.seeds * s.entries for s in scores) / count) ** 0.5:.2f}, "
        f"max {max(s.most for s in scores):.2f}; {len(weak)} programs beyond {RMS} or {MOST:.0f}"
    )


if __name__ == "__main__":
    main()
