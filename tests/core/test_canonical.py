"""Canonical forms at their edges: powers that are written out, and brackets of indices."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpc.core.affine import Affine
from tpc.core.expr import ONE, ZERO, Delta, Number, Pow, Ref, Value, delta, number, power

X = Value(Ref("x"), True)


@pytest.mark.parametrize(
    ("base", "exponent", "is_number"),
    [
        (2, 500, True),  # of two bits each
        (2, 501, False),
        (2, -500, True),
        (2, -501, False),
        (100, 142, True),  # of seven
        (100, 143, False),
        (Fraction(1, 100), 142, True),
        (Fraction(1, 100), 143, False),
        (0, 1, True),
        (0, 500, True),
        (0, -1, False),  # has no value
        (0, Fraction(1, 2), False),
        (4, Fraction(1, 2), False),
    ],
)
def test_powers_of_numbers_are_written_out_up_to_a_thousand_bits(base, exponent, is_number):
    found = power(number(base), number(exponent))
    assert found == (
        number(Fraction(base) ** int(exponent)) if is_number else Pow(number(base), number(exponent))
    )


@pytest.mark.parametrize(("inner", "outer", "one"), [(9, 111, True), (10, 100, False), (-10, 100, True)])
def test_powers_of_powers_are_one_up_to_a_thousand(inner, outer, one):
    found = power(power(X, number(inner)), number(outer))
    assert found == (Pow(X, number(inner * outer)) if one else Pow(Pow(X, number(inner)), number(outer)))
    assert power(power(X, number(Fraction(1, 2))), number(2)) != X  # of a negative number
    assert power(power(X, number(2)), number(Fraction(1, 2))) != X


indices = st.builds(
    Affine.of, st.integers(-3, 3), st.dictionaries(st.sampled_from("stu"), st.integers(-2, 2), max_size=3)
)
places = st.fixed_dictionaries({v: st.integers(0, 4) for v in "stu"})


@given(indices, indices, places)
def test_brackets_are_one_form_of_what_they_say(left, right, at):
    """Whichever side stands first, up to exchange; nothing is subtracted, and no variable stands on both."""
    found = delta(left, right)
    if isinstance(found, Number):
        assert found in (ZERO, ONE)
        assert (found == ONE) == (left.at(at) == right.at(at))
        return
    assert isinstance(found, Delta)
    assert (found.left.at(at) == found.right.at(at)) == (left.at(at) == right.at(at))
    assert delta(right, left) == Delta(found.right, found.left)
    assert all(k > 0 for side in (found.left, found.right) for _, k in side.terms)
    assert min(found.left.const, found.right.const) == 0
    assert not found.left.variables & found.right.variables
