"""The numerical helpers of modules that work with covariances: each module has the sections that it uses. Tested as code."""

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


# ---- correlation
def correlation(q, c, r):
    """c/√(qr); 0 where q or r is 0, and ±1 where rounding cannot tell it from that: angles that matter are larger."""
    rho = c*inverse_norm(q)*inverse_norm(r)
    return jnp.where(jnp.abs(rho) > 1 - 8*jnp.finfo(rho.dtype).eps, jnp.sign(rho), rho)


def inverse_norm(q):
    """1/√q, 0 where q is 0."""
    return jnp.where(q > 0, 1/jnp.sqrt(jnp.where(q > 0, q, 1)), 0)


def angle(rho):
    """arccos, without a derivative at ±1, where that is infinite. In single precision by a polynomial, to 2e-8 (Abramowitz and Stegun 4.4.46),
    which is faster."""
    inside = jnp.abs(rho) < 1
    safe = jnp.where(inside, rho, 0)
    if rho.dtype == jnp.float32:
        x = jnp.abs(safe)
        value = jnp.full_like(x, -0.0012624911)
        for a in (0.0066700901, -0.0170881256, 0.0308918810, -0.0501743046, 0.0889789874, -0.2145988016, 1.5707963050):
            value = value*x + a
        value = jnp.sqrt(1 - x)*value
        value = jnp.where(rho < 0, np.pi - value, value)
    else:
        value = jnp.arccos(safe)
    return jnp.where(inside, value, jnp.where(rho < 0, np.pi, 0))


# ---- step_step
def step_step(q, c, r):
    """E step(u)·step(v), (u, v) ~ N(0, [[q, c], [c, r]]) here and below; step(0) = 1/2."""
    return (np.pi - angle(correlation(q, c, r)))/(2*np.pi)


# ---- relu_relu
def relu_relu(q, c, r):
    """E relu(u)·relu(v): the arc-cosine kernel of order 1."""
    rho = correlation(q, c, r)
    squared = (1 - rho)*(1 + rho)
    sine = jnp.where(squared > 0, jnp.sqrt(jnp.where(squared > 0, squared, 1)), 0)
    size = q*inverse_norm(q)*(r*inverse_norm(r))/(2*np.pi)
    return size*(sine + rho*(np.pi - angle(rho)))


# ---- relu_step
def relu_step(q, c, r):
    """E relu(u)·step(v)."""
    return (jnp.sqrt(q) + over(c, jnp.sqrt(r)))/(8*np.pi)**0.5


# ---- erf_erf
def erf_erf(q, c, r, a=1, b=1):
    """E erf(au)·erf(bv)."""
    return 2/np.pi*jnp.arcsin(2*a*b*c/jnp.sqrt((1 + 2*a**2*q)*(1 + 2*b**2*r)))


# ---- sin_sin
def sin_sin(q, c, r, a=1, b=1):
    """E sin(au)·sin(bv)."""
    size, shift = a**2*q + b**2*r, 2*a*b*c
    return (jnp.exp((shift - size)/2) - jnp.exp((-shift - size)/2))/2


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

    The exponentials of squares are a change of the covariance; Stein's lemma, E u·F = q E ∂F/∂u + c E ∂F/∂v, takes away the powers.
    """
    (m, kind, a, weight), (n, other, b, second) = f, g
    if not (_is_zero(weight) and _is_zero(second)):
        free = q*r - c**2
        det = (1 + 2*weight*q)*(1 + 2*second*r) - 4*weight*second*c**2
        q, c, r = (q + 2*second*free)/det, c/det, (r + 2*weight*free)/det
        return moment((m, kind, a, 0), (n, other, b, 0), q, c, r)/jnp.sqrt(det)
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
        return step_step(q, c, r)
    if kind == other == "erf":
        return 2/np.pi*jnp.arcsin(2*a*b*c/jnp.sqrt((1 + 2*a**2*q)*(1 + 2*b**2*r)))
    if kind == "step":
        return jnp.arcsin(jnp.clip(over(2**0.5*b*c, jnp.sqrt(q*(1 + 2*b**2*r))), -1, 1))/np.pi
    if (kind, other) in (("erf", "step"), ("sin", "exp"), ("cos", "exp"), ("cos", "sin")):
        return _base(other, kind, b, a, r, c, q)
    if kind == "exp":
        if other == "exp":
            return jnp.exp((a**2*q + 2*a*b*c + b**2*r)/2)
        return jnp.exp((a**2*q - b**2*r)/2)*(jnp.sin(a*b*c) if other == "sin" else jnp.cos(a*b*c))
    if kind != other:
        return jnp.zeros_like(c)
    size, shift = a**2*q + b**2*r, 2*a*b*c
    return (jnp.exp((shift - size)/2) + (-1 if kind == "sin" else 1)*jnp.exp((-shift - size)/2))/2


def _single(kind, a, q):
    """E f(u) without a power."""
    if kind == "one":
        return jnp.ones_like(q)
    if kind == "step":
        return jnp.full_like(q, 0.5)
    return jnp.exp((a**2 if kind == "exp" else -a**2)*q/2) if kind in ("exp", "cos") else jnp.zeros_like(q)


# ---- integral
def integral(f, mean, covariance, rule, shape):
    """E f(u), u ~ N(mean, covariance), an array of `shape`, by the product of a rule of (nodes, weights); covariance: its lower triangle.

    In three and four dimensions only every third or fourth node is taken.
    """
    stride = max(1, len(mean)) if len(mean) > 2 else 1
    nodes, weights = (x[::stride] for x in rule)
    rule = nodes, weights/weights.sum()
    root = []
    for k, row in enumerate(covariance):                           # Cholesky's, where what is not left has no part
        own = []
        for j in range(k):
            own.append(over_square(row[j] - sum(own[i]*root[j][i] for i in range(j)), root[j][j]))
        root.append([*own, jnp.sqrt(jnp.maximum(row[k] - sum(x**2 for x in own), 0))])

    def level(values, drawn):
        """The integral over the Gaussians that are left, those before being `drawn`."""
        k = len(values)
        if k == len(mean):
            return jnp.broadcast_to(f(*values), shape).astype(rule[0].dtype)

        def node(total, at):
            """What the values at one node add."""
            z, weight = at
            value = mean[k] + root[k][k]*z + sum(a*b for a, b in zip(root[k], drawn, strict=False))
            return total + weight*level([*values, value], [*drawn, z]), None
        return lax.scan(node, jnp.zeros(shape, rule[0].dtype), rule)[0]
    return level([], [])


def over_square(a, b):
    """a/b, 0 where b is 0."""
    return jnp.where(b == 0, 0, a/jnp.where(b == 0, 1, b))
