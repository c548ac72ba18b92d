"""Arrays are cut where another instruction makes the members, and what is not cut there is refused."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tpc
from tpc.core.affine import Affine
from tpc.core.expr import Ref
from tpc.gram.axes import Axes
from tpc.gram.boxes import Box
from tpc.gram.ir import NotGramError

OP = tpc.parse("width n\nvector u : n ~ N(0, 1)\nx = 2*u\noutput m = mean(x)\n").body[0]


@st.composite
def readings(draw):
    """A family of one or two axes, made in boxes, some of which are missing; how it is read; and how far."""
    ends = [
        [0, *sorted(draw(st.sets(st.integers(1, 9), max_size=3))), 10] for _ in range(draw(st.integers(1, 2)))
    ]
    sites = [
        Box(OP, k, "x", ("v",) * len(box), tuple(a for a, _ in box), tuple(b - a for a, b in box))
        for k, box in enumerate(itertools.product(*map(itertools.pairwise, ends)))
    ]
    kept = draw(st.lists(st.sampled_from(sites), unique=True, min_size=1))
    axes = Axes({}, lambda name, k: None, lambda name, k: False)
    index = []
    for _ in ends:
        count, k = draw(st.integers(1, 4)), draw(st.sampled_from([-3, -2, -1, 1, 2, 3]))
        low, high = min(0, k * (count - 1)), max(0, k * (count - 1))
        name = axes.fresh("i", count)
        index.append(Affine.of(draw(st.integers(-low, 9 - high)), {name: k}))
    return axes, Ref("x", tuple(index)), kept


def maker(ref, at, sites):
    """The site that makes the member at these values of the variables."""
    place = [i.substitute({v: Affine(k) for v, k in at.items()}).const for i in ref.index]
    found = (
        s for s in sites if all(a <= p < a + n for p, a, n in zip(place, s.starts, s.counts, strict=True))
    )
    return next(found, None)


@given(readings())
def test_parts_between_cuts_are_of_one_site(reading):
    axes, ref, sites = reading
    names = list(axes.extents)
    every = {
        at: maker(ref, dict(zip(names, at, strict=True)), sites)
        for at in itertools.product(*(range(n) for n in axes.extents.values()))
    }
    whole = set(every.values())
    if len(whole) > 1:  # not cut, it is of several
        with pytest.raises(NotGramError, match=r"`x\[.*\]` is made by several instructions"):
            axes.site(ref, sites)
    elif None not in whole:
        assert {axes.site(ref, sites)} == whole
    cuts = axes.cuts(names, [(ref, sites)])
    for box in itertools.product(*map(itertools.pairwise, cuts)):
        parts = [axes.fresh("j", b - a) for a, b in box]
        at = {v: Affine.var(p) + a for v, p, (a, _) in zip(names, parts, box, strict=True)}
        own = axes.site(Ref("x", tuple(i.substitute(at) for i in ref.index)), sites)
        assert {every[place] for place in itertools.product(*(range(a, b) for a, b in box))} == {own}
