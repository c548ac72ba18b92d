"""Kernels and limits in JAX programs: jit, grad, vmap, no switch of precision, no compiling in loops."""

import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tpc.kernels.strips import one_of_few

PROGRAMS = Path(__file__).parents[2] / "programs"
NET = """width n
input xs[2, 3]
weight U : n x 3, scale = 3^(-1/2)
weight V : 1 x n
network f(x) = V @ erf(U @ x)
output K[i, j] = ntk(f)(xs[i], xs[j]) for i < 2 for j < 2
"""
SAMPLED = """width n
input y[2], eta = 0.5
vector u, v, w : n ~ N(0, 1)
output loss[t] = mean(tanh(u*v + y[t]*w)*tanh(eta*w)) for t < 2
"""
rng = np.random.default_rng(0)
X, Z = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))


@pytest.fixture(scope="module")
def kernels():
    return tpc.parse(NET).kernels()


@pytest.fixture
def x64():
    """Scoped, as a user may have it."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def compiled():
    """How often XLA has compiled something since."""
    events = []

    def heard(event, *_, **__):
        if "backend_compile" in event:
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(heard)
    yield events
    jax.monitoring.unregister_event_duration_listener(heard)


def test_a_kernel_is_a_jax_function(kernels, x64):
    kernel = kernels.ntk
    function = kernel.function()
    wanted = kernel(X, Z)
    np.testing.assert_allclose(function(X, Z), wanted, rtol=1e-12)
    np.testing.assert_allclose(jax.jit(function)(X), kernel(X), rtol=1e-12)

    def entry(x, z):
        return function(x[None], z[None])[0, 0]

    pairs = jax.jit(jax.vmap(jax.vmap(entry, (None, 0)), (0, None)))
    np.testing.assert_allclose(pairs(X, Z), wanted, rtol=1e-12)
    slope = jax.grad(entry)(jnp.asarray(X[0]), jnp.asarray(Z[1]))
    step = 1e-5 * np.eye(3)
    differences = (kernel(X[0] + step, Z[1:2]) - kernel(X[0] - step, Z[1:2]))[:, 0] / 2e-5
    np.testing.assert_allclose(slope, differences, rtol=1e-7)
    assert np.all(np.isfinite(jax.grad(lambda x: entry(x, x))(jnp.asarray(X[0]))))
    with pytest.raises(tpc.TpcError):
        function(X[:, :2], Z)


def test_the_precision_of_the_process_stays_as_it_is(kernels):
    """With 64 bits off, numbers are in float64 all the same, and what JAX transforms in float32, said so."""
    function = kernels.ntk.function()
    with jax.enable_x64(False):
        assert kernels.ntk(X).dtype == np.float64
        assert function(X, Z).dtype == jnp.float64
        with pytest.warns(UserWarning, match=r"computed in float32: call jax.config.update"):
            traced = jax.jit(function)(X, Z)
        assert traced.dtype == jnp.float32
        np.testing.assert_allclose(traced, kernels.ntk(X, Z), rtol=1e-5)
        assert jnp.zeros(()).dtype == jnp.float32
        single = tpc.parse(NET).kernels(dtype="float32").ntk.function()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert jax.jit(single)(X).dtype == jnp.float32


def test_what_is_traced_is_refused_with_the_remedy(kernels):
    evaluator = tpc.parse("width n\ninput a\nvector v : n ~ N(0, 1)\noutput c = mean(a*v^2)\n").compile()
    for call in (lambda a: evaluator({"a": a})["c"].value, lambda a: kernels.ntk(a * X)[0, 0]):
        with pytest.raises(tpc.TpcError, match="traced by JAX") as error:
            jax.grad(call)(1.0)
        assert ".function(" in str(error.value)


def test_a_list_may_have_traced_values(x64):
    evaluator = tpc.parse(SAMPLED).compile(method="nodes", samples=64, repeats=2)
    loss = evaluator.function("loss")
    by_list = jax.grad(lambda a: loss({"y": [a, -a]})[-1])(0.5)
    by_array = jax.grad(lambda a: loss({"y": jnp.stack([a, -a])})[-1])(0.5)
    np.testing.assert_allclose(by_list, by_array)
    of_module = jax.grad(lambda a: evaluator.module.run({"y": [a, -a]})["loss"][0][-1])(0.5)
    np.testing.assert_allclose(of_module, by_array, rtol=1e-9)


def test_nothing_is_compiled_in_a_loop_of_calls(kernels, compiled):
    program = tpc.parse(SAMPLED)
    evaluator = program.compile(method="nodes", samples=64, repeats=2)
    loss = evaluator.function("loss")
    for k in range(4):
        given = {"y": [1.0, -1.0 / (1 + k)], "eta": 0.1 * (k + 1)}
        evaluator(given, seed=k)
        loss(given)
        kernels.ntk(X * k)
        program.simulate(given, width=8, seeds=[k, 9])
        if k == 0:
            compiled.clear()
    assert not compiled


def test_not_every_number_of_inputs_is_compiled_for(compiled):
    kernels = tpc.load(PROGRAMS / "architectures/mlp_kernel.tp").kernels()
    inputs = rng.normal(size=(12, 3))
    whole = kernels.nngp(inputs)
    np.testing.assert_array_equal(kernels.nngp(inputs[:9]), kernels.nngp(inputs[:9]))
    compiled.clear()
    for n in range(9, 12):
        np.testing.assert_allclose(kernels.nngp(inputs[:n]), whole[:n, :n], rtol=1e-14)
    assert not compiled
    sizes = [one_of_few(n) for n in range(1, 2000)]
    assert len(set(sizes)) <= 22
    assert all(n <= size <= max(n + 1, 1.5 * n) for n, size in enumerate(sizes, 1))
