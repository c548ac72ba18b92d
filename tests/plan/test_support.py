"""Supports against polynomials with coefficients; the rules that they lead to; sectors."""

import re
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import pytest

import tpc
from tests.plan.isserlis import Law, Poly
from tpc.core.expr import Ref, Value, add, mul, number, power
from tpc.emit.helpers.runner import product_rule
from tpc.plan.degrees import degrees
from tpc.plan.gaussians import lay_out
from tpc.plan.sectors import separate
from tpc.plan.structure import structure
from tpc.plan.support import EVEN, ODD, constant, correlated, gaussian, of_expression, plus

NAMES = ("a", "b", "c")
PAPER = Path(__file__).parents[2] / "programs" / "paper"


def random_expression(random, depth=3):
    """A polynomial of three Gaussians, as an expression of the core and with its coefficients."""
    kind = random.choice("apm" if depth else "v")
    if kind == "v":
        name = random.choice([*NAMES, "1"])
        return (
            (number(1), Poly({(): Fraction(1)}))
            if name == "1"
            else (Value(Ref(name), True), Poly.variable(name))
        )
    left, right = random_expression(random, depth - 1), random_expression(random, depth - 1)
    if kind == "a":
        return add(left[0], right[0]), left[1] + right[1]
    if kind == "m":
        return mul(left[0], right[0]), left[1] * right[1]
    k = random.choice([2, 3])
    return power(left[0], number(k)), left[1] ** k


def test_supports_hold_what_occurs():
    """All coefficients here are positive, so nothing cancels and the support is exact, except for kinds of
    power that products of sums share."""
    random, sharp = Random(0), 0
    one = constant(3)
    for _ in range(300):
        x, poly = random_expression(random)
        support = of_expression(x, {}, lambda member: gaussian(3, NAMES.index(member[0])), one)
        assert support is not None
        for k, name in enumerate(NAMES):
            powers = {dict(m).get(name, 0) for m in poly.terms}
            assert support.degree[k] == max(powers)
            assert support.powers[k] == sum({EVEN if p % 2 == 0 else ODD for p in powers})
        if not support.has_mean:
            assert Law().mean(poly) == 0
            sharp += 1
    assert sharp > 20


def test_what_is_odd_in_one_gaussian_has_mean_0():
    a, b = gaussian(2, 0), gaussian(2, 1)
    assert correlated(a, a)
    assert not correlated(a, b)
    assert correlated(a, plus([a, b]))
    assert correlated(a, None) is False


@pytest.mark.parametrize("counts", [(), (1,), (4,), (3, 2), (5, 1, 4), (120,)])
def test_a_rule_of_n_nodes_is_exact_to_degree_2n_minus_1(counts):
    points, weights = product_rule(counts)
    assert points.shape == (len(counts), np.prod(counts))
    law, random = Law(), np.random.default_rng(0)
    for _ in range(20):
        powers = [int(random.integers(0, 2 * n)) for n in counts]
        exact = law.moment(tuple((k, p) for k, p in enumerate(powers) if p))
        size = float(law.moment(tuple((k, p + p % 2) for k, p in enumerate(powers) if p)))
        assert (
            abs(weights @ np.prod(points ** np.array(powers)[:, None], axis=0) - float(exact)) < 1e-12 * size
        )
    for axis, n in enumerate(counts):
        assert n > 20 or weights @ points[axis] ** (2 * n) != pytest.approx(
            float(law.moment(((axis, 2 * n),))), rel=1e-6
        )


def needs(name, rounds, phi="s^2"):
    text = re.sub(
        r"def φ\(s\) = [^#\n]+", f"def φ(s) = {phi} ", (PAPER / f"{name}.tp").read_text(encoding="utf-8")
    )
    program = tpc.parse(text, dims={"T": rounds})
    parts = structure(program)
    return degrees(program, lay_out(program, parts.confined, None), separate(program), parts.confined).need


def test_degrees_of_one_hidden_layer_by_hand():
    """U_1 = U + …VU, V_1 = V + …U²; U_2 ∋ V_1 U_1 of powers (3, 2) in (U, V); the greatest mean, of V_2 U_2²,
    is of U²·U⁶ and V²·V⁴."""
    assert needs("thm_6_1", 1) == [[4, 3]]  # f_test at T = 1: V_1 U_1², U_1 = U + …VU
    assert needs("thm_6_1", 2) == [[8, 6]]


def test_degrees_of_two_hidden_layers_by_hand():
    """Decoupled, T = 2: E x_1², x_1 = U_1² and U_1 = U_0 + … e_0 U_0; and E V_1 h_1², V_1 = V_0 + … g_0², h_1
    ∋ V_0 g_0, g_1."""
    assert needs("thm_6_3", 2) == [[4, 4, 0], [3, 4, 2]]
    assert needs("thm_6_3", 2)[1] == needs("thm_6_4", 2)[1]
    assert needs("thm_6_4", 3)[0] == [12, 12, 4, 0]  # U_2 ∋ U_1 x_1: 3 and 3; x_2 = U_2², and its square


def test_sectors_of_the_theorems():
    found = separate(tpc.load(PAPER / "thm_6_4.tp"))
    assert found.count == 2
    assert {name for name, k in found.vectors.items() if k == 0 and "$" not in name} == {"U0", "U", "x", "dx"}
    assert {name for name, k in found.vectors.items() if k == 1 and "$" not in name} == {"V0", "V", "h", "dh"}
    assert found.outputs == {("W", False): 1, ("W", True): 0}
    assert found.operands == {("W", False): 0, ("W", True): 1}
    assert separate(tpc.load(PAPER / "thm_6_1.tp")).count == 1


def test_as_many_points_as_there_may_be(monkeypatch):
    """Of the greatest sector: as many are taken, one more are not."""
    program = tpc.parse("width n\nvector u : n ~ N(0, 1)\nvector v : n ~ N(0, 1)\noutput a = mean(u^4*v^2)\n")
    points = 3 * 2
    monkeypatch.setattr("tpc.plan.degrees.MAX_POINTS", points)
    assert program.compile(method="chaos").plan.exact
    monkeypatch.setattr("tpc.plan.degrees.MAX_POINTS", points - 1)
    with pytest.raises(tpc.TpcError, match=r"TP601.*more than 5e.00 points"):
        program.compile(method="chaos")
