"""Few-shot learning in the linear representation does what Algorithm 3 does (TP4 Sec 9.2, Appendix D)."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tests.oracles.algorithm_3 import algorithm_3

PROGRAM = Path(__file__).parents[2] / "programs" / "experiments" / "maml.tp"
STEPS, WAYS, QUERIES, TASKS, DRAWINGS, PIXELS = 200, 3, 4, 6, 60, 24


def inputs():
    rng = np.random.default_rng(3)
    images = rng.standard_normal((DRAWINGS // 4, PIXELS)).repeat(4, axis=0) + 0.3 * rng.standard_normal(
        (DRAWINGS, PIXELS)
    )
    return {
        "images": images,
        "eta": np.linspace(0.4, 0.1, STEPS),
        "epsilon": 0.4,
        "support": rng.integers(0, DRAWINGS, (STEPS, TASKS, WAYS)),
        "query": rng.integers(0, DRAWINGS, (STEPS, TASKS, WAYS * QUERIES)),
        "y": np.arange(WAYS),
        "z": np.repeat(np.arange(WAYS), QUERIES),
        "unseen": images[:20],
        "shown": rng.integers(0, 20, (5, WAYS)),
        "asked": rng.integers(0, 20, (5, WAYS * 3)),
        "w": np.arange(WAYS).repeat(3),
    }


@pytest.mark.parametrize("reordered", [True, False])
def test_200_steps_are_those_of_algorithm_3(reordered, monkeypatch):
    jax.config.update("jax_enable_x64", True)
    if not reordered:
        monkeypatch.setattr("tpc.plan.make_plan.reassociate", lambda program, size: program)
    dims = {"T": STEPS, "K": TASKS, "ways": WAYS, "queries": QUERIES, "N": DRAWINGS, "d": PIXELS}
    given = inputs()
    evaluator = tpc.load(PROGRAM, dims=dims).compile()
    assert evaluator.plan.method == "linear"
    assert ("h1_1_t =" in evaluator.source) != reordered
    arrays = (jnp.asarray(given[name]) for name in ("images", "support", "query", "y", "z", "eta", "epsilon"))
    losses = algorithm_3(*arrays, steps=STEPS, ways=WAYS)[0]
    found = evaluator(given)
    np.testing.assert_allclose(found.outputs["loss"].value, losses, rtol=1e-12, atol=1e-12)
    assert losses[-1] < losses[0]
