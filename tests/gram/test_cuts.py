"""Where integrals are cut."""

from tpc.core.expr import ZERO, Ref, Value, add, call, mul, neg, number
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
