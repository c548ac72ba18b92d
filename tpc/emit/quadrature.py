"""The parts of emitted modules that integrate over few Gaussians: rules that know their errors, and scrambled Sobol points that check them."""

# ruff: noqa: F811
import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec
from numpy.polynomial import legendre
from scipy.special import roots_hermitenorm

from tpc.emit.runner import evaluated, evaluations, limit, outputs_of, prepared, spread
from tpc.emit.runner import draw as sobol_draw

DTYPE, GAUSSIANS, GRIDS, SAMPLES, REPEATS = "float64", 1, (8, 6), 64, 4
ORDER, CAPACITIES, SENSITIVE = 7, (4096,), True


def draw(seed, k):
    return sobol_draw(seed, k)


# ---- sensitivity
ROWS = 16                    # from so many outputs on, derivatives are taken of as many sums of all, not of each
EPS = float(np.finfo(DTYPE).eps)
draw_sobol = draw


def sensitivity(inputs, points, weights, names=None):
    """What `limit` gives, and how the outputs `names` (all, if there are none) depend on the weights: derivatives [Q, M], in units of max(1, |output|).

    They are those of every output, in the order of their names; of ROWS or more, those of ROWS sums of all with random signs.
    """
    def in_a_row(weights):
        """Outputs as one vector."""
        outputs, lost = limit(inputs, points, weights)
        return jnp.concatenate([jnp.ravel(outputs[name]) for name in sorted(names or outputs)]), (outputs, lost)
    row, back, (outputs, lost) = jax.vjp(in_a_row, weights, has_aux=True)
    signs = np.eye(len(row)) if len(row) < ROWS else np.random.default_rng(0).choice([-1.0, 1.0], (ROWS, len(row)))
    units = jnp.maximum(1, jnp.abs(row))
    return outputs, lost, lax.map(lambda own: back(own / units)[0], jnp.asarray(signs, DTYPE))


sensitivity_compiled = jax.jit(sensitivity, static_argnames="names")


def sensitive(inputs, points, weights, mesh=None, names=None):
    """What `limit` gives on these points, and the `sensitivity` [Q, M] of some outputs; zeros [1, M] where that would take too much memory."""
    if not SENSITIVE:
        return *evaluated(inputs, points, weights, mesh), np.zeros((1, len(weights)))
    if any(map(traced, jax.tree.leaves(inputs))):
        slopes = sensitivity_compiled(lax.stop_gradient(inputs), jnp.asarray(points, DTYPE), jnp.asarray(weights, DTYPE))[-1]
        return *evaluated(inputs, points, weights, mesh), slopes
    if mesh is None:
        outputs, lost, slopes = sensitivity_compiled(inputs, jnp.asarray(points, DTYPE), jnp.asarray(weights, DTYPE), names=names)
    else:
        shared = [spread(np.asarray(a, DTYPE), mesh) for a in (points, weights)]
        function = jax.jit(sensitivity, static_argnames="names", out_shardings=NamedSharding(mesh, PartitionSpec()))
        outputs, lost, slopes = function(inputs, *shared, names=names)
    return outputs, lost, (slopes if traced(slopes) else np.asarray(slopes, float))[:, :len(weights)]


def traced(array):
    """Whether an array is one that JAX only traces, of which there are no numbers yet."""
    return isinstance(array, jax.core.Tracer)


def library(array):
    """NumPy, or JAX's for what is traced: of numbers whose shapes change, JAX would compile everything anew."""
    return jnp if traced(array) else np


def sizes(parts):
    """Bounds of what each output has of `parts` [Q, ...], which are linear in the derivatives: [N, ...], or [1, ...] for all of many outputs."""
    xp = library(parts)
    return xp.abs(parts) if len(parts) < ROWS else 2 * xp.sqrt(xp.mean(parts**2, axis=0, keepdims=True))


