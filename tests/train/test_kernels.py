"""`nngp(f)` and `ntk(f)` at finite width are the empirical kernels of dense networks, by `jax.jacobian`.

Ten random networks in the suite; `TPC_NETWORKS=200 pytest tests/train/test_kernels.py` takes 200.
"""

import os

import jax
import numpy as np
import pytest

import tpc
from tests.simulate.plain import run_plainly
from tests.train.kernel_networks import NETS, Net, any_draws, dense_weights, empirical
from tests.train.random_networks import random_network
from tpc.core.inputs import bind_inputs

COUNT = int(os.environ.get("TPC_NETWORKS", "10"))


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


@pytest.mark.parametrize("name", NETS)
def test_at_finite_width_they_are_the_empirical_kernels(name):
    net = NETS[name]
    xs = np.random.default_rng(0).standard_normal((2, 3, 2))
    program = tpc.parse(net.text())
    inputs = bind_inputs(program, {"xs": xs})
    drawn = any_draws(program)
    found = run_plainly(program, inputs, drawn)
    nngp, ntk = empirical(net, dense_weights(net, drawn), xs)
    np.testing.assert_allclose(found["S"], nngp, rtol=1e-10)
    np.testing.assert_allclose(found["T"], ntk, rtol=1e-10)


@pytest.mark.parametrize("seed", range(COUNT))
def test_at_finite_width_they_are_the_empirical_kernels_of_random_networks(seed):
    """Networks with a layer of a few units inside have no kernel: these units would be random in the
    limit."""
    case = random_network(seed)
    given = {
        "lr": case.multipliers,
        "std": case.stds,
        "scale": case.scales,
        "frozen": dict.fromkeys(case.frozen, True),
    }
    attributes = {
        name: {attribute: values[name] for attribute, values in given.items() if name in values}
        for name in case.weights
    }
    net = Net(case.weights, "", case.forward, attributes)
    ends = "".join(
        f"output {name}[i, j] = {kernel}(f)(xs[i], xs[j]) for i < 3 for j < 3\n"
        for name, kernel in (("S", "nngp"), ("T", "ntk"))
    )
    text = case.text[: case.text.index("train f")] + ends
    if "q" in {side for pair in case.weights.values() for side in pair}:
        with pytest.raises(tpc.TpcError, match="TP721"):
            tpc.parse(text)
        return
    program = tpc.parse(text)
    drawn = any_draws(program)
    found = run_plainly(program, bind_inputs(program, case.inputs), drawn)
    nngp, ntk = empirical(net, dense_weights(net, drawn), case.inputs["xs"])
    np.testing.assert_allclose(found["S"], nngp, rtol=1e-9, atol=1e-12, err_msg=text)
    np.testing.assert_allclose(found["T"], ntk, rtol=1e-9, atol=1e-12, err_msg=text)


@pytest.mark.parametrize("name", ["deep", "recurrent"])
def test_they_are_those_of_the_ntk_parametrization_whatever_the_program_trains_in(name):
    text = NETS[name].text()
    first = str(tpc.parse(text))
    for chosen in ("sp", "ntp", "uniform(r = 1/4)"):
        assert str(tpc.parse(text.replace("network", f"parametrization {chosen}\nnetwork", 1))) == first
