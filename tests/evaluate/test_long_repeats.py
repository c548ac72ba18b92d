"""Repeats in parts: the same bits as at once, told how far they are, and ended by Ctrl-C between parts."""

import numpy as np
import pytest

import tpc
from tpc.evaluate import long_repeats, side_by_side

TEXT = """width n
dim T = 6
input xi[T], y[T]
weight U : n x 1
weight V : 1 x n
network f(x) = V @ tanh(U @ x)
train f for t < T:
    batch (xi[t], y[t])
    loss mse
    update sgd(lr = 0.5)
output loss
"""
GIVEN = {"xi": np.linspace(-1, 1, 6), "y": np.ones(6)}


@pytest.fixture(scope="module")
def evaluator():
    return tpc.parse(TEXT).compile(method="nodes", samples=64, repeats=4)


def same(one, other):
    return all(
        np.array_equal(one[name].value, other[name].value)
        and np.array_equal(one[name].stderr, other[name].stderr)
        for name in one
    )


def test_parts_have_the_bits_of_the_whole_and_say_how_far_they_are(evaluator, monkeypatch):
    short = []
    whole = evaluator(GIVEN, rounds=lambda done, count: short.append(done))
    assert not short
    monkeypatch.setattr(long_repeats, "LONG", 0.0)
    monkeypatch.setattr(long_repeats, "PARTS", 3)
    told = []
    parts = evaluator(GIVEN, rounds=lambda done, count: told.append((done, count)))
    assert same(whole, parts)
    assert told == [(done, 24) for done in range(2, 25, 2)]


def test_an_interrupted_repeat_is_begun_again_and_gives_the_same_bits(evaluator, monkeypatch, tmp_path):
    whole = evaluator(GIVEN)
    monkeypatch.setattr(long_repeats, "LONG", 0.0)
    monkeypatch.setattr(side_by_side, "processors", lambda: 1)
    folder = tmp_path / "kept"

    def stop(at):
        def told(done, count):
            if done == at:
                raise KeyboardInterrupt

        return told

    with pytest.raises(KeyboardInterrupt):
        evaluator(GIVEN, rounds=stop(3), checkpoint=folder)
    assert not list(folder.rglob("repeat-*.npz"))
    partial = evaluator(GIVEN, rounds=stop(23), checkpoint=folder)
    assert partial.interrupted
    assert len(list(folder.rglob("repeat-*.npz"))) == 3
    assert same(whole, evaluator(GIVEN, checkpoint=folder))
