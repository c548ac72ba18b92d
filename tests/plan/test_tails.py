"""Which outputs a plan has no right error for: means of what has a heavy tail, or is infinite."""

import math

import pytest

import tpc
from tpc.core.expr import Ref, Value, add, call, mul, number, power
from tpc.diagnostics.diagnostic import TpcError
from tpc.expand.watch import with_jumps_watched
from tpc.plan.infinite import Exponents, NotPolynomialError, infinite_means, with_finite_means, without_error
from tpc.plan.tails import looks

U = "width n\nvector u : n ~ N(0, 1)\n"
W = "matrix W : n x n ~ N(0, 1/n)\n"
X = Value(Ref("u"), True)


@pytest.mark.parametrize(
    ("text", "heavy", "edged"),
    [
        ("output m = mean(u^2)\n", False, False),
        ("output m = mean(u^4)\n", False, False),
        ("output m = mean(u^5)\n", True, False),
        ("output m = mean(tanh(u)^9)\n", False, False),
        ("output m = mean(relu(u)^2)\n", False, True),
        ("output m = mean(relu(u)^6)\n", True, True),
        ("output m = mean(exp(u))\n", True, False),
        ("output m = mean(exp(-u^2))\n", False, False),
        ("output m = mean(1/(1 + u^2))\n", False, False),
        ("output m = mean(1/u^2)\n", True, False),
        ("output m = mean(sqrt(1 + u^2)^4)\n", False, True),
        ("c = mean(u^6)\noutput m = tanh(c)\n", True, False),
        ("c = mean(u^6)\noutput m = mean(u^2)\noutput k = c\n", False, False),
        (W + "x = u^3\ny = W @ x\noutput m = mean(y*u)\n", True, False),
        (W + "y = W @ tanh(u)\noutput m = mean(y^4)\n", False, False),
        ("x[0] = u\nfor t < 3:\n    x[t+1] = x[t]^2\noutput m = mean(x[3])\n", True, False),
        ("x[0] = u\nfor t < 30:\n    x[t+1] = x[t] + 1\noutput m = mean(x[30]^2)\n", False, False),
    ],
)
def test_tails_and_kinks_are_seen_from_the_program(text, heavy, edged):
    found = looks(tpc.parse(U + text))
    assert ("m" in found.heavy, "m" in found.edged) == (heavy, edged)


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("output m = mean(step(u))\n", True),
        ("output m = mean(u*step(u))\n", False),
        ("output m = mean(relu(u))\n", False),
        ("a = mean(tanh(u)*u)\noutput m = step(a - 1/2) + 2*sign(a)\n", True),
        ("a = mean(tanh(u)*u)\noutput m = step(a - 1/2) + a\n", False),
        ("a = mean(u^2)\noutput m = where(a > 1, 2, 3)\n", True),
        ("a = mean(u^2)\noutput m = where(a > 1, 2, a)\n", False),
        (W + "x = step(u)\ny = W @ x\noutput m = mean(step(y))\n", True),
        (W + "x = step(u)\ny = W @ x\noutput m = mean(y*y)\n", False),
        ("a = mean(u^2)\nc[0] = step(a)\nfor t < 3:\n    c[t+1] = c[t]*step(a - t)\noutput m = c[3]\n", True),
        ("a = mean(u^2)\nc[0] = step(a)\nfor t < 3:\n    c[t+1] = c[t]*a\noutput m = c[3]\n", False),
        ("input a = 1\noutput m = step(a) - a\n", False),  # nothing is drawn: rounding is all there is
    ],
)
def test_what_changes_by_jumps_alone_is_seen_from_the_program(text, counted):
    assert ("m" in looks(tpc.parse(U + text)).unrounded) == counted


def test_of_what_is_watched_no_tails_are_looked_at():
    """Its spread alone decides whether it is 0."""
    program = with_jumps_watched(
        tpc.parse(U + "a = mean(exp(u)*relu(u)) - 1\noutput m = mean(u*sign(a*u))\n")
    )
    assert [output.jump for output in program.outputs] == ["", "sign"]
    assert looks(program) == (("m",), ("m",), (program.outputs[1].name,))


