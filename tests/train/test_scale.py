"""`scale` stands in front of a weight, `std` is what it is drawn with: in training and in the kernels that
training follows.

`TPC_NETWORKS=50 pytest tests/train/test_scale.py` takes fifty random networks.
"""

import os
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tests.simulate.plain import run_plainly
from tests.train.dense import outputs, parametrized, train
from tests.train.random_networks import random_network
from tpc.core.inputs import bind_inputs
from tpc.expand import expand
from tpc.scaling.classify import classify
from tpc.simulate.seeds import draws

COUNT, WIDTH = int(os.environ.get("TPC_NETWORKS", "3")), 10


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


def random_perceptron(seed):
    """Weights and network of one to three hidden layers whose kernels have closed forms, with attributes of
    all kinds; random in the limit are the readout and, if it is drawn, the output bias."""
    r = np.random.default_rng(seed)

    def attributes(*, std=True, frozen=True):
        words = [f"std = {r.choice(['1/2', '3/2', 'q'])}"] * (std and r.random() < 0.5)
        words += [f"scale = {r.choice(['1/3', '5/4', 'sqrt(q)'])}"] * (r.random() < 0.6) + [
            f"lr = {r.choice(['1/2', '3'])}"
        ] * (r.random() < 0.4)
        return "".join(f", {word}" for word in [*words, *["frozen"] * (frozen and r.random() < 0.2)])

    lines, x = [], "x"
    for k in range(1 + seed % 3):
        phi, bias = r.choice(["relu", "erf", "sin"]), r.random() < 0.5
        lines += [
            f"weight W{k} : n x {'n' if k else 'd'}{attributes()}",
            *[f"bias b{k} : n{attributes()}"] * bias,
        ]
        x = f"{phi}(W{k} @ {x}{f' + b{k}' * bias})"
    lines += [
        f"weight V : 1 x n{attributes(frozen=False)}",
        f"bias c : 1, std = {r.choice(['0', '1', '3/4'])}{attributes(std=False)}",
    ]
    return "\n".join([*lines, "parametrization ntp", f"network f(x) = V @ {x} + c"]) + "\n"


STEP = """train f for t < 1:
    batch (xi[i], y[i]) for i < B
    loss mse
    update sgd(lr = eta)
output before[i] = f[0](xi[i]) for i < B
output start = f[0](xs)
output end = f(xs)
"""


def problem(seed):
    r = np.random.default_rng(seed)
    text = "width n\ndim d = 2, B = 2\ninput q = 2, eta = 0.7, xi[B, d], y[B], xs[d]\n" + random_perceptron(
        seed
    )
    return text, {"xi": r.standard_normal((2, 2)), "y": r.standard_normal(2), "xs": r.standard_normal(2)}


@pytest.mark.parametrize("seed", range(4 * COUNT))
def test_at_finite_width_the_kernel_is_what_training_follows(seed):
    """−∂f/∂lr of a step in NTP is Σ ntk(f)(x, x_s) χ_s, the empirical kernel of the same draws: by a
    difference quotient."""
    text, given = problem(seed)
    program = tpc.parse(text + STEP + "output Theta[i] = ntk(f)(xs, xi[i]) for i < B\n")
    drawn = draws(program, bind_inputs(program, given), width=WIDTH, seed=seed)
    small = 1e-4
    one, other = (
        run_plainly(program, bind_inputs(program, {**given, "eta": eta}), drawn) for eta in (small, -small)
    )
    slope = (one["end"] - other["end"]) / (2 * small)
    wanted = -one["Theta"] @ (one["before"] - given["y"]) / 2
    np.testing.assert_allclose(slope, wanted, rtol=1e-5, atol=1e-6, err_msg=text)
    assert abs(wanted) > 1e-3