def unseen(slopes, weights):
    """What outputs owe to points [P] so improbable that random ones, as many as check the rule, meet none of them. slopes: [Q, P]."""
    order = np.argsort(weights)
    rare = order[np.cumsum(weights[order]) <= 1 / (SAMPLES * REPEATS)]
    parts = (slopes - (slopes @ weights)[:, None]) * weights
    return sizes(parts[:, rare]).sum(axis=1)


def rounding(slopes, weights):
    """What rounding may make of the sums over points."""
    return 4 * EPS * (1 + sizes(slopes * weights).sum(axis=1))


def in_units(found, outputs, names=None):
    """Numbers [N] or [1] in units of max(1, |output|), of the outputs `names` or all, as those of the outputs; without end for others."""
    out, start = {name: jnp.full(value.shape, jnp.inf, DTYPE) for name, value in outputs.items()}, 0
    for name in sorted(names or outputs):
        size = outputs[name].size
        own = found[start:start + size] if len(found) > 1 else jnp.broadcast_to(found, size)
        out[name] = own.reshape(outputs[name].shape) * jnp.maximum(1, jnp.abs(outputs[name]))
        start += size
    return out


def record(outputs, lost, bound, hidden, others, names=None):
    """What is kept of a rule: outputs, and under names of their own their claimed errors and what of them Sobol points cannot see.

    bound, hidden: in units of max(1, |output|), [N] or [1], of the outputs `names`, or all. others: the outputs by other rules, whose differences are
    errors, too.
    """
    bound, hidden = in_units(bound, outputs, names), in_units(hidden, outputs, names)
    made = {}
    for name, value in outputs.items():
        apart = [jnp.abs(value - other[name]) for other in others]
        made[f"{name}: claim"] = jnp.max(jnp.stack([bound[name], *apart]), axis=0)
        made[f"{name}: unseen"] = jnp.where(jnp.isfinite(hidden[name]), hidden[name], 0)
    return lax.stop_gradient(made) | outputs, lost


# ---- checked
def verdict(value, claim, hidden, found):
    """The better one of a rule and of repeats `found` [R, ...] on Sobol points, its error, and whether it is the latter, and because they disagree.

    The rule is believed if it claims less than the standard error and its difference from the repeats is within four of these. Where it is more than
    that, though not beyond doubt (16), the error covers a third of it.
    """
    mean = jnp.mean(found, axis=0)
    own = jnp.std(found, axis=0, ddof=1) / len(found)**0.5 + 4 * EPS * jnp.abs(mean)
    error, apart = jnp.maximum(own, hidden), jnp.abs(value - mean)
    finite = jnp.isfinite(value) & jnp.isfinite(claim)
    alike = (apart <= 4 * (own + hidden) + claim) | ~jnp.isfinite(apart)
    sampled = ~finite | ~(claim <= error + 64 * EPS * jnp.maximum(1, jnp.abs(value))) | ~alike
    doubtful = finite & ~alike & (apart < 16 * error)
    stderr = jnp.where(doubtful, jnp.maximum(error, apart / 3), error)
    return jnp.where(sampled, mean, value), lax.stop_gradient(jnp.where(sampled, stderr, claim)), sampled, ~alike & finite


def verdicts(done):
    """{output: what `verdict` says of it}, of the evaluation of the rule and those on Sobol points."""
    own, *others = outputs_of(done)
    return {name: verdict(value, own[f"{name}: claim"], own[f"{name}: unseen"], jnp.stack([each[name] for each in others]))
            for name, value in own.items() if ": " not in name}


def summary(done):
    """{output: (value, error)}. Warns where Sobol points were needed."""
    found = verdicts(done)
    for name, (value, _, sampled, apart) in found.items():
        if not isinstance(sampled, jax.core.Tracer) and jnp.any(sampled):
            why = "disagrees with them" if jnp.any(apart & sampled) else "is no more precise there"
            what = name if value.ndim == 0 else f"{name}, in {int(jnp.sum(sampled))} of {value.size} entries,"
            warnings.warn(f"{what} is from Sobol points: quadrature {why}", stacklevel=3)
    return {name: (value, error) for name, (value, error, _, _) in found.items()}


