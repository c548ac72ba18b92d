"""Exponents c and d by weight (Yang and Littwin, arXiv 2308.01814, Def 2.2.1): what they mean at finite
width, what leaves a training as it is, and what is unfaithful."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tests.simulate.plain import run_plainly
from tpc.core.inputs import bind_inputs
from tpc.scaling import classify, conditions
from tpc.simulate.seeds import draws

TEXT = """width n
dim T = 2
input x[T, 2], y[T]
weight U : n x 2
weight W : n x n
weight V : 1 x n
parametrization {}
network f(x) = V @ tanh(W @ tanh(U @ x))
train f for t < T:
    batch (x[t], y[t])
    loss mse
    {}
output loss
output g = f(x[0])
"""
HALF = Fraction(1, 2)
MUP = {"a": [-HALF, 0, HALF], "b": [HALF, HALF, HALF], "c": [HALF, 1, HALF], "d": [HALF, 1, HALF]}
ADAM = "update adam(lr = 0.1, eps = 0.1)"
MIXED = "update lion(lr = 0.1) of U\n    update adam(lr = 0.1, eps = 0.1) of W\n    update sgd(lr = 0.2) of V"
MUON = "update muon(lr = 0.1)\n    update adam(lr = 0.1) otherwise"


def line(exponents):
    lists = [f"{name} = [{', '.join(map(str, values))}]" for name, values in exponents.items()]
    return f"abc({', '.join(lists)})"


def text(update=ADAM, **changed):
    return TEXT.format(line(MUP | changed), update)


def lowered(of):
    return str(tpc.parse(of)).partition("\n")[2]


@pytest.mark.parametrize(
    ("update", "rates"),
    [
        (ADAM, {}),
        ("update sgd(lr = 0.1, momentum = 0.9, decay = 0.1)", {"c": [0, 0, 0], "d": [0, 0, 0]}),
        ("update sgd(lr = 0.1)", {"c": [0, 1, -2], "d": [0, 1, -2]}),
        (MUON, {"c": [HALF, 0, HALF], "d": [HALF, 0, HALF]}),
        ("update shampoo(lr = 0.1)\n    update sgd(lr = 1) otherwise", {"c": [0, 0, 0], "d": [0, 0, 0]}),
    ],
)
def test_those_of_mup_are_mup(update, rates):
    own = text(update, **rates)
    assert lowered(own) == lowered(TEXT.format("mup", update))
    layers = classify(tpc.parse(own)).layers
    named = classify(tpc.parse(TEXT.format("mup", update))).layers
    wanted = (MUP | rates)["c"], (MUP | rates)["d"]
    assert [w.rate for w in layers] == [*zip(*wanted, strict=True)]
    assert all(a.rate == b.rate for a, b in zip(layers, named, strict=True) if b.rate)


def test_nothing_changes_along_the_symmetry():
    """a + θ, b − θ, c − θ, d + θ of one weight (Prop 2.2.3)."""
    base = text(MIXED, c=[HALF, 1, 0], d=[HALF, 1, 0])
    for k in range(3):
        by = {"a": 1, "b": -1, "c": -1, "d": 1}
        moved = {
            name: list(values) for name, values in (MUP | {"c": [HALF, 1, 0], "d": [HALF, 1, 0]}).items()
        }
        for name, sign in by.items():
            moved[name][k] = moved[name][k] + sign * Fraction(3, 4)
        assert lowered(TEXT.format(line(moved), MIXED)) == lowered(base)


@pytest.mark.parametrize("frozen", [False, True])
def test_finite_width_is_its_definition(frozen):
    """w ← w − η n^−c Q(n^d ∂L/∂w), W = n^−a w: signs, Adam's first step and the gradient itself.

    Of output weights that are frozen gradients have the size as well.
    """
    width, rates = (
        7,
        {"a": [0, HALF, 1], "b": [0, 0, -HALF], "c": [HALF, Fraction(5, 4), 3], "d": [HALF, 1, 1]},
    )
    own = TEXT.format(line(rates), MIXED)
    if frozen:
        own = own.replace("V : 1 x n", "V : 1 x n, frozen").replace("    update sgd(lr = 0.2) of V\n", "")
    program = tpc.parse(own, dims={"T": 1})
    given = {"x": np.array([[0.6, -0.8]]), "y": np.array([0.7])}
    bound = bind_inputs(program, given)
    drawn = draws(program, bound, width=width, seed=3)
    found = run_plainly(program, bound, drawn)
    declared = [np.stack([drawn["U0"][j] for j in range(2)], axis=1), drawn["W"], drawn["V0"]]
    declared[1] = declared[1] * width**0.5  # entries N(0, 1/n) as drawn
    start = [x * float(width) ** -float(b) for x, b in zip(declared, rates["b"], strict=True)]

    def output(w):
        u, m, v = (x * float(width) ** -float(a) for x, a in zip(w, rates["a"], strict=True))
        return v @ jnp.tanh(m @ jnp.tanh(u @ given["x"][0]))

    slopes = jax.grad(lambda w: (output(w) - given["y"][0]) ** 2 / 2)(start)
    c, d = ([float(width) ** (s * float(x)) for x in rates[k]] for k, s in (("c", -1), ("d", 1)))
    g = [factor * slope for factor, slope in zip(d, slopes, strict=True)]
    steps = [0.1 * jnp.sign(g[0]), 0.1 * g[1] / (jnp.abs(g[1]) + 0.1), (not frozen) * 0.2 * g[2]]
    after = [w - factor * step for w, factor, step in zip(start, c, steps, strict=True)]
    np.testing.assert_allclose(found["loss"][0], (output(start) - 0.7) ** 2 / 2, rtol=1e-13)
    np.testing.assert_allclose(found["g"], output(after), rtol=1e-13)


@pytest.mark.parametrize(
    ("exponents", "said"),
    [
        ({"d2": "1/2"}, ["n^d*∂L/∂w of W vanishes like n^(-1/2) at initialisation"]),
        ({"d2": "1/2", "d3": 1}, ["W vanishes like n^(-1/2)", "V grows like n^(1/2)"]),
        ({"c2": 0}, ["h2 grows like n in the first step"]),
        ({"b3": 1, "d1": 1, "d2": "3/2"}, [f"{w} grows like n^(1/2) in the first step" for w in "UW"]),
        ({"c2": 5}, []),
    ],
)
def test_what_is_unfaithful_is_told(exponents, said):
    verdict = classify(tpc.parse(text()), **exponents)
    blown = [str(b) for b in verdict.blows_up]
    assert verdict.stable == (not said)
    for words in said:
        assert any(words in b for b in blown)


@pytest.mark.parametrize("update", [ADAM, MUON])
def test_conditions_are_those_of_verdicts(update):
    rates = {} if update == ADAM else {"c": [HALF, 0, HALF], "d": [HALF, 0, HALF]}
    program = tpc.parse(text(update, **rates))
    found, random = conditions(program), np.random.default_rng(5)
    own = classify(program).exponents
    stable = 0
    for _ in range(40):
        names = random.choice(list(own), size=2)
        moved = {str(name): Fraction(int(random.integers(-2, 3)), 2) for name in names}
        if random.random() < 0.5:  # along the symmetry, a gradient is what it was
            k = random.integers(1, 4)
            by = {"a": HALF, "b": -HALF, "c": -HALF, "d": HALF}
            moved = {f"{name}{k}": own[f"{name}{k}"] + x for name, x in by.items()}
            moved["c3"] = moved.get("c3", own["c3"]) + int(random.integers(0, 2))
        verdict = classify(program, **moved)
        assert verdict.stable == found.stable({**own, **moved}), moved
        stable += verdict.stable
    assert 5 < stable < 35


def test_of_an_unfaithful_file_nothing_is_made():
    for changed, code, words in (
        ({"d": [HALF, HALF, HALF]}, "TP737", "vanishes like n^(-1/2)"),
        ({"d": [1, 1, HALF]}, "TP737", "grows like n^(1/2)"),
    ):
        with pytest.raises(tpc.TpcError, match=code) as refused:
            tpc.parse(text(**changed))
        assert words in str(refused.value)
    without = {name: values for name, values in MUP.items() if name != "d"}
    with pytest.raises(tpc.TpcError, match="TP733"):
        tpc.parse(TEXT.format(line(without), ADAM))
    tpc.parse(TEXT.format(line(without), "update sgd(lr = 1)"))  # which takes gradients as they are


SECOND = """weight P : n x 2
weight Q : 1 x n
network g(x) = Q @ tanh(P @ x)
train g as after for t < T:
    batch (x[t], y[t])
    loss mse
    update adam(lr = 0.1)
output q = g(x[0])
"""


def test_gradients_go_through_the_output_weights_of_their_own_network():
    """Of two networks, trained one after the other, with output weights of different sizes."""
    own = {"a": [-HALF, HALF], "b": [HALF, 0], "c": [HALF, HALF], "d": [0, HALF]}
    both = line({name: [*values, *own[name]] for name, values in MUP.items()})
    program = tpc.parse(TEXT.format(both, ADAM) + SECOND)
    assert not [b for b in classify(program).blows_up if "n^d" in b.quantity]
    blown = [str(b) for b in classify(program, d4=HALF).blows_up if "n^d" in b.quantity]
    assert blown == ["n^d*∂L/∂w of P grows like n^(1/2) at initialisation"]
