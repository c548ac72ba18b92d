"""What the training language means, on small cases whose meaning is plain; programs written out are
programs."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tests.simulate.plain import run_plainly
from tests.train.random_networks import random_network
from tpc.core.inputs import bind_inputs
from tpc.pipeline import print_after
from tpc.simulate.seeds import draws

PROGRAMS = Path(__file__).parents[2] / "programs"
HEAD = """width n
dim T = 4, d = 2
input eta = 0.5
input xi[t < T, d], y[t < T]
weight U : n x d
weight W : n x n
weight V : 1 x n
network f(x):
    h1 = U @ x
    x1 = tanh(h1)
    x2 = tanh(W @ x1)
    return V @ x2
"""
TRAIN = """train f for t < T:
    batch (xi[t], y[t])
    loss mse
    update sgd(lr = eta)
output loss
"""
DATA = {
    "xi": np.array([[1.0, 0.5], [-0.3, 0.8], [0.2, -1.0], [0.7, 0.7]]),
    "y": np.array([1.0, -1.0, 1.0, -1.0]),
}


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


def plainly(text, data=DATA, seed=0, width=10):
    program = tpc.parse(text)
    inputs = bind_inputs(program, data)
    return run_plainly(program, inputs, draws(program, inputs, width=width, seed=seed))


@pytest.mark.parametrize("seed", range(6))
def test_a_program_written_out_is_that_program(seed):
    text = random_network(seed).text
    assert str(tpc.parse(print_after(text, "program", {}, "updates"))) == str(tpc.parse(text))


def test_the_network_at_a_time_is_the_one_before_that_step():
    found = plainly(
        HEAD
        + TRAIN
        + "output g[t] = f[t](xi[t]) for t < T\noutput end = f(xi[0])\noutput last = f[T](xi[0])\n"
        "output first[t] = f[0](xi[t]) for t < T\n"
    )
    np.testing.assert_allclose((found["g"] - DATA["y"]) ** 2 / 2, found["loss"], rtol=1e-12)
    assert found["end"] == found["last"]
    assert found["first"][0] == pytest.approx(found["g"][0], rel=1e-12)


def test_looking_inside_gives_what_the_outside_is_made_of():
    found = plainly(
        HEAD + TRAIN + "output k[i, j] = mean(f.x1(xi[i])*f.x1(xi[j])) for i < T for j < T\n"
        "c[i] = mean(tanh(f.h1(xi[i]))*f.x1(xi[i])) for i < T\noutput c\n"
    )
    np.testing.assert_allclose(np.diag(found["k"]), found["c"], rtol=1e-12)
    np.testing.assert_allclose(found["k"], found["k"].T, rtol=1e-12)


def test_a_kernel_takes_one_pass_for_each_example():
    program = tpc.parse(HEAD + "output k[i, j] = mean(f.x2(xi[i])*f.x2(xi[j])) for i < T for j < T\n")
    assert str(program).count("W @") == 1


def test_a_second_training_goes_on_where_the_first_ended():
    two = (
        TRAIN.replace("train f", "train f as one")
        .replace("output loss\n", "")
        .replace("t < T", "t < 2")
        .replace("[t]", "[t]")
    )
    rest = "train f as two for t < 2:\n    batch (xi[t+2], y[t+2])\n    loss mse\n    update sgd(lr = eta)\n"
    split = plainly(
        HEAD
        + two
        + rest
        + "output a[t] = one.loss[t] for t < 2\noutput b[t] = two.loss[t] for t < 2\noutput end = f(xi[0])\n"
    )
    whole = plainly(HEAD + TRAIN + "output end = f(xi[0])\n")
    np.testing.assert_allclose([*split["a"], *split["b"]], whole["loss"], rtol=1e-12)
    np.testing.assert_allclose(split["end"], whole["end"], rtol=1e-12)


def test_updates_by_hand_are_those_of_sgd():
    by_hand = """for t < T:
    chi[t] = f(xi[t]) - y[t]
    v[t] = tanh'(f.h2(xi[t]))
    V += -eta*chi[t]*f.x2(xi[t])
    keep[t] = f(xi[0])
