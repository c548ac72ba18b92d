"""Corrections in the kernel regime: limit and width n conditioned on the same start."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tpc
from tests.corrections.expectations import expectation
from tests.values import values_only
from tpc.cli.main import main

START = """
width n
vector u : n ~ N(0, 1)
vector v : n ~ N(0, 1)
f = n^(1/2)*mean(v*u)
output even = mean(u^2) + f
output both = mean(v^2*tanh(u)^2) - f^2
output odd = mean(tanh(v*u)) + f
output start = f
output none = mean(tanh(u))
"""
NETWORK = """
width n
dim T = 3
input x[t < T, 2], y[t < T]
parametrization ntp
weight U : n x 2
weight V : 1 x n
network f(x) = V @ tanh(U @ x)
train f for t < T:
    batch (x[t], y[t])
    loss mse
    update sgd(lr = 1)
output loss
"""
GIVEN = 1.5


@pytest.fixture(scope="module")
def found():
    return tpc.parse(START, name="start").corrections(initial={"f0": GIVEN}, covariances=True)


def near(value, error, wanted, times=4.0):
    return abs(value - wanted) < times * error


def test_by_the_density_of_the_start(found):
    """Given u, the start is N(0, ⟨u²⟩): a factor g²/u² - log u² of the law of u, and v given u and g."""
    squares, cross = (expectation(lambda u, k=k: np.tanh(u) ** 2 * u**k) for k in (0, 2))
    fourth = expectation(lambda u: np.tanh(u) ** 4)
    hermite = GIVEN**2 - 1
    wanted = {
        "even": (1 + GIVEN, hermite, 2),
        "both": (squares - GIVEN**2, hermite * (cross + (cross - squares) / 2), 3 * fourth - squares**2),
        "none": (0, 0, squares),
    }
    for name, (value, bias, variance) in wanted.items():
        own = found[name]
        assert abs(own.value - value) < 1e-9
        assert near(own.bias, own.bias_stderr, bias), name
        assert near(own.variance, own.variance_stderr, variance), name
        assert own.bias_stderr < 0.1 * max(1, abs(bias))


def test_the_start_itself_is_certain(found):
    own = found["start"]
    assert own.value == GIVEN
    assert abs(own.bias) < 1e-6
    assert own.fluctuation < 1e-6


def test_what_goes_with_the_start(found):
    """Its mean is off by n^(-1/2), and what is left of its variance is what the start does not tell."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    product, weight = np.outer(nodes, nodes), np.outer(weights, weights) / (2 * np.pi)
    own = found["odd"]
    left = np.sum(weight * np.tanh(product) ** 2) - np.sum(weight * product * np.tanh(product)) ** 2
    assert np.isnan(own.bias)
    assert "n^(-1/2)" in own.reason
    assert near(own.variance, own.variance_stderr, left)
    assert own.variance_stderr < 0.1 * left


def test_covariances_are_given_the_start(found):
    """Of u² and v² tanh(u)²: E u² tanh(u)² - E tanh(u)²."""
    wanted = expectation(lambda u: (u**2 - 1) * np.tanh(u) ** 2)
    assert abs(found.covariances["even", "both"] - wanted) < 0.1 * wanted


def conditioned(x, y, start, width, seeds):
    """Losses [seeds, T] of networks whose first function is `start`, and the seeds' weights.

    V is drawn given that, and the density of the start given U is the weight of a seed.
    """
    rng = np.random.default_rng(0)
    inputs, at = np.unique(x, axis=0, return_inverse=True)
    first = np.zeros(len(inputs))
    first[at] = start
    U, V = rng.standard_normal((seeds, width, 2)), rng.standard_normal((seeds, width))
    hidden = np.tanh(np.einsum("snd,kd->skn", U, inputs))
    kernel = hidden @ hidden.swapaxes(1, 2) / width
    off = first - np.einsum("skn,sn->sk", hidden, V) / width**0.5
    V += np.einsum("skn,sk->sn", hidden, np.linalg.solve(kernel, off[..., None])[..., 0]) / width**0.5
    along = np.linalg.solve(kernel, np.broadcast_to(first, (seeds, len(first)))[..., None])[..., 0]
    chances = np.exp(-(np.linalg.slogdet(kernel)[1] + along @ first) / 2)
    losses = []
    for own, wanted in zip(x, y, strict=True):
        hidden = np.tanh(U @ own)
        slope = np.sum(V * hidden, axis=1) / width**0.5 - wanted
        losses.append(slope**2 / 2)
        gradient = V * (1 - hidden**2) * (slope / width**0.5)[:, None]
        V = V - (slope / width**0.5)[:, None] * hidden
        U = U - gradient[..., None] * own
    return np.stack(losses, axis=1), chances / chances.sum()


def test_networks_of_finite_width():
    """Trained from a function that is given, at a width where the next order is within the errors."""
    x, y = np.array([[1.0, 0.2], [-0.3, 1.2], [1.0, 0.2]]), np.array([1.0, -0.5, 0.7])
    start, width, seeds = np.array([-0.4, 0.6, -0.4]), 256, 20_000
    found = tpc.parse(NETWORK, name="network").corrections({"x": x, "y": y}, initial={"f": start})["loss"]
    losses, weights = conditioned(x, y, start, width, seeds)
    mean = weights @ losses
    squares = np.square(losses - mean)
    variance, error = weights @ squares, np.sqrt(np.square(weights) @ squares)
    of_variance = np.sqrt(np.square(weights) @ np.square(squares - variance))
    for t in (1, 2):
        apart = found.bias[t] - width * (mean[t] - found.value[t])
        assert abs(apart) < 4 * np.hypot(found.bias_stderr[t], width * error[t])
        apart = found.variance[t] - width * variance[t]
        assert abs(apart) < 4 * np.hypot(found.variance_stderr[t], width * of_variance[t])
    assert abs(found.bias[0]) < 1e-6


