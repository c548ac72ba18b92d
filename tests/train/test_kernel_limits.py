"""`nngp(f)` and `ntk(f)` in the limit: neural-tangents' values, wide dense networks, linear ones exactly."""

import numpy as np
import pytest

import tpc
from tests.bench.kernels_monte_carlo import PROGRAMS, limit, monte_carlo


@pytest.mark.parametrize("name", ["rnn", "conv_gap", "batchnorm", "attention"])
def test_dense_networks_have_the_limit(name):
    """`tests/bench/kernels_monte_carlo.py` is the full size, of all architectures; at this one the bias of
    order 1/n is below the error, too."""
    mean, error = monte_carlo(name, 128, seeds=24, at_once=24)
    for kernel, (value, stderr), m, e in zip(
        ("nngp", "ntk"), limit(name, samples=1024), mean, error, strict=True
    ):
        told = np.isfinite(stderr)
        assert (np.abs(m - value) / np.hypot(e, np.where(told, stderr, 0))).max() < 4
        assert np.hypot(e, stderr)[told].max() < 0.15 * np.abs(value).max()
        # E 1/σ⁴ of 4 examples is finite by ε only, which so few points do not see
        assert told.all() or (name, kernel) == ("batchnorm", "ntk")


PERCEPTRON = """width n
dim N = 2, d = 20
input xs[N, d]
activation phi = {phi}
weight U : n x d
weight W[l < {hidden} - 1] : n x n, scale = {scale}
weight V : 1 x n
{biases}
def same(h) = h
network normal(h):
    s = h - mean(h)
    return s/sqrt(mean(s^2))
network f(x):
    h[0] = phi({between}(U @ x{add}))
    for l < {hidden} - 1:
        h[l+1] = phi({between}(W[l] @ h[l]{add_next}))
    return V @ h[{hidden} - 1]{last}
output S[i, j] = nngp(f)(xs[i], xs[j]) for i < N for j < N
output Theta[i, j] = ntk(f)(xs[i], xs[j]) for i < N for j < N
"""
NO_BIAS = {"biases": "", "add": "", "add_next": "", "last": ""}
BIASES = {
    "biases": "bias b[l < 3] : n, scale = 1/2\nbias c : 1, std = 1, scale = 1/2",
    "add": " + b[0]",
    "add_next": " + b[l+1]",
    "last": " + c",
}
PERCEPTRONS = {
    "relu_s2_h3": {"phi": "relu", "hidden": 3, "scale": "2^(1/2)", "between": "same", **NO_BIAS},
    "erf_b05_h3": {"phi": "erf", "hidden": 3, "scale": 1, "between": "same", **BIASES},
    "erf_ln_h2": {"phi": "erf", "hidden": 2, "scale": 1, "between": "normal", **NO_BIAS},
}
# K(x, x), K(x, z), K(z, z) of neural-tangents' conventions (float64, checked by a transcription of the
# recursions in NumPy); NNGP, then NTK
ORACLES = {
    "relu_s2_h3": ([7.5754374, 3.6595991, 4.8889075], [30.3017494, 6.3570244, 19.55563]),
    "erf_b05_h3": ([0.6547276, 0.4353893, 0.6530214], [2.3859779, 0.6825539, 2.2151962]),
    "erf_ln_h2": ([0.4645591, -0.0068007, 0.4645591], [1.731895, -0.0204028, 1.731895]),
    "attn": ([1.4986688, 1.0036657, 1.2627283], [4.3245336, 1.9594091, 4.0222454]),
}


@pytest.mark.parametrize("name", ORACLES)
def test_limits_are_those_of_neural_tangents(name):
    if name == "attn":
        program = tpc.load(PROGRAMS / "attention.tp", dims={"T": 6, "d": 4})
        inputs = {"xi": np.random.default_rng(3).standard_normal((5, 6, 4))[:2]}
    else:
        program = tpc.parse(PERCEPTRON.format(**PERCEPTRONS[name]))
        inputs = {"xs": np.random.default_rng(0).standard_normal((12, 20))[:2]}
    found = program.compile(samples=2048, repeats=12)(inputs)
    for output, wanted in zip(("S", "Theta"), ORACLES[name], strict=True):
        value, error = found[output].value, found[output].stderr
        off, error = (
            np.abs(value[np.triu_indices(2)] - wanted),
            0.0 if error is None else error[np.triu_indices(2)],
        )
        assert (off < 5 * error + 1e-7).all()
        assert np.max(error) < 0.01 * np.max(wanted)


LINEAR = """width n
width m = 2*n
dim N = 2, T = 2
input s = 2, r = 3, j[N] : index(3) = 1, y[T] = 1
vector v[i < N] : n ~ N(0, 1)
weight U : n x 3, scale = s
weight W : m x n, scale = s/2, lr = r
weight V : 1 x n
weight Y : 4 x m, scale = 1/2
network f(x) = Y @ (W @ x)
network g(x, z) = V @ (x + U @ z)
train g for t < T:
    batch ((v[0], onehot(j[t])), y[t])
    loss mse
    update sgd(lr = 1)
output a[i, l] = nngp(f)(v[i], v[l]) for i < N for l < N
output b[i, l] = ntk(f)(v[i], v[l]) for i < N for l < N
for i < N:
    c[i] = ntk(g)(v[i], onehot(j[0]), v[i], onehot(j[i])) - nngp(g)(v[i], onehot(j[0]), v[0], onehot(j[i]))
output c
output e = sum(i < N, l < N: ntk(f)(v[i], v[l]))
"""


def test_linear_networks_have_their_kernels_exactly():
    """NNGP = scale²-products times v·v/n; the NTK has them once for each weight, times its rate; training
    changes none."""
    found = tpc.parse(LINEAR).compile()({"j": [1, 1], "s": 2, "r": 3})
    np.testing.assert_allclose(found["a"].value, np.eye(2) / 4, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(found["b"].value, (3 + 1) * np.eye(2) / 4, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(found["e"].value, 2, rtol=1e-14)
    np.testing.assert_allclose(found["c"].value, [4 + 5 - 5, 4 + 5 - 4], rtol=1e-14)
    np.testing.assert_allclose(
        tpc.parse(LINEAR).compile()({"j": [1, 2], "s": 2, "r": 3})["c"].value, [4, 1 - 0], rtol=1e-14
    )
