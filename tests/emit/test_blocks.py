"""Products of whole batches: one product of matrices gives what its rows give one after the other, values,
bases, losses and derivatives."""

import functools
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tests.values import values_only
from tpc.emit.helpers import bases as prelude
from tpc.emit.helpers import batches

STRUCTURES = Path(__file__).parent / "structures"
TRAINING = STRUCTURES / "training.tp"
POINTS = 96
KINDS = ["independent", "repeated", "zero", "dependent", "nearly", "scales"]


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


def sequential(near, far, xs, scale, ratio, weights, tolerance, freed=None):
    """`multiply_all` by its definition."""
    out = []
    for x in xs:
        y, near = prelude.multiply(near, far, x, scale, ratio, weights, tolerance, freed)
        out.append(y)
    return jnp.stack(out), near


@functools.cache
def compiled(multiply, block, exact):
    """`multiply_all`, or `sequential`, with this BLOCK, compiled once for all kinds of rows."""
    weights = jnp.full(POINTS, 1 / POINTS)
    freed = None if exact else weights
    return jax.jit(lambda near, far, xs: multiply(near, far, xs, 0.7, 1.3, weights, 1e-8, freed))


def rows(kind, random):
    """Six vectors [6, POINTS] of which some are not new: so many of every kind, that one compilation serves
    all."""
    a, b, c, d, e, f = random.standard_normal((6, POINTS))
    return jnp.asarray(
        {
            "independent": [a, b, c, d, e, f],
            "repeated": [a, b, a, 2 * b, c, c],
            "zero": [0 * a, a, 0 * a, b, c, 0 * a],
            "dependent": [a, b, a - 3 * b, c, a + b + c, d],
            "nearly": [a, a + 1e-3 * b, a - 1e-6 * c, d, 5 * d + 1e-4 * c, e],
            "scales": [1e-9 * a, 1e6 * b, 1e-9 * a + 1e-6 * c, 1e-12 * d, 1e-3 * e, f],
        }[kind]
    )


def met(capacity, random):
    """A basis with three directions, and one of the transpose with five."""
    near, far = ((prelude.basis(jnp.asarray(random.standard_normal((k, POINTS)))),) for k in (capacity, 8))
    weights = jnp.full(POINTS, 1 / POINTS)
    _, near = sequential(near, (), random.standard_normal((3, POINTS)), 1.0, 0.0, weights, 1e-8)
    _, far = sequential(far, (), random.standard_normal((5, POINTS)), 1.0, 0.0, weights, 1e-8)
    return near, far, weights


def close(found, expected, tolerance=1e-10):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("kind", "capacity", "block", "exact"),
    [(kind, capacity, 128, False) for kind in KINDS for capacity in (16, 5)]
    + [("repeated", 3, 128, False), ("independent", 16, 4, False), ("dependent", 5, 4, False)]
    + [(kind, 16, 128, True) for kind in KINDS],
)
def test_a_block_is_its_rows_one_after_the_other(kind, capacity, block, exact, monkeypatch):
    monkeypatch.setattr(prelude, "BLOCK", block)
    monkeypatch.setattr(prelude, "BLOCKS", 1000)
    random = np.random.default_rng(1)
    near, far, weights = met(capacity, random)
    xs = rows(kind, random)
    size = jnp.sqrt(xs**2 @ weights)[:, None]
    size = jnp.where(size > 0, size, 1)
    (out, grown), (each, one_by_one) = (
        compiled(f, block, exact)(near, far, xs) for f in (batches.multiply_all, sequential)
    )
    close(out / size, each / size)
    assert grown[0].count == one_by_one[0].count
    close(grown[0].lost, one_by_one[0].lost)
    if kind != "nearly":  # what is 1e-6 of a vector is known to 1e-10 of itself
        close(grown[0].p, one_by_one[0].p)


@pytest.mark.parametrize("kind", ["independent", "nearly", "scales"])
def test_directions_are_orthonormal_to_rounding(kind):
    random = np.random.default_rng(2)
    near, far, weights = met(16, random)
    _, grown = compiled(batches.multiply_all, prelude.BLOCK, False)(near, far, rows(kind, random))
    p = jnp.concatenate(grown[0].p)[: grown[0].count]
    np.testing.assert_allclose((p * weights) @ p.T, np.eye(len(p)), atol=2e-14)


def test_a_chain_of_dependences_is_resolved():
    """b, c, d each hidden behind the one before: one elimination cannot see all of them."""
    random = np.random.default_rng(3)
    a, b, c, d = random.standard_normal((4, POINTS))
    xs = jnp.stack([a, a + 1e-5 * b, b + 1e-5 * c, c + 1e-5 * d])
    near, far, weights = met(16, random)
    _, grown = batches.multiply_all(near, far, xs, 1.0, 1.0, weights, 1e-8)
    p = jnp.concatenate(grown[0].p)[: grown[0].count]
    np.testing.assert_allclose((p * weights) @ p.T, np.eye(7), atol=2e-14)


