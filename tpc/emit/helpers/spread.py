"""The part of emitted modules that sees whether the spread of the repeats can be trusted.

It is copied into the modules whose points are drawn at random.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tpc.emit.helpers.rounding import rounding
from tpc.emit.helpers.runner import (
    DTYPE,
    GAUSSIANS,
    REPEATS,
    SAMPLES,
    WHITEN,
    draw,
    evaluated,
    evaluations,
    limit,
    numeric,
    outputs_of,
    prepared,
    traced,
    whitened,
)

HALVED, PADDED, PULLED, PASSES, REPLAYED = 2, True, 64, 4, 4096
HEAVY, EDGED, UNROUNDED, WILD = (), (), (), ()


# ---- claims
# the index of a tail from which on no number of points of a run tells a mean's error (Vehtari et al., 2024)
NO_ERROR = 0.7


class Claim(NamedTuple):
    """What is known of one output: arrays of its shape, NaN where something was not looked at."""

    value: jax.Array  # its mean over the repeats
    # the standard error of that, from the spread of the repeats, and wider the fewer these are (`students`)
    spread: jax.Array
    bias: jax.Array  # about how far it is off because of the number of points
    # the index k of the Pareto tail of its integrand over the points: E |f|^p is finite for p < 1/k
    tail: jax.Array
    # what an event may add that no point, or the same share of the points in every repeat, has met
    unseen: jax.Array
    # what rounding may make of it, looked at if repeats agree; where they do not, it is in their spread
    rounding: jax.Array

    @property
    def stderr(self):
        """The error that is claimed: inf where the integrand's tail leaves none.

        Samples of a heavy tail spread less than their mean is off.
        """
        by = numeric(tuple(self))
        _, total, bias, tail, unseen, lost = map(by.asarray, self)
        tail = by.where(by.isnan(tail), 0, tail)
        with np.errstate(all="ignore"):
            total = by.maximum(1, 0.85 / (1 - 1.15 * by.minimum(tail, NO_ERROR))) * total
            for part in (bias, unseen, lost):
                total = by.hypot(total, by.nan_to_num(part))
        return jnp.asarray(by.where(tail < NO_ERROR, total, by.inf))


def claims(done, checks=None):
    """{output: Claim} of independent repeats. checks: what `checked` found, as far as it is there."""
    outputs, checks = outputs_of(done), {} if checks is None else checks
    halves = [found for key, found in checks.items() if key.startswith("halves")]
    pulled = checks.get(f"influence-{len(done)}", {})
    out = {}
    for name in outputs[0]:
        by = numeric([each[name] for each in outputs])
        v = by.stack([each[name] for each in outputs])
        none = np.full(v.shape[1:], np.nan, v.dtype)
        bias = np.abs(sum(np.asarray(found[name]) for found in halves) / len(halves)) if halves else none
        lost = np.asarray(checks["rounding"][name], v.dtype) if "rounding" in checks else none
        tail, unseen = (pulled.get(f"{name} {what}", none) for what in ("tail", "unseen"))
        tail = np.full(v.shape[1:], np.inf, v.dtype) if name in WILD else tail
        with np.errstate(all="ignore"):
            mean, apart = centred(v, by)
            spread = (
                students(len(outputs)) * by.std(apart, axis=0, ddof=1) / len(outputs) ** 0.5
                if len(outputs) > 1
                else np.full(v.shape[1:], np.inf, v.dtype)
            )
        out[name] = Claim(*map(jnp.asarray, (mean, spread, bias, tail, unseen, lost)))
    return out


def centred(v, by):
    """The mean [...] of repeats [R, ...], and they less the first of them.

    So a number that all have is their mean, which adding up R of them misses by the rounding of R numbers.
    """
    apart = by.where(by.isfinite(v) & by.isfinite(v[0]), v - v[0], v)
    mean = by.where(by.isfinite(v).all(axis=0), v[0] + by.mean(apart, axis=0), by.mean(v, axis=0))
    return mean, apart


def students(repeats):
    """The factor by which so few make a standard error too small.

    Student's 95 % are as many as those of a Gaussian then (Cornish-Fisher).
    """
    x, freedom = 1.96, max(1, repeats - 1)
    terms = (x**2 + 1) / 4, (5 * x**4 + 16 * x**2 + 3) / 96, (3 * x**6 + 19 * x**4 + 17 * x**2 - 15) / 384
    return 1 + sum(term / freedom**power for power, term in enumerate(terms, 1))


def summary(done, checks=None):
    """{output: (mean, standard error)} of independent repeats."""
    return {name: (claim.value, claim.stderr) for name, claim in claims(done, checks).items()}


def run(
    inputs=None, seed=0, samples=SAMPLES, repeats=REPEATS, progress=None, kept=None, mesh=None, checks=None
):
    """{output: (value, standard error)}, from a seed.

    Can be jitted, vmapped over and differentiated in `inputs`, with errors by the spread alone.

    The error is inf where none can be told, as of one repeat. progress: called with the numbers of repeats
    done and of all. kept: a mapping of what is done, by repeat, to begin with and to add to. mesh: a
    `jax.sharding.Mesh` of one axis, over whose devices the samples are shared out. checks: a mapping of what
    `checked` has found, to begin with and to add to.
    """
    done = evaluations(inputs, lambda k: draw(seed, k, samples), repeats, progress, kept, mesh)
    if traced(done):
        return summary(done)
    return summary(done, checked(inputs, seed, samples, done, {} if checks is None else checks, mesh))


def checked(inputs, seed, samples, done, checks, mesh=None):
    """`checks` with what it lacks.

    How the first repeats differ from their halves, and the tails of integrands where they may be heavy.
    """
    given = prepared(inputs)
    for k in range(min(HALVED, len(done))):
        if f"halves-{k}" not in checks:
            keys = [f"half-{k}-0", f"half-{k}-1"]
            for key, part in zip(keys, halves(draw(seed, k, samples)[0]), strict=True):
                if key not in checks:
                    checks[key] = evaluated(given, *part, mesh)[0]
                jax.block_until_ready(checks[key])  # both at once would take the memory of both
            with np.errstate(all="ignore"):
                checks[f"halves-{k}"] = {
                    name: np.mean([checks[key][name] for key in keys], axis=0) - np.asarray(value)
                    for name, value in done[k][0].items()
                }
    rounded = [
        np.stack([np.asarray(o[name]) for o, _ in done]) for name in done[0][0] if name not in UNROUNDED
    ]
    if REPLAYED and "rounding" not in checks and any(agreeing(values).any() for values in rounded):
        checks["rounding"] = rounding(given, *draw(seed, 0, samples), done[0][0], REPLAYED, mesh)
    wanted = suspects(done) if PULLED else {}
    if wanted and f"influence-{len(done)}" not in checks:
        checks[f"influence-{len(done)}"] = influence(given, seed, samples, done, wanted)
    return checks


def halves(points):
    """The two halves of the points of a repeat, as points and weights of their own.

    Points of a Sobol sequence are Sobol points again.

    The parts of an output that are linear in the distribution of the points have the halves' mean. What is
    left is what its bias changes by.
    """
    half = points.shape[1] // 2
    for part in (points[:, :half], points[:, half : 2 * half]):
        own = whitened(part) if WHITEN and half >= 2 * GAUSSIANS else part
        yield (
            (np.concatenate([own, own], axis=1), np.repeat([1 / half, 0], half))
            if PADDED
            else (own, np.full(half, 1 / half))
        )


def tied(values):
    """Where all repeats [R, ...] have the same number, to rounding."""
    return np.ptp(values, axis=0) <= 4 * np.finfo(values.dtype).eps * np.max(np.abs(values), axis=0)


def agreeing(values):
    """Where [...] two of the repeats [R, ...] have the same number, to rounding.

    What is not made of few points, or few digits, has no reason to.
    """
    ordered = np.sort(values, axis=0)
    return np.min(np.diff(ordered, axis=0), axis=0, initial=np.inf) <= 4 * np.finfo(
        values.dtype
    ).eps * np.max(np.abs(values), axis=0)


def suspects(done):
    """{output: where [...] its error needs to be looked at}.

    What may have a heavy tail by its functions, or one repeat that spreads more than the others together, or
    repeats that agree although it has functions with a kink or a jump, which few points may have met.
    """
    out = {}
    for name in done[0][0]:
        values = np.stack([np.asarray(each[0][name]) for each in done])
        squares = np.square(values - values.mean(axis=0))
        alone = np.max(squares, axis=0) > 0.8 * np.sum(squares, axis=0)
        few = agreeing(values) & (name in EDGED)
        found = np.isfinite(values).all(axis=0) & (few | (name in HEAVY) | alone & ~tied(values))
        if found.any():
            out[name] = found
    return out


def pulls(inputs, points, weights, cotangents):
    """The derivative of a combination of outputs in the weight of every point.

    To first order that is its integrand, through all means that it depends on.
    """
    return jax.vjp(lambda own: limit(inputs, points, own)[0], weights)[1](cotangents)[0]


# It runs a few times, on few points: what makes programs fast takes longer than it.
pull = jax.jit(
    pulls, compiler_options={"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
)


def influence(given, seed, samples, done, wanted):
    """{"NAME tail", "NAME unseen": arrays} of the outputs in `wanted`.

    From PULLED points and as many stretched ones of weight 0.

    Entries are looked at one by one, or in PASSES combinations with random signs.
    """
    count, every = min(PULLED, samples * len(done)), range(-(-min(PULLED, samples * len(done)) // samples))
    points = np.concatenate([draw(seed, k, samples)[0] for k in every], axis=1)[:, :count]
    points = whitened(points) if WHITEN and count >= 2 * GAUSSIANS else points
    stretched = points * np.resize([1.5, 2, 3], count)
    at, weights = (
        jnp.asarray(np.concatenate([points, stretched], axis=1), DTYPE),
        jnp.asarray(np.repeat([1 / count, 0], count), DTYPE),
    )
    values = {name: np.stack([np.asarray(each[0][name]) for each in done]) for name in done[0][0]}
    out = {
        f"{name} {what}": np.full(values[name].shape[1:], np.nan)
        for name in wanted
        for what in ("tail", "unseen")
    }
    signs = np.random.default_rng(0)
    for name, where in wanted.items():
        entries = np.flatnonzero(where)
        scale = np.max(np.abs(values[name]), axis=0).ravel()
        scale = np.where(scale > np.finfo(DTYPE).tiny ** 0.5, scale, 1)
        for own in np.array_split(entries, min(len(entries), max(1, PASSES // len(wanted)))):
            direction = np.zeros(scale.size)
            direction[own] = signs.choice([-1, 1], len(own)) / scale[own]
            cotangents = {other: np.zeros(v.shape[1:], DTYPE) for other, v in values.items()}
            cotangents[name] = np.asarray(direction.reshape(where.shape), DTYPE)
            found = np.asarray(pull(given, at, weights, cotangents))
            if np.isfinite(found).all():
                index = tail_index(np.abs(found - found[:count].mean())[:count])
                out[f"{name} tail"].ravel()[own] = index
                if name in EDGED:
                    met = np.abs(found - np.median(found[:count]))  # what most points meet is no event
                    same = tied(values[name]).ravel()[own]
                    few = unmet(met[:count], met[count:], index == 0, same, len(done))
                    out[f"{name} unseen"].ravel()[own] = few / samples * scale[own]
    return out


def unmet(seen, probed, sparse, same, repeats):
    """What points that are not there may add to means over M points in all repeats, in units of 1/M.

    For entries that are the `same` in all or not.

    sparse: whether too few have met anything for a tail to be seen. Where no point, or hardly one, has met
    what stretched points meet, three in all may have been missed (the rule of three). Sobol points meet an
    event of chance p between p M - 1 and p M + 1 times, or so, and may do so in all repeats.
    """
    squares = np.square(seen)
    effective = np.sum(squares) ** 2 / max(np.sum(squares**2), np.finfo(np.float64).tiny)
    met = probed > 1e-9 * max(probed.max(), np.finfo(np.float64).tiny)
    if seen.max() <= 1e-10 * probed.max() or (sparse and effective < 10):
        return np.full(same.shape, 3 / repeats * probed[met].mean() if met.any() else 0)
    return np.where(same, seen.max(), 0)


def tail_index(sizes):
    """The index k of the generalized Pareto distribution that fits the greatest of `sizes` [M].

    0 if they tell nothing. Zhang and Stephens (2009), with the prior of Vehtari et al. (2024).
    """
    ordered = np.sort(np.asarray(sizes, np.float64))
    count = int(min(0.2 * len(ordered), 3 * len(ordered) ** 0.5))
    excess = ordered[-count:] - ordered[-count - 1]
    excess = excess[excess > 1e-9 * ordered[-count - 1]] / max(ordered[-1], np.finfo(np.float64).tiny)
    n = len(excess)
    if n < 20:
        return 0.0
    turns = 30 + int(n**0.5)
    rates = 1 / excess[-1] + (1 - (turns / (np.arange(1, turns + 1) - 0.5)) ** 0.5) / (
        3 * excess[int(n / 4 + 0.5) - 1]
    )
    indices = np.mean(np.log1p(-rates[:, None] * excess), axis=1)
    fit = n * (np.log(-rates / indices) - indices - 1)
    shares = np.exp(fit - fit.max())
    k = np.mean(np.log1p(-(rates @ shares / shares.sum()) * excess))
    return float((n * k + 5) / (n + 10))