@pytest.mark.parametrize("seed", range(max(2, COUNT - 1)))
def test_the_kernel_is_what_training_follows(seed):
    """In the limit a step moves f by just that, and what f starts as has the covariance nngp(f). Exact but
    for the step of deep networks, which is taken on points."""
    text, given = problem(seed)
    x = np.concatenate([given["xi"], given["xs"][None]])
    nngp, ntk = tpc.parse(text).kernels()(x)
    exact = "W1" not in text
    program = tpc.parse(text + STEP + "output moved = f(xs) - f[0](xs)\n")
    evaluator = program.compile(initial=seed, samples=1024, method="gram" if exact else "nodes")
    found = evaluator(given)
    wanted = -0.7 * ntk[2, :2] @ (found["before"].value - given["y"]) / 2
    error = 0 if exact else found["moved"].stderr
    assert abs(found["moved"].value - wanted) <= 5 * error + 1e-9 * abs(wanted), text
    assert error < 0.03 * max(abs(wanted), np.abs(ntk).max())
    initial = expand(program).initial
    sigma = initial.covariances.compile(method="gram")(given)
    bias, seen, asked = (
        [s.name for s in initial.scalars if s.of.startswith("c0")],
        *[s.name for s in initial.scalars][-2:],
    )
    # the output bias, the same for all inputs
    drawn = sigma[initial.blocks[bias[0], bias[0]]].value if bias else 0.0
    for (a, b), rows in {
        (seen, seen): nngp[:2, :2],
        (seen, asked): nngp[:2, 2],
        (asked, asked): nngp[2, 2],
    }.items():
        np.testing.assert_allclose(
            sigma[initial.blocks[a, b]].value + drawn, rows, rtol=1e-9, atol=1e-12, err_msg=text
        )


def test_the_kernel_is_what_training_follows_where_neither_is_exact():
    """On points: f moves at the rate of the NTK, 1.5514 if what is drawn has standard deviation 2, 2.0965 if
    a 2 stands in front."""
    text = """width n
input x = 0.8
weight U : n x 1
weight W : n x n, ATTRIBUTE = 2
weight V : 1 x n
parametrization ntp
network f(x) = V @ erf(W @ erf(U @ x))
train f for t < 1:
    batch (x, 0)
    loss mse
    update sgd(lr = 1)
output rate = 1 - f(x)/f[0](x)
output kernel = ntk(f)(x, x)
"""
    for attribute, rate in (("std", 1.5514), ("scale", 2.0965)):
        program = tpc.parse(text.replace("ATTRIBUTE", attribute))
        result = program.compile(method="nodes", initial=1, samples=1024)()
        both = [result[name] for name in ("rate", "kernel")]
        for one in both:
            assert abs(one.value - rate) < 5 * one.stderr + 5e-5
        assert abs(both[0].value - both[1].value) < 5 * np.hypot(both[0].stderr, both[1].stderr)
        assert max(one.stderr for one in both) < 0.01


def with_std_instead(text):
    """The same training with `scale = 1`: W = s·w with w ~ N(0, std²) at the rate η is W with std s·std at
    the rate s²η."""

    def line(found):
        name, attributes = found[1], dict(re.findall(r"(\w+) = ([^,\n]+)", found[2]))
        if "scale" not in attributes:
            return found[0]
        s, finite = attributes.pop("scale"), name.startswith("bias c")
        attributes["lr"] = f"({s})^2*({attributes.get('lr', '1')})"
        if "std" in attributes or not finite:
            attributes["std"] = f"({s})*({attributes.get('std', '1')})"
        words = [f"{k} = {v}" for k, v in attributes.items()]
        flags = [word for word in ("frozen", "decoupled") if word in found[2]]
        return f"{name}, {', '.join([*words, *flags])}"

    return re.sub(
        r"^((?:weight|bias) \w+(?:\[[^\]]*\])? : [^,\n]+), ([^\n]*)", line, text, flags=re.MULTILINE
    )


def run(text, inputs, seed):
    program = tpc.parse(text)
    bound = bind_inputs(program, inputs)
    return run_plainly(program, bound, draws(program, bound, width=WIDTH, seed=seed))


@pytest.mark.parametrize("seed", range(3000, 3000 + 2 * COUNT))
def test_a_scale_is_a_std_and_a_rate(seed):
    """At finite width, to rounding; without decay, which the rate multiplies, and clipping, which sees the
    scale."""
    case = random_network(seed)
    text = re.sub(r", (decay|clip) = 0.25", "", case.text)
    if "q" not in {side for pair in case.weights.values() for side in pair}:
        text += "output S = nngp(f)(xs[0], xs[1])\noutput Theta = ntk(f)(xs[0], xs[1])\n"
    line = ("mup", "sp", "ntp", "uniform(r = 1/4)")[seed % 4]
    text = text.replace("network f(xi):", f"parametrization {line}\nnetwork f(xi):")
    other = with_std_instead(text)
    assert "scale" not in other
    one, two = (run(t, case.inputs, seed) for t in (text, other))
    for name in one:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-9, atol=1e-12, err_msg=text)


