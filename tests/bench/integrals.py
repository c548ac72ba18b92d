"""Random functions of one Gaussian and of two with their means, for `tests/gram/integrals.json`.

    python -m tests.bench.integrals --one 420 --two 80 [--file tests/gram/integrals.json]

What the file has stays, and is followed by as many new ones as are lacking, written as they are found. Means
over one Gaussian are from mpmath, with 30 digits; over two, from panels of Gauss and Legendre's rule that get
shorter by halves towards every line where a function changes quickly, taken if two orders agree.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
from scipy.special import erf, expit, ndtr

from tests.bench.kernel_norms import gauss, panels, rule

FILE = Path(__file__).parents[1] / "gram" / "integrals.json"
SCALES = (1e-4, 1e-3, 1e-2, 0.1, 0.5, 1, 2, 3, 5, 10, 30, 100, 1e3, 1e4)
SHIFTS = (0, 0, 0.3, 0.5, 2, -1, -2.5)
KNOWN = 1e-14
DIGITS = 30


@dataclass(frozen=True)
class Function:
    """A function of a number, as text of the language, in NumPy and in mpmath; `cusps`: where it bends, jumps
    or is infinite."""

    text: str
    values: Callable[[np.ndarray], np.ndarray]
    exact: Callable[[Any], Any]
    cusps: tuple[float, ...] = ()


def above(x: Any, at: Any, below: Any) -> Any:
    return at if x > 0 else below


FUNCTIONS = [
    Function("tanh({})", np.tanh, mp.tanh),
    Function("tanh'({})", lambda x: np.cosh(np.clip(x, -350, 350)) ** -2.0, lambda x: mp.sech(x) ** 2),
    Function("erf({})", erf, mp.erf),
    Function("sigmoid({})", expit, lambda x: 1 / (1 + mp.exp(-x))),
    Function(
        "softplus({})",
        lambda x: np.logaddexp(x, 0),
        lambda x: mp.log1p(mp.exp(-abs(x))) + (x if x > 0 else 0),
    ),
    Function("gelu({})", lambda x: x * ndtr(x), lambda x: x * mp.ncdf(x)),
    Function("exp(-({})^2)", lambda x: np.exp(-(x**2)), lambda x: mp.exp(-(x**2))),
    Function("1/(1 + ({})^2)", lambda x: 1 / (1 + x**2), lambda x: 1 / (1 + x**2)),
    Function("relu({})", lambda x: np.maximum(x, 0), lambda x: above(x, x, 0), (0,)),
    Function("abs({})", np.abs, abs, (0,)),
    Function("step({})", lambda x: (x > 0) * 1.0, lambda x: above(x, 1, 0), (0,)),
    Function("sign({})", np.sign, mp.sign, (0,)),
    Function("cos(relu({}))", lambda x: np.cos(np.maximum(x, 0)), lambda x: mp.cos(above(x, x, 0)), (0,)),
    Function("({0})/(1 + abs({0}))", lambda x: x / (1 + np.abs(x)), lambda x: x / (1 + abs(x)), (0,)),
    Function(
        "where({0} > 0, {0}, exp({0}) - 1)",
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        lambda x: x if x > 0 else mp.expm1(x),
        (0,),
    ),
    Function("max(min({}, 1), -1)", lambda x: np.clip(x, -1, 1), lambda x: min(max(x, -1), 1), (-1, 1)),
]
# its mean needs a singularity to be cut out, which two dimensions' panels do not do
LOGARITHM = Function(
    "log(abs({}))", lambda x: np.log(np.abs(x)), lambda x: mp.log(abs(x)) if x else mp.mpf(0), (0,)
)


@dataclass(frozen=True)
class Factor:
    """A function of scale·(a·u + b·v + shift)."""

    function: Function
    scale: float
    shift: float
    a: float = 0.0
    b: float = 1.0

    @property
    def text(self) -> str:
        sides = {(1, 0): "u", (0, 1): "v", (1, 1): "u + v", (1, -1): "u - v", (1, 0.5): "u + v/2"}
        shift = f" {'+' if self.shift > 0 else '-'} {abs(self.shift):g}" if self.shift else ""
        inside = f"({self.scale!r})*({sides[self.a, self.b]}{shift})"
        return f"({self.function.text.format(inside)})"

    def at(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return self.function.values(self.scale * (self.a * u + self.b * v + self.shift))

    def exact(self, v: Any) -> Any:
        return self.function.exact(mp.mpf(self.scale) * (v + mp.mpf(str(self.shift))))


def factor(random: np.random.Generator, functions: Sequence[Function], lines: bool) -> Factor:
    """A random one; of one Gaussian, or of a linear combination of two."""
    a, b = ((1, 0), (0, 1), (1, 1), (1, -1), (1, 0.5))[random.integers(5)] if lines else (0, 1)
    return Factor(
        functions[random.integers(len(functions))],
        float(random.choice(SCALES) * random.choice([-1, 1])),
        float(random.choice(SHIFTS)),
        float(a),
        float(b),
    )


def of_one(random: np.random.Generator) -> dict[str, Any]:
    """A product of one to three times a power and an exponential, or a sum of two or three."""
    factors = [factor(random, [*FUNCTIONS, LOGARITHM], False) for _ in range(random.integers(1, 4))]
    power, rate = int(random.choice([0, 0, 1, 2, 3])), float(random.choice([0, 0, 0.5, 1, 2, -3]))
    added = len(factors) > 1 and random.random() < 0.2
    if added:
        text = " + ".join(f.text for f in factors)
    else:
        text = "*".join([*(f.text for f in factors), f"v^{power}" if power else "1"])
        text += f"*exp({rate:g}*v)" if rate else ""
    with mp.workdps(DIGITS + 10):

        def integrand(v: Any) -> Any:
            parts = [f.exact(v) for f in factors]
            whole = mp.fsum(parts) if added else mp.fprod(parts) * v**power * mp.exp(rate * v)
            return whole * mp.npdf(v)

        value, error = mp.quad(integrand, cuts_of_one(factors, rate), error=True, maxdegree=9)
        if error > 1e-18 * max(abs(value), mp.mpf("1e-12")):
            raise ArithmeticError(f"{text}: {value} ± {error}")
        # of what is 0 by symmetry the digits' rounding is left
        return {"f": text, "value": float(value) if abs(value) > 10.0**-DIGITS else 0.0}


def cuts_of_one(factors: Sequence[Factor], rate: float) -> list[Any]:
    """Where to cut the line: at cusps, and towards the centre of every function by its width."""
    ends = (min(-16.0, rate - 16), max(16.0, rate + 16))  # beyond, the density is below 1e-55
    cuts = {mp.mpf(x) for x in (*ends, *range(-15, 16, 3))}
    for f in factors:
        centre, width = -mp.mpf(str(f.shift)), 1 / abs(mp.mpf(f.scale))
        cuts |= {centre + mp.mpf(c) / mp.mpf(f.scale) for c in f.function.cusps} | {centre}
        for k in range(-1, 12):
            if width * 4**k < 8:
                cuts |= {centre + width * 4**k, centre - width * 4**k}
    return sorted(c for c in cuts if ends[0] <= c <= ends[1])


def of_two(random: np.random.Generator) -> dict[str, Any]:
    """A product of two or three functions of u, v and sums of them."""
    factors = [factor(random, FUNCTIONS, True) for _ in range(random.integers(2, 4))]
    sd_u, sd_v = random.choice([0.5, 1, 2]), random.choice([1e-3, 0.5, 1, 2])
    c = float(random.choice([0, 0.2, 0.5, 0.9, -0.5, -0.9, 0.999, -0.999999, 1 - 1e-12]))
    covariance = [float(f"{x:.14g}") for x in (sd_u**2, c * sd_u * sd_v, sd_v**2)]
    fine, coarse = (mean_of_two(factors, covariance, order) for order in (14, 10))
    if max(abs(fine - coarse)) > KNOWN * fine[1]:
        raise ArithmeticError("two orders do not agree")
    text = "*".join(f.text for f in factors)
    return {"f": text, "value": float(fine[0]), "size": float(fine[1]), "covariance": covariance}


def mean_of_two(factors: Sequence[Factor], covariance: Sequence[float], order: int) -> np.ndarray:
    """The mean, and that of sizes."""
    sd_u, slope = covariance[0] ** 0.5, covariance[1] / covariance[0]
    q, c, r = (Fraction(str(x)) for x in covariance)  # what is left of v may be the last digits
    rest = float(r - c * c / q) ** 0.5
    lines = [(f, c) for f in factors for c in ({0.0, *f.function.cusps})]
    offsets = {(f.a, f.b, f.shift - c / f.scale) for f, c in lines}
    along = [-s / (a + b * slope) / sd_u for a, b, s in offsets if abs(a + b * slope) > 1e-9]
    for (a, b, s), (p, q, r) in combinations(sorted(offsets), 2):
        if abs(a * q - b * p) > 1e-9:
            along.append((b * r - q * s) / (a * q - b * p) / sd_u)
    places = sorted({round(x, 12) for x in along if abs(x) < 12})
    t, w = rule(panels(np.zeros(()), 1.0, places or [0.0], 22), order)
    total = np.zeros(2)
    for u, weight in zip(np.array_split(sd_u * t, 200), np.array_split(w * gauss(t), 200), strict=True):
        total += inner(factors, offsets, u, weight, slope, rest, order)
    return total


def inner(
    factors: Sequence[Factor],
    offsets: set[tuple[float, float, float]],
    u: np.ndarray,
    weight: np.ndarray,
    slope: float,
    rest: float,
    order: int,
) -> np.ndarray:
    """The part of the mean, and of that of sizes, with these values of u."""
    steps = np.concatenate([-(2.0 ** np.arange(4, -22, -1)), [0], 2.0 ** np.arange(-21, 5)])
    near = [
        (-(s + a * u) / b - slope * u)[:, None] / max(rest, 1e-300) + steps for a, b, s in offsets if b != 0
    ]
    fixed = np.broadcast_to(np.arange(-10.0, 10.5, 1.0), (len(u), 21))
    s, ws = rule(np.sort(np.clip(np.concatenate([*near, fixed], axis=1), -10, 10), axis=1), order)
    v = slope * u[:, None] + rest * s
    values = np.prod([f.at(u[:, None], v) for f in factors], axis=0)
    own = weight[:, None] * ws * gauss(s)
    return np.array([np.sum(own * values), np.sum(own * np.abs(values))])


def more(make: Callable[[np.random.Generator], dict[str, Any]], begin: int, count: int) -> Iterator[Any]:
    """So many whose means are found, each from a seed of its own."""
    made, seed = 0, begin
    while made < count:
        seed += 1
        try:
            found = make(np.random.default_rng([1, seed]))
        except ArithmeticError as error:
            print(f"{seed}: left out, {error}", flush=True)
            continue
        made += 1
        yield found


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--one", type=int, default=420)
    options.add_argument("--two", type=int, default=80)
    options.add_argument("--file", type=Path, default=FILE)
    chosen = options.parse_args()
    cases = json.loads(chosen.file.read_text(encoding="utf-8")) if chosen.file.exists() else []
    for two, make, wanted in ((False, of_one, chosen.one), (True, of_two, chosen.two)):
        there = sum(("covariance" in case) == two for case in cases)
        for found in more(make, 1000 * two, wanted - there):
            cases.append(found)
            lines = ",\n".join(json.dumps(case) for case in cases)
            chosen.file.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
