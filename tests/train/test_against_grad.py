"""The lowered training step at finite width against `jax.grad` on dense weights, on random networks.

Thirteen in the suite, which have all layers, activations, losses and options that there are.
`TPC_NETWORKS=200 pytest tests/train/test_against_grad.py` takes 200.
"""

import os

import jax
import numpy as np
import pytest

import tpc
from tests.simulate.plain import run_plainly
from tests.train.dense import outputs, parametrized, train
from tests.train.random_networks import random_network
from tpc.core.inputs import bind_inputs
from tpc.simulate.seeds import draws

SEEDS = range(int(os.environ["TPC_NETWORKS"])) if "TPC_NETWORKS" in os.environ else (*range(12), 19)
WIDTH = 12


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


@pytest.mark.parametrize("seed", SEEDS)
def test_training_is_that_of_jax_grad(seed):
    case = random_network(seed)
    program = tpc.parse(case.text)
    inputs = bind_inputs(program, case.inputs)
    drawn = draws(program, inputs, width=WIDTH, seed=seed)
    found = run_plainly(program, inputs, drawn)
    sizes = {"n": WIDTH, "m": 2 * WIDTH}
    sides = {"d": case.inputs["xi"].shape[-1], "k": case.outputs, "q": 2}
    weights = {
        name: tuple(sides.get(s, s) if s not in sizes else s for s in pair)
        for name, pair in case.weights.items()
    }
    w, a = parametrized(drawn, weights, sizes, WIDTH, scales=case.scales)

    def data(t):
        return [((case.inputs["xi"][t, i],), case.inputs["y"][t, i]) for i in range(case.batch)]

    losses, final = train(
        case.forward,
        w,
        a,
        WIDTH,
        data,
        loss=case.loss,
        rate=0.3,
        steps=case.steps,
        multipliers=case.multipliers,
        frozen=case.frozen,
        scales=case.scales,
        **case.options,
    )
    np.testing.assert_allclose(found["loss"], losses, rtol=1e-10, atol=1e-12, err_msg=case.text)
    trained = outputs(case.forward, final, case.inputs["xs"])
    np.testing.assert_allclose(found["g"], trained, rtol=1e-10, atol=1e-12, err_msg=case.text)
