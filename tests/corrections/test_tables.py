"""Corrections of programs with tables."""

from pathlib import Path

import numpy as np
from scipy.integrate import quad
from scipy.stats import norm

import tpc

OPTIMISERS = Path(__file__).parents[2] / "programs" / "optimisers"
TWO_WIDTHS = """
width n
width m = 2*n
vector u : n ~ N(0, 1)
vector v : m ~ N(0, 1)
matrix W : m x n ~ N(0, 1/n)
table A : n x m = outer(u, v)
table B : n x m = 2
output square = mean(A^2)
output rows = mean((A @ v)*u)
output columns = mean((A.T @ u)*v)
output crossed = mean((A @ (W @ u))*u)
output same = mean(B @ v)
"""


def test_each_side_of_a_table_has_the_weights_of_its_width():
    """All but the last two are mean(u²)·mean(v²); the last but one is mean(u²)·mean(v·Wu)."""
    found = tpc.parse(TWO_WIDTHS).corrections()
    wanted = {"square": 3, "rows": 3, "columns": 3, "crossed": 1 / 2, "same": 2}
    for name, variance in wanted.items():
        own = found[name]
        assert abs(own.variance - variance) < 4 * own.variance_stderr + 1e-9
        assert abs(own.bias) < 4 * own.bias_stderr + 1e-9
        assert own.variance_stderr < 0.05 * variance


MOVING = """
width n
vector u : n ~ N(0, 1)
vector v : n ~ N(0, 1)
matrix W : n x n ~ N(0, 1/n)
h = W @ u
table S : n x n = step(outer(h, 1) + outer(1, v)/2 - 1)
output share = mean(S)
"""


def test_a_jump_that_moves_in_a_table():
    """P(s g + v/2 > 1) to second order in s² - 1, of s² = mean u², Var s² = 2/n; then rows and columns."""

    def share(v):
        return norm.sf((v + 1 / 4) ** -0.5)

    def spread(of_one):
        mean = quad(lambda x: of_one(x) * norm.pdf(x), -12, 12)[0]
        return quad(lambda x: (of_one(x) - mean) ** 2 * norm.pdf(x), -12, 12)[0]

    found = tpc.parse(MOVING).corrections(samples=512, signs=64)
    own, d = found["share"], 1e-3
    slope, bend = (share(1 + d) - share(1 - d)) / (2 * d), (share(1 + d) + share(1 - d) - 2 * share(1)) / d**2
    variance = spread(lambda g: norm.sf(2 * (1 - g))) + spread(lambda v: norm.sf(1 - v / 2)) + 2 * slope**2
    assert "across the kinks" in found.method
    assert abs(own.variance - variance) < 4 * own.variance_stderr
    assert abs(own.bias - bend) < 4 * own.bias_stderr
    assert own.variance_stderr < 0.1 * variance
    assert own.bias_stderr < 0.2 * abs(bend)


def test_outputs_that_are_only_looked_at_have_no_corrections():
    """f after one step of signSGD is the mean of (u + η sign v)(v + η sign u), of variance (1 + η²)²."""
    program = tpc.load(OPTIMISERS / "linear_one_layer.tp")
    assert any(output.check for output in program.outputs)
    found = program.corrections(covariances=True, samples=512, signs=64)
    assert list(found) == ["first", "second"]
    assert set(found.covariances) == {("first", "first"), ("first", "second"), ("second", "second")}
    own = found["first"]
    assert abs(own.variance - 1.01**2) < 4 * own.variance_stderr
    assert abs(own.bias) < 4 * own.bias_stderr + 1e-9
    np.testing.assert_allclose(found.covariances["first", "first"], own.variance, rtol=1e-12)
