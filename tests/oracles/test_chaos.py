"""Thm 6.1, 6.3 and 6.4 with polynomial activations, against the recurrences in rational arithmetic (Isserlis'
theorem, ZDot by derivatives)."""

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import tpc
from tests.plan.isserlis import Law, Poly

PAPER = Path(__file__).parents[2] / "programs" / "paper"
SLOPES = {
    "s^2": lambda x: (x * x, x * 2),
    "s^3": lambda x: (x * x * x, x * x * 3),
    "s^2/2 - s/3": lambda x: (x * x * Fraction(1, 2) - x * Fraction(1, 3), x - Poly({(): Fraction(1, 3)})),
}


def program(name, phi, rounds):
    text, count = re.subn(
        r"def φ\(s\) = [^#\n]+", f"def φ(s) = {phi} ", (PAPER / f"{name}.tp").read_text(encoding="utf-8")
    )
    assert count == 1
    return tpc.parse(text, dims={"T": rounds})


def one_layer(xi, y, xi_test, phi):
    """f_t(ξ_t) and f_t(ξ_test), t < T: V and U are polynomials of two independent Gaussians."""
    law, u, v = Law(), Poly.variable("u"), Poly.variable("v")
    f, test = [], []
    for t in range(len(xi)):
        test.append(law.mean(v * phi(u * xi_test)[0]))
        z, slope = phi(u * xi[t])
        f.append(law.mean(v * z))
        u, v = u - v * slope * ((f[t] - y[t]) * xi[t]), v - z * (f[t] - y[t])
    return f, test


def two_layers(xi, y, eta, back, phi):
    """f_t. back: 1 for the true backward pass (Thm 6.4), 0 for an independent copy of Wᵀ (Thm 6.3), which has
    no Ż."""
    below, above = {}, {}  # the covariances of Ẑ^{Wᵀ dh_s} and of Ẑ^{W x_s}
    u, v = Poly.variable("u"), Poly.variable("v")
    xs, dhs, f, chi = [], [], [], []
    for t in range(len(xi)):
        x, x_slope = phi(u * xi[t])
        xs.append(x)
        for s in range(t + 1):
            above[f"g{s}", f"g{t}"] = Law(below).mean(xs[s] * x)
        h = Poly.variable(f"g{t}")
        for s in range(t):
            dot = Law(below).mean(x.derivative(f"e{s}"))
            h = h + dhs[s] * (back * dot - eta * chi[s] * above[f"g{s}", f"g{t}"])
        law = Law(above)
        z, slope = phi(h)
        f.append(law.mean(v * z))
        chi.append(f[t] - y[t])
        dh = v * slope
        dhs.append(dh)
        if t + 1 == len(xi):
            return f
        for s in range(t + 1):
            below[f"e{s}", f"e{t}"] = law.mean(dhs[s] * dh)
        dx = Poly.variable(f"e{t}")
        for s in range(t + 1):
            dot = law.mean(dh.derivative(f"g{s}"))
            dx = dx + xs[s] * (back * dot - (eta * chi[s] * below[f"e{s}", f"e{t}"] if s < t else 0))
        u, v = u - dx * x_slope * (eta * chi[t] * xi[t]), v - z * (eta * chi[t])
    return f


def relative(found, expected):
    expected = np.array([float(x) for x in expected])
    return np.max(np.abs(found - expected) / np.maximum(1, np.abs(expected)))


XI = [Fraction(1, 2), Fraction(-2, 5), Fraction(3, 10), Fraction(1, 2), Fraction(-1, 2)]
Y = [Fraction(1, 2), Fraction(-1), Fraction(1), Fraction(-1, 3), Fraction(1)]


@pytest.mark.parametrize(("phi", "rounds"), [("s^2", 5), ("s^2/2 - s/3", 4), ("s^3", 2)])
def test_tp4_thm_6_1_is_exact(phi, rounds):
    evaluator = program("thm_6_1", phi, rounds).compile()
    assert evaluator.plan.method == "chaos"
    xi, y = XI[:rounds], Y[:rounds]
    found = evaluator({"xi": [float(x) for x in xi], "y": [float(x) for x in y], "xi_test": 0.25})
    f, test = one_layer(xi, y, Fraction(1, 4), SLOPES[phi])
    assert found["f"].stderr is None
    assert relative(found["f"].value, f) < 1e-10
    assert relative(found["f_test"].value[:-1], test) < 1e-10


def test_tp4_thm_6_1_with_the_inputs_of_fig_4():
    """ξ = ±1: values of 1e9 after three steps, exact relative to their size."""
    xi, y = [1, -1, 1, -1], [1, 1, -1, 1]
    found = program("thm_6_1", "s^2", 4).compile()({"xi": xi, "y": y, "xi_test": 1})
    f, test = one_layer([Fraction(x) for x in xi], [Fraction(x) for x in y], Fraction(1), SLOPES["s^2"])
    assert float(abs(f[3])) > 1e6
    assert relative(found["f"].value, f) < 1e-10
    assert relative(found["f_test"].value[:-1], test) < 1e-10


@pytest.mark.parametrize(("name", "back"), [("thm_6_3", 0), ("thm_6_4", 1)])
@pytest.mark.parametrize(("phi", "rounds"), [("s^2", 3), ("s^2/2 - s/3", 3), ("s^3", 2)])
def test_tp4_two_hidden_layers_are_exact(name, back, phi, rounds):
    evaluator = program(name, phi, rounds).compile()
    assert evaluator.plan.method == "chaos"
    xi, y, eta = XI[:rounds], Y[:rounds], Fraction(2, 5)
    expected = two_layers(xi, y, eta, back, SLOPES[phi])
    found = evaluator({"xi": [float(x) for x in xi], "y": [float(x) for x in y], "eta": float(eta)})
    assert relative(found["f"].value, expected) < 1e-10
    assert relative(found["loss"].value, [(a - b) ** 2 / 2 for a, b in zip(expected, y, strict=True)]) < 1e-10
    other = two_layers(xi, y, eta, 1 - back, SLOPES[phi])
    assert relative(found["f"].value, other) > 1e-6  # so the test tells the theorems apart


@pytest.mark.parametrize(("name", "back"), [("thm_6_3", 0), ("thm_6_4", 1)])
def test_tp4_two_hidden_layers_with_the_inputs_of_fig_4(name, back):
    xi, y = [1, -1, 1], [1, 1, -1]
    found = program(name, "s^2", 3).compile()({"xi": xi, "y": y, "eta": 1})
    expected = two_layers(
        [Fraction(x) for x in xi], [Fraction(x) for x in y], Fraction(1), back, SLOPES["s^2"]
    )
    assert relative(found["f"].value, expected) < 1e-10
