"""Steps written by hand that are nonlinear in `outer`, beside what optimizers write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import tpc
from tests.tables.in_numpy import Run

NET = """
width n
width m = 2*n
dim T = 2
input xi[T], y[T], xs
weight U : {sides[1]} x 1, frozen
weight W : n x m
weight V : 1 x {sides[0]}, frozen
network f(x):
    x1 = tanh(U @ x)
    h2 = {product} @ x1
    return V @ tanh(h2)
"""
TRAINED = """
train f for t < T:
    batch (xi[t], y[t])
    loss mse
    update {update}
output g = f(xs)
"""
BY_HAND = """
for t < T:
    chi[t] = f(xi[t]) - y[t]
    dh[t] = V0*tanh'(f.h2(xi[t]))
    x1[t] = f.x1(xi[t])
    {lines}
output g = f(xs)
"""
OUTER = {"W": "outer(dh[t], x1[t])", "W.T": "outer(x1[t], dh[t])"}
# lines by hand and the same optimizer, whose updates have entries /n; those of outer(a, b) are a b/m
CASES = [
    ("W += -0.2*sign(chi[t]*{outer})", "signsgd(lr = 0.1)"),
    ("W += -0.2*sign(chi[t]/4*{outer} + 3*chi[t]/4*{outer})", "signsgd(lr = 0.1)"),
    (
        "table G[t] : n x m = chi[t]*{outer}\n    W += -0.2*G[t]/(abs(G[t]) + 0.3)",
        "adam(lr = 0.1, beta1 = 0, beta2 = 0, eps = 0.3)",
    ),
]


def output(text: str, inputs: Mapping[str, Any]) -> np.ndarray:
    return Run(tpc.parse(text), inputs, {"n": 6, "m": 12}).output("g")


@pytest.mark.parametrize("product", ["W", "W.T"])
def test_by_hand_and_by_name(product: str) -> None:
    rng = np.random.default_rng(0)
    inputs = {"xi": rng.standard_normal(2), "y": rng.standard_normal(2), "xs": 0.7}
    sides = ("n", "m") if product == "W" else ("m", "n")
    net = NET.format(sides=sides, product=product)
    for lines, update in CASES:
        by_hand = BY_HAND.format(lines=lines.format(outer=OUTER[product]))
        one, other = (output(net + text, inputs) for text in (by_hand, TRAINED.format(update=update)))
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_tables_stand_beside_terms() -> None:
    """Of several lines and of one, a batch's sum, and before and after the line."""
    text = NET.format(sides=("n", "m"), product="W") + BY_HAND
    texts = [
        "W += 0.3*outer(dh[t], x1[t]) - 0.2*abs(outer(dh[t], x1[t]))",
        "W += 0.3*outer(dh[t], x1[t])\n    b[t] = f(xs)\n    W += -0.2*abs(outer(dh[t], x1[t]))",
        "W += 0.1*outer(dh[t], x1[t]) - abs(outer(dh[t], x1[t]))/15 for i < 3",
    ]
    inputs = {"xi": [0.5, -1.0], "y": [1.0, 2.0], "xs": 0.7}
    found = [output(text.format(lines=lines), inputs) for lines in texts]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-12)


def test_one_outer_has_no_table() -> None:
    text = NET.format(sides=("n", "m"), product="W") + BY_HAND
    lines = "W += -chi[t]*mean(outer(x1[t], x1[t]))*outer(dh[t], x1[t])/2"
    assert "W_moved" not in tpc.parse(text.format(lines=lines)).tables


OPERATOR = """width n
vector u : n ~ N(0, 1)
vector v : n ~ N(0, 1)
table A : n x n = {}
output q = mean(u*(A @ v))
"""


@pytest.mark.parametrize("power", ["n^(-3/2)", "n^(-1/2)", "n^(1/2)", "n"])
@pytest.mark.parametrize("other", ["", " + outer(v, u)", " + outer(u, u)"])
def test_polar_factors_do_not_depend_on_the_size_of_a_table(power: str, other: str) -> None:
    whole, scaled = (
        tpc.parse(OPERATOR.format(f"polar({factor}*(outer(u, v){other}))")).compile()()["q"].value
        for factor in ("1", power)
    )
    assert scaled == whole != 0


@pytest.mark.parametrize(
    "table",
    [
        "polar(outer(u/n, v) + outer(v, u))",
        "polar(outer(v, u) + outer(u, v)/n^(1/2))",
        "polar(n*outer(v, u) + outer(u + v, v))",
        "newton_schulz(outer(u, v)/n^(1/2), 3, 2, -3/2, 1/2)",
    ],
)
def test_tables_that_are_small_beside_others_or_beside_a_constant_are_told(table: str) -> None:
    """Their singular values count at every width, and in the limit there are none of them."""
    with pytest.raises(tpc.TpcError, match="TP802"):
        tpc.parse(OPERATOR.format(table)).compile()
