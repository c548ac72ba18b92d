"""The numerical helpers of modules that work with covariances: each module has the sections that it uses. Tested as code."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# ---- every module


def as_outputs(values, dtype):
    """Outputs as arrays of one precision, constants included."""
    return {name: jnp.asarray(value, dtype) for name, value in values.items()}


# ---- contract
def contract(subscripts, *arrays):
    """`jnp.einsum` in full precision."""
    return jnp.einsum(subscripts, *arrays, precision="highest")


# ---- over
def over(a, b):
    """a/b, and 0 where both are 0, which is what a vector of norm 0 divided by its norm comes to."""
    nothing = b == 0
    return jnp.where(nothing, jnp.where(a == 0, 0, jnp.sign(a)*jnp.inf), a/jnp.where(nothing, 1, b))


# ---- diagonal
def diagonal(c, q):
    """Covariances [N, N] with the variances [N] themselves on the diagonal: their rounding errors are not the same, and matter there."""
    return jnp.where(jnp.eye(len(q), dtype=bool), q[:, None], c)


# ---- moved
def moved(a, axis, by, extent):
    """An array moved by so many places along an axis, which gets a new extent; zeros come in."""
    length = a.shape[axis]
    low, high = max(0, -by), max(0, -by, min(length, extent - by))
    a = lax.slice_in_dim(a, low, high, axis=axis)
    before = max(0, low + by)
    room = [(0, 0)]*a.ndim
    room[axis] = (before, extent - before - (high - low))
    return jnp.pad(a, room)


# ---- gap
def gap(q, c, r):
    """What ρ = c/√(qr) lacks to 1, 1 − ρ; if it is negative −(1 + ρ), what it lacks to −1. The digits of small angles are in it, which ρ loses.

    1 where q or r is 0, and 0 where rounding cannot tell it from that: angles that matter are larger.
    """
    rho = c*inverse_norm(q)*inverse_norm(r)
    lacking = 1 - jnp.where(rho < 0, -rho, rho)
    return lax.optimization_barrier(turned(jnp.where(lacking > 8*jnp.finfo(rho.dtype).eps, lacking, 0), rho))


def turned(lacking, rho):
    """The gap of a correlation of this sign that lacks so much to 1 or −1; below 0 there always."""
    return jnp.where(rho < 0, -jnp.maximum(lacking, jnp.finfo(lacking.dtype).tiny), lacking)


def inverse_norm(q):
    """1/√q, 0 where q is 0."""
    return jnp.where(q > 0, 1/jnp.sqrt(jnp.where(q > 0, q, 1)), 0)


# ---- apart
def apart(g):
    """Gaps [N, N] with those of a Gaussian with itself, on the diagonal, exactly 0."""
    return jnp.where(jnp.eye(len(g), dtype=bool), 0, g)


# ---- near
def near(g, x, z, same=False):
    """The gaps [N, M] of products of inputs x [N, …] and z [M, …]; same: z is x, and the diagonal 0.

    Where angles are small, which the products tell only to the root of the precision, from the differences of the directions.
    """
    u, v = (a*inverse_norm(jnp.sum(a**2, axis=1))[:, None] for a in (x.reshape(len(x), -1), z.reshape(len(z), -1)))
    close = jnp.abs(g) < 0.01
    if same:
        diagonal = jnp.eye(len(g), dtype=bool)
        g, close = jnp.where(diagonal, 0, g), close & ~diagonal

    def row(given):
        """Those of one input with all the others."""
        own, is_close, direction = given

        def again():
            """From the differences."""
            others = jnp.where(own < 0, -1, 1)[:, None]*v
            return jnp.where(is_close, turned(jnp.sum((direction - others)**2, axis=1)/2, own), own)
        return lax.cond(jnp.any(is_close), again, lambda: own)
    return lax.cond(jnp.any(close), lambda: lax.map(row, (g, close, u)), lambda: g)


# ---- gap_of_sum
def gap_of_sum(alike, *terms):
    """The gap of a sum of covariances, each (sign, q, g, r): its sign, variances and gap, the variances being summed, too. alike: the variances of
    the terms are multiples of each other; if not, all signs are 1.

    With a = √q, b = √r: √(Σa² Σb²) − Σab = Σ_{k<l} (a_k b_l − a_l b_k)²/(√(Σa² Σb²) + Σab), no digits of which are lost.
    """
    norms = [(q*inverse_norm(q), r*inverse_norm(r)) for _, q, _, r in terms]
    left, right = (sum(term[0]*term[k] for term in terms) for k in (1, 3))
    whole = left*inverse_norm(left)*(right*inverse_norm(right))
    products = [term[0]*a*b for term, (a, b) in zip(terms, norms, strict=True)]
    lacking = sum(product*jnp.where(g < 0, 2 + g, g) for product, (_, _, g, _) in zip(products, terms, strict=True))
    if not alike:
        crossed = sum((a*d - c*b)**2 for k, (a, b) in enumerate(norms) for c, d in norms[:k])
        both = whole + sum(products)
        lacking = lacking + jnp.where(both > 0, crossed/jnp.where(both > 0, both, 1), 0)
    lacking = jnp.where(whole > 0, jnp.maximum(lacking, 0)/jnp.where(whole > 0, whole, 1), 1)
    return lax.optimization_barrier(turned(jnp.where(lacking > 1, 2 - lacking, lacking), 1 - lacking))


# ---- series
# arccos(1 − e)/(π√e) and (√(1 − c²) − c·arccos c)/(π√e³), c = 1 − e, for 0 ≤ e ≤ 1: their interpolations at the zeros of Chebyshev's polynomials,
# times √e and √e³ off by 8e-8 and 2e-8, in double precision by 2e-18 and 4e-19
ARC = {
    "float32": (0.450158194, 0.0375096488, 0.00849569331, 0.0021952971, 0.00169158963, -0.000753205808, 0.000702718729),
    "float64": (0.45015815807855303, 0.03751317983988008, 0.00844046546388464, 0.0025120432974823598, 0.0008547923809992142,
                0.0003147212278025862, 0.0001220302122001055, 4.9303473932375846e-05, 1.9218498609603548e-05, 1.3268934867512014e-05,
                -1.1568855652224852e-05, 3.977513565698344e-05, -7.298844485644686e-05, 0.00010999004147684668, -0.0001246230275504505,
                0.00010671701100644761, -6.641961767728451e-05, 2.8591608060074715e-05, -7.622411903950459e-06, 9.671532284861643e-07)}
CAP = {
    "float32": (0.30010541, 0.0150073575, 0.00238788482, 0.000653714081, -1.0112492e-05, 0.000165585502),
    "float64": (0.30010543871903533, 0.01500527193595163, 0.0024115615611516915, 0.0005582318420704078, 0.00015541683945398936,
                4.841802034938483e-05, 1.6276910061119543e-05, 5.757065278076514e-06, 2.2442593729592274e-06, 4.170775507025597e-07,
                1.4606615789851387e-06, -2.340292562949999e-06, 4.124969186439581e-06, -5.063947691355166e-06, 4.744442019527963e-06,
                -3.1899386332346103e-06, 1.4820626924734547e-06, -4.2422567144499744e-07, 5.822259691269422e-08)}


def series(table, e):
    """The polynomial for the precision of e."""
    *others, value = table["float32" if e.dtype == jnp.float32 else "float64"]
    for coefficient in reversed(others):
        value = value*e + coefficient
    return value


def root(e):
    """√e, with a derivative at 0: there it is the root of the least number."""
    return jnp.sqrt(jnp.maximum(e, jnp.finfo(e.dtype).tiny))


# ---- step_step
def step_step(q, g, r):
    """E step(u)·step(v), (u, v) ~ N(0, [[q, c], [c, r]]) here and below, g the gap of c; step(0) = 1/2."""
    e = jnp.where(g < 0, -g, g)
    part = root(e)*series(ARC, e)/2
    return jnp.where((q > 0) & (r > 0), jnp.where(g < 0, part, 0.5 - part), 0.25)


# ---- relu_gap
def relu_gap(g):
    """The gap of (relu(u), relu(v)) from that of (u, v): by the arc-cosine kernel of order 1, κ(−ρ) = κ(ρ) − ρ."""
    e = jnp.where(g < 0, -g, g)
    lacking = e - e*root(e)*series(CAP, e)
    return lax.optimization_barrier(jnp.where(g < 0, lacking + (1 + g), lacking))


# ---- relu_relu
def relu_relu(q, g, r):
    """E relu(u)·relu(v), g the gap of (relu(u), relu(v))."""
    return q*inverse_norm(q)*(r*inverse_norm(r))/2*(1 - g)


# ---- relu_step
def relu_step(q, c, r):
    """E relu(u)·step(v)."""
    return (jnp.sqrt(q) + over(c, jnp.sqrt(r)))/(8*np.pi)**0.5


# ---- erf_erf
def erf_erf(q, c, r, a=1, b=1):
    """E erf(au)·erf(bv) = 2/π·arcsin(x) with x = ρ√(αβ), α = 2a²q/(1 + 2a²q): by x and √(1 − x²), whose digits near 1 x loses."""
    rest, near = 1/(1 + 2*a**2*q), 1/(1 + 2*b**2*r)                # 1 − α, 1 − β
    root, other = jnp.sqrt(rest), jnp.sqrt(near)
    x = 2*(a*root)*(b*other)*c
    alpha, beta = 2*(a*root)**2*q, 2*(b*other)**2*r
    return 2/np.pi*jnp.arctan2(x, jnp.sqrt(rest + alpha*(near + beta*not_common(q, c, r))))


def not_common(q, c, r):
    """1 − ρ², 0 where rounding cannot tell it from that, with its derivatives there, too."""
    rho = c*inverse_norm(q)*inverse_norm(r)
    found = (1 - rho)*(1 + rho)
    return found - lax.stop_gradient(jnp.where(found > 16*jnp.finfo(found.dtype).eps, 0, found))


# ---- sin_sin
def sin_sin(q, c, r, a=1, b=1):
    """E sin(au)·sin(bv) = exp(−(a²q + b²r)/2)·sinh(abc), that it neither overflows nor loses digits where it is small."""
    shift = 2*a*b*c
    sign = jnp.where(shift < 0, -1, 1)
    return -sign*jnp.exp((sign*shift - a**2*q - b**2*r)/2)*jnp.expm1(-sign*shift)/2


# ---- cos_cos
def cos_cos(q, c, r, a=1, b=1):
    """E cos(au)·cos(bv)."""
    size, shift = a**2*q + b**2*r, 2*a*b*c
    return (jnp.exp((shift - size)/2) + jnp.exp((-shift - size)/2))/2


# ---- exp_exp
def exp_exp(q, c, r, a=1, b=1):
    """E exp(au)·exp(bv)."""
    return jnp.exp((a**2*q + 2*a*b*c + b**2*r)/2)


# ---- moment
def moment(f, g, q, c, r):
    """E f(u)·g(v), f and g given as (power, kind, scale, weight): u^power·kind(scale·u)·exp(−weight·u²).

    The exponentials of squares are a change of the covariance, inf where they grow too fast; Stein's lemma,
    E u·F = q E ∂F/∂u + c E ∂F/∂v, takes away the powers.
    """
    (m, kind, a, weight), (n, other, b, second) = f, g
    if not (_is_zero(weight) and _is_zero(second)):
        low, high = 1 + 2*weight*q, 1 + 2*second*r
        finite = (low > 0) & (high > 0)
        rest, near = 1/jnp.where(finite, low, 1), 1/jnp.where(finite, high, 1)             # the two apart: 1 − α, 1 − β
        root, further = jnp.sqrt(rest), jnp.sqrt(near)
        alpha, beta, free = 2*weight*q*rest, 2*second*r*near, not_common(q, c, r)
        det = rest + alpha*(near + beta*free)                      # 1 − αβρ², no difference in it being small
        finite = finite & (det > 0)                                # else the density that is left does not decay
        det = jnp.where(finite, det, 1)
        q, c, r = q*rest*(near + beta*free)/det, (root*further)*(c*root*further)/det, r*near*(rest + alpha*free)/det
        return jnp.where(finite, moment((m, kind, a, 0), (n, other, b, 0), q, c, r)*root*further/jnp.sqrt(det), jnp.inf)
    if m:
        return q*_slope(m - 1, f, g, q, c, r) + c*_slope(n, g, (m - 1, *f[1:]), r, c, q)
    if n:
        return moment(g, f, r, c, q)
    return _base(kind, other, a, b, q, c, r)


def _is_zero(x):
    """Whether a weight is the number 0."""
    return isinstance(x, int | float) and x == 0


def _slope(power, f, g, q, c, r):
    """E ∂/∂u (u^power·f(u))·g(v), the power of f aside."""
    _, kind, a, _ = f
    found = power*moment((power - 1, kind, a, 0), g, q, c, r) if power else 0
    if kind == "erf":
        return found + 2/np.pi**0.5*a*moment((power, "one", 1, a**2), g, q, c, r)
    if kind in ("sin", "cos", "exp"):
        other = {"sin": "cos", "cos": "sin", "exp": "exp"}[kind]
        return found + (-a if kind == "cos" else a)*moment((power, other, a, 0), g, q, c, r)
    if kind == "step" and not power:                               # the density of u at 0, and v given u = 0
        rest = jnp.maximum(r - over(c**2, q), 0)
        at_zero = over(jnp.ones_like(q), jnp.sqrt(2*np.pi*q))
        found = found + jnp.where(q > 0, at_zero, 0)*moment((0, "one", 1, 0), g, jnp.ones_like(rest), 0, rest)
    return found


def _base(kind, other, a, b, q, c, r):
    """E f(u)·g(v) without powers."""
    if other == "one":
        return _single(kind, a, q)
    if kind == "one":
        return _single(other, b, r)
    if kind == other == "step":
        return step_step(q, gap(q, c, r), r)
    if kind == other == "erf":
        return erf_erf(q, c, r, a, b)
    if kind == "step":                                             # as erf_erf, α = 1
        near = 1/(1 + 2*b**2*r)
        x = 2**0.5*b*jnp.sqrt(near)*c*inverse_norm(q)
        return jnp.arctan2(x, jnp.sqrt(near + 2*b**2*r*near*not_common(q, c, r)))/np.pi
    if (kind, other) in (("erf", "step"), ("sin", "exp"), ("cos", "exp"), ("cos", "sin")):
        return _base(other, kind, b, a, r, c, q)
    if kind == "exp":
        if other == "exp":
            return jnp.exp((a**2*q + 2*a*b*c + b**2*r)/2)
        return jnp.exp((a**2*q - b**2*r)/2)*(jnp.sin(a*b*c) if other == "sin" else jnp.cos(a*b*c))
    if kind != other:
        return jnp.zeros_like(c)
    return sin_sin(q, c, r, a, b) if kind == "sin" else cos_cos(q, c, r, a, b)


def _single(kind, a, q):
    """E f(u) without a power."""
    if kind == "one":
        return jnp.ones_like(q)
    if kind == "step":
        return jnp.full_like(q, 0.5)
    return jnp.exp((a**2 if kind == "exp" else -a**2)*q/2) if kind in ("exp", "cos") else jnp.zeros_like(q)


# ---- integral
REACH = 10                                             # standard deviations up to which nodes are dense; they go on to 40
FAR = 20, 14, 10                                       # how far from a cut they may have to be dense for that
ROOTS, HALVINGS = 4, 56                                # roots that are looked for, and how often an interval of one is halved


def integral(f, cuts, mean, covariance, rule, shape, place):
    """E f(u), u ~ N(mean, covariance), an array of `shape`, one coordinate after the other given those before. covariance: its lower triangle.

    cuts: for every coordinate, (kind, g) with functions g of u: where f bends, jumps or is narrow, g is 0 ("line", g affine;
    "curve"), or is largest or least ("turn"); coordinates that are not drawn yet stand at their means there. rule: points [3, Q],
    weights [Q] (see `draw`). place: which of the integrals of the module it is, by which it has its own error of rounding where the
    rule asks for one. inf where it does not converge.
    """
    line = Line(rule, len(mean), shape)
    root = []
    for k, row in enumerate(covariance):                           # Cholesky's, where what is not left has no part
        own = []
        for j in range(k):
            apart = row[j]*row[j] != row[k]*covariance[j][j]
            c = row[j]*jnp.where(apart, 1 + 2*line.rounding(place + 7*j + 5*k)*jnp.finfo(line.dtype).eps, 1)
            own.append(over_square(c - sum(own[i]*root[j][i] for i in range(j)), root[j][j]))
        if k == 1:                                                 # as a product, no digits of which are lost
            both = jnp.sqrt(row[1]*covariance[0][0])
            left = jnp.where(covariance[0][0] == 0, row[1], over_square((both - jnp.abs(c))*(both + jnp.abs(c)), covariance[0][0]))
        else:
            left = row[k] - sum(x**2 for x in own)
        root.append([*own, jnp.where(left > 0, jnp.sqrt(jnp.where(left > 0, left, 1)), 0)])

    def at(drawn):
        """u where the first standard Gaussians are `drawn` and the others 0."""
        return [m + sum(a*z for a, z in zip(row, drawn, strict=False)) for m, row in zip(mean, root, strict=True)]

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
    return value + line.rounding(place)*lax.stop_gradient(size)


class Line:
    """The rule over one standard Gaussian: the line is cut at given points, towards which the nodes of each part grow dense by powers.

    On the part from a to b, the nodes are a + log(1 + e^G) − log(1 + e^(G − b + a)), evenly spaced in t, where G(t) is t but close
    to the ends: from e^(−depth) on, powers turn into powers of powers (double exponential), so that what is left out is less than
    rounding.
    """

    def __init__(self, rule, dimensions, shape):
        points, weights = rule
        count = len(weights)*(8, 7, 4, 2)[dimensions - 1]//8
        self.shape, self.dtype = shape, points.dtype
        self.fractions, self.weights = (a[:count].reshape(-1, 1, *[1]*len(shape))*(len(weights)/count) for a in (points[0], weights))
        self.depth = points[1, 0] - (0, 2, 10, 12)[dimensions - 1]
        self.noise = points[2, 0]

    def rounding(self, place):
        """A number for each entry, between 1/2 and 1 in size, of either sign; 0 if the rule asks for none."""
        size = int(np.prod(self.shape))
        phase = (jnp.arange(size).reshape(self.shape)*0.7548776662 + place*0.5698402910 + jnp.abs(self.noise)*0.3819660113) % 1
        return jnp.where(self.noise == 0, 0, jnp.where(phase < 0.5, phase + 0.5, -phase)).astype(self.dtype)

    def breaks(self, cuts):
        """Where the line is cut, in order, [R, *shape], or the same for all entries, at the mean if there are no cuts.

        cuts: (kind, function) as for `integral`, functions of the standard Gaussian.
        """
        mean = jnp.zeros((1, *[1]*len(self.shape)), self.dtype)
        found = []
        for kind, g in cuts:
            if kind == "line":
                start = jnp.broadcast_to(g(jnp.zeros((), self.dtype)), self.shape)
                slope = g(jnp.ones((), self.dtype)) - start
                found.append(self.near(jnp.where(slope == 0, jnp.inf, -start/jnp.where(slope == 0, 1, slope)))[None])
        for kind, g in cuts:
            if kind != "line":
                known = jnp.sort(jnp.concatenate(found), axis=0) if found else jnp.broadcast_to(mean, (1, *self.shape))
                found.append(self.roots(g if kind == "curve" else slope_of(g), known))
        return jnp.sort(jnp.concatenate(found), axis=0) if len(found) > 1 else found[0] if found else mean

    def near(self, x):
        """A cut, 0 in place of one that is out of reach."""
        return jnp.where(jnp.abs(x) <= REACH, x, 0)

    def roots(self, g, known):
        """The first ROOTS roots of a function that changes its sign between nodes for what is known, [ROOTS, *shape]; 0 for others."""
        x = jnp.sort(lax.stop_gradient(self.nodes(known)[0]).reshape(-1, *self.shape), axis=0)
        value = jnp.broadcast_to(g(x), x.shape)
        change = ((value[:-1] > 0) != (value[1:] > 0)) & (jnp.abs(x[:-1]) < REACH) & (jnp.abs(x[1:]) < REACH)
        order = jnp.arange(len(x) - 1).reshape(-1, *[1]*len(self.shape))
        first = jnp.sort(jnp.where(change, order, len(x) - 2), axis=0)[:ROOTS]
        there = jnp.take_along_axis(change, first, axis=0) & jnp.concatenate([jnp.ones_like(first[:1], bool), first[1:] != first[:-1]])
        low, high = jnp.take_along_axis(x, first, axis=0), jnp.take_along_axis(x, first + 1, axis=0)
        above = jnp.broadcast_to(g(low) > 0, low.shape)

        def halved(_, ends):
            """The half in which the sign changes."""
            low, high = ends
            middle = (low + high)/2
            same = (g(middle) > 0) == above
            return jnp.where(same, middle, low), jnp.where(same, high, middle)
        low, high = lax.stop_gradient(lax.fori_loop(0, HALVINGS, halved, (low, high)))
        x = (low + high)/2
        slope = lax.stop_gradient(slope_of(g)(x))
        smooth = jnp.isfinite(slope) & (slope != 0)
        moved = jnp.broadcast_to(g(x), x.shape)                    # which has the derivative of the root in everything else
        x = x - jnp.where(smooth, (moved - lax.stop_gradient(moved))/jnp.where(smooth, slope, 1), 0)
        return jnp.where(there, x, 0)

    def nodes(self, breaks):
        """Nodes and weights [1 + Q, R + 1, *shape] of the line cut at `breaks` [R, *shape]; the two outer parts come first.

        The first nodes are the breaks themselves, which count for the error: what is so narrow there that no number lies in it.
        """
        ends = jnp.stack([breaks[0], breaks[-1]])
        way = jnp.asarray([-1, 1], self.dtype).reshape(2, *[1]*len(self.shape))
        start = -(self.depth + 3.3)
        (*_, distance, weight), *nearer = [self.outwards(start, far) for far in FAR]
        for far, less, other in nearer:
            enough = REACH - way*ends <= far
            distance, weight = jnp.where(enough, less, distance), jnp.where(enough, other, weight)
        x = ends + way*self.off(distance, ends)
        if len(breaks) == 1:
            return self.with_breaks(breaks, x, weight)
        left, right = breaks[:-1], breaks[1:]
        length = right - left
        span = length + 2*(self.depth + 3.3)
        t = start + span*self.fractions
        sunk, risen = jnp.exp(-(t + self.depth)), jnp.exp(t - length - self.depth)
        g, part = t - sunk + risen, -jnp.expm1(-length)
        away, apart = jnp.exp(-g), jnp.exp(g - length)
        first, second = (jnp.log1p(part/(a + jnp.exp(-length))) for a in (away, apart))
        inner = jnp.where(first < second, left + self.off(first, left), right - self.off(second, right))
        weights = span*self.weights*(1 + sunk + risen)*part/((away + 1)*(1 + apart))
        return self.with_breaks(breaks, jnp.concatenate([x, inner], axis=1), jnp.concatenate([weight, weights], axis=1))

    def outwards(self, start, far):
        """How far the nodes of an outer part lie from its end, dense up to `far`, and their weights."""
        span = far + 3.5 - start
        t = start + span*self.fractions
        sunk = jnp.exp(-(t + self.depth))
        grown = jnp.exp(t - sunk)
        jump = grown*np.exp(-far)
        return far, jnp.log1p(grown) + jump, span*self.weights*(1 + sunk)*(grown/(1 + grown) + jump)

    def with_breaks(self, breaks, x, weight):
        """Nodes and weights with the breaks before them."""
        own = jnp.concatenate([breaks, breaks[-1:]])[None]
        return jnp.concatenate([own, x]), jnp.concatenate([jnp.abs(own), weight])

    def off(self, distance, point):
        """A distance from a point, so large that the two are not one number."""
        return jnp.maximum(distance, 4*jnp.finfo(self.dtype).eps*jnp.abs(point))

    def gathered(self, x, weight, value, size):
        """The sums of values [Q, R + 1, *shape] at nodes, and of the sizes of what cancels in them, with what may lie beyond the nodes.

        Values that are not finite are left out where the weight is nothing beside rounding. inf where the terms do not vanish towards
        the ends, at the cuts only if values are as large as the inverse of rounding there: what is narrower is not infinite.
        """
        eps = jnp.finfo(self.dtype).eps
        weight = weight*jnp.exp(-x**2/2)/(2*np.pi)**0.5
        first = jnp.arange(len(x)).reshape(-1, *[1]*(x.ndim - 1)) == 0
        counted = (weight > jnp.finfo(self.dtype).tiny) & (jnp.isfinite(value) | (~first & (weight > eps**2)))
        term = jnp.where(counted & ~first, weight*jnp.where(counted, value, 0), 0)
        both = lax.complex(term, lax.stop_gradient(jnp.where(counted, weight*size, 0))).sum(axis=(0, 1))
        total, whole = jnp.real(both), lax.stop_gradient(jnp.imag(both))
        own, counted = lax.stop_gradient(jnp.abs(term[1:])), counted[1:]
        outside = jnp.where(counted[:-1] != counted[1:], own[:-1] + own[1:], 0).max(axis=(0, 1))
        ends = own[::len(own) - 1]
        steep = jnp.where(jnp.abs(value[1:]) > 0.01/eps, own, 0)
        inside = steep[:len(own)//2, :2].sum(axis=(0, 1)) + steep[:, 2:].sum(axis=(0, 1))
        infinite = (jnp.maximum(inside/3, outside) > 0.03*own.sum(axis=(0, 1))) & (outside + inside > jnp.finfo(self.dtype).tiny**0.5)
        return jnp.where(infinite, jnp.inf, total), 4*(eps*whole + jnp.maximum(ends.max(axis=(0, 1)), outside))


def slope_of(g):
    """The derivative of a function of one number, for arrays."""
    return lambda x: jax.jvp(lambda x: jnp.broadcast_to(g(x), x.shape), (x,), (jnp.ones_like(x),))[1]


def over_square(a, b):
    """a/b, 0 where b is 0."""
    return jnp.where(b == 0, 0, a/jnp.where(b == 0, 1, b))
