"""Outputs as JAX functions of the inputs: learning rates, standard deviations, covariances, data; forwards,
backwards, over grids."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tests.evaluate.programs import PROGRAMS, two_layers
from tests.values import values_only

# Two hidden layers trained for a few steps; every kind of input that a number may depend on.
NODES = """
width n
dim T = 4
input eta = 0.4, s = 1.1, rho = 0.3, mu = 0.2
input xi[t < T] = 1, y[t < T] = -1
matrix W : n x n ~ N(0, s^2/n)
vector (U0, V0) : n ~ N([mu, 0], [[1, rho], [rho, 1 + rho^2]])
U[0] = U0
V[0] = V0
for t < T:
    x[t] = tanh(xi[t]*U[t])
    h[t] = W @ x[t] - eta*sum(r < t: χ[r]*mean(x[r]*x[t])*dh[r])
    f[t] = mean(V[t]*tanh(h[t]))
    χ[t] = f[t] - y[t]
    loss[t] = χ[t]^2/2
    dh[t] = V[t]*tanh'(h[t])
    dx[t] = W.T @ dh[t] - eta*sum(r < t: χ[r]*mean(dh[r]*dh[t])*x[r])
    V[t+1] = V[t] - eta*χ[t]*tanh(h[t])
    U[t+1] = U[t] - eta*χ[t]*xi[t]*dx[t]*tanh'(xi[t]*U[t])
output loss
"""
LINEAR = (
    NODES.replace("tanh'", "one")
    .replace("tanh", "same")
    .replace("U[0] =", "def same(a) = a\ndef one(a) = 1\nU[0] =")
)
INPUTS = {
    "eta": 0.4,
    "s": 1.1,
    "rho": 0.3,
    "mu": 0.2,
    "xi": np.array([1.0, -0.5, 1.0, 0.8]),
    "y": np.array([-1.0, 1.0, 0.5, 1.0]),
}
KINDS = {"nodes": (NODES, {"samples": 512, "repeats": 3}), "linear": (LINEAR, {})}


@pytest.fixture(scope="module", params=KINDS)
def evaluator(request):
    text, options = KINDS[request.param]
    made = values_only(tpc.parse(text).compile(**options))
    assert made.plan.method == request.param
    return made


def given():
    # of one type, so that there is one compilation
    return {name: jnp.asarray(value, float) for name, value in INPUTS.items()}


def difference(f, inputs, name, index):
    """The derivative of f by one entry of an input: central differences, extrapolated in the step."""

    def shifted(step):
        value = np.array(inputs[name], dtype=float)
        value[index] += step
        return np.asarray(f({**inputs, name: value}))

    slopes = [(shifted(step) - shifted(-step)) / (2 * step) for step in (2e-4, 1e-4)]
    return (4 * slopes[1] - slopes[0]) / 3


def test_it_is_what_calling_gives(evaluator):
    loss, called = evaluator.function("loss", seed=5), evaluator(given(), seed=5)
    np.testing.assert_allclose(loss(given()), called["loss"].value, rtol=1e-12)


@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev])
def test_derivatives_by_every_input(evaluator, mode):
    loss, inputs = evaluator.function("loss"), given()
    slopes = jax.jit(mode(loss))(inputs)
    assert set(slopes) == set(inputs)
    for name, slope in slopes.items():
        for index in np.ndindex(np.shape(inputs[name])):
            found = np.asarray(slope)[(slice(None), *index)]
            np.testing.assert_allclose(
                found,
                difference(loss, inputs, name, index),
                rtol=1e-5,
                atol=1e-8,
                err_msg=f"{name}{list(index)}",
            )
    for name in ("eta", "s", "rho"):
        assert np.abs(np.asarray(slopes[name])).max() > 1e-2, name  # so that there was something to compare


def test_second_derivatives(evaluator):
    """Newton's method for a learning rate needs them."""
    loss = evaluator.function("loss")

    def last(eta):
        return loss({**given(), "eta": eta})[-1]

    slope, step = jax.jit(jax.grad(last)), 1e-4
    by_hand = (slope(0.4 + step) - slope(0.4 - step)) / (2 * step)
    np.testing.assert_allclose(jax.jit(jax.jacfwd(jax.grad(last)))(0.4), by_hand, rtol=1e-5)


def test_a_grid_of_learning_rates(evaluator):
    loss, rates = evaluator.function("loss"), jnp.linspace(0.1, 1, 5)
    curve = jax.jit(jax.vmap(lambda eta: loss({**given(), "eta": eta})))(rates)
    assert curve.shape == (5, 4)
    for k, eta in enumerate(rates):
        np.testing.assert_allclose(curve[k], evaluator({**given(), "eta": eta})["loss"].value, rtol=1e-10)


def test_gradient_descent_on_the_learning_rate_finds_the_best_one():
    program, inputs = two_layers(4)
    loss = program.compile(samples=256, repeats=2).function("loss")

    @jax.jit
    def both(eta):
        return jax.value_and_grad(lambda e: loss({**inputs, "eta": e})[-1])(eta)

    eta = 0.2
    for _ in range(60):
        eta = eta - 0.2 * both(eta)[1]
    around = [float(both(eta + shift)[0]) for shift in (-0.02, 0, 0.02)]
    assert abs(both(eta)[1]) < 1e-3
    assert min(around) == around[1]


def test_grids_of_quadrature_take_the_finer():
    evaluator = tpc.load(PROGRAMS / "paper/thm_6_1.tp").compile()
    assert evaluator.plan.points == "panels"
    np.testing.assert_allclose(evaluator.function("f")({}), evaluator()["f"].value, rtol=1e-12)


def test_wrong_names_are_refused(evaluator):
    with pytest.raises(ValueError, match="no output g"):
        evaluator.function("g")
    with pytest.raises(ValueError, match="no input gamma"):
        evaluator.function("loss")({"gamma": 1.0})
    with pytest.raises(ValueError, match="shape"):
        evaluator.function("loss")({"y": jnp.ones(3)})


def test_memory_does_not_grow_with_repeats():
    def memory(repeats):
        loss = two_layers(30)[0].compile(samples=512, repeats=repeats).function("loss")
        compiled = (
            jax.jit(jax.grad(lambda eta: loss({"eta": eta})[-1])).lower(0.4).compile().memory_analysis()
        )
        return compiled.temp_size_in_bytes, compiled.argument_size_in_bytes

    few, many = memory(2), memory(16)
    points = 14 * 62 * 512 * 8  # the points of 14 more repeats: constants or arguments, one copy
    assert many[0] - few[0] < 1.5 * points