@pytest.mark.parametrize("power_", [1, 2, 3, 4])
@pytest.mark.parametrize("factor", [0.2, 0.24, 0.26, 0.49, 0.51, -3])
def test_where_a_mean_of_an_exponential_is_infinite(power_, factor):
    """E exp(c g²) is (1 − 2c)^(−1/2) for c < 1/2; its error is of E exp(2 c g²). exp(c g^k) outgrows any
    Gaussian for k > 2, where c g^k is somewhere positive."""
    program = tpc.parse(U + f"output m = mean(exp({factor}*u^{power_}))\n".replace("*u^1", "*u"))
    infinite, wild = (bool(found) for found in infinite_means(program))
    if power_ == 1:
        assert (infinite, wild) == (False, False)
    elif power_ == 2:
        assert (infinite, wild) == (factor > 0.5, 0.25 < factor < 0.5)
    else:
        assert infinite == (factor > 0 or power_ == 3)
    assert without_error(program) == (("m",) if wild else ())


@pytest.mark.parametrize(
    ("text", "infinite"),
    [
        ("vector v : n ~ N(0, 1)\noutput m = mean(exp(u*v))\n", True),  # eigenvalues ±1/2
        ("vector v : n ~ N(0, 1)\noutput m = mean(exp(99/100*u*v))\n", False),
        ("vector v : n ~ N(0, 1)\noutput m = mean(exp(u^2*v^2))\n", True),
        ("vector v : n ~ N(0, 1)\noutput m = mean(exp(-u^2*v^2 - u^4 - v^4))\n", False),
        ("vector v : n ~ N(0, 1)\noutput m = mean(exp(u^3*v - 2*u^4 - 2*v^4))\n", False),
        ("vector (v, w) : n ~ N([0, 0], [[1, 1/2], [1/2, 1]])\noutput m = mean(exp(7/10*v*w))\n", True),
        ("vector (v, w) : n ~ N([0, 0], [[1, 1/2], [1/2, 1]])\noutput m = mean(exp(3/5*v*w))\n", False),
        ("x = exp(u^2/8)\noutput m = mean(x^4)\n", True),
        ("x = exp(u^2/8)\noutput m = mean(x^3)\n", False),
        ("x = exp(-u^2/8)\noutput m = mean(x^(-4))\n", True),
        ("x = exp(u^2/3)\noutput m = mean(x^2)\n", True),
        ("x = exp(u^2/3)\noutput m = mean(x)\n", False),
        ("output m = mean(exp(u^2)*exp(-u^2))\n", False),
        ("output m = mean(exp(u^2)*exp(-2/3*u^2))\n", False),
        ("output m = mean(exp(u^2) - exp(u^2 + 1))\n", False),  # not for certain: terms may cancel
        ("output m = mean(u*exp(u^2))\n", True),
        ("output m = mean(relu(u)*exp(-u^2 + u^4))\n", False),  # relu may be 0 where it grows: not certain
    ],
)
def test_only_what_is_infinite_for_certain_is_refused(text, infinite):
    program = tpc.parse(U + text)
    if infinite:
        with pytest.raises(TpcError) as caught:
            with_finite_means(program)
        assert caught.value.diagnostics[0].code == "TP806"
    else:
        assert with_finite_means(program) is program


def test_what_depends_on_a_wild_mean_has_no_error():
    program = tpc.parse(
        U + "c = mean(exp(u^2/3))\nd = 2*c\nx = d*u\noutput k = mean(x*u)\noutput m = mean(u^2)\n"
    )
    assert without_error(program) == ("k",)
    later = tpc.parse(U + "c = mean(exp(u^2/3))\nx = c*u\nd = mean(x^2)\ng = d + 1\noutput q = g\n")
    assert without_error(later) == ("q",)


def test_growth_is_of_every_term():
    exponents = Exponents.of(tpc.parse(U + "output m = mean(u^2)\n"))
    x = add(call("exp", mul(number(2), power(X, number(2)))), X, call("exp", power(X, number(4))))
    assert sorted(exponents.growth(x)) == pytest.approx([0, 2, math.inf])


def test_exponents_of_too_many_terms_are_left():
    """Rather than multiplied out for ever."""
    members = "".join(f"vector w{k} : n ~ N(0, 1)\n" for k in range(12))
    total = " + ".join(f"w{k}" for k in range(12))
    program = tpc.parse(f"width n\n{members}output m = mean(exp(-({total})^12))\n")
    assert infinite_means(program) == ([], [])
    with pytest.raises(NotPolynomialError):
        Exponents.of(program).polynomial(
            power(add(*(Value(Ref(f"w{k}"), True) for k in range(12))), number(8))
        )
