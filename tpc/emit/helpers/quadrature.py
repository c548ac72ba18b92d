"""Parts of emitted modules that integrate over few Gaussians.

Rules that know their errors, and Sobol points that check them.
"""

# ruff: noqa: F811
import warnings

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec
from scipy.special import roots_hermitenorm

from tpc.emit.helpers.runner import (
    draw,
    draw_sobol,
    evaluated,
    evaluations,
    limit,
    outputs_of,
    prepared,
    spread,
    traced,
)

DTYPE, GAUSSIANS, GRIDS, SAMPLES, REPEATS = "float64", 1, (8, 6), 64, 4
SENSITIVE = True


def integrated(given, mesh=None):
    return {}, jnp.zeros(())


# ---- copied
ROWS = 16  # from so many outputs on, derivatives are taken of as many sums of all, not of each
EPS = float(np.finfo(DTYPE).eps)


def sensitivity(inputs, points, weights, names=None):
    """What `limit` gives, and how the outputs `names` (None: all) depend on the weights: derivatives [Q, M].

    They are in units of max(1, |output|), those of every output, in the order of their names; of ROWS or
    more, those of ROWS sums of all with random signs.
    """

    def in_a_row(weights):
        """Outputs as one vector."""
        outputs, lost = limit(inputs, points, weights)
        row = jnp.concatenate([jnp.ravel(outputs[name]) for name in sorted(names or outputs)])
        return row, (outputs, lost)

    row, back, (outputs, lost) = jax.vjp(in_a_row, weights, has_aux=True)
    count, units = len(row), jnp.maximum(1, jnp.abs(row))
    signs = np.eye(count) if count < ROWS else np.random.default_rng(0).choice([-1.0, 1.0], (ROWS, count))
    return outputs, lost, lax.map(lambda own: back(own / units)[0], jnp.asarray(signs, DTYPE))


sensitivity_compiled = jax.jit(sensitivity, static_argnames="names")


def sensitive(inputs, points, weights, mesh=None, names=None):
    """What `limit` gives on these points, and the `sensitivity` [Q, M] of some outputs.

    The latter is zeros [1, M] where it would take too much memory.
    """
    if not SENSITIVE:
        return *evaluated(inputs, points, weights, mesh), np.zeros((1, len(weights)))
    if traced(inputs):
        place = (jnp.asarray(points, DTYPE), jnp.asarray(weights, DTYPE))
        return *evaluated(inputs, points, weights, mesh), sensitivity_compiled(
            lax.stop_gradient(inputs), *place
        )[-1]
    if mesh is None:
        function, place = sensitivity_compiled, (jnp.asarray(points, DTYPE), jnp.asarray(weights, DTYPE))
    else:
        place = (spread(np.asarray(points, DTYPE), mesh), spread(np.asarray(weights, DTYPE), mesh))
        function = jax.jit(
            sensitivity, static_argnames="names", out_shardings=NamedSharding(mesh, PartitionSpec())
        )
    outputs, lost, slopes = function(inputs, *place, names=names)
    return outputs, lost, (slopes if traced(slopes) else np.asarray(slopes, float))[:, : len(weights)]


def library(array):
    """NumPy, or JAX's for what is traced.

    JAX would compile everything anew for arrays whose shapes change.
    """
    return jnp if traced(array) else np


def sizes(parts):
    """Bounds of what each output has of `parts` [Q, ...], which are linear in the derivatives.

    [N, ...], or [1, ...], for all of many outputs.
    """
    xp = library(parts)
    return xp.abs(parts) if len(parts) < ROWS else 2 * xp.sqrt(xp.mean(parts**2, axis=0, keepdims=True))


def unseen(slopes, weights):
    """What outputs owe to points [P] so improbable that random ones meet none of them.

    The random points are those that check the rule, all SAMPLES x REPEATS of them.

    slopes: [Q, P].
    """
    order = np.argsort(weights)
    rare = order[np.cumsum(weights[order]) <= 1 / (SAMPLES * REPEATS)]
    parts = (slopes - (slopes @ weights)[:, None]) * weights
    return sizes(parts[:, rare]).sum(axis=1)


def in_units(found, outputs, names=None):
    """Numbers [N] or [1] in units of max(1, |output|) as those of the outputs `names`, or all.

    Those of other outputs are inf.
    """
    out = {name: jnp.full(value.shape, jnp.inf, DTYPE) for name, value in outputs.items()}
    start = 0
    for name in sorted(names or outputs):
        size = outputs[name].size
        own = found[start : start + size] if len(found) > 1 else jnp.broadcast_to(found, size)
        out[name] = own.reshape(outputs[name].shape) * jnp.maximum(1, jnp.abs(outputs[name]))
        start += size
    return out


def record(outputs, lost, bound, hidden, others, names=None):
    """What is kept of a rule: outputs, their claimed errors, and what of them Sobol points cannot see.

    bound, hidden: the latter two in units of max(1, |output|), [N] or [1], of the outputs `names`, or all.
    others: the outputs by other rules, whose differences are errors, too.
    """
    bound, hidden = in_units(bound, outputs, names), in_units(hidden, outputs, names)
    made = {}
    for name, value in outputs.items():
        apart = [jnp.abs(value - other[name]) for other in others]
        made[f"{name}: claim"] = jnp.max(jnp.stack([bound[name], *apart]), axis=0) + 4 * EPS * jnp.abs(value)
        made[f"{name}: unseen"] = jnp.where(jnp.isfinite(hidden[name]), hidden[name], 0)
    return lax.stop_gradient(made) | outputs, lost


