"""The helpers of modules by covariances for tanh, sigmoid and softplus.

Sections as those of `covariances.py`. Tested as code.

The logistic law is a mixture of normal ones (Andrews & Mallows 1974, Stefanski 1991): tanh(x) = E erf(cx), c
= √2/s, s/2 having Kolmogorov's law.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tpc.emit.helpers.covariances import CAP, inverse_norm, moment, root_of_gap, series, turned

# ---- copied
# tanh(x) = Σ share·erf(scale·x): Gauss's rule for log s. Off by 1.3e-8·tanh(x) at most for all x, and its
# derivative by 7e-8; in double precision by 1e-16·tanh(x) and 7e-16. ARCTAN: arctan(√t)/√t for 0 ≤ t ≤
# tan²(π/8), its interpolation at the zeros of Chebyshev's polynomials, off by 2e-8 and 1e-18
SCALES = {
    "float32": (
        2.33946436,
        1.86897164,
        1.49785652,
        1.19012385,
        0.935274969,
        0.72956653,
        0.569668206,
        0.448558434,
        0.356171101,
        0.282008699,
    ),
    "float64": (
        3.7995001953144542,
        3.3797922601856132,
        3.0386430902941365,
        2.7405228233102157,
        2.4722270697724434,
        2.2272743416112633,
        2.0020610618429223,
        1.794457917362467,
        1.6031693721507851,
        1.4273899276541099,
        1.2665933055276177,
        1.1203887872138223,
        0.98841696738447753,
        0.87027325760944439,
        0.7654516782783924,
        0.67329558844564103,
        0.59294628007326182,
        0.52332697839617131,
        0.46321192107349014,
        0.41134371594119154,
        0.36652534645286582,
        0.32766574932929031,
        0.29379243795925806,
        0.2640435880975735,
        0.23764339344261234,
        0.21385268727561132,
        0.19185052639794208,
        0.17027864829864004,
    ),
}
SHARES = {
    "float32": (
        6.95669391e-5,
        0.00426920791,
        0.047389418,
        0.18070483,
        0.312182658,
        0.282386436,
        0.137923706,
        0.0323113453,
        0.00272015144,
        4.26809776e-5,
    ),
    "float64": (
        4.1287605483514478e-14,
        4.1813755589570959e-11,
        6.3783181422679435e-9,
        3.2247827719937095e-7,
        7.4646053558595993e-6,
        9.4376806644881844e-5,
        0.00072924754329335309,
        0.0037274075026219473,
        0.013381766568430752,
        0.035403830488896808,
        0.07183828592789931,
        0.11564484185383855,
        0.15196827127313706,
        0.16680510215670815,
        0.15538891194792808,
        0.12361036862925079,
        0.083418290160655758,
        0.046833801741287923,
        0.021240700343462432,
        0.0075051729378258112,
        0.0019804285659866756,
        0.00037120223045844315,
        4.6462202453309301e-5,
        3.5827109440375269e-6,
        1.5191875655685924e-7,
        2.9663986663070053e-9,
        1.9295465483619342e-11,
        1.8996750167974103e-14,
    ),
}
ARCTAN = {
    "float32": (0.999999981, -0.333327856, 0.199740754, -0.138484148, 0.079760417),
    "float64": (
        1.0,
        -0.33333333333333121,
        0.19999999999940837,
        -0.14285714279244968,
        0.111111107446571,
        -0.090908968014728134,
        0.076920451945614815,
        -0.066629502460367913,
        0.05846866752275139,
        -0.050350497953124393,
        0.037963903161110833,
        -0.017803896394812563,
    ),
}
# of a series, of those that are added at once, and pairs that a mixture takes at once
TERMS, GROUP, CHUNK = 96, 4, 512


def smooth_gap(q, c, r):
    """`gap`, with its derivatives where rounding cannot tell it from 0."""
    rho = c * inverse_norm(q) * inverse_norm(r)
    lacking = 1 - jnp.where(rho < 0, -rho, rho)
    # 0 as what is less itself: a difference of two numbers may be below 0, where gaps have another meaning
    nothing = lacking - lax.stop_gradient(lacking)
    found = jnp.where(lacking > 8 * jnp.finfo(rho.dtype).eps, lacking, nothing)
    return lax.optimization_barrier(turned(found, rho))


def tanh_tanh(q, g, r, a=1, b=1):
    """E tanh(au)·tanh(bv), (u, v) ~ N(0, [[q, c], [c, r]]), g the gap of c; a, b > 0, here and below."""
    return compiled_once("tanh", a**2 * q, g, b**2 * r)


def slope_slope(q, g, r, a=1, b=1):
    """E tanh'(au)·tanh'(bv)."""
    return compiled_once("slope", a**2 * q, g, b**2 * r)


def softplus_softplus(q, g, r, a=1, b=1):
    """E softplus(au)·softplus(bv)."""
    return compiled_once("softplus", a**2 * q, g, b**2 * r)


def logistic(kind, q, g, r):
    """E φ(u)·φ(v) by the series in ρ with Hermite coefficients for q and for r, or by the mixture.

    The latter where the series is too long, or pairs are few.
    """
    q, g, r = map(jnp.asarray, (q, g, r))
    shape = jnp.broadcast_shapes(q.shape, g.shape, r.shape)
    if TERMS * (q.size + r.size) > 16 * math.prod(shape):
        every = jnp.ones(shape, bool)
        return _by_mixture(kind, q, g, r, every, jnp.zeros(shape, g.dtype))
    value, lacking = _by_series(kind, q, g, r)
    return lax.cond(jnp.any(lacking), lambda: _by_mixture(kind, q, g, r, lacking, value), lambda: value)


compiled_once = jax.jit(logistic, static_argnums=0)  # for every layer with arrays of one shape


def _correlation(g):
    """ρ of a gap, and 1 − ρ²."""
    e = jnp.where(g < 0, -g, g)
    return jnp.where(g < 0, e - 1, 1 - e), e * (2 - e)


def _rule(like):
    """Scales and shares for the precision of an array."""
    name = "float32" if like.dtype == jnp.float32 else "float64"
    return np.asarray(SCALES[name], name), np.asarray(SHARES[name], name)


def _by_mixture(kind, q, g, r, wanted, value):
    """`value` with the pairs that are `wanted` as sums over the two mixtures, some pairs at a time."""
    shape, size = wanted.shape, wanted.size
    if size <= CHUNK:
        found = _mixture(kind, *(jnp.broadcast_to(x, shape).ravel() for x in (q, g, r))).reshape(shape)
        return jnp.where(wanted, found, value)
    places = jnp.sort(jnp.where(wanted.ravel(), jnp.arange(size), size))
    places = jnp.pad(places, (0, -size % CHUNK), constant_values=size).reshape(-1, CHUNK)
    q, g, r = (jnp.broadcast_to(x, shape).ravel() for x in (q, g, r))

    def chunk(value, own):
        """The pairs at some places; there are none beyond the last one."""

        def found():
            """With these."""
            pairs = (x.at[own].get(mode="clip") for x in (q, g, r))
            return value.at[own].set(_mixture(kind, *pairs), mode="drop")

        return lax.cond(own[0] < size, found, lambda: value), None

    return lax.scan(chunk, value.ravel(), places)[0].reshape(shape)


def _mixture(kind, q, g, r):
    """E φ(u)·φ(v) for pairs [P].

    With α = 2c²q/(1 + 2c²q) of every scale c, E erf(cu)·erf(dv) = 2/π·arcsin(ρ√(αβ)).

    The cosine is made of terms that are not negative, so that no digits are lost.
    """
    scales, shares = _rule(g)
    rho, apart = _correlation(g)
    if kind == "softplus":  # of relu(u + s·Gaussian), s² = 2/c²
        u, v, q, r = q, r, q / 4, r / 4
    near = 1 / (1 + 2 * scales[:, None] ** 2 * r)  # 1 − β
    second = 2**0.5 * scales[:, None] * (r * inverse_norm(r)) * jnp.sqrt(near)

    def add(total, own):
        """What one of the scales of u adds."""
        c, share = own
        rest = 1 / (1 + 2 * c**2 * q)
        first = 2**0.5 * c * (q * inverse_norm(q)) * jnp.sqrt(rest)
        sine, cosine = (
            rho * first * second,
            rest + first**2 * (near + second**2 * apart),
        )  # the second one squared
        if kind == "tanh":
            found = 2 / np.pi * arcsine(sine, jnp.sqrt(cosine))
        elif kind == "slope":
            found = 4 / np.pi * c * scales[:, None] * jnp.sqrt(rest) * jnp.sqrt(near) / jnp.sqrt(cosine)
        else:
            e = cosine / (1 + jnp.where(sine < 0, -sine, sine))
            cap = e * root_of_gap(e) * series(CAP, e)
            found = (
                jnp.sqrt(u + 2 / c**2)
                * jnp.sqrt(v + 2 / scales[:, None] ** 2)
                / 2
                * jnp.where(sine < 0, cap, 1 - e + cap)
            )
        return total + share * jnp.einsum("k,kp->p", shares, found, precision="highest"), None

    return lax.scan(add, jnp.zeros_like(g), (scales, shares))[0]


def arcsine(x, cosine):
    """arcsin(x), `cosine` being √(1 − x²): by two halvings of the angle."""
    t = x / (1 + cosine)
    t = t / (1 + jnp.sqrt(1 + t**2))
    square, (*others, value) = t**2, ARCTAN["float32" if t.dtype == jnp.float32 else "float64"]
    for coefficient in reversed(others):
        value = value * square + coefficient
    return 4 * t * value


def _by_series(kind, q, g, r):
    """Σ A_m(q)·A_m(r)·ρ^2m and where more than a rounding is beyond its last term."""
    rho, _ = _correlation(g)
    square = rho**2
    whole = _coefficients(kind, jnp.concatenate([q.ravel(), r.ravel()]))
    (head, left, beyond), (other, right, further) = (
        [x[..., at].reshape(*x.shape[:-1], *like.shape) for x in whole]
        for at, like in ((slice(q.size), q), (slice(q.size, None), r))
    )
    if kind == "softplus":
        front, factor = head[0] * other[0] + head[1] * other[1] * rho, square
    else:
        front, factor = 0, rho if kind == "tanh" else 1
    least = head[0] * other[0]
    small = jnp.finfo(g.dtype).eps / 8
    lacking = square**TERMS * beyond[-1] * further[-1] > small * least
    greatest = jnp.max(jnp.where(lacking, 0, square))
    least = small * jnp.min(jnp.where(least > 0, least, jnp.inf))
    bounds = whole[2].max(axis=1) ** 2 * greatest ** (GROUP * np.arange(TERMS // GROUP + 1))
    needed = bounds[:-1] > least

    def group(value, given):
        """Some terms, Horner's way."""
        a, b, is_needed = given

        def added():
            """With them."""
            found = value
            for k in reversed(range(GROUP)):
                found = found * square + a[k] * b[k]
            return found

        return lax.cond(is_needed, added, lambda: value), None

    value = lax.scan(group, jnp.zeros_like(square), (left, right, needed), reverse=True)[0]
    return front + factor * value, lacking


