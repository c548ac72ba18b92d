"""What is written out against the definition: dense weights with their gradients by JAX, a, c and d."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tests.tables.finite import adam
from tpc.simulate.seeds import draws

N, STEPS, RATE, DECAY, CLIP, LIMIT = 8, 2, 0.2, 0.2, 0.25, 0.375
TEXT = """
width n
width m = 2*n
dim T = 2, d = 2, B = 2, k = 3
input xi[T, B, d], label[T, B] : index(k)
weight U : m x d
weight W : n x m, scale = 3/2, lr = 2
weight R[l < 2] : n x n, scale = 1/2
weight V : k x n
bias c : k
bias b : n, std = 1/2
parametrization {name}
network f(x):
    z = tanh(W @ tanh(U @ x))
    z1 = tanh(R[0] @ z + b) + z
    z2 = tanh(R[1] @ z1 + b)
    return V @ tanh(W @ tanh(W.T @ z2)) + c
train f for t < T:
    batch (xi[t, i], label[t, i]) for i < B
    loss xent
    update adamw(lr = 0.2, beta2 = 0.9, eps = 0.1, decay = 0.2, clip = 1/4, limit = 3/8)
output g = f(xi[0, 0])
"""
SCALES = {"U": 1.0, "W": 1.5, "R": 0.5, "V": 1.0, "b": 1.0, "c": 1.0}
RATES = {"W": 2.0}
# a by weight; c = d = 1/2, 1, 1/2 in both
EXPONENTS = {
    "mup": {"U": -0.5, "W": 0.0, "R": 0.0, "V": 0.5, "b": -0.5, "c": 0.0},
    "ntp": {"U": 0.0, "W": 0.5, "R": 0.5, "V": 0.5, "b": 0.0, "c": 0.0},
}
GRADIENTS = {"U": 0.5, "W": 1.0, "R": 1.0, "V": 0.5, "b": 0.5, "c": 0.0}


def outputs(w: Mapping[str, Any], a: Mapping[str, float], x: Any) -> Any:
    own = {name: SCALES[name] * float(N) ** -a[name] * value for name, value in w.items()}
    z = jnp.tanh(own["W"] @ jnp.tanh(own["U"] @ x))
    z1 = jnp.tanh(own["R"][0] @ z + own["b"]) + z
    z2 = jnp.tanh(own["R"][1] @ z1 + own["b"])
    return own["V"] @ jnp.tanh(own["W"] @ jnp.tanh(own["W"].T @ z2)) + own["c"]


@pytest.mark.parametrize("name", ["ntp"])  # "mup" is a case of it without powers of n
def test_exponents_ratios_and_uses(name: str) -> None:
    rng, a = np.random.default_rng(0), EXPONENTS[name]
    inputs = {"xi": rng.standard_normal((STEPS, 2, 2)), "label": rng.integers(0, 3, (STEPS, 2))}
    program = tpc.parse(TEXT.format(name=name))
    found = program.simulate(inputs, width=N, seeds=[1]).outputs["g"][0]
    given = draws(program, inputs, width=N, seed=1)
    full = {"U": given["U0"].T, "W": given["W"], "R": given["R"], "b": given["b0"], "c": np.zeros(3)}
    full["V"] = given["V0"] / (N if name == "mup" else np.sqrt(N))
    w = {key: jnp.asarray(x * float(N) ** a[key] / SCALES[key]) for key, x in full.items()}

    def loss(w: Mapping[str, Any], xs: Any, labels: Any) -> Any:
        f = jnp.stack([outputs(w, a, x) for x in xs])
        return jnp.mean(jax.nn.logsumexp(f, 1) - f[jnp.arange(2), labels])

    slopes_of, step = jax.jit(jax.grad(loss)), adam(0.9, 0.9, 0.1)
    states = {key: (np.zeros(x.shape),) * 2 for key, x in w.items()}
    for t in range(STEPS):
        slopes = slopes_of(w, inputs["xi"][t], inputs["label"][t])
        norm = np.sqrt(sum(float((g**2).sum()) for g in slopes.values()))
        for key, g in slopes.items():
            power, rate = float(N) ** GRADIENTS[key], RATE * RATES.get(key, 1.0)
            states[key], q = step(states[key], min(1, CLIP / norm) * power * np.asarray(g), t)
            whole = tuple(range(1 if key == "R" else 0, q.ndim))  # every member of a family by itself
            q *= np.minimum(1, LIMIT / np.sqrt((q**2).mean(whole, keepdims=True)))
            w[key] = (1 - rate * DECAY) * w[key] - rate / power * q
    np.testing.assert_allclose(found, outputs(w, a, inputs["xi"][0][0]), rtol=1e-9)
