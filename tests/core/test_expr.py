"""Expressions: canonical, printed and parsed back the same, and worth the same however they are
rearranged."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.special
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tpc
from tpc.core.affine import Affine, bounds
from tpc.core.calculus import NotDifferentiableError, differentiate
from tpc.core.expr import (
    ONE,
    ZERO,
    Call,
    Compare,
    Constant,
    Mul,
    Number,
    Position,
    Pow,
    Ref,
    Sum,
    Value,
    add,
    call,
    children,
    divide,
    is_vector,
    mul,
    neg,
    number,
    power,
    rebuild,
    replace,
    summed,
    values,
)
from tpc.core.functions import FUNCTIONS, written
from tpc.core.laws import is_constant, is_zero, law_number
from tpc.core.numeric import Namespace, evaluate
from tpc.core.printer import print_expr
from tpc.core.program import instructions
from tpc.core.traverse import expand_sums, substitute

NUMPY = Namespace(np, scipy.special)
X, Y = Value(Ref("x"), True), Value(Ref("y"), True)
C = Value(Ref("c"), False)
T = Affine.var("t")
PROGRAM = """
width n
vector x : n ~ N(0, 1)
vector y : n ~ N(0, 1)
vector z[i < 4] : n ~ N(0, 1)
input c, d[i < 4], j[i < 4] : index(4)
for t < 3:
    out[t] = {}
