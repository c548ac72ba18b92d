"""Exact corrections of programs that are linear in their vectors."""

from fractions import Fraction
from math import comb
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

import tpc
from tests.corrections.expectations import expectation
from tpc.core.inputs import bind_inputs
from tpc.corrections.drawn import DrawnProgram
from tpc.corrections.jets import Field, Jet
from tpc.corrections.linear_program import LinearProgram

MATRICES = Path(__file__).parents[2] / "programs" / "matrices"


def catalan(k):
    return comb(2 * k, k) // (k + 1)


def test_wishart_moments_are_those_of_the_genus_expansion():
    """Of E (1/n) tr (AᵀA)^k the next order is maps in the projective plane: 4^(k-1) - binom(2k-1, k-1).

    Given A the variance is that of v, 2 (1/n) tr (AᵀA)^(2k).
    """
    found = tpc.load(MATRICES / "wishart.tp").corrections()["c"]
    assert found.exact["value"].tolist() == [catalan(k) for k in range(6)]
    assert found.exact["bias"].tolist() == [0] + [4 ** (k - 1) - comb(2 * k - 1, k - 1) for k in range(1, 6)]
    assert found.exact["variance"].tolist() == [2 * catalan(2 * k) for k in range(6)]


def test_a_ratio_of_widths():
    """E (1/m) tr (AᵀA)² = ρ + ρ² + ρ/m, (AᵀA)³: ρ + 3ρ² + ρ³ + (3ρ + 3ρ²)/m + …, ρ = 1/2."""
    program = tpc.load(MATRICES / "marchenko_pastur.tp", dims={"K": 3})
    found = program.corrections(covariances=True)
    assert found["c"].exact["bias"].tolist() == [0, 0, Fraction(1, 2), Fraction(9, 4)]
    assert np.array_equal(np.diag(found.covariances["c", "c"]), found["c"].exact["variance"])
    assert found.covariances["c", "c"][0, 1] == 1  # of v·v and v·AᵀA v given A: 2 ρ


TRAINED = """
width n
width m = 2*n
dim T = 2
input y[T] = 1, xi[T] = 1, eta = 0.5
weight U : n x 1
weight W : m x n, std = 1/2
weight V : 1 x m
network f(x) = V @ (W @ (U @ x))
train f for t < T:
    batch (xi[t], y[t])
    loss logistic
    update sgd(lr = eta, momentum = 0.5)
output loss
"""


def test_a_deep_linear_net_against_finite_width():
    program = tpc.parse(TRAINED)
    found = program.corrections()["loss"]
    assert found.exact is None  # its scalars are no fractions
    values = program.simulate(width=48, seeds=1200).outputs["loss"]
    error = values.std(axis=0) / 1200**0.5
    expected = found.at(48)
    assert np.all(np.abs(values.mean(axis=0) - expected.mean) < 4 * error)
    assert np.all(np.abs(values.std(axis=0) / expected.spread - 1) < 0.15)


JOINT = """
width n
input rho = 0.25
matrix A : n x n ~ N(0, 4/n)
vector (a, b) : n ~ N([1, 0], [[2, rho], [rho, 1]])
vector (c, d) : n ~ N([0, 0], [[1, 1], [1, 1]])
x = A @ (a - 2*b)
z = A.T @ (x + c)
q = mean(z*b)
output p = mean(x*x)/(1 + q^2)
output r = where(q < 3, mean(z*d) - q, q)
output s = mean(a)^2 + mean((z + 1)*(a - d))
"""


def test_fractions_are_what_floats_round():
    program = tpc.parse(JOINT)
    inputs = bind_inputs(program, {})
    exact, floats = (LinearProgram(program, inputs, Field(kind)).run() for kind in (True, False))
    for name, own in exact.items():
        for part in ("value", "bias", "variance"):
            wanted = getattr(own, part)
            assert isinstance(np.asarray(wanted, object)[()], Fraction)
            np.testing.assert_allclose(
                float(getattr(floats[name], part)), float(wanted), rtol=1e-12, atol=1e-13
            )
    values = program.simulate(width=192, seeds=400).outputs
    for name, own in program.corrections().outputs.items():
        error, expected = values[name].std() / 400**0.5, own.at(192)
        assert abs(values[name].mean() - expected.mean) < 4 * error
        assert abs(values[name].std() / expected.spread - 1) < 0.2


@pytest.mark.parametrize("factor", ["1", "exp(0.1)"])
def test_a_branch_that_ends_at_the_limit_is_seen_in_spite_of_rounding(factor):
    """In floats 0.1 + 0.2 is more than 0.3."""
    text = "width n\nvector u : n ~ N(0, 1)\nvector v : n ~ N(0, 1)\ns = 0.1*mean(u*u) + 0.2*mean(v*v)\n"
    program = tpc.parse(f"{text}output a = {factor}*where(s < 0.3, s, 2*s)\noutput b = {factor}*s\n")
    with pytest.raises(tpc.TpcError, match="no derivatives"):
        program.corrections(method="linear")
    apart = tpc.parse(f"{text}output a = {factor}*where(s < 0.29, s, 2*s)\n").corrections()["a"]
    assert apart.variance == pytest.approx(4 * (0.02 + 0.08) * (1 if factor == "1" else np.exp(0.2)))


