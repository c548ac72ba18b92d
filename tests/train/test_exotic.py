"""Lowered training at finite width against `jax.grad` on dense weights: networks and trainings that the
random ones do not reach."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tests.simulate.plain import run_plainly
from tests.train.dense import LOSSES, dense_weights, outputs, parametrized, train
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


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


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


def gram(W, x):
    """Attention of one head, linear in the scores: q_p·k_q/n as a mean."""
    h = tanh(x @ W["U"].T)  # [P, n]
    q, key, v = h @ W["Q"].T, h @ W["K"].T, h @ W["A"].T
    return h, (q @ key.T) / h.shape[1], v


def attention(W, x):
    h, scores, v = gram(W, x)
    weights = jax.nn.softmax(scores, axis=1)
    return W["V"] @ jnp.mean(tanh(weights @ v + h), axis=0)


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
    "attention": Net(
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
    ),
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


@pytest.mark.parametrize("name", NETS)
def test_training_is_that_of_jax_grad(name):
    net = NETS[name]
    data = data_of(net, 0)
    found, drawn = lowered(net.text(), data)
    w, a = dense_start(net, drawn)
    examples = [
        [((data["xi"][t, i],), data["y"][t, i]) for i in range(SIZES["B"])] for t in range(SIZES["T"])
    ]
    rates = {
        weight: eval(text.split("lr = ")[1].split(",")[0])
        for weight, text in net.attributes.items()
        if "lr" in text
    }
    losses, final = train(
        lambda W, x: scalar(net, net.forward(W, x)),
        w,
        a,
        WIDTH,
        examples.__getitem__,
        loss=net.loss,
        rate=0.3,
        steps=SIZES["T"],
        multipliers=rates,
        frozen=set(),
        **net.options,
    )
    np.testing.assert_allclose(found["loss"], losses, rtol=1e-10)
    np.testing.assert_allclose(
        found["g"],
        outputs(lambda W, x: scalar(net, net.forward(W, x)), final, data["xs"]),
        rtol=1e-9,
        atol=1e-12,
    )


DEEP = Net(
    {"U": ("n", "d"), "b": ("n", None), "W": ("m", "n"), "V": ("k", "m"), "c": ("k", None)},
    "h = tanh(U @ x[0] + b)\nreturn V @ tanh(W @ h) + c",
    lambda W, x: W["V"] @ tanh(W["W"] @ tanh(W["U"] @ x[0] + W["b"])) + W["c"],
    labels="rows",
)
SECOND = """train f as second for t < T:
    batch (xi[t, i], y[t, i]) for i < t + 1 for j < 1
    loss huber
    update sgd(lr = rate, momentum = 1/4, decay = 0.2, clip = 0.4)
output one[t] = first.loss[t] for t < T
output two[t] = second.loss[t] for t < T
output g[i, j] = f(xs[i])[j] for i < B for j < k
output h[i, j] = f[1](xs[i])[j] for i < B for j < k
"""


def test_a_second_training_has_its_own_options():
    text = (
        DEEP.text("END")
        .replace("train f for", "train f as first for")
        .replace("lr = eta", "lr = eta, momentum = 1/2, decay = 0.1")
    )
    text = (
        text.replace("output loss\nEND", SECOND)
        .replace("T = 3", "T = 2")
        .replace("eta = 0.3", "eta = 0.3, rate[T]")
    )
    data = {name: value[:2] if name != "xs" else value for name, value in data_of(DEEP, 2).items()}
    found, drawn = lowered(text, {**data, "rate": [0.25, 0.75]})
    w, a = dense_start(DEEP, drawn)

    def run(w, batch, loss, steps, rate, **options):
        examples = [[((data["xi"][t, i],), data["y"][t, i]) for i in batch(t)] for t in range(2)]
        losses, final = train(
            DEEP.forward,
            w,
            a,
            WIDTH,
            examples.__getitem__,
            loss=loss,
            rate=rate,
            steps=steps,
            multipliers={},
            frozen=set(),
            **options,
        )
        return losses, final, {name: WIDTH ** a[name] * value for name, value in final.items()}

    one, _, w = run(w, lambda t: range(2), "mse", 2, 0.3, momentum=0.5, decay=0.1)
    np.testing.assert_allclose(found["one"], one, rtol=1e-10)
    first, middle, _ = run(
        w, lambda t: range(t + 1), "huber", 1, Schedule([0.25, 0.75]), momentum=0.25, decay=0.2, clip=0.4
    )
    np.testing.assert_allclose(found["h"], outputs(DEEP.forward, middle, data["xs"]), rtol=1e-9)
    two, final, _ = run(
        w, lambda t: range(t + 1), "huber", 2, Schedule([0.25, 0.75]), momentum=0.25, decay=0.2, clip=0.4
    )
    np.testing.assert_allclose(found["two"], two, rtol=1e-10)
    assert first[0] == two[0]
    np.testing.assert_allclose(found["g"], outputs(DEEP.forward, final, data["xs"]), rtol=1e-9)


class Schedule(float):
    """A learning rate that changes with the steps: `train` multiplies by it once for each weight."""

    def __new__(cls, rates):
        self = super().__new__(cls, rates[0])
        self.rates, self.used = rates, 0
        return self

    def __mul__(self, other):
        rate = self.rates[self.used // len(DEEP.weights)]
        self.used += 1
        return rate * other


MAML = """train f for t < T:
    g[j] = adapt(f, (xi[t, i, 0], y[t, i]) for i < B, loss = huber, lr = 0.4*(1 + j), steps = 3) for j < 2
    gradient (g[j], xi[t, i, j + 1], y[t, i]) for i < B for j < 2{reductions}
    loss mse
    update sgd(lr = eta, momentum = 1/2, decay = 0.1{clip})
