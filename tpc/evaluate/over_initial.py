"""Outputs integrated over the scalars that are random in the limit.

Their means and covariances over the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.evaluate.affine_in_start import affine_outputs
from tpc.evaluate.known_start import NO_ERROR, SHIFTS, WIDER, KnownStart
from tpc.evaluate.output_functions import at_points, chosen_points
from tpc.evaluate.result import Outcome

if TYPE_CHECKING:
    from tpc.evaluate.evaluator import Evaluator

DRAWS = 64  # at least so many draws of the start in a batch, and twice as many as scalars
BATCHES = 8  # where all is exact but the integral; else one for each repeat


def over_the_start(
    evaluator: Evaluator,
    known: KnownStart,
    inputs: Mapping[str, Any],
    seed: int,
    at_mean: Mapping[str, Outcome],
) -> dict[str, Outcome]:
    """Each output's mean over the start and its error, its covariance [size, size] and that of its deviation.

    at_mean: the outputs at the mean of the start, which is the mean of those that are affine in it; their
    covariance is J K Jᵀ. The others are averaged over batches of draws that have mean 0 and covariance 1 in
    the sample, so that of quadratic ones the means are exact, too. Errors of the start's covariances are in
    the deviations of affine outputs, and in all of the others.
    """
    start = evaluator.start
    assert start is not None
    found = affine_outputs(evaluator.program, start.names)
    affine = tuple(name for name in at_mean if name in found)
    rest = tuple(name for name in at_mean if name not in affine)
    out = {}
    if affine:
        for name, slopes in _slopes(evaluator, affine, inputs, seed).items():
            out[name] = _affine(known, slopes, seed, at_mean[name])
    if rest:
        out |= _averaged(evaluator, known, rest, inputs, seed, at_mean)
    return {name: out[name] for name in at_mean}


def _affine(known: KnownStart, slopes: np.ndarray, seed: int, at_mean: Outcome) -> Outcome:
    """An output that is affine in the start, of its slopes in each repeat [R, size, N]."""
    slope = slopes.mean(axis=0)
    half = slope @ known.root
    error = np.zeros(at_mean.value.size)
    if not known.exact:
        shifts = [_deviation(slope @ root) - _deviation(half) for root in known.roots(SHIFTS, seed)]
        error = WIDER * np.sqrt(np.mean(np.square(shifts), axis=0))
    if len(slopes) > 1:
        spread = np.std([_deviation(own @ known.root) for own in slopes], axis=0, ddof=1)
        error = np.hypot(error, spread / len(slopes) ** 0.5)
    if not known.finite:
        error = np.full(error.shape, np.inf)
    return replace(at_mean, covariance=half @ half.T, std_error=error.reshape(at_mean.value.shape))


def _deviation(half: np.ndarray) -> np.ndarray:
    """The standard deviations of half·z, z being of covariance 1."""
    return np.asarray(np.sqrt(np.sum(np.square(half), axis=1)))


def _slopes(
    evaluator: Evaluator, names: Sequence[str], inputs: Mapping[str, Any], seed: int
) -> dict[str, np.ndarray]:
    """The derivatives of outputs in all scalars, of each repeat, if there are any, [R, size, N]."""
    import jax
    import jax.numpy as jnp

    start = evaluator.start
    assert start is not None
    split: Callable[[Any], dict[str, Any]] = start.split
    zero = jnp.zeros(start.initial.size, evaluator.plan.dtype)
    rule, repeats, _ = chosen_points(evaluator, names, seed, {**inputs, **split(zero)})
    at = at_points(evaluator, names)
    slope = jax.jit(lambda points: jax.jacfwd(lambda flat: at({**inputs, **split(flat)}, *points))(zero))
    found = [slope(_placed(evaluator, drawn)) for drawn in repeats or rule]
    size = start.initial.size
    return {name: np.stack([np.asarray(each[name]).reshape(-1, size) for each in found]) for name in names}


def _placed(evaluator: Evaluator, drawn: Any) -> Any:
    """Points and weights as JAX arrays."""
    import jax
    import jax.numpy as jnp

    return jax.tree.map(lambda a: jnp.asarray(a, evaluator.plan.dtype), drawn)


def _averaged(
    evaluator: Evaluator,
    known: KnownStart,
    names: tuple[str, ...],
    inputs: Mapping[str, Any],
    seed: int,
    at_mean: Mapping[str, Outcome],
) -> dict[str, Outcome]:
    """at_mean: at the mean of the start, the errors there being an estimate of those of a grid.

    The covariances of batches are off by their errors, so much that the spread of the batches has them.
    """
    ruled, found = _batches(evaluator, known, names, inputs, seed)
    batches, draws = len(found), len(found[0][names[0]])
    out = {}
    for name in names:
        # [batches, draws, size]
        values = np.stack([np.asarray(batch[name]).reshape(draws, -1) for batch in found])
        means, deviations = values.mean(axis=1), values.std(axis=1, ddof=1)
        shape = np.asarray(found[0][name]).shape[1:]
        centred = (values - means[:, None]).reshape(batches * draws, -1)
        error, of_std = (each.std(axis=0, ddof=1) / batches**0.5 for each in (means, deviations))
        own = at_mean[name].stderr
        if ruled and own is not None:
            error = np.hypot(error, own.reshape(-1))
        if not known.finite:
            error = of_std = np.full(error.shape, np.inf)
        out[name] = Outcome(
            means.mean(axis=0).reshape(shape),
            error.reshape(shape),
            centred.T @ centred / (batches * (draws - 1)),
            at_mean[name].reason if known.finite else NO_ERROR,
            of_std.reshape(shape),
        )
    return out


def _batches(
    evaluator: Evaluator, known: KnownStart, names: tuple[str, ...], inputs: Mapping[str, Any], seed: int
) -> tuple[bool, list[Mapping[str, Any]]]:
    """Whether points are those of a rule, and the outputs at the draws of every batch [draws, *shape]."""
    import jax

    start = evaluator.start
    assert start is not None
    size = start.initial.size
    rule, repeats, _ = chosen_points(evaluator, names, seed, {**inputs, **start.split(np.zeros(size))})
    alike = len(repeats) < 2 or evaluator.plan.exact  # for all batches
    batches = BATCHES if alike else len(repeats)
    draws = max(DRAWS, 2 * size)
    at = at_points(evaluator, names)

    @jax.jit
    def batch(points: Any, starts: Any) -> Any:
        return jax.lax.map(lambda flat: at({**inputs, **start.split(flat)}, *points), starts)

    found = []
    for k, root in enumerate(known.roots(batches, seed, scale=batches**0.5)):
        z = _whitened(np.random.default_rng([seed, k]).standard_normal((draws, size)))
        found.append(batch(_placed(evaluator, (repeats or rule)[0 if alike else k]), z @ root.T))
    return bool(rule) or alike, found


def _whitened(z: np.ndarray) -> np.ndarray:
    """Draws [D, N] made to have mean 0 and covariance 1 in the sample."""
    z = z - z.mean(axis=0)
    root = np.linalg.cholesky(z.T @ z / len(z))
    return np.asarray(np.linalg.solve(root, z.T).T)
