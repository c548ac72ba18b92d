"""Kernels of inputs that are nearly the same, or nearly opposite: the digits of small angles are kept from
layer to layer."""

import re

import jax
import mpmath
import numpy as np
import pytest

import tpc
from tpc.gram.write import emit_gram

D = 6
HEAD = (
    "width n\n"
    f"dim d = {D}\n"
    "weight U : n x d\n"
    "weight W[l < 2] : n x n, scale = 2^(1/2)\n"
    "weight V : 1 x n\n"
    "bias b[l < 2] : n, scale = 1/2\n"
)
NETS = {
    "mlp": "network f(x) = V @ relu(W[1] @ relu(W[0] @ relu(U @ x)))\n",
    "biases": "network f(x) = V @ relu(W[1] @ relu(W[0] @ relu(U @ x) + b[0]) + b[1])\n",
    "residual": "network f(x):\n"
    "    h = U @ x\n"
    "    g = h + W[0] @ relu(h)\n"
    "    return V @ relu(g + W[1] @ relu(g))\n",
    "abs": "network f(x) = V @ relu(W[1] @ abs(W[0] @ relu(U @ x)))\n",
    "leaky": "def leaky(s) = max(s, s/10)\nnetwork f(x) = V @ relu(W[1] @ leaky(W[0] @ leaky(U @ x)))\n",
}
UNIT = mpmath.mpf(1)


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


def program(name):
    return tpc.parse(HEAD + NETS[name])


def combined(k, a, b):
    """E φ(u)φ(v) and E φ'(u)φ'(v), φ(s) = a·relu(s) + b·s, by the covariance matrix k of (u, v)."""
    (q, c), (_, r) = k
    angle = mpmath.acos(max(-UNIT, min(UNIT, c / mpmath.sqrt(q * r))))
    relu = (
        mpmath.sqrt(q * r) * (mpmath.sin(angle) + (mpmath.pi - angle) * mpmath.cos(angle)) / (2 * mpmath.pi)
    )
    return a * a * relu + a * b * c + b * b * c, a * a * (mpmath.pi - angle) / (2 * mpmath.pi) + a * b + b * b


def entries(f, k):
    """The matrix of `f` for the pairs (u, u), (u, v), (v, v)."""
    q, r = k[0][0], k[1][1]
    own, both, other = (f(part) for part in (((q, q), (q, q)), k, ((r, r), (r, r))))
    return (own, both), (both, other)


def layer(k, a=1, b=0, scale=1, add=((0, 0), (0, 0))):
    """add + scale·E φ(u)φ(v)."""
    found = entries(lambda part: combined(part, a, b)[0], k)
    return tuple(
        tuple(s + scale * x for x, s in zip(row, more, strict=True))
        for row, more in zip(found, add, strict=True)
    )


def exact(name, x, z):
    """NNGP and NTK (of the MLPs) of two inputs to 40 digits."""
    with mpmath.workdps(40):
        x, z = ([mpmath.mpf(float(v)) for v in side] for side in (x, z))
        k = tuple(tuple(mpmath.fdot(a, b) for b in (x, z)) for a in (x, z))
        bias = ((mpmath.mpf(1) / 4,) * 2,) * 2 if name == "biases" else ((0, 0), (0, 0))
        if name == "residual":
            for _ in range(2):
                k = layer(k, scale=2, add=k)
            return float(layer(k)[0][1]), None
        slopes = {"abs": [(1, 0), (2, -1)], "leaky": [(UNIT * 9 / 10, UNIT / 10)] * 2}.get(name, [(1, 0)] * 2)
        theta = k[0][1]
        for a, b in slopes:
            slope = combined(k, a, b)[1]
            k = layer(k, a, b, 2, bias)
            theta = k[0][1] + 2 * slope * theta
        slope, k = combined(k, 1, 0)[1], layer(k)
        return float(k[0][1]), float(k[0][1] + slope * theta)


