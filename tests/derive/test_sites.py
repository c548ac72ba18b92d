"""Rounds of instructions that are before others, as formulas name them: compared with all rounds."""

import itertools

import pytest

import tpc
from tests.core.test_storage import random_program
from tpc.core.affine import Affine
from tpc.core.expr import Ref, Value, delta, mul
from tpc.core.places import IndexRange, in_rounds, rounds, sites_of
from tpc.derive.partials import summation
from tpc.derive.sites import FormulaScope, all_rounds, round_of
from tpc.derive.text import TextNotation


@pytest.mark.parametrize("avoid", [set(), {"t"}, {"s", "t"}, {"s", "t", "r", "q", "p", "l", "m"}])
def test_variables_of_all_rounds_are_new_and_differ(avoid):
    program = tpc.parse(
        "width n\nvector u : n ~ N(0, 1)\nfor t < 3:\n    for s < t + 1:\n        for r < 2:\n"
        "            c[t, s, r] = mean(u^2)\noutput m = c[2, 1, 0]\n"
    )
    site = sites_of(program.body)[0]
    found = all_rounds(site, {}, 0, avoid)
    names = [v for v, _ in found.ranges]
    assert len(set(names)) == 3
    assert not set(names) & avoid
    at = [tuple(found.env[v].at(values) for v in "tsr") for values in rounds(found.ranges, {})]
    assert at == [tuple(values[v] for v in "tsr") for values in rounds(site.loops, {})]
    inner = all_rounds(site, {"t": Affine(1)}, 1, avoid)
    assert len(list(rounds(inner.ranges, {}))) == 2 * 2


@pytest.mark.parametrize(
    ("s", "found"),
    [
        (Affine.var("t"), "x[t]"),  # from 0 on
        (Affine.var("t") + 1, "x[t+1]"),
        (Affine.var("t") - 1, "Σ_{s<4} [s+1 = t]·x[s]"),  # none for t = 0
        (Affine.var("t") + 2, "Σ_{s<4} [s = t+2]·x[s]"),
        (Affine.var("t") + 4, "0"),
        (Affine.var("t") - 3, "0"),
        (Affine.var("t").scaled(2), "Σ_{s<4} [s = 2·t]·x[s]"),
    ],
)
def test_a_bracket_that_every_round_has_a_term_for_leaves_that(s, found):
    """Over s < 4, in rounds t < 3."""
    body = mul(delta(Affine.var("s"), s), Value(Ref("x", (Affine.var("s"),)), False))
    total = summation([IndexRange("s", Affine(4))], body, [IndexRange("t", Affine(3))])
    assert TextNotation(FormulaScope()).expr(total) == found


@pytest.mark.parametrize("seed", range(12))
def test_the_round_that_makes_a_member(seed):
    """Every member is traced to the round that made it, and to no other."""
    program = random_program(seed)
    sites = sites_of(program.body)
    for site in sites:
        made = [(op, dict(at)) for op, at in in_rounds(program.body, {}) if op is site.op]
        for (_, at), other in itertools.product(made, sites):
            member = Ref(site.out.name, tuple(Affine(i.at(at)) for i in site.out.index))
            if other.out.name != site.out.name:
                continue
            found = round_of(other, member)
            if other is site:
                assert found is not None
                assert {v: i.const for v, i in found.items()} == {v: at[v] for v in site.variables}
