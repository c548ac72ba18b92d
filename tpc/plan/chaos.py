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
from tpc.plan.cost import RULES_MEMORY, SECONDS, VectorCount, cost_of_rules
from tpc.plan.degrees import degrees, points_of
from tpc.plan.gaussians import Confined, Layout
from tpc.plan.sectors import Sectors

RANGE = {"float64": 300, "float32": 37}  # decimal digits to the greatest number


@dataclass(frozen=True, slots=True)
class Rule:
    """A product of Gauss–Hermite rules for each sector."""

    # how many for each Gaussian, by sector
    nodes: tuple[tuple[int, ...], ...]
    # the greatest that is integrated
    degree: int
    # log₁₀ of the greatest value that a monomial with coefficient 1 has at a node
    size: float
    # predicted for a run, in s
    seconds: float
    # and in bytes
    memory: float

    @property
    def points(self) -> tuple[int, ...]:
        """The points of the product of rules, by sector."""
        return tuple(math.prod(sector) for sector in self.nodes)

    @property
    def shown(self) -> str:
        return " + ".join(f"{m:,}" for m in self.points) + " points"

    def over_budget(self, dtype: str) -> str | None:
        """What is more than a run may cost, None if it is within the budget.

        Completes "chaos would need …".
        """
        if self.seconds > SECONDS or self.memory > RULES_MEMORY:
            return f"{self.shown}, about {self.seconds:.0f} s and {self.memory / 1e9:.1f} GB"
        if self.size > RANGE[dtype]:
            return f"numbers up to 10^{self.size:.0f}, more than {dtype} has"
        return None


def find_rule(
    program: Program,
    layout: Layout,
    sectors: Sectors,
    confined: Confined,
    kept: Mapping[str, VectorCount],
    dtype: str,
) -> Rule:
    """The smallest product of rules that makes every mean exact. kept: by family. Raises TooMuchError."""
    found = degrees(program, layout, sectors, confined)
    nodes = tuple(tuple(k // 2 + 1 for k in sector) for sector in found.need)
    size = max(
        (sum(k * math.log10(_outermost(k // 2 + 1)) for k in sector) for sector in found.need), default=0.0
    )
    seconds, memory = cost_of_rules(points_of(found.need), layout, sectors, kept, found.followed, dtype)
    return Rule(nodes, max((k for sector in found.need for k in sector), default=0), size, seconds, memory)


def _outermost(n: int) -> float:
    """About the greatest node of a rule of n, 1 at least (Szegő, Orthogonal Polynomials, 6.32)."""
    turning = 4 * n + 2
    return max(1.0, math.sqrt(turning) - 1.856 / math.cbrt(math.sqrt(turning)))