ADAPTED = """width n
dim T = 2, d = 2, L = 3
input xi[T, 2, d], y[T, 2], s[L] = 1/2
weight U : n x d, scale = 1/3
weight W[l < L] : n x n, std = l + 1, scale = 2/(l + 2) + s[l], lr = 1/(1 + l)
bias b[l < L] : n, scale = 3 - l
bias c : 1, std = 2, scale = 1/2
weight V : 1 x n, std = 1/2, scale = 3/2
network f(x):
    h[0] = tanh(U @ x)
    for l < L:
        h[l+1] = tanh(W[l] @ h[l] + b[l])
    return V @ h[L] + c
"""
WAYS = {
    "training": """train f for t < T:
    batch (xi[t, i], y[t, i]) for i < 2
    loss mse
    update sgd(lr = 0.3, momentum = 1/2)
""",
    "adapting": """train f for t < T:
    g = adapt(f, (xi[t, 0], y[t, 0]), loss = huber, lr = 0.2, steps = 2)
    gradient (g, xi[t, 1], y[t, 1])
    loss mse
    update sgd(lr = 0.3)
""",
    "an independent copy for the backward pass": """train f for t < T:
    batch (xi[t, i], y[t, i]) for i < 2
    loss mse
    update sgd(lr = 0.3)
""",
}


@pytest.mark.parametrize("way", WAYS)
def test_members_of_a_family_have_their_own(way):
    head = ADAPTED.replace("lr = 1/(1 + l)", "lr = 1/(1 + l), decoupled") if "copy" in way else ADAPTED
    text = (
        head
        + WAYS[way]
        + "output loss\noutput end[i] = f(xi[0, i]) for i < 2\noutput S = nngp(f)(xi[0, 0], xi[1, 1])\n"
        "output Theta = ntk(f)(xi[0, 0], xi[1, 1])\n"
    )
    r = np.random.default_rng(5)
    given = {"xi": r.standard_normal((2, 2, 2)), "y": r.standard_normal((2, 2)), "s": r.random(3)}
    other = with_std_instead(text)
    assert "scale" not in other
    one, two = (run(t, given, 1) for t in (text, other))
    for name in one:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-10, err_msg=name)


def test_training_of_a_family_is_that_of_jax_grad():
    """With decay, momentum and clipping: coefficients of a member's own where its rate is."""
    lines = (
        "    batch (xi[t, i], y[t, i]) for i < 2\n"
        "    loss mse\n"
        "    update sgd(lr = 0.3, momentum = 1/2, decay = 1/4, clip = 1/3)\n"
    )
    r = np.random.default_rng(6)
    given = {"xi": r.standard_normal((4, 2, 2)), "y": r.standard_normal((4, 2)), "s": r.random(3)}
    program = tpc.parse(
        ADAPTED + "train f for t < T:\n" + lines + "output loss\noutput end[i] = f(xi[0, i]) for i < 2\n",
        dims={"T": 4},
    )
    bound = bind_inputs(program, given)
    drawn = draws(program, bound, width=WIDTH, seed=2)
    found = run_plainly(program, bound, drawn)
    own = 2 / np.array([2, 3, 4]) + given["s"]
    scales = {"U": 1 / 3, "W": own, "b": np.array([3, 2, 1]), "c": 1 / 2, "V": 3 / 2}
    weights = {"U": ("n", 2), "W": ("n", "n"), "b": ("n", None), "c": (1, None), "V": (1, "n")}
    w, a = parametrized(drawn, weights, {"n": WIDTH}, WIDTH, {"W": (3,), "b": (3,)}, scales)
    for member in range(3):  # the law that is drawn from
        assert np.std(w["W"][member]) * WIDTH**0.5 == pytest.approx(member + 1, rel=0.4)

    def forward(W, x):
        h = jnp.tanh(W["U"] @ x)
        for member in range(3):
            h = jnp.tanh(W["W"][member] @ h + W["b"][member])
        return jnp.reshape(W["V"] @ h + W["c"], ())

    losses, final = train(
        forward,
        w,
        a,
        WIDTH,
        lambda t: [((given["xi"][t, i],), given["y"][t, i]) for i in range(2)],
        loss="mse",
        rate=0.3,
        steps=4,
        multipliers={"W": 1 / np.array([1.0, 2, 3])},
        frozen=set(),
        momentum=0.5,
        decay=0.25,
        clip=1 / 3,
        scales=scales,
    )
    np.testing.assert_allclose(found["loss"], losses, rtol=1e-10)
    np.testing.assert_allclose(found["end"], outputs(forward, final, given["xi"][0]), rtol=1e-10)


