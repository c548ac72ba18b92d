"""Means that do not exist get no finite error; those that do, get theirs."""

import os

import numpy as np
import pytest
from scipy import integrate, special

import tpc
from tpc.diagnostics.diagnostic import TpcError

HEAD = "width n\nvector u : n ~ N(0, 1)\nvector v : n ~ N(0, 1)\n"
COUNT = int(os.environ.get("TPC_MEANS", "12"))  # programs of each kind
PLACES = [
    "u",
    "u - 1/2",
    "1 - u",
    "u + 2",
    "3*u - 1",
    "u - v",
    "u + v/2 - 1",
    "tanh(u)",
    "sin(u)",
    "exp(u) - 1",
]
BESIDE = ["", "v*", "(1 + u^2)*", "exp(v/2)*", "sigmoid(u)*", "cos(v)*"]
# by what is integrated over one Gaussian
EXIST = [
    ("abs(u - {c})^(-{p})", lambda u, c, p: abs(u - c) ** -p),
    ("log(abs(u - {c}))^2*{p}", lambda u, c, p: np.log(abs(u - c)) ** 2 * p),
    ("1/({p} + (u - {c})^2)", lambda u, c, p: 1 / (p + (u - c) ** 2)),
    ("tanh({p}*u)/u + {c}", lambda u, c, p: np.tanh(p * u) / u + c),
    ("u/(u^2 + {p}) - {c}", lambda u, c, p: u / (u**2 + p) - c),
    ("(u - {c})^2/(cosh(u) - {p})", lambda u, c, p: (u - c) ** 2 / (np.cosh(u) - p)),
    ("(exp({p}*u) - 1)/u*{c}", lambda u, c, p: np.expm1(p * u) / u * c),
]


def without_mean(seed):
    """A quotient by what is 0 on a line of the plane, where what is beside it is not."""
    rng = np.random.default_rng(seed)
    place, power = rng.choice(PLACES), rng.choice(["1", "1", "1", "2", "3/2", "3"])
    base = f"abs({place})" if power == "3/2" else f"({place})"
    return f"{rng.choice(BESIDE)}{base}^(-{power})"


@pytest.mark.parametrize("seed", range(COUNT))
def test_what_has_no_mean_has_no_finite_error(seed):
    text = without_mean(seed)
    program = tpc.parse(f"{HEAD}output a = mean({text})\n")
    try:
        claimed = program.compile()()["a"].stderr
    except TpcError as error:
        claimed = np.inf if "need not exist" in str(error) else str(error)
    assert claimed == np.inf, text


@pytest.mark.parametrize("method", ["auto", "nodes"])
@pytest.mark.parametrize("seed", range(COUNT))
def test_what_has_a_mean_has_its_error(seed, method):
    rng = np.random.default_rng(seed)
    form, f = EXIST[seed % len(EXIST)]
    c, p = rng.choice([0.0, 0.5, -1.0, 2.0]), rng.choice([0.25, 0.5])
    cuts = sorted({0.0, c})
    parts = [
        integrate.quad(lambda u: f(u, c, p) * np.exp(-u * u / 2) / np.sqrt(2 * np.pi), a, b, limit=400)[0]
        for a, b in zip([-12, *cuts], [*cuts, 12], strict=True)
    ]
    found = tpc.parse(f"{HEAD}output a = mean({form.format(c=c, p=p)})\n").compile(method=method)()["a"]
    error = 0.0 if found.stderr is None else float(found.stderr)
    assert error < 0.02, form
    assert abs(float(found.value) - sum(parts)) < 5 * error + 1e-6, (form, c, p)


def test_singular_in_a_point_of_the_plane():
    """Whose mean exists, though not that over one of the Gaussians at the other one's 0."""
    found = tpc.parse(f"{HEAD}output a = mean((u^2 + v^2)^(-1/2))\n").compile()()["a"]
    assert abs(found.value - special.gamma(0.5) / 2**0.5) < 5 * found.stderr < 1e-5


def test_nothing_is_judged_of_what_has_no_error():
    program = tpc.parse(f"{HEAD}output a = mean(1/u)\noutput b = mean(u^2)\n")
    report = tpc.verify(program.compile()().limits, [program.simulate(width=n, seeds=4) for n in (32, 64)])
    assert "of `a` nothing can be judged" in report.title
    assert "nothing can be judged: the limit has no finite error" in str(report)
    assert report.to_json()["outputs"]["a"]["judged"] is False
    assert report.to_json()["outputs"]["b"]["judged"] is True