@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev])
@pytest.mark.parametrize("kind", ["independent", "repeated", "zero", "dependent"])
def test_derivatives_of_a_block_are_those_of_its_rows(kind, mode):
    random = np.random.default_rng(4)
    near, far, _ = met(9, random)
    xs, change = rows(kind, random), jnp.asarray(random.standard_normal((2, POINTS)))
    found, expected = (
        slopes(f, mode)(jnp.array([0.9, 0.3, 0.5]), near, far, xs, change)
        for f in (batches.multiply_all, sequential)
    )
    assert np.all(np.isfinite(found))
    close(found, expected, 1e-8)


@functools.cache
def slopes(multiply, mode):
    """The derivatives of what two products give, one after the other, compiled once for all kinds of rows."""

    def f(theta, near, far, xs, change):
        weights = jnp.full(POINTS, 1 / POINTS)
        moved = jnp.tanh(xs * theta[0] + theta[1] * change[0]) * (xs != 0)
        ys, grown = multiply(near, far, moved, 0.7, 1.3, weights, 1e-8, weights)
        zs, _ = multiply(
            far, grown, jnp.tanh(ys + theta[2] * change[1]), 0.7, 1 / 1.3, weights, 1e-8, weights
        )
        return jnp.concatenate([(ys**2) @ weights, (zs * ys) @ weights])

    return jax.jit(mode(f))


def data(program, random, repeated=False):
    inputs = {
        i.name: random.integers(0, i.bound, i.shape) if i.bound else random.standard_normal(i.shape)
        for i in program.inputs
    }
    if repeated:
        inputs["xi"] = np.broadcast_to(
            inputs["xi"][:, :1] / (1 + np.arange(inputs["xi"].shape[1])[:, None] / 2), inputs["xi"].shape
        )
    return inputs


@pytest.mark.parametrize(
    ("dims", "repeated", "rank"),
    [
        ({}, False, None),
        ({}, True, None),
        ({"T": 2, "B": 5, "d": 3}, False, None),
        ({"B": 1}, False, None),
        ({}, False, 4),
    ],
)
def test_batches_are_their_examples_one_after_the_other(dims, repeated, rank):
    program = tpc.load(TRAINING, dims=dims)
    inputs = data(program, np.random.default_rng(0), repeated)
    options = {"samples": 256, "repeats": 2, "max_rank": rank}
    rolled, flat = (values_only(each.compile(**options))(inputs) for each in (program, program.unroll()))
    for name in rolled.outputs:
        np.testing.assert_allclose(rolled[name].value, flat[name].value, rtol=1e-10, atol=1e-12)
    assert rolled.notes == flat.notes
    assert any("the rank is too small" in note for note in rolled.notes) == (rank is not None)


def test_no_example_is_multiplied_alone():
    body = tpc.load(TRAINING).compile().source.split("def limit(")[1].split("\n\n\n")[0]
    assert body.count("= product_all(") == 2
    assert "product(" not in body
    assert "total(" not in body
    assert body.count("fori_loop") == 1


def test_cost_follows_the_rank_that_is_met():
    """Five examples that are one: as many directions as steps."""
    program = tpc.load(TRAINING, dims={"B": 5})
    inputs = data(program, np.random.default_rng(0), repeated=True)
    assert not values_only(program.compile(samples=256, repeats=2, max_rank=3))(inputs).notes


@functools.cache
def last_loss(mode=None):
    """The last loss of training, or a derivative of it, by the rate and inputs: compiled once for all."""
    limit = types.ModuleType("limit")
    exec(tpc.load(TRAINING).compile(samples=256, repeats=2).source, limit.__dict__)

    def last(eta, inputs):
        return limit.run({**inputs, "eta": eta}, seed=3)["loss"][0]

    return jax.jit(last if mode is None else mode(last))


@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev])
@pytest.mark.parametrize("repeated", [False, True])
def test_derivatives_of_training_on_batches(mode, repeated):
    inputs = data(tpc.load(TRAINING), np.random.default_rng(0), repeated)
    near, far = (
        (last_loss()(0.5 + step, inputs) - last_loss()(0.5 - step, inputs)) / (2 * step)
        for step in (5e-4, 1e-3)
    )
    difference = (4 * near - far) / 3  # of the fourth order
    np.testing.assert_allclose(last_loss(mode)(0.5, inputs), difference, rtol=5e-11)
