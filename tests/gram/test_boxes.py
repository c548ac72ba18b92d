"""Sites of a program with its loops written out: those that may make a member are found by its indices."""

import itertools

import pytest

import tpc
from tpc.core.affine import Affine
from tpc.core.expr import Gather, Ref
from tpc.gram import boxes
from tpc.gram.boxes import Boxes

TEXT = """width n
dim T = {rounds}
input j[3] : index(3)
matrix W : n x n ~ N(0, 1/n)
vector u[i < 3] : n ~ N(0, 1)
x[0, i] = u[i] for i < 3
x[1, i] = u[j[i]] + u[i] for i < 3
for t < T:
    x[t+2, 2] = x[t, 1]
    for i < 2:
        x[t+2, i] = W @ (x[t+1, i] + x[t, 2])
output q[i] = mean(x[T+1, i]^2) for i < 3
"""
RANGES = {"u": (3,), "x": (6, 3)}


@pytest.mark.parametrize("family", RANGES)
def test_sites_of_a_member_are_those_that_may_hold_it(family):
    """Of all indices, constant or not, and of none that is made."""
    sites = Boxes(tpc.parse(TEXT.format(rounds=4)))
    others = [Affine.var("t"), Gather("j", (Affine(0),))]
    axes = [[*map(Affine, range(-1, n + 1)), *others] for n in RANGES[family]]
    for index in itertools.product(*axes):
        for before in (None, len(sites.every) // 2):
            wanted = [
                site
                for site in sites.every
                if site.family == family
                and (before is None or site.number < before)
                and all(
                    not isinstance(i, Affine) or i.terms or start <= i.const < start + count
                    for i, start, count in zip(index, site.starts, site.counts, strict=True)
                )
            ]
            assert sites.of(Ref(family, index), before) == wanted
    assert len(sites.of(Ref(family, (Affine(1),) * len(RANGES[family])))) == 1
    assert sites.of(Ref("nowhere", (Affine(1),))) == []


def test_other_rounds_are_not_gone_through(monkeypatch):
    """Or planning a training takes the square of its steps."""
    sites, looked, old = Boxes(tpc.parse(TEXT.format(rounds=200))), [], boxes.may_hold
    monkeypatch.setattr(boxes, "may_hold", lambda *of: looked.append(of) or old(*of))
    assert len(sites.of(Ref("x", (Affine(150), Affine(1))))) == 1
    assert len(looked) <= 2
    assert sites.whole("u", 0) == 3
    assert sites.whole("x", 0) is None