output loss
output end[i, j] = f(xs[i, 0])[j] for i < B for j < k
"""


SCALES = {"U": 0.5, "b": 2.0, "W": 1.5, "V": 0.75, "c": 1.25}


@pytest.mark.parametrize(
    ("frozen", "queries", "tasks", "clip", "scales"),
    [
        ("", "mean", "sum", None, {}),
        ("W", "sum", "mean", 0.5, SCALES),
        ("U", "sum", "sum", 0.3, {}),
        ("V", "mean", "mean", None, SCALES),
    ],
)
def test_adaptation_of_three_steps(frozen, queries, tasks, clip, scales):
    net = Net(
        {"U": ("n", "d"), "b": ("n", None), "W": ("n", "n"), "V": ("k", "n"), "c": ("k", None)},
        "h = tanh(U @ x + b)\nreturn V @ tanh(W @ h) + c",
        lambda W, x: W["V"] @ tanh(W["W"] @ tanh(W["U"] @ x + W["b"])) + W["c"],
        labels="rows",
        attributes={
            name: (f", scale = {scales[name]}" if scales else "") + ", frozen" * (name == frozen)
            for name in SCALES
        },
    )
    reductions = f", queries = {queries}, tasks = {tasks}"
    head = net.text().split("train f")[0]
    data = data_of(net, 3)
    found, drawn = lowered(
        head + MAML.format(reductions=reductions, clip="" if clip is None else f", clip = {clip}"), data
    )
    w, a = dense_start(net, drawn, scales)

    def total(part, rest, loss, xs, ys, reduce):
        dense = dense_weights({**rest, **part}, a, WIDTH, scales)
        return reduce(jax.vmap(lambda x, y: LOSSES[loss](net.forward(dense, x), y))(xs, ys))

    descent = jax.jit(jax.value_and_grad(total), static_argnames=("loss", "reduce"))
    reduce = {"mean": jnp.mean, "sum": jnp.sum}
    buffers, losses = dict.fromkeys(w, 0.0), []
    for t in range(SIZES["T"]):
        part = {name: value for name, value in w.items() if name != frozen}
        values, gradients = [], []
        for j in range(2):
            own = dict(part)
            for _ in range(3):
                _, inner = descent(
                    own, w, loss="huber", xs=data["xi"][t, :, 0], ys=data["y"][t], reduce=jnp.mean
                )
                own = {name: own[name] - 0.4 * (1 + j) * np.asarray(inner[name]) for name in own}
            value, gradient = descent(
                own, w, loss="mse", xs=data["xi"][t, :, j + 1], ys=data["y"][t], reduce=reduce[queries]
            )
            values.append(value)
            gradients.append({name: np.asarray(g) for name, g in gradient.items()})
        share = 1 / 2 if tasks == "mean" else 1
        losses.append(share * sum(values))
        outer = {name: share * sum(g[name] for g in gradients) for name in part}
        norm = np.sqrt(sum(float(np.sum(g**2)) for g in outer.values()))
        bound = 1 if clip is None else min(1, clip / norm)
        for name in part:
            buffers[name] = 0.5 * buffers[name] + bound * outer[name] + 0.1 * w[name]
            w[name] = w[name] - 0.3 * buffers[name]
    np.testing.assert_allclose(found["loss"], losses, rtol=1e-10)
    final = dense_weights(w, a, WIDTH, scales)
    np.testing.assert_allclose(found["end"], outputs(net.forward, final, data["xs"][:, 0]), rtol=1e-9)


HAND_HEAD = """width n
dim T = 4, d = 2
input eta = 0.5, xi[t < T, d], y[t < T]
weight U : n x d
weight W : n x n
bias b : n
weight V : 1 x n, frozen
network first(x) = U @ x + b
network f(x):
    h1 = first(x)
    x1 = tanh(h1)
    h2 = W @ x1
    return V @ tanh(h2)
