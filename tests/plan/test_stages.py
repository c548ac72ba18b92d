"""What the stages from a program to its module print (`tpc compile --stop-after`), and that each is what is
compiled."""

import copy
import json
import pickle
from pathlib import Path

import pytest

import tpc
from tpc.cli.main import main
from tpc.emit.module import emit_vectors
from tpc.pipeline import print_stage
from tpc.plan.make_plan import make_plan
from tpc.plan.options import Options

STRUCTURES = Path(__file__).parents[1] / "emit" / "structures"
NODES = """width n
dim T = 2, B = 2
input xs[B] = 0.5
vector u : n ~ N(0, 1)
matrix W : n x n ~ N(0, 1/n)
x[0] = u
for t < T:
    x[t+1] = tanh(W @ x[t])
for i < B:
    y[i] = W.T @ tanh(xs[i]*u)
output f[t] = mean(x[t]*u) for t < T + 1
output g[i] = mean(y[i]*u) for i < B
"""
NODES_PLAN = """\
plan of nodes: nodes, scrambled Sobol points, 64 points of 5 Gaussians, 2 repeats: asked for; about 0 ms and \
0 MB a repeat
in float64

5 Gaussians
    0: u
    directions of W: 2
    directions of Wᵀ: 2

families
    scalar f[3]: an array [3]
    scalar g[2]: an array [2]
    vector x[3]: an array [3]
    vector x$1[2]: one member in a round of t
    vector y[2]: an array [2]
    vector y$1[2]: an array [2]

instructions
    x[0] = u
    for t < 2:    # round by round
        x$1[t] = W @ x[t]
        x[t+1] = tanh(x$1[t])
    for i < 2:    # side by side
        y$1[i] = tanh(xs[i]*u)
    for i < 2:    # one product of matrices
        y[i] = W.T @ y$1[i]
    for t < 3:    # side by side
        f[t] = mean(x[t]*u)
    for i < 2:    # side by side
        g[i] = mean(y[i]*u)
"""
GRAM = """width n
input x[3]
vector v : n ~ N(0, 1)
matrix A : n x n ~ N(0, 1/n)
h[i] = A @ (x[i]*v) for i < 3
output a[i, j] = mean(erf(h[i])*erf(h[j])) for i < 3 for j < 3
output b[i] = mean(tanh(h[i])*relu(h[0])) for i < 3
"""
GRAM_PLAN = """\
plan of gram: gram, exact: all outputs follow from covariances, in 6 arrays with 2 Gaussian expectations in \
closed form; about 0 ms and 0 MB a repeat
in float64

covariances
    E$0[i < 3] = x[i]*x[i]    # E h$1[i]^2
    E$1[i < 3, j < 3] = x[i]*x[j]    # E h$1[i]*h$1[j]
    E$2[i < 3, j < 3] = E erf(u)*erf(v), (u, v) ~ N([0, 0], [[E$0[i], E$1[i, j]], [E$1[i, j], E$0[j]]]), in \
closed form, one Gaussian where i = j    # E erf(h[i])*erf(h[j])
    E$3 = x[0]*x[0]    # E h$1[0]^2
    E$4[i < 3] = x[0]*x[i]    # E h$1[0]*h$1[i]
    E$5[i < 3] = E u*step(u)*tanh(v), (u, v) ~ N([0, 0], [[E$3, E$4[i]], [E$4[i], E$0[i]]]), in closed \
form    # E relu(h[0])*tanh(h[i])
    output a[i < 3, j < 3] = E$2[i, j]
    output b[i < 3] = E$5[i]
"""
FEW = "width n\nvector v : n ~ N(0, 1)\noutput a = mean(tanh(v)^2)\n"
FEW_PLAN = """\
plan of few: nodes, adaptive panels, up to 16384 points of 1 Gaussian, checked by 8 x 4096 Sobol points: \
asked for, and its functions are smooth and of 1 Gaussian only; about 0 ms and 0 MB in all
in float64, 4096, then 16384 points at most, with the influence of each

1 Gaussian
    0: v

families
    scalar a: one member

instructions
    a = mean(tanh(v)^2)
"""
POLYNOMIAL = """width n
dim T = 3
vector u : n ~ N(0, 1)
x[0] = u
for t < T:
    x[t+1] = x[t] - x[t]^2/4
output m[t] = mean(x[t]) for t < T + 1
"""
POLYNOMIAL_PLAN = """\
plan of polynomial: chaos, exact: the vectors are polynomials of Gaussians, and 5 points integrate all that \
occurs, of degree 8 at most; about 0 ms and 0 MB a repeat
in float64, on rules of so many nodes: 5

1 Gaussian
    0: u

families
    scalar m[4]: an array [4]
    vector x[4]: an array [4]

instructions
    x[0] = u
    for t < 3:    # round by round
        x[t+1] = x[t] - 1/4*x[t]^2
    for t < 4:    # side by side
        m[t] = mean(x[t])
"""
LINEAR_PLAN = """\
plan of linear: linear, exact: the program is linear in its vectors, so coefficients on Gaussians represent \
it; about 0 ms and 0 MB a repeat
in float32, loops carrying vectors in bfloat16

1 Gaussian
    0: u

families
    scalar m: one member
    vector x[4]: one member, carried from round to round of t

instructions
    x[0] = u
    for t < 3:    # round by round
        x[t+1] = 1/2*x[t]
    m = mean(u*x[3])
"""
LINEAR = (
    "width n\nvector u : n ~ N(0, 1)\nx[0] = u\nfor t < 3:\n    x[t+1] = x[t]/2\noutput m = mean(u*x[3])\n"
)


