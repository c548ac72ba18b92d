"""Networks that return arrays, of random shape: as outputs, in training, inside kernels, by several routes.

A dozen in the suite; `TPC_ARRAYS=200 pytest tests/train/test_arrays.py` takes 200.
"""

import os
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import jax.scipy.special
import numpy as np
import pytest

import tpc
from tests.simulate.plain import run_plainly
from tests.train.dense import dense_weights, parametrized, train
from tpc.core.inputs import bind_inputs
from tpc.pipeline import print_after
from tpc.simulate.seeds import draws

COUNT, WIDTH, STEPS = int(os.environ.get("TPC_ARRAYS", "12")), 9, 2
PHI = {"tanh": jnp.tanh, "erf": jax.scipy.special.erf, "relu": lambda x: jnp.maximum(x, 0)}


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


@dataclass
class Case:
    """lines: those of the network `f`, whose argument has the shape (A, d). states: what is in it for every
    place, by name. shape: of what it returns. forward(W, x): that, of dense weights. outputs: rows of V."""

    lines: list
    shape: tuple
    forward: object
    outputs: int
    data: dict


def random_arrays(seed):
    """A network over A places, and what it returns: one place after another (recurrent, written in a clause
    or a block), or all at once."""
    r = np.random.default_rng(seed)
    places, d, k = int(r.integers(1, 5)), int(r.integers(1, 4)), int(r.choice([1, 1, 2]))
    key = str(r.choice(list(PHI)))
    phi, form, back = PHI[key], seed % 5, seed % 2
    start = "h[0] = 0" if r.random() < 0.3 else f"h[0] = {key}(U @ x[0])"
    none = start == "h[0] = 0"  # a scalar among vectors
    follow = f"{key}(U @ x[t+1]) + h[t]/2" if none else f"{key}(W @ h[t] + U @ x[t+1])"
    if form == 0:
        lines = [start, f"h[t+1] = {follow} for t < A - 1"]
    elif form in (1, 2):
        lines = [start, "for t < A - 1:", f"    h[t+1] = {follow}"]
    elif form == 3:
        lines = [f"g = {key}(U @ x)", f"h[t] = {key}(W @ g[t] + g[0]) for t < A"]
    else:
        lines = ["h[A-1] = U @ x[A-1]", f"h[A-2-t] = {key}(W @ h[A-1-t] + U @ x[A-2-t]) for t < A - 1"]

    def states(W, x):
        u = x @ W["U"].T
        if form == 3:
            g = phi(u)
            return phi(g @ W["W"].T + g[0])
        order = range(places)[::-1] if form == 4 else range(places)
        h = {}
        for before, t in zip([None, *order], order, strict=False):
            first = u[t] if form == 4 else jnp.zeros_like(u[t]) if none else phi(u[t])
            h[t] = (
                first
                if before is None
                else phi(u[t]) + h[before] / 2
                if none and form < 3
                else phi(W["W"] @ h[before] + u[t])
            )
        return jnp.stack([h[t] for t in range(places)])

    if form in (0, 4) or (form == 1 and back):
        lines.append("return V @ h")
    elif back:
        lines += ["o = h", "return V @ (o - h[0]/2)"]
    else:
        lines += ["o[t] = V @ h[t] for t < A", "return o"]
    halved = lines[-1].endswith("/2)")

    def forward(W, x):
        h = states(W, x)
        return (h - h[0] / 2 if halved else h) @ W["V"].T

    data = {
        "x": r.standard_normal((places, d)),
        "z": r.standard_normal((STEPS, places, d)),
        "y": r.standard_normal((STEPS, places)),
        "c": r.standard_normal((places, k) if k > 1 else places),
    }
    return Case(lines, (places, k) if k > 1 else (places,), forward, k, data)


def text_of(case, rest):
    places, d = case.data["x"].shape
    rows, labels = ("k", "c[A, k]") if case.outputs > 1 else ("1", "c[A]")
    body = "".join(f"    {line}\n" for line in case.lines)
    return (
        "width n\n"
        f"dim A = {places}, d = {d}, k = {case.outputs}, T = {STEPS}\n"
        f"input x[A, d], z[T, A, d], y[T, A], {labels}\n"
        "weight U : n x d\n"
        "weight W : n x n\n"
        f"weight V : {rows} x n\n"
        "network f(x):\n"
        f"{body}{rest}"
    )


