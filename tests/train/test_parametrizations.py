"""Any parametrization at finite width: against `jax.grad` on dense weights `W = n^{−a} w`, and unchanged
under `a+θ, b−θ, c−2θ` (TP4 Sec 3)."""

import os
from fractions import Fraction

import jax
import numpy as np
import pytest

import tpc
from tests.simulate.plain import run_plainly
from tests.train.dense import in_any, train
from tests.train.dense import outputs as dense_outputs
from tests.train.random_networks import random_network
from tpc.core.inputs import bind_inputs
from tpc.pipeline import print_after
from tpc.simulate.seeds import draws

COUNT, WIDTH = int(os.environ.get("TPC_NETWORKS", "7")), 12
F = Fraction
HALF = F(1, 2)
TABLES = {  # (matrix, input, output, finite): a, b; and c. TP4 Sec 3, independently of the package's
    "sp": ({"m": 0, "i": 0, "o": 0, "f": 0}, {"m": HALF, "i": 0, "o": HALF, "f": 0}, 1),
    "sp(c = 1/4)": ({"m": 0, "i": 0, "o": 0, "f": 0}, {"m": HALF, "i": 0, "o": HALF, "f": 0}, F(1, 4)),
    "ntp": ({"m": HALF, "i": 0, "o": HALF, "f": 0}, {"m": 0, "i": 0, "o": 0, "f": 0}, 0),
    "mup": ({"m": 0, "i": -HALF, "o": HALF, "f": 0}, {"m": HALF, "i": HALF, "o": HALF, "f": HALF}, 0),
    "uniform(r = 1/4)": (
        {"m": F(1, 4), "i": -F(1, 4), "o": HALF, "f": 0},
        {"m": F(1, 4), "i": F(1, 4), "o": F(1, 4), "f": F(1, 4)},
        0,
    ),
}


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


def with_line(text, line):
    """The program in a parametrization; behind the weights, where it means the same."""
    return text.replace("network f(xi):", f"parametrization {line}\nnetwork f(xi):")


def kind(sides):
    rows, columns = (side in ("n", "m") for side in sides)
    return "m" if rows and columns else "i" if rows else "o" if columns else "f"


def abc_line(a, b, c):
    return f"abc(a = [{', '.join(map(str, a.values()))}], b = [{', '.join(map(str, b.values()))}], c = {c})"


def outputs(text, inputs, seed):
    program = tpc.parse(text)
    bound = bind_inputs(program, inputs)
    drawn = draws(program, bound, width=WIDTH, seed=seed)
    return run_plainly(program, bound, drawn), drawn


def random_exponents(names, r):
    def some(low, high):
        return F(int(r.integers(low, high)), int(r.choice([1, 2, 3, 4])))

    a = {name: some(-3, 4) / 2 for name in names}
    b = {name: HALF - a[name] + some(0, 3) / 4 for name in names}
    return a, b, some(0, 5) / 2


@pytest.mark.parametrize("seed", range(COUNT))
def test_training_in_any_parametrization_is_that_of_jax_grad(seed):
    case, r = random_network(1000 + seed), np.random.default_rng(seed)
    choice = [*TABLES, None, None][seed % (len(TABLES) + 2)]
    kinds = {name: kind(sides) for name, sides in case.weights.items()}
    if choice is None:
        a, b, c = random_exponents(case.weights, r)
        choice = abc_line(a, b, c)
    else:
        own_a, own_b, c = TABLES[choice]
        a, b = ({name: own[k] for name, k in kinds.items()} for own in (own_a, own_b))
    found, drawn = outputs(with_line(case.text, choice), case.inputs, seed)
    sizes = {"n": WIDTH, "m": 2 * WIDTH}
    sides = {"d": case.inputs["xi"].shape[-1], "k": case.outputs, "q": 2}
    weights = {
        name: tuple(sides.get(s, s) if s not in sizes else s for s in pair)
        for name, pair in case.weights.items()
    }
    floats = {name: float(x) for name, x in a.items()}
    w = in_any(drawn, weights, sizes, WIDTH, {name: float(x) for name, x in b.items()}, case.scales)

    def data(t):
        return [((case.inputs["xi"][t, i],), case.inputs["y"][t, i]) for i in range(case.batch)]

    losses, final = train(
        case.forward,
        w,
        floats,
        WIDTH,
        data,
        loss=case.loss,
        rate=0.3 * WIDTH ** -float(c),
        steps=case.steps,
        multipliers=case.multipliers,
        frozen=case.frozen,
        scales=case.scales,
        **case.options,
    )
    assert np.isfinite(losses).all()
    np.testing.assert_allclose(found["loss"], losses, rtol=1e-9, atol=1e-12, err_msg=case.text)
    trained = dense_outputs(case.forward, final, case.inputs["xs"])
    np.testing.assert_allclose(found["g"], trained, rtol=1e-9, atol=1e-12, err_msg=case.text)


