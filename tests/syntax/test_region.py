"""Sets of whole numbers: what is said of them holds, point by point."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from tpc.core.affine import Affine
from tpc.syntax.region import IntegerRegion

SIZE = 5  # variables range over 0 … SIZE
BOX = IntegerRegion(tuple(bound for v in "xyz" for bound in (Affine.var(v), Affine(SIZE) - Affine.var(v))))
affine = st.builds(
    lambda c, ks: Affine.of(c, dict(zip("xyz", ks, strict=True))),
    st.integers(-6, 6),
    st.tuples(*[st.integers(-3, 3)] * 3),
)


def points(region):
    for point in product(range(SIZE + 1), repeat=3):
        at = dict(zip("xyz", point, strict=True))
        if all(row.at(at) >= 0 for row in region.at_least) and all(row.at(at) == 0 for row in region.zero):
            yield at


@settings(max_examples=300, deadline=None)
@given(st.lists(affine, max_size=4), st.lists(affine, max_size=2), affine)
def test_agrees_with_going_through_the_points(at_least, zero, index):
    region = BOX.where(at_least, zero)
    inside = list(points(region))
    if region.is_empty:
        assert not inside
    span = region.span(index) if inside else None
    if span is not None:
        assert span == (min(index.at(p) for p in inside), max(index.at(p) for p in inside))


def test_is_certain_of_what_loops_need():
    t, s = Affine.var("t"), Affine.var("s")
    triangle = IntegerRegion((t, Affine(9) - t, s, t - s - 1))  # s < t < 10
    assert not triangle.is_empty
    assert triangle.span(s) == (0, 8)
    assert triangle.span(t - s) == (1, 9)
    assert triangle.where([s - t]).is_empty
    assert triangle.where((), [t.scaled(2) - s.scaled(2) - 1]).is_empty  # no whole numbers