def _coefficients(kind, q):
    """Hermite coefficients for variances [N], and what bounds them from each group on.

    Two in front [2, N], A_m [groups, GROUP, N], and the bounds [groups + 1, N].

    erf(c√q·z) has √τ·√(2/π)·(−τ)^m·√((2m)!)/(2^m·m!·√(2m + 1)) at h_{2m+1}, τ = 2c²q/(1 + 2c²q), and tails
    are of a geometric series or less.
    """
    scales, shares = (x[:, None] for x in _rule(q))
    size = q * inverse_norm(q)
    if kind == "softplus":
        head = jnp.stack(
            [jnp.sum(shares * jnp.sqrt(q + 2 / scales**2), axis=0) / (2 * np.pi) ** 0.5, size / 2]
        )
        q = q / 4
    rest = 1 / (1 + 2 * scales**2 * q)
    tau = 1 - rest
    m = np.arange(TERMS + 1)
    alpha = np.cumprod(np.concatenate([[1], np.sqrt((2 * m[1:] - 1) / (2 * m[1:]))]))  # √((2m)!)/(2^m·m!)
    if kind == "slope":
        part = shares * 2 / np.pi**0.5 * scales * jnp.sqrt(rest)
    else:
        part = shares * (2 / np.pi) ** 0.5 * (2**0.5 * scales * (q * inverse_norm(q)) * jnp.sqrt(rest))
        alpha = alpha / np.sqrt(2 * m + 1)
    if kind == "softplus":
        part, alpha = part * size / 2, alpha / np.sqrt(2 * m + 2)
    beyond = 1 / jnp.sqrt(rest * (1 + tau))

    def term(power, a):
        """The next power of τ, a coefficient and the bound."""
        return power * tau, (a * jnp.sum(power, axis=0), a * jnp.sum(power * beyond, axis=0))

    _, (found, bounds) = lax.scan(term, part, jnp.asarray(alpha, q.dtype))
    return head if kind == "softplus" else found[:2], found[:-1].reshape(-1, GROUP, len(q)), bounds[::GROUP]


