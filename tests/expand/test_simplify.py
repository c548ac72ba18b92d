"""Families that do not change along an axis, and how far branches agree where their condition changes."""

import pytest

import tpc
from tpc.core.expr import Call, number
from tpc.expand.edges import contact_at
from tpc.expand.simplify import without_constant_axes

HEAD = "width n\nvector u : n ~ N(0, 1)\nvector v[s < 3] : n ~ N(0, 1)\n"


@pytest.mark.parametrize(
    ("lines", "axes", "instructions"),
    [
        ("x[0] = tanh(u)\nfor t < 3:\n    x[t+1] = tanh(u)\noutput m = mean(x[1]*u)\n", {0}, 2),
        (
            "for t < 3:\n    for s < 2:\n        x[t, s] = tanh(v[s])\n"
            "for t < 3:\n    for r < 2:\n        x[t+3, r] = tanh(v[r])\n"  # the same in another name
            "output m = mean(x[1, 0]*u)\n",
            {0},
            2,
        ),
        (
            "for t < 3:\n    for s < 2:\n        x[t, s] = tanh(v[s])\n"
            "for t < 3:\n    for r < 2:\n        x[t+3, r] = tanh(v[r+1])\n"
            "output m = mean(x[1, 0]*u)\n",
            set(),
            3,
        ),
        ("x[0] = tanh(v[0])\nx[1] = tanh(v[1])\noutput m = mean(x[1]*u)\n", set(), 3),
        ("for t < 3:\n    x[t, 0] = tanh(v[t])\noutput m = mean(x[1, 0]*u)\n", {1}, 2),
    ],
)
def test_axes_that_do_not_matter(lines, axes, instructions):
    body, found = without_constant_axes(tpc.parse(HEAD + lines).body, ())
    assert found["x"] == axes
    assert len(body) == instructions


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [("1", "2", 0), ("u", "2*u", 1), ("u^2", "u^3", 2), ("0*u", "u^3", 3), ("u*(1 + u) - u", "u^2", None)],
)
def test_the_first_derivative_in_which_branches_differ(left, right, order):
    (op, _) = tpc.parse(HEAD + f"y = where(u <= 0, {left}, {right})\noutput m = mean(y)\n").body
    (where,) = [x for x in (op.phi,) if isinstance(x, Call)]
    assert contact_at(*where.args) == order


def test_a_branch_that_is_the_other_one_differs_nowhere():
    (op, _) = tpc.parse(HEAD + "y = where(u <= 0, 1, 2)\noutput m = mean(y)\n").body
    assert contact_at(op.phi.args[0], number(2), number(2)) is None
