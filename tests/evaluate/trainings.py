"""Trainings of nets with one hidden layer, whose limits have few Gaussians, and the same without tpc."""

import numpy as np
from scipy.special import erf, expit, ndtri
from scipy.stats import qmc

import tpc

NET = """
width n
dim T = {rounds}
dim D = {inputs}
input x[T, D], y[T], eta = {rate}
weight U : n x D
weight V : 1 x n
network f(ξ) = V @ {activation}(U @ ξ)
train f for t < T:
    batch (x[t], y[t])
    loss mse
    update sgd(lr = eta)
output loss
"""
ALONE = """
width n
dim T = {rounds}
input x[T, 1], y[T], eta = {rate}
vector u : n ~ N(0, 1)
U[0] = u
for t < T:
    f[t] = mean({activation}(x[t, 0]*U[t]))
    loss[t] = (f[t] - y[t])^2/2
    U[t+1] = U[t] - eta*(f[t] - y[t])*x[t, 0]*{activation}'(x[t, 0]*U[t])
output loss
"""
X = np.array([[2, 0.5, -1], [-1.5, 1, 0.3], [3, -0.7, 0.2], [1, 1.1, 0.5], [-2.5, 0.4, 1.3]]) / 3
Y = np.array([1, 0.5, -1, 1, -0.5])
ACTIVATIONS = {
    "tanh": (np.tanh, lambda s: 1 - np.tanh(s) ** 2),
    "erf": (erf, lambda s: 2 / np.sqrt(np.pi) * np.exp(-s * s)),
    "sigmoid": (expit, lambda s: expit(s) * expit(-s)),
    "softplus": (lambda s: np.logaddexp(s, 0), expit),
    "relu": (lambda s: np.maximum(s, 0), lambda s: np.heaviside(s, 0.5)),
}


def training(gaussians, activation, rate, scale, rounds=5):
    """A training whose limit has so many Gaussians, and its inputs."""
    program = tpc.parse(
        (ALONE if gaussians == 1 else NET).format(
            rounds=rounds, activation=activation, rate=rate, inputs=gaussians - 1
        )
    )
    return program, {
        "x": scale * np.resize(X, (rounds, 3))[:, : max(1, gaussians - 1)],
        "y": np.resize(Y, rounds),
    }


def losses(points, weights, activation, rate, inputs):
    """The losses of a training on points [Gaussians, M] with these weights [M], or all the same."""
    phi, slope = ACTIVATIONS[activation]
    alone = len(points) == 1
    U, V = points[:1] if alone else points[:-1], np.ones(points.shape[1]) if alone else points[-1]
    out = []
    for x, y in zip(inputs["x"], inputs["y"], strict=True):
        h = x @ U
        f = np.average(V * phi(h), weights=weights)
        out.append((f - y) ** 2 / 2)
        U, V = U - rate * (f - y) * x[:, None] * V * slope(h), V if alone else V - rate * (f - y) * phi(h)
    return np.array(out)


def reference(gaussians, activation, rate, inputs, size, repeats=8):
    """The losses and their errors, from repeats on so many points: shifted trapezia for one Gaussian or two,
    else Sobol points."""
    found = []
    for k in range(repeats):
        if gaussians > 2:
            points, weights = (
                ndtri(np.clip(qmc.Sobol(gaussians, rng=k).random(size), 1e-15, 1 - 1e-15)).T,
                None,
            )
        else:
            count = round(size ** (1 / gaussians))
            axes = np.linspace(-8.5, 8.5, count) + np.random.default_rng(k).random((gaussians, 1)) * 17 / (
                count - 1
            )
            points = np.stack(np.meshgrid(*axes)).reshape(gaussians, -1)
            weights = np.exp(-(points**2).sum(0) / 2)
        found.append(losses(points, weights, activation, rate, inputs))
    return np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / repeats**0.5 + 1e-14 * np.maximum(
        1, found[0]
    )
