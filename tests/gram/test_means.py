"""Means that are 0 by symmetry, and those that are none."""

import pytest

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
