"""Steps that jump where a quantity is 0: a run says so where its limit is, as far as points can tell.

At width n the sign of what tends to 0 is that of a fluctuation, so that there is no limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tpc.core.names import SplitName
from tpc.core.passes import without_unused
from tpc.core.program import Output, Program, instructions
from tpc.core.traverse import used_refs
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError

VANISHING = 1e-12  # of a mean square, relative to the largest
# the error of a mean square, relative to it, from which it is not told from 0 (what vanishes is biased)
UNCERTAIN = 0.4
# the same of one repeat: what vanishes is a fluctuation squared, which varies by as much as it is (√2, of one
# Gaussian), however many there are to make the error of their mean small
VARYING = 0.7
FAR = 4  # times a number that is 0 but for an eps by quadrature, and not at points
TOLD = 3.0  # standard errors within which a number is not told from 0
# how probable it is that so many of a family are not, as margins of a classifier may be; how many are one
BY_CHANCE, FAMILY = 0.01, 8
TINY = 1e-9  # below which a number may be 0 but for rounding
# at which it is seen whether it is 0 at every width, and how many times larger it is there if it is a
# fluctuation
SMALL_WIDTH, SEEDS, LARGER = 16, 4, 1000
WITHOUT_LIMIT = "it jumps at what tends to 0, and is a fluctuation of either sign at width n"
ENOUGH_TO_TELL = 6  # repeats: errors of fewer are too large themselves


@dataclass(frozen=True, slots=True)
class Watched:
    """What a run has found of what it only looks at."""

    # how many are done
    repeats: int
    # values and errors, by output
    found: Mapping[str, tuple[Any, Any]]
    # what is said of the errors, where these come from repeats
    claims: Mapping[str, Any]
    # by quadrature: the evaluations at the points that check it, each with outputs by name
    checks: Sequence[Mapping[str, Any]] = ()

    def larger(self, output: Output, sizes: np.ndarray) -> np.ndarray:
        """Which of these are far larger at the points that check a quadrature: of all else these decide."""
        if not self.checks:
            return np.zeros(sizes.shape, bool)
        seen: np.ndarray = np.mean([np.asarray(each[output.name]) for each in self.checks], axis=0)
        return seen > FAR * sizes

    def varying(self, output: Output, sizes: np.ndarray) -> np.ndarray:
        """Which of these mean squares vary by as much as they are, as fluctuations squared do."""
        if output.name not in self.claims or self.repeats < ENOUGH_TO_TELL:
            return np.zeros(sizes.shape, bool)
        of_one = np.asarray(self.claims[output.name].spread) * self.repeats**0.5
        found: np.ndarray = of_one > VARYING * sizes
        return found


def require_sizes(
    program: Program, whole: Program, watched: Watched, given: Mapping[str, np.ndarray]
) -> None:
    """Raises TpcError (TP748) where a run's outcome depends on the sign of what tends to 0.

    What is 0 exactly at the points of all repeats is so at every width, and harmless. Where numbers are exact
    only the limit is known, and a small width tells.
    """
    for output in program.outputs:
        if not output.check or output.jump:
            continue
        value, error = watched.found[output.name]
        sizes = np.asarray(value, np.float64)
        errors = np.zeros(sizes.shape) if error is None else np.asarray(error)
        with np.errstate(invalid="ignore"):
            unclear = (errors > UNCERTAIN * sizes) & (watched.repeats >= ENOUGH_TO_TELL)
            unclear |= watched.varying(output, sizes)
            small = unclear.copy()
            if output.divisor:  # what an eps is part of may be as small as that is
                small |= watched.larger(output, sizes)
            else:
                small |= sizes < VANISHING * np.max(sizes, initial=0)
            small |= sizes == 0
            nothing = (sizes == 0) & (errors == 0)
            if nothing.any() and output.name not in watched.claims:
                nothing = nothing & (_at_small_width(whole, output, given) < TINY)
            places = np.argwhere(small & ~nothing & np.isfinite(errors))
        if len(places):
            step = int(places[0][0])
            own = catalogue.optimizers
            told = (own.divided_by_nothing if output.divisor else own.vanishing)(output.check, step)
            raise TpcError([told], program.name, of_program=True)


def without_limit(
    program: Program, whole: Program, watched: Watched, given: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Which entries of outputs have no limit, since they jump at what tends to 0, or is not told from 0.

    Raises TpcError (TP809) where these are all entries of an output, or other numbers depend on what jumps.
    whole: the program before its tables were made cheaper, with the same outputs. given: its inputs.
    """
    read = {ref.name for op, _ in instructions(program.body) for ref in used_refs(op)}
    last = {o.ref.name: o for o in program.outputs if o.name in program.reported and o.ref.name not in read}
    marked = dict[str, np.ndarray]()
    for output in program.outputs:
        if not output.jump:
            continue
        wrong = _not_told(output, whole, watched, given)
        if not wrong.any():
            continue
        own = last.get(SplitName.of(output.name).base)
        where = None if own is None else wrong.any(axis=tuple(range(len(own.axes), wrong.ndim)))
        if own is not None and where is not None and where.shape == own.shape and not where.all():
            marked[own.name] = np.logical_or(where, marked.get(own.name, False))
            continue
        place = dict(zip((v for v, _ in output.axes), map(int, np.argwhere(wrong)[0]), strict=True))
        told = catalogue.scaling.jump_at_nothing(output.origin.label, output.check, output.jump, place)
        source = program.source
        raise TpcError([told], program.name, source.text if source else "", of_program=True)
    return marked


