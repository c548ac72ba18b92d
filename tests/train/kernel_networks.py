"""Networks of which there are kernels, in the language and on dense weights, and their empirical ones."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.train.exotic import ATTENTION, tanh

WIDTH = 8
SIZES = {"n": WIDTH, "m": 2 * WIDTH, "r": WIDTH // 2, "N": 2, "P": 3, "d": 2, "k": 3}
HEAD = """width n
width m = 2*n
width r = n/2
dim N = 2, P = 3, d = 2, k = 3
input xs[N, P, d]
"""


@dataclass(frozen=True)
class Net:
    """body: of the network in the language. forward: the same on dense weights W and one input x [P, d]; of
    one unit, where outputs are alike.

    weights: sides by name, (rows, columns), columns None for a bias. attributes: std, scale, lr, "frozen" by
    weight. positions: axes of the output.
    """

    weights: dict[str, tuple[Any, Any]]
    body: str
    forward: Any
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)
    positions: int = 0
    families: dict[str, tuple[int, ...]] = field(default_factory=dict)
    before: str = ""

    def text(self):
        lines = []
        for name, (rows, columns) in self.weights.items():
            options = "".join(
                ", frozen" if k == "frozen" else f", {k} = {value}"
                for k, value in self.attributes.get(name, {}).items()
            )
            axes = f"[{', '.join(map(str, self.families[name]))}]" if name in self.families else ""
            lines.append(
                (
                    f"bias {name}{axes} : {rows}"
                    if columns is None
                    else f"weight {name}{axes} : {rows} x {columns}"
                )
                + options
            )
        body = "\n".join(f"    {line}" for line in self.body.strip().splitlines())
        own, loops = (", p, q", " for p < P for q < P") if self.positions else ("", "")
        at = "[p, q]" if self.positions else ""
        ends = [
            f"output {name}[i, j{own}] = {kernel}(f)(xs[i], xs[j]){at} for i < N for j < N{loops}\n"
            for name, kernel in (("S", "nngp"), ("T", "ntk"))
        ]
        return HEAD + "\n".join([*lines, f"{self.before}network f(x):", body, *ends])


def relu(x):
    return jnp.maximum(x, 0)


def recurrent(W, x):
    h = tanh(W["U"] @ x[0] + W["b"])
    for p in (1, 2):
        h = tanh(W["W"] @ h + W["U"] @ x[p] + W["b"])
    return W["V"] @ h + W["c"]


def layer_norm(W, x):
    h = W["W"] @ relu(W["U"] @ x[0] + W["b"])
    z = (h - h.mean()) / jnp.sqrt(((h - h.mean()) ** 2).mean())
    return W["V"] @ tanh(z)


def padded(W, x):
    around = jnp.pad(x, ((1, 1), (0, 0)))
    h = jnp.pad(tanh(around[:3] @ W["U"][0].T) + tanh(around[2:] @ W["U"][1].T), ((1, 1), (0, 0)))
    z = tanh(sum(h[s : s + 3] @ W["W"][s].T for s in range(3)) + W["b"])
    return (W["V"] * z).sum() + W["c"][0] - W["c"][1]


def batch_norm(W, x):
    h = relu(x @ W["U"].T) @ W["W"].T
    c = h - h.mean(axis=0)
    return tanh(c / jnp.sqrt((c**2).mean(axis=0) + 0.5)) @ W["V"] + W["c"]


NETS = {
    "deep": Net(
        {"U": ("n", "d"), "b": ("n", None), "W": ("n", "n"), "R": ("n", "n"), "c": (1, None), "V": (1, "n")},
        "return V @ tanh(R @ relu(W @ tanh(U @ x[0] + b))) + c",
        lambda W, x: W["V"] @ tanh(W["R"] @ relu(W["W"] @ tanh(W["U"] @ x[0] + W["b"]))) + W["c"],
        {
            "W": {"std": "3/2", "lr": 2},
            "R": {"scale": "1/2"},
            "U": {"lr": "1/2", "scale": 3},
            "b": {"std": 2, "lr": 3, "scale": "4/3"},
            "c": {"std": "1/2", "lr": "1/4", "scale": "3/2"},
            "V": {"std": "5/4", "lr": "3/2", "scale": "7/4"},
        },
    ),
    "frozen": Net(
        {"U": ("n", "d"), "b": ("n", None), "W": ("n", "n"), "R": ("n", "n"), "V": (1, "n")},
        "return V @ tanh(R @ relu(W @ tanh(U @ x[0] + b)))",
        lambda W, x: W["V"] @ tanh(W["R"] @ relu(W["W"] @ tanh(W["U"] @ x[0] + W["b"]))),
        {
            "W": {"frozen": True, "scale": 2},
            "b": {"frozen": True},
            "V": {"frozen": True, "std": 2, "scale": 3},
        },
    ),
    "unequal widths": Net(
        {"U": ("m", "d"), "b": ("r", None), "W": ("r", "m"), "R": ("n", "r"), "V": (1, "r"), "Y": (1, "m")},
        "h = W @ tanh(U @ x[0]) + b\n"
        "g = tanh(W.T @ tanh(R.T @ tanh(R @ tanh(h))))\n"
        "return V @ tanh(h) - (Y @ g)/2",
        lambda W, x: (
            lambda h: W["V"] @ tanh(h) - W["Y"] @ tanh(W["W"].T @ tanh(W["R"].T @ tanh(W["R"] @ tanh(h)))) / 2
        )(W["W"] @ tanh(W["U"] @ x[0]) + W["b"]),
        {"W": {"scale": 2}, "R": {"scale": "3/2"}, "V": {"std": "1/2", "scale": "1/3"}},
    ),
    "recurrent": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "b": ("n", None), "V": ("k", "n"), "c": ("k", None)},
        "h[0] = tanh(U @ x[0] + b)\n"
        "h[s+1] = tanh(W @ h[s] + U @ x[s+1] + b) for s < P - 1\n"
        "return V @ h[P-1] + c",
        recurrent,
    ),
    "readout used twice": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "V": (1, "n")},
        "h[p] = tanh(U @ x[p]) for p < P\ny[p] = tanh(W @ h[p]) for p < P\n"
        "return sum(p < P: (V @ y[p])*p) + V @ h[1]/3",
        lambda W, x: (lambda h: sum(p * W["V"] @ tanh(W["W"] @ h[p]) for p in range(3)) + W["V"] @ h[1] / 3)(
            tanh(x @ W["U"].T)
        ),
    ),
    "layer norm": Net(
        {"U": ("n", "d"), "b": ("n", None), "W": ("m", "n"), "V": (1, "m")},
        "h = W @ relu(U @ x[0] + b)\nc = h - mean(h)\nreturn V @ tanh(c/sqrt(mean(c^2)))",
        layer_norm,
    ),
    "factor of the readout": Net(
        {"U": ("n", "d"), "W": ("m", "n"), "V": (1, "m")},
        "h = tanh(U @ x[0])\nreturn -(V @ tanh(W @ h))/sqrt(1 + mean(h^2))",
        lambda W, x: (lambda h: -W["V"] @ tanh(W["W"] @ h) / jnp.sqrt(1 + (h**2).mean()))(
            tanh(W["U"] @ x[0])
        ),
    ),
    "attention": Net(*ATTENTION),
    "convolution": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "R": ("n", "n"), "V": (1, "n")},
        "h[p] = tanh(U @ x[p]) for p < P\n"
        "z[p] = tanh(W @ h[p] + R @ h[p+1]) for p < P - 1\n"
        "return V @ (z[0]*z[1])",
        lambda W, x: (lambda h: W["V"] @ jnp.prod(tanh(h[:-1] @ W["W"].T + h[1:] @ W["R"].T), axis=0))(
            tanh(x @ W["U"].T)
        ),
    ),
    "its own variables": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "V": (1, "n")},
        "h[i] = tanh(U @ sum(j < P: x[j]*(i - j))) for i < P\nreturn V @ sum(j < P: tanh(W @ h[j])*j)",
        lambda W, x: (lambda h: W["V"] @ sum(j * tanh(W["W"] @ h[j]) for j in range(3)))(
            [tanh(W["U"] @ sum(x[j] * (i - j) for j in range(3))) for i in range(3)]
        ),
    ),
    "networks in sums": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "V": (1, "n")},
        "h[i] = tanh(U @ x[i]) for i < P\nreturn V @ sum(j < P: layer(h, j)*j)",
        lambda W, x: (
            lambda h: W["V"] @ sum(j * tanh(W["W"] @ h[1] * i + h[i] * j) for i in range(3) for j in range(3))
        )(tanh(x @ W["U"].T)),
        before="network layer(h, j):\n"
        "    y[i] = W @ h[1]*i + h[i]*j for i < P\n"
        "    return sum(i < P: tanh(y[i]))\n",
    ),
    "padded": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "b": ("n", None), "V": (1, "n"), "c": (1, None)},
        "xp = pad(x, 1)\n"
        "h[p] = sum(s < 2: tanh(U[s] @ xp[p+2*s])) for p < P\n"
        "y = pad(h, 1)\n"
        "z[p] = tanh(sum(s < 3: W[s] @ y[p+s]) + b[p]) for p < P\n"
        "return sum(p < P: V[p] @ z[p]) + c[0] - c[1]",
        padded,
        {
            "W": {"scale": "3/2"},
            "b": {"scale": "1/2", "lr": 2},
            "V": {"std": "1/2"},
            "c": {"std": 1, "scale": "1/5"},
        },
        families={"U": (2,), "W": (3,), "b": (3,), "V": (3,), "c": (2,)},
    ),
    "batch norm without indices": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "V": (1, "n"), "c": (1, None)},
        "h = relu(U @ x)\ny = W @ h\ns = sum(p < P: y[p])/P\nv = sum(p < P: (y[p] - s)^2)/P\n"
        "z[p] = tanh((y[p] - s)/sqrt(v + 0.5)) for p < P\nreturn V @ z + c",
        batch_norm,
        positions=1,
    ),
    "batch norm": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "V": (1, "n"), "c": (1, None)},
        "h[p] = U @ x[p] for p < P\n"
        "y[p] = W @ relu(h[p]) for p < P\n"
        "s = sum(p < P: y[p])/P\n"
        "c1[p] = y[p] - s for p < P\n"
        "v = sum(p < P: c1[p]^2)/P\n"
        "z[p] = tanh(c1[p]/sqrt(v + 0.5)) for p < P\n"
        "o[p] = V @ z[p] + c for p < P\n"
        "return o",
        batch_norm,
        positions=1,
    ),
}


def number(text):
    a, _, b = str(text).partition("/")
    return float(a) / float(b or 1)


def any_draws(program):
    """Matrices [*axes, rows, columns] and vectors [*axes, n]: what is tested holds for all of them."""
    r = np.random.default_rng(1)
    drawn = {
        m.name: r.standard_normal((*(count for _, count in m.axes), SIZES[m.rows], SIZES[m.columns]))
        / WIDTH**0.5
        for m in program.matrices
    }
    return drawn | {
        name: r.standard_normal((*(count for _, count in g.axes), SIZES[g.width]))
        for g in program.gaussians
        for name in g.names
    }


def dense_weights(net, drawn):
    """The dense weights, from tpc's draws: `matrix W`, `vector U0[j]` (columns of U), `vector V0[k]` (rows of
    √m V); one row of the readout."""
    out = {}
    for name, (rows, columns) in net.weights.items():
        grow = rows in ("n", "m", "r"), columns in ("n", "m", "r")
        if all(grow):
            out[name] = drawn[name]
        elif grow[0]:
            out[name] = np.moveaxis(drawn[f"{name}0"], -1, len(net.families.get(name, ())))
        elif grow[1]:
            row = drawn[f"{name}0"] if rows == 1 else drawn[f"{name}0"][0]
            out[name] = row / SIZES[columns] ** 0.5
        else:
            out[name] = np.zeros(net.families.get(name, ()))
    return {name: jnp.asarray(w) for name, w in out.items()}


def empirical(net, W, xs):
    """(NNGP given all but the readout, NTK), [N, N, *positions, *positions], in the NTK parametrization:
    `W = (scale/√columns) w`, w of standard deviation std at first, and that of an output bias 0 unless it has
    one."""
    both = jax.jit(jax.vmap(jax.jacobian(net.forward), in_axes=(None, 0)))(W, xs)
    gradients = [{name: g[i] for name, g in both.items()} for i in range(len(xs))]
    axes = [net.positions] * len(xs)
    kernels = []
    for kind in ("nngp", "ntk"):
        total = 0.0
        for name, (rows, columns) in net.weights.items():
            attributes = net.attributes.get(name, {})
            last = rows not in ("n", "m", "r")
            scale = number(attributes.get("scale", 1)) ** 2 / (
                SIZES[columns] if columns in ("n", "m", "r") else 1
            )
            rate = 0.0 if "frozen" in attributes else number(attributes.get("lr", 1))
            std = number(attributes.get("std", int(columns in ("n", "m", "r"))))
            scale *= float(last) * std**2 if kind == "nngp" else rate
            flat = [
                jnp.reshape(g[name], (*jnp.shape(g[name])[:a], -1))
                for g, a in zip(gradients, axes, strict=True)
            ]
            total += scale * jnp.array([[jnp.tensordot(a, b, ((-1,), (-1,))) for b in flat] for a in flat])
        kernels.append(total)
    return kernels
