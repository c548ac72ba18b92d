"""Corrections of programs with negative powers of n."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import tpc
from tests.corrections.expectations import expectation
from tests.one_hidden_layer import trained
from tpc.expand.lower_orders import nearness

PROGRAM = """
width n
width m = 2*n
vector u : n ~ N(0, 1)
vector v : n ~ N(0, 1)
matrix W : m x n ~ N(0, 1/n)
y = W @ u
output one = mean(tanh(u + v^2/n))
output half = mean(tanh(u + v/n^(1/2))^2)
output odd = mean(cos(u + 3/n^(1/2)))
output other = mean(tanh(y + 1/m))
output both = mean(tanh(u)*v)^2 + n^(-3/2) + mean(v^2)/(2*n)
output plain = mean(tanh(u)^2)
output root = mean(tanh(u + v^2/n^(1/2)))
"""


@pytest.fixture(scope="module")
def found():
    return tpc.parse(PROGRAM, name="powers").corrections()


def test_what_powers_add_to_the_bias(found):
    """By the second derivative in n^(-1/2)."""
    square, slope = expectation(lambda u: np.tanh(u) ** 2), expectation(lambda u: 1 - np.tanh(u) ** 2)
    bend = expectation(lambda u: (1 - np.tanh(u) ** 2) * (1 - 3 * np.tanh(u) ** 2))  # half of (tanh²)''
    wanted = {
        "one": (slope, square),
        "half": (bend, expectation(lambda u: np.tanh(u) ** 4) - square**2),
        "odd": (-4.5 * np.exp(-0.5), expectation(lambda u: np.cos(u) ** 2) - np.exp(-1)),
        "both": (square + 0.5, 0),
        "plain": (0, expectation(lambda u: np.tanh(u) ** 4) - square**2),
    }
    for name, (bias, variance) in wanted.items():
        own = found[name]
        assert abs(own.bias - bias) < 4 * own.bias_stderr + 1e-8, name
        assert abs(own.variance - variance) < 4 * own.variance_stderr + 1e-8, name
        assert own.bias_stderr < 0.1, name
        assert own.first_order_from < 64, name


def test_powers_of_another_width_have_its_ratio(found):
    """mean(tanh(y + 1/m)) over 2n coordinates: E tanh'/2n, and E tanh²/2n of its spread; y adds nothing."""
    own = found["other"]
    assert abs(own.bias - expectation(lambda u: 1 - np.tanh(u) ** 2) / 2) < 4 * own.bias_stderr
    assert abs(own.variance - expectation(lambda u: np.tanh(u) ** 2) / 2) < 4 * own.variance_stderr


def test_a_mean_that_is_off_by_a_root_of_the_width_has_no_bias_of_order_1_over_n(found):
    """Its spread is that of the limit."""
    own = found["root"]
    assert np.isnan(own.bias)
    assert abs(own.variance - expectation(lambda u: np.tanh(u) ** 2)) < 4 * own.variance_stderr
    assert "n^(-1/2)" in own.reason
    assert "n·bias unknown, √n·fluctuation 0.6" in str(found)


@pytest.mark.parametrize(
    ("form", "other"),
    [
        ("tanh(u + sqrt(1/n)*v)^2", "tanh(u + v/n^(1/2))^2"),
        ("tanh(u + relu(v/n)*sqrt(n^(-1/2)/n^(1/2)))", "tanh(u + relu(v)/n^(3/2))"),
        ("tanh(u + sign(v/n)/n)", "tanh(u + sign(v)/n)"),
    ],
)
def test_powers_in_what_is_homogeneous_are_powers(form, other):
    head = "width n\nvector u : n ~ N(0, 1)\nvector v : n ~ N(0, 1)\noutput c = mean({})\n"
    one, two = (tpc.parse(head.format(x)).corrections(repeats=2, signs=16)["c"] for x in (form, other))
    assert np.isfinite(two.bias)
    for name in ("bias", "bias_stderr", "variance", "variance_stderr", "first_order_from"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("output", ["n*mean(tanh(u + u^2/n) - tanh(u))", "mean(tanh(u + u/n^(1/4)))"])
def test_other_powers_are_refused(output):
    text = f"width n\nvector u : n ~ N(0, 1)\nvector v : n ~ N(0, 1)\noutput c = {output}\n"
    with pytest.raises(tpc.TpcError, match="TP807"):
        tpc.parse(text).corrections()


@pytest.mark.parametrize(("r", "power"), [("1/4", "-1/4"), ("3/8", "-1/8")])
def test_between_parametrizations_it_is_told_by_which_power_outputs_are_off(r, power):
    """And networks are."""
    program = tpc.parse(trained(2, 1, head=f"parametrization uniform(r = {r})\n"), name="training")
    with pytest.raises(tpc.TpcError) as refused:
        program.corrections()
    assert f"`V[0]` has n^({r}), which is no power of n^(-1/2)" in str(refused.value)
    assert f"`loss` may be off by n^({power})" in str(refused.value)
    limit = program.compile()()["loss"].value
    errors = [program.simulate(width=n, seeds=200).outputs["loss"] - limit for n in (2**10, 2**15)]
    rms = [np.sqrt(np.mean(np.square(e), axis=0)) for e in errors]
    slope = np.log2(rms[1] / rms[0]) / 5
    assert np.all(abs(slope - float(Fraction(power))) < 0.06)


def test_what_outputs_are_off_by_is_told_of_those_that_are():
    head = "width n\nvector u : n ~ N(0, 1)\noutput a = mean(tanh(u)^2)\n"
    found = tpc.parse(head + "output b = mean(cos(u + u/n^(1/4)))\noutput c = mean(u^2) + n^(-1/3)\n")
    assert nearness(found) == {"b": Fraction(-1, 4), "c": Fraction(-1, 3)}
    with pytest.raises(tpc.TpcError, match=r"`b` may be off by n\^\(-1/4\), `c` may be off by n\^\(-1/3\)"):
        found.corrections()


def test_exactly_there_are_none_with_powers():
    program = tpc.parse("width n\nvector u : n ~ N(0, 1)\noutput c = mean((u + u/n)^2)\n")
    with pytest.raises(tpc.TpcError, match="powers of n"):
        program.corrections(method="linear")
    own = program.corrections()["c"]
    assert abs(own.bias - 2) < 4 * own.bias_stderr + 1e-8
    assert abs(own.variance - 2) < 4 * own.variance_stderr
