"""Options of optimizers that are made of inputs: looked at when these are given, in every round."""

import numpy as np
import pytest

import tpc
from tests.two_hidden_layers import trained

HEAD = "dim T = 3, B = 1, d = 1\ninput xi[T, B, d], y[T, B], ep = 0.1, b = 0.5, bs[T] = 0.5"
DATA = {"xi": np.ones((3, 1, 1)), "y": np.ones((3, 1))}
REST = " of W\n    update sgd(lr = 0.1) otherwise"
CASES = [
    ("adam(lr = 0.1, eps = ep)", {"ep": -0.1}, "`eps` is -0.1, and must be at least 0"),
    ("adam(lr = 0.1, beta2 = b)", {"b": 1}, "`beta2` is 1, and must be at least 0 and below 1"),
    ("adam(lr = bs, beta1 = bs)", {"bs": [0.5, 0.5, 1.5]}, "`beta1` is 1.5 at t = 2"),
    (f"shampoo(lr = 0.1, eps = ep){REST}", {"ep": 0}, "`eps` is 0, and must be above 0"),
    (f"muon(lr = 0.1, momentum = b){REST}", {"b": 1}, "`momentum` is 1"),
    ("adamw(lr = 0.1, decay = 2*ep)", {"ep": -1}, "`decay` is -2"),
    ("lion(lr = 0.1, clip = ep)", {"ep": 0}, "`clip` is 0, and must be above 0"),
    ("sgd(lr = 0.1, momentum = b - 1)", {"b": 0.5}, "`momentum` is -0.5"),
]


@pytest.mark.parametrize(("update", "wrong", "told"), CASES)
def test_a_value_out_of_its_range_is_told_before_anything_runs(update, wrong, told):
    program = tpc.parse(trained(HEAD, update))
    for run in (
        program.compile(samples=64, repeats=2),
        lambda data: program.simulate(data, width=4, seeds=1),
    ):
        with pytest.raises(tpc.TpcError, match="TP702") as error:
            run({**DATA, **wrong})
        (diagnostic,) = error.value.diagnostics
        assert told in diagnostic.message
        assert diagnostic.at is not None


def test_values_in_range_run():
    program = tpc.parse(trained(HEAD, "adam(lr = 0.1, eps = ep, beta1 = bs, beta2 = b)"))
    loss = program.simulate({**DATA, "bs": [0, 0.5, 0.9], "ep": 0.01}, width=4, seeds=1).outputs["loss"]
    assert np.isfinite(loss).all()
