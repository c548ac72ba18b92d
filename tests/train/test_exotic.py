"""Lowered training at finite width against `jax.grad` on dense weights: networks and trainings that the
random ones do not reach."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.train.dense import LOSSES, dense_weights, outputs, train
from tests.train.exotic import NETS, SIZES, WIDTH, Net, data_of, dense_start, lowered, scalar, tanh


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


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