@pytest.mark.parametrize("seed", range(COUNT))
def test_a_plus_theta_b_minus_theta_c_minus_two_theta_changes_nothing(seed):
    case, r = random_network(2000 + seed), np.random.default_rng(seed)
    # both are for w, of which there are different ones
    text = case.text.replace(", decay = 0.25", "").replace(", clip = 0.25", "")
    a, b, c = random_exponents(case.weights, r)
    theta = F(int(r.integers(-5, 6)), int(r.choice([1, 2, 3, 4])))
    one, _ = outputs(with_line(text, abc_line(a, b, c)), case.inputs, seed)
    moved = {k: x + theta for k, x in a.items()}, {k: x - theta for k, x in b.items()}, c - 2 * theta
    other, _ = outputs(with_line(text, abc_line(*moved)), case.inputs, seed)
    for name in one:
        assert np.isfinite(one[name]).all()
        np.testing.assert_allclose(one[name], other[name], rtol=1e-9, atol=1e-12, err_msg=text)


NET = """width n
dim T = 3
input eta = 0.5, xi[t < T] = 1, y[t < T] = -1
weight U : n x 1
weight V : 1 x n
network f(x) = V @ tanh(U @ x)
train f for t < T:
    batch (xi[t], y[t])
    loss mse
    update sgd(lr = eta)
output loss
"""


def test_mean_field_is_mup_for_one_hidden_layer_where_theta_moves_it():
    def core(line):
        return str(tpc.parse(NET.replace("network f(x)", f"parametrization {line}\nnetwork f(x)")))

    assert core("mfp") == core("mup") == str(tpc.parse(NET))
    assert core("abc(a = [1/4, 5/4], b = [-1/4, -1/4], c = -3/2)") == core("mup")
    assert core("uniform(r = 1/2)") == core("ntp")


def test_attributes_of_weights_stand_for_entries_of_lists():
    listed = NET.replace(
        "network f(x)", "parametrization abc(a = [0, 1/3], b = [0, 1/2], c = 0)\nnetwork f(x)"
    )
    own = NET.replace("U : n x 1", "U : n x 1, a = 0, b = 0").replace(
        "V : 1 x n", "V : 1 x n, a = 1/3, b = 1/2"
    )
    own = own.replace("network f(x)", "parametrization abc(c = 0)\nnetwork f(x)")
    assert str(tpc.parse(listed)) == str(tpc.parse(own))
    assert "n^(1/6)*V0" in str(tpc.parse(own))
    # of another one than the parametrization has
    assert "n^(1/3)*chi" in str(tpc.parse(NET.replace("V : 1 x n", "V : 1 x n, a = 1/3")))


def test_written_out_in_any_parametrization_it_is_that_program():
    text = NET.replace(
        "network f(x)", "parametrization abc(a = [0, 1/3], b = [1/7, 1/2], c = -2/5)\nnetwork f(x)"
    )
    assert str(tpc.parse(print_after(text, "program", {}, "updates"))) == str(tpc.parse(text))
    assert str(tpc.parse(str(tpc.parse(text)))) == str(tpc.parse(text))


@pytest.mark.parametrize(("axis", "member"), [("", ""), ("[l < 2]", "[1]")])
def test_a_weight_in_a_line_of_ones_own_is_what_the_parametrization_makes_it(axis, member):
    text = (
        "width n\n"
        "vector v : n ~ N(0, 1)\n"
        f"weight W{axis} : n x n\n"
        "parametrization abc(a = [1/4], b = [1/2], c = 0)\n"
    )
    text += f"y = W{member}.T @ (W{member} @ v)\noutput c = mean(v*y)\n"
    plain = text.replace("a = [1/4]", "a = [0]")
    one, other = (tpc.parse(t).simulate(width=16, seeds=2).outputs["c"] for t in (text, plain))
    np.testing.assert_allclose(one, other / 4, rtol=1e-12)
