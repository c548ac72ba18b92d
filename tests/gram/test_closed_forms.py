"""Every closed form against an integral over the plane, and where Gaussians are degenerate."""

import itertools
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.special import erf as plain_erf

import tpc
from tpc.emit.helpers import covariances as gram_prelude
from tpc.emit.helpers import integrals as integral_prelude
from tpc.gram import registered

KINDS = {
    "one": lambda z: np.ones_like(z),
    "step": lambda z: np.heaviside(z, 0.5),
    "erf": plain_erf,
    "sin": np.sin,
    "cos": np.cos,
    "exp": np.exp,
}
TOGETHER = [
    *itertools.product(("one", "step", "erf"), repeat=2),
    *itertools.product(("one", "sin", "cos", "exp"), repeat=2),
]
Q, C, R = 0.7, -0.35, 1.6


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


def factor(power, kind, scale, weight):
    return lambda z: z**power * KINDS[kind](scale * z) * np.exp(-weight * z**2)


def halves():
    """A rule for functions that are smooth on each side of 0, as seen from a standard Gaussian cut at 12."""
    nodes, weights = np.polynomial.legendre.leggauss(80)
    x = np.concatenate([6 * (nodes - 1), 6 * (nodes + 1)])
    return x, np.concatenate([6 * weights] * 2) * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def integral(f, g, q, c, r):
    """E f(u) g(v), the second one integrated on both sides of where v = 0."""
    z, w = (a[:, None] for a in halves())
    b, s = c / math.sqrt(q), math.sqrt(r - c**2 / q)
    nodes, weights = np.polynomial.legendre.leggauss(80)
    kink = np.clip(-b * z / s, -12, 12)
    total = 0.0
    for low, high in ((-12, kink), (kink, 12)):
        y = (high - low) / 2 * nodes + (high + low) / 2
        total += np.sum(
            w
            * f(math.sqrt(q) * z)
            * (high - low)
            / 2
            * weights
            * np.exp(-(y**2) / 2)
            / math.sqrt(2 * math.pi)
            * g(b * z + s * y)
        )
    return total


@pytest.mark.parametrize(("kind", "other"), sorted(set(TOGETHER)))
def test_moments_are_the_integrals(kind, other):
    for m, n, weights in ((0, 0, (0, 0)), (1, 0, (0, 0)), (1, 1, (0, 0)), (2, 3, (0, 0)), (2, 1, (0.4, 0.3))):
        f, g = (m, kind, 0.8, weights[0]), (n, other, 1.3, weights[1])
        found = gram_prelude.moment(f, g, jnp.asarray(Q), jnp.asarray(C), jnp.asarray(R))
        np.testing.assert_allclose(found, integral(factor(*f), factor(*g), Q, C, R), rtol=1e-11, atol=1e-12)


NAMED = {
    "relu_relu": ((1, "step", 1, 0), (1, "step", 1, 0)),
    "step_step": ((0, "step", 1, 0), (0, "step", 1, 0)),
    "relu_step": ((1, "step", 1, 0), (0, "step", 1, 0)),
    "erf_erf": ((0, "erf", 1, 0), (0, "erf", 1, 0)),
    "sin_sin": ((0, "sin", 1, 0), (0, "sin", 1, 0)),
    "cos_cos": ((0, "cos", 1, 0), (0, "cos", 1, 0)),
    "exp_exp": ((0, "exp", 1, 0), (0, "exp", 1, 0)),
}


def form(name, q, c, r):
    """A form as modules have it: relu and step by the gap."""
    q, c, r = map(jnp.asarray, (q, c, r))
    if name == "step_step":
        return gram_prelude.step_step(q, gram_prelude.gap(q, c, r), r)
    if name == "relu_relu":
        return gram_prelude.relu_relu(q, gram_prelude.relu_gap(gram_prelude.gap(q, c, r)), r)
    return getattr(gram_prelude, name)(q, c, r)