def test_the_limit_of_a_family_is_that_of_weights_of_their_own():
    """Kernels, exact, and two steps of training on points, by their errors."""
    ends = "output S = nngp(f)(x[0], x[1])\noutput Theta = ntk(f)(x[0], x[1])\n"
    steps = (
        "train f for t < 2:\n"
        "    batch (x[t], y[t])\n"
        "    loss mse\n"
        "    update sgd(lr = 1/2, momentum = 1/2)\n"
        "output loss\n"
    )
    head, body = (
        "width n\ninput x[2] = 1, y[2] = 1\nweight U : n x 1\n",
        "\nweight V : 1 x n\nnetwork f(x) = V @ erf({} @ erf({} @ erf(U @ x)))\n",
    )
    family = (
        head
        + "weight W[l < 2] : n x n, std = 3 - l, scale = 1/(l + 1), lr = 2^l"
        + body.format("W[1]", "W[0]")
    )
    apart = (
        head
        + "weight A : n x n, std = 3\nweight B : n x n, std = 2, scale = 1/2, lr = 2"
        + body.format("B", "A")
    )
    one, two = (tpc.parse(text + ends).compile()({"x": [0.5, 1.5]}) for text in (family, apart))
    for name in ("S", "Theta"):
        np.testing.assert_allclose(one[name].value, two[name].value, rtol=1e-14)
    one, two = (
        tpc.parse(text + steps).compile(samples=1024)({"x": [0.5, 1.5]})["loss"] for text in (family, apart)
    )
    assert (np.abs(one.value - two.value) <= 5 * np.hypot(one.stderr, two.stderr) + 1e-12).all()
    assert np.max(one.stderr) < 0.01


def test_the_powers_of_n_do_not_depend_on_scales():
    text = (
        "width n\n"
        "weight U : n x 1, scale = 3\n"
        "weight W : n x n, scale = s\n"
        "bias b : n, scale = 1/2\n"
        "bias c : 1, std = 1\n"
        "weight V : 1 x n, scale = 2\n"
        "input x[2] = 1, y[2] = 1, s = 2\n"
        "parametrization sp(c = 1)\n"
        "network f(x) = V @ tanh(W @ tanh(U @ x + b)) + c\n"
        "train f for t < 2:\n"
        "    batch (x[t], y[t])\n"
        "    loss mse\n"
        "    update sgd(lr = 1)\n"
        "output loss\n"
    )
    plain = re.sub(", scale = [^,\n]+", "", text)
    assert plain.count("scale") == 0
    for line in ("sp(c = 1)", "ntp", "mup", "sp(c = 0)"):
        one, two = (classify(tpc.parse(t.replace("sp(c = 1)", line))) for t in (text, plain))
        assert one.to_json() == two.to_json()


def test_a_member_may_be_picked_by_the_step():
    """Rates, scales and laws are those of the member, not of the step in which it is used; sums in them have
    variables of their own."""
    text = """width n
dim T = 4, L = 4
input x[T], y[T], s[L, 2]
weight U : n x 1
weight W[l < L] : n x n, scale = sum(t < 2: s[l, t]), lr = 1/(1 + l)
weight V : 1 x n
network f(x, t) = V @ tanh(W[t] @ tanh(U @ x) + W[3-t] @ tanh(U @ x)/2)
train f for t < T:
    batch ((x[t], t), y[t])
    loss mse
    update sgd(lr = 0.3/(1 + t))
output loss
"""
    r = np.random.default_rng(7)
    given = {"x": r.standard_normal(4), "y": r.standard_normal(4), "s": 0.5 + r.random((4, 2))}
    program = tpc.parse(text)
    bound = bind_inputs(program, given)
    drawn = draws(program, bound, width=WIDTH, seed=3)
    scales = {"W": given["s"].sum(axis=1)}
    weights = {"U": ("n", 1), "W": ("n", "n"), "V": (1, "n")}
    w, a = parametrized(drawn, weights, {"n": WIDTH}, WIDTH, {"W": (4,)}, scales)

    def forward(W, x, t):
        h = jnp.tanh(W["U"] * x)
        return jnp.reshape(W["V"] @ jnp.tanh(W["W"][t] @ h + W["W"][3 - t] @ h / 2), ())

    losses = []
    for t in range(4):
        now, final = train(
            forward,
            w,
            a,
            WIDTH,
            lambda _, t=t: [((given["x"][t], t), given["y"][t])],
            loss="mse",
            rate=0.3 / (1 + t),
            steps=1,
            multipliers={"W": 1 / np.array([1.0, 2, 3, 4])},
            frozen=set(),
            scales=scales,
        )
        losses += [*now]
        w = {
            name: value * WIDTH ** a[name] / (scales["W"][:, None, None] if name == "W" else 1)
            for name, value in final.items()
        }
    np.testing.assert_allclose(run_plainly(program, bound, drawn)["loss"], losses, rtol=1e-10)
