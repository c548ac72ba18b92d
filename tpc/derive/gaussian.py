"""Exact expectations of polynomials and some functions of jointly Gaussian variables.

They follow from Stein's lemma, which contains Isserlis'.

`E[g F] = Σ_j Cov(g, g_j) E ∂_j F` lowers the degree; a derivative of `sign` conditions on its argument being
0, one of `erf` tilts the Gaussian law by e^{−w²}: both leave a centred Gaussian law. What remains are
expectations of two signs (the arcsine law), of exponentials and of waves.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tpc.core.functions import elementwise

Number = Any  # an exact sympy number or expression
Matrix = tuple[tuple[Number, ...], ...]
Wave = tuple[str, tuple[Number, ...]]  # a function and the linear form of the Gaussians that it is applied to
STEPS = ("sign", "erf")
MAX_CALLS = 4000
MAX_OPERATIONS = 300


class NotClosed(Exception):  # noqa: N818
    """There is no closed form that this module knows, or it would be too large to read."""


def engine() -> Any:
    """sympy, loaded when first needed: deriving a limit does without."""
    import sympy

    return sympy


def tidy(x: Number) -> Number:
    """`x` with products multiplied out. Raises NotClosed where it grows past reading."""
    return x if x.is_Rational else multiplied_out(x)


@lru_cache(maxsize=1 << 12)  # a law is made of the same few numbers again and again
def multiplied_out(x: Number) -> Number:
    x = engine().expand(x)
    if x.count_ops() > MAX_OPERATIONS:
        raise NotClosed
    return x


class Moments:
    """Expectations under one budget, each found once."""

    def __init__(self) -> None:
        self.known: dict[tuple[Matrix, tuple[int, ...], tuple[Wave, ...]], Number] = {}
        self.calls = 0

    def moment(self, law: Matrix, powers: tuple[int, ...], functions: tuple[Wave, ...]) -> Number:
        """`E Π_i g_i^{powers_i} Π_k f_k(w_k·g)` for g centred Gaussian with covariance `law`."""
        key = (law, powers, functions)
        if key not in self.known:
            self.calls += 1
            if self.calls > MAX_CALLS:
                raise NotClosed
            self.known[key] = tidy(self._moment(law, powers, functions))
        return self.known[key]

    def _moment(self, law: Matrix, powers: tuple[int, ...], functions: tuple[Wave, ...]) -> Number:
        names = {name for name, _ in functions}
        signs = [elementwise(name).parity for name, _ in functions]
        if all(signs) and (sum(powers) + signs.count(-1)) % 2:
            return engine().Integer(0)
        if "tanh" in names:
            raise NotClosed
        if not any(powers):
            return without_powers(law, functions)
        i = next(i for i, p in enumerate(powers) if p)
        rest = lowered(powers, i)
        total = engine().Integer(0)
        for j, p in enumerate(rest):
            if p and law[i][j] != 0:
                total += p * law[i][j] * self.moment(law, lowered(rest, j), functions)
        for k, (name, w) in enumerate(functions):
            slope = tidy(sum((law[i][j] * c for j, c in enumerate(w)), start=engine().Integer(0)))
            if slope != 0:
                total += slope * self._derivative(law, rest, functions, k, name, w)
        return total

    def _derivative(
        self,
        law: Matrix,
        powers: tuple[int, ...],
        functions: tuple[Wave, ...],
        k: int,
        name: str,
        w: tuple[Number, ...],
    ) -> Number:
        """The expectation with the k-th function replaced by its derivative."""
        sy = engine()
        others = functions[:k] + functions[k + 1 :]
        match name:
            case "exp":
                return self.moment(law, powers, functions)
            case "sin":
                return self.moment(law, powers, (*functions[:k], ("cos", w), *functions[k + 1 :]))
            case "cos":
                return -self.moment(law, powers, (*functions[:k], ("sin", w), *functions[k + 1 :]))
        a = covariance(law, w, w)
        if name == "sign":
            return (
                sy.Integer(0)
                if a == 0
                else sy.sqrt(2 / sy.pi) / sy.sqrt(a) * self.moment(moved(law, w, 1 / a), powers, others)
            )
        return (
            2
            / sy.sqrt(sy.pi)
            / sy.sqrt(1 + 2 * a)
            * self.moment(moved(law, w, 2 / (1 + 2 * a)), powers, others)
        )


def lowered(powers: tuple[int, ...], i: int) -> tuple[int, ...]:
    return (*powers[:i], powers[i] - 1, *powers[i + 1 :])


def covariance(law: Matrix, v: tuple[Number, ...], w: tuple[Number, ...]) -> Number:
    return tidy(
        sum((a * law[i][j] * b for i, a in enumerate(v) for j, b in enumerate(w)), start=engine().Integer(0))
    )


def moved(law: Matrix, w: tuple[Number, ...], factor: Number) -> Matrix:
    """`Σ − factor·(Σw)(Σw)ᵀ`."""
    c = [tidy(sum((x * b for x, b in zip(row, w, strict=True)), start=engine().Integer(0))) for row in law]
    return tuple(
        tuple(tidy(x - factor * c[i] * c[j]) for j, x in enumerate(row)) for i, row in enumerate(law)
    )


def without_powers(law: Matrix, functions: tuple[Wave, ...]) -> Number:
    """`E Π_k f_k(w_k·g)`."""
    sy = engine()
    kept = []
    for name, w in functions:
        if covariance(law, w, w) != 0:
            kept.append((name, w))
        elif elementwise(name).parity == -1:
            return sy.Integer(0)
    steps = [(name, w) for name, w in kept if name in STEPS]
    waves = [(name, w) for name, w in kept if name in ("sin", "cos")]
    growth = tuple(map(sum, zip(*(w for name, w in kept if name == "exp"), strict=True)))
    if not steps:
        return exponential(law, growth, waves)
    if waves:
        raise NotClosed
    if growth and len(steps) == 1:
        ((name, w),) = steps
        return sy.exp(covariance(law, growth, growth) / 2) * sy.erf(
            covariance(law, growth, w) / sy.sqrt(2 * smoothed(law, name, w))
        )
    if growth or len(steps) != 2:
        raise NotClosed
    (f, v), (g, w) = steps
    return (
        2
        / sy.pi
        * sy.asin(sy.radsimp(covariance(law, v, w) / sy.sqrt(smoothed(law, f, v) * smoothed(law, g, w))))
    )


def smoothed(law: Matrix, name: str, w: tuple[Number, ...]) -> Number:
    """The variance of the argument; `erf(w)` is the mean of `sign(w + n)` with n of variance 1/2."""
    a = covariance(law, w, w)
    return a + engine().Rational(1, 2) if name == "erf" else a


def exponential(law: Matrix, growth: tuple[Number, ...], waves: list[Wave]) -> Number:
    """`E e^{L} Π sin or cos`, by sums of angles and `E e^L cos M = e^{(Var L − Var M)/2} cos Cov(L, M)`."""
    sy = engine()
    terms = [(sy.Integer(1), "cos", (sy.Integer(0),) * len(law))]
    for name, w in waves:
        terms = [term for c, f, v in terms for term in sum_of_angles(c, f, v, name, w)]
    total = sy.Integer(0)
    lift = covariance(law, growth, growth) if growth else sy.Integer(0)
    for c, f, v in terms:
        turn = covariance(law, growth, v) if growth else sy.Integer(0)
        total += (
            c * sy.exp((lift - covariance(law, v, v)) / 2) * (sy.cos(turn) if f == "cos" else sy.sin(turn))
        )
    return total


def sum_of_angles(
    c: Number, f: str, v: tuple[Number, ...], g: str, w: tuple[Number, ...]
) -> list[tuple[Number, str, tuple[Number, ...]]]:
    """`c f(v) g(w)` as waves of v−w and v+w."""
    minus, plus = (
        tuple(a - b for a, b in zip(v, w, strict=True)),
        tuple(a + b for a, b in zip(v, w, strict=True)),
    )
    half = c / 2
    if f == g:
        return [(half, "cos", minus), (half if f == "cos" else -half, "cos", plus)]
    return [(half, "sin", plus), (half if f == "sin" else -half, "sin", minus)]
