"""Powers of n taken apart: what the limit of a program is does not depend on how its powers are written."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tpc
from tpc.core.expr import Add, Ref, Value, add, mul, number
from tpc.core.wellformed import verified
from tpc.diagnostics.diagnostic import TpcError
from tpc.expand import expand
from tpc.expand.terms import cancelled, coefficient, monomial

HEAD = "width n\nvector u : n ~ N(0, 1)\nvector v : n ~ N(0, 1)\nmatrix W : n x n ~ N(0, 1/n)\n"


def limit(lines, **options):
    return tpc.parse(HEAD + lines).compile(**options)()


@pytest.mark.parametrize("function", ["relu", "abs"])
@pytest.mark.parametrize("power", ["1/2", "1", "2"])
def test_homogeneous_functions_take_powers_out(function, power):
    plain = f"y = {function}(u)\noutput m = mean(y*u)\n"
    down = f"x = n^(-{power})*u\ny = {function}(x)\noutput m = mean(n^({power})*y*u)\n"
    together = f"x = n^(-{power})*u\ny = {function}(x + v)\noutput m = mean(y*v)\n"
    expected = limit(plain)["m"].value
    assert limit(down)["m"].value == pytest.approx(expected, rel=1e-9)
    assert limit(together)["m"].value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("function", ["relu", "abs"])
def test_vectors_that_grow_are_refused(function):
    with pytest.raises(TpcError) as caught:
        limit(f"x = n^(1/2)*u\ny = {function}(x)\noutput m = mean(n^(-1/2)*y*u)\n")
    assert caught.value.diagnostics[0].code.startswith("TP80")


@pytest.mark.parametrize("seed", range(8))
def test_powers_that_cancel_leave_the_limit(seed):
    """Each vector and scalar is written n^p times larger and read n^-p times."""
    r = random.Random(seed)
    lines = [
        ("x", "W @ u", []),
        ("y", "{x} + 2*u", ["x"]),
        ("c", "mean({x}*{y})", ["x", "y"]),
        ("z", "{c}*{y} - v/3", ["c", "y"]),
        ("d", "mean({z}*{z})", ["z"]),
    ]
    powers = {name: r.choice(["0", "-1/2", "-1", "-1/3"]) for name, _, _ in lines}

    def written(name):
        return name if powers[name] == "0" else f"(n^({powers[name].removeprefix('-')})*{name})"

    text = "".join(f"{name} = {body.format(**{k: k for k in read})}\n" for name, body, read in lines)
    scaled = "".join(
        f"{name}0 = {body.format(**{k: written(k) for k in read})}\n{name} = n^({powers[name]})*{name}0\n"
        for name, body, read in lines
    )
    expected = limit(f"{text}output m = c\noutput k = d\n")
    found = limit(f"{scaled}output m = {written('c')}\noutput k = {written('d')}\n")
    for name in "mk":
        np.testing.assert_allclose(found[name].value, expected[name].value, rtol=1e-9)


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ("output m = mean((u + n^(-1/2)*v)^2)\n", 1),
        ("x = tanh(n^(-1)*u)\noutput m = mean(n*x*u)\n", 1),  # tanh'(0) = 1
        ("x = exp(n^(-1)*u) - 1\noutput m = mean(n*x*u)\n", 1),
        ("c = 2*n^(-1)\noutput m = n^2*c^2\n", 4),
        ("c = 2 + n^(-1)\noutput m = 1/c\n", 0.5),
        ("output m = n*(sqrt(1 + 1/n) - 1)\n", 0.5),
        ("output m = n*((8 + 1/n)^(1/3) - 2)\n", 1 / 12),
        ("output m = n*log(1 + 1/n)\n", 1),
        ("output m = n^2*(exp(1/n) - 1 - 1/n)\n", 0.5),
        ("output m = n*(mean(cos(n^(-1/2)*u)) - 1)\n", -0.5),
        ("c = mean(cosh(n^(-1/2)*u))\noutput m = n*(c^2 - 1)\n", 1),
        ("c = mean(cos(n^(-1/2)*u))\nd = tanh(c - 1)\noutput m = n*d\n", -0.5),
        ("c[0] = 1 + 1/n\nfor t < 3:\n    c[t+1] = c[t]^2\noutput m = n*(c[3] - 1)\n", 8),
        ("c[0] = 1\nfor t < 3:\n    c[t+1] = c[t]/2 + mean(u^2)/2\noutput m = c[3]\n", 1),
        ("c[0] = 1\nfor t < 3:\n    c[t+1] = 0*c[t]\noutput m = sum(t < 2: (c[t+1] - 1)*t)\n", -1),
        ("output m = n*((1/n + 1/n^2)^(-1)/n - 1)\n", -1),
        ("output m = n^2*(n*(1/n + 1/n^2)^2 - 1/n)\n", 2),
        ("c = 1 + 1/n\noutput m = n*(c - 1) + sign(c - 1)\n", 2),
        ("c = 1 + 1/n\nd = c - 1\noutput m = sign(d)\n", 1),
        ("x = mean(u^2)/n\noutput m = n^(1/2)*x^(1/2)\n", 1),
        ("x = mean(u^2)/n^3\noutput m = n^(3/2)*sqrt(x)\n", 1),
        ("x = mean(u^2)/n\noutput m = x^(-1)/n\n", 1),
        ("x = mean(u^2)/n^2\noutput m = sign(x) + where(x > 0, 2, 1)\n", 3),
        ("x = n^(-1)*u^2\noutput m = mean(n^(1/2)*sqrt(x)*abs(u))\n", 1),
        ("x[0] = mean(u^2)/n\nfor t < 2:\n    x[t+1] = x[t]/4\noutput m = n^(1/2)*sqrt(x[2])\n", 0.25),
    ],
)
def test_what_is_small_is_expanded_as_far_as_is_needed(lines, value):
    assert limit(lines)["m"].value == pytest.approx(value, rel=1e-9)


def test_expanded_programs_have_no_powers_and_are_programs():
    program = tpc.parse(HEAD + "x = tanh(n^(-1/2)*(W @ u))\noutput m = mean(n^(1/2)*x*u) + mean(n*x^2)\n")
    assert "n^" in str(program)
    expanded = verified(expand(program).limit)
    assert "n^" not in str(expanded)
    plain = tpc.parse(HEAD + "x = tanh(W @ u)\noutput m = mean(x*u)\n")
    assert expand(plain).limit == plain


def test_inverses_of_what_vanishes_grow():
    with pytest.raises(TpcError) as caught:
        limit("x = mean(u^2)/n\noutput m = x^(-1/2)\n")
    assert caught.value.diagnostics[0].code == "TP801"


@pytest.mark.parametrize("exponent", ["-1000000000000", "-1000000000000 + 1/3"])
def test_numbers_that_are_too_long_are_not_worked_out(exponent):
    assert limit(f"c = 2 + n^(-1)\noutput m = c^({exponent})\n")["m"].value == 0


U, V, S = Value(Ref("u"), True), Value(Ref("v"), True), Value(Ref("s"), False)


@given(st.lists(st.tuples(st.integers(-2, 2), st.sampled_from([U, V, mul(S, U), number(1)])), max_size=6))
def test_what_cancels_is_left_out(parts):
    """Terms whose coefficients add up to 0 are gone, whatever sums they come in; the others stay."""
    totals = {}
    for k, x in parts:
        totals[x] = totals.get(x, 0) + k
    terms = [mul(number(k), x) for k, x in parts]
    for found in (cancelled(terms), cancelled([add(*terms[:3]), add(*terms[3:])])):
        left = found.terms if isinstance(found, Add) else (found,)
        assert {monomial(x) for x in left} - {number(1)} == {x for x, k in totals.items() if k} - {number(1)}
        assert sum(coefficient(x).value for x in left if monomial(x) == number(1)) == totals.get(number(1), 0)
        for x in totals:
            assert sum(coefficient(y).value for y in left if monomial(y) == x) == totals[x]


VANISHING = {
    "log": "y = log(abs(x))\n",
    "log of a scalar": "c = mean(x^2)\ny = log(c)*v\n",
    "newton_schulz": "table P : n x n = newton_schulz(outer(x, v), 2, 3, -4, 2)\ny = P @ v\n",
}


@pytest.mark.parametrize("use", ["y", "y + v", "y*v", "W @ y"])
@pytest.mark.parametrize("function", VANISHING)
def test_what_is_not_finite_at_0_is_told_wherever_it_goes(function, use):
    """Such a vector had no order of n, and was left out as if it were 0."""
    text = f"x = n^(-1/2)*u\n{VANISHING[function]}z = {use}\noutput m = mean(z*v)\noutput p = mean(z^2)\n"
    with pytest.raises(TpcError, match="TP802"):
        expand(tpc.parse(HEAD + text))
