"""The error that a run is to reach: repeats, and then points, are added until all outputs have it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.evaluate.fit import with_points
from tpc.plan.cost import total_seconds
from tpc.plan.plan import Plan, SampledPlan
from tpc.plan.plan_points import fewest

# the error of runs without options, relative to the value, or to SMALL where it is less
DEFAULT, SMALL = 0.01, 0.1
TIMES = 8  # as long as the first plan such a run may take
LONGEST = 3600.0  # predicted seconds that a run with an error of its own may take
# times the repeats of the plan, before points are added: of many Gaussians, more of them are worth
# no more than more repeats, and another number of points is a compilation
FEW, MOST_REPEATS, MOST_OF_MANY = 64, 4, 8
LEAPS = (4, 2)  # times the points: each number of them is a compilation
POINTS = 1 << 22  # and no more points than that
SPARE = 1.3  # of repeats, as their spread is only known to a quarter
COMPILED = 4.0  # seconds that another number of points takes before anything is computed
NEAR = 0.1  # entries are as good as the greatest one of their output times that


@dataclass(frozen=True, slots=True)
class Aim:
    """The error that every entry is to have."""

    # the error, or None for one that is relative
    absolute: float | None = None
    # to the entry's value
    relative: float = DEFAULT
    # what values count for at least; None: NEAR of their output's greatest entry
    least: float | None = SMALL
    # how many times the predicted seconds of the first plan may be spent, inf for up to LONGEST seconds
    times: float = TIMES

    @staticmethod
    def of(error: float | str | None, program: str) -> Aim:
        """What `--error` says: a number, "0.5%", or None for the default. Raises TpcError (TP602)."""
        if error is None:
            return Aim()
        text = str(error).strip()
        try:
            number = float(text.removesuffix("%"))
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            raise TpcError(
                [
                    catalogue.running.bad_option(
                        "--error", f"must be a positive number, or a percentage such as 0.5%, not {text}"
                    )
                ],
                program,
                of_program=True,
            )
        return Aim(None, number / 100, None, math.inf) if text.endswith("%") else Aim(number, times=math.inf)

    def targets(self, value: np.ndarray) -> np.ndarray:
        """For every entry."""
        if self.absolute is not None:
            return np.full(value.shape, self.absolute)
        sizes = np.abs(value)
        least = NEAR * float(np.max(sizes, initial=0)) if self.least is None else self.least
        out: np.ndarray = self.relative * np.maximum(sizes, least)
        return out


@dataclass(frozen=True, slots=True)
class Shortfall:
    """How far the errors of all outputs are from what is aimed at."""

    # the greatest of an entry's error, if it is finite, and what it should be
    ratio: float
    # whether that error is mostly bias
    biased: bool
    # the outputs that fall short
    names: tuple[str, ...]
    # the least error that is missed
    target: float


def shortfall(claims: Mapping[str, Any], aim: Aim) -> Shortfall:
    ratio, biased, names, missed = 0.0, False, [], math.inf
    for name, claim in claims.items():
        value, error, bias = (
            np.asarray(part, np.float64)
            for part in (claim.value, claim.stderr, np.nan_to_num(np.asarray(claim.bias)))
        )
        targets = aim.targets(value)
        known = np.isfinite(error) & np.isfinite(value)
        ratios = np.where(known, error / np.where(targets > 0, targets, 1), 0) * (error > 0)
        if ratios.size and ratios.max() > 1:
            names.append(name)
            missed = min(missed, float(targets[ratios > 1].min()))
            if ratios.max() > ratio:
                ratio, at = float(ratios.max()), np.unravel_index(np.argmax(ratios), ratios.shape)
                biased = bool(bias[at] > 0.7 * error[at])
    return Shortfall(ratio, biased, tuple(names), missed)


def beginning(plan: Plan, aim: Aim) -> Plan:
    """The plan that a run begins with whose error is asked for.

    With the fewest points that are known to keep the bias small, if that takes less time by more than what
    compiling for more points takes, should these not be enough.
    """
    if not math.isinf(aim.times) or not isinstance(plan, SampledPlan):
        return plan
    fewer = with_points(plan, fewest(plan.gaussians, plan.samples))
    return fewer if seconds(plan) - seconds(fewer) > COMPILED else plan


def following(
    plan: SampledPlan, first: Plan, short: Shortfall, aim: Aim, spent: float, most: float
) -> SampledPlan | None:
    """The plan that comes next where `plan` falls short, with more repeats or two or four times the points.

    None if that would be too much.

    spent: the predicted seconds of what has been done. most: the points that there is memory for. Errors go
    down as 1/points at best, so that four times the points are not too many where they are four times too
    large.
    """
    needed = math.ceil(plan.repeats * short.ratio**2 * SPARE)
    most_repeats = first.repeats * (MOST_REPEATS if plan.gaussians <= FEW else MOST_OF_MANY)
    if not short.biased and plan.repeats < needed <= most_repeats:
        steps = [replace(plan, repeats=needed)]
    else:
        leaps = [times for times in LEAPS if times <= max(short.ratio, min(LEAPS))]
        steps = [replace(with_points(plan, times * plan.samples), repeats=first.repeats) for times in leaps]
    return next((step for step in steps if _affordable(step, plan, first, aim, spent, most)), None)


def _affordable(step: Plan, plan: Plan, first: Plan, aim: Aim, spent: float, most: float) -> bool:
    """Whether there are the time and the memory for a step after `plan`."""
    longest = LONGEST if math.isinf(aim.times) else min(aim.times * seconds(first), LONGEST)
    return spent + added(step, plan) <= longest and step.samples <= min(POINTS, most)


def seconds(plan: Plan) -> float:
    """Predicted of a whole run, drawing the points included."""
    return total_seconds(plan.repeats, plan.seconds, plan.samples, plan.gaussians)


def added(step: Plan, plan: Plan) -> float:
    """Predicted seconds of a step after `plan`, whose repeats it can use if it has the same points."""
    return seconds(step) - (seconds(plan) if step.samples == plan.samples else 0)


def missed(short: Shortfall, aim: Aim, plan: Plan) -> str:
    """What is said of an error that is not reached."""
    shown = ", ".join(f"`{name}`" for name in short.names[:4]) + (
        f" and {len(short.names) - 4} more" if len(short.names) > 4 else ""
    )
    size = f"{plan.samples} points and {plan.repeats} repeats"
    often = f"by {shown}, {short.ratio:.2g} times as much at most"
    if math.isinf(aim.times):
        return (
            f"the error aimed at, {short.target:.2g}, is not reached with {size} {often}: more would take "
            "too long, or too much memory"
        )
    return (
        f"an error of 1 % (of 0.1 at least) is not reached with {size} {often}: --error "
        f"{short.target:.2g} "
        "goes on until it is"
    )
