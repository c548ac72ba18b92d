"""Networks that the random ones do not reach, in the language and on dense weights."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import tpc
from tests.simulate.plain import run_plainly
from tests.train.dense import parametrized
from tpc.core.inputs import bind_inputs
from tpc.simulate.seeds import draws

WIDTH = 10
SIZES = {"T": 3, "B": 2, "P": 3, "d": 2, "k": 3}
HEAD = """width n
width m = 2*n
dim T = 3, B = 2, P = 3, d = 2, k = 3
input eta = 0.3
input xi[T, B, P, d], xs[B, P, d]
"""
TRAIN = """network f(x):
{body}
train f for t < T:
    batch (xi[t, i], y[t, i]) for i < B
    loss {loss}
    update sgd(lr = eta{options})
output loss
"""


def tanh(x):
    return jnp.tanh(x)


@dataclass(frozen=True)
class Net:
    """body: of the network in the language. forward: the same on dense weights W and one example x [P, d].
    labels: what `y` is."""

    weights: dict[str, tuple[Any, Any]]
    body: str
    forward: Any
    labels: str = ""
    loss: str = "mse"
    options: dict[str, float] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    head: str = ""
    families: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def text(self, rest: str = "") -> str:
        axes = {name: f"[{', '.join(map(str, counts))}]" for name, counts in self.families.items()}
        lines = [
            (
                f"bias {name}{axes.get(name, '')} : {rows}"
                if columns is None
                else f"weight {name}{axes.get(name, '')} : {rows} x {columns}"
            )
            + self.attributes.get(name, "")
            for name, (rows, columns) in self.weights.items()
        ]
        y = (
            "input y[T, "
            f"B{', k' if self.labels == 'rows' else ''}]{' : index(k)' if self.labels == 'classes' else ''}\n"
        )
        body = "\n".join(f"    {line}" for line in self.body.strip().splitlines())
        options = "".join(f", {name} = {value}" for name, value in self.options.items())
        ends = (
            "output g[i, j] = f(xs[i])[j] for i < B for j < k\n"
            if self.labels
            else "output g[i] = f(xs[i]) for i < B\n"
        )
        return (
            HEAD
            + y
            + self.head
            + "\n".join(lines)
            + "\n"
            + TRAIN.format(body=body, loss=self.loss, options=options)
            + (rest or ends)
        )


def attention(W, x):
    """Of one head, linear in the scores: q_p·k_q/n as a mean."""
    h = tanh(x @ W["U"].T)  # [P, n]
    q, key, v = h @ W["Q"].T, h @ W["K"].T, h @ W["A"].T
    z = jax.nn.softmax((q @ key.T) / h.shape[1], axis=1) @ v
    return W["V"] @ jnp.mean(tanh(z + h), axis=0)


def gelu_half(z):
    return z / 2 * (1 + jax.scipy.special.erf(2 * z)) + jnp.exp(-4 * z**2) / (4 * jnp.pi**0.5)


def same_padding(W, x):
    """A convolution with zeros around its input, another that does not share its taps, and a readout of its
    own at every position."""
    around = jnp.pad(x, ((1, 1), (0, 0)))[jnp.arange(3)[:, None] + jnp.arange(3)]
    h = jnp.pad(tanh(jnp.einsum("psd,snd->psn", around, W["U"])).sum(axis=1), ((1, 1), (0, 0)))
    z = tanh(jnp.stack([sum(W["W"][s, p % 2] @ h[p + s] for s in range(3)) + W["b"][p] for p in range(3)]))
    return (W["V"] * z).sum() + W["c"][1]


def strided(W, x):
    """A convolution of stride 2 with a tap used twice, backwards, on two axes."""
    h = jnp.pad(tanh(x @ W["U"].T), ((2, 2), (0, 0)))
    z = tanh(
        jnp.stack(
            [W["W"][0] @ h[2 * p] + W["W"][1] @ h[2 * p + 1] + W["W"][0] @ h[2 * p + 2] for p in range(3)]
        )
    )
    return W["V"] @ (z[::-1] * h[3:6]).sum(axis=0)


def own_variables(W, x):
    h = tanh(x @ W["U"].T)
    z = sum(h[1] * x[i, 0] + W["W"] @ h[i] for i in range(3))
    return W["V"] @ (z + tanh(z))


def piecewise(h):
    a, b = h.max(axis=0), h[:2].min(axis=0)
    return jnp.where(a > 2 * b, tanh(a), b * a)


def layer_norm(W, x):
    h = W["W"] @ tanh(W["U"] @ x[0] + W["b"])
    z = (h - h.mean()) / jnp.sqrt(((h - h.mean()) ** 2).mean() + 0.1)
    return W["V"] @ tanh(z)


def mixture(W, x):
    """Two experts and a gate that is a scalar function of vectors' means."""
    h = W["U"] @ x[0]
    a, c = tanh(W["W"] @ tanh(h)), W["R"] @ jnp.maximum(h, 0)
    gate = jax.nn.sigmoid((h * a).mean() + W["c"])
    return W["V"] @ (gate * a + (1 - gate) * c)


