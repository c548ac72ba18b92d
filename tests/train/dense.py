"""Training by `jax.grad` on dense weights, independent of how tpc writes it: parametrized weights w,
`W = scale n^{−a} w`, and SGD on the w's.

scales: by weight, 1 where there is none; of a family a number, or an array over its axes.
"""

import jax
import jax.numpy as jnp
import numpy as np

LOSSES = {
    "mse": lambda f, y: jnp.sum((f - y) ** 2) / 2,
    "huber": lambda f, y: jnp.sum(jnp.where(jnp.abs(f - y) <= 1, (f - y) ** 2 / 2, jnp.abs(f - y) - 0.5)),
    "logistic": lambda f, y: jnp.log(1 + jnp.exp(-y * f)),
    "xent": lambda f, y: jax.scipy.special.logsumexp(f) - f[y],
    "hinge": lambda f, y: jnp.sum(jnp.maximum(0, 1 + f - f[y])) - 1,
    "own": lambda f, y: jnp.sum(jnp.log(jnp.cosh(f - y))),
}


def exponents(weights, widths):
    """`a` of μP by weight: 1/2 for output weights, 0 for output biases and weights between finite sides, else
    −1 + p/2 (theory, section 5)."""
    out = {}
    for name, (rows, columns) in weights.items():
        growing = (rows in widths) + (columns in widths)
        out[name] = 0.0 if not growing else 0.5 if rows not in widths else -1 + growing / 2
    return out


def front(scales, name, value):
    """The scale of a weight, over its value's axes."""
    scale = np.asarray((scales or {}).get(name, 1.0))
    return np.reshape(scale, (*scale.shape, *(1,) * (np.ndim(value) - scale.ndim)))


def dense_weights(w, a, n, scales=None):
    return {name: front(scales, name, value) * n ** -a[name] * value for name, value in w.items()}


def drawn_or_zero(drawn, name, shape):
    """A weight with no side that grows: N(0, scale² std²), √n times the means of what is drawn for it, if it
    has a std."""
    own = drawn.get(f"{name}_drawn")
    return np.zeros(shape) if own is None else np.mean(own, axis=-1) * np.shape(own)[-1] ** 0.5


def in_any(drawn, weights, widths, n, b, scales=None):
    """The initial w's, of N(0, n^{−2b} std²) coordinates, from tpc's draws: matrices of N(0, scale²
    std²/columns) entries, vectors of N(0, scale² std²) ones."""
    out = {}
    for name, (rows, columns) in weights.items():
        if rows in widths and columns in widths:
            dense = drawn[name] * n**0.5
        elif rows in widths:
            dense = np.moveaxis(drawn[f"{name}0"], -1, 0)
        elif columns in widths:
            dense = drawn[f"{name}0"]
        else:
            dense = drawn_or_zero(
                drawn, name, [side for side in (rows, columns) if isinstance(side, int) and side > 1]
            )
        out[name] = np.asarray(dense) * n ** -b[name] / front(scales, name, dense)
    return out


def parametrized(drawn, weights, widths, n, families=None, scales=None):
    """The initial w's from tpc's draws: `matrix W`, `vector U0[j]` (columns of U), `vector V0[k]` (rows of
    nV); 0 where nothing grows.

    families: the lengths of the axes that tell weights of one name apart, which come first.
    """
    a, out = exponents(weights, widths), {}
    for name, (rows, columns) in weights.items():
        if rows in widths and columns in widths:
            dense = drawn[name]
        elif rows in widths:
            dense = np.moveaxis(drawn[f"{name}0"], -1, len((families or {}).get(name, ())))
        elif columns in widths:
            dense = drawn[f"{name}0"] / n
        else:
            shape = [
                *(families or {}).get(name, ()),
                *(side for side in (rows, columns) if isinstance(side, int) and side > 1),
            ]
            dense = drawn_or_zero(drawn, name, shape) / n**0.5
        out[name] = np.asarray(dense) * n ** a[name] / front(scales, name, dense)
    return out, a


def train(
    forward,
    w,
    a,
    n,
    data,
    *,
    loss,
    rate,
    steps,
    multipliers,
    frozen,
    momentum=0.0,
    decay=0.0,
    clip=None,
    scales=None,
):
    """Losses [steps] and the trained w's. forward: of the dense weights W and one example's inputs. data(t):
    examples (inputs, label)."""
    trained = [name for name in w if name not in frozen]

    @jax.jit  # one program for all steps; what follows is done in NumPy, which compiles nothing
    def descent(part, examples):
        def objective(part):
            dense = jax.tree.map(jnp.asarray, dense_weights({**w, **part}, a, n, scales))
            return jnp.mean(jax.vmap(lambda x, y: LOSSES[loss](forward(dense, *x), y))(*examples))

        return jax.value_and_grad(objective)(part)

    part = {name: np.asarray(w[name]) for name in trained}
    buffers = {name: np.zeros_like(w[name]) for name in trained}
    losses = []
    for t in range(steps):
        value, gradient = descent(part, jax.tree.map(lambda *each: np.stack(each), *data(t)))
        gradient = {name: np.asarray(g) for name, g in gradient.items()}
        losses.append(float(value))
        if clip is not None:
            norm = float(np.sqrt(sum(np.sum(g**2) for g in gradient.values())))
            gradient = {name: g * min(1.0, clip / norm) for name, g in gradient.items()}
        for name in trained:
            buffers[name] = momentum * buffers[name] + gradient[name] + decay * part[name]
            part[name] = part[name] - rate * front(multipliers, name, part[name]) * buffers[name]
    return np.array(losses), dense_weights({**w, **part}, a, n, scales)


def outputs(forward, weights, *xs):
    """What the network gives on some inputs, each [inputs, …], with dense weights."""
    return np.asarray(jax.jit(jax.vmap(forward, in_axes=(None, *[0] * len(xs))))(weights, *xs))
