"""Repeats that are computed side by side are the very ones that the module computes one after the other."""

from dataclasses import replace
from threading import get_ident

import numpy as np
import pytest

import tpc
from tests.evaluate.programs import two_layers
from tpc.diagnostics.diagnostic import TpcError
from tpc.evaluate.checkpoint import EvaluationCheckpoint
from tpc.evaluate.side_by_side import ROOM, compute, workers

PROGRAM, INPUTS = two_layers(3)
GRID = "width n\nvector v[i < 3] : n ~ N(0, 1)\noutput a = mean(tanh(v[0]*v[1])*v[2]^2)\n"


@pytest.fixture(scope="module")
def evaluator():
    return PROGRAM.compile(samples=128, repeats=4)


def test_side_by_side_are_the_repeats_one_by_one(evaluator, monkeypatch):
    monkeypatch.setattr("tpc.evaluate.side_by_side.processors", lambda: 3)
    alone, threads = evaluator.module.run(INPUTS, seed=7), []
    evaluated = evaluator.module.evaluated
    monkeypatch.setattr(
        evaluator.module, "evaluated", lambda *given: threads.append(get_ident()) or evaluated(*given)
    )
    for compiled in (False, True):
        seen = []
        threads.clear()
        together = evaluator(
            INPUTS, seed=7, progress=lambda done, count, seen=seen: seen.append((done, count))
        )
        assert (get_ident() not in threads[:4]) == compiled  # the first repeat waits for nobody then
        assert seen == [(k, 4) for k in (1, 2, 3, 4)]
        for name, (value, stderr) in alone.items():
            assert np.array_equal(together[name].value, value)
            assert np.array_equal(together[name].stderr, stderr)


def test_only_what_is_missing_is_computed(evaluator, monkeypatch):
    monkeypatch.setattr("tpc.evaluate.side_by_side.processors", lambda: 3)
    kept, given = EvaluationCheckpoint(), evaluator.module.prepared(INPUTS)
    kept[1] = there = evaluator.module.evaluated(given, *evaluator.module.draw(8, 0))
    with kept.running:
        compute(evaluator.module, evaluator.plan, given, 7, kept, None, evaluator.plan.memory)
    assert sorted(kept) == [0, 1, 2, 3]
    assert all(np.array_equal(kept[1][0][name], value) for name, value in there[0].items())


def test_as_many_as_there_are_processors_and_room_for(evaluator, monkeypatch):
    monkeypatch.setattr("tpc.evaluate.side_by_side.processors", lambda: 6)
    plan = replace(evaluator.plan, memory=ROOM / 4.5)
    assert workers(plan, 9, plan.memory) == 4
    assert workers(plan, 2, plan.memory) == 2
    assert workers(replace(plan, memory=1.0), 9, 1.0) == 6
    assert workers(replace(plan, memory=3 * ROOM), 9, 3 * ROOM) == 1
    quadrature = tpc.parse(GRID).compile(method="nodes").plan
    assert quadrature.points == "gauss-hermite"
    assert workers(quadrature, 9, plan.memory) == 1
    monkeypatch.setattr("tpc.evaluate.side_by_side.free_memory", lambda: 5.0 * plan.memory)
    assert workers(plan, 9, 2 * plan.memory) == 2


def test_more_than_is_free_is_refused(evaluator, monkeypatch):
    monkeypatch.setattr("tpc.evaluate.fit.free_of_devices", lambda: 1e3)
    with pytest.raises(TpcError, match="the 1 kB that are free"):
        evaluator(INPUTS)