@pytest.mark.parametrize(
    ("name", "text", "options", "printed"),
    [
        ("nodes", NODES, {"method": "nodes", "samples": 64, "repeats": 2}, NODES_PLAN),
        ("gram", GRAM, {}, GRAM_PLAN),
        ("few", FEW, {"method": "nodes"}, FEW_PLAN),
        ("polynomial", POLYNOMIAL, {"method": "chaos"}, POLYNOMIAL_PLAN),
        ("linear", LINEAR, {"dtype": "bfloat16"}, LINEAR_PLAN),
    ],
)
def test_plans_are_printed_whole(name, text, options, printed):
    program = tpc.parse(text, name=name)
    assert print_stage("plan", program, Options(**options)) == printed
    evaluator = program.compile(**options)
    assert str(evaluator.plan) in printed
    assert print_stage("emit", program, Options(**options)) == evaluator.source


def test_the_program_is_printed_in_its_order():
    """Independent rounds around products are loops around each product; what is printed is the program."""
    program = tpc.parse(NODES, name="nodes")
    printed = print_stage("reorder", program, Options(method="nodes"))
    assert "for i < 2:\n    y[i] = W.T @ y$1[i]\n" in printed
    assert str(tpc.parse(printed)) == printed


@pytest.mark.parametrize("stage", ["plan", "reorder", "emit"])
def test_the_command_prints_a_stage(stage, tmp_path, capsys):
    file = tmp_path / "nodes.tp"
    file.write_text(NODES)
    expected = print_stage(stage, tpc.load(file), Options(method="nodes", samples=64))
    command = ["compile", str(file), "--stop-after", stage, "--method", "nodes", "--samples", "64"]
    assert main(command) == 0
    assert capsys.readouterr().out == expected
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(file), "after": stage, "text": expected}


def test_options_of_a_stage_are_checked(tmp_path, capsys):
    file = tmp_path / "nodes.tp"
    file.write_text(NODES)
    assert main(["compile", str(file), "--stop-after", "plan", "--samples", "1"]) == 2
    assert "error[TP602]: --samples: must be at least 2" in capsys.readouterr().err
    assert main(["compile", str(file), "--stop-after", "plan", "--method", "linear"]) == 2
    assert "error[TP601]" in capsys.readouterr().err


@pytest.mark.parametrize("copied", [lambda plan: pickle.loads(pickle.dumps(plan)), copy.deepcopy])
@pytest.mark.parametrize("name", ["blocks", "confined", "training"])
def test_a_copy_of_a_plan_is_emitted_alike(name, copied):
    """Also with functions that run a loop in parts."""
    plan = tpc.load(STRUCTURES / f"{name}.tp").compile(method="nodes", samples=64).plan
    other = copied(plan)
    for whole, again in ((None, None), (plan.structure.longest_loop(), other.structure.longest_loop())):
        assert emit_vectors(other, again) == emit_vectors(plan, whole)


def test_covariances_are_tried_for_coefficients_that_take_long(monkeypatch):
    """Longer than the bound: of 60 vectors, two are looked at."""
    program = tpc.parse(
        "width n\ndim N = 60\nmatrix W : n x n ~ N(0, 1/n)\nvector u[k < N] : n ~ N(0, 1)\n"
        "x[i] = W @ u[i] for i < N\ny = W @ x[0]\noutput a = mean(x[0]*x[1]) + mean(y^2)\n"
    )
    plan = make_plan(program, Options())
    assert plan.method == "linear"
    for bound, method in ((plan.seconds, "linear"), (plan.seconds * 0.99, "gram")):
        monkeypatch.setattr("tpc.plan.make_plan.LONG", bound)
        assert make_plan(program, Options()).method == method
