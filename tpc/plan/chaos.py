"""The chaos representation: exact for programs whose vectors are polynomials of the standard Gaussians.

A polynomial can be held as coefficients on products of Hermite polynomials, or as its values at the nodes of
a product of Gauss–Hermite rules that integrates every product of two that occurs: the same space and the same
inner product, exactly, in another basis. tpc holds values. A nonlinearity is then the function itself, at
each point, where coefficients would need tables of Hermite products as large as the cube of a basis; what
else the emitter has for values at points is used as it is; and rounding stays relative, as all weights are
positive.

What makes it affordable is to know the degrees. `degrees.py` follows the program round by round and finds how
high each Gaussian's powers come in what is really integrated for the outputs, `sectors.py` which vectors are
functions of different Gaussians. A Gaussian whose powers up to k have to be integrated takes k/2 + 1 nodes.
With φ(s) = s², d = 1, where degrees double or triple with every step, that makes these points:

    steps T                               1       2          3              4                  5
    6             7
    one hidden layer, Thm 6.1             1       6         20             63                221
    825         3,185
    two, decoupled, Thm 6.3           3 + 1  9 + 12  105 + 120  1,485 + 1,890    52,785 + 59,670   3.3 + 3.8
    million             -
    two, Thm 6.4                      3 + 1  9 + 12  147 + 120  7,581 + 1,890   1.2 million + 59,670
    -             -

A basis of Hermite products up to the same total degree has about as many terms (435,000 for two layers, T =
5), before they are multiplied. A sparse grid would need fewer points where many Gaussians occur with low
degrees, but has weights of both signs, which Gram–Schmidt does not survive.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tpc.core.program import Program
from tpc.plan.degrees import degrees, points_of
from tpc.plan.gaussians import Confined, Layout, Side
from tpc.plan.sectors import Sectors

SECONDS, MEMORY = 20.0, 2e9  # the budget of a run; beyond it the plan takes nodes unless told otherwise
RANGE = {"float64": 300, "float32": 37}  # decimal digits to the greatest number
BANDWIDTH = 4e9  # bytes a second that a core streams through
SPARE_VECTORS = 6  # that are made on the way


@dataclass(frozen=True, slots=True)
class Kept:
    """The vectors of a family that there are at once: `count` of them, in each of `rounds` that are run side
    by side."""

    count: int
    rounds: int = 1


@dataclass(frozen=True, slots=True)
class Rule:
    """nodes: how many for each Gaussian, by sector. points: of the product of rules, by sector. degree: the
    greatest that is integrated.
    size: log₁₀ of the greatest value that a monomial with coefficient 1 has at a node. seconds, memory:
    predicted for a run, in s and bytes."""

    nodes: tuple[tuple[int, ...], ...]
    degree: int
    size: float
    seconds: float
    memory: float

    @property
    def points(self) -> tuple[int, ...]:
        return tuple(math.prod(sector) for sector in self.nodes)

    @property
    def shown(self) -> str:
        return " + ".join(f"{m:,}" for m in self.points) + " points"

    def over_budget(self, dtype: str) -> str | None:
        """What is more than a run may cost, None if it is within the budget. Completes "chaos would need
        …"."""
        if self.seconds > SECONDS or self.memory > MEMORY:
            return f"{self.shown}, about {self.seconds:.0f} s and {self.memory / 1e9:.1f} GB"
        if self.size > RANGE[dtype]:
            return f"numbers up to 10^{self.size:.0f}, more than {dtype} has"
        return None


def find_rule(
    program: Program,
    layout: Layout,
    sectors: Sectors,
    confined: Confined,
    kept: Mapping[str, Kept],
    dtype: str,
) -> Rule:
    """The smallest product of rules that makes every mean exact. kept: by family. Raises TooMuchError."""
    found = degrees(program, layout, sectors, confined)
    nodes = tuple(tuple(k // 2 + 1 for k in sector) for sector in found.need)
    size = max(
        (sum(k * math.log10(_outermost(k // 2 + 1)) for k in sector) for sector in found.need), default=0.0
    )
    seconds, memory = _cost(
        points_of(found.need), layout, sectors, kept, found.followed, 8 if dtype == "float64" else 4
    )
    return Rule(nodes, max((k for sector in found.need for k in sector), default=0), size, seconds, memory)


def _outermost(n: int) -> float:
    """About the greatest node of a rule of n, 1 at least (Szegő, Orthogonal Polynomials, 6.32)."""
    turning = 4 * n + 2
    return max(1.0, math.sqrt(turning) - 1.856 / math.cbrt(math.sqrt(turning)))


def _squares(capacity: Mapping[Side, int], layout: Layout) -> int:
    """The entries of the products of every matrix's directions with what made them."""
    return sum(k * k * layout.members[matrix] for (matrix, _), k in capacity.items())


def _cost(
    points: list[int], layout: Layout, sectors: Sectors, kept: Mapping[str, Kept], followed: int, size: int
) -> tuple[float, float]:
    """Seconds and bytes: a product streams through the bases of both its sides, any other instruction through
    a few vectors."""
    seconds = memory = 0.0
    rounds = max((number.rounds for number in kept.values()), default=1)
    for k, m in enumerate(points):
        part = sectors.layout(layout, k)
        near = {
            side: capacity for side, capacity in layout.capacity.items() if sectors.operands.get(side, 0) == k
        }
        lasting = sum(capacity * layout.members[matrix] for (matrix, _), capacity in near.items())
        arrays = 2 * part.total + 2 * lasting + part.directions + SPARE_VECTORS
        arrays += 2 * sum(
            number.count * number.rounds
            for family, number in kept.items()
            if sectors.vectors.get(family, 0) == k
        )
        arrays += (
            2
            * rounds
            * sum(capacity for side, capacity in layout.extra.items() if sectors.operands.get(side, 0) == k)
        )
        streamed = (
            5 * _squares(near, layout) + 2 * _squares(part.capacity, layout) + 3 * followed / len(points)
        )
        seconds += streamed * m * size / BANDWIDTH
        memory += arrays * m * size
    return seconds, memory
