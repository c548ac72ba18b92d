"""Formulas of variances multiplied out: worth the same, and the same however they are written."""

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tpc.core.affine import Affine
from tpc.core.expr import Add, Number, Ref, Sum, Value, add, call, divide, mul, number, power
from tpc.gram.ir import Definition, Piece
from tpc.gram.monomials import MOST_BITS, MOST_POWER, MOST_TERMS, UNIT, Monomials, open_array, plus, times

NAMES = ("a", "b", "c")
A, B, C = (Value(Ref(name), False) for name in NAMES)
POSITIVE = st.builds(Fraction, st.integers(1, 9), st.integers(1, 9))


@st.composite
def formulas(draw, depth=3):
    """Sums, products, quotients and roots of positive scalars and numbers."""
    if not depth or draw(st.booleans()):
        return draw(st.one_of(st.sampled_from([A, B, C]), st.builds(number, POSITIVE)))
    inner = formulas(depth=depth - 1)
    match draw(st.sampled_from(["add", "mul", "divide", "power", "sqrt"])):
        case "add":
            return add(*draw(st.lists(inner, min_size=2, max_size=3)))
        case "mul":
            return mul(*draw(st.lists(inner, min_size=2, max_size=3)))
        case "divide":
            return divide(draw(inner), draw(inner))
        case "power":
            exponent = draw(st.sampled_from([Fraction(k) for k in (-2, -1, 2, 3, 4, 5)] + [Fraction(3, 2)]))
            return power(draw(inner), number(exponent))
    return call("sqrt", draw(inner))


def value(x, at):
    match x:
        case Number(number_):
            return float(number_)
        case Value(ref, _):
            return at[ref.name]
    parts = [value(part, at) for part in x.parts]
    match type(x).__name__:
        case "Add":
            return sum(parts)
        case "Mul":
            return math.prod(parts)
        case "Pow":
            return parts[0] ** parts[1]
    return math.sqrt(parts[0])


def worth(polynomial, at):
    return sum(
        float(coefficient) * math.prod(value(atom, at) ** float(k) for atom, k in monomial)
        for monomial, coefficient in polynomial.items()
    )


points = st.fixed_dictionaries({name: st.floats(0.5, 2) for name in NAMES})


@settings(max_examples=200, deadline=None)
@given(formulas(), points)
def test_what_is_multiplied_out_is_worth_the_same(x, at):
    try:
        expected = value(x, at)
    except OverflowError:
        assume(False)
    assume(1e-100 < expected < 1e100)
    found = Monomials({}).of(x)
    assert worth(found, at) == pytest.approx(expected, rel=1e-9)
    assert all(found.values())
    assert all(k for monomial in found for _, k in monomial)


@settings(max_examples=100, deadline=None)
@given(formulas(depth=2), formulas(depth=2), formulas(depth=2))
def test_laws_of_arithmetic_hold_to_the_letter(x, y, z):
    p, q, r = map(Monomials({}).of, (x, y, z))
    assert plus([p, q]) == plus([q, p])
    assert times(p, q) == times(q, p)
    assert times(times(p, q), r) == times(p, times(q, r))
    assert times(p, plus([q, r])) == plus([times(p, q), times(p, r)])
    assert plus([p, times(p, {UNIT: Fraction(-1)})]) == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (call("sqrt", mul(A, A, B)), mul(A, call("sqrt", B))),
        (call("sqrt", number(1)), number(1)),
        (power(mul(number(1), A), number(Fraction(3, 2))), mul(A, call("sqrt", A))),
        (mul(call("sqrt", number(2)), call("sqrt", number(2)), A), mul(number(2), A)),
        (power(add(A, B), number(2)), add(mul(A, A), mul(number(2), A, B), mul(B, B))),
        (divide(mul(A, B), B), A),
        (add(divide(A, B), divide(mul(number(-1), A), B)), number(0)),
        (power(divide(A, number(3)), number(-2)), divide(number(9), mul(A, A))),
    ],
)
def test_two_ways_to_write_one_formula_are_one(one, other):
    assert Monomials({}).of(one) == Monomials({}).of(other)


def test_only_so_many_terms_and_powers_are_written_out():
    def terms(x):
        return len(Monomials({}).of(x))

    assert terms(power(add(A, B), number(MOST_POWER))) == MOST_POWER + 1
    assert terms(power(add(A, B), number(MOST_POWER + 1))) == 1
    many = [Value(Ref("v", (Affine(k),)), False) for k in range(MOST_TERMS + 1)]
    assert terms(mul(add(*many[:8]), add(*many[8:16]))) == MOST_TERMS
    assert terms(mul(add(*many[:5]), add(*many[5:18]))) == 1  # 65
    assert terms(power(add(*many[:8]), number(2))) == 36
    assert terms(power(add(*many[:9]), number(2))) == 1  # of 81 products
    assert terms(Add(tuple(many))) == MOST_TERMS + 1


def test_powers_of_numbers_are_written_out_if_they_are_short():
    short, long = (power(mul(number(3), A), number(k)) for k in (MOST_BITS // 2, MOST_BITS // 2 + 1))
    assert Monomials({}).of(short) == {
        frozenset({(A, Fraction(MOST_BITS // 2))}): Fraction(3 ** (MOST_BITS // 2))
    }
    k = Fraction(MOST_BITS // 2 + 1)
    assert Monomials({}).of(long) == {frozenset({(A, k), (number(3), k)}): Fraction(1)}


def test_only_an_array_that_one_formula_makes_is_opened():
    body = Value(Ref("v", (Affine.var("i"),)), False)

    def opened(*pieces):
        array = Definition("a", (4,), tuple(Piece(*p, ("i",), body) for p in pieces), "")
        return open_array(Value(Ref("a", (Affine(2),)), False), {"a": array})

    assert opened(((0,), (4,))) == Value(Ref("v", (Affine(2),)), False)
    assert opened(((0,), (3,))) is None  # the last entry is 0
    assert opened(((0,), (4,)), ((0,), (4,))) is None


def test_sums_are_the_same_whatever_their_variable_is_called():
    def total(outer, inner):
        body = mul(Value(Ref("v", (Affine.var(inner),)), False), Value(Ref("w", (Affine.var(outer),)), False))
        return Sum(outer, Affine(3), Sum(inner, Affine.var(outer), body))

    known = Monomials({})
    assert known.of(total("i", "j")) == known.of(total("s", "t"))
    assert known.of(total("i", "j")) != known.of(Sum("i", Affine(4), total("i", "j").body))