def _not_told(
    output: Output, whole: Program, watched: Watched, given: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Which members of what is looked at tend to 0, and are fluctuations, or may be for all that is known."""
    value, error = (None if part is None else np.asarray(part, float) for part in watched.found[output.name])
    assert value is not None
    spread = np.zeros(value.shape) if error is None else error
    if output.name in watched.claims:
        spread = np.asarray(watched.claims[output.name].spread)
    with np.errstate(invalid="ignore"):
        most = np.abs(value) + spread * watched.repeats**0.5
        tiny = most < TINY
        wrong: np.ndarray = ~tiny & (np.abs(value) <= TOLD * spread)
        if output.square:
            wrong |= ~tiny & watched.varying(output, value)
    if _by_chance(value, spread, wrong):
        wrong = np.zeros(wrong.shape, bool)
    if output.name in watched.claims:
        tiny &= (value != 0) | (spread != 0)  # what is 0 at all points is so at every width
    if tiny.any():
        wrong = wrong | tiny & (_at_small_width(whole, output, given) > LARGER * most)
    return wrong


def _by_chance(value: np.ndarray, error: np.ndarray, near: np.ndarray) -> bool:
    """Whether so many of a family may well be near 0, the others being as large as they are."""
    from scipy.special import bdtrc

    if near.size <= FAMILY or near.all() or not near.any():
        return False
    size = np.sqrt(np.mean(np.square(value[~near])))
    width = TOLD * np.sqrt(np.mean(np.square(error[np.isfinite(error)])))
    return bool(bdtrc(near.sum() - 1, near.size, min(1.0, width / max(size, width))) > BY_CHANCE)


def _at_small_width(program: Program, output: Output, given: Mapping[str, np.ndarray]) -> np.ndarray:
    """How large what is looked at is there, at most."""
    from tpc.simulate import simulate

    own = next(o for o in program.outputs if o.name == output.name)
    plain = replace(own, check="", jump="", divisor=False)
    alone = without_unused(replace(program, outputs=(plain,)))
    inputs = {item.name: given[item.name] for item in alone.inputs}
    samples = simulate(alone, inputs, width=SMALL_WIDTH, seeds=range(SEEDS))
    most: np.ndarray = np.nan_to_num(np.max(np.abs(samples.outputs[output.name]), axis=0), nan=np.inf)
    return most
