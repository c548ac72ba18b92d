"""Networks of finite width with entrywise optimizers, each by its own definition, on dense arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

State = tuple[Any, ...]
Step = Callable[[State, Any, Any], tuple[State, Any]]


def adam(beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, root: bool = False) -> Step:
    def step(state: State, g: Any, t: Any) -> tuple[State, Any]:
        m, v = beta1 * state[0] + (1 - beta1) * g, beta2 * state[1] + (1 - beta2) * g * g
        hat, square = m / (1 - beta1 ** (t + 1)), v / (1 - beta2 ** (t + 1))
        return (m, v), hat / (jnp.sqrt(square + eps**2) if root else jnp.sqrt(square) + eps)

    return step


def signsgd(momentum: float = 0.0, eps: float = 0.0) -> Step:
    def step(state: State, g: Any, t: Any) -> tuple[State, Any]:
        m = momentum * state[0] + (1 - momentum) * g
        return (m, m), m / jnp.sqrt(m * m + eps**2) if eps else jnp.sign(m)

    return step


def rmsprop(beta2: float = 0.99, eps: float = 1e-8, momentum: float = 0.0) -> Step:
    def step(state: State, g: Any, t: Any) -> tuple[State, Any]:
        v = beta2 * state[0] + (1 - beta2) * g * g
        b = momentum * state[1] + g / (jnp.sqrt(v) + eps)
        return (v, b), b

    return step


def adagrad(eps: float = 1e-10) -> Step:
    def step(state: State, g: Any, t: Any) -> tuple[State, Any]:
        v = state[0] + g * g
        return (v, v), g / (jnp.sqrt(v) + eps)

    return step


def lion(beta1: float = 0.9, beta2: float = 0.99) -> Step:
    def step(state: State, g: Any, t: Any) -> tuple[State, Any]:
        m = beta2 * state[0] + (1 - beta2) * g
        return (m, m), jnp.sign(beta1 * state[0] + (1 - beta1) * g)

    return step


def adamax(beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> Step:
    def step(state: State, g: Any, t: Any) -> tuple[State, Any]:
        m, u = beta1 * state[0] + (1 - beta1) * g, jnp.maximum(beta2 * state[1], abs(g) + eps)
        return (m, u), m / (1 - beta1 ** (t + 1)) / u

    return step


def nadam(beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> Step:
    def step(state: State, g: Any, t: Any) -> tuple[State, Any]:
        m, v = beta1 * state[0] + (1 - beta1) * g, beta2 * state[1] + (1 - beta2) * g * g
        ahead = beta1 * m / (1 - beta1 ** (t + 2)) + (1 - beta1) * g / (1 - beta1 ** (t + 1))
        return (m, v), ahead / (jnp.sqrt(v / (1 - beta2 ** (t + 1))) + eps)

    return step


def adadelta(rho: float = 0.9, eps: float = 1e-6) -> Step:
    def step(state: State, g: Any, t: Any) -> tuple[State, Any]:
        v = rho * state[0] + (1 - rho) * g * g
        u = g * jnp.sqrt(state[1] + eps) / jnp.sqrt(v + eps)
        return (v, rho * state[1] + (1 - rho) * u * u), u

    return step


def rprop(
    eta_minus: float = 0.5, eta_plus: float = 1.2, min_step: float = 1e-4, max_step: float = 5000.0
) -> Step:
    """Logarithms of the sizes of steps over the rate, and the gradients that the next are held against."""

    def step(state: State, g: Any, t: Any) -> tuple[State, Any]:
        product = state[1] * g
        size = jnp.exp(state[0]) * jnp.where(product > 0, eta_plus, jnp.where(product < 0, eta_minus, 1))
        size, kept = jnp.clip(size, min_step, max_step), jnp.where(product < 0, 0, g)
        return (jnp.log(size), kept), size * jnp.sign(kept)

    return step


def sgd(momentum: float = 0.0) -> Step:
    def step(state: State, g: Any, t: Any) -> tuple[State, Any]:
        m = momentum * state[0] + g
        return (m, m), m

    return step


@dataclass(frozen=True)
class Net:
    """`f = v·tanh(W tanh(U ξ + b))/n` with the mean of squares over a batch as its loss."""

    def outputs(self, w: Mapping[str, Any], x: Any) -> Any:
        z = jnp.tanh(w["W"] @ jnp.tanh(w["U"] @ x.T + w["b"][:, None]))
        return w["v"] @ z / len(w["v"])

    def loss(self, w: Mapping[str, Any], x: Any, y: Any) -> Any:
        return jnp.mean((self.outputs(w, x) - y) ** 2) / 2


@dataclass(frozen=True)
class Chosen:
    """An optimizer of a weight with its options."""

    step: Step
    rate: float
    decay: float = 0.0


def trained(
    weights: Mapping[str, np.ndarray],
    xs: Any,
    ys: Any,
    chosen: Mapping[str, Chosen],
    clips: Mapping[tuple[str, ...], float] | None = None,
) -> tuple[list[float], dict[str, np.ndarray]]:
    """The losses and the weights after training; an update of W is divided by n.

    clips: bounds of the norms of gradients, those of several weights together, in the parametrized weights:
    W itself, and n^(-1/2) times the others.
    """
    net, w = Net(), {name: np.array(x) for name, x in weights.items()}
    states: dict[str, State] = {name: (np.zeros_like(x), np.zeros_like(x)) for name, x in w.items()}
    slopes_of, losses, n = jax.jit(jax.value_and_grad(net.loss)), list[float](), len(w["v"])
    for t, (x, y) in enumerate(zip(xs, ys, strict=True)):
        value, slopes = slopes_of({name: jnp.asarray(z) for name, z in w.items()}, x, y)
        losses.append(float(value))
        squares = {k: float((g**2).sum()) * (1 if k == "W" else n) for k, g in slopes.items()}
        factors = dict.fromkeys(chosen, 1.0)
        for names, bound in (clips or {}).items():
            norm = np.sqrt(sum(squares[name] for name in names))
            factors |= dict.fromkeys(names, min(1.0, bound / norm))
        for name, own in chosen.items():
            g = n * factors[name] * np.asarray(slopes[name])
            states[name], q = own.step(states[name], g, t)
            w[name] = (1 - own.rate * own.decay) * w[name] - own.rate * q / (n if name == "W" else 1)
    return losses, w
