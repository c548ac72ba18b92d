"""Means of products of functions; those that are 0 by symmetry, and those that are none."""

import numpy as np
import pytest
from scipy import special

import tpc

HEAD = "width n\nvector u : n ~ N(0, 1)\nvector v : n ~ N(0, 1)\n"


@pytest.mark.parametrize("odd", ["1/u", "1/u^3", "v/u", "1/tanh(u)", "u*v^2/(u - v)^2", "v*(u - v)^(-2)"])
def test_what_need_not_have_a_mean_is_not_0_by_symmetry(odd):
    """Nor times the mean of something else: of Cauchy's law no mean of n entries comes to rest."""
    assert tpc.parse(f"{HEAD}output a = mean({odd})\n").compile().plan.method != "gram"


@pytest.mark.parametrize("odd", ["u/(1 + u^2)", "v*u/(1 + u^2)", "v/cosh(u)", "u^3/(2 + abs(u))"])
def test_quotients_by_what_is_above_0_are(odd):
    found = tpc.parse(f"{HEAD}output a = mean({odd})\n").compile()()["a"]
    assert found.value == 0
    assert found.stderr is None


SMOOTH = {
    "erf": special.erf,
    "sin": np.sin,
    "cos": np.cos,
    "exp": np.exp,
    "tanh": np.tanh,
    "softplus": lambda x: np.logaddexp(x, 0),
    "gelu": lambda x: x * special.ndtr(x),
    "sigmoid": special.expit,
}


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 2), (1 / 2, 2), (-1, 1 / 2)])
def test_functions_of_multiples_are_of_these(name, a, b):
    """Against Gauss–Hermite in two dimensions; the same multiple on both sides, others, a negative one."""
    program = tpc.parse(
        "width n\nvector (u, v) : n ~ N([0, 0], [[1, 1/3], [1/3, 1/2]])\n"
        f"output m = mean({name}({a}*u)*{name}({b}*v))\n"
    )
    found = program.compile()
    x, weights = np.polynomial.hermite_e.hermegauss(120)
    u, v = np.linalg.cholesky([[1, 1 / 3], [1 / 3, 1 / 2]]) @ np.stack(np.meshgrid(x, x)).reshape(2, -1)
    law = np.outer(weights, weights).ravel() / weights.sum() ** 2
    assert found.plan.method == "gram"
    assert float(found()["m"].value) == pytest.approx(
        law @ (SMOOTH[name](a * u) * SMOOTH[name](b * v)), rel=1e-6, abs=1e-7
    )
