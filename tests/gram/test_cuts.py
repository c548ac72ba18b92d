"""Where integrals are cut."""

import pytest

from tpc.core.expr import ZERO, Ref, Value, add, call, mul, neg, number, power
from tpc.core.printer import print_expr
from tpc.gram.cuts import Cut, cuts_of
from tpc.gram.ir import Integral

U, V = (Value(Ref(name), True) for name in "uv")
ONE = number(1)


def integral(*arguments):
    return Integral(
        ("u", "v"), tuple(call("relu", x) for x in arguments), (ZERO, ZERO), ((ONE, ZERO), (ZERO, ONE))
    )


def test_where_two_lines_meet_the_first_coordinate_is_cut():
    """relu(u + v)·relu(1 + u − v): both change at v = −u and at v = 1 + u, which meet at u = −1/2."""
    one, other = (Cut("line", x) for x in (add(U, V), add(ONE, U, neg(V))))
    meet = Cut("line", add(number(-1), mul(number(-2), U)))
    assert cuts_of(integral(one.at, other.at)) == [[one, other, meet], [one, other]]


def test_lines_of_one_direction_do_not_meet():
    one, other = (Cut("line", x) for x in (add(U, V), add(ONE, U, V)))
    assert cuts_of(integral(one.at, other.at)) == [[one, other], [one, other]]


SQUARE = power(U, number(2))


@pytest.mark.parametrize(
    ("x", "vanishes"),
    [
        (add(ONE, SQUARE), False),
        (add(ONE, SQUARE, power(V, number(4))), False),
        (add(call("exp", U), call("abs", V)), False),
        (mul(call("exp", U), add(number(2), call("abs", mul(U, V)))), False),
        (power(add(ONE, SQUARE), number(3)), False),
        (power(call("exp", add(U, V)), number(-1)), False),
        (SQUARE, True),
        (add(SQUARE, power(V, number(2))), True),
        (add(ONE, power(U, number(3))), True),
        (add(number(-1), SQUARE), True),
        (add(ONE, power(add(U, V), number(3))), True),
    ],
    ids=lambda x: x if isinstance(x, bool) else print_expr(x),
)
def test_what_is_positive_everywhere_has_no_place_where_it_is_0(x, vanishes):
    found = {cut.at for along in cuts_of(integral(x, V)) for cut in along if cut.kind != "turn"}
    assert (x in found) == vanishes
