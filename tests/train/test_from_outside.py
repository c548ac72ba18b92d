"""A loss and an optimizer are a record each: one that is added from outside is known wherever those are that
tpc comes with."""

import dataclasses

import numpy as np
import pytest

import tpc
from tpc.editors.completions import completions
from tpc.editors.meanings import meaning_of_word
from tpc.editors.open_text import OpenText
from tpc.train.losses import LOSSES, LossFunction, summed_over_outputs
from tpc.train.optimizer_rules import OPTIMIZERS, NamedOptimizer

TRAINING = """width n
dim T = 3
input x[T, {inputs}] = 1, y[T, {outputs}] = -1
weight U : n x {inputs}
weight V : {outputs} x n
network f(x) = V @ (U @ x)
train f for t < T:
    batch ({x}, {y})
    loss {loss}
    update {update}
output loss
"""
SCALAR = {"inputs": 1, "outputs": 1, "x": "x[t, 0]", "y": "y[t, 0]"}
SEVERAL = {"inputs": 2, "outputs": 2, "x": "x[t]", "y": "y[t]"}
QUARTIC = LossFunction(
    *summed_over_outputs(
        lambda m, p, i: m.div(m.power(m.sub(p.f(i), p.y(i)), 4), m.number(4)),
        lambda m, p, i: m.power(m.sub(p.f(i), p.y(i)), 3),
    ),
    meaning="(f − y)⁴/4, summed over outputs",
)
HALVES = NamedOptimizer(
    """
optimizer halves(share = 0.5, eps = 0):
    m = share*m + g
    return m/(abs(m) + 1)
""",
    "what is left of every gradient is halved",
    variants=(("eps", "optimizer halves(share = 0.5, eps = 0):\n    return g/(abs(g) + eps)\n"),),
)


def program(loss="mse", update="sgd(lr = 1/4)", shape=SCALAR, before=""):
    return tpc.parse(before + TRAINING.format(loss=loss, update=update, **shape))


def words(line):
    text = f"width n\ntrain f for t < 2:\n{line}\n"
    return {found.word: found.meaning for found in completions(OpenText("f.tp", text), 3, len(line) + 1)}


def message(loss="mse", update="sgd(lr = 1/4)", shape=SCALAR):
    with pytest.raises(tpc.TpcError) as caught:
        program(loss, update, shape)
    return str(caught.value)


@pytest.mark.parametrize("shape", [SCALAR, SEVERAL], ids=["scalar", "several"])
def test_a_loss(shape, monkeypatch):
    assert "quartic" not in words("    loss ")
    monkeypatch.setitem(LOSSES, "quartic", QUARTIC)
    named, own = (program(loss, shape=shape) for loss in ("quartic", "(f, y) = (f - y)^4/4"))
    assert tpc.parse(str(named)) == named
    assert named.scale().to_json() == own.scale().to_json()
    found, expected = (one.compile()({})["loss"] for one in (named, own))
    assert found.stderr is None
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-13)
    assert words("    loss ")["quartic"] == meaning_of_word("quartic") == QUARTIC.meaning
    assert "quartic" in message(loss="cubic")


def test_what_a_loss_lacks_is_told(monkeypatch):
    monkeypatch.setitem(
        LOSSES, "quartic", dataclasses.replace(QUARTIC, lack=lambda p: "" if p.units else "several outputs")
    )
    assert "several outputs" in message(loss="quartic")


@pytest.mark.parametrize("option", ["share = 1/4", "eps = 1/8"])
def test_an_optimizer(option, monkeypatch):
    text = dict(HALVES.variants)["eps"] if "eps" in option else HALVES.text
    own = program(update=f"own(lr = 1/4, {option})", before=text.replace("halves", "own").lstrip())
    assert "halves" not in words("    update ")
    monkeypatch.setitem(OPTIMIZERS, "halves", HALVES)
    named = program(update=f"halves(lr = 1/4, {option})")
    assert str(named) == str(own)
    assert words("    update ")["halves"].endswith(f": {HALVES.meaning}")
    assert {"lr", "share", "eps", "decay", "clip", "limit"} <= {*words("    update halves(")}
    assert "halves" in message(update="thirds(lr = 1)")
    assert "halves" in message(update="halves(lr = 1, momentum = 1)")


def test_an_optimizer_without_decay(monkeypatch):
    """Nor does that have it which stands in its place where an option is given."""
    monkeypatch.setitem(OPTIMIZERS, "halves", dataclasses.replace(HALVES, decays=False))
    for option in ("share = 1/4", "eps = 1/8"):
        assert "TP741" in message(update=f"halves(lr = 1, decay = 1/4, {option})")
    assert "TP741" in message(update="adam(lr = 1, decay = 1/4, root = 1)")
    assert str(program(update="adamw(lr = 1, decay = 1/4, root = 1)"))