@pytest.mark.parametrize("name", NAMED)
def test_forms_of_their_own_are_the_moments(name):
    f, g = NAMED[name]
    random = np.random.default_rng(0)
    q, r = random.uniform(0.1, 3, (2, 50))
    c = np.sqrt(q * r) * random.uniform(-1, 1, 50)
    np.testing.assert_allclose(
        form(name, q, c, r), gram_prelude.moment(f, g, q, c, r), rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize(
    ("q", "c", "r"),
    [(0.0, 0.0, 0.0), (0.0, 0.0, 2.0), (2.0, 0.0, 0.0), (2.0, 2.0, 2.0), (2.0, -2.0, 2.0), (0.3, 0.9, 2.7)],
)
def test_degenerate_gaussians_have_their_limits(name, q, c, r):
    """u and v are multiples of one Gaussian, or 0: the mean over that one; step(0) = 1/2."""
    x, w = halves()
    u = math.sqrt(q) * x
    v = math.copysign(math.sqrt(r), c) * x
    (f, g) = (factor(*each) for each in NAMED[name])
    found = form(name, q, c, r)
    np.testing.assert_allclose(found, np.sum(w * f(u) * g(v)), rtol=1e-12, atol=1e-12)


def exact_gaps(gaps):
    """The gaps of relu and E step·step to 30 digits, for gaps of a correlation above 0, or below it."""
    with mpmath.workdps(40):
        relu, step = [], []
        for g in map(mpmath.mpf, map(float, gaps)):
            rho = 1 - g if g >= 0 else -1 - g
            angle = mpmath.acos(rho)
            relu.append(1 - (mpmath.sqrt(1 - rho**2) + rho * (mpmath.pi - angle)) / mpmath.pi)
            step.append((mpmath.pi - angle) / (2 * mpmath.pi))
        return np.array(relu, float), np.array(step, float)


@pytest.mark.parametrize(
    ("dtype", "relative", "absolute"), [(np.float32, 3e-7, 1.2e-7), (np.float64, 8e-16, 2.5e-16)]
)
def test_gaps_keep_their_digits(dtype, relative, absolute):
    above = np.concatenate([np.linspace(0, 1, 301), np.logspace(-12, -2, 100)])
    for gaps in (above.astype(dtype), -above[1:].astype(dtype)):
        relu, step = exact_gaps(gaps)
        np.testing.assert_allclose(gram_prelude.relu_gap(jnp.asarray(gaps)), relu, rtol=relative)
        np.testing.assert_allclose(
            gram_prelude.step_step(1, jnp.asarray(gaps), 1), step, rtol=0, atol=absolute
        )


def test_rounding_does_not_part_equal_inputs():
    """neural-tangents is off by 3e-8 here."""
    q = np.random.default_rng(0).uniform(0.5, 20, 1000)
    c = q * (1 + 2e-16 * np.random.default_rng(1).integers(-3, 4, 1000))
    np.testing.assert_allclose(form("step_step", q, c, q), 0.5, rtol=1e-15)
    np.testing.assert_allclose(form("relu_relu", q, c, q), q / 2, rtol=1e-14)


def test_integrals_of_smooth_functions():
    """Two dimensions, correlated up to 1, against SciPy; the rule is that of modules."""
    points, weights = (
        np.stack([(np.arange(96) + 0.5) / 96, np.full(96, 12.0), np.zeros(96)]),
        np.full(96, 1 / 96),
    )
    rule = jnp.asarray(points), jnp.asarray(weights)
    covariance = np.array([[1.0, 0.6], [0.6, 2.0]])
    inverse = np.linalg.inv(covariance)
    cuts = [[("line", lambda u, v: u), ("line", lambda u, v: v)], [("line", lambda u, v: v)]]

    def density(v, u):
        z = np.array([u, v])
        return (
            np.tanh(u + 0.2)
            * np.tanh(v)
            * np.exp(-z @ inverse @ z / 2)
            / (2 * math.pi * math.sqrt(np.linalg.det(covariance)))
        )

    want, _ = dblquad(density, -9, 9, -13, 13, epsabs=1e-12)

    @jax.jit
    def both(means, covariance):
        return integral_prelude.integral(
            lambda u, v: jnp.tanh(u) * jnp.tanh(v), cuts, means, covariance, rule, (), 1
        )

    np.testing.assert_allclose(both([0.2, 0.0], [[1.0], [0.6, 2.0]]), want, rtol=0, atol=1e-10)
    one = jax.jit(
        lambda q: integral_prelude.integral(lambda u: jnp.tanh(u) ** 2, [[]], [0], [[q]], rule, (), 1)
    )
    np.testing.assert_allclose(both([0.0, 0.0], [[1.5], [1.5, 1.5]]), one(1.5), rtol=1e-13)


def test_a_form_of_ones_own_is_taken():
    registered.register(
        "s*sigmoid(s)",
        "s*sigmoid(s)",
        """
        def swish_swish(q, c, r):
            return 7*c + 0*q*r
        """,
    )
    try:
        program = tpc.parse(
            "width n\nvector (a, b) : n ~ N([0, 0], [[1, 1/2], [1/2, 1]])\ndef swish(s) = s*sigmoid(s)\n"
            "output c = mean(swish(a)*swish(b))\noutput d = mean(swish(a)^2)\n"
        )
        result = program.compile(method="gram")({})
        assert result.plan.exact
        assert float(result["c"].value) == pytest.approx(3.5)
        assert float(result["d"].value) == pytest.approx(7)
    finally:
        registered.FORMS.clear()


FORM = "def form(q, c, r):\n    return c"


@pytest.mark.parametrize(
    ("f", "g", "source", "message"),
    [
        ("s", "s", "x = 1", "one function"),
        ("s", "s", "def form(q", "cannot be read"),
        ("s", "s", "def form(q, c):\n    return c", "other arguments"),
        ("s", "s", "def form(q, c, r, *, z):\n    return c", "other arguments"),
        ("s", "s", 3, "source of a closed form is text"),
        (3, "s", FORM, "f of a closed form is text"),
        ("1", "s", FORM, "f of a closed form is a function of `s`"),
        ("s", "2*pi", FORM, "g of a closed form is a function of `s`"),
        ("n*s", "s", FORM, "f of a closed form is a function of `s`"),
        ("s)\noutput d = mean(s", "s", FORM, "f of a closed form is a function of `s`"),
    ],
)
def test_what_is_no_closed_form_is_refused(f, g, source, message):
    with pytest.raises(ValueError, match=message):
        registered.register(f, g, source)
    assert not registered.FORMS


@pytest.mark.parametrize("f", ["t", "s +", "W @ s", "s > 1"])
def test_what_cannot_be_read_is_told(f):
    with pytest.raises(tpc.TpcError, match="closed form"):
        registered.register(f, "s", FORM)


@pytest.mark.parametrize("norm", [1e-30, 1e-8, 1.0, 1e4, 1e8, 1e100])
@pytest.mark.parametrize("activation", ["erf", "gelu", "sin"])
def test_forms_keep_their_digits_at_all_norms(activation, norm):
    """The kernels of one layer at x, 0.6 x + 0.8 y and −x, x and y of this norm and orthogonal, against the
    same with many digits."""
    text = f"width n\nweight U : n x 2\nweight V : 1 x n\nnetwork f(x) = V @ {activation}(U @ x)\n"
    nngp, ntk = tpc.parse(text).kernels()(
        np.array([[norm, 0.0], [0.6 * norm, 0.8 * norm], [-norm, 0.0], [0.0, norm]])
    )
    for j, rho in enumerate([1, mpmath.mpf(6) / 10, -1, 0]):
        with mpmath.workdps(450):
            covariance, slopes = in_many_digits(activation, mpmath.mpf(norm) ** 2, mpmath.mpf(rho))
            theta = covariance + rho * mpmath.mpf(norm) ** 2 * slopes
        assert nngp[0, j] == pytest.approx(float(covariance), rel=2e-14, abs=1e-15 * nngp[0, 0])
        assert ntk[0, j] == pytest.approx(float(theta), rel=2e-14, abs=1e-15 * ntk[0, 0])


def in_many_digits(activation, q, rho):
    """E φ(u)φ(v) and E φ'(u)φ'(v), both variances being q."""
    c = rho * q
    if activation == "sin":
        size = mpmath.exp(-q)
        return size * mpmath.sinh(c), size * mpmath.cosh(c)
    if activation == "erf":
        return 2 / mpmath.pi * mpmath.asin(2 * c / (1 + 2 * q)), 4 / mpmath.pi / mpmath.sqrt(
            (1 + 2 * q) ** 2 - 4 * c**2
        )
    det = (1 + q) ** 2 - c**2  # gelu, with Stein's lemma: both steps, both densities
    steps, densities = (
        mpmath.mpf(1) / 4 + mpmath.asin(c / (1 + q)) / (2 * mpmath.pi),
        1 / (2 * mpmath.pi * mpmath.sqrt(det)),
    )
    covariance = c * steps + densities * (q * (q - c**2 / (1 + q)) + c**2 / (1 + q))
    return covariance, steps + densities * (2 * c / (1 + q) + c / det)