def run(inputs=None, seed=0, progress=None, kept=None, mesh=None):
    """{output: (value, error)}: by quadrature, checked by Sobol points, which are random, from a seed; can be jitted, vmapped over and
    differentiated in `inputs`.

    progress: called with the numbers of evaluations done and of all: of the rule, and of every repeat on Sobol points. kept: a mapping of what is
    done, by evaluation, to begin with and to add to. mesh: a `jax.sharding.Mesh` of one axis, over whose devices the points are shared out.
    """
    kept = {} if kept is None else kept
    if 0 not in kept:
        kept[0] = integrated(prepared(inputs), mesh)
    return summary(evaluations(inputs, lambda k: draw(seed, k), 1 + REPEATS, progress, kept, mesh))


# ---- gauss-hermite
LEAST = 1e-40                # the weight of a point that counts: beyond, functions that grow might not be finite


def draw(seed, k):
    """Points [GAUSSIANS, M] and weights: for k = 0 the product of Gauss–Hermite rules, for which the seed plays no part, and then Sobol points."""
    return product_rule(GRIDS[0]) if k == 0 else draw_sobol(seed, k - 1)


def product_rule(count):
    """Points and weights of the product of rules with `count` nodes for each Gaussian."""
    nodes, weights = roots_hermitenorm(count)
    grid = np.stack(np.meshgrid(*[nodes] * GAUSSIANS, indexing="ij")).reshape(GAUSSIANS, -1)
    product = np.ones(())
    for _ in range(GAUSSIANS):
        product = np.multiply.outer(product, weights / weights.sum())
    counts = product.reshape(-1) > LEAST
    return grid[:, counts], product.reshape(-1)[counts]


def integrated(given, mesh=None):
    """The record of the finer rule, whose error is its difference from the other."""
    points, weights = product_rule(GRIDS[0])
    outputs, lost, slopes = sensitive(given, points, weights, mesh)
    rough, more = evaluated(given, *product_rule(GRIDS[1]), mesh)
    return record(outputs, jnp.maximum(lost, more), rounding(slopes, weights), unseen(slopes, weights), [rough])


# ---- panels
DOUBLE = DTYPE == "float64"
REACHES = (8.5, 6.5, 5.0) if DOUBLE else (6.0, 5.0, 4.0)               # how far from 0 points lie at first, if functions are finite there
FARTHEST, OUTWARD = (36.0, 2.5) if DOUBLE else (12.0, 1.5)             # how far they may, and by which steps panels are added there
CUT = 0.4                                                              # where a second rule cuts every panel
GOAL, TURNS = (1e-10 if DOUBLE else 1e-6), 80                          # errors, in units of max(1, |output|), that are small enough


class Panels(NamedTuple):
    """Boxes that are integrated over: from `low` to `high` [P, GAUSSIANS]. open: [P, GAUSSIANS, 2], whether no box follows below, and above."""

    low: np.ndarray
    high: np.ndarray
    open: np.ndarray


def kronrod(order):
    """The nodes on [-1, 1] of Kronrod's extension of a Gauss rule, its weights, and those of the Gauss rule (0 at nodes that it does not have).

    The nodes that are added are the zeros of Stieltjes' polynomial E of degree order + 1, for which P·E is orthogonal to all of degree <= order.
    """
    x, w = legendre.leggauss(2 * order + 2)
    table = legendre.legvander(x, order + 1)
    products = np.einsum("x,xj,xk->kj", w * legendre.legval(x, np.eye(order + 1)[order]), table, table[:, :-1])
    stieltjes = np.append(np.linalg.lstsq(products[:, :-1], -products[:, -1], rcond=None)[0], 1)
    gauss, own = legendre.leggauss(order)
    nodes = np.sort(np.concatenate([gauss, legendre.legroots(stieltjes).real]))
    nodes = (nodes - nodes[::-1]) / 2
    weights = np.linalg.solve(legendre.legvander(nodes, 2 * order).T, 2 * np.eye(2 * order + 1)[0])
    rough = np.zeros(2 * order + 1)
    rough[1::2] = own
    return nodes, weights, rough


