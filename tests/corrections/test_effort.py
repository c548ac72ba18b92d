"""Predicted work against what is done, in evaluations, which no load of a machine changes."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

import tpc
from tpc.corrections import SlowError
from tpc.corrections.effort import OVERHEAD, TURNS_OF_EACH, TURNS_OF_NONE, Effort, Request
from tpc.corrections.given_start import WeightedGivenStart
from tpc.corrections.predict import require_expansion
from tpc.pipeline import plan_limit
from tpc.plan.options import Options

STARTED = """
width n
dim N = 1
vector u[i < N] : n ~ N(0, 1)
vector v : n ~ N(0, 1)
matrix W : n x n ~ N(0, 1/n)
f[i] = n^(1/2)*mean(v*tanh(W @ tanh(u[i]))) for i < N
output a = mean(v^2) + sum(i < N: f[i]^2)
output b = mean(tanh(u[0])^2) + f[0]
"""


@pytest.mark.parametrize("scalars", [1, 12])
def test_a_start_is_solved_for_in_as_many_turns_as_are_predicted(scalars, monkeypatch):
    program = tpc.parse(STARTED, dims={"N": scalars})
    start = require_expansion(program)
    effort = Effort.of(start.program, Request(samples=256, repeats=2), start)
    calls = {"evaluate": 0, "start_at": 0}
    given = WeightedGivenStart.given

    def counted(*arguments):
        made = given(*arguments)

        def counting(name):
            def call(*own):
                calls[name] += 1
                return getattr(made, name)(*own)

            call.lower = getattr(made, name).lower
            return call

        return replace(made, **{name: counting(name) for name in calls})

    monkeypatch.setattr(WeightedGivenStart, "given", counted)
    program.corrections(samples=256, repeats=2)
    assert calls["evaluate"] * (
        2 * effort.steps.chunk(effort.directions) + 1
    ) == 2 * effort.steps.evaluations(effort.directions)
    turns = calls["start_at"] / calls["evaluate"]
    assert 0.6 < turns / (TURNS_OF_NONE + TURNS_OF_EACH * scalars) < 1.5
    assert effort.each > turns * OVERHEAD


def test_patience_counts_the_solver():
    """What takes more than half a minute without end is refused, by seconds that are those of the solver."""
    program = tpc.parse(STARTED, dims={"N": 4})
    with pytest.raises(SlowError) as stop:
        program.corrections(patience=5.0)
    start = require_expansion(program)
    assert stop.value.seconds == Effort.of(start.program, Request(), start).seconds
    without = Effort.of(tpc.parse("width n\nvector u : n ~ N(0, 1)\noutput a = mean(tanh(u)^2)\n"), Request())
    assert without.seconds < 5
    assert np.isfinite(stop.value.seconds)


SIDE_BY_SIDE = """
width n
dim N = 2
vector u[i < N] : n ~ N(0, 1)
vector v : n ~ N(0, 1)
matrix W : n x n ~ N(0, 1/n)
for i < N:
    f[i] = mean(v*tanh(W @ tanh(u[i])))
"""
EACH = "output f\n"


@pytest.mark.parametrize(
    ("outputs", "covariances", "joint"),
    [
        (EACH, False, False),
        (EACH, True, True),
        ("output p = f[0]*f[1]\n", False, True),
        ("g[i] = mean(v^2*tanh(W @ cos(u[i])))*f[i] for i < N\noutput g\n", False, True),
    ],
)
def test_rounds_are_a_sample_together_where_it_matters(outputs: str, covariances: bool, joint: bool) -> None:
    """Directions that every round meets by itself have the same Gaussians in all, and half of the cost."""
    program = tpc.parse(SIDE_BY_SIDE + outputs)
    own = Effort.of(program, Request(covariances=covariances, samples=1024, repeats=2)).evaluator.plan
    assert own.structure.joint == joint
    made = plan_limit(program, Options(method="nodes", samples=256, joint=joint))
    assert bool(made.structure.confined) != joint
    assert pickle.loads(pickle.dumps(made)).structure.joint == joint
