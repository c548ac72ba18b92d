"""tanh, sigmoid and softplus: their mixtures, and expectations of all norms, against sums of many digits and
against integrals by other means."""

import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from mpmath import mp
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import kstwobign

import tpc
from tpc.emit.helpers import covariances as gram_prelude
from tpc.emit.helpers import logistic as logistic_prelude
from tpc.gram.slopes import with_slopes, without_slopes

FORMS = {
    "tanh": logistic_prelude.tanh_tanh,
    "slope": logistic_prelude.slope_slope,
    "softplus": logistic_prelude.softplus_softplus,
}
NORMS = [(1e-60, 1e-60), (1e-6, 1e-6), (0.3, 1.0), (4.0, 4.0), (30.0, 5.0), (1e8, 1e8), (1e16, 1e-6)]
GAPS = [0.0, 1e-12, 1e-4, 0.3, 1.0, -0.9, -1e-9, -1e-200]


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


@pytest.fixture(scope="module")
def mixture():
    """Scales c and shares of tanh(x) = Σ share·erf(c·x), by the trapezium rule in log s, s/2 having
    Kolmogorov's law: good to 24 digits."""
    h, scales, shares = 1 / 12, [], []
    with mp.workdps(40):
        for k in range(-20, 32):
            s = mp.exp(mp.mpf(k) / 12)
            scales.append(mp.sqrt(2) / s)
            shares.append(_kolmogorov(s / 2) * s / 2 / 12)
        assert abs(sum(shares) - 1) < 1e-22
    assert float(shares[20]) == pytest.approx(kstwobign.pdf(0.5) / 2 * h, rel=1e-6)
    return scales, shares


def _kolmogorov(x):
    """The density of Kolmogorov's law, by its series for small x (Jacobi's transform of the other one)."""
    total = mp.mpf(0)
    for k in range(1, 40):
        a = (2 * k - 1) ** 2 * mp.pi**2 / 8
        total += mp.exp(-a / x**2) * (2 * a / x**4 - 1 / x**2)
    return mp.sqrt(2 * mp.pi) * total


def exactly(kind, q, g, r, mixture):
    """E φ(u)·φ(v) as the double sum, in many digits."""
    with mp.workdps(60):
        e = mp.mpf(abs(g))
        rho = (1 - e) * (1 if g >= 0 else -1)
        total = mp.mpf(0)
        q, r = mp.mpf(q), mp.mpf(r)
        for c, a in zip(*mixture, strict=True):
            for d, b in zip(*mixture, strict=True):
                if a * b < 1e-30:
                    continue
                if kind == "softplus":
                    left, right = q + 2 / c**2, r + 2 / d**2
                    x = rho * mp.sqrt(q * r / left / right)
                    found = (
                        mp.sqrt(left * right) / (2 * mp.pi) * (mp.sqrt(1 - x**2) + (mp.pi - mp.acos(x)) * x)
                    )
                else:
                    left, right = 1 + 2 * c**2 * q, 1 + 2 * d**2 * r
                    x = 2 * c * d * rho * mp.sqrt(q * r / left / right)
                    found = (
                        2 / mp.pi * mp.asin(x)
                        if kind == "tanh"
                        else 4 * c * d / mp.pi / mp.sqrt(left * right * (1 - x**2))
                    )
                total += a * b * found
        return total


def test_the_mixture_is_tanh_and_its_derivative():
    x = np.concatenate([np.logspace(-9, 2, 400), [1e5]])
    for dtype, of_tanh, of_slope in ((np.float64, 2e-15, 3e-15), (np.float32, 3e-8, 1.5e-7)):
        scales, shares = (np.asarray(a, np.float64) for a in logistic_prelude._rule(jnp.zeros(1, dtype)))
        erf = np.vectorize(math.erf)
        np.testing.assert_allclose(erf(x[:, None] * scales) @ shares, np.tanh(x), rtol=of_tanh)
        np.testing.assert_allclose(
            np.exp(-((x[:, None] * scales) ** 2)) @ (shares * scales) * 2 / math.pi**0.5,
            1 / np.cosh(np.minimum(x, 300)) ** 2,
            rtol=0,
            atol=of_slope,
        )