NODES, WEIGHTS, ROUGH = kronrod(ORDER)


def draw(seed, k):
    """Points [GAUSSIANS, M] and weights: for k = 0 those of the panels that `adapted` begins with, for which the seed plays no part; then Sobol's."""
    if k:
        return draw_sobol(seed, k - 1)
    points, (weights, *_) = on_panels(first_panels(REACHES[0]), NODES, WEIGHTS)
    return points, weights


def first_panels(reach):
    """Those to begin with: finer towards 0, where narrow functions are likely to be, at all scales."""
    if GAUSSIANS == 1:
        above = np.concatenate([2.0 ** np.arange(-24, -3), np.arange(3, 32) / 8, [4, 4.5, 5], np.linspace(6, reach, 3)[1:] if reach > 6 else [reach]])
    else:
        above = np.array([2.0**-20, 2.0**-12, 2.0**-5, 0.5, 2, 4, reach])
    edges = np.unique([*-above[above <= reach], 0, *above[above <= reach]])
    cells = np.stack(np.meshgrid(*[np.arange(len(edges) - 1)] * GAUSSIANS, indexing="ij"), axis=-1).reshape(-1, GAUSSIANS)
    return Panels(edges[cells], edges[cells + 1], np.stack([cells == 0, cells == len(edges) - 2], axis=-1))


def on_panels(panels, nodes, *weights):
    """The points [GAUSSIANS, M] of product rules on all panels, and their weights [M] times the density: those by the first rule in every
    dimension, by another one in each dimension in turn, by the others in all."""
    half = (panels.high - panels.low)[..., None] / 2
    x = panels.low[..., None] + half * (1 + nodes)
    density = half * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
    axes = range(GAUSSIANS)
    points = np.stack([product([x[:, axis] if axis == own else np.ones_like(x[:, axis]) for axis in axes]) for own in axes])
    whole = [product([(density * w)[:, axis] for axis in axes]) for w in weights]
    mixed = [product([(density * (weights[-1] if axis == own else weights[0]))[:, axis] for axis in axes]) for own in axes]
    return points, (whole[0], *mixed, whole[-1])


def product(tables):
    """The products of [P, n] numbers of every dimension: [P n^GAUSSIANS]."""
    out = tables[0]
    for table in tables[1:]:
        out = (out[:, :, None] * table[:, None]).reshape(len(out), -1)
    return out.reshape(-1)


def padded(points, *weights):
    """Points and weights with so many of weight 0 that few sizes have to be compiled for."""
    more = next(size for size in (*CAPACITIES, points.shape[1]) if size >= points.shape[1]) - points.shape[1]
    return np.pad(points, ((0, 0), (0, more)), mode="edge"), *(np.pad(w, (0, more)) for w in weights)


class Seen(NamedTuple):
    """What is found on panels: outputs, status, and, in units of max(1, |output|), for each of the outputs `names` (None: all), or for them together,
    [1, …]: `errors` [N, P, GAUSSIANS] of every panel in every direction, the rounding errors among them `noise` [N, P], what lies beyond, `tails` [N, P, GAUSSIANS, 2], and what is `hidden`
    [N] from Sobol points."""

    panels: Panels
    names: tuple | None
    outputs: dict
    lost: Any
    errors: Any
    noise: Any
    tails: Any
    hidden: Any

    @property
    def finite(self):
        """The outputs whose numbers are all finite; of what is traced, nothing is known."""
        return tuple(sorted(name for name, value in self.outputs.items() if traced(value) or np.all(np.isfinite(value))))


