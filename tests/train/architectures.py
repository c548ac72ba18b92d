"""The networks of `programs/architectures` as plain JAX on dense weights in the NTK parametrization, and
their empirical kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

erf = jax.scipy.special.erf


def relu(x):
    return jnp.maximum(x, 0)


@dataclass(frozen=True)
class Architecture:
    """weights(n): by name, the shape, and the factor in front of its N(0, 1) entries. outputs: of all inputs
    [N, …], [N].

    shape: of the inputs. dims: of the program, where they are not its own. readout: the weights that the NNGP
    is the covariance of.
    """

    shape: tuple[int, ...]
    weights: Callable[[int], dict[str, tuple[tuple[int, ...], float]]]
    outputs: Callable[[dict[str, Any], Any], Any]
    dims: dict[str, int]
    readout: tuple[str, ...] = ("V",)


def each(forward):
    """A network of one input, on all of them."""
    return lambda W, xs: jax.vmap(partial(forward, W))(xs)


def mlp(W, x):
    for name in ("U", "W1", "W2"):
        x = relu(W[name] @ x)
    return W["V"] @ x


def mlp_bias(W, x):
    for k, name in enumerate(("U", "W1", "W2")):
        x = erf(W[name] @ x + W["b"][k])
    return W["V"] @ x + W["c"]


def residual(W, x):
    x = W["U"] @ x
    for a, b in zip(W["A"], W["B"], strict=True):
        x = x + a @ relu(b @ x)
    return W["V"] @ relu(x)


def rnn(W, x):
    state, total = jnp.zeros(W["b"].shape), 0.0
    for token in x:
        state = erf(W["W"] @ state + W["U"] @ token + W["b"])
        total += state
    return W["V"] @ total / len(x)


def gru(W, x):
    h = jnp.zeros(W["bz"].shape)
    for token in x:
        z, r = (jax.nn.sigmoid(W[f"W{g}"] @ h + W[f"U{g}"] @ token + W[f"b{g}"]) for g in "zr")
        h = z * h + (1 - z) * jnp.tanh(W["Wh"] @ (r * h) + W["Uh"] @ token + W["bh"])
    return W["V"] @ h


def convolved(kernel, x):
    """[H, B, C] → [H, B, n], stride 1, zeros around. kernel: [n, 3, 3, C]. One matrix product: a width of
    thousands is far from what convolutions are made for."""
    side, other, _ = x.shape
    padded = jnp.pad(x, ((1, 1), (1, 1), (0, 0)))
    patches = jnp.stack([padded[k : k + side, m : m + other] for k in range(3) for m in range(3)], axis=2)
    return patches.reshape(side, other, -1) @ kernel.reshape(len(kernel), -1).T


def conv_gap(W, x):
    return W["V"] @ relu(convolved(W["W"], relu(convolved(W["U"], x)))).mean(axis=(0, 1))


def conv_flat(W, x):
    return (W["V"] * relu(convolved(W["W"], relu(convolved(W["U"], x))))).sum()


def normal(h):
    c = h - h.mean()
    return c / jnp.sqrt((c**2).mean())


def layernorm(W, x):
    return W["V"] @ relu(normal(W["W"] @ relu(normal(W["U"] @ x))))


def batchnorm(W, xs):
    h = relu(xs @ W["U"].T) @ W["W"].T
    c = h - h.mean(axis=0)
    return relu(c / jnp.sqrt((c**2).mean(axis=0) + 0.001)) @ W["V"]


def attention(W, x):
    h = x @ W["U"].T
    keys = h @ W["Q"].T
    mixed = jax.nn.softmax(keys @ keys.T / h.shape[1], axis=1) @ h
    return W["V"] @ relu(mixed @ W["A"].T @ W["O"].T).mean(axis=0)


def dense(n, scale=1.0):
    return (n, n), scale / n**0.5


ARCHITECTURES = {
    "mlp_kernel": Architecture(
        (3, 3),
        lambda n: {"U": ((n, 3), 1.0), "W1": dense(n), "W2": dense(n), "V": ((n,), n**-0.5)},
        each(mlp),
        {"N": 3, "d": 3, "L": 3},
    ),
    "mlp_bias_kernel": Architecture(
        (3, 3),
        lambda n: {
            "U": ((n, 3), 1.0),
            "W1": dense(n, 2**0.5),
            "W2": dense(n, 2**0.5),
            "V": ((n,), n**-0.5),
            "b": ((3, n), 0.5),
            "c": ((), 0.5),
        },
        each(mlp_bias),
        {"N": 3, "d": 3},
        ("V", "c"),
    ),
    "residual_kernel": Architecture(
        (3, 3),
        lambda n: {
            "U": ((n, 3), 1.0),
            "A": ((2, n, n), 0.5 / n**0.5),
            "B": ((2, n, n), n**-0.5),
            "V": ((n,), n**-0.5),
        },
        each(residual),
        {"N": 3, "d": 3, "L": 2},
    ),
    "rnn": Architecture(
        (2, 3, 3),
        lambda n: {"U": ((n, 3), 0.5), "W": dense(n), "b": ((n,), 0.25), "V": ((n,), n**-0.5)},
        each(rnn),
        {"N": 2, "T": 3, "d": 3},
    ),
    "gru": Architecture(
        (2, 3, 3),
        lambda n: {
            **{f"U{g}": ((n, 3), 1.0) for g in "zrh"},
            **{f"W{g}": dense(n) for g in "zrh"},
            **{f"b{g}": ((n,), 1.0) for g in "zrh"},
            "V": ((n,), n**-0.5),
        },
        each(gru),
        {"N": 2, "T": 3, "d": 3},
    ),
    "conv_gap": Architecture(
        (2, 3, 3, 2),
        lambda n: {"U": ((n, 3, 3, 2), 18**-0.5), "W": ((n, 3, 3, n), (9 * n) ** -0.5), "V": ((n,), n**-0.5)},
        each(conv_gap),
        {"N": 2, "H": 3, "B": 3, "C": 2},
    ),
    "conv_flat": Architecture(
        (2, 3, 3, 2),
        lambda n: {
            "U": ((n, 3, 3, 2), 18**-0.5),
            "W": ((n, 3, 3, n), (9 * n) ** -0.5),
            "V": ((3, 3, n), (9 * n) ** -0.5),
        },
        each(conv_flat),
        {"N": 2, "H": 3, "B": 3, "C": 2},
    ),
    "layernorm": Architecture(
        (3, 3),
        lambda n: {"U": ((n, 3), 1.0), "W": dense(n), "V": ((n,), n**-0.5)},
        each(layernorm),
        {"N": 3, "d": 3},
    ),
    "batchnorm": Architecture(
        (4, 3),
        lambda n: {"U": ((n, 3), 1.0), "W": dense(n), "V": ((n,), n**-0.5)},
        batchnorm,
        {"N": 4, "d": 3},
    ),
    "attention": Architecture(
        (2, 3, 3),
        lambda n: {"U": ((n, 3), 1.0), "Q": dense(n), "A": dense(n), "O": dense(n), "V": ((n,), n**-0.5)},
        each(attention),
        {"N": 2, "T": 3, "d": 3},
    ),
}


def inputs_of(name):
    """The inputs [N, …] of an architecture, of squared norm about 1 a token or pixel."""
    shape = ARCHITECTURES[name].shape
    return np.random.default_rng(7).standard_normal(shape) / shape[-1] ** 0.5


def drawn(name, width, key):
    """The parametrized weights w, iid N(0, 1), and the factors in front of them."""
    weights = ARCHITECTURES[name].weights(width)
    keys = dict(zip(weights, jax.random.split(key, len(weights)), strict=True))
    return {w: jax.random.normal(keys[w], shape) for w, (shape, _) in weights.items()}, {
        w: factor for w, (_, factor) in weights.items()
    }


def empirical_kernels(name, width, key):
    """(NNGP given all but the readout, NTK), [N, N] each, of one network: inner products of gradients in the
    parametrized weights."""
    net, xs = ARCHITECTURES[name], jnp.asarray(inputs_of(name))
    w, factors = drawn(name, width, key)
    gradient = jax.grad(lambda w, i: net.outputs({k: factors[k] * v for k, v in w.items()}, xs)[i])
    gradients = [gradient(w, i) for i in range(len(xs))]

    def inner(a, b):
        products = {k: jnp.vdot(a[k], b[k]) for k in a}
        return jnp.stack([sum(products[k] for k in net.readout), sum(products.values())])

    full = {(i, j): inner(gradients[i], gradients[j]) for i in range(len(xs)) for j in range(i, len(xs))}
    return jnp.stack(
        [jnp.stack([full[min(i, j), max(i, j)] for j in range(len(xs))], axis=-1) for i in range(len(xs))],
        axis=-2,
    )