"""


def exact(limit=40):
    return st.builds(
        lambda p, q: number(Fraction(p, q)), st.integers(-limit, limit), st.sampled_from([1, 1, 1, 2, 3, 10])
    )


@st.composite
def expressions(draw, depth=4):
    """An expression in x, y, z[·], c, d[·] and the loop variable t, built by the constructors."""
    leaves = [
        st.sampled_from([X, Y, C, Constant("pi"), Constant("e"), Position(T)]),
        exact(),
        st.builds(lambda k: Value(Ref("z", (T + k,)), True), st.integers(0, 1)),
        st.builds(lambda k: Value(Ref("d", (Affine(k),)), False), st.integers(0, 3)),
    ]
    if not depth:
        return draw(st.one_of(leaves))
    x = draw(_composed(expressions(depth=depth - 1), leaves))
    if is_constant(x):  # what no float holds, and what has no value, is refused where it is read
        value = law_number(x, {}, ())
        assume(np.isfinite(value) and (value != 0 or not isinstance(x, Pow) or is_zero(x.base)))
    return x


@st.composite
def _composed(draw, inner, leaves):
    kind = draw(
        st.sampled_from(
            ["leaf", "add", "add", "mul", "mul", "power", "divide", "neg", "call", "where", "sum"]
        )
    )
    if kind == "leaf":
        return draw(st.one_of(leaves))
    if kind in ("add", "mul"):
        return (add if kind == "add" else mul)(*draw(st.lists(inner, min_size=2, max_size=3)))
    if kind == "divide":
        below = draw(inner)
        assume(not is_zero(below))
        return divide(draw(inner), below)
    if kind == "neg":
        return neg(draw(inner))
    if kind == "power":
        base, exponent = draw(inner), draw(st.one_of(exact(4), inner))
        assume(base != ZERO and not isinstance(base, Number))
        return power(base, exponent)
    if kind == "where":
        a, b, c, d = (draw(inner) for _ in range(4))
        return call("where", Compare(draw(st.sampled_from(["<", "<=", ">", ">="])), a, b), c, d)
    if kind == "sum":
        s = Affine.var("s")
        term = mul(
            draw(st.sampled_from([Value(Ref("z", (s,)), True), Value(Ref("d", (s,)), False), Position(s)])),
            draw(expressions(depth=0)),
        )
        return summed("s", draw(st.sampled_from([T + 1, Affine(3)])), term)
    function = draw(st.sampled_from([f for f in FUNCTIONS if f != "where"]))
    return call(function, *(draw(inner) for _ in range(FUNCTIONS[function].arguments)))


def parsed(text):
    return next(
        op for op, _ in instructions(tpc.parse(PROGRAM.format(text)).body) if op.out.name == "out"
    ).phi


@settings(max_examples=50, deadline=None)
@given(expressions())
def test_what_is_printed_is_parsed_as_the_same(x):
    text = print_expr(x)
    again = parsed(text if is_vector(x) else f"{text} + 0*x")
    assert again == x
    assert print_expr(again) == text


def number_of(x, at):
    """The value of `x`: `at` gives x, y, z, c, d as arrays and t as a number."""

    def leaf(node):
        match node:
            case Value(ref, _):
                return (
                    at[ref.name][tuple(i.at({"t": at["t"]}) for i in ref.index)]
                    if ref.index
                    else at[ref.name]
                )
            case Position(index):
                return float(index.at({"t": at["t"]}))
        return None

    with np.errstate(all="ignore"):
        return evaluate(expand_sums(substitute(x, {"t": Affine(at["t"])})), leaf, NUMPY)


def point(seed, t=1):
    rng = np.random.default_rng(seed)
    return {
        "x": rng.normal(size=6),
        "y": rng.normal(size=6),
        "z": rng.normal(size=(4, 6)),
        "c": rng.normal(),
        "d": rng.normal(size=4),
        "t": t,
    }


@settings(max_examples=80, deadline=None)
@given(expressions(depth=3), st.integers(0, 2))
def test_rebuilding_and_replacing_change_no_value(x, t):
    at = point(3, t)
    assert replace(x, lambda node: None) is x
    renamed = replace(x, lambda node: Value(Ref("w"), True) if node == X else None)
    assert X not in values(renamed)
    np.testing.assert_allclose(
        number_of(renamed, {**at, "w": at["x"]}), number_of(x, at), rtol=1e-9, equal_nan=True
    )
    assert rebuild(x, children(x)) == x


def test_canonical_forms():
    assert add(X, number(2), add(Y, number(-2))) == add(X, Y)
    assert add() == ZERO
    assert add(X, ZERO) == X
    assert mul(number(2), mul(X, number(Fraction(1, 2)))) == X
    assert mul(X, ZERO, Y) == ZERO
    assert mul() == ONE
    assert neg(neg(X)) == X
    assert power(X, ONE) == X
    assert power(X, ZERO) == ONE
    assert power(power(X, number(2)), number(3)) == power(X, number(6))
    assert power(number(2), number(-2)) == number(Fraction(1, 4))
    assert isinstance(power(number(2), number(10**6)), Pow)  # not written out
    assert call("square", X) == power(X, number(2))
    assert divide(X, number(4)) == Mul((number(Fraction(1, 4)), X))
    assert summed("s", Affine(0), X) == ZERO == summed("s", Affine(3), ZERO)
    assert written("max", X, Y, C) == call("max", call("max", X, Y), C)
    assert not is_vector(mul(C, Constant("pi")))


def test_sums_are_expanded_and_their_variables_bound():
    inner = Sum("s", T, Value(Ref("z", (Affine.var("s"),)), True))
    assert substitute(inner, {"t": Affine(2), "s": Affine(7)}) == Sum("s", Affine(2), inner.body)
    assert expand_sums(substitute(inner, {"t": Affine(2)})) == add(
        *(Value(Ref("z", (Affine(k),)), True) for k in range(2))
    )
    assert expand_sums(substitute(inner, {"t": Affine(0)})) == ZERO
    assert expand_sums(inner) == inner


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_derivatives_against_differences(name):
    """Central differences, away from kinks and inside domains."""
    entry = FUNCTIONS[name]
    slots = [Value(Ref(f"a{i}"), True) for i in range(entry.arguments)]
    grid = np.linspace(0.15, 2.4, 24) if entry.growth == "local" else np.linspace(-2.4, 2.35, 24)
    at = {"a0": grid, "a1": grid[::-1] / 2 + 0.03, "a2": np.sin(grid)}
    f = (
        call(name, Compare(">", slots[0], number(0)), *slots[1:])
        if name == "where"
        else Call(name, tuple(slots))
    )
    f = mul(f, add(ONE, power(slots[-1], number(2))))  # products and powers on the way

    def value(x, **changed):
        return evaluate(
            x, lambda node: {**at, **changed}[node.ref.name] if isinstance(node, Value) else None, NUMPY
        )

    for slot in slots:

        def seed(node, slot=slot):
            return ONE if node == slot else ZERO if isinstance(node, Value) else None

        if None in entry.derivatives and (name != "where" or slot == slots[0]):
            if name != "where":
                with pytest.raises(NotDifferentiableError):
                    differentiate(f, seed)
            continue
        step, here = 1e-4, slot.ref.name
        near, far = (
            value(f, **{here: at[here] + k * step}) - value(f, **{here: at[here] - k * step}) for k in (1, 2)
        )
        difference = (8 * near - far) / (12 * step)  # to the fourth order
        np.testing.assert_allclose(
            value(differentiate(f, seed)) + 0 * grid, difference, rtol=1e-10, atol=1e-10
        )


def test_second_derivatives_of_smooth_functions():
    for name, entry in FUNCTIONS.items():
        if entry.arguments == 1 and entry.shape == "smooth":
            first = differentiate(call(name, X), lambda node: ONE if node == X else None)
            second = differentiate(first, lambda node: ONE if node == X else None)
            x, h = np.linspace(-2, 2, 9), 1e-3
            at = [
                evaluate(first, lambda node, p=x + k * h: p if node == X else None, NUMPY) + 0 * x
                for k in (-2, -1, 1, 2)
            ]
            difference = (8 * (at[2] - at[1]) - (at[3] - at[0])) / (12 * h)  # to the fourth order
            found = evaluate(second, lambda node, x=x: x if node == X else None, NUMPY)
            np.testing.assert_allclose(found + 0 * x, difference, rtol=1e-9, atol=1e-9)


def test_powers_with_variable_exponents():
    f = power(add(ONE, power(X, number(2))), Y)
    for slot, name in ((X, "x"), (Y, "y")):
        found = number_of(
            differentiate(
                f, lambda node, slot=slot: ONE if node == slot else ZERO if isinstance(node, Value) else None
            ),
            point(1),
        )
        up, down = ({**point(1), name: point(1)[name] + h} for h in (1e-6, -1e-6))
        np.testing.assert_allclose(found, (number_of(f, up) - number_of(f, down)) / 2e-6, rtol=1e-6)


def test_gelu_with_a_width():
    """TP4's gelu(x, σ) tends to relu as σ → 0."""
    x = np.linspace(-2, 2, 9)
    found = evaluate(
        written("gelu", X, number(Fraction(1, 1000))), lambda node: x if node == X else None, NUMPY
    )
    np.testing.assert_allclose(found, np.maximum(x, 0), atol=1e-3)