def look(given, panels, mesh=None, names=None):
    """What there is on panels of the outputs `names`, or of all. The error of one is taken for the difference of its two rules, or less where they are close: as QUADPACK does."""
    points, weights = on_panels(panels, NODES, WEIGHTS, ROUGH)
    outputs, lost, slopes = sensitive(given, *padded(points, weights[0]), mesh, names)
    xp, count = library(slopes), len(panels.low)
    slopes = slopes[:, :points.shape[1]]
    slopes = xp.where(xp.isfinite(slopes), slopes, 0)
    own = by_panel(weights[0], count)
    shares = by_panel(slopes * weights[0], count)
    around = sizes(by_panel(xp.abs(slopes - xp.repeat(shares / own, len(NODES) ** GAUSSIANS, axis=-1)) * weights[0], count))[..., None]
    apart = xp.stack([sizes(by_panel(slopes * (weights[0] - other), count)) for other in weights[1:-1]], axis=-1)
    errors = apart * xp.minimum(1, xp.sqrt(200 * apart / xp.where(around > 0, around, 1)))
    amount = xp.abs(slopes * weights[0])
    return Seen(panels, names, outputs, lost, errors, EPS * sizes(by_panel(amount, count)), beyond(amount, panels), unseen(shares / own, own))


def by_panel(parts, count):
    """Sums over the points of every panel, of [..., M] numbers."""
    return parts.reshape(*parts.shape[:-1], count, -1).sum(axis=-1)


