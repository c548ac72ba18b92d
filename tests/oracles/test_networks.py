"""The theorems' programs written as networks: the same limits as the recursions of the paper, and Thm D.1 and
Algorithm 3 exactly."""

from pathlib import Path

import jax
import numpy as np
import pytest

import tpc
from tests.train.dense import parametrized, train
from tests.values import values_only

PROGRAMS = Path(__file__).parents[2] / "programs"


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


@pytest.mark.parametrize("name", ["thm_6_3", "thm_6_4"])
def test_a_network_written_out_is_the_theorem(name):
    """The same points, so the same numbers to rounding."""
    options = {"dims": {"T": 6}}
    inputs = {"xi": [1, -1, 1, 1, -1, 1], "y": [-1, 1, 0.5, -1, 1, 1], "eta": 0.7}
    network, theorem = (
        values_only(tpc.load(PROGRAMS / f"paper/{one}.tp", **options).compile(samples=512, repeats=2))(inputs)
        for one in (f"{name}_network", name)
    )
    np.testing.assert_allclose(network["loss"].value, theorem["loss"].value, rtol=1e-9)


def test_one_layer_written_out_is_thm_6_1():
    inputs = {"xi": [1, -1, 1, 1], "y": [-1, 1, 0.5, -1]}
    text = (PROGRAMS / "paper/thm_6_1_network.tp").read_text().replace(
        "φ = tanh", "φ = ψ"
    ) + "def ψ(s) = erf(s/2)\n"
    network = tpc.parse(text).compile()(inputs)
    theorem = tpc.load(PROGRAMS / "paper/thm_6_1.tp", dims={"T": 4}).compile()(inputs)
    np.testing.assert_allclose(network["loss"].value, (theorem["f"].value - inputs["y"]) ** 2 / 2, rtol=1e-12)


def linear_data(r, steps, d, k, held_out):
    return {
        "xi": r.standard_normal((steps, d)),
        "y": r.standard_normal((steps, k)),
        "xs": r.standard_normal((held_out, d)),
    }


def test_tp4_thm_d_1():
    """A = I, D = I, B = C = 0; f = (AC + BD)ξ; (A, B) −= ηχ⊗(Cξ, Dξ), (C, D) −= η(Aᵀχ, Bᵀχ)⊗ξ."""
    data = linear_data(np.random.default_rng(0), 5, 3, 2, 4)
    result = tpc.load(PROGRAMS / "paper/thm_d_1.tp").compile()(data)
    assert result.plan.method == "linear"
    a, b, c, d = np.eye(2), np.zeros((2, 3)), np.zeros((2, 3)), np.eye(3)
    losses = []
    for xi, y in zip(data["xi"], data["y"], strict=True):
        chi = (a @ c + b @ d) @ xi - y
        losses.append(chi @ chi / 2)
        a, b, c, d = (
            a - 0.5 * np.outer(chi, c @ xi),
            b - 0.5 * np.outer(chi, d @ xi),
            c - 0.5 * np.outer(a.T @ chi, xi),
            d - 0.5 * np.outer(b.T @ chi, xi),
        )
    np.testing.assert_allclose(result["loss"].value, losses, rtol=1e-12)
    np.testing.assert_allclose(result["test"].value, data["xs"] @ (a @ c + b @ d).T, rtol=1e-12, atol=1e-14)


LINEAR = """width n
dim T = 6, B = 3, d = 4, k = 3
input eta = 0.3
input xi[T, B, d]
input y[T, B] : index(k)
weight U : n x d
weight V : k x n, std = 1/2, lr = 2
bias b : n, std = 0
network f(x) = V @ (U @ x + b)
train f for t < T:
    batch (xi[t, i], y[t, i]) for i < B
    loss xent
    update sgd(lr = eta, OPTIONS)
output loss
output test[i, j] = f(xi[0, i])[j] for i < B for j < k
"""


@pytest.mark.parametrize(
    "options",
    [{"clip": 0.5}, {"momentum": 0.9}, {"decay": 0.1}, {"clip": 0.4, "momentum": 0.5, "decay": 0.2}],
)
def test_a_linear_net_with_every_option_is_exact(options):
    """With one linear hidden layer, the limit is the net of width d + k + 1 whose initial vectors are
    orthogonal, of squared length n."""
    r = np.random.default_rng(1)
    data = {"xi": r.standard_normal((6, 3, 4)), "y": r.integers(0, 3, (6, 3))}
    text = LINEAR.replace("OPTIONS", ", ".join(f"{name} = {value}" for name, value in options.items()))
    result = tpc.parse(text).compile()(data)
    assert result.plan.exact
    n = 4 + 3 + 1
    basis = np.sqrt(n) * np.eye(n)
    weights = {"U": ("n", 4), "V": (3, "n"), "b": ("n", None)}
    w, a = parametrized({"U0": basis[:4], "V0": basis[4:7] / 2, "b0": np.zeros(n)}, weights, {"n": n}, n)
    losses, final = train(
        lambda p, x: p["V"] @ (p["U"] @ x + p["b"]),
        w,
        a,
        n,
        lambda t: [((data["xi"][t, i],), data["y"][t, i]) for i in range(3)],
        loss="xent",
        rate=0.3,
        steps=6,
        multipliers={"V": 2.0},
        frozen=set(),
        **options,
    )
    np.testing.assert_allclose(result["loss"].value, losses, rtol=1e-10)
    np.testing.assert_allclose(
        result["test"].value,
        data["xi"][0] @ np.asarray(final["V"] @ final["U"]).T + final["V"] @ final["b"],
        rtol=1e-10,
    )


@pytest.mark.parametrize("name", ["mlp2", "residual", "recurrent"])
def test_architectures_agree_with_finite_width(name):
    r = np.random.default_rng(2)
    program = tpc.load(PROGRAMS / f"architectures/{name}.tp", dims={"T": 3, "d": 3})
    shapes = {item.name: item.shape for item in program.inputs if item.name != "eta"}
    data = {
        key: r.choice([-1.0, 1.0], shape) if key == "y" else r.standard_normal(shape) / 2
        for key, shape in shapes.items()
    }
    report = tpc.verify(
        values_only(program.compile())(data).limits,
        [program.simulate(data, width=width, seeds=24) for width in (128, 256, 512)],
    )
    assert report.agrees, str(report)
