"""The part of modules that integrates over one or two Gaussians, on bisected panels.

They are bisected where errors are.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import legendre

from tpc.emit.helpers.quadrature import (
    DTYPE,
    EPS,
    library,
    record,
    sensitive,
    sizes,
    unseen,
)
from tpc.emit.helpers.runner import draw_sobol, evaluated, traced

GAUSSIANS, SENSITIVE, ORDER, CAPACITIES = 1, True, 7, (4096,)


# ---- panels
DOUBLE = DTYPE == "float64"
# how far points lie at first, if outputs are finite there
REACHES = (8.5, 6.5, 5.0) if DOUBLE else (6.0, 5.0, 4.0)
# how far they may, and by which steps panels are added
FARTHEST, OUTWARD = (36.0, 2.5) if DOUBLE else (12.0, 1.5)
CUT = 0.4  # where a second rule cuts every panel
GOAL, TURNS = (1e-10 if DOUBLE else 1e-6), 80  # errors in units of max(1, |output|) that are small enough


class Panels(NamedTuple):
    """Boxes that are integrated over: from `low` to `high` [P, GAUSSIANS].

    open: [P, GAUSSIANS, 2], whether no box follows below, and above.
    """

    low: np.ndarray
    high: np.ndarray
    open: np.ndarray


def kronrod(order):
    """Kronrod's extension of a Gauss rule on [-1, 1]: its nodes, its weights, and the Gauss rule's.

    The latter are 0 at other nodes.

    The nodes that are added are the zeros of Stieltjes' polynomial E of degree order + 1: P·E, with the
    Legendre polynomial P of degree `order`, is orthogonal to all of degree <= order.
    """
    x, w = legendre.leggauss(2 * order + 2)
    table = legendre.legvander(x, order + 1)
    products = np.einsum(
        "x,xj,xk->kj", w * legendre.legval(x, np.eye(order + 1)[order]), table, table[:, :-1]
    )
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
    """Points [GAUSSIANS, M] and weights.

    For k = 0 of the panels to begin with, for which the seed plays no part; then Sobol's.
    """
    if k:
        return draw_sobol(seed, k - 1)
    points, (weights, *_) = on_panels(first_panels(REACHES[0]), NODES, WEIGHTS)
    return points, weights


def first_panels(reach):
    """The panels to begin with: finer towards 0.

    There narrow functions are likely to be, at all scales.
    """
    if GAUSSIANS == 1:
        outer = np.linspace(6, reach, 3)[1:] if reach > 6 else [reach]
        above = np.concatenate([2.0 ** np.arange(-24, -3), np.arange(3, 32) / 8, [4, 4.5, 5], outer])
    else:
        above = np.array([2.0**-20, 2.0**-12, 2.0**-5, 0.5, 2, 4, reach])
    above = above[above <= reach]
    edges = np.unique([*-above, 0, *above])
    count = len(edges) - 1
    cells = np.stack(np.meshgrid(*[np.arange(count)] * GAUSSIANS, indexing="ij"), axis=-1).reshape(
        -1, GAUSSIANS
    )
    return Panels(edges[cells], edges[cells + 1], np.stack([cells == 0, cells == count - 1], axis=-1))


def on_panels(panels, nodes, *weights):
    """The points [GAUSSIANS, M] of product rules on all panels, and their weights [M] times the density.

    Weights: by the first rule in every dimension, by the last one in each dimension in turn, by the last one
    in all.
    """
    half = (panels.high - panels.low)[..., None] / 2
    x = panels.low[..., None] + half * (1 + nodes)
    density = half * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
    axes, first, last = range(GAUSSIANS), density * weights[0], density * weights[-1]
    points = [product([(x if axis == own else np.ones_like(x))[:, axis] for axis in axes]) for own in axes]
    mixed = [product([(last if axis == own else first)[:, axis] for axis in axes]) for own in axes]
    return np.stack(points), [product(np.moveaxis(first, 1, 0)), *mixed, product(np.moveaxis(last, 1, 0))]


def product(tables):
    """The products of [P, n] numbers of every dimension: [P n^GAUSSIANS]."""
    out = tables[0]
    for table in tables[1:]:
        out = (out[:, :, None] * table[:, None]).reshape(len(out), -1)
    return out.reshape(-1)


def padded(points, weights):
    """Points and weights with so many of weight 0 that few sizes have to be compiled for."""
    count = len(weights)
    more = next(size for size in (*CAPACITIES, count) if size >= count) - count
    return np.pad(points, ((0, 0), (0, more)), mode="edge"), np.pad(weights, (0, more))


class Seen(NamedTuple):
    """What is found on panels.

    Outputs and status, and in units of max(1, |output|), [N, ...] or for all [1, ...]:

    `errors` [N, P, GAUSSIANS] of every panel in every direction; of rounding, `noise` [N, P]; what lies
    beyond, `tails` [N, P, GAUSSIANS, 2]; what is `hidden` [N] from Sobol points. names: of which outputs;
    None: of all.
    """

    panels: Panels
    names: tuple | None
    outputs: dict
    lost: jax.Array
    errors: jax.Array
    noise: jax.Array
    tails: jax.Array
    hidden: jax.Array

    @property
    def finite(self):
        """The outputs whose numbers are all finite; of what is traced, nothing is known."""
        return tuple(
            sorted(
                name for name, value in self.outputs.items() if traced(value) or np.all(np.isfinite(value))
            )
        )


def look(given, panels, mesh=None, names=None):
    """What there is on panels of the outputs `names`, or of all.

    The error of a panel is taken for the difference of its two rules, or less where they are close, as in
    QUADPACK.
    """
    points, weights = on_panels(panels, NODES, WEIGHTS, ROUGH)
    outputs, lost, slopes = sensitive(given, *padded(points, weights[0]), mesh, names)
    xp, count = library(slopes), len(panels.low)
    slopes = slopes[:, : points.shape[1]]
    slopes = xp.where(xp.isfinite(slopes), slopes, 0)
    own, shares = by_panel(weights[0], count), by_panel(slopes * weights[0], count)
    centred = slopes - xp.repeat(shares / own, len(NODES) ** GAUSSIANS, axis=-1)
    around = sizes(by_panel(xp.abs(centred) * weights[0], count))[..., None]
    apart = xp.stack(
        [sizes(by_panel(slopes * (weights[0] - other), count)) for other in weights[1:-1]], axis=-1
    )
    errors = apart * xp.minimum(1, xp.sqrt(200 * apart / xp.where(around > 0, around, 1)))
    amount = xp.abs(slopes * weights[0])
    noise = EPS * sizes(by_panel(amount, count))
    return Seen(
        panels, names, outputs, lost, errors, noise, beyond(amount, panels), unseen(shares / own, own)
    )


def by_panel(parts, count):
    """Sums over the points of every panel, of [..., M] numbers."""
    return parts.reshape(*parts.shape[:-1], count, -1).sum(axis=-1)


def beyond(amount, panels):
    """What lies beyond panels that are open, if it falls as fast as from their inner to their outer halves.

    It is inf where something is there and does not fall.

    amount: [Q, M], of every point.
    """
    xp, size = library(amount), len(NODES)
    by_axis = amount.reshape(len(amount), len(panels.low), *[size] * GAUSSIANS)
    out = []
    for axis in range(GAUSSIANS):
        profile = by_axis.sum(axis=tuple(2 + other for other in range(GAUSSIANS) if other != axis))
        halves = profile[..., : size // 2].sum(axis=-1), profile[..., size // 2 + 1 :].sum(axis=-1)
        for side in (0, 1):
            outer, inner = halves[side], halves[1 - side]
            falls = inner > outer
            tail = xp.where(
                falls, outer * outer / xp.where(falls, inner - outer, 1), xp.where(outer > 0, xp.inf, 0)
            )
            out.append(xp.where(panels.open[:, axis, side], sizes(tail), 0))
    return xp.stack(out, axis=-1).reshape(*out[0].shape, GAUSSIANS, 2)


def adapted(given, mesh=None):
    """What is seen on panels that were bisected, and added outwards, until errors are small.

    Bisecting ends, too, where there is no room for more.

    Of inputs that are traced nothing is known: they have the panels to begin with.
    """
    for reach in REACHES:
        seen = look(given, first_panels(reach), mesh)
        if seen.finite:
            break
    if len(seen.outputs) > len(seen.finite) > 0:  # others would spoil the derivatives
        seen = look(given, seen.panels, mesh, seen.finite)
    outward, known = True, SENSITIVE and seen.finite and not traced(seen.outputs)
    for _ in range(TURNS if known else 0):
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
    """The panels with the worst ones bisected; or None.

    If `outward`, others are added where something lies beyond.
    """
    panels, room = seen.panels, CAPACITIES[-1] // len(NODES) ** GAUSSIANS - len(seen.panels.low)
    added = further(seen, room) if outward else None
    if added is not None:
        panels, room = added, room - len(added.low) + len(seen.panels.low)
    low, high, free = panels
    worst = np.where(seen.errors > 16 * seen.noise[..., None], seen.errors, 0).max(axis=0)
    narrow = high - low < 16 * EPS * np.maximum(np.abs(low), np.abs(high))
    worst = np.where(narrow[: len(worst)], 0, worst)
    each = worst.sum(axis=-1)
    order = np.argsort(-each, kind="stable")
    left = each.sum() - np.cumsum(each[order])
    wanted = min(1 + np.sum(left > GOAL / 4), np.sum(each > 1e-3 * each.max()), room)
    if wanted == 0 or each.sum() <= GOAL / 2:
        return added
    which, rows = order[:wanted], np.arange(wanted)
    axis = worst[which].argmax(axis=-1)
    middle = (low[which, axis] + high[which, axis]) / 2
    second = Panels(low[which], high[which], free[which])
    first = Panels(low, high.copy(), free.copy())
    first.high[which, axis], second.low[rows, axis] = middle, middle
    first.open[which, axis, 1], second.open[rows, axis, 0] = False, False
    return Panels(*map(np.concatenate, zip(first, second, strict=True)))


def further(seen, room):
    """The panels and those that follow outwards where something lies there.

    None if there are none, or no room.

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
    return Panels(
        *(
            np.concatenate([old, more])
            for old, more in zip((low, high, free), zip(*new, strict=True), strict=True)
        )
    )