# ---- checked
def verdict(value, claim, hidden, found):
    """The better one of a rule and of repeats `found` [R, ...] on Sobol points.

    Returns the value, its error, whether it is of the repeats, and whether because they disagree. The rule is
    believed if it claims less than the standard error and its difference from the repeats is within four of
    these. Where it is more than that, though not beyond doubt (16), the error covers a third of it.
    """
    mean = jnp.mean(found, axis=0)
    own = jnp.std(found, axis=0, ddof=1) / len(found) ** 0.5 + 4 * EPS * jnp.abs(mean)
    error, apart = jnp.maximum(own, hidden), jnp.abs(value - mean)
    finite = jnp.isfinite(value) & jnp.isfinite(claim)
    alike = (apart <= 4 * (own + hidden) + claim) | ~jnp.isfinite(apart)
    precise = claim <= error + 64 * EPS * jnp.maximum(1, jnp.abs(value))
    sampled = ~(finite & alike & precise)
    stderr = jnp.where(finite & ~alike & (apart < 16 * error), jnp.maximum(error, apart / 3), error)
    out = jnp.where(sampled, mean, value), lax.stop_gradient(jnp.where(sampled, stderr, claim))
    return *out, sampled, finite & precise & ~alike


def verdicts(done):
    """{output: what `verdict` says of it}, of the evaluation of the rule and those on Sobol points."""
    own, *others = outputs_of(done)
    return {
        name: verdict(
            value, own[f"{name}: claim"], own[f"{name}: unseen"], jnp.stack([each[name] for each in others])
        )
        for name, value in own.items()
        if ": " not in name
    }


def summary(done):
    """{output: (value, error)}. Warns where Sobol points were needed."""
    found = verdicts(done)
    for name, (value, _, sampled, apart) in found.items():
        if not traced(sampled) and jnp.any(sampled):
            why = "disagrees with them" if jnp.any(apart) else "is no more precise there"
            what = name if value.ndim == 0 else f"{name}, in {int(jnp.sum(sampled))} of {value.size} entries,"
            warnings.warn(f"{what} is from Sobol points: quadrature {why}", stacklevel=3)
    return {name: (value, error) for name, (value, error, _, _) in found.items()}


def run(inputs=None, seed=0, progress=None, kept=None, mesh=None):
    """{output: (value, error)}, by quadrature, checked by Sobol points, which are random, from a seed.

    Can be jitted, vmapped over and differentiated in `inputs`. progress: called with the numbers of
    evaluations done
    and of all: of the rule, and of every repeat on Sobol points. kept: a mapping of what is done, by
    evaluation, to begin with and to add to. mesh: a `jax.sharding.Mesh` of one axis, over whose devices the
    points are shared out.
    """
    kept = {} if kept is None else kept
    if 0 not in kept:
        kept[0] = integrated(prepared(inputs), mesh)
    return summary(evaluations(inputs, lambda k: draw(seed, k), 1 + REPEATS, progress, kept, mesh))


# ---- gauss-hermite
LEAST = 1e-40  # the weight of a point that counts: beyond, functions that grow might not be finite


def draw(seed, k):
    """Points [GAUSSIANS, M] and weights: for k = 0 of the rule, for which the seed plays no part.

    Then Sobol's.
    """
    return hermite_rule([GRIDS[0]] * GAUSSIANS) if k == 0 else draw_sobol(seed, k - 1)


def hermite_rule(counts):
    """Points and weights of the product of Gauss–Hermite rules with so many nodes for each Gaussian."""
    nodes, weights = zip(*map(roots_hermitenorm, counts), strict=True)
    grid = np.stack(np.meshgrid(*nodes, indexing="ij")).reshape(GAUSSIANS, -1)
    product = np.ones(())
    for own in weights:
        product = np.multiply.outer(product, own / own.sum())
    there = product.reshape(-1) > LEAST
    return grid[:, there], product.reshape(-1)[there]


def integrated(given, mesh=None):
    """The record of the finer rule in all dimensions.

    Its error is what the coarser one changes in every dimension, without the signs, or in all at once; and
    rounding.
    """
    fine, rough = GRIDS
    points, weights = hermite_rule([fine] * GAUSSIANS)
    outputs, lost, slopes = sensitive(given, points, weights, mesh)
    mixed = [
        hermite_rule([rough if axis == own else fine for axis in range(GAUSSIANS)])
        for own in range(GAUSSIANS)
    ]
    found = [evaluated(given, *rule, mesh) for rule in (hermite_rule([rough] * GAUSSIANS), *mixed)]
    (other, _), *others = found
    errors = {name: sum(jnp.abs(value - each[name]) for each, _ in others) for name, value in outputs.items()}
    apart = {name: value - errors[name] for name, value in outputs.items()}
    rounding = 4 * EPS * sizes(slopes * weights).sum(axis=1)
    lost = jnp.maximum(lost, jnp.stack([more for _, more in found]).max())
    return record(outputs, lost, rounding, unseen(slopes, weights), [other, apart])
