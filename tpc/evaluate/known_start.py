"""How well the start is known: its covariances with their errors, and what these make of the outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.evaluate.affine_in_start import dependent_outputs
from tpc.evaluate.initial import symmetric_root
from tpc.evaluate.result import Outcome
from tpc.plan.plan import PanelsPlan, Plan

if TYPE_CHECKING:
    from tpc.evaluate.evaluator import Evaluator
    from tpc.evaluate.initial import Start

SHIFTS = 8  # of the covariances, each of the size of their errors
WIDER = 1.2  # than the root mean square of so few
SHOWN = 1e-11  # of a value: errors from here on are told
NO_ERROR = "the covariances of what is random in the limit have no finite error"


@dataclass(frozen=True)
class KnownStart:
    """The covariance of all scalars, [N, N], and its errors."""

    table: np.ndarray
    # of the mean of repeats: standard normal multiples of these, in sum, are its spread, [R, N, N]
    spread: np.ndarray
    # what is not in that
    errors: np.ndarray
    # the families that are not among the inputs that were given
    free: frozenset[str]

    @cached_property
    def root(self) -> np.ndarray:
        return np.asarray(symmetric_root(self.table))

    @property
    def exact(self) -> bool:
        return not self.spread.any() and not self.errors.any()

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.errors).all())

    def roots(self, count: int, seed: int, scale: float = 1.0) -> Iterator[np.ndarray]:
        """The roots of so many covariances that are off by `scale` errors, and not at all in the mean.

        Of what is not the spread of repeats, errors of all entries together, as of a factor, and of each one
        by itself are added, since how they go together is not known.
        """
        if self.exact:
            yield from [self.root] * count
            return
        random = np.random.default_rng([seed, len(self.table)])
        shapes: tuple[tuple[int, ...], ...] = ((), self.table.shape, (len(self.spread),))
        drawn = (random.standard_normal((count, *shape)) for shape in shapes)
        of_all, own, of_repeats = (each - each.mean(axis=0) for each in drawn)
        signs, errors = np.sign(self.table), np.where(np.isfinite(self.errors), self.errors, 0)
        for one, each, multiples in zip(of_all, (own + own.swapaxes(1, 2)) / 2**0.5, of_repeats, strict=True):
            off = np.tensordot(multiples, self.spread, 1) + errors * (signs * one + each)
            yield np.asarray(symmetric_root(self.table + scale * (count / (count - 1)) ** 0.5 * off))


def needed_start(start: Start | None, inputs: Mapping[str, Any], seed: int) -> KnownStart | None:
    """The covariances of the start, if scalars are drawn or integrated over and not all are inputs."""
    if start is None or start.choice.how not in ("drawn", "integrated"):
        return None
    return None if all(name in inputs for name in start.names) else known_start(start, inputs, seed)


def known_start(start: Start, inputs: Mapping[str, Any], seed: int) -> KnownStart:
    """By a run of the program of the covariances. inputs: the program's, and perhaps some of the scalars."""
    own = {name: value for name, value in inputs.items() if name not in start.names}
    stage = start.evaluator.first_stage(own, seed)
    values = {name: np.asarray(value) for name, (value, _) in stage.found.items()}
    errors = {
        name: np.zeros_like(values[name]) if error is None else np.asarray(error)
        for name, (_, error) in stage.found.items()
    }
    repeats: list[np.ndarray] = []
    if len(stage.kept) > 1 and stage.claims:
        each = [outputs for outputs, _ in stage.kept.ordered]
        wider = start.evaluator.module.students(len(each)) / (len(each) * (len(each) - 1)) ** 0.5
        repeats = [
            wider * start.assembled({name: np.asarray(one[name]) - values[name] for name in values})
            for one in each
        ]
        errors = {name: _besides(errors[name], np.asarray(stage.claims[name].spread)) for name in errors}
    table = np.asarray(start.assembled(values))
    return KnownStart(
        table,
        np.reshape(repeats, (-1, *table.shape)),
        np.asarray(start.assembled(errors)),
        frozenset(start.names) - set(inputs),
    )


def _besides(error: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """What an error has besides the spread."""
    return np.asarray(np.sqrt(np.maximum(np.square(error) - np.square(spread), 0)))


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
