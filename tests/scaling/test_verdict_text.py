"""What `tpc scale` says: a line for each weight, and the verdict with what it rests on."""

from pathlib import Path

import pytest

import tpc

ROOT = Path(__file__).parents[2]
MLP = """mlp2, mup, c = 0
  weight  a     b    ΔW x
  U       -1/2  1/2  1     updated maximally
  W       0     1/2  1     updated maximally
  V       1/2   1/2  1     updated maximally
stable, nontrivial: f changes by a constant (ΔV xb and V₀ Δxb are of order 1)
feature learning (r = 0): xb changes by 1
"""


def test_a_verdict_is_told_with_its_table():
    assert str(tpc.load(ROOT / "programs/architectures/mlp2.tp").scale()) == MLP.rstrip("\n")


@pytest.mark.parametrize("change", [{"a2": "-1/2"}, {"c": -1}, {"b3": 0}])
def test_every_weight_has_its_line_whatever_the_verdict(change):
    verdict = tpc.load(ROOT / "programs/architectures/mlp2.tp").scale(**change)
    text = str(verdict).splitlines()
    assert [line.split()[0] for line in text[2:5]] == ["U", "W", "V"]
    assert ("not stable" in str(verdict)) == (not verdict.stable)
    if not verdict.stable:
        assert all(line.split()[3] == "–" for line in text[2:5])
        assert "updated maximally" not in str(verdict)
