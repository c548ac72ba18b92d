"""Integrals over Gaussians in modules that work with covariances. Tested as code."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# ---- copied
REACH = 10  # standard deviations up to which nodes are dense; they go on to 40
FAR = 20, 14, 10  # how far from a cut they may have to be dense for that
ROOTS, HALVINGS = 4, 56  # roots that are looked for, and how often an interval of one is halved


def integral(f, cuts, mean, covariance, rule, shape, place):
    """E f(u), u ~ N(mean, covariance), an array of `shape`.

    One coordinate after the other, given those before. covariance: its lower triangle.

    cuts: for every coordinate, (kind, g) with functions g of u: where f bends, jumps or is narrow, g is 0
    ("line", g affine; "curve"), or is largest or least ("turn"); coordinates that are not drawn yet stand at
    their means there. rule: points [3, Q], weights [Q] (see `draw`). place: which of the integrals of the
    module it is, by which it has its own error of rounding where the rule asks for one. inf where it does not
    converge.
    """
    line = Line(rule, len(mean), shape)
    root = root_of(covariance, line, place)

    def at(drawn):
        """u where the first standard Gaussians are `drawn` and the others 0."""
        return [
            m + sum(a * z for a, z in zip(row, drawn, strict=False))
            for m, row in zip(mean, root, strict=True)
        ]

    def level(drawn):
        """The integral over the Gaussians that are left, and that of its size."""
        k = len(drawn)
        breaks = line.breaks([(kind, lambda x, g=g: g(*at([*drawn, x]))) for kind, g in cuts[k]])
        x, weight = line.nodes(breaks)
        if k + 1 == len(mean):
            value = jnp.broadcast_to(f(*at([*drawn, x])), (*x.shape[:2], *shape)).astype(line.dtype)
            return line.gathered(x, weight, value, jnp.abs(value))
        found = lax.map(lambda one: level([*drawn, one]), x.reshape(-1, *x.shape[2:]))
        value, size = (a.reshape(*x.shape[:2], *shape) for a in found)
        return line.gathered(x, weight, value, size)

    value, size = level([])
    return value + line.rounding(place) * lax.stop_gradient(size)


def root_of(covariance, line, place):
    """Cholesky's root of a covariance, by rows; what is not left of a row has no part in it."""
    root = []
    for k, row in enumerate(covariance):
        own = []
        for j in range(k):
            apart = row[j] * row[j] != row[k] * covariance[j][j]
            c = row[j] * jnp.where(
                apart, 1 + 2 * line.rounding(place + 7 * j + 5 * k) * jnp.finfo(line.dtype).eps, 1
            )
            own.append(over_square(c - sum(own[i] * root[j][i] for i in range(j)), root[j][j]))
        if k == 1:  # as a product, no digits of which are lost
            both = jnp.sqrt(row[1] * covariance[0][0])
            left = jnp.where(
                covariance[0][0] == 0,
                row[1],
                over_square((both - jnp.abs(c)) * (both + jnp.abs(c)), covariance[0][0]),
            )
        else:
            left = row[k] - sum(x**2 for x in own)
        root.append([*own, jnp.where(left > 0, jnp.sqrt(jnp.where(left > 0, left, 1)), 0)])
    return root


