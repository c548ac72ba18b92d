"""Rounds of instructions that are before others, as formulas name them: compared with all rounds."""

import itertools

import pytest

import tpc
from tests.core.test_storage import random_program
from tpc.core.affine import Affine
from tpc.core.expr import Ref
from tpc.core.places import in_rounds, rounds, sites_of
from tpc.derive.sites import all_rounds, round_of


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