@pytest.mark.parametrize("kind", FORMS)
def test_pairs_of_all_norms_and_angles(kind, mixture):
    """By the mixture, and by the series where that is not too long, which it must not be for moderate
    norms."""
    random = np.random.default_rng(0)
    cases = [(q, g, r) for q, r in NORMS for g in random.choice(GAPS, 2, replace=False)]
    exact = [exactly(kind, *case, mixture) for case in cases]
    q, g, r = jnp.array(cases).T
    found = FORMS[kind](q, g, r)
    series, lacking = map(np.asarray, jax.jit(logistic_prelude._by_series, static_argnums=0)(kind, q, g, r))
    found, q = np.asarray(found), np.asarray(q)
    for k, value in enumerate(exact):
        assert float(abs(mp.mpf(float(found[k])) - value)) <= 4e-15 * float(abs(value)), cases[k]
        if not lacking[k]:
            size = max(float(abs(value)), 0.1 if kind == "softplus" and cases[k][1] < 0 else 0)
            assert float(abs(mp.mpf(float(series[k])) - value)) <= 4e-15 * size, cases[k]
    assert not np.any(lacking & (q < 1.5))


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-14), ("float32", 1e-5)])
def test_both_ways_of_a_matrix_give_the_same(kind, dtype, tolerance):
    """Where there are enough pairs the series takes those that it can, and the mixture what is left, also
    more than are taken at once."""
    random = np.random.default_rng(1)
    x = random.standard_normal((60, 3)) * random.choice([0.01, 1, 30], (60, 1))
    x[7], x[8], x[9] = x[6], -x[6], 0
    c = x @ x.T
    q = jnp.asarray(np.diag(c), dtype)
    q, g = map(np.asarray, (q, gram_prelude.apart(gram_prelude.gap(q[:, None], jnp.asarray(c, dtype), q))))
    found = FORMS[kind](q[:, None], g, q)
    assert found.dtype == dtype
    one_by_one = [np.asarray(FORMS[kind](q[:, None][k : k + 1], g[k : k + 1], q))[0] for k in range(60)]
    np.testing.assert_allclose(found, np.stack(one_by_one), rtol=tolerance, atol=tolerance * 1e-3)
    mapped = jax.vmap(FORMS[kind])(
        np.stack([q, q / 2])[:, :, None], np.stack([g, g]), np.stack([q, q / 2])[:, None]
    )
    np.testing.assert_allclose(mapped[0], found, rtol=tolerance, atol=tolerance * 1e-3)


PHI = {
    "one": lambda z: np.ones_like(z),
    "step": lambda z: np.heaviside(z, 0.5),
    "erf": np.vectorize(math.erf),
    "tanh": np.tanh,
    "tanh'": lambda z: 1 / np.cosh(z) ** 2,
    "tanh''": lambda z: -2 * np.tanh(z) / np.cosh(z) ** 2,
    "softplus": lambda z: np.logaddexp(z, 0),
}


@pytest.mark.parametrize(("kind", "other"), [(f, g) for k, f in enumerate(PHI) for g in [*PHI][max(3, k) :]])
def test_with_powers_steps_and_error_functions(kind, other):
    q, c, r = 0.7, -0.35, 1.6
    at, h = np.arange(-100, 101) / 10, 0.1  # the trapezium rule
    both = [((m, kind, 0.8, a), (n, other, 1.3, b)) for m, n, a, b in ((0, 0, 0, 0), (1, 2, 0.4, 0.3))]
    values = jax.jit(lambda *covariance: [logistic_prelude.mixed(f, g, *covariance) for f, g in both])(
        q, c, r
    )
    for (f, g), found in zip(both, values, strict=True):
        first, second = (
            lambda z, x=x: z ** x[0] * PHI[x[1]](x[2] * z) * np.exp(-x[3] * z**2) for x in (f, g)
        )

        def inner(z, first=first, second=second):
            mean, std = c / q * z, math.sqrt(r - c**2 / q)
            density = np.exp(-(at**2) / 2 - z**2 / (2 * q)) / (2 * math.pi * math.sqrt(q))
            return first(z) * h * np.sum(second(mean + std * at) * density)

        expected = quad(inner, -9, 0, epsabs=1e-12)[0] + quad(inner, 0, 9, epsabs=1e-12)[0]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