def mixed(f, g, q, c, r):
    """E f(u)·g(v) as `moment`, of which one or both are of tanh, its derivatives or softplus.

    Sums over their mixtures.
    """
    scales, shares = _rule(jnp.asarray(c + q + r))

    def single(total, given):
        """What one of the scales of u adds."""
        return total + sum(a * inner(part) for a, part in _parts(f, *given)), None

    def inner(part):
        """E of a part of f with g."""
        if g[1] not in LOGISTIC:
            return moment(part, g, q, c, r)

        def add(total, given):
            """What one of the scales of v adds."""
            return total + sum(a * moment(part, other, q, c, r) for a, other in _parts(g, *given)), None

        return lax.scan(add, jnp.zeros_like(nothing), (scales, shares))[0]

    if f[1] not in LOGISTIC:
        return mixed(g, f, r, c, q)
    nothing = jnp.zeros_like(q + c + r)
    return lax.scan(single, nothing, (scales, shares))[0]


LOGISTIC = ("tanh", "tanh'", "tanh''", "softplus")


def _parts(f, c, share):
    """The component of a factor at one scale, as coefficients and factors for `moment`."""
    power, kind, a, weight = f
    if kind == "tanh":
        return [(share, (power, "erf", c * a, weight))]
    if kind == "softplus":  # xΦ(x/s) + s·φ(x/s), s² = 2/c²
        return [
            (share * a / 2, (power + 1, "one", 1, weight)),
            (share * a / 2, (power + 1, "erf", c * a / 2, weight)),
            (share / (np.pi**0.5 * c), (power, "one", 1, weight + (c * a / 2) ** 2)),
        ]
    if kind == "tanh'":
        return [(share * 2 / np.pi**0.5 * c, (power, "one", 1, weight + (c * a) ** 2))]
    return [(-share * 4 / np.pi**0.5 * c**3 * a, (power + 1, "one", 1, weight + (c * a) ** 2))]
