"""NNGP and NTK of perceptrons with two hidden layers at every norm, against integrals of our own.

    python -m tests.bench.kernel_norms [--functions tanh selu …] [--norms 1e-3 … 1e4]

The truth of every entry is a two-dimensional integral by panels of Gauss and Legendre's rule, which are cut
where a function bends and get shorter, by halves, towards these places; once more with twice the panels says
how well it is known. An entry passes if it is within 1e-8 of √(K(x, x)·K(z, z)), or within its claim.
"""

from __future__ import annotations

import argparse
import re
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import expit

import tpc

Values = np.ndarray
ANGLES = (0.0, 1e-4, 0.3, 1.2, 2.9, np.pi)
CLOSE = 1e-8
ALPHA, SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
TEXT = """width n
weight U : n x 2
weight W : n x n
weight V : 1 x n
network f(x):
    g = U @ x
    h = W @ ({of_g})
    return V @ ({of_h})
"""


@dataclass(frozen=True)
class Activation:
    """A function of h with its derivative, and the places near which either changes quickly."""

    text: str
    value: Callable[[Values], Values]
    slope: Callable[[Values], Values]
    places: tuple[float, ...] = (0.0,)


def below(u: Values) -> Values:
    return np.exp(np.minimum(u, 0.0))


ACTIVATIONS = {
    "tanh": Activation("tanh(h)", np.tanh, lambda u: 1 / np.cosh(np.clip(u, -350, 350)) ** 2),
    "sigmoid": Activation("sigmoid(h)", expit, lambda u: expit(u) * expit(-u)),
    "softplus": Activation("softplus(h)", partial(np.logaddexp, 0.0), expit),
    "elu": Activation(
        "max(h, 0) + exp(min(h, 0)) - 1",
        lambda u: np.where(u > 0, u, below(u) - 1),
        lambda u: np.where(u > 0, 1.0, below(u)),
    ),
    "selu": Activation(
        f"{SCALE}*(max(h, 0) + {ALPHA}*(exp(min(h, 0)) - 1))",
        lambda u: SCALE * np.where(u > 0, u, ALPHA * np.expm1(np.minimum(u, 0.0))),
        lambda u: SCALE * np.where(u > 0, 1.0, ALPHA * below(u)),
    ),
    "hardtanh": Activation(
        "max(min(h, 1), -1)", partial(np.clip, a_min=-1, a_max=1), lambda u: (abs(u) < 1) * 1.0, (-1.0, 1.0)
    ),
}


def rule(cuts: Values, order: int) -> tuple[Values, Values]:
    """Points and weights of panels between rows of cuts, [..., panels·order]."""
    x, w = np.polynomial.legendre.leggauss(order)
    left, right = cuts[..., :-1, None], cuts[..., 1:, None]
    points = (left + right) / 2 + (right - left) / 2 * x
    weights = (right - left) / 2 * w
    return points.reshape(*cuts.shape[:-1], -1), weights.reshape(*cuts.shape[:-1], -1)


def panels(centre: Values, sd: float, places: Sequence[float], finest: int) -> Values:
    """Cuts of [-10, 10] for t of a function of centre + sd·t, halved towards every place."""
    steps = np.concatenate([-(2.0 ** np.arange(4, -finest, -1)), [0], 2.0 ** np.arange(-finest + 1, 5)])
    at = (np.asarray(places) - centre[..., None]) / max(sd, 1e-300)
    near = (at[..., None] + steps).reshape(*centre.shape, -1)
    fixed = np.broadcast_to(np.arange(-10.0, 10.5, 1.0), (*centre.shape, 21))
    return np.sort(np.clip(np.concatenate([near, fixed], axis=-1), -10, 10), axis=-1)


def gauss(t: Values) -> Values:
    return np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi)


def mean_of_product(f: Callable[[Values], Values], places: tuple[float, ...], k: Values, order: int) -> float:
    """E f(u) f(v), (u, v) ~ N(0, k)."""
    a, b = np.sqrt(k[0, 0]), np.sqrt(k[1, 1])
    c = np.clip(k[0, 1] / (a * b), -1, 1)
    rest = b * np.sqrt(max((1 - c) * (1 + c), 0.0))
    finest = 24
    of_first = [p / a for p in places] + ([p / (b * c) for p in places] if abs(c) > 1e-8 else [])
    t, w = rule(panels(np.zeros(()), 1.0, of_first, finest), order)
    if rest < 1e-14 * b:
        inner = f(b * c * t)
    else:
        s, ws = rule(panels(b * c * t, rest, places, finest), order)
        inner = np.sum(ws * gauss(s) * f((b * c * t)[:, None] + rest * s), axis=-1)
    return float(np.sum(w * gauss(t) * f(a * t) * inner))


def truth(one: Activation, x: Values, z: Values, order: int) -> tuple[float, float]:
    """The NNGP and the NTK of a pair of inputs."""
    k = np.array([[x @ x, x @ z], [z @ x, z @ z]])
    theta = k[0, 1]
    for _ in range(2):
        slopes = mean_of_product(one.slope, one.places, k, order)
        mean = partial(mean_of_product, one.value, one.places, order=order)
        own = [mean(np.full((2, 2), k[i, i])) for i in range(2)]
        off = mean(k)
        k = np.array([[own[0], off], [off, own[1]]])
        theta = off + slopes * theta
    return k[0, 1], theta


def rows(name: str, norms: Sequence[float]) -> list[str]:
    """A line for each norm of the first input, the others having all norms and angles: how far off it is."""
    one = ACTIVATIONS[name]
    of_g = re.sub(r"\bh\b", "g", one.text)
    found = tpc.parse(TEXT.format(of_g=of_g, of_h=one.text)).kernels()
    others = np.array([[r * np.cos(a), r * np.sin(a)] for r in norms for a in ANGLES])
    lines = []
    for norm in norms:
        x = np.array([[norm, 0.0]])
        start = time.perf_counter()
        pairs = found.with_errors(x, others)
        seconds = time.perf_counter() - start
        wanted = np.array([truth(one, x[0], z, 12) for z in others])
        known = abs(wanted - np.array([truth(one, x[0], z, 10) for z in others]))
        text = []
        for k, kernel in enumerate((found.nngp, found.ntk)):
            value, error = pairs[k]
            claims = np.zeros_like(value) if error is None else error
            scale = np.sqrt(np.outer(kernel.diagonal(x), kernel.diagonal(others)))[0]
            off, claim, doubt = (v / scale for v in (abs(value[0] - wanted[:, k]), claims[0], known[:, k]))
            bad = np.flatnonzero(off > np.maximum(CLOSE, claim) + doubt)
            text.append(f"{off.max():8.1e} claimed {claim[off.argmax()]:8.1e} known to {doubt.max():8.1e}")
            text += [f"BAD at {others[j]}: off {off[j]:.1e}, claim {claim[j]:.1e}" for j in bad]
        lines.append(f"{name:9s} |x| = {norm:8.0e}  {'   '.join(text)}   {seconds:.1f} s")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--functions", nargs="+", choices=ACTIVATIONS, default=list(ACTIVATIONS))
    parser.add_argument("--norms", nargs="+", type=float, default=[10.0**k for k in range(-3, 5)])
    options = parser.parse_args()
    warnings.simplefilter("ignore", tpc.KernelWarning)
    bad = 0
    for name in options.functions:
        for line in rows(name, options.norms):
            print(line, flush=True)
            bad += "BAD" in line
    print("all within 1e-8 or their claims" if not bad else f"{bad} lines with entries off")
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main())