class Line:
    """The rule over one standard Gaussian.

    The line is cut at given points, towards which the nodes of each part grow dense by powers.

    On the part from a to b, the nodes are a + log(1 + e^G) − log(1 + e^(G − b + a)), evenly spaced in t,
    where G(t) is t but close
    to the ends: from e^(−depth) on, powers turn into powers of powers (double exponential), so that what is
    left out is less than rounding.
    """

    def __init__(self, rule, dimensions, shape):
        points, weights = rule
        count = len(weights) * (8, 7, 4, 2)[dimensions - 1] // 8
        self.shape, self.dtype = shape, points.dtype
        self.fractions, self.weights = (
            a[:count].reshape(-1, 1, *[1] * len(shape)) * (len(weights) / count) for a in (points[0], weights)
        )
        self.depth = points[1, 0] - (0, 2, 10, 12)[dimensions - 1]
        self.noise = points[2, 0]

    def rounding(self, place):
        """A number for each entry, between 1/2 and 1 in size, of either sign; 0 if the rule asks for none."""
        size = int(np.prod(self.shape))
        phase = (
            jnp.arange(size).reshape(self.shape) * 0.7548776662
            + place * 0.5698402910
            + jnp.abs(self.noise) * 0.3819660113
        ) % 1
        return jnp.where(self.noise == 0, 0, jnp.where(phase < 0.5, phase + 0.5, -phase)).astype(self.dtype)

    def breaks(self, cuts):
        """Where the line is cut, in order, [R, *shape], or the same for all entries.

        Without cuts, that is at the mean.

        cuts: (kind, function) as for `integral`, functions of the standard Gaussian.
        """
        mean = jnp.zeros((1, *[1] * len(self.shape)), self.dtype)
        found = []
        for kind, g in cuts:
            if kind == "line":
                start = jnp.broadcast_to(g(jnp.zeros((), self.dtype)), self.shape)
                slope = g(jnp.ones((), self.dtype)) - start
                found.append(
                    self.near(jnp.where(slope == 0, jnp.inf, -start / jnp.where(slope == 0, 1, slope)))[None]
                )
        for kind, g in cuts:
            if kind != "line":
                known = (
                    jnp.sort(jnp.concatenate(found), axis=0)
                    if found
                    else jnp.broadcast_to(mean, (1, *self.shape))
                )
                found.append(self.roots(g if kind == "curve" else slope_of(g), known))
        return jnp.sort(jnp.concatenate(found), axis=0) if len(found) > 1 else found[0] if found else mean

    def near(self, x):
        """A cut, 0 in place of one that is out of reach."""
        return jnp.where(jnp.abs(x) <= REACH, x, 0)

    def roots(self, g, known):
        """The first ROOTS roots of a function, [ROOTS, *shape]; 0 for others.

        It changes its sign between nodes for what is known.
        """
        x = jnp.sort(lax.stop_gradient(self.nodes(known)[0]).reshape(-1, *self.shape), axis=0)
        value = jnp.broadcast_to(g(x), x.shape)
        change = ((value[:-1] > 0) != (value[1:] > 0)) & (jnp.abs(x[:-1]) < REACH) & (jnp.abs(x[1:]) < REACH)
        order = jnp.arange(len(x) - 1).reshape(-1, *[1] * len(self.shape))
        first = jnp.sort(jnp.where(change, order, len(x) - 2), axis=0)[:ROOTS]
        there = jnp.take_along_axis(change, first, axis=0) & jnp.concatenate(
            [jnp.ones_like(first[:1], bool), first[1:] != first[:-1]]
        )
        low, high = jnp.take_along_axis(x, first, axis=0), jnp.take_along_axis(x, first + 1, axis=0)
        above = jnp.broadcast_to(g(low) > 0, low.shape)

        def halved(_, ends):
            """The half in which the sign changes."""
            low, high = ends
            middle = (low + high) / 2
            same = (g(middle) > 0) == above
            return jnp.where(same, middle, low), jnp.where(same, high, middle)

        low, high = lax.stop_gradient(lax.fori_loop(0, HALVINGS, halved, (low, high)))
        x = (low + high) / 2
        slope = lax.stop_gradient(slope_of(g)(x))
        smooth = jnp.isfinite(slope) & (slope != 0)
        moved = jnp.broadcast_to(g(x), x.shape)  # which has the derivative of the root in everything else
        x = x - jnp.where(smooth, (moved - lax.stop_gradient(moved)) / jnp.where(smooth, slope, 1), 0)
        return jnp.where(there, x, 0)

    def nodes(self, breaks):
        """Nodes and weights [1 + Q, R + 1, *shape] of the line cut at `breaks` [R, *shape].

        The two outer parts come first.

        The first nodes are the breaks themselves, which count for the error: what is so narrow there that no
        number lies in it.
        """
        ends = jnp.stack([breaks[0], breaks[-1]])
        way = jnp.asarray([-1, 1], self.dtype).reshape(2, *[1] * len(self.shape))
        start = -(self.depth + 3.3)
        (*_, distance, weight), *nearer = [self.outwards(start, far) for far in FAR]
        for far, less, other in nearer:
            enough = REACH - way * ends <= far
            distance, weight = jnp.where(enough, less, distance), jnp.where(enough, other, weight)
        x = ends + way * self.off(distance, ends)
        if len(breaks) == 1:
            return self.with_breaks(breaks, x, weight)
        left, right = breaks[:-1], breaks[1:]
        length = right - left
        span = length + 2 * (self.depth + 3.3)
        t = start + span * self.fractions
        sunk, risen = jnp.exp(-(t + self.depth)), jnp.exp(t - length - self.depth)
        g, part = t - sunk + risen, -jnp.expm1(-length)
        away, apart = jnp.exp(-g), jnp.exp(g - length)
        first, second = (jnp.log1p(part / (a + jnp.exp(-length))) for a in (away, apart))
        inner = jnp.where(first < second, left + self.off(first, left), right - self.off(second, right))
        weights = span * self.weights * (1 + sunk + risen) * part / ((away + 1) * (1 + apart))
        return self.with_breaks(
            breaks, jnp.concatenate([x, inner], axis=1), jnp.concatenate([weight, weights], axis=1)
        )

    def outwards(self, start, far):
        """How far the nodes of an outer part lie from its end, dense up to `far`, and their weights."""
        span = far + 3.5 - start
        t = start + span * self.fractions
        sunk = jnp.exp(-(t + self.depth))
        grown = jnp.exp(t - sunk)
        jump = grown * np.exp(-far)
        return far, jnp.log1p(grown) + jump, span * self.weights * (1 + sunk) * (grown / (1 + grown) + jump)

    def with_breaks(self, breaks, x, weight):
        """Nodes and weights with the breaks before them."""
        own = jnp.concatenate([breaks, breaks[-1:]])[None]
        return jnp.concatenate([own, x]), jnp.concatenate([jnp.abs(own), weight])

    def off(self, distance, point):
        """A distance from a point, so large that the two are not one number."""
        return jnp.maximum(distance, 4 * jnp.finfo(self.dtype).eps * jnp.abs(point))

    def gathered(self, x, weight, value, size):
        """The sums of values [Q, R + 1, *shape] at nodes, and of the sizes of what cancels in them.

        What may lie beyond the nodes is counted among the latter.

        Values that are not finite are left out where the weight is little beside rounding. inf where the
        terms do not vanish towards the ends, at the cuts only if values grow to the inverse of rounding
        there: what is narrower is not infinite.
        """
        eps = jnp.finfo(self.dtype).eps
        weight = weight * jnp.exp(-(x**2) / 2) / (2 * np.pi) ** 0.5
        first = jnp.arange(len(x)).reshape(-1, *[1] * (x.ndim - 1)) == 0
        some = weight > jnp.finfo(self.dtype).tiny
        counted = some & (jnp.isfinite(value) | (~first & (weight > 4096 * eps)))
        term = jnp.where(counted & ~first, weight * jnp.where(counted, value, 0), 0)
        both = lax.complex(term, lax.stop_gradient(jnp.where(counted, weight * size, 0))).sum(axis=(0, 1))
        total, whole = jnp.real(both), lax.stop_gradient(jnp.imag(both))
        own, counted = lax.stop_gradient(jnp.abs(term[1:])), counted[1:]
        outside = jnp.where(counted[:-1] != counted[1:], own[:-1] + own[1:], 0).max(axis=(0, 1))
        ends = own[:: len(own) - 1]
        large = jnp.where(jnp.isfinite(value[1:]), jnp.abs(value[1:]), jnp.inf)
        endless = (jnp.where(some[1:], large, 0) > 0.01 / eps).any(axis=(0, 1))
        steep = jnp.where(endless & (large > 1e-4 / eps), own, 0)
        inside = steep[: len(own) // 2, :2].sum(axis=(0, 1)) + steep[:, 2:].sum(axis=(0, 1))
        infinite = (jnp.maximum(inside / 3, outside) > 0.03 * own.sum(axis=(0, 1))) & (
            outside + inside > jnp.finfo(self.dtype).tiny ** 0.5
        )
        return jnp.where(infinite, jnp.inf, total), 4 * (
            eps * whole + jnp.maximum(ends.max(axis=(0, 1)), outside)
        )


def slope_of(g):
    """The derivative of a function of one number, for arrays."""
    return lambda x: jax.jvp(lambda x: jnp.broadcast_to(g(x), x.shape), (x,), (jnp.ones_like(x),))[1]


def over_square(a, b):
    """a/b, 0 where b is 0."""
    return jnp.where(b == 0, 0, a / jnp.where(b == 0, 1, b))