def beyond(amount, panels):
    """What lies beyond panels that are open, if it falls as fast as from the inner to the outer half of these: without end if it does not fall."""
    xp = library(amount)
    by_axis = amount.reshape(len(amount), len(panels.low), *[len(NODES)] * GAUSSIANS)
    out = []
    for axis in range(GAUSSIANS):
        profile = by_axis.sum(axis=tuple(2 + other for other in range(GAUSSIANS) if other != axis))
        halves = profile[..., :len(NODES) // 2].sum(axis=-1), profile[..., len(NODES) // 2 + 1:].sum(axis=-1)
        for side in (0, 1):
            outer, inner = halves[side], halves[1 - side]
            falls = inner > outer
            tail = xp.where(falls, outer * outer / xp.where(falls, inner - outer, 1), xp.where(outer > 0, xp.inf, 0))
            out.append(xp.where(panels.open[:, axis, side], sizes(tail), 0))
    return xp.stack(out, axis=-1).reshape(*out[0].shape, GAUSSIANS, 2)


def adapted(given, mesh=None):
    """What is seen on panels that were bisected, and added outwards, until errors are small enough or there is no room for more.

    Of inputs that are traced nothing is known: they have the panels to begin with.
    """
    for reach in REACHES:
        seen = look(given, first_panels(reach), mesh)
        if seen.finite:
            break
    if len(seen.outputs) > len(seen.finite) > 0:                           # so that what is not finite does not spoil the derivatives of the others
        seen = look(given, seen.panels, mesh, seen.finite)
    outward, tracing = True, any(map(traced, seen.outputs.values()))
    for _ in range(TURNS if SENSITIVE and seen.finite and not tracing else 0):
        panels = refined(seen, outward)
        if panels is None:
            break
        new = look(given, panels, mesh, seen.names)
        if set(seen.finite) <= set(new.finite):
            seen = new
        elif outward:
            outward = False
        else:
            break
    return seen


def refined(seen, outward):
    """The panels with the worst ones bisected, and, if `outward`, others added where something lies beyond; None if there is nothing to be done."""
    panels, room = seen.panels, CAPACITIES[-1] // len(NODES) ** GAUSSIANS - len(seen.panels.low)
    added = further(seen, room) if outward else None
    if added is not None:
        panels, room = added, room - len(added.low) + len(seen.panels.low)
    worst = np.where(seen.errors > 16 * seen.noise[..., None], seen.errors, 0).max(axis=0)
    narrow = panels.high - panels.low < 16 * EPS * np.maximum(np.abs(panels.low), np.abs(panels.high))
    worst = np.where(narrow[:len(worst)], 0, worst)
    each = worst.sum(axis=-1)
    order = np.argsort(-each, kind="stable")
    left = each.sum() - np.cumsum(each[order])
    count = 0 if each.sum() <= GOAL / 2 else int(min(1 + np.sum(left > GOAL / 4), np.sum(each > 1e-3 * each.max()), room))
    if count == 0:
        return added
    which, rows = order[:count], np.arange(count)
    axis = worst[which].argmax(axis=-1)
    middle = (panels.low[which, axis] + panels.high[which, axis]) / 2
    low, high = panels.low[which].copy(), panels.high.copy()
    low[rows, axis], high[which, axis] = middle, middle
    first, second = panels.open.copy(), panels.open[which].copy()
    first[which, axis, 1], second[rows, axis, 0] = False, False
    return Panels(np.concatenate([panels.low, low]), np.concatenate([high, panels.high[which]]), np.concatenate([first, second]))


def further(seen, room):
    """The panels and those that follow outwards where something lies there; None if there are none, or no room.

    A panel that was added in one dimension has none added to it in those before, so that none is there twice.
    """
    low, high, free = (array.copy() for array in seen.panels)
    wanted = (seen.tails.max(axis=0) > GOAL / 10) & (np.stack([-low, high], axis=-1) < FARTHEST)
    new = []
    for panel, axis, side in np.argwhere(wanted):
        edge = (low, high)[side][panel, axis]
        own = low[panel].copy(), high[panel].copy(), seen.panels.open[panel].copy()
        own[1 - side][axis], own[side][axis] = edge, edge + (OUTWARD if side else -OUTWARD)
        own[2][:axis] = False
        own[2][axis, 1 - side] = False
        free[panel, axis, side] = False
        new.append(own)
    if not new or len(new) > room:
        return None
    return Panels(*(np.concatenate([old, np.stack(more)]) for old, more in zip((low, high, free), zip(*new, strict=True), strict=True)))


def other_rule(panels):
    """Points and weights on the same panels, each cut in another place in every dimension, by Gauss rules of another order."""
    nodes, weights = legendre.leggauss(ORDER)
    nodes = np.concatenate([CUT * (nodes + 1) - 1, 1 - (1 - CUT) * (1 - nodes)])
    points, (weights, *_) = on_panels(panels, nodes, np.concatenate([CUT * weights, (1 - CUT) * weights]))
    return points, weights


def integrated(given, mesh=None, seen=None):
    """The record of what was `seen` on panels, if not of those that are `adapted`.

    Its error is: the errors of all panels, without their signs; the difference from another rule; what lies beyond the panels; rounding. Where nothing
    is known of single panels, the difference from the coarser rule stands for their errors.
    """
    seen = adapted(given, mesh) if seen is None else seen
    tails = seen.tails.sum(axis=(1, 2, 3))
    other, lost = evaluated(given, *padded(*other_rule(seen.panels)), mesh)
    others = [other]
    if not SENSITIVE:
        points, weights = on_panels(seen.panels, NODES, WEIGHTS, ROUGH)
        others.append(evaluated(given, *padded(points, weights[-1]), mesh)[0])
    bound = seen.errors.sum(axis=(1, 2)) + tails + 4 * (EPS + seen.noise.sum(axis=1))
    return record(seen.outputs, jnp.maximum(seen.lost, lost), bound, seen.hidden + tails, others, seen.names)


def points_of(seen):
    """The points [GAUSSIANS, M] and weights of panels."""
    points, (weights, *_) = on_panels(seen.panels, NODES, WEIGHTS)
    return padded(points, weights)
