"""`tpc scale` of trainings of one round, which say what longer ones do."""

import dataclasses

import pytest

import tpc
from tests.scaling.test_scale import BODIES

TEXT = """width n
dim T = {rounds}, B = 2
input xi[T, B, 2], y[T, B], eta[3] = 0.1
activation phi = tanh
weight U : n x 2
{weights}
weight V : 1 x n
{own}
network f(x):
    {body}
train f for t < {count}:
    batch (xi[t, i], y[t, i]) for i < B
    loss(p, q) = (p - q)^2
    update {update}
output loss
"""
UPDATES = ["sgd(lr = eta[t])", "signsgd(lr = 0.1)", "muon(lr = 0.1)\n    update adam(lr = 0.1) otherwise"]


def verdict(rounds, **more):
    found = tpc.parse(TEXT.format(rounds=rounds, **more)).scale()
    return dataclasses.replace(found, blows_up=found.blows_up[:1])


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("own", ["", "parametrization ntp", "parametrization sp(c = 1/2)"])
@pytest.mark.parametrize("name", BODIES)
def test_one_round_is_classified_as_more_are(name, own, update):
    weights, body = BODIES[name]
    body = body.replace("\n", "\n    ")
    more = {"weights": weights, "body": body, "own": own, "update": update}
    wanted = verdict(3, count="T", **more)
    assert verdict(1, count="T", **more) == wanted
    assert verdict(1, count=1, **more) == wanted


@pytest.mark.parametrize(("c", "power"), [(1, "1/2"), ("5/4", "1/4")])
def test_sp_with_a_common_rate_by_signs(c, power):
    """Rates n^(-1) are not stable: f moves by n^(1/2); n^(-3/2) is the least stable one, a kernel."""
    own = "parametrization abc(a = [0, 0, 0], b = [0, 1/2, 1/2], c = [{0}, {0}, {0}], d = [1/2, 1/2, 0])"
    weights, body = BODIES["two layers"]
    more = {"count": 1, "weights": weights, "body": body, "update": "signsgd(lr = 0.1)"}
    (blow,) = verdict(1, own=own.format(c), **more).blows_up
    assert str(blow.power) == power
    assert "f" in blow.quantity
    stable = verdict(1, own=own.format("3/2"), **more)
    assert (stable.regime, str(stable.r)) == ("kernel", "1/2")
