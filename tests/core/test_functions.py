"""The table of functions: its facts are true, and adding one to it is all that a new function takes."""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.special
import sympy

import tpc
from tests.values import values_only
from tpc.core.elementwise import Elementwise
from tpc.core.expr import HALF, ONE, Number, Ref, Value, add, call, divide, mul, number, power
from tpc.core.functions import FUNCTIONS, INTERNAL, PI
from tpc.core.numeric import Namespace, evaluate
from tpc.derive.to_sympy import apply

NUMPY = Namespace(np, scipy.special)
ALL = {**FUNCTIONS, **INTERNAL}
PLAIN = sorted(set(ALL) - {"where"})
ARGUMENTS = [Value(Ref(str(k)), True) for k in range(2)]


def at(name, *args):
    return np.asarray(ALL[name].array(NUMPY, *args), dtype=float)


def points(name):
    """Arguments at which the function is defined, none of them 0."""
    r = np.random.default_rng(1)
    x = r.normal(0, 2, (ALL[name].arguments, 200))
    return np.abs(x) if ALL[name].growth == "local" else x


@pytest.mark.parametrize("name", PLAIN)
def test_facts(name):
    f, x = ALL[name], points(name)
    y = at(name, *x)
    if f.parity:
        assert np.allclose(at(name, *-x), f.parity * y)
    elif f.growth != "local":
        assert not np.allclose(np.abs(at(name, *-x)), np.abs(y))
    if f.degree is None:
        ratio = at(name, *(4 * x)) / y
        assert not np.allclose(ratio, ratio[0])
    else:
        assert np.allclose(at(name, *(4 * x)), 4.0**f.degree * y)
    far = at(name, *(1e3 * x)) if f.growth != "exponential" else at(name, *(50 * x))
    assert f.bounded == bool(np.all(np.abs(far) <= 1)) or f.growth == "local"
    assert {
        "positive": np.all(y > 0),
        "not negative": np.all(y >= 0),
        "of its argument": np.all(np.sign(y) == np.sign(x[0])),
        "any": np.any(y < 0) and np.any(np.sign(y) != np.sign(x[0])),
    }[f.sign]
    assert f.fades or np.all(np.abs(at(name, *(10 * x))) > 1e-5)
    with np.errstate(all="ignore"):
        zero = at(name, *np.zeros(f.arguments))
    if f.at_zero is not None:
        assert isinstance(f.at_zero, Number)
        assert zero == float(f.at_zero.value)
    if f.harmless is not None:
        assert np.isfinite(at(name, *[float(f.harmless.value)] * f.arguments))


@pytest.mark.parametrize("name", PLAIN)
def test_other_forms(name):
    f, x = ALL[name], points(name)
    y = at(name, *x)
    symbols = sympy.symbols(f"x:{f.arguments}", real=True)
    shown = apply(name, *symbols)
    assert not shown.atoms(sympy.core.function.AppliedUndef)
    for k in range(20):
        value = shown.subs(dict(zip(symbols, map(float, x[:, k]), strict=True)))
        assert float(value) == pytest.approx(y[k], abs=1e-12)
    known = dict(zip(ARGUMENTS, x, strict=False))
    if f.simpler is not None:
        simpler = evaluate(f.simpler(*ARGUMENTS[: f.arguments]), known.get, NUMPY)
        assert np.allclose(simpler, y, rtol=1e-13, atol=1e-14)
    for k, build in enumerate(f.derivatives):
        if build is None:
            assert f.shape == "jump"
            continue
        h = 1e-3 * np.abs(x[k])  # which never goes across a kink at 0; the error is of order h⁴
        step = h * (np.arange(f.arguments) == k)[:, None]
        near, far = (at(name, *(x + s * step)) - at(name, *(x - s * step)) for s in (1, 2))
        difference = (8 * near - far) / (12 * h)
        slope = evaluate(build(*ARGUMENTS[: f.arguments]), known.get, NUMPY)
        assert np.allclose(slope, difference, rtol=1e-9, atol=1e-10)