def other_rule(panels):
    """Points and weights on the same panels, each cut in another place, by other Gauss rules.

    They are cut so in every dimension.
    """
    nodes, weights = legendre.leggauss(ORDER)
    nodes = np.concatenate([CUT * (nodes + 1) - 1, 1 - (1 - CUT) * (1 - nodes)])
    points, (weights, *_) = on_panels(panels, nodes, np.concatenate([CUT * weights, (1 - CUT) * weights]))
    return padded(points, weights)


def integrated(given, mesh=None, seen=None):
    """The record of what was `seen` on panels, if not of those that are `adapted`.

    Its error is: the errors of all panels, without their signs; the difference from another rule; what lies
    beyond; rounding. Where nothing is known of single panels, the difference from the coarser rule stands for
    their errors.
    """
    seen = adapted(given, mesh) if seen is None else seen
    tails = seen.tails.sum(axis=(1, 2, 3))
    other, lost = evaluated(given, *other_rule(seen.panels), mesh)
    others = [other]
    if not SENSITIVE:
        points, weights = on_panels(seen.panels, NODES, WEIGHTS, ROUGH)
        others.append(evaluated(given, *padded(points, weights[-1]), mesh)[0])
    bound = seen.errors.sum(axis=(1, 2)) + tails + 4 * seen.noise.sum(axis=1)
    return record(seen.outputs, jnp.maximum(seen.lost, lost), bound, seen.hidden + tails, others, seen.names)


def points_of(seen):
    """The points [GAUSSIANS, M] and weights of panels."""
    points, (weights, *_) = on_panels(seen.panels, NODES, WEIGHTS)
    return padded(points, weights)