affine = st.builds(
    lambda c, ks: Affine.of(c, dict(zip("abc", ks, strict=True))),
    st.integers(-9, 9),
    st.tuples(*[st.integers(-3, 3)] * 3),
)
place = st.fixed_dictionaries({v: st.integers(-9, 9) for v in "abc"})


@given(affine, affine, st.integers(-4, 4), place)
def test_affine_arithmetic(p, q, k, at):
    assert (p + q).at(at) == p.at(at) + q.at(at)
    assert (p - q).at(at) == p.at(at) - q.at(at)
    assert p.scaled(k).at(at) == k * p.at(at)
    assert p.substitute({"a": q}).at(at) == p.at({**at, "a": q.at(at)})
    assert p - p == Affine()
    assert int(p.over({v: np.array(x) for v, x in at.items()})) == p.at(at)
    assert eval(str(p), {}, at) == p.at(at)


@given(affine, st.integers(1, 4), st.integers(0, 2), st.integers(1, 3))
def test_bounds_are_attained_where_no_range_is_empty(index, first, slope, extra):
    ranges = (
        ("a", Affine(first)),
        ("b", Affine.of(extra, {"a": slope})),
        ("c", Affine.of(1, {"a": 1, "b": 1})),
    )
    all_values = [
        index.at({"a": a, "b": b, "c": c})
        for a in range(first)
        for b in range(slope * a + extra)
        for c in range(1 + a + b)
    ]
    low, high = bounds(index, ranges)
    assert low <= min(all_values)
    assert max(all_values) <= high
    if index.coefficient("c") == 0:
        assert (low, high) == (min(all_values), max(all_values))