output chi
output end = f(xi[0])
output keep
"""
    head = (
        HEAD.replace("x2 = tanh(W @ x1)", "h2 = W @ x1\n    x2 = tanh(h2)")
        .replace("n x n", "n x n, frozen")
        .replace("n x d", "n x d, frozen")
    )
    hand, sgd = (
        plainly(head + by_hand),
        plainly(head + TRAIN + "output end = f(xi[0])\noutput g[t] = f[t](xi[0]) for t < T\n"),
    )
    np.testing.assert_allclose(hand["chi"] ** 2 / 2, sgd["loss"], rtol=1e-12)
    np.testing.assert_allclose(hand["end"], sgd["end"], rtol=1e-12)
    np.testing.assert_allclose(hand["keep"], [*sgd["g"][1:], sgd["end"]], rtol=1e-12)


def test_outer_products_by_hand_are_those_of_sgd():
    head = HEAD.replace("x2 = tanh(W @ x1)", "h2 = W @ x1\n    x2 = tanh(h2)").replace(
        "weight V : 1 x n", "weight V : 1 x n, frozen"
    )
    by_hand = """for t < T:
    chi[t] = f(xi[t]) - y[t]
    dh2[t] = V0*tanh'(f.h2(xi[t]))
    dh1[t] = g.up(xi[t], t)
    W += -eta*chi[t]*outer(dh2[t], f.x1(xi[t]))
output chi
"""
    hand = plainly(
        head.replace("n x d", "n x d, frozen") + by_hand.replace("    dh1[t] = g.up(xi[t], t)\n", "")
    )
    sgd = plainly(head.replace("n x d", "n x d, frozen") + TRAIN)
    np.testing.assert_allclose(hand["chi"] ** 2 / 2, sgd["loss"], rtol=1e-12)


MAML = """width n
dim T = 3, K = 2, B = 2, Q = 3, d = 3, k = 4
input eta = 0.3, eps = 0.4
input xs[T, K, B, d], xq[T, K, Q, d]
input ys[T, K, B] : index(k)
input yq[T, K, Q] : index(k)
weight U : n x d
weight V : k x n
bias b : n
network f(x):
    h = U @ x + b
    return V @ ACT(h)
train f for t < T:
    g[j] = adapt(f, (xs[t, j, i], ys[t, j, i]) for i < B, loss = xent, lr = eps, steps = 2) for j < K
    gradient (g[j], xq[t, j, i], yq[t, j, i]) for i < Q for j < K
    loss xent
    update sgd(lr = eta, clip = 0.5)
