"""Where instructions stand, whether references may meet, names, and passes that others are made of."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tpc
from tpc.core.affine import Affine
from tpc.core.names import SplitName, distinct, free_part, fresh, is_part, is_part_of, numbered, part
from tpc.core.passes import needed_for, renamed, without_unused
from tpc.core.places import IndexRange, in_rounds, may_make, may_meet, rounds, shared, sites_of
from tpc.core.wellformed import verified

PROGRAM = """
width n
dim T = 3
matrix W : n x n ~ N(0, 1/n)
vector x0 : n ~ N(0, 1)
x[0] = x0
for t < T:
    h[t] = W @ x[t]
    x[t+1] = tanh(h[t])
    for s < t + 1:
        c[t, s] = mean(x[t]*x[s])
unused = mean(x[T]^2)
output c[2, s] for s < 3
"""


def test_sites():
    program = tpc.parse(PROGRAM)
    sites = sites_of(program.body)
    assert [site.number for site in sites] == list(range(len(sites)))
    made = {str(site.out): site for site in sites}
    h, c = made["h[t]"], made["c[t, s]"]
    assert shared(h, c) == 1
    assert shared(c, c) == 2
    assert c.loops == (IndexRange("t", Affine(3)), IndexRange("s", Affine.var("t") + 1))
    assert [dict(at) for op, at in in_rounds(program.body, {}) if op is c.op] == list(rounds(c.loops, {}))
    assert len(list(rounds(c.loops, {}))) == 6


@pytest.mark.parametrize("seed", range(40))
def test_whether_references_may_meet(seed):
    """No two that meet in some round are told apart, and none that lie apart are kept."""
    r = random.Random(seed)

    def place():
        loops = [IndexRange("a", Affine(r.randint(1, 3))), IndexRange("b", Affine.var("a") + r.randint(0, 2))]
        kept = loops[: r.randint(0, 2)]
        index = Affine.of(r.randint(0, 4), {loop.variable: r.choice((1, 1, 2)) for loop in kept})
        return index, kept, {index.at(at) for at in rounds(kept, {})}

    (i, i_loops, i_values), (j, j_loops, j_values) = place(), place()
    found = may_meet(i, i_loops, j, j_loops)
    assert found or not i_values & j_values
    if i_values and j_values and (max(i_values) < min(j_values) or max(j_values) < min(i_values)):
        assert not found
    assert may_meet(i + Affine.var("elsewhere"), i_loops, j, j_loops)  # of which nothing is known


def test_what_makes_a_member():
    sites = sites_of(tpc.parse(PROGRAM).body)
    start, step = (site for site in sites if site.out.name == "x")
    members = [type(start.out)("x", (Affine(k),)) for k in range(5)]
    assert [may_make(start, ref, ()) for ref in members] == [True, False, False, False, False]
    assert [may_make(step, ref, ()) for ref in members] == [False, True, True, True, False]


def test_names():
    taken = {"h", "h_2", "h$1", "s"}
    assert numbered("h$", taken) == "h$2"
    assert distinct("h", taken) == "h_3"
    assert distinct("k", taken) == "k"
    assert [part("h$7", taken) for _ in range(2)] == ["h$2", "h$3"]
    letters = [fresh("s", set("srqplm"[:k])) for k in range(7)]
    assert letters == ["s", "r", "q", "p", "l", "m", "s'"]
    program = tpc.parse(PROGRAM)
    assert {"n", "W", "x0", "x", "h", "c", "unused"} <= program.names
    assert not {"t", "s"} & program.names


def test_what_is_not_needed_is_left_out():
    program = tpc.parse(PROGRAM)
    assert "unused" not in needed_for(program.body, {"c"})
    lean = verified(without_unused(program))
    assert [f.name for f in lean.families] == [f.name for f in program.families if f.name != "unused"]
    assert "unused" in str(program)
    assert "unused" not in str(lean)
    assert without_unused(lean) == lean


def test_other_names():
    program = tpc.parse(PROGRAM)
    new = verified(renamed(program, {"x": "y", "c": "d"}))
    names = {site.out.name for site in sites_of(new.body)}
    assert names == {"y", "h", "d", "unused"}
    assert renamed(new, {"y": "x", "d": "c"}) == program
    assert all(o.ref.name == "d" for o in new.outputs)
    assert list(itertools.chain(*(g.names for g in new.gaussians))) == ["x0"]


@given(st.text("ab", min_size=1), st.none() | st.text("12$"))
def test_names_come_apart_into_what_they_are_made_of(base, number):
    name = str(SplitName(base, number))
    assert SplitName.of(name) == SplitName(base, number)
    assert is_part(name) == (number is not None)
    assert is_part_of(free_part(name, {f"{name}$1"}), name)