# weights, body and the same on dense weights, of `Net`, here and in kernel_networks.py
ATTENTION = (
    {"U": ("n", "d"), "Q": ("n", "n"), "K": ("n", "n"), "A": ("n", "n"), "V": (1, "n")},
    "h[p] = tanh(U @ x[p]) for p < P\n"
    "a[p] = Q @ h[p] for p < P\n"
    "b[p] = K @ h[p] for p < P\n"
    "v[p] = A @ h[p] for p < P\n"
    "w[p, q] = exp(mean(a[p]*b[q])) for p < P for q < P\n"
    "s[p] = sum(q < P: w[p, q]) for p < P\n"
    "z[p] = tanh(sum(q < P: w[p, q]*v[q])/s[p] + h[p]) for p < P\n"
    "return V @ (sum(p < P: z[p])/P)",
    attention,
)


NETS = {
    "pooled": Net(
        {"U": ("n", "d"), "V": (1, "n")},
        "x1[p] = tanh(U @ x[p]) for p < P\nreturn V @ (sum(p < P: x1[p])/P)",
        lambda W, x: W["V"] @ jnp.mean(tanh(x @ W["U"].T), axis=0),
    ),
    "shared over positions": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "V": ("k", "n")},
        "h[p] = U @ x[p] for p < P\nz[p] = tanh(W @ tanh(h[p])) for p < P\n"
        "q[p] = mean(z[p]*h[p]) for p < P\npool = sum(p < P: z[p]*q[p])\nreturn V @ pool",
        lambda W, x: W["V"] @ sum(z * (z * h).mean() for h in x @ W["U"].T for z in [tanh(W["W"] @ tanh(h))]),
        labels="classes",
        loss="xent",
        options={"momentum": 0.5},
    ),
    "convolution": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "R": ("n", "n"), "V": (1, "n")},
        "h[p] = tanh(U @ x[p]) for p < P\n"
        "z[p] = tanh(W @ h[p] + R @ h[p+1]) for p < P - 1\n"
        "return V @ (z[0]*z[1])",
        lambda W, x: (lambda h: W["V"] @ jnp.prod(tanh(h[:-1] @ W["W"].T + h[1:] @ W["R"].T), axis=0))(
            tanh(x @ W["U"].T)
        ),
    ),
    "same padding": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "b": ("n", None), "V": (1, "n"), "c": (1, None)},
        "xp = pad(x, 1)\n"
        "h[p] = sum(s < 3: tanh(U[s] @ xp[p+s])) for p < P\n"
        "y = pad(h, 1)\n"
        "z[0] = tanh(sum(s < 3: W[s, 0] @ y[s]) + b[0])\n"
        "z[1] = tanh(sum(s < 3: W[s, 1] @ y[s+1]) + b[1])\n"
        "z[2] = tanh(sum(s < 3: W[s, 0] @ y[s+2]) + b[2])\n"
        "return V[0] @ z[0] + V[1] @ z[1] + V[2] @ z[2] + c[1]",
        same_padding,
        options={"momentum": 0.5, "decay": 0.25, "clip": 0.3},
        attributes={"W": ", std = 3/2"},
        families={"U": (3,), "W": (3, 2), "b": (3,), "V": (3,), "c": (2,)},
    ),
    "strided": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "V": (1, "n")},
        "h = pad(tanh(U @ x), 2)\nz[p] = tanh(W[0] @ h[2*p] + W[1] @ h[2*p+1] + W[0] @ h[2*p+2]) for p < P\n"
        "return V @ sum(p < P: z[P-1-p]*h[p+3])",
        strided,
        options={"clip": 0.4},
        families={"W": (2,)},
    ),
    "variables of its own": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "V": (1, "n")},
        "h[i] = tanh(U @ x[i]) for i < P\ny[t] = h[1] for t < P\nz = sum(i < P: y[i]*x[i, 0] + W @ h[i])\n"
        "w[t] = z for t < 2\nreturn V @ (w[0] + sum(i < 2: tanh(w[i])*i))",
        own_variables,
    ),
    "attention": Net(*ATTENTION),
    "layer norm": Net(
        {"U": ("n", "d"), "b": ("n", None), "W": ("m", "n"), "V": (1, "m")},
        "h = W @ tanh(U @ x[0] + b)\nc = h - mean(h)\nreturn V @ tanh(c/sqrt(mean(c^2) + 0.1))",
        layer_norm,
        options={"decay": 0.25},
    ),
    "mixture": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "R": ("n", "n"), "c": (1, None), "V": (1, "n")},
        "h = U @ x[0]\n"
        "a = tanh(W @ tanh(h))\n"
        "b = R @ relu(h)\n"
        "gate = sigmoid(mean(h*a) + c)\n"
        "return V @ (gate*a + (1 - gate)*b)",
        mixture,
        options={"clip": 0.2},
    ),
    "max, min, where": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "V": (1, "n")},
        "h[p] = U @ x[p] for p < P\na = max(h[0], h[1], h[2])\nb = min(h[0], h[1])\n"
        "z = W @ where(a > 2*b, tanh(a), b*a)\nreturn V @ tanh(z)",
        lambda W, x: W["V"] @ tanh(W["W"] @ piecewise(x @ W["U"].T)),
    ),
    "division and powers": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "V": (1, "n")},
        "h = U @ x[0]\n"
        "a = tanh(h)^3/(1 + h^2)\n"
        "b = 2^tanh(h)\n"
        "z = W @ (a*b)\n"
        "return V @ (z/sqrt(1 + mean(z^2)^2))^2",
        lambda W, x: (
            lambda h: (lambda z: W["V"] @ (z / jnp.sqrt(1 + (z**2).mean() ** 2)) ** 2)(
                W["W"] @ (tanh(h) ** 3 / (1 + h**2) * 2 ** tanh(h))
            )
        )(W["U"] @ x[0]),
    ),
    "functions of two arguments": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "V": (1, "n")},
        "h = U @ x[0]\nz = W @ glu(h, U @ x[1])\nreturn V @ gelu(z, 1/2)",
        lambda W, x: W["V"] @ gelu_half(W["W"] @ (W["U"] @ x[0] * jax.nn.sigmoid(W["U"] @ x[1]))),
        head="def glu(s, r) = s*sigmoid(r)\n",
    ),
    "biases on arrays": Net(
        {
            "U": ("n", "d"),
            "V": ("k", "n"),
            "c": ("k", None),
            "A": ("k", "k"),
            "u": ("d", None),
            "b": ("n", None),
        },
        "z = V @ tanh(U @ (x[0] + u) + b) + c\nreturn A @ tanh(z) + z + c[1]*u[0]",
        lambda W, x: (lambda z: W["A"] @ tanh(z) + z + W["c"][1] * W["u"][0])(
            W["V"] @ tanh(W["U"] @ (x[0] + W["u"]) + W["b"]) + W["c"]
        ),
        labels="rows",
        options={"momentum": 0.5, "decay": 0.1, "clip": 0.3},
    ),
    "everything at once": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "V": ("k", "n"), "c": ("k", None)},
        "z[0] = tanh(U @ x[0])\n"
        "z[s+1] = tanh(W @ z[s] + U @ x[s+1]) for s < 2\n"
        "return V @ (z[2] + W.T @ z[2]) + c",
        lambda W, x: (lambda z: W["V"] @ (z + W["W"].T @ z) + W["c"])(
            tanh(W["W"] @ tanh(W["W"] @ tanh(W["U"] @ x[0]) + W["U"] @ x[1]) + W["U"] @ x[2])
        ),
        labels="classes",
        loss="hinge",
        options={"momentum": 0.5, "decay": 0.25, "clip": 0.5},
        attributes={"W": ", lr = 2, std = 3/2", "U": ", lr = 1/2"},
    ),
    "tied autoencoder": Net(
        {"U": ("n", "d"), "W": ("m", "n"), "V": ("k", "n")},
        "h = tanh(W @ tanh(U @ x[0]))\nreturn V @ tanh(W.T @ h)",
        lambda W, x: W["V"] @ tanh(W["W"].T @ tanh(W["W"] @ tanh(W["U"] @ x[0]))),
        labels="rows",
        loss="huber",
        options={"decay": 0.25, "momentum": 0.75},
    ),
}


def data_of(net, seed):
    r = np.random.default_rng(seed)
    T, B, P, d, k = (SIZES[name] for name in "TBPdk")
    y = {
        "": r.choice([-1.0, 1.0], (T, B)),
        "rows": r.standard_normal((T, B, k)),
        "classes": r.integers(0, k, (T, B)),
    }[net.labels]
    return {"xi": r.standard_normal((T, B, P, d)), "xs": r.standard_normal((B, P, d)), "y": y}


def lowered(text, data):
    """What the lowered program gives at finite width, and its draws."""
    program = tpc.parse(text)
    inputs = bind_inputs(program, data)
    drawn = draws(program, inputs, width=WIDTH, seed=1)
    return run_plainly(program, inputs, drawn), drawn


def dense_start(net, drawn, scales=None):
    sides = {name: tuple(SIZES.get(side, side) for side in pair) for name, pair in net.weights.items()}
    return parametrized(drawn, sides, {"n": WIDTH, "m": 2 * WIDTH}, WIDTH, net.families, scales)


def scalar(net, value):
    return value if net.labels else jnp.reshape(value, ())
