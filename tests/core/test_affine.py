"""Affine indices and exponents: a module over the integers, in which putting values in commutes with all
else."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpc.core.affine import Affine, bounds
from tpc.core.exponent import Exponent
from tpc.core.places import IndexRange, greatest, least, rounds

NAMES = ("s", "t", "u")
whole = st.integers(-5, 5)
affine = st.builds(Affine.of, whole, st.dictionaries(st.sampled_from(NAMES), whole, max_size=3))
rational = st.fractions(-4, 4, max_denominator=6)
exponent = st.builds(Exponent.of, rational, st.dictionaries(st.sampled_from(NAMES), rational, max_size=3))
places = st.fixed_dictionaries(dict.fromkeys(NAMES, whole))
quick = settings(max_examples=60, deadline=None)


@quick
@given(affine, affine, whole, places)
def test_values_of_indices_add_and_scale(a, b, k, at):
    assert (a + b).at(at) == a.at(at) + b.at(at)
    assert (a - b).at(at) == a.at(at) - b.at(at)
    assert (a + k).at(at) == a.at(at) + k
    assert (a - k).at(at) == a.at(at) - k
    assert a.scaled(k).at(at) == k * a.at(at)


@quick
@given(affine, affine, whole)
def test_equal_indices_are_one_object_of_data(a, b, k):
    """However it is made, an index has one form, so that `==` and dictionaries tell equal ones."""
    assert a + b == b + a
    assert a - a == Affine(0)
    assert (a + b) - b == a
    assert a.scaled(0) == Affine(0)
    assert a.scaled(k) + a == a.scaled(k + 1)
    for index in (a, a + b, a - b, a.scaled(k)):
        assert list(index.terms) == sorted(index.terms)
        assert all(factor for _, factor in index.terms)
        assert hash(index) == hash(Affine.of(index.const, dict(reversed(index.terms))))


@quick
@given(affine, st.dictionaries(st.sampled_from(NAMES), affine), places)
def test_indices_put_in_are_worth_the_same(a, env, at):
    moved = a.substitute(env)
    assert moved.at(at) == a.at({**at, **{name: index.at(at) for name, index in env.items()}})
    assert moved.variables <= (a.variables - env.keys()).union(*(index.variables for index in env.values()))


@quick
@given(affine)
def test_variables_are_those_with_a_coefficient(a):
    assert {name for name in NAMES if a.coefficient(name)} == a.variables
    assert a.constant == (None if a.variables else a.const)
    rest = a - sum((Affine.var(v).scaled(a.coefficient(v)) for v in a.variables), start=Affine(0))
    assert rest == Affine(a.const)


@quick
@given(affine, places)
def test_an_index_on_arrays_is_that_of_every_entry(a, at):
    grids = {name: np.array([[0, 1, 2], [3, 4, 5]]) + k for name, k in at.items()}
    found = np.broadcast_to(a.over(grids), (2, 3))
    assert found.dtype == np.int64
    for i in np.ndindex(2, 3):
        assert found[i] == a.at({name: int(grid[i]) for name, grid in grids.items()})


@quick
@given(affine, places)
def test_text_of_an_index_is_arithmetic(a, at):
    assert eval(str(a), {}, dict(at)) == a.at(at)
    assert " " not in str(a)
    assert "1*" not in str(a).replace("11*", "").replace("21*", "")


@pytest.mark.parametrize(
    ("const", "terms", "text"),
    [
        (0, {}, "0"),
        (-3, {}, "-3"),
        (1, {"t": 1}, "t+1"),
        (-1, {"t": -1}, "-t-1"),
        (0, {"u": -2, "s": 3}, "3*s-2*u"),
    ],
)
def test_indices_are_written_as_in_programs(const, terms, text):
    assert str(Affine.of(const, terms)) == text


@quick
@given(affine, st.lists(st.integers(1, 4), min_size=3, max_size=3), st.integers(0, 1))
def test_bounds_hold_and_are_attained(a, counts, slope):
    """Where no range is empty, of rectangles and of triangles."""
    ranges = [IndexRange("s", Affine(counts[0]))]
    ranges.append(IndexRange("t", Affine.var("s").scaled(slope) + counts[1]))
    ranges.append(IndexRange("u", Affine(counts[2])))
    values = [a.at(at) for at in rounds(ranges, {})]
    assert bounds(a, ranges) == (min(values), max(values))
    assert (least(a, ranges), greatest(a, ranges)) == (min(values), max(values))


def test_bounds_of_what_is_not_bound():
    assert least(Affine.var("v"), [IndexRange("s", Affine(3))]) is None
    assert greatest(Affine.var("v") + 1, []) is None
    assert least(Affine(4), []) == 4


@quick
@given(exponent, exponent, rational, st.fixed_dictionaries(dict.fromkeys(NAMES, rational)))
def test_values_of_exponents_add_and_scale(a, b, k, at):
    assert (a + b).at(at) == a.at(at) + b.at(at)
    assert (a - b).at(at) == a.at(at) - b.at(at)
    assert (a + k).at(at) == a.at(at) + k
    assert (a - k).at(at) == a.at(at) - k
    assert a.scaled(k).at(at) == k * a.at(at)


@quick
@given(exponent, exponent)
def test_equal_exponents_are_one_object_of_data(a, b):
    assert a + b == b + a
    assert (a + b) - b == a
    assert a - a == Exponent()
    assert a.scaled(0) == Exponent()
    assert hash(a + b) == hash(b + a)


@quick
@given(
    exponent,
    st.dictionaries(st.sampled_from(NAMES), exponent),
    st.fixed_dictionaries(dict.fromkeys(NAMES, rational)),
)
def test_exponents_put_in_are_worth_the_same(a, env, at):
    inner = {**at, **{name: e.at(at) for name, e in env.items()}}
    assert a.substitute(env).at(at) == a.at(inner)


@pytest.mark.parametrize(
    ("const", "terms", "text"),
    [
        (0, {}, "0"),
        (Fraction(-1, 2), {}, "-1/2"),
        (Fraction(1, 2), {"a1": Fraction(-1)}, "-a1 + 1/2"),
        (-1, {"b1": Fraction(2), "a1": Fraction(1)}, "a1 + 2*b1 - 1"),
        (0, {"a1": Fraction(1), "c": Fraction(-3, 2)}, "a1 - 3/2*c"),
    ],
)
def test_exponents_are_written_as_in_papers(const, terms, text):
    assert str(Exponent.of(const, terms)) == text