output loss
output end = f(xs[0, 0, 0])[1]
"""


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_first_order_maml_is_that_of_jax(activation):
    r = np.random.default_rng(0)
    data = {
        "xs": r.standard_normal((3, 2, 2, 3)),
        "xq": r.standard_normal((3, 2, 3, 3)),
        "ys": r.integers(0, 4, (3, 2, 2)),
        "yq": r.integers(0, 4, (3, 2, 3)),
    }
    text, n = MAML.replace("ACT", activation), 9
    program = tpc.parse(text)
    inputs = bind_inputs(program, data)
    drawn = draws(program, inputs, width=n, seed=0)
    found = run_plainly(program, inputs, drawn)
    phi = {"tanh": jnp.tanh, "relu": lambda x: jnp.maximum(x, 0)}[activation]
    w = {"u": drawn["U0"].T / n**0.5, "v": drawn["V0"] / n**0.5, "b": drawn["b0"] / n**0.5}

    def loss(w, x, y):
        f = n**-0.5 * w["v"] @ phi(n**0.5 * (w["u"] @ x + w["b"]))
        return jax.scipy.special.logsumexp(f) - f[y]

    def mean_loss(w, xs, ys):
        return jnp.mean(jnp.stack([loss(w, x, y) for x, y in zip(xs, ys, strict=True)]))

    losses = []
    for t in range(3):
        total, gradient = 0.0, dict.fromkeys(w, 0.0)
        for task in range(2):
            own = dict(w)
            for _ in range(2):
                inner = jax.grad(mean_loss)(own, data["xs"][t, task], data["ys"][t, task])
                own = {name: own[name] - 0.4 * inner[name] for name in own}
            value, part = jax.value_and_grad(mean_loss)(own, data["xq"][t, task], data["yq"][t, task])
            total, gradient = total + value, {name: gradient[name] + part[name] for name in w}
        norm = np.sqrt(sum(float(jnp.sum(g**2)) for g in gradient.values()))
        w = {name: w[name] - 0.3 * min(1, 0.5 / norm) * gradient[name] for name in w}
        losses.append(total)
    np.testing.assert_allclose(found["loss"], losses, rtol=1e-10)


def test_decoupled_backprop_has_no_dot():
    text = HEAD.replace("n x n", "n x n, decoupled") + TRAIN
    assert "Ż" not in str(tpc.parse(text).derive()).replace("Ż^{W x1[t]} = 0", "")
    assert "Ż" in str(tpc.parse(HEAD + TRAIN).derive())


def test_a_loss_of_ones_own_is_the_named_one():
    own = plainly(HEAD + TRAIN.replace("loss mse", "loss(p, q) = (p - q)^2/2"))
    np.testing.assert_allclose(own["loss"], plainly(HEAD + TRAIN)["loss"], rtol=1e-12)


def test_a_schedule_is_a_learning_rate_for_each_step():
    text = HEAD.replace("input eta = 0.5", "input eta[T]") + TRAIN
    same = plainly(text, {**DATA, "eta": [0.5] * 4})
    np.testing.assert_allclose(same["loss"], plainly(HEAD + TRAIN)["loss"], rtol=1e-12)
    other = plainly(text, {**DATA, "eta": [0.5, 0.0, 0.0, 0.0]})
    np.testing.assert_allclose(other["loss"][:2], same["loss"][:2], rtol=1e-12)
    assert abs(other["loss"][2] - same["loss"][2]) > 1e-6


def test_words_of_training_are_names_elsewhere():
    program = tpc.parse(
        "width n\n"
        "vector loss : n ~ N(0, 1)\n"
        "batch[0] = loss\n"
        "for train < 2:\n"
        "    batch[train+1] = tanh(batch[train])\n"
        "update = mean(batch[2]*loss)\n"
        "output weight = update\n"
    )
    assert [o.name for o in program.outputs] == ["weight"]


def test_a_sparse_input_is_the_dense_one():
    head = HEAD.replace("input xi[t < T, d], y[t < T]", "input j[t < T] : index(d)\ninput y[t < T]")
    train = TRAIN.replace("xi[t]", "onehot(j[t])") + "output end[t] = f(onehot(j[t])) for t < T\n"
    j = np.array([0, 1, 1, 0])
    sparse = plainly(head + train, {"j": j, "y": DATA["y"]})
    dense = plainly(
        HEAD + TRAIN + "output end[t] = f(xi[t]) for t < T\n", {"xi": np.eye(2)[j], "y": DATA["y"]}
    )
    for name in ("loss", "end"):
        np.testing.assert_allclose(sparse[name], dense[name], rtol=1e-12)
    assert "U[t, j[t]]" in str(tpc.parse(head + train))


TIED = """width n
dim K = 3, T = 3
input c[T] : index(K), y[T] : index(K), j[K] : index(K)
weight E : n x K
weight W : n x n
network f(x):
    z = tanh(W @ (E @ x))
    o[k] = mean((E @ onehot(j[k]))*z) for k < K
    return o
train f for t < T:
    batch (onehot(c[t]), y[t])
    loss xent
    update sgd(lr = 1)
