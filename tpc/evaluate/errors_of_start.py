"""What errors of the start's covariances make of the outputs of a start that was drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.evaluate.known_start import NO_ERROR, SHIFTS, WIDER, KnownStart
from tpc.evaluate.over_initial import dependent_outputs
from tpc.evaluate.result import Outcome
from tpc.plan.plan import PanelsPlan, Plan

if TYPE_CHECKING:
    from tpc.evaluate.evaluator import Evaluator

SHOWN = 1e-11  # of a value: errors from here on are told


def with_errors_of_start(
    evaluator: Evaluator,
    known: KnownStart,
    given: Mapping[str, np.ndarray],
    seed: int,
    plan: Plan,
    outcomes: Mapping[str, Outcome],
    mesh: Any,
) -> dict[str, Outcome]:
    """Outcomes of a start that was drawn, with what the errors of its covariances add to theirs.

    The outputs are evaluated on the same points from starts that are drawn alike from covariances which are
    off by their errors. given: all inputs. plan: with as many points as were taken.
    """
    start = evaluator.start
    assert start is not None
    if known.exact:
        return dict(outcomes)
    if not known.finite:
        names = dependent_outputs(evaluator.program, start.names)
        return {
            name: replace(o, stderr=np.full(o.value.shape, np.inf), reason=NO_ERROR) if name in names else o
            for name, o in outcomes.items()
        }
    at = _on_equal_points(evaluator, plan, seed, given, mesh)
    base = at(given)
    squares = {name: np.zeros(o.value.shape) for name, o in outcomes.items()}
    for root in known.roots(SHIFTS, seed):
        drawn = start.drawn(root)
        shifted = at({**given, **{name: drawn[name] for name in known.free}})
        for name, total in squares.items():
            total += np.square(np.asarray(shifted[name]) - np.asarray(base[name]))
    return {name: _widened(o, WIDER * np.sqrt(squares[name] / SHIFTS)) for name, o in outcomes.items()}


def _widened(outcome: Outcome, error: np.ndarray) -> Outcome:
    if not np.any(error > SHOWN * np.abs(outcome.value)):
        return outcome
    stderr = error if outcome.stderr is None else np.hypot(outcome.stderr, error)
    return replace(outcome, stderr=stderr)


def _on_equal_points(
    evaluator: Evaluator, plan: Plan, seed: int, given: Mapping[str, Any], mesh: Any
) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """The outputs as a function of the inputs, on the points of one repeat."""
    module = evaluator.module
    if isinstance(plan, PanelsPlan):
        points = module.points_of(module.adapted(given))
    else:
        points = module.draw(seed, 0, *([plan.samples] if plan.sampled else []))

    def at(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        outputs: Mapping[str, Any] = module.evaluated(module.prepared(inputs), *points, mesh)[0]
        return outputs

    return at
