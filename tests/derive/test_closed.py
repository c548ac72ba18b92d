"""Closed forms against quadrature, and against theorems."""

import itertools
from typing import Any

import numpy as np
import pytest
import sympy
from scipy import special

import tpc
from tpc.core.expr import Value
from tpc.core.numeric import Namespace, evaluate
from tpc.core.program import Moment, Program
from tpc.derive import derive

from .programs import wishart

PAIR = """
width n
input rho = 1/3
vector (a, b) : n ~ N([0, 0], [[2, rho], [rho, 1]])
output m = mean({body})
"""
LAW = np.array([[2, 1 / 3], [1 / 3, 1]])
SMOOTH = ("erf(a)", "sin(b)", "cos(a)", "exp(b/2)", "gelu(a)", "a^2*b", "erf(a - b)")
KINKED = ("relu(a)", "step(b)", "sign(a)", "abs(b)", "relu(a - 2*b)", "max(a, b)", "min(a, 2*b)")
ODD = ("tanh(a)*b^2", "tanh(a + b)", "sin(a)*b^2*abs(a)", "sigmoid(a) - 1/2")


PRODUCTS = [
    *itertools.combinations(("erf(a)", "gelu(a)", "relu(a)", "step(b)", "sign(a)", "abs(b)"), 2),
    *itertools.combinations(("sin(b)", "cos(a)", "exp(b/2)"), 2),
    ("exp(b/2)", "step(a)"),
    ("exp(a)", "relu(b)"),
    ("exp(b)*a", "erf(b)"),
]


def test_inputs_are_real_numbers() -> None:
    """Of either sign: a root of a square is the size."""
    head = "width n\ninput rho\nvector u : n ~ N(0, 1)\n"
    limit = tpc.parse(
        f"{head}output r = sqrt(mean((rho*u)^2))\noutput s = mean(u*abs(rho)*rho^2*u)\n"
    ).derive()
    (rho,) = limit.closed["r"].free_symbols
    assert limit.closed["r"] == sympy.sqrt(rho**2) == sympy.Abs(rho)
    assert str(limit.closed["s"].subs(rho, sympy.Symbol("x", negative=True))) == "-x**3"


def numeric(program: Program, nodes: int = 40, angles: int = 100_000) -> float:
    """The mean in `program` by polar quadrature: kinks lie on rays from the origin, where trapezoids in a
    fine angle are good."""
    x, weights = np.polynomial.legendre.leggauss(nodes)
    r, angle = 6 * (x + 1), (np.arange(angles) + 0.5) * 2 * np.pi / angles
    points = np.linalg.cholesky(LAW) @ np.stack(
        [np.outer(r, np.cos(angle)).ravel(), np.outer(r, np.sin(angle)).ravel()]
    )
    w = np.outer(6 * weights * r * np.exp(-(r**2) / 2), np.full(angles, 1 / angles)).ravel()
    values = dict(zip("ab", points, strict=True))
    moment = program.body[-1]
    assert isinstance(moment, Moment)
    return float(
        w
        @ evaluate(
            moment.phi,
            lambda node: values[node.ref.name] if isinstance(node, Value) else None,
            Namespace(np, special),
        )
    )


@pytest.mark.parametrize("body", [*SMOOTH, *KINKED, *ODD, *(f"({x})*({y})" for x, y in PRODUCTS)])
def test_closed_forms_agree_with_quadrature(body: str) -> None:
    program = tpc.parse(PAIR.format(body=body))
    value = derive(program).closed["m"]
    assert value is not None, "no closed form was found"
    found = float(value.subs({symbol: sympy.Rational(1, 3) for symbol in value.free_symbols}))
    assert found == pytest.approx(numeric(program), abs=2e-5)


@pytest.mark.parametrize(
    "body",
    ["a*tanh(a)", "softplus(a)", "sign(a)*sin(b)", "relu(relu(a) - b)", "where(a < b, a, 1)", "log(1 + a^2)"],
)
def test_what_has_no_closed_form_stays(body: str) -> None:
    found = derive(tpc.parse(PAIR.format(body=body)))
    assert found.closed["m"] is None
    assert "m̊ = E[" in str(found)


@pytest.mark.parametrize(("k", "catalan"), [(1, 1), (2, 2), (3, 5), (4, 14), (5, 42), (6, 132)])
def test_tp3_wishart_moments_are_catalan(k: int, catalan: int) -> None:
    assert derive(tpc.parse(wishart(k))).closed["m"] == catalan


def test_tp3_moments_with_a_ratio_are_narayana() -> None:
    """E v·(AᵀA)^k v/m for A n×m of variance 1/m and n/m = r: Σ_i N(k, i) r^i."""
    lines, last = [], "v"
    for i in range(4):
        lines += [f"y{i} = A @ {last}", f"z{i} = A.T @ y{i}", f"output m{i + 1} = mean(v*z{i})"]
        last = f"z{i}"
    head = "width m\ninput r = 2\nwidth n = r*m\nmatrix A : n x m ~ N(0, 1/m)\nvector v : m ~ N(0, 1)\n"
    closed = derive(tpc.parse(head + "\n".join(lines))).closed
    assert [str(closed[f"m{k}"]) for k in (1, 2, 3, 4)] == [
        "r",
        "r**2 + r",
        "r**3 + 3*r**2 + r",
        "r**4 + 6*r**3 + 6*r**2 + r",
    ]


