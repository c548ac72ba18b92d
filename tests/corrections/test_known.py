"""Numbers that are 0 to rounding are 0, and those that tell nothing are not told."""

from __future__ import annotations

import functools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tpc
from tests.two_hidden_layers import trained
from tpc.cli.main import main
from tpc.corrections.prediction import Correction
from tpc.simulate import verify

# what makes an output certain, or a vector of norm 1
CERTAIN = {
    "mean((h/mean(h^2)^(1/2))^2)": 1,
    "mean(h^2)/mean(h^2)": 1,
    "1000*mean(cos(h)^2 + sin(h)^2)": 1000,
    "mean(h - mean(h))": 0,
    "mean(tanh(h)) + mean(tanh(-h))": 0,
    "mean(h^2 + 3*h) - mean(h^2) - 3*mean(h)": 0,
    "mean((b/mean(b^2)^(1/2))^2)": 1,
    "mean(relu(h)) - mean(relu(-h)) - mean(h)": 0,
    "mean(sign(h)^2)": 1,
}
ROUGH = ("relu", "sign")
VECTORS = """width n
vector u : n ~ N(0, 1)
matrix A : n x n ~ N(0, 1/n)
h = {function}
b = A @ h
"""


@pytest.mark.parametrize("function", ["u", "A @ u", "tanh(A @ u) + u"])
@pytest.mark.parametrize("rough", [False, True])
def test_what_is_certain_is_told_as_certain(function, rough):
    certain = {x: v for x, v in CERTAIN.items() if rough or not any(name in x for name in ROUGH)}
    text = VECTORS.format(function=function)
    text += "".join(f"output q{k} = {formula}\n" for k, formula in enumerate(certain))
    text += "output moves = mean(b^2)\n"
    found = tpc.parse(text).corrections(method="nodes", covariances=True, repeats=4)
    for k, (formula, value) in enumerate(certain.items()):
        own = found[f"q{k}"]
        assert (own.bias, own.fluctuation, own.reason) == (0, 0, None), formula
        assert own.bias_stderr < 1e-7 * max(1, value), formula
        assert own.fluctuation_stderr < 1e-8 * max(1, value), formula
        assert found.covariances[f"q{k}", "moves"] == 0, formula
        assert "e-" not in str(found).split(f"q{k} =")[1].split("±")[0]
    assert found["moves"].variance > 1


def test_a_bias_that_is_0_to_rounding_beside_a_fluctuation():
    found = tpc.parse(
        VECTORS.format(function="u") + "output q = mean(h^2)\noutput r = mean(h^3)\n"
    ).corrections(method="nodes", repeats=4)
    for own in found.outputs.values():
        assert own.bias == 0
        assert own.bias_stderr < 1e-7
        assert own.fluctuation > 1


numbers = st.floats(-1e9, 1e9)
errors = st.floats(0, 1e9)


@given(st.lists(st.tuples(numbers, errors, numbers, errors, errors, errors), min_size=1, max_size=4))
def test_what_is_told_is_known(entries):
    """To be other than 0, or to be less than ten times the limit and what else is known."""
    value, stderr, bias, of_bias, variance, of_variance = map(np.array, zip(*entries, strict=True))
    plain = Correction(
        value, stderr, bias, of_bias, variance, of_variance, np.sqrt(variance), np.sqrt(of_variance)
    )
    found = plain.as_far_as_known()
    assert (found.reason is None) == bool(np.isfinite([found.bias, found.fluctuation]).all())
    known = np.abs(value[np.abs(value) > 5 * stderr])
    size = np.where(np.abs(value) > 5 * stderr, np.abs(value), known.max(initial=0) or 1)
    for k in range(len(value)):
        least = max(size[k], np.sqrt(variance[k]) if variance[k] > 3 * of_variance[k] else 0)
        told = abs(bias[k]) > 3 * of_bias[k] or of_bias[k] <= 10 * least
        assert np.isfinite(found.bias[k]) == told
        assert (found.bias[k] == bias[k]) or not told
        least = max(size[k], abs(bias[k]) if abs(bias[k]) > 3 * of_bias[k] else 0)
        told = variance[k] > 3 * of_variance[k] or np.sqrt(of_variance[k]) <= 10 * least
        told = variance[k] > 3 * of_variance[k] or (told and np.isfinite(found.bias[k]))
        assert np.isfinite(found.fluctuation[k]) == np.isfinite(found.variance[k]) == told
    again = found.as_far_as_known()
    np.testing.assert_array_equal(again.value, found.value)


