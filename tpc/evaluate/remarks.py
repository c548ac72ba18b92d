"""What is said of the errors of a run beside their size.

Some cannot be told, and some are more than the spread of the repeats.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from tpc.plan.plan import Plan

MOSTLY = 2  # an error that is so many times the spread of the repeats is mostly something else


def reasons(claims: Mapping[str, Any]) -> dict[str, str]:
    """Why outputs have no finite error, by name: those that have entries of which none can be told."""
    out = {}
    for name, claim in claims.items():
        lost = (
            np.isinf(np.asarray(claim.stderr))
            & np.isfinite(np.asarray(claim.spread))
            & ~np.isnan(np.asarray(claim.tail))
        )
        if lost.any():
            index = float(np.max(np.asarray(claim.tail)[lost]))
            out[name] = (
                "E f² is infinite, f being its integrand"
                if np.isinf(index)
                else "E f² is not seen to converge: the values of its integrand f at the points have a tail "
                f"P(|f| > x) like x^(-{1 / index:.2g}), "
                f"{'whose mean is infinite' if index >= 1 else 'too heavy for a mean over points'}"
            )
    return out


def remarks(claims: Mapping[str, Any], plan: Plan) -> Iterator[str]:
    """Notes on errors that are not what the repeats spread."""
    for name, reason in reasons(claims).items():
        yield f"`{name}` has no finite error: {reason}"
    biased = [name for name, c in claims.items() if _more(c.bias, c) and not _more(c.rounding, c)]
    if biased:
        yield (
            f"the error of {_listed(biased)} is mostly bias, which half the points show to be there: it "
            "falls with the points (--samples)"
        )
    rounded = [name for name, c in claims.items() if _more(c.rounding, c)]
    if rounded:
        yield f"the error of {_listed(rounded)} is mostly rounding: numbers that cancel"
    unseen = [name for name, c in claims.items() if _more(c.unseen, c)]
    if unseen:
        met = f"by few of {plan.samples} points, by none, or as often in all repeats; more tell (--samples)"
        yield f"the error of {_listed(unseen)} is a bound: what makes it up has been met {met}"


def not_looked_at(
    module: ModuleType,
    done: Sequence[tuple[Mapping[str, Any], Any]],
    checks: Mapping[str, Any],
    reported: Collection[str],
) -> Iterator[str]:
    """Notes on what would have been looked at if the program were smaller, or a run of it cheaper.

    module: of sampled points. done: its evaluations. checks: what it has found. reported: the outputs that
    are spoken of.
    """
    if len(done) < 2:
        return
    done = [({name: outputs[name] for name in reported}, status) for outputs, status in done]
    why = "the program is too large to compile it once more for that"
    heavy = [] if module.PULLED else list(module.suspects(done))
    if heavy:
        of_tails = "points enough for that take too long, or too much memory" if module.REPLAYED else why
        yield f"whether integrands of {_listed(heavy)} have heavy tails is not known: {of_tails}"
    # nothing if there was no need of it, or an interruption came before
    looked_at = checks.get("rounding", None if module.REPLAYED else {})
    if looked_at is None or not all(np.isnan(np.asarray(lost)).all() for lost in looked_at.values()):
        return
    if rounded := _agreeing(module, done):
        yield f"what rounding adds to the error of {_listed(rounded)} is not known: {why}"


def _agreeing(module: ModuleType, done: Sequence[tuple[Mapping[str, Any], Any]]) -> list[str]:
    """The outputs with finite entries on which all evaluations agree."""
    values = {name: np.stack([np.asarray(each[0][name]) for each in done]) for name in done[0][0]}
    return [
        name for name, each in values.items() if np.any(module.agreeing(each) & np.isfinite(each).all(axis=0))
    ]


def without_use(**asked: Any) -> tuple[str, ...]:
    """A note on options for points that were asked for where there are none; None of those that were not."""
    there = [f"{option}={value}" for option, value in asked.items() if value is not None]
    listed = ", ".join(there[:-1]) + " and " * (len(there) > 1) + "".join(there[-1:])
    return (f"{listed} had no use: the limit is exact, without points",) if there else ()


def rounding_notes(found: Mapping[str, tuple[Any, Any]], plan: Plan) -> Iterator[str]:
    """A note on exact outputs that have an error all the same."""
    names = [name for name, (_, error) in found.items() if error is not None] if plan.exact else []
    if names:
        yield f"the error of {_listed(names)} is rounding: numbers that cancel"


def _more(part: Any, claim: Any) -> bool:
    """Whether some entry's error is mostly this part of it."""
    part, spread = np.nan_to_num(np.asarray(part)), np.asarray(claim.spread)
    rounding = 1e-12 * np.maximum(1, np.abs(np.asarray(claim.value)))
    return bool(np.any((part > MOSTLY * spread) & (part > rounding) & np.isfinite(np.asarray(claim.stderr))))


def _listed(names: list[str]) -> str:
    shown = [f"`{name}`" for name in names[:4]]
    return ", ".join(shown) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
