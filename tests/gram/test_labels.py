"""What arrays of covariances are called, and signs of products as products of signs."""

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tpc.core.affine import Affine
from tpc.core.expr import (
    ONE,
    ZERO,
    Call,
    Compare,
    Mul,
    Number,
    Ref,
    Sum,
    Value,
    add,
    call,
    mul,
    number,
    walk,
)
from tpc.gram.labels import LONGEST, LONGEST_COMMENT, best_name, comment_of, name_of
from tpc.gram.signs_of_products import with_signs_of_factors

X, Y = Value(Ref("x"), True), Value(Ref("y"), True)
I = Affine.var("i")  # noqa: E741


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ([X, Y], "x_y"),
        ([X, X], "x_sq"),
        ([X], "x"),
        ([X, X, X], "x_x_x"),
        ([Value(Ref("x", (I, Affine(3))), True), Y], "x_3_y"),
        ([call("tanh", X), Y], "tanh_x_y"),
        ([Call("tanh'", (X,)), Y], "tanh_slope_x_y"),
        ([Value(Ref("a" * 20), True), Value(Ref("b" * 19), True)], f"{'a' * 20}_{'b' * 19}"),
        ([Value(Ref("a" * 20), True), Value(Ref("b" * 20), True)], f"{'a' * 20}_{'b' * 19}_"),
        ([Value(Ref("a" * 39), True), Y], f"{'a' * 39}_"),
    ],
)
def test_arrays_are_called_after_what_is_in_them(key, name):
    assert name_of(key) == name
    assert len(name) <= LONGEST + 1


@pytest.mark.parametrize(
    ("wishes", "best"),
    [
        (["x_y", "x"], "x"),
        (["relu_x", "long_name_of_x"], "long_name_of_x"),
        (["tanh_x_tanh_y", "relu_x_y"], "relu_x_y"),
        (["x$1", "relu_x_relu_y"], "relu_x_relu_y"),  # a part is worse than two functions
        (["x$1", "relu_x_relu_y_relu_z_relu_x"], "x$1"),
    ],
)
def test_of_several_names_the_plainest_is_taken(wishes, best):
    assert best_name(wishes) == best_name(wishes[::-1]) == best


def test_comments_that_are_too_long_are_not_written():
    fit, over = (Value(Ref("x" * k), True) for k in (LONGEST_COMMENT - 1, LONGEST_COMMENT))
    assert "x" * (LONGEST_COMMENT - 1) in comment_of([fit, Y])
    assert "x" * LONGEST_COMMENT not in comment_of([over, Y])


vectors = st.sampled_from([X, Y])


@st.composite
def factors(draw, depth=2):
    """What products are made of: vectors, numbers, functions whose sign is known or not, a sum of one."""
    kind = draw(st.sampled_from(["vector", "number", "function", "product", "sum"] if depth else ["vector"]))
    if kind == "number":
        return number(draw(st.integers(-2, 2)))
    if kind == "function":
        return call(
            draw(st.sampled_from(["tanh", "relu", "step", "exp", "sigmoid", "sin", "cos", "erf"])),
            draw(factors(depth=depth - 1)),
        )
    if kind == "product":
        return mul(*draw(st.lists(factors(depth=depth - 1), min_size=2, max_size=3)))
    if kind == "sum":
        return Sum("i", Affine(1), mul(Value(Ref("z", (I,)), True), draw(factors(depth=0))))
    return draw(vectors)


FUNCTIONS = {
    "tanh": math.tanh,
    "relu": lambda x: max(x, 0.0),
    "step": lambda x: float(x >= 0),
    "exp": math.exp,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "sin": math.sin,
    "cos": math.cos,
    "erf": math.erf,
    "sign": lambda x: float((x > 0) - (x < 0)),
    "abs": abs,
}


def value(x, at):
    match x:
        case Number(found):
            return float(found)
        case Value(ref, _):
            return at[ref.name]
        case Mul(parts):
            return math.prod(value(part, at) for part in parts)
        case Sum(_, _, body):
            return value(body, at)
        case Compare(op, left, right):
            one, other = value(left, at), value(right, at)
            return one > other if op == ">" else one >= other
        case Call("where", (condition, then, otherwise)):
            return value(then if value(condition, at) else otherwise, at)
        case Call(function, (argument,)):
            return FUNCTIONS[function](value(argument, at))
    raise TypeError(type(x).__name__)


@settings(max_examples=200, deadline=None)
@given(factors(), st.sampled_from(["sign", "abs"]), st.tuples(*[st.floats(-3, 3)] * 3))
def test_signs_and_absolute_values_of_products_are_those_of_factors(x, function, at):
    point = dict(zip("xyz", at, strict=True))
    whole = Call(function, (x,))
    assume(all(abs(coordinate) > 1e-3 for coordinate in at))
    found = with_signs_of_factors(whole)
    assert value(found, point) == pytest.approx(value(whole, point))
    for node in walk(found):
        if isinstance(node, Call) and node.function == function:
            assert not isinstance(node.args[0], Mul)


@pytest.mark.parametrize(
    ("x", "sign", "absolute"),
    [
        (mul(number(-3), X), mul(number(-1), call("sign", X)), mul(number(3), call("abs", X))),
        (mul(call("exp", X), Y), call("sign", Y), mul(call("exp", X), call("abs", Y))),
        (call("tanh", X), call("sign", X), call("abs", call("tanh", X))),
        (call("relu", X), call("where", Compare(">", X, ZERO), ONE, ZERO), call("relu", X)),
        (call("step", X), call("where", Compare(">=", X, ZERO), ONE, ZERO), call("step", X)),
        (add(X, Y), call("sign", add(X, Y)), call("abs", add(X, Y))),
        (Sum("i", Affine(2), mul(X, Y)),) * 3,
    ],
)
def test_signs_to_the_letter(x, sign, absolute):
    for function, expected in (("sign", sign), ("abs", absolute)):
        found = with_signs_of_factors(mul(Call(function, (x,)), X))
        assert found == mul(expected if expected is not x else call(function, x), X)
