"""Sizes of powers: of what is untouched by training, of its change, and of itself."""

from dataclasses import dataclass
from fractions import Fraction

import pytest

from tpc.scaling.sizes import Env, Numbers, PowerSize, SizeNode, Sizes


@dataclass(frozen=True)
class Given(SizeNode):
    known: Sizes

    def sizes(self, env):
        return self.known


@pytest.mark.parametrize(
    ("k", "sizes", "expected"),
    [
        (2, (1, 0, 1), (2, 1, 2)),  # (n + 1)² − n² = 2n + 1
        (2, (None, 1, 1), (None, 2, 2)),
        (Fraction(1, 2), (2, 1, 2), (1, 0, 1)),  # √(n² + n) − n → 1/2
        (-1, (1, 0, 1), (-1, -2, -1)),  # 1/(n + 1) − 1/n = −1/(n² + n)
        (-1, (0, 1, 1), (0, 0, 0)),  # 1/(1 + n) − 1 → −1
        (Fraction(-1, 2), (2, 1, 2), (-1, -2, -1)),
        (-1, (None, 1, 1), (None, -1, -1)),
    ],
)
def test_powers(k, sizes, expected):
    found = PowerSize(Given(Sizes(*sizes)), Fraction(k)).sizes(Env(Numbers({}), {}, {}))
    assert found == expected
