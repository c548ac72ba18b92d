"""Tables that are sums of outer products become rank-one terms, which give the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tpc
from tests.tables.in_numpy import Run
from tpc.core.rank_one import as_rank_one
from tpc.core.wellformed import verified

PROGRAMS = Path(__file__).parents[2] / "programs" / "optimisers"
HEAD = """
width n
width m = 2*n
dim T = 3, B = 2
input chi[T, B], lam = 0.3
vector u[i < B] : m ~ N(0, 1)
vector v : n ~ N(0, 1)
vector one : m ~ N(1, 0)
x[i] = tanh(u[i]) for i < B
"""
# starts, factors and terms of every kind, read at the step and after it
CARRIED = """
table A[0] : n x m = outer(v, x[0])
table M[0] : n x m = 0
table P[0] : n x m = 0
table C[0] : n x m = 0
for t < T:
    h[t, i] = v - A[t] @ x[i] for i < B
    d[t, i] = v*tanh'(h[t, i])*chi[t, i] for i < B
    table G[t] : n x m = sum(i < B: chi[t, i]*outer(d[t, i], x[i]))
    table M[t+1] : n x m = 0.5*M[t] + G[t]
    table A[t+1] : n x m = (1 - lam)*A[t] + 0.1*M[t+1] + 0.1*G[t]*(1 + t)
    table Q[t] : n x m = G[t]^2
    table P[t+1] : n x m = lam*P[t] + Q[t]/10 + abs(outer(d[t, 0], x[1])) - 0.2*M[t]
    table C[t+1] : n x m = (1 - lam)*C[t] + 0.1*chi[t, 0]*outer(v, x[0]) + 0.1*sum(i < B: outer(v, x[i]))
    s[t] = mean(A[t+1]*G[t]) + mean(C[t+1]^2)
    q[t] = mean((A[t+1].T @ d[t, 0])*u[0])
    p[t] = mean((P[t+1] @ u[0])*v) + mean(C[t] @ x[1])
    r[t] = mean(v/(1 + abs(Q[t] @ one)))
output s
output q
output p
output r
"""
FAMILY = """
table A[0, k] : n x m = 0 for k < B
for t < T:
    h[t, k] = v - A[t, k] @ x[k] for k < B
    table G[t, k] : n x m = sign(chi[t, k]*outer(h[t, k], x[k]))*sqrt(abs(outer(v, 1))) for k < B
    table A[t+1, k] : n x m = A[t, k]/(k + 2) + G[t, 1]/(t + 1) for k < B
    q[t, k] = mean((A[t+1, k] @ x[1])*v) for k < B
output q
output end[k] = mean(A[T, k]*A[1, 0]) for k < B
"""
NESTED = """
table A[k, 0] : n x m = (k + 1)*outer(v, x[0]) for k < 3
for k < 3:
    for t < k + 1:
        h[k, t] = v - A[k, t] @ x[1]
        table A[k, t+1] : n x m = lam*A[k, t] + sign(outer(h[k, t], x[0])) + outer(v, x[1])/(t + 1)
        q[k, t] = mean(A[k, t+1] @ x[0])
output o[k] = q[k, k] for k < 3
"""


def inputs_of(program: tpc.Program) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    return {i.name: rng.standard_normal(i.shape) for i in program.inputs if i.default is None}


def same_numbers(text: str) -> tpc.Program:
    """The reduced program, which at finite width says the same."""
    program = tpc.parse(text)
    reduced = tpc.parse(str(verified(as_rank_one(program))))
    one, other = (Run(p, inputs_of(program), {"n": 6, "m": 9}) for p in (program, reduced))
    for name in program.reported:
        np.testing.assert_allclose(other.output(name), one.output(name), 1e-9, 1e-12, err_msg=text)
    return reduced


@pytest.mark.parametrize("text", [CARRIED, FAMILY, NESTED], ids=["carried", "family", "nested"])
def test_every_kind_of_term(text: str) -> None:
    assert not same_numbers(HEAD + text).tables


DEEP = """
width n
width m = 2*n
dim T = 2
input xi[T], y[T]
weight U : m x 1
weight W : n x m, scale = 3/2, lr = 2
weight R[l < 2] : n x n, scale = 1/2
weight V : 1 x n
parametrization ntp
{rule}network f(x):
    z = tanh(W @ tanh(U @ x))
    z1 = tanh(R[0] @ z) + z
    return V @ tanh(R[1] @ z1)