def inputs():
    """Some, with others at distances down to a millionth part, opposite ones, and multiples."""
    random = np.random.default_rng(0)
    some, others = random.standard_normal((2, 2, D))
    near = [
        (sign * a + 10.0**-k * b)
        for k in (1, 2, 3, 4, 6)
        for a, b in zip(some, others, strict=True)
        for sign in (1, -1)
    ]
    return np.array([*some, *near, 3 * some[0], -some[1]], np.float32)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 6e-7), ("float64", 3e-15)])
def test_inputs_nearly_the_same(name, dtype, tolerance):
    x = inputs()
    want = np.array([[exact(name, a, b) for b in x] for a in x[:4]], float)
    kernels = program(name).kernels(dtype=dtype)
    for k, kernel in enumerate(kernels(x) if dtype == "float32" else kernels(x[:4], x)):
        if name != "residual" or k == 0:
            np.testing.assert_allclose(kernel[:4], want[..., k], rtol=0, atol=tolerance * want[..., k].max())


def emitted(name):
    source = (
        HEAD + NETS[name] + "input x[3, d]\n"
        "output S[i, j] = nngp(f)(x[i], x[j]) for i < 3 for j < 3\n"
        "output T[i, j] = ntk(f)(x[i], x[j]) for i < 3 for j < 3\n"
    )
    evaluator = tpc.parse(source).compile()
    text = emit_gram(evaluator.plan)
    return evaluator, text[text.index("def limit") :].split("\n\n\n")[0]


@pytest.mark.parametrize(
    ("name", "sums", "alike"),
    [("mlp", 0, 0), ("biases", 2, 0), ("residual", 2, 2), ("abs", 1, 1), ("leaky", 3, 3)],
)
def test_every_gap_follows_from_that_of_the_inputs(name, sums, alike):
    """None but theirs is taken from a correlation; those of sums are told whether they need the differences
    of the norms."""
    _, text = emitted(name)
    assert len(re.findall(r"(?<!\w)gap\(", text)) == text.count("near(gap(") > 0
    assert (text.count("gap_of_sum("), text.count("gap_of_sum(True")) == (sums, alike)


@pytest.mark.parametrize("name", ["biases"])
def test_derivatives(name):
    """Also where an input meets itself, one like it, an opposite one or 0."""
    evaluator, _ = emitted(name)
    module = evaluator.module
    x = np.random.default_rng(0).standard_normal((3, D))
    x[1] = x[0] + 1e-3 * x[1]
    weights = np.random.default_rng(1).standard_normal((2, 3, 3))

    def value(x):
        found = module.run({"x": x})
        return (found["S"][0] * weights[0] + found["T"][0] * weights[1]).sum()

    found, direction, step = jax.grad(value)(x), np.random.default_rng(2).standard_normal(x.shape), 1e-6
    slope = (value(x + step * direction) - value(x - step * direction)) / (2 * step)
    np.testing.assert_allclose((found * direction).sum(), slope, rtol=1e-6)
    for degenerate in (np.stack([x[0], x[0], -x[0]]), np.stack([x[0], 0 * x[0], 0 * x[0]])):
        assert np.isfinite(jax.grad(value)(degenerate)).all()
        assert np.isfinite(value(degenerate))


def test_inputs_of_norm_zero():
    """Their kernels are 0, and steps of what is 0 are independent, in every layer."""
    x = np.array([[0.0] * D, [1.0] * D])
    for kernel in program("mlp").kernels()(x):
        np.testing.assert_array_equal(kernel[0], 0)
        assert kernel[1, 1] > 0
    text = (
        "width n\n"
        "input x[2, 2]\n"
        "vector (a, b) : n ~ N([0, 0], [[1, 0], [0, 1]])\n"
        "matrix W : n x n ~ N(0, 1/n)\n"
        "u[i] = x[i, 0]*a + x[i, 1]*b for i < 2\n"
        "v[i] = W @ relu(u[i]) for i < 2\n"
        "output c[i, j] = mean(step(v[i])*step(v[j])) for i < 2 for j < 2\n"
    )
    found = tpc.parse(text).compile(method="gram")({"x": [[0, 0], [1, 1]]})["c"].value
    np.testing.assert_allclose(found, [[0.25, 0.25], [0.25, 0.5]], rtol=1e-15)