RELU = trained("dim T = 4, B = 1, d = 1\ninput xi[T, B, d] = 1, y[T, B] = 1", "sgd(lr = 1/2)").replace(
    "tanh", "relu"
)


def test_few_points_across_kinks(tmp_path, capsys):
    """The last loss is 0.002, and what few points say of n·bias is of order 1."""
    path = tmp_path / "relu.tp"
    path.write_text(RELU)
    few = ["--repeats", "2", "--signs", "64"]
    assert main(["corrections", str(path), *few, "--within", "--width", "64"]) == 0
    last = next(line for line in capsys.readouterr().out.splitlines() if "loss[3]" in line)
    assert "n·bias unknown" in last
    assert "from an unknown n" in last
    assert main(["corrections", str(path), *few, "--json"]) == 0
    own = json.loads(capsys.readouterr().out)["outputs"]["loss"]
    assert own["bias"][3] is None
    assert own["bias_stderr"][3] is None
    assert own["bias"][1] is not None
    assert "10 times the limit" in own["reason"]


def test_widths_and_seeds_that_tell_nothing_of_a_bias():
    program = tpc.parse("width n\nvector u : n ~ N(0, 1)\noutput q = 1 + mean(tanh(u))\n")
    samples = [program.simulate(width=n, seeds=3) for n in (1024, 2048, 4096)]
    report = verify(program.compile()().limits, samples, corrections=program.corrections().outputs)
    own = report.outputs[0].forecast.bias
    assert np.isnan(own.estimate)
    assert own.stderr > 10
    assert "n·bias unknown, known to ± " in str(report)
    told = report.to_json()["outputs"]["q"]["prediction"]
    assert told["bias"]["value"] is None
    assert "--seeds" in told["bias"]["reason"]
    assert told["variance"]["value"] is not None
    assert "reason" not in told["variance"]
    assert report.agrees


OFF = """
width n
vector u : n ~ N(0, 1)
vector v : n ~ N(0, 1)
q = mean(u)
output kink = relu(q) + 1
output size = (q^2)^(1/2)
output root = 2 + n^(-1/2)*mean(v^2)
output plain = mean(v^2) + mean(tanh(u))^2
"""


@functools.cache
def many(width):
    return tpc.parse(OFF).simulate(width=width, seeds=4000)


@functools.cache
def corrections_of_off():
    return tpc.parse(OFF).corrections(repeats=4).outputs


@pytest.mark.parametrize("widths", [(64, 256, 1024), (16, 64, 256, 1024), (256, 1024), (1024,)])
def test_limits_that_are_off_by_roots_of_the_width_agree(widths):
    """With so many seeds that the bias is tens of standard errors; and other limits do not."""
    samples, predicted = list(map(many, widths)), corrections_of_off()
    limits = tpc.parse(OFF).compile()().limits
    report = verify(limits, samples, corrections=predicted)
    assert report.agrees, str(report)
    assert [output.gap.order.tolist() for output in report.outputs] == [0.5, 0.5, 0.5, 1.0]
    assert "n·bias: none" in str(report)
    by_whole_powers = {name: replace(own, order=None) for name, own in predicted.items()}
    if len(widths) > 1:
        assert not verify(limits, samples, corrections=by_whole_powers).limit_agrees
    for name in limits:
        wrong = limits | {name: (limits[name][0] + 0.5 * (2 if len(widths) == 1 else 1), None)}
        other = verify(wrong, samples, corrections=predicted)
        assert [output.name for output in other.outputs if not output.agrees] == [name]