output loss
output end[k] = f(onehot(j[k]))[1] for k < K
"""


def test_one_hot_arrays_of_loop_variables_are_those_of_an_input():
    """Tied embeddings: the loop's variable, the number of entries given or not, and an index as the network's
    argument."""
    data = {"c": [0, 2, 1], "y": [1, 0, 2]}
    wanted = plainly(TIED, {**data, "j": [0, 1, 2]})
    loops = (
        TIED.replace(", j[K] : index(K)", "")
        .replace("onehot(j[k])))*", "onehot(k)))*")
        .replace("(E @ onehot(j[k]))", "(E @ onehot(k))")
    )
    own = loops.replace("f(onehot(j[k]))", "f(onehot(k, K))")
    index = (
        loops.replace("f(x):", "f(i):")
        .replace("E @ x", "E @ onehot(i, K)")
        .replace("(onehot(c[t]), ", "(c[t], ")
        .replace("onehot(j[k])", "k")
    )
    shifted = own.replace("E @ onehot(k)", "E @ onehot(K-1-k, K)").replace(
        "return o", "p[k] = o[K-1-k] for k < K\n    return p"
    )
    for text in (own, index, shifted):
        found = plainly(text, data)
        for name in ("loss", "end"):
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-12)
    assert np.ptp(wanted["end"]) > 1e-3


def test_variables_of_families_and_loops_are_numbers_where_they_may_stand():
    """In attributes of a family, and as arguments of a network in outputs, at every width."""
    head = "width n\ndim L = 2, N = 2\ninput x[N]\nweight U : n x 1\nweight E : n x 1\nweight V : 1 x n\n"
    family = "weight W[l < L] : n x n, std = l + 2, lr = 1/(l + 1)\n"
    alone = "weight W0 : n x n, std = 2\nweight W1 : n x n, std = 3, lr = 1/2\n"
    net = "network f(x, i) = V @ tanh(W1 @ relu(W0 @ (U @ x + i*(E @ x))))\n"
    ask = (
        "output s[i] = nngp(f)(x[i], i, x[i], i) for i < N\n"
        "output t[i] = ntk(f)(x[i], i, x[0], 0) for i < N\n"
        "output o[i] = f(x[i], i) for i < N\n"
    )
    once = "".join(
        f"output s{i} = nngp(f)(x[{i}], {i}, x[{i}], {i})\n"
        f"output t{i} = ntk(f)(x[{i}], {i}, x[0], 0)\n"
        f"output o{i} = f(x[{i}], {i})\n"
        for i in range(2)
    )
    data = {"x": [1.0, -0.5]}
    found = tpc.parse(head + family + net.replace("W0", "W[0]").replace("W1", "W[1]") + ask).compile()(data)
    apart = tpc.parse(head + alone + net + once).compile()(data)
    for name in "sto":
        np.testing.assert_allclose(
            found[name].value, [apart[f"{name}{i}"].value for i in range(2)], rtol=1e-12
        )


def test_maml_with_a_linear_net_is_exact():
    """Coefficients represent it; it is the net of width d + k whose initial vectors are orthogonal, of
    squared length n."""
    text = (
        MAML.replace("bias b : n\n", "")
        .replace("U @ x + b", "U @ x")
        .replace("ACT(h)", "h")
        .replace("steps = 2", "steps = 1")
    )
    r = np.random.default_rng(0)
    data = {
        "xs": r.standard_normal((3, 2, 2, 3)),
        "xq": r.standard_normal((3, 2, 3, 3)),
        "ys": r.integers(0, 4, (3, 2, 2)),
        "yq": r.integers(0, 4, (3, 2, 3)),
    }
    program = tpc.parse(text)
    result = program.compile()(data)
    assert result.plan.method == "linear"
    n = 7
    basis = np.sqrt(n) * np.eye(n)
    found = run_plainly(program, bind_inputs(program, data), {"U0": basis[:3], "V0": basis[3:]})
    np.testing.assert_allclose(result["loss"].value, found["loss"], rtol=1e-10)
    np.testing.assert_allclose(result["end"].value, found["end"], rtol=1e-10)


def test_the_network_before_a_training_on_batches_is_the_initial_one():
    """The sum over the past of f[0] is empty, whatever its batches are."""
    text = """width n
dim T = 2, B = 2, d = 3
input xi[T, B, d], y[T, B], xs[d]
weight U : n x d
weight W : n x n
weight V : 1 x n
network f(x):
    h = W @ (U @ x)
    return V @ h
train f for t < T:
    batch (xi[t, i], y[t, i]) for i < B
    loss mse
    update sgd(lr = 1/2)
output a = f[0](xs)
output b = mean(f[0].h(xs)*f[0].h(xs))
output c = mean(f.h(xs)*f.h(xs))
"""
    rng = np.random.default_rng(0)
    given = {"xi": rng.standard_normal((2, 2, 3)), "y": np.ones((2, 2)), "xs": [1.0, 2.0, -1.0]}
    found = tpc.parse(text).compile()(given)
    assert abs(found["a"].value) < 1e-12
    assert abs(found["b"].value - 6) < 1e-12
    assert abs(found["c"].value - 6) > 1e-2
