"""What a plan is predicted to cost, in seconds and bytes, and how much of that a plan may take unasked.

There are two models. Points are one long array for each vector, and what is counted is how often memory is
read, or, of batches, what is computed (`tests/bench/batches.py`). The products of rules of the chaos are many
short ones, each of its own sector, which a core streams through more slowly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tpc.plan.gaussians import Layout, Side
from tpc.plan.sectors import Sectors

SECONDS = 20.0  # of a run; more is too much unasked
MEMORY, RULES_MEMORY = 4e9, 2e9  # bytes of a repeat on more points than usual; of the products of rules
BANDWIDTH, FLOPS = 2e10, 3e10  # of points: bytes and operations a second
RULES_BANDWIDTH = 4e9  # of the products of rules: bytes a second
SPARE_VECTORS = 6  # that are made on the way through the products of rules
DRAWN = 3e-8  # seconds that an entry of the points, or of a vector made from them, takes
PER_POINT = 2.5e-9  # seconds for a value of a vector
PER_PART, SPARE_TABLES = 1e-9, 1  # seconds for a part of a function of a table's entry; made on the way
PER_ENTRY = 1e-8  # seconds for an entry of an array, or a value of an integrand


@dataclass(frozen=True, slots=True)
class VectorCount:
    """The vectors of a family that there are at once.

    `count` of them, in each of `rounds` that are run side by side.
    """

    count: int
    rounds: int = 1


@dataclass(frozen=True, slots=True)
class TableWork:
    """The tables that there are at once, and how often all their entries are gone through.

    steps: parts of functions of entries; products: with vectors.
    """

    count: int = 0
    steps: int = 0
    products: int = 0

    def cost(self, m: int, dtype: str) -> tuple[float, float]:
        """Seconds and bytes of one repeat on m points of each side."""
        size, entries = bytes_of(dtype), m * m
        spare = SPARE_TABLES if self.count else 0
        seconds = self.steps * PER_PART + self.products * size / BANDWIDTH
        return seconds * entries, float((self.count + spare) * entries * size)


def bytes_of(dtype: str) -> int:
    """The bytes that a number takes."""
    return 8 if dtype == "float64" else 4


def total_seconds(repeats: int, seconds: float, samples: int, gaussians: int) -> float:
    """Predicted of so many repeats of so many seconds each, drawing the points included."""
    return repeats * (seconds + DRAWN * samples * (gaussians + 10))


def cost_of_points(layout: Layout, vectors: int, m: int, dtype: str) -> tuple[float, float]:
    """Seconds and bytes of one repeat on m points.

    A product goes through the bases of both sides of its matrix, about seven times, and a vector through the
    history.

    A product of single vectors takes as long as memory is read, one of a batch of `layout.rows` as long as is
    computed.
    """
    size = bytes_of(dtype)
    streamed = sum(
        n * (layout.capacity.get((name, False), 0) + layout.capacity.get((name, True), 0)) ** 2
        for name, n in layout.members.items()
    )
    entries = (3.5 * streamed + vectors * vectors / 2) * m
    seconds = max(entries * size / layout.rows / BANDWIDTH, 2 * entries / FLOPS if layout.rows > 1 else 0)
    return seconds, (2 * layout.total + 2 * layout.directions + vectors) * m * size


def cost_of_rules(
    points: Sequence[int],
    layout: Layout,
    sectors: Sectors,
    kept: Mapping[str, VectorCount],
    followed: int,
    dtype: str,
) -> tuple[float, float]:
    """Seconds and bytes of a run on so many points in every sector.

    A product streams through the bases of both its sides, any other instruction through a few vectors,
    `followed` in all.
    """
    seconds = memory = 0.0
    size = bytes_of(dtype)
    rounds = max((number.rounds for number in kept.values()), default=1)
    for k, m in enumerate(points):
        part = sectors.layout(layout, k)
        near, extra = (
            {side: n for side, n in table.items() if sectors.operands.get(side, 0) == k}
            for table in (layout.capacity, layout.extra)
        )
        lasting = sum(capacity * layout.members[matrix] for (matrix, _), capacity in near.items())
        arrays = 2 * part.total + 2 * lasting + part.directions + SPARE_VECTORS
        arrays += 2 * sum(
            number.count * number.rounds
            for family, number in kept.items()
            if sectors.vectors.get(family, 0) == k
        )
        arrays += 2 * rounds * sum(extra.values())
        streamed = (
            5 * _squares(near, layout) + 2 * _squares(part.capacity, layout) + 3 * followed / len(points)
        )
        seconds += streamed * m * size / RULES_BANDWIDTH
        memory += arrays * m * size
    return seconds, memory


def _squares(capacity: Mapping[Side, int], layout: Layout) -> int:
    """The entries of the products of every matrix's directions with what made them."""
    return sum(k * k * layout.members[matrix] for (matrix, _), k in capacity.items())


def shown_seconds(seconds: float) -> str:
    """As a person would say it."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