def at_width(text, data, seed=0):
    """The outputs of a program for one draw, and the dense weights at first."""
    program = tpc.parse(text)
    inputs = bind_inputs(program, {i.name: data[i.name] for i in program.inputs})
    drawn = draws(program, inputs, width=WIDTH, seed=seed)
    rows = np.shape(drawn["V0"])[0] if np.ndim(drawn["V0"]) > 1 else 1
    weights = {"U": ("n", data["x"].shape[-1]), "W": ("n", "n"), "V": (rows if rows > 1 else 1, "n")}
    return run_plainly(program, inputs, drawn), *parametrized(drawn, weights, {"n": WIDTH}, WIDTH)


OUTPUTS = """output g = f(x)
output e = (f(x) - c)^2/2
output b[t] = f(z[t]) - f(x) for t < T
a = 2*f(x)
output a
output m = mean(f.h(x)*f.h(z[0]))
output K[i, j] = mean(f.h(x)[i]*f.h(z[0])[j]) for i < A for j < A
output first = f(x)[0]
"""


@pytest.mark.parametrize("seed", range(COUNT))
def test_outputs_are_what_dense_weights_give(seed):
    case = random_arrays(seed)
    text = text_of(case, OUTPUTS)
    found, w, a = at_width(text, case.data)
    W = dense_weights(w, a, WIDTH)
    assert str(tpc.parse(print_after(text, "program", {}, "updates"))) == str(tpc.parse(text))
    assert str(tpc.parse(str(tpc.parse(text)))) == str(tpc.parse(text))

    def f(x):
        return np.reshape(case.forward(W, x), case.shape)

    x, z, c = case.data["x"], case.data["z"], case.data["c"]
    wanted = {
        "g": f(x),
        "e": (f(x) - c) ** 2 / 2,
        "b": np.stack([f(z[t]) - f(x) for t in range(STEPS)]),
        "a": 2 * f(x),
        "first": f(x)[0],
    }
    for name, value in wanted.items():
        assert found[name].shape == np.shape(value), text
        np.testing.assert_allclose(found[name], value, rtol=1e-10, atol=1e-13, err_msg=text)
    np.testing.assert_allclose(np.diag(found["K"]), found["m"], rtol=1e-12, err_msg=text)


@pytest.mark.parametrize("seed", range(COUNT))
def test_training_of_an_array_is_that_of_jax_grad(seed):
    case = random_arrays(seed)
    if case.outputs > 1:
        pytest.skip("one array of scalars can be trained, not one over two axes")
    text = text_of(
        case,
        "train f for t < T:\n"
        "    batch (z[t], y[t])\n"
        "    loss mse\n"
        "    update sgd(lr = 1/2)\n"
        "output loss\n"
        "output g = f(x)\n",
    )
    found, w, a = at_width(text, case.data)
    V = {"V": jnp.reshape(w["V"], (1, -1))}

    def forward(W, x):
        return case.forward(W, x)[:, 0]

    losses, final = train(
        forward,
        {**w, **V},
        a,
        WIDTH,
        lambda t: [((case.data["z"][t],), case.data["y"][t])],
        loss="mse",
        rate=0.5,
        steps=STEPS,
        multipliers={},
        frozen=(),
    )
    np.testing.assert_allclose(found["loss"], losses, rtol=1e-10, atol=1e-13, err_msg=text)
    np.testing.assert_allclose(
        found["g"], forward(final, case.data["x"]), rtol=1e-10, atol=1e-13, err_msg=text
    )


@pytest.mark.parametrize("seed", [1, *range(12, COUNT)])
def test_the_limit_of_an_array_has_the_entries_of_its_members(seed):
    case = random_arrays(seed)
    one = "".join(
        f"output m{i}{j} = mean(f.h(x)[{i}]*f.h(x)[{j}])\n"
        for i in range(case.shape[0])
        for j in range(i + 1)
    )
    given = {name: case.data[name] for name in ("x", "y", "z", "c")}
    found, apart = (
        tpc.parse(text_of(case, rest)).derive().compile(method="gram")(given)
        for rest in ("output M[i] = mean(f.h(x)[i]*f.h(x)) for i < A\n", one)
    )
    for i in range(case.shape[0]):
        for j in range(i + 1):
            assert found["M"].value[i, j] == pytest.approx(
                float(apart[f"m{i}{j}"].value), rel=1e-9, abs=1e-12
            )
            assert found["M"].value[j, i] == pytest.approx(found["M"].value[i, j], rel=1e-9, abs=1e-12)