network back(s) = W.T @ s
"""
END = "output end[i] = f(xi[i]) for i < T\n"


def by_hand(start, steps):
    """Steps of SGD from example `start` on, with the backward pass written out."""
    return f"""for t < {steps}:
    chi{start}[t] = f(xi[t+{start}]) - y[t+{start}]
    dh{start}[t] = V0*tanh'(f.h2(xi[t+{start}]))
    dx{start}[t] = back(dh{start}[t])*tanh'(f.h1(xi[t+{start}]))
    W += -eta*chi{start}[t]*outer(dh{start}[t], f.x1(xi[t+{start}]))
    U += -eta*chi{start}[t]*outer(dx{start}[t], xi[t+{start}])
    b += -eta*chi{start}[t]*dx{start}[t]
"""


def by_sgd(start, steps, options=""):
    return (
        f"train f as s{start} for t < {steps}:\n"
        f"    batch (xi[t+{start}], y[t+{start}])\n"
        "    loss mse\n"
        f"    update sgd(lr = eta{options})\n"
    )


def end_of(text, head=HAND_HEAD):
    r = np.random.default_rng(4)
    return lowered(head + text, {"xi": r.standard_normal((4, 2)), "y": r.choice([-1.0, 1.0], 4)})[0]["end"]


@pytest.mark.parametrize(
    "parts",
    [
        by_hand(0, 4),
        by_sgd(0, 2) + by_hand(2, 2),
        by_hand(0, 2) + by_sgd(2, 2),
        by_hand(0, 2) + by_hand(2, 2),
    ],
)
def test_rules_by_hand_are_steps_like_others(parts):
    np.testing.assert_allclose(end_of(parts + END), end_of(by_sgd(0, 4) + END), rtol=1e-12)


def test_a_rule_by_hand_changes_the_weight_with_what_stands_in_front_of_it():
    head = HAND_HEAD.replace("weight W : n x n", "weight W : n x n, scale = 2").replace(
        "weight U : n x d", "weight U : n x d, scale = 1/2, std = 3"
    )
    rule = by_hand(0, 4).replace("W += -eta", "W += -4*eta").replace("U += -eta", "U += -1/4*eta")
    np.testing.assert_allclose(end_of(rule + END, head), end_of(by_sgd(0, 4) + END, head), rtol=1e-12)


@pytest.mark.parametrize("before", ["", by_hand(0, 2), by_sgd(0, 2, ", momentum = 1/2, decay = 0.1")])
def test_adapting_is_training_on_its_own(before):
    adapted = "g = adapt(f, (xi[i], y[i]) for i < 2, loss = mse, lr = eta, steps = 3)\n" + END.replace(
        "f(", "g("
    )
    trained = (
        "train f for t < 3:\n    batch (xi[i], y[i]) for i < 2\n    loss mse\n    update sgd(lr = eta)\n"
        + END
    )
    np.testing.assert_allclose(end_of(before + adapted), end_of(before + trained), rtol=1e-12)


def test_a_part_of_a_trained_network_is_trained_with_it():
    part, whole = (
        end_of(by_sgd(0, 4) + f"output end[t] = mean({x}(xi[0])^2) for t < T + 1\n")
        for x in ("first[t]", "f[t].h1")
    )
    np.testing.assert_allclose(part, whole, rtol=1e-12)
    assert np.unique(part).size == 5