CDF = Elementwise(
    name="cdf",
    arguments=1,
    derivatives=(
        lambda x: divide(
            call("exp", mul(number(Fraction(-1, 2)), power(x, number(2)))), call("sqrt", mul(number(2), PI))
        ),
    ),
    jax="jax.scipy.special.ndtr({})",
    latex=r"\Phi\left({}\right)",
    array=lambda ns, x: ns.special.ndtr(x),
    sympy=lambda sy, x: (1 + sy.erf(x / sy.sqrt(2))) / 2,
    bounded=True,
    sign="positive",
    at_zero=HALF,
    simpler=lambda x: add(HALF, mul(HALF, call("erf", divide(x, call("sqrt", number(2)))))),
)
# with the least that is asked for, the rest unknown
BUMP = Elementwise(
    name="bump",
    arguments=1,
    derivatives=(lambda x: mul(number(-2), x, power(call("bump", x), number(2))),),
    jax="1/(1 + {}**2)",
    latex=r"\operatorname{{bump}}\left({}\right)",
    array=lambda ns, x: 1 / (1 + x**2),
)
PROGRAM = """
width n
matrix W : n x n ~ N(0, 1/n)
vector x : n ~ N(0, 1)
h = W @ x
z = {}(h)
g = W.T @ z
output square = mean(z^2)
output back = mean(x*g)
"""
# E Φ² of a uniform number, E Φ′; E 1/(1+h²)² and E −2h·h/(1+h²)²…, by Stein's lemma E z′ = E h·z = 0
EXPECTED = {"cdf": (1 / 3, 1 / (2 * math.sqrt(math.pi))), "bump": (None, 0.0)}


@pytest.mark.parametrize("function", [CDF, BUMP], ids=lambda f: f.name)
def test_a_function_is_added_in_one_place(function, monkeypatch):
    monkeypatch.setitem(FUNCTIONS, function.name, function)
    program = tpc.parse(PROGRAM.format(function.name))
    assert tpc.parse(str(program)) == program
    square, back = EXPECTED[function.name]
    if square is None:
        grid = np.polynomial.hermite_e.hermegauss(150)
        square = float(np.sum(grid[1] / (1 + grid[0] ** 2) ** 2) / math.sqrt(2 * math.pi))
    shown = str(program.derive())
    assert (function.simpler is not None) == ("1/3" in shown)
    assert function.name in shown
    assert rf"{function.latex.split('{')[0]}" in program.derive().latex()
    nodes = values_only(program.compile(method="nodes", samples=4096, repeats=4))({})
    forward = (
        PROGRAM.format(function.name).replace("g = W.T @ z\n", "").replace("output back = mean(x*g)\n", "")
    )
    gram = tpc.parse(forward).compile(method="gram")({})
    assert float(gram["square"].value) == pytest.approx(square, abs=1e-6)
    samples = program.simulate(width=1024, seeds=16)
    for name, value in (("square", square), ("back", back)):
        assert float(nodes[name].value) == pytest.approx(value, abs=0.01)
        assert float(np.mean(samples.outputs[name])) == pytest.approx(value, abs=0.02)


TRAINING = """
width n
dim T = 2
activation φ = {}
weight U : n x 1
weight W : n x n
weight V : 1 x n
network f(ξ) = V @ φ(W @ φ(U @ ξ))
train f for t < T:
    batch (1, -1)
    loss mse
    update sgd(lr = 1)
output loss
"""


def test_a_function_that_is_added_is_trained(monkeypatch):
    """As sigmoid is, of which it is another name."""
    name = "logistic"
    slope = (lambda x: mul(call(name, x), add(ONE, mul(number(-1), call(name, x)))),)
    twin = dataclasses.replace(FUNCTIONS["sigmoid"], name=name, derivatives=slope)
    monkeypatch.setitem(FUNCTIONS, name, twin)
    one, other = (tpc.parse(TRAINING.format(name)) for name in ("logistic", "sigmoid"))
    assert one.scale().stable == other.scale().stable
    found, expected = (values_only(p.compile(samples=512, repeats=2))({})["loss"].value for p in (one, other))
    assert np.array_equal(found, expected)


def test_hyperbolic_sines_of_numbers_and_of_gaussians_are_known():
    program = tpc.parse(
        "width n\nvector x : n ~ N(0, 1)\nc = mean(x^2)\noutput d = sinh(c)\noutput e = mean(x*sinh(x))\n"
    )
    shown = str(program.derive())
    assert "sinh(1)" in shown
    result = program.compile()({})
    assert float(result["d"].value) == pytest.approx(math.sinh(1))
    assert float(result["e"].value) == pytest.approx(math.exp(0.5))


def test_a_mean_that_a_hyperbolic_sine_leaves_infinite_is_found():
    program = tpc.parse("width n\nvector x : n ~ N(0, 1)\noutput d = mean(cosh(x)*exp(x^2))\n")
    with pytest.raises(tpc.TpcError, match="infinite"):
        program.compile()({})