def test_kernels_between_the_places_of_an_output():
    """Of an output made member by member they have its positions, as of one made at once; at finite width and
    in the limit."""
    case = random_arrays(2)
    twice = text_of(
        case, "output T = ntk(f)(x, z[0])\noutput S = nngp(f)(x, z[0])\noutput row = ntk(f)(x, z[0])[0]\n"
    )
    assert "o[t] = V @ h[t]" in twice
    single = twice.replace("o[t] = V @ h[t] for t < A", "o = V @ h")
    (one, _, _), (other, _, _) = at_width(twice, case.data), at_width(single, case.data)
    A = case.shape[0]
    for name, shape in (("T", (A, A)), ("S", (A, A)), ("row", (A,))):
        assert one[name].shape == shape
        np.testing.assert_allclose(one[name], other[name], rtol=1e-10)


def test_calls_inside_calls():
    text = (
        "width n\n"
        "dim k = 3, d = 2, N = 4\n"
        "input x[N, d]\n"
        "weight U : n x d\n"
        "weight V : k x n\n"
        "weight A : n x k\n"
        "weight B : 1 x n\n"
        "network g(x) = V @ tanh(U @ x)\n"
        "network f(y) = B @ tanh(A @ y)\n"
        "network both(x) = f(g(x))\n"
        "output a[i] = f(g(x[i])) for i < N\n"
        "output b = both(x)\n"
        "output c = f(2*g(x))\n"
    )
    program = tpc.parse(text)
    inputs = bind_inputs(program, {"x": np.random.default_rng(0).standard_normal((4, 2))})
    found = run_plainly(program, inputs, draws(program, inputs, width=WIDTH, seed=0))
    np.testing.assert_allclose(found["a"], found["b"], rtol=1e-12)
    assert not np.allclose(found["c"], found["b"])


@pytest.mark.parametrize("shape", ["x[N], y[N]", "x[N, 1], y[N]", "x[N, 1], y[N, 1]", "x[N], y[N, 1]"])
def test_a_side_written_1_reads_an_axis_written_1(shape):
    text = (
        "width n\n"
        "dim N = 3\n"
        f"input {shape}\n"
        "weight U : n x 1\n"
        "weight V : 1 x n\n"
        "network f(x) = V @ tanh(U @ x)\n"
        "train f for t < N:\n"
        "    batch (x[t], y[t])\n"
        "    loss mse\n"
        "    update sgd(lr = 1)\n"
        "output loss\n"
        "output g = f(x)\n"
        "output T[i, j] = ntk(f)(x[i], x[j]) for i < N for j < N\n"
    )
    r = np.random.default_rng(0)
    x, y = r.standard_normal(3), r.standard_normal(3)
    plain = tpc.parse(text.replace(shape, "x[N], y[N]"))
    program = tpc.parse(text)
    given = [
        bind_inputs(p, {i.name: np.reshape({"x": x, "y": y}[i.name], i.shape) for i in p.inputs})
        for p in (plain, program)
    ]
    one, other = (
        run_plainly(p, i, draws(p, i, width=WIDTH, seed=0))
        for p, i in zip((plain, program), given, strict=True)
    )
    for name, value in one.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-12)
    np.testing.assert_allclose(program.kernels().ntk(x[:, None]), plain.kernels().ntk(x), rtol=1e-12)


def test_a_value_with_an_axis_of_length_1_too_many_is_told_how_to_lose_it():
    program = tpc.parse(
        "width n\ninput x[3]\nvector v : n ~ N(0, 1)\noutput a[i] = x[i]*mean(v^2) for i < 3\n"
    )
    with pytest.raises(tpc.TpcError, match=r"reshape\(value, \(3,\)\)"):
        bind_inputs(program, {"x": np.ones((3, 1))})
    with pytest.raises(tpc.TpcError) as error:
        bind_inputs(program, {"x": np.ones(4)})
    assert "reshape" not in str(error.value)