def test_tp3_semicircle_moments_are_catalan_or_zero() -> None:
    """(A + Aᵀ)/√2."""
    lines, last = [], "v"
    for i in range(6):
        lines += [
            f"p{i} = A @ {last}",
            f"q{i} = A.T @ {last}",
            f"x{i} = (p{i} + q{i})/sqrt(2)",
            f"output m{i + 1} = mean(v*x{i})",
        ]
        last = f"x{i}"
    closed = derive(
        tpc.parse("width n\nmatrix A : n x n ~ N(0, 1/n)\nvector v : n ~ N(0, 1)\n" + "\n".join(lines))
    ).closed
    assert [closed[f"m{k}"] for k in range(1, 7)] == [0, 1, 0, 2, 0, 5]


def test_arc_cosine_kernel_of_two_layers() -> None:
    """NNGP of a relu network with σ_w² = 2: the arc-cosine recursion."""
    text = """
    width n
    matrix W : n x n ~ N(0, 2/n)
    vector (a, b) : n ~ N([0, 0], [[1, 1/2], [1/2, 1]])
    x = W @ relu(a)
    y = W @ relu(b)
    output k = 2*mean(relu(x)*relu(y))
    """.replace("\n    ", "\n")

    def kernel(c: float) -> float:
        return (np.sqrt(1 - c**2) + c * (np.pi - np.arccos(c))) / np.pi

    assert float(derive(tpc.parse(text)).closed["k"]) == pytest.approx(kernel(kernel(0.5)), abs=1e-12)


def test_scalars_of_scalars_and_means() -> None:
    text = (
        "width n\n"
        "input c = 2\n"
        "vector v : n ~ N(c, 3)\n"
        "s = mean(v^2)\n"
        "t = s/(1 + s)\n"
        "w = v - mean(v)\n"
        "q = mean(w^4)"
    )
    found = derive(tpc.parse(text))
    assert str(found.closed["s"]) == "c**2 + 3"
    assert found.closed["q"] == 27
    assert str(found["q"]).splitlines()[0].startswith("q̊ = E[(Z^w)^4] = 27")


@pytest.mark.parametrize(
    ("body", "form"),
    [
        ("abs(W @ (W @ u))", lambda s: s * sympy.sqrt(2 / sympy.pi)),
        ("relu(W @ (W @ u))^2", lambda s: s**2 / 2),
    ],
)
def test_what_is_a_variance_is_known_to_be_positive(body: str, form: Any) -> None:
    """`sqrt(s^2)` is s, and so it is written."""
    text = (
        f"width n\ninput s\nvector u : n ~ N(0, 1)\nmatrix W : n x n ~ N(0, s/n)\noutput m = mean({body})\n"
    )
    value = derive(tpc.parse(text)).closed["m"]
    (s,) = value.free_symbols
    assert value - form(s) == 0


@pytest.mark.parametrize(("mean", "power"), [("u", 0), ("u^2", 1), ("u^2 + v^2", 2)])
def test_a_power_by_a_mean_is_one_by_its_limit(mean: str, power: int) -> None:
    text = "width n\nvector u : n ~ N(0, 1)\nvector v : n ~ N(0, 1)\n"
    found = derive(tpc.parse(f"{text}c = mean({mean})\noutput m = mean((2 + u^2)^c)\n")).closed["m"]
    assert found == (1, 3, 11)[power]  # E (2 + u²)² = 4 + 4 + 3


def test_a_step_is_one_half_at_0() -> None:
    program = tpc.parse("width n\ninput k = 0\nvector u : n ~ N(0, 1)\noutput q = mean(step(k)*u^2)\n")
    closed = derive(program).closed["q"]
    values = [float(closed.subs(dict.fromkeys(closed.free_symbols, at))) for at in (-1, 0, 1)]
    assert values == [float(program.compile()({"k": at})["q"].value) for at in (-1, 0, 1)] == [0, 1 / 2, 1]


def test_chains_that_are_deeper_than_what_may_wait_have_closed_forms() -> None:
    chain = "\n".join(f"x{k + 1} = x{k} + c*v" for k in range(100))
    text = f"width n\ninput c = 1\nvector v : n ~ N(0, 1)\nx0 = v\n{chain}\noutput m = mean(x100^2)\n"
    assert str(derive(tpc.parse(text)).closed["m"]) == "10000*c**2 + 200*c + 1"


def test_products_of_some_hundred_terms_have_closed_forms() -> None:
    program = tpc.parse(PAIR.format(body="(1 + a + b)^5*(1 + a - b)^5").replace("rho = 1/3", "rho = 0"))
    x, weights = np.polynomial.hermite_e.hermegauss(8)
    a, b = np.meshgrid(np.sqrt(2) * x, x)
    exact = np.sum(np.outer(weights, weights) * (1 + a + b) ** 5 * (1 + a - b) ** 5) / (2 * np.pi)
    closed = derive(program).closed["m"]
    assert float(closed.subs(dict.fromkeys(closed.free_symbols, 0))) == pytest.approx(exact, rel=1e-12)


def test_large_expressions_are_given_up_in_time() -> None:
    body = "*".join(f"(1 + a + {k}*b + a*b)" for k in range(2, 30))
    assert derive(tpc.parse(PAIR.format(body=body))).closed["m"] is None


def test_of_members_that_inputs_choose_only_what_is_certain_is_known() -> None:
    head = "width n\ninput j[t < 2] : index(3)\nvector u[k < 3] : n ~ N(0, 1 + k)\nvector v : n ~ N(0, 1)\n"
    for body, expected in {
        "u[j[0]]*u[j[1]]": None,
        "u[j[0]]*u[2]": None,
        "u[j[0]]*v": 0,
        "u[0]*u[2]": 0,
        "v*v": 1,
    }.items():
        assert derive(tpc.parse(f"{head}output c = mean({body})\n")).closed["c"] == expected
    one = derive(tpc.parse(f"{head}output c = mean(u[j[0]]^2)\n"))
    assert "1 + j[0]" in str(one) or "j[0] + 1" in str(one)