def network(activation, layers=2, d=2):
    weights = "".join(f"weight W{k} : n x n\n" for k in range(1, layers))
    body = f"{activation}(U @ x)"
    for k in range(1, layers):
        body = f"{activation}(W{k} @ {body})"
    return tpc.parse(f"width n\nweight U : n x {d}\n{weights}weight V : 1 x n\nnetwork f(x) = V @ {body}\n")


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus"])
def test_kernels_of_one_input_at_all_norms(activation):
    """Θ(x, x) = E φ² + |x|²·E φ'² of one layer, by integrals on both sides of 0 of a variable in which the
    functions are smooth."""
    phi, slope = {
        "tanh": (mpmath.tanh, lambda t: mpmath.sech(t) ** 2),
        "sigmoid": (lambda t: 1 / (1 + mpmath.exp(-t)), lambda t: mpmath.sech(t / 2) ** 2 / 4),
        "softplus": (lambda t: mpmath.log(1 + mpmath.exp(t)), lambda t: 1 / (1 + mpmath.exp(-t))),
    }[activation]
    norms = [1e-30, 1e-3, 1, 20, 1e4]
    nngp, ntk = network(activation, 1, 2).kernels()(np.outer(norms, [0.6, -0.8]))
    for k, norm in enumerate(norms):
        with mp.workdps(30):
            cuts = sorted({0.0, *(s * min(a / norm, 12) for s in (-1, 1) for a in (1, 4, 30, 100, math.inf))})

            def mean(f, cuts=cuts, norm=norm):
                return mpmath.quad(lambda z: f(norm * z) * mpmath.exp(-(z**2) / 2), cuts) / mpmath.sqrt(
                    2 * mpmath.pi
                )

            square, squared_slope = mean(lambda t: phi(t) ** 2), mean(lambda t: slope(t) ** 2)
        assert nngp[k, k] == pytest.approx(float(square), rel=1e-12)
        assert ntk[k, k] == pytest.approx(float(square + norm**2 * squared_slope), rel=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_layers_by_hand(activation, dtype):
    """Against the recursion with the trapezium rule for each pair, which is good at these norms."""
    x = np.random.default_rng(2).standard_normal((14, 5)) / 2
    found = network(activation, 5, 5).kernels(dtype=dtype)(x)
    phi = np.tanh if activation == "tanh" else expit
    nodes = np.arange(-60, 61) * 0.15
    weights = np.exp(-(nodes**2) / 2) * 0.15 / math.sqrt(2 * math.pi)
    k = x @ x.T
    theta = k.copy()
    for _ in range(5):
        q = np.diag(k)
        rho = np.clip(k / np.sqrt(np.outer(q, q)), -1, 1)
        u = np.sqrt(q)[:, None, None, None] * nodes[:, None]
        v = np.sqrt(q)[None, :, None, None] * (
            rho[..., None, None] * nodes[:, None] + np.sqrt(1 - rho**2)[..., None, None] * nodes
        )
        slope = (
            (lambda z: 1 - np.tanh(z) ** 2) if activation == "tanh" else (lambda z: expit(z) * (1 - expit(z)))
        )
        k = np.einsum("a,b,ijab->ij", weights, weights, phi(u) * phi(v))
        theta = k + theta * np.einsum("a,b,ijab->ij", weights, weights, slope(u) * slope(v))
    for mine, truth in zip(found, (k, theta), strict=True):
        np.testing.assert_allclose(
            mine, truth, rtol=0, atol=(1e-12 if dtype == "float64" else 3e-6) * np.max(truth)
        )


def test_plans_are_exact_and_modules_differentiable():
    program = tpc.parse(
        "width n\ndim N = 13\ninput x[N, 2]\nweight U : n x 2\nweight W : n x n\nweight V : 1 x n\n"
        "def phi(s) = s*sigmoid(s)\nnetwork f(x) = V @ tanh(W @ phi(U @ x))\n"
        "output K[i, j] = nngp(f)(x[i], x[j]) for i < N for j < N\n"
    )
    evaluator = program.compile()
    assert evaluator.plan.exact
    kernel = evaluator.function("K")
    x = np.random.default_rng(3).standard_normal((13, 2))
    x[1] = x[0]
    weights, step = np.random.default_rng(4).standard_normal((13, 13)), np.zeros_like(x)
    slope = jax.jit(jax.grad(lambda x: (weights * kernel({"x": x})).sum()))(x)
    step[2, 1] = 1e-5
    expected = (weights * (kernel({"x": x + step}) - kernel({"x": x - step}))).sum() / 2e-5
    np.testing.assert_allclose(slope[2, 1], expected, rtol=1e-8, atol=1e-9)
    assert np.all(np.isfinite(slope))


def test_second_derivatives_where_two_inputs_are_the_same():
    """∂²K(x, z)/∂x∂z at z = x of two layers: that of the difference quotient."""
    program = tpc.parse(
        "width n\ninput x[2], z[2]\nweight U : n x 2\nweight W : n x n\nweight V : 1 x n\n"
        "network f(x) = V @ tanh(W @ tanh(U @ x))\noutput K = nngp(f)(x, z)\n"
    )
    kernel = program.compile(method="gram").function("K")
    mixed = jax.jit(jax.jacfwd(jax.grad(lambda x, z: kernel({"x": x, "z": z})), 1))
    x, apart = np.array([0.5, -1.0]), np.array([1e-4, 2e-4])
    np.testing.assert_allclose(mixed(x, x), (mixed(x, x + apart) + mixed(x, x - apart)) / 2, rtol=1e-6)


def test_slopes_are_found_and_written_back():
    program = tpc.parse(
        "width n\nvector u : n ~ N(0, 1)\noutput a = mean((3 - 2*tanh(u)^2)*sigmoid(u)*(1 - sigmoid(u)))\n"
    )
    phi = program.body[0].phi
    found = with_slopes(phi)
    assert str(found).count("tanh'") == 2
    value = tpc.parse(
        "width n\n"
        "vector u : n ~ N(0, 1)\n"
        f"output a = mean({tpc.core.printer.print_expr(without_slopes(found))})\n"
    )
    expected, result = (p.compile(method="nodes", samples=4096)() for p in (program, value))
    np.testing.assert_allclose(result["a"].value, expected["a"].value, rtol=1e-12)