def refused(call, *arguments, **options):
    with pytest.raises(tpc.TpcError) as stop:
        call(*arguments, **options)
    (wrong,) = stop.value.diagnostics
    return wrong.code, wrong.message


def test_no_start_is_left_out():
    """That of a limit which is given is the one of its corrections; another is refused."""
    program = tpc.parse(START, name="start")
    few = {"samples": 64, "repeats": 2, "signs": 2}
    for own, other in [("zero", 3), (3, 4), ({"f0": 1.5}, "zero"), ({"f0": 1.5}, {"f0": 1.25})]:
        limit = values_only(program.compile(initial=own, samples=256))()
        told = str(limit.start.choice)
        assert refused(program.corrections, limit=limit, initial=other, **few) == (
            "TP602",
            f"--initial: the limit that is given has a start of its own, {told}",
        )
        for same in (own, None):
            found = program.corrections(limit=limit, initial=same, **few)
            assert found.start == limit.start
            assert found["start"].value == limit["start"].value
    integrated = values_only(program.compile(initial="integrate", samples=256))()
    assert refused(program.corrections, limit=integrated, initial=3)[0] == "TP602"


def test_the_limit_of_another_program_is_refused():
    other = tpc.parse("width n\nvector v : n ~ N(0, 1)\noutput q = mean(tanh(v)^2)\n")
    with pytest.raises(ValueError, match="other outputs"):
        tpc.parse(START, name="start").corrections(limit=other.compile()())


def test_a_start_among_the_inputs_is_told_as_given():
    program = tpc.parse(START, name="start")
    for choice in (None, 0, "zero", "integrate"):
        result = values_only(program.compile(initial=choice, samples=256))({"f0": GIVEN})
        assert str(result.start) == "f0, random in the limit: as given"
        assert result["start"].value == GIVEN
    two = tpc.parse(f"{START}g = n^(1/2)*mean(v)\noutput last = g\n", name="two")
    result = values_only(two.compile(initial=3, samples=256))({"f0": GIVEN})
    assert str(result.start) == "f0, g0, random in the limit: drawn by seed 3, f0 as given"
    assert result.start.to_json()["given"] == ["f0"]


BENT = """
width n
vector u : n ~ N(0, 1)
vector v : n ~ N(0, 1)
matrix W : n x n ~ N(0, 1/n)
x = W @ u
f = n^(1/2)*mean(v*relu(x))
output half = mean(relu(x)^2)
output start = f
"""


@pytest.mark.parametrize(("given", "repeats"), [(0.0, 4), (1.5, 8)])
def test_steps_across_kinks_given_a_start(given, repeats):
    """K = mean relu(x)² is 1/2, of n·variance 7/4, and weighed by the density N(g; 0, K) of the start.

    With steps across kinks points have negative weights, and so may K.
    """
    found = tpc.parse(BENT).corrections(initial={"f0": given}, repeats=repeats)
    own = found["half"]
    assert near(own.variance, own.variance_stderr, 7 / 4)
    assert near(own.bias, own.bias_stderr, (4 * given**2 - 2) * 7 / 8)
    assert own.bias_stderr < 0.25
    assert (found["start"].bias, found["start"].fluctuation) == (0, 0)


def test_it_is_drawn_as_by_run_and_told(tmp_path, capsys):
    path = tmp_path / "start.tp"
    path.write_text(START)
    few = ["--samples", "64", "--repeats", "2", "--json"]
    assert main(["corrections", str(path), "--initial", "seed=3", *few]) == 0
    told = json.loads(capsys.readouterr().out)
    assert main(["run", str(path), "--initial", "seed=3", "--json"]) == 0
    assert told["initial"] == json.loads(capsys.readouterr().out)["initial"]
    assert told["outputs"]["start"]["value"] == told["initial"]["scalars"]["f0"]
    assert main(["corrections", str(path), "--initial", "zero", *few[:-1]]) == 0
    assert "f0, random in the limit: 0" in capsys.readouterr().out


def test_what_cannot_be_given():
    program = tpc.parse(START, name="start")
    with pytest.raises(tpc.TpcError, match="TP807"):
        program.corrections(initial="integrate")
    with pytest.raises(tpc.TpcError, match="TP804"):
        program.corrections(initial={})
    plain = tpc.parse("width n\nvector u : n ~ N(0, 1)\noutput c = mean(u^2)\n")
    with pytest.raises(tpc.TpcError, match="TP602"):
        plain.corrections(initial="zero")
    twice = "width n\nvector u : n ~ N(0, 1)\nvector v : n ~ N(0, 1)\n" + "".join(
        f"{name} = n^(1/2)*mean({factor}*v*u)\noutput {name}_squared = {name}^2\n"
        for name, factor in (("a", 1), ("b", 2))
    )
    with pytest.raises(tpc.TpcError, match="what no network has"):
        tpc.parse(twice).corrections(initial={"a": 1.0, "b": 1.0}, samples=64, repeats=2)


def test_an_input_may_be_called_start(tmp_path):
    """Repeats are kept by the inputs and by the start, neither in the place of the other."""
    text = START.replace("width n\n", "width n\ninput start\n").replace("= mean(u^2)", "= start*mean(u^2)")
    program = tpc.parse(text.replace("output start = f\n", ""), name="start")
    asked = {"initial": "zero", "samples": 64, "repeats": 2, "signs": 8, "checkpoint": tmp_path}
    one, two = (program.corrections({"start": size}, **asked)["even"] for size in (1.0, 2.0))
    assert two.variance == pytest.approx(4 * one.variance)
