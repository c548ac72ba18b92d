"""What `tpc scale` says: a line for each weight, and the verdict with what it rests on."""

from pathlib import Path

import pytest

import tpc
from tpc.core.exponent import Exponent
from tpc.scaling.open_exponents import solve

ROOT = Path(__file__).parents[2]
MLP = """mlp2, mup, c = 0
  weight  a     b    ΔW x
  U       -1/2  1/2  1     updated maximally
  W       0     1/2  1     updated maximally
  V       1/2   1/2  1     updated maximally
stable, nontrivial: f changes by a constant (ΔV xb and V₀ Δxb are of order 1)
feature learning (r = 0): xb changes by 1
"""
# what an MLP's exponents give besides; `training` changes what it is trained by
CHANGED = {
    "at first": ({"a2": "-1/2"}, ["not stable: h2 grows like n^(1/2) at initialisation"]),
    "by a step": ({"c": -1}, [f"not stable: {x} grows like n in the first step" for x in ("h1", "h2", "f")]),
    "too slow": (
        {"c": 2},
        ["stable, trivial: training changes f by less than a constant, as n grows; xb changes by n^(-2)"],
    ),
    "a kernel": (
        {"a1": 0, "a2": "1/2", "a3": "1/2", "b1": 0, "b2": 0, "b3": 0},
        [
            "stable, nontrivial: f changes by a constant (ΔV xb and V₀ Δxb are of order 1)",
            "kernel regime (r = 1/2): xb changes by n^(-1/2)",
        ],
    ),
}
TWO = """width n
dim T = 2
weight U : n x 1
weight V : 1 x n
weight X : n x 1
weight Y : 1 x n
network f(x) = V @ tanh(U @ x) + Y @ tanh(X @ x)
train f for t < T:
    batch (1, -1)
    loss mse
    update {}
output loss
"""
TABLES = {
    "sgd(lr = 0)": """  weight  a     b    ΔW x
  U       -1/2  1/2  0
  V       1/2   1/2  0
  X       -1/2  1/2  0
  Y       1/2   1/2  0
stable, trivial: training changes f by less than a constant, as n grows; x1, x2 change by 0""",
    "adam(lr = 1)": """  weight  a     b    c    d    ΔW x
  U       -1/2  1/2  1/2  1/2  1     updated maximally
  V       1/2   1/2  1/2  1/2  1     updated maximally
  X       -1/2  1/2  1/2  1/2  1     updated maximally
  Y       1/2   1/2  1/2  1/2  1     updated maximally
stable, nontrivial: f changes by a constant
feature learning (r = 0): x1, x2 change by 1""",
}
CONDITIONS = """mlp2 (1: U, 2: W, 3: V)
stable if
  a1 + b1 = 0    (h1 is of order 1 at first)
  a2 + b2 = 1/2    (h2 is of order 1 at first)
  a3 + b3 - 1/2 >= 0    (f at first)
  min(2*a1 + 2*a3 + 2*c, 2*a1 + a3 + b3 + c, 2*a2 + 2*a3 + 2*c - 1, 2*a2 + a3 + b3 + c - 1) >= 0    (change of xb)
  min(2*a1 + 2*a3 + 2*b3 + c - 1, 2*a2 + 2*a3 + 2*b3 + c - 2, 2*a3 + c - 1) >= 0    (change of f)
and then xb changes by n^(-r) and f by n^(-q),
  r = min(2*a1 + 2*a3 + 2*c, 2*a1 + a3 + b3 + c, 2*a2 + 2*a3 + 2*c - 1, 2*a2 + a3 + b3 + c - 1)
  q = min(2*a1 + 2*a3 + 2*b3 + c - 1, 2*a2 + 2*a3 + 2*b3 + c - 2, 2*a3 + c - 1)
nontrivial if q = 0, and then feature learning if r = 0, a kernel if r > 0; W x changes by updates of W by n^(-r_W),
  r_U = min(2*a1 + 2*a3 + 2*c, 2*a1 + a3 + b3 + c)
  r_W = min(2*a2 + 2*a3 + 2*c - 1, 2*a2 + a3 + b3 + c - 1)
  r_V = 2*a3 + c - 1"""  # noqa: E501


def perceptron():
    return tpc.load(ROOT / "programs/architectures/mlp2.tp")


def test_a_verdict_is_told_with_its_table():
    assert str(perceptron().scale()) == MLP.rstrip("\n")


@pytest.mark.parametrize("name", CHANGED)
def test_other_verdicts_are_told(name):
    change, said = CHANGED[name]
    assert str(perceptron().scale(**change)).splitlines()[5:] == said


@pytest.mark.parametrize("update", TABLES)
def test_tables_of_updates(update):
    assert str(tpc.parse(TWO.format(update)).scale()).split("\n", 1)[1] == TABLES[update]


def test_conditions_are_told():
    assert str(tpc.conditions(perceptron())) == CONDITIONS


def test_scalars_of_the_forward_pass_count_as_of_order_1():
    """A mean that is a factor, whatever the exponents, leaves what W learns as in a perceptron."""
    text = (ROOT / "programs/architectures/mlp2.tp").read_text()
    forward, own = "    return V @ xb\n", "    s = mean(xb^2)\n    return V @ (s*xb)\n"
    assert forward in text
    lines = str(tpc.conditions(tpc.parse(text.replace(forward, own), name="mlp2"))).splitlines()
    assert lines[-2:] == CONDITIONS.splitlines()[-2:]


def test_equations_that_say_the_same_are_solved_once():
    equation = Exponent.var("a1") + Exponent.var("b1")
    assert solve([equation, equation]) == solve([equation]) == {"b1": Exponent.var("a1").scaled(-1)}


@pytest.mark.parametrize("change", [{"a2": "-1/2"}, {"c": -1}, {"b3": 0}])
def test_every_weight_has_its_line_whatever_the_verdict(change):
    verdict = tpc.load(ROOT / "programs/architectures/mlp2.tp").scale(**change)
    text = str(verdict).splitlines()
    assert [line.split()[0] for line in text[2:5]] == ["U", "W", "V"]
    assert ("not stable" in str(verdict)) == (not verdict.stable)
    if not verdict.stable:
        assert all(line.split()[3] == "–" for line in text[2:5])
        assert "updated maximally" not in str(verdict)
