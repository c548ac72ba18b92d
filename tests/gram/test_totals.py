"""Sums in which brackets are used up: worth the same as term by term, whatever they range over."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tpc
from tpc.core.affine import Affine, bounds
from tpc.core.expr import Add, Delta, Mul, Number, Position, Ref, Sum, Value, add, delta, mul, number
from tpc.gram.ir import total

P = 4
COUNTS = {"i": 3, "j": 4, "k": 2}
INDICES = st.builds(
    Affine.of, st.integers(-2, 2), st.dictionaries(st.sampled_from("ijk"), st.integers(-2, 2), max_size=2)
)


def range_of(index):
    return bounds(index, tuple((v, Affine(n)) for v, n in COUNTS.items()))


@st.composite
def terms(draw):
    """Products of brackets, members and positions."""
    factors = st.one_of(
        st.builds(lambda i, j: delta(i, j), INDICES, INDICES),
        st.builds(lambda i: delta(Affine.var("i"), i), INDICES),
        st.sampled_from([Value(Ref("a", (Affine.var(v),)), False) for v in "ijk"]),
        st.builds(lambda k: number(k), st.integers(-2, 2)),
    )
    return mul(*draw(st.lists(factors, min_size=1, max_size=4)))


def value(x, at):
    match x:
        case Number(found):
            return found
        case Value(_, _):
            return 1 + 7 * x.ref.index[0].at(at)
        case Position(index):
            return index.at(at)
        case Delta(left, right):
            return int(left.at(at) == right.at(at))
        case Sum(variable, count, body):
            return sum(value(body, {**at, variable: t}) for t in range(count.at(at)))
        case Add(parts):
            return sum(value(part, at) for part in parts)
        case Mul(parts):
            out = 1
            for part in parts:
                out *= value(part, at)
            return out
    raise TypeError(type(x).__name__)


@settings(max_examples=300, deadline=None)
@given(st.lists(terms(), min_size=1, max_size=3), st.sampled_from("ijk"))
def test_a_sum_is_worth_its_terms(parts, variable):
    x = add(*parts)
    found = total(variable, COUNTS[variable], x, range_of)
    for i in range(COUNTS["i"]):
        for j in range(COUNTS["j"]):
            for k in range(COUNTS["k"]):
                at = {"i": i, "j": j, "k": k}
                expected = sum(value(x, {**at, variable: t}) for t in range(COUNTS[variable]))
                assert value(found, at) == expected


def test_brackets_are_used_up_only_where_there_is_one_place_for_sure():
    a = Value(Ref("a", (Affine.var("i"),)), False)
    i, j, k = (Affine.var(v) for v in "ijk")

    def summed(bracket, count=3):
        return total("i", count, mul(bracket, a), range_of)

    assert summed(delta(i, k)) == Value(Ref("a", (k,)), False)
    assert summed(delta(i, k + 1)) == Value(Ref("a", (k + 1,)), False)
    assert isinstance(summed(delta(i, k + 2)), Sum)  # may be 3
    assert isinstance(summed(delta(i, k - 1)), Sum)  # may be −1
    assert isinstance(summed(delta(i, j)), Sum)
    assert summed(delta(i, j), 4) == Value(Ref("a", (j,)), False)
    assert isinstance(summed(delta(i.scaled(2), k)), Sum)
    assert summed(delta(i.scaled(-1), j.scaled(-1)), 4) == Value(Ref("a", (j,)), False)
    assert total("i", 0, a, range_of) == number(0)
    assert total("i", 3, Value(Ref("b"), False), range_of) == mul(number(3), Value(Ref("b"), False))


@pytest.mark.parametrize("member", ["p", "p+1", "p+2", "P-p", "2*p"])
def test_a_bracket_in_a_sum_moves_what_is_summed(member):
    """Σ_p x[i, p] [j = p + c] is a row of x, moved by c; in no other order, and not spread."""
    program = tpc.parse(
        f"width n\ndim N = 3, P = {P}\ninput x[N, P]\nvector u[p < 2*P] : n ~ N(0, p + 1)\n"
        f"h[i] = sum(p < P: x[i, p]*u[{member}]) for i < N\n"
        "output d[i, j] = mean(h[i]*u[j]) for i < N for j < 2*P\n"
    )
    evaluator = program.compile(method="gram")
    x = np.random.default_rng(0).normal(size=(3, P))
    expected = np.zeros((3, 2 * P))
    for p in range(P):
        j = eval(member, {"p": p, "P": P})
        expected[:, j] += x[:, p] * (j + 1)
    np.testing.assert_allclose(evaluator({"x": x})["d"].value, expected, rtol=1e-14)
    assert ("moved(" in evaluator.source) == (member in ("p", "p+1", "p+2"))