train f for t < T:
    batch (xi[t], y[t])
    loss mse
    update {update}
output loss
output g = f(xi[0])
"""
CUBE = "optimizer cube(mu = 0.5):\n    m = mu*m + g^3\n    return m + g/2\n"
TRAINED = [("", "signsgd(lr = 0.1, decay = 0.3)"), (CUBE, "cube(lr = 0.1, decay = 0.5, limit = 0.05)")]


@pytest.mark.parametrize(("rule", "update"), TRAINED)
def test_families_of_weights(rule: str, update: str) -> None:
    """Gradients of members are terms of which at most one is there, whatever is taken of them."""
    assert not same_numbers(DEEP.format(rule=rule, update=update)).tables


PARTS = ["outer(v, x[0])", "outer(h[t], x[t])", "chi[t, 0]*outer(h[t], 1)", "M[t+1]", "M[t]", "G[t]", "0.3"]
SINGLE = ["sign({})", "abs({})", "({})^2", "({})^3", "sqrt(({})^2)", "where(abs({0}) > 0, {0}/abs({0}), 0)"]
SHAPE = """
table M[0] : n x m = {start}
table A[0] : n x m = 0
for t < 2:
    h[t] = v - A[t] @ x[t]
    table G[t] : n x m = {gradient}
    table M[t+1] : n x m = {factor}*M[t] + {first}
    table A[t+1] : n x m = A[t] + {second}
    s[t] = mean(A[t+1]*M[t]) + mean((A[t+1].T @ h[t])*x[0])
output s
"""


def expression(rng: Any, parts: Sequence[str]) -> str:
    """A sum or product of tables, or a function of one outer product."""
    a, b = (parts[rng.integers(len(parts))] for _ in range(2))
    match rng.integers(4):
        case 0:
            return f"{a} - 0.5*{b}"
        case 1:
            return f"{a}*{b}"
        case 2:
            return str(SINGLE[rng.integers(len(SINGLE))]).format(parts[rng.integers(2)])
    return f"0.1*({a} + {b})^2"


def test_random_tables() -> None:
    rng, gone = np.random.default_rng(1), 0
    for _ in range(40):
        first, second = expression(rng, [p for p in PARTS if p != "M[t+1]"]), expression(rng, PARTS)
        start, factor = ("0", "outer(v, x[1])")[rng.integers(2)], ("1", "0.9", "lam")[rng.integers(3)]
        gradient = expression(rng, PARTS[:3])
        shape = SHAPE.format(start=start, factor=factor, gradient=gradient, first=first, second=second)
        gone += not same_numbers(HEAD + shape).tables
    assert gone >= 20


# what has to stay: nonlinear functions of sums, roots of what may be below 0, and too many terms
KEPT = [
    "table A : n x m = sign(outer(v, x[0]) + outer(1, x[1]))\noutput s = mean(A^2)",
    "table A : n x m = outer(v, x[0])\ntable C : n x m = tanh(A)\noutput s = mean(A) + mean(C)",
    "table A : n x m = lam*outer(v, x[0])\ntable C : n x m = sqrt(A)\noutput s = mean(C)",
    "table A : n x m = outer(v, x[0])\noutput s = mean(tanh(A))",
    "table A : n x m = (outer(v, x[0]) + outer(v^2, x[1]) + outer(v^3, x[0]))^4\noutput s = mean(A)",
]


@pytest.mark.parametrize("text", KEPT)
def test_what_stays_a_table(text: str) -> None:
    program = tpc.parse(HEAD + text)
    assert as_rank_one(program).tables == program.tables


def test_limits_cost_what_sgd_costs() -> None:
    """Signs of one example's gradient, and Adafactor by hand."""
    for name in ("sign_batch1", "adafactor"):
        program = tpc.load(PROGRAMS / f"{name}.tp")
        evaluator = program.compile(samples=2048, repeats=2)
        assert "is a table" not in evaluator.plan.why
        assert evaluator.plan.memory < 8 * 2048**2  # bytes of one table
