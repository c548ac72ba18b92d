"""Errors of the covariances of what is random in the limit are in the outputs that are made of it."""

from dataclasses import replace

import numpy as np
import pytest

import tpc
from tpc.pipeline import compile_program

TEXT = """width n
vector v : n ~ N(0, 1)
vector u[i < 2] : n ~ N(0, 1)
f[i] = n^(1/2)*mean(v*{function}) for i < 2
output a[i] = 2*f[i] for i < 2
output b = f[0]^2*f[1]
output c = mean(u[0]^2)
"""
SEEDS = 12


def evaluators(function, initial, **options):
    """The limit with the covariances of its start in closed form or by quadrature, and from few points."""
    exact = tpc.parse(TEXT.format(function=function)).compile(initial=initial)
    own = replace(exact.options, method="nodes", initial=None, **options)
    few = compile_program(exact.start.initial.covariances, own)
    return exact, replace(exact, start=replace(exact.start, evaluator=few))


def z(found, truth, error):
    return np.ravel((found - truth) / np.maximum(error, 1e-300))


def test_of_a_start_that_is_drawn():
    exact, few = evaluators("tanh(2*u[i] + u[0])", 5, samples=128, repeats=8)
    truth = exact()
    assert all(truth[name].stderr is None for name in "ac")
    found = [few(seed=seed) for seed in range(SEEDS)]
    assert all(each["c"].stderr is None for each in found)
    for name in "ab":
        of_seeds = np.array([z(each[name].value, truth[name].value, each[name].stderr) for each in found])
        assert np.abs(of_seeds).max() < 4
        assert 0.2 < np.sqrt(np.mean(of_seeds**2)) < 1.5
        assert all(np.all(each[name].stderr < 0.2) for each in found)


def test_of_a_start_that_is_given():
    _, few = evaluators("tanh(2*u[i] + u[0])", {"f": [0.3, -1.0]}, samples=128, repeats=8)
    result = few()
    np.testing.assert_array_equal(result["a"].value, [0.6, -2.0])
    assert all(each.stderr is None for each in result.values())
    _, drawn = evaluators("tanh(2*u[i] + u[0])", 5, samples=128, repeats=8)
    (name,) = drawn.start.names
    assert drawn({name: [0.3, -1.0]})["a"].stderr is None


def test_of_a_start_that_is_integrated_over():
    exact, few = evaluators("tanh(2*u[i] + u[0])", "integrate", samples=128, repeats=8)
    truth = exact()
    assert np.all(truth["a"].std_error < 1e-9)
    found = [few(seed=seed) for seed in range(SEEDS)]
    of_seeds = np.array([z(each["a"].std, truth["a"].std, each["a"].std_error) for each in found])
    assert np.abs(of_seeds).max() < 4
    assert np.sqrt(np.mean(of_seeds**2)) < 1.5
    shown = str(found[0]).replace(" ", "")
    assert "a[0]=0,overthestart±(" in shown
    assert found[0].to_json()["outputs"]["a"]["std_error"][0] > 1e-3


@pytest.mark.parametrize("initial", [5, "integrate"])
def test_without_a_finite_error_of_the_start_there_is_none(initial):
    _, few = evaluators("exp(3*u[i])", initial, samples=1024, repeats=8)
    result = few()
    assert np.isinf(result["b"].stderr).all()
    assert "no finite error" in result["b"].reason
    assert np.isfinite(result["b"].value).all()
    assert np.isinf(result["a"].stderr if initial == 5 else result["a"].std_error).all()
    assert result["c"].stderr is None


@pytest.mark.parametrize("initial", [5, "integrate"])
def test_functions_of_inputs_have_the_same_values(initial):
    _, few = evaluators("tanh(2*u[i] + u[0])", initial, samples=128, repeats=8)
    np.testing.assert_allclose(few.function("a")({}), few()["a"].value, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("function", ["tanh", "erf", "cos"])
def test_what_is_by_quadrature_is_integrated_over_the_start(function):
    """The points of a rule are those of all batches, and its error is in those of the outputs."""
    text = "width n\nvector u : n ~ N(0, 1)\nvector v : n ~ N(0, 1)\nf = n^(1/2)*mean(v*u)\n"
    text += f"output a = mean(v^2*{function}(u)^2) - f^2\noutput b = mean({function}(u)^2)\n"
    own = tpc.parse(text).compile(initial="integrate")()
    assert abs(own["a"].value - own["b"].value + 1) < 4 * own["a"].stderr + 1e-9
    assert abs(own["a"].std - 2**0.5) < 4 * own["a"].std_error
    assert 0 < own["a"].std_error < 0.1
