"""Histories in blocks of steps: what they give is what one array of all steps gives, values and derivatives,
and whole programs give the same."""

import types
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tpc.emit.emit import emit
from tpc.emit.helpers import histories as prelude

TRAINING = Path(__file__).parent / "structures" / "training.tp"
STEPS, POINTS = 11, 40


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    jax.config.update("jax_enable_x64", True)
    monkeypatch.setattr(prelude, "BLOCK", 6)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
@pytest.mark.parametrize("count", [0, 1, 5, 6, STEPS])
def test_blocks_are_one_array(shape, count):
    random = np.random.default_rng(0)
    steps = random.standard_normal((STEPS, *shape, POINTS))
    history = prelude.history((STEPS, *shape, POINTS), jnp.float64)
    assert len(history) > 1
    for t in range(count):
        history = jax.jit(prelude.recorded)(history, t, steps[t])
    array = np.where(np.arange(STEPS).reshape(-1, *[1] * (len(shape) + 1)) < count, steps, 0)
    np.testing.assert_array_equal(prelude.whole(history), array)
    many, coefficients = random.standard_normal((3, POINTS)), random.standard_normal((3, *array.shape[:-1]))
    coefficients[:, count:] = 0
    found = jax.jit(jax.vmap(lambda x: prelude.products(history, x, count)))(many)
    np.testing.assert_allclose(found, np.einsum("...m,bm->b...", array, many), atol=1e-12)
    found = jax.jit(jax.vmap(lambda c: prelude.combined(history, c, count)))(coefficients)
    np.testing.assert_allclose(found, np.tensordot(coefficients, array, len(shape) + 1), atol=1e-12)


def modules():
    """The training program with its histories in blocks, and in arrays."""
    program = tpc.load(TRAINING, dims={"T": 6, "B": 6})
    plan = program.compile(samples=128, repeats=2).plan
    assert plan.structure.histories == {"x1", "dh2"}
    for histories in (plan.structure.histories, frozenset()):
        module = types.ModuleType("limit")
        chosen = replace(plan, structure=replace(plan.structure, histories=histories))
        exec(emit(chosen), module.__dict__)
        module.BLOCK = 18
        yield module


def test_programs_are_the_same():
    """Values, and derivatives backwards."""
    random = np.random.default_rng(1)
    blocks, arrays = modules()
    inputs = {
        "xi": random.standard_normal(blocks.INPUTS["xi"][0]),
        "y": random.standard_normal(blocks.INPUTS["y"][0]),
    }
    drawn = blocks.draw(0, 0, 128)
    found, expected = (
        jax.value_and_grad(
            lambda eta, module=module: jnp.sum(module.evaluated(inputs | {"eta": eta}, *drawn)[0]["loss"])
        )(0.5)
        for module in (blocks, arrays)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9)
