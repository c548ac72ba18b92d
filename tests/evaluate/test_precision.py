"""JAX's 64 bits are left as they were found, by all that computes, and functions of float64 are transformed
where there are none."""

import copy
import os
import pickle
import subprocess
import sys
import threading
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc

NODES = """width n
dim T = 3
input y = 1, eta = 1/2
vector v : n ~ N(0, 1)
matrix W : n x n ~ N(0, 1/n)
x[0] = v
for t < T:
    x[t+1] = tanh(eta*(W @ x[t])) + y*v
output m[t] = mean(x[t]^2) for t < T
"""
KERNEL = "width n\nweight U : n x 3\nweight V : 1 x n\nnetwork f(x) = V @ tanh(U @ x)\noutput q = 1\n"
START = """width n
dim T = 2
input x[T] = 1, y[T] = 1
weight U : n x 1
weight V : 1 x n
parametrization ntp
network f(x) = V @ relu(U @ x)
train f for t < T:
    batch (x[t], y[t])
    loss mse
    update sgd(lr = 1)
output loss
"""


def bits():
    return str(jnp.zeros(()).dtype)


@pytest.fixture(scope="module")
def evaluator():
    return tpc.parse(NODES).compile(method="nodes", samples=64, repeats=4)


@pytest.fixture(params=(False, True))
def found(request):
    with jax.enable_x64(request.param):
        yield "float64" if request.param else "float32"


def trained(evaluator):
    training = evaluator.training()
    state = training.of_leaves(training.leaves(training.advance(training.start(), 2)))
    assert {leaf.dtype for leaf in jax.tree.leaves(state.carried)} <= {
        np.dtype("float64"),
        np.dtype("int64"),
        np.dtype("int32"),
    }
    return training.outputs(state)["m"]


@pytest.mark.parametrize(
    "compute",
    [
        lambda evaluator: evaluator()["m"].value,
        lambda evaluator: evaluator.function("m")({"eta": 0.3}),
        trained,
        lambda evaluator: evaluator.program.simulate(width=32, seeds=2).outputs["m"],
        lambda evaluator: tpc.parse(KERNEL).kernels().ntk(np.ones((2, 3))),
        lambda evaluator: tpc.parse(START).compile(initial="integrate")()["loss"].value,
    ],
)
def test_bits_are_as_they_were(compute, evaluator, found):
    assert np.asarray(compute(evaluator)).dtype == np.float64
    assert bits() == found


def test_threads_have_their_own(evaluator):
    with jax.enable_x64(False):
        expected, seen = evaluator({"eta": 0.3})["m"].value, []

        def work():
            with jax.enable_x64(False):
                seen.append((evaluator({"eta": 0.3})["m"].value, bits()))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(seen) == 3
    assert all(np.array_equal(value, expected) and own == "float32" for value, own in seen)


def test_transformed_without_64_bits_it_is_single_precision(evaluator):
    def last(eta):
        return evaluator.function("m")({"eta": eta})[-1]

    with jax.enable_x64(True):
        exact = [float(f(last)(0.3)) for f in (jax.jit, jax.grad, jax.hessian)]
    with jax.enable_x64(False), pytest.warns(UserWarning, match="64 bits are off"):
        single = [f(last)(0.3) for f in (jax.jit, jax.grad, jax.hessian)]
    assert {str(value.dtype) for value in single} == {"float32"}
    np.testing.assert_allclose(single, exact, rtol=1e-4)


def test_with_64_bits_nothing_is_told(evaluator):
    with warnings.catch_warnings(), jax.enable_x64(True):
        warnings.simplefilter("error")
        slope = jax.grad(lambda eta: evaluator.function("m")({"eta": eta})[-1])(0.3)
    assert slope.dtype == "float64"


@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy])
def test_evaluators_that_have_run_are_copied(copied, evaluator):
    value = evaluator()["m"].value
    evaluator.function("m")({})
    np.testing.assert_array_equal(copied(evaluator)()["m"].value, value)


@pytest.mark.parametrize("platform", ["cuda", "no_such_thing"])
def test_a_platform_that_is_not_there(platform, tmp_path):
    path = tmp_path / "nodes.tp"
    path.write_text(NODES)
    done = subprocess.run(
        [sys.executable, "-m", "tpc.cli.main", "simulate", str(path), "--width", "8", "--seeds", "2"],
        capture_output=True,
        text=True,
        env={**os.environ, "JAX_PLATFORMS": platform},
    )
    assert done.returncode == 2
    assert f"error[TP614]: JAX cannot compute on what JAX_PLATFORMS asks for, `{platform}`" in done.stderr
    assert "help: unset JAX_PLATFORMS" in done.stderr


def test_nothing_is_truncated_on_the_way(evaluator):
    """JAX warns where float64 is asked for without 64 bits: what predicts memory, compiles or checks must
    have them, too."""
    x = np.random.default_rng(0).standard_normal((5, 3))
    with jax.enable_x64(False), warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluator()
        evaluator.memory()
        tpc.parse(NODES).compile(samples=64)()
        tpc.parse(NODES).simulate(width=8, seeds=2)
        kernels = tpc.parse(KERNEL).kernels(block=2)
        kernels(x)
        kernels.ntk.with_error(x, x[:2])
        kernels.nngp.diagonal(x)
