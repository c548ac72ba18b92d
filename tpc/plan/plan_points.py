"""Plans by points: a quadrature over all Gaussians where these are few, else points drawn at random."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tpc.core.expr import Call, is_vector, walk
from tpc.core.functions import elementwise
from tpc.core.program import Moment, Nonlin, Program, instructions
from tpc.core.signs import has_poles
from tpc.plan.cost import MEMORY, PER_POINT, SECONDS, total_seconds
from tpc.plan.draft import Draft
from tpc.plan.options import DType, Options
from tpc.plan.plan import REPEATS, SAMPLES, GridPlan, PanelsPlan, PointsPlan, SampledPlan
from tpc.plan.rounds import rounds_in_order, turns

GRID = {3: 48, 4: 20}  # Gauss–Hermite points in each of so many dimensions
# the most points of panels in so many dimensions, in turn: each is compiled for
PANELS = {1: (4096, 16_384), 2: (65_536, 262_144)}
TURNS = 6  # evaluations on the last size that all turns are worth
# repeats while all take so many seconds: their mean's errors have nearly no Student's tails
MANY, BRIEF = 32, 0.2
PER_GAUSSIAN, MOST = 128, 16_384  # samples for each Gaussian, but no more than MOST by that
# this many for each keep the bias below the error (tests/bench/bias.py), up to LARGE
UNBIASED, LARGE = 16, 65_536
TABLE, MOST_TABLE = 1024, 2048  # samples by that where there are tables
AT_LEAST = 4  # samples for each Gaussian in any case


def plan_points(draft: Draft, options: Options, reason: str) -> PointsPlan:
    """reason: why no other method is taken."""
    if options.samples is None and options.repeats is None:
        quadrature = _plan_quadrature(draft, options, reason)
        if quadrature is not None:
            return quadrature
    return _plan_samples(draft, options, reason)


def _plan_samples(draft: Draft, options: Options, reason: str) -> SampledPlan:
    k, dtype = draft.layout.total, options.precision
    m = options.samples or (_for_tables(k) if draft.tables.count else _for_vectors(k))
    seconds, memory = draft.cost(m, dtype)
    while options.samples is None and (m > MOST or draft.tables.count) and memory > MEMORY and m > 2 * k:
        m //= 2
        seconds, memory = draft.cost(m, dtype)
    # larger ones cost the same, and have half the bias
    few = REPEATS if options.samples or m <= MOST else REPEATS // 2
    repeats = options.repeats or max(few, min(MANY, int(BRIEF / total_seconds(1, seconds, m, k))))
    return SampledPlan(
        samples=m,
        repeats=repeats,
        seconds=seconds,
        memory=memory,
        why=reason,
        **_common(draft, options, reason),
    )


def _for_vectors(k: int) -> int:
    """Points for k Gaussians."""
    return max(
        SAMPLES,
        min(MOST, _power_of_two(PER_GAUSSIAN * k)),
        min(LARGE, _power_of_two(UNBIASED * k)),
        _power_of_two(AT_LEAST * k),
    )


def fewest(k: int, most: int) -> int:
    """Points for k Gaussians that keep the bias below the error, `most` if these are fewer."""
    return min(most, max(SAMPLES, _power_of_two(UNBIASED * k)))


def _for_tables(k: int) -> int:
    """The same where there are tables, which take the square of it: fewer points, and more repeats."""
    return max(TABLE, min(MOST_TABLE, _power_of_two(UNBIASED * k)), _power_of_two(AT_LEAST * k))


def _common(draft: Draft, options: Options, reason: str) -> dict[str, Any]:
    return {
        "program": draft.program,
        "structure": draft.structure,
        "layout": draft.layout,
        "dtype": options.precision,
        "reason": reason,
    }


def _plan_quadrature(draft: Draft, options: Options, reason: str) -> PanelsPlan | GridPlan | None:
    """Panels for one or two Gaussians, Gauss–Hermite rules for more if all functions are smooth.

    None where there are too many Gaussians, or it is no use.

    How outputs depend on each point is had backwards, for which a loop keeps the history of its rounds.
    Without, kinks cannot be found.
    """
    k, smooth = draft.layout.total, _smooth(draft.program)
    if draft.tables.count or _has_poles(draft.program):
        return None  # poles may cancel on points that lie symmetrically, where there is no mean
    if not (k in PANELS or (k in GRID and smooth)):
        return None
    sizes = PANELS.get(k) or (GRID[k] ** k,)
    needs = _Needs.of(draft, options)
    room = tuple(m for m in sizes if needs.sensitive(m)[0] <= SECONDS and needs.sensitive(m)[1] <= MEMORY)
    if not room and (not smooth or needs.plain(sizes[0])[1] > MEMORY):
        return None
    used = room or sizes[:1]
    seconds, memory = needs.sensitive(used[-1]) if room else needs.plain(used[-1])
    a_check, of_check = needs.plain(SAMPLES)
    common = _common(draft, options, reason) | {
        "why": f"{reason}, and its functions are {'smooth and ' * smooth}of {k} Gaussian{'s' * (k > 1)} only",
        "seconds": seconds + REPEATS * a_check / 3,
        "memory": max(memory, of_check),
        "sensitive": bool(room),
    }
    return PanelsPlan(capacities=used, **common) if k in PANELS else GridPlan(grid=GRID[k], **common)


@dataclass(frozen=True, slots=True)
class _Needs:
    """What is known of a program for the cost of a quadrature."""

    draft: Draft
    dtype: DType
    # of loops that depend on each other
    rounds: int
    # of outputs, by which each point is looked at backwards
    entries: int
    # nonlinearities that are applied
    work: int

    @classmethod
    def of(cls, draft: Draft, options: Options) -> _Needs:
        program = draft.program
        return cls(
            draft,
            options.precision,
            max(1, rounds_in_order(program)),
            min(16, sum(math.prod(output.shape) for output in program.outputs)),
            sum(turns(loops) for op, loops in instructions(program.body) if isinstance(op, Nonlin)),
        )

    def once(self, m: int) -> tuple[float, float]:
        """Seconds and bytes of one evaluation on m points."""
        seconds, memory = self.draft.cost(m, self.dtype)
        return seconds + self.work * m * PER_POINT, memory

    def plain(self, m: int) -> tuple[float, float]:
        """The plan of all that is done on m points."""
        seconds, memory = self.once(m)
        return 3 * seconds, memory

    def sensitive(self, m: int) -> tuple[float, float]:
        """The same where it is found how outputs depend on every point."""
        seconds, memory = self.once(m)
        return seconds * (1 + 2 * self.entries) * TURNS, memory * self.rounds


def _smooth(program: Program) -> bool:
    """Whether every function of a vector is smooth."""
    return all(
        elementwise(node.function).shape == "smooth"
        for op, _ in instructions(program.body)
        if isinstance(op, Nonlin | Moment)
        for node in walk(op.phi)
        if isinstance(node, Call) and is_vector(node)
    )


def _has_poles(program: Program) -> bool:
    ops = [op for op, _ in instructions(program.body) if isinstance(op, Nonlin | Moment)]
    return any(has_poles(op.phi, of_scalars=False) for op in ops)


def _power_of_two(k: int) -> int:
    return 1 << max(0, math.ceil(math.log2(max(1, k))))
