"""Means that are 0 because of an independent factor of mean 0, beside means of Gaussians that are known."""

import itertools
import random

import pytest

from tests.plan.isserlis import Law, Poly
from tpc.core.expr import Ref, Value, add, call, mul, number, power
from tpc.core.printer import print_expr
from tpc.expand.chance import ANY, Chance, Chances, additive, join

NAMES = "abc"  # independent Gaussians of mean 0


def vector(name):
    return Value(Ref(name), True)


def chances(avoid=frozenset()):
    return Chances(lambda v: Chance(frozenset(v.ref.name)) if v.ref.name in NAMES else ANY, avoid)


def random_polynomial(r, depth=3):
    """An expression, and the same with coefficients."""
    kind = r.choice("am" if depth else "v")
    if kind == "v":
        name = r.choice([*NAMES, "1"])
        return (number(1), Poly({(): 1})) if name == "1" else (vector(name), Poly.variable(name))
    one, other = random_polynomial(r, depth - 1), random_polynomial(r, depth - 1)
    if kind == "a":
        return add(one[0], other[0]), one[1] + other[1]
    return mul(one[0], other[0]), one[1] * other[1]


@pytest.mark.parametrize("seed", range(40))
def test_what_is_said_to_vanish_has_mean_0(seed):
    r = random.Random(seed)
    x, poly = random_polynomial(r)
    told = chances()
    if told.expr(x).vanishes:
        assert Law().mean(poly) == 0
    gone, rest = told.split(x)
    assert gone == number(0) or all(told.expr(term).vanishes for term in additive(gone))
    points = [dict(zip(NAMES, at, strict=True)) for at in itertools.product((-1, 2), (1, 3), (-2, 1))]
    for at in points:
        assert value(gone, at) + value(rest, at) == value(x, at)


def value(x, at):
    return eval(print_expr(x).replace("^", "**"), {}, at)


@pytest.mark.parametrize(
    ("x", "linear"),
    [
        (vector("a"), {"a"}),
        (mul(vector("a"), power(vector("b"), number(2))), {"a"}),
        (mul(vector("a"), call("tanh", vector("b"))), {"a"}),
        (add(vector("a"), mul(vector("a"), vector("b"))), {"a"}),
        (add(vector("a"), mul(vector("c"), power(vector("a"), number(2)))), None),
        (add(vector("a"), vector("c")), {"a", "c"}),
        (mul(vector("a"), vector("a")), None),
        (call("tanh", vector("a")), None),
        (mul(vector("a"), vector("z")), {"a"}),  # z is of no group
    ],
)
def test_what_is_linear_in_what(x, linear):
    assert chances().expr(x).linear == (None if linear is None else frozenset(linear))


def test_groups_to_avoid_are_taken_last():
    x = mul(vector("a"), vector("b"))
    assert chances().expr(x).linear in ({"a"}, {"b"})
    assert chances(frozenset("a")).expr(x).linear == {"b"}
    assert chances(frozenset("b")).expr(x).linear == {"a"}


def test_a_family_that_is_now_one_and_now_the_other():
    one, other = Chance(frozenset("a"), frozenset("b")), Chance(frozenset("b"))
    assert join([one]) == one
    assert join([one, other]) == Chance(None, frozenset("ab"))
    assert join([]) == Chance()
    assert not Chance().vanishes


def test_products_of_sums_are_written_out_up_to_a_limit():
    square = mul(add(vector("a"), vector("b")), add(vector("a"), vector("c"), number(1)))
    assert len(additive(square)) == 6
    assert sum(value(term, {"a": 2, "b": 3, "c": 5}) for term in additive(square)) == 5 * 8
    large = mul(*(add(vector("a"), vector("b"), number(k)) for k in range(2, 8)))
    assert additive(large) == [large]


def test_only_the_part_that_vanishes_is_split_off():
    x = add(mul(vector("a"), vector("b")), power(vector("a"), number(2)))
    gone, rest = chances().split(x)
    assert gone == mul(vector("a"), vector("b"))
    assert rest == power(vector("a"), number(2))
