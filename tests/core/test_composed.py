"""The functions that stand for others: values against JAX's own, slopes, closed forms, and the language."""

from fractions import Fraction

import jax
import numpy as np
import pytest
import scipy.special
from jax import nn
from scipy.integrate import quad
from scipy.stats import norm

import tpc
from tpc.core.calculus import differentiate
from tpc.core.expr import ONE, Ref, Value, number
from tpc.core.functions import arity, written
from tpc.core.numeric import Namespace, evaluate

NUMPY = Namespace(np, scipy.special)
X = Value(Ref("x"), True)
GRID = np.array([-50.3, -6.2, -3.0, -1.1, -0.3, -1e-3, 1e-3, 0.4, 0.9, 2.7, 6.1, 40.2])
PEERS = {
    "leaky_relu": nn.leaky_relu,
    "elu": nn.elu,
    "selu": nn.selu,
    "silu": nn.silu,
    "mish": nn.mish,
    "softsign": nn.soft_sign,
    "hardtanh": nn.hard_tanh,
    "relu6": nn.relu6,
    "square": np.square,
}


def integral(f, low, high):
    with jax.enable_x64(True):
        options = {"points": [-1, 1, 6], "epsabs": 0, "epsrel": 1e-13, "limit": 200}
        return quad(lambda s: float(f(s)) * norm.pdf(s), low, high, **options)[0]


def values_of(x, at):
    return np.broadcast_to(evaluate(x, lambda node: at if node == X else None, NUMPY), at.shape)


def slope(node):
    return ONE if node == X else None


@pytest.mark.parametrize("name", PEERS)
def test_values_and_slopes_are_those_of_the_function_of_that_name(name):
    x = written(name, X)
    with jax.enable_x64(True):
        peer = PEERS[name]
        np.testing.assert_allclose(values_of(x, GRID), peer(GRID), rtol=1e-14, atol=1e-15)
        slopes = jax.vmap(jax.grad(lambda s: peer(s) if name != "square" else s**2))(GRID)
        np.testing.assert_allclose(values_of(differentiate(x, slope), GRID), slopes, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(("name", "peer"), [("leaky_relu", nn.leaky_relu), ("elu", nn.elu)])
def test_a_second_argument_is_a_slope_or_a_depth(name, peer):
    assert arity(name) == (1, 2)
    with jax.enable_x64(True):
        x = written(name, X, number(Fraction(1, 5)))
        np.testing.assert_allclose(values_of(x, GRID), peer(GRID, 0.2), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("count", [2, 3, 7])
@pytest.mark.parametrize(("name", "peer"), [("max", np.max), ("min", np.min)])
def test_a_greatest_and_a_least_take_any_number_of_arguments(name, peer, count):
    least, most = arity(name)
    assert least <= count <= most
    xs = [Value(Ref(f"x{k}"), True) for k in range(count)]
    at = np.random.default_rng(0).normal(size=(count, 64))
    env = dict(zip(xs, at, strict=True))
    np.testing.assert_array_equal(evaluate(written(name, *xs), env.get, NUMPY), peer(at, axis=0))


def moment(a, q, c, r):
    """E φ(u)φ(v), φ = leaky_relu of slope a, (u, v) ~ N(0, [[q, c], [c, r]])."""

    def of_relu(rho):
        return np.sqrt(q * r) * (np.sqrt(1 - rho**2) + (np.pi - np.arccos(rho)) * rho) / (2 * np.pi)

    rho = np.clip(c / np.sqrt(q * r), -1, 1)
    return (1 + a**2) * of_relu(rho) - 2 * a * of_relu(-rho)


def test_a_kernel_of_leaky_relu_is_exact():
    text = """
width n
weight U : n x 2
weight W : n x n
weight V : 1 x n
activation phi = leaky_relu
network f(x) = V @ phi(W @ leaky_relu(U @ x, 1/5))
"""
    x, z = np.array([1.0, -0.5]), np.array([0.3, 2.0])
    k = tpc.parse(text).kernels()
    found, error = k.nngp.with_error(x[None], z[None])
    assert error is None
    q, c, r = x @ x, x @ z, z @ z
    q, c, r = moment(0.2, q, q, q), moment(0.2, q, c, r), moment(0.2, r, r, r)
    np.testing.assert_allclose(found, moment(0.01, q, c, r), rtol=1e-14)


def test_names_are_the_languages_and_have_slopes_in_it():
    text = """
width n
vector u : n ~ N(0, 1)
output a = mean(elu'(u)*hardtanh(u))
output b = mean(D(elu, 0)(u, 2)*relu6(u))
"""
    found = tpc.parse(text).compile(method="gram")({})
    for name, slope, other in (("a", 1, nn.hard_tanh), ("b", 2, nn.relu6)):
        below = integral(lambda s, k=slope, g=other: k * np.exp(s) * g(s), -12, 0)
        above = integral(other, 0, 12)
        off, error = float(found[name].value) - below - above, float(found[name].stderr)
        assert abs(off) < error + 1e-13
        assert error < 1e-10
    with pytest.raises(tpc.TpcError, match="TP103"):
        tpc.parse("width n\nvector u : n ~ N(0, 1)\ndef elu(x) = x\noutput a = mean(elu(u))")
