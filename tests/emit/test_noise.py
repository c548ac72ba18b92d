"""Inner products on sampled points have errors: what is below them is no new direction, and is taken out of
Ż."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tests.bench.long_training import PROGRAM, inputs
from tpc.emit.helpers import bases as prelude


def test_inner_products_are_shrunk_by_the_share_of_their_squares_that_is_error():
    jax.config.update("jax_enable_x64", True)
    random = np.random.default_rng(0)
    size, noise = 64, 0.25
    weights = jnp.full(size, 1 / size)
    far, x = (
        (prelude.basis(jnp.asarray(random.standard_normal((3, size)))),),
        jnp.asarray(random.standard_normal(size)),
    )
    for y in random.standard_normal((2, size)) * np.array([[1], [1e-3]]):
        _, far = prelude.multiply(far, (), jnp.asarray(y), 1.0, 0.0, weights, 1e-8)
    g, p, reach = np.asarray(far[0].g[0]), np.asarray(far[0].p[0]), np.asarray(far[0].reach)
    assert reach[0] > 0.5
    assert 0 < reach[1] < 2e-3
    assert reach[2] == 0
    c = g @ x / size
    error = noise / size * (x @ x / size - c @ c)
    np.testing.assert_allclose(
        prelude.onsager(far, x, weights, noise), (c * reach**2 / (reach**2 + error)) @ p, rtol=1e-12
    )
    np.testing.assert_allclose(prelude.onsager(far, x, weights), c @ p, rtol=1e-12)


def test_a_direction_below_the_noise_is_not_new():
    jax.config.update("jax_enable_x64", True)
    size = 1000
    a, b = np.linalg.qr(np.random.default_rng(1).standard_normal((size, 2)))[0].T * size**0.5
    weights = jnp.full(size, 1 / size)
    for part, counts in ((4e-3, (2, 1)), (6e-3, (2, 2))):  # √(0.25/1000/10) = 5e-3
        for noise, count in zip((0.0, 0.25), counts, strict=True):
            near = (prelude.basis(jnp.zeros((4, size))),)
            for x in (a, a + part * b):
                _, near = prelude.meet(near, jnp.asarray(x), weights, 1e-8, noise)
            assert near[0].count == count
            assert near[0].lost == 0


@pytest.mark.usefixtures("optimised")
def test_errors_do_not_breed_in_long_trainings():
    """300 steps: the limit's losses from few points are those from eight times as many, within the errors;
    when every error was a direction they
    were not: each of 300 directions sent its own back."""
    steps = 300
    program, given = tpc.load(PROGRAM, dims={"T": steps}), inputs(steps, 0.1)
    module = program.compile(samples=1024, repeats=8).module
    few = module.claims(module.evaluations(given, lambda k: module.draw(1024, k), 8))["loss"]
    many = program.compile(samples=8192, repeats=2)(given, seed=8192)["loss"].value
    assert np.sqrt(np.mean(few.spread**2)) < 5e-4
    assert np.sqrt(np.mean((few.value - many) ** 2)) < 1e-3