def test_a_number_that_no_float_holds_is_not_finite():
    program = tpc.parse(
        "width n\ninput c = 10000000000000000\nvector u : n ~ N(0, 1)\noutput a = c^24*mean(u*u)\n"
    )
    with pytest.raises(tpc.TpcError, match="not finite"):
        program.corrections()


VANISHING = """
width n
matrix A : n x n ~ N(0, 1/n)
vector u : n ~ N(0, 1)
vector v : n ~ N(0, 1)
vector w : n ~ N(0, 3)
y = A @ (mean(u*v)*w)
output c = mean(y*y)
output d = mean(y*(A @ w))
"""


def test_a_vector_that_tends_to_0_is_a_direction_all_the_same():
    found = tpc.parse(VANISHING).corrections()
    assert (found["c"].value, found["c"].exact["bias"], found["c"].exact["variance"]) == (0, 3, 0)
    assert (found["d"].value, found["d"].exact["bias"], found["d"].exact["variance"]) == (0, 0, 9)
    assert np.isnan(found["d"].within(0.01))


def test_jets_are_derivatives():
    x = Jet(Fraction(2), np.array([Fraction(1), Fraction(0)]), np.array([Fraction(0), Fraction(3)]))
    one = Field(True).jet(1)
    found = (one / (one + x * x)) ** 2  # f = (1 + x²)⁻² at 2: f' = -8/125, f''/2 = 38/625
    assert found.value == Fraction(1, 25)
    assert found.first.tolist() == [Fraction(-8, 125), 0]
    assert found.second.tolist() == [Fraction(38, 625), 3 * Fraction(-8, 125)]


def test_what_grows_too_large_is_left_to_floats():
    program = tpc.load(Path(__file__).parents[2] / "programs/paper/cor_6_2.tp", dims={"T": 12})
    found = program.corrections()
    assert "to rounding" in found.method
    assert found["f"].exact is None
    assert np.isfinite(found["f"].bias).all()


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_the_least_width_within_a_share(share):
    own = tpc.load(MATRICES / "wishart.tp", dims={"K": 2}).corrections()["c"]
    n = own.within(share)
    for width, side in ((n, np.less_equal), (n - 1, np.greater)):
        away = np.sqrt(own.variance / width + (own.bias / width) ** 2)
        assert side(away, share * own.value * (1 + 1e-9)).all()


# from which width on they hold


def test_draws_of_any_width_have_the_law_of_programs_of_that_width():
    """As narrow as 6, which has fewer directions than there are Gaussians."""
    program = tpc.parse(JOINT + "t = A @ (A @ (A @ c))\noutput e = mean(t*t)/10\n")
    inputs = bind_inputs(program, {})
    drawn = DrawnProgram(program, inputs, (6, 24), 20_000, 64, 0).outputs()
    for k, n in enumerate((6, 24)):
        simulated = program.simulate(width=n, seeds=4000).outputs
        for name, values in simulated.items():
            own, error = drawn[name][k], (values.var() / len(values) + drawn[name][k].var() / 20_000) ** 0.5
            assert abs(own.mean() - values.mean()) < 4 * error, (n, name)
            levels = np.quantile(values, (0.1, 0.5, 0.9))
            np.testing.assert_allclose((own[:, None] < levels).mean(axis=0), (0.1, 0.5, 0.9), atol=0.025)


def test_two_widths_that_are_drawn():
    """E (1/m) tr (AᵀA)² = ρ + ρ² + ρ/m, exactly, and (AᵀA)³: ρ + 3ρ² + ρ³ + (3ρ + 3ρ²)/m + 4ρ/m²."""
    program = tpc.load(MATRICES / "marchenko_pastur.tp", dims={"K": 3})
    found = DrawnProgram(program, bind_inputs(program, {}), (8,), 100_000, 64, 1).outputs()["c"][:, 0]
    m, p = 8, 1 / 2
    wanted = [1, p, p + p**2 + p / m, p + 3 * p**2 + p**3 + (3 * p + 3 * p**2) / m + 4 * p / m**2]
    assert np.all(np.abs(found.mean(axis=1) - wanted) < 4 * found.std(axis=1) / 100_000**0.5)


POLYNOMIALS = """
width n
vector u : n ~ N(0, 1)
s = mean(u*u)
q = mean(u)
output power = s^20
output square = (30*q)^2/(1 + (30*q)^2)
output cube = q^3
output same = 2 + 0*q
"""


def test_the_width_of_exact_corrections():
    """E s^k = Π (1 + 2j/n), and q is a Gaussian over √n; the others are 0 to first order."""

    def beyond(n):
        first, second = (np.prod(1 + 2 * np.arange(k) / n) for k in (20, 40))
        return max(abs(n * (first - 1) / 380 - 1), abs(n * (second - first**2) / 800 - 1))

    def of_bias(n):
        return 1 - n * expectation(lambda q: 900 * q**2 / (1 + 900 * q**2), scale=n**-0.5) / 900

    found = tpc.parse(POLYNOMIALS).corrections()
    for name, off in (("power", beyond), ("square", of_bias)):
        wanted = brentq(lambda n: off(n) - 0.25, 500, 1e5)  # noqa: B023
        assert abs(found[name].first_order_from / wanted - 1) < 0.25
    assert np.isnan([found[name].first_order_from for name in ("cube", "same")]).all()
    kept = tpc.load(MATRICES / "wishart.tp").corrections()["c"].first_order_from
    assert (np.diff(kept) >= 0).all()
    assert 30 < kept[-1] < 150  # 67, by many draws
