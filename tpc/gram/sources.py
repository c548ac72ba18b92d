"""What a vector of the program is in the limit.

Whether it is Gaussian, and which matrices and initial vectors it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tpc.core.affine import Affine
from tpc.core.expr import Expr, Index, Ref, Value, values
from tpc.core.program import Gaussians, MatMul
from tpc.gram.boxes import Box, Boxes, phi_of
from tpc.plan.space import degree


@dataclass(frozen=True, slots=True)
class RandomSource:
    """Something random: a matrix on one of its sides, or a group of initial vectors.

    `index` where it is constant, else None.
    """

    name: str
    transposed: bool
    index: tuple[int | None, ...]

    def meets(self, other: RandomSource) -> bool:
        """Whether the two may be the same."""
        return (
            self.name == other.name
            and self.transposed == other.transposed
            and all(a is None or b is None or a == b for a, b in zip(self.index, other.index, strict=True))
        )


Sources = frozenset[RandomSource]


def meet(a: Iterable[RandomSource], b: Iterable[RandomSource]) -> bool:
    others = list(b)
    return any(x.meets(y) for x in a for y in others)


def constants(index: Iterable[Index]) -> tuple[int | None, ...]:
    return tuple(i.constant if isinstance(i, Affine) else None for i in index)


class Vectors:
    """Facts about the vectors of one program."""

    def __init__(self, sites: Boxes) -> None:
        self.sites = sites
        self._sources: list[Sources] = []  # by the numbers of sites
        self._linear: list[bool] = []
        self._behind: list[int] = []

    def sources(self, site: Box) -> Sources:
        """What the vectors that `site` makes are functions of, through elementwise instructions."""
        for one in self.sites.every[len(self._sources) : site.number + 1]:  # each is made of those before it
            if isinstance(one.op, MatMul):
                own: Sources = frozenset(
                    {RandomSource(one.op.matrix.name, one.op.transposed, constants(one.op.matrix.index))}
                )
            elif isinstance(one.op, Gaussians):
                own = frozenset({RandomSource(one.op.names[0], False, (None,) * len(one.op.axes))})
            else:
                own = self.sources_of(phi_of(one), one.number)
            self._sources.append(own)
        return self._sources[site.number]

    def sources_of(self, x: Expr, before: int | None = None) -> Sources:
        return frozenset().union(*(self.sources_of_ref(v.ref, before) for v in values(x) if v.vector))

    def sources_of_ref(self, ref: Ref, before: int | None = None) -> Sources:
        found: set[RandomSource] = set()
        for site in self.sites.of(ref, before):
            if isinstance(site.op, Gaussians):
                found.add(RandomSource(site.op.names[0], False, constants(ref.index)))
            else:
                found |= self.sources(site)
        return frozenset(found)

    def behind(self, site: Box) -> int:
        """The numbers of the sites that what `site` makes depends on, itself included, as bits."""
        for one in self.sites.every[len(self._behind) : site.number + 1]:
            used = (
                [one.op.operand]
                if isinstance(one.op, MatMul)
                else []
                if isinstance(one.op, Gaussians)
                else [value.ref for value in vectors_in(phi_of(one))]
            )
            found = 1 << one.number
            for ref in used:
                for other in self.sites.of(ref, one.number):
                    found |= self._behind[other.number]
            self._behind.append(found)
        return self._behind[site.number]

    def linear(self, site: Box) -> bool:
        """Whether what `site` makes is a linear combination of products and initial vectors.

        It is Gaussian then, if no Ż occurs.
        """
        for one in self.sites.every[len(self._linear) : site.number + 1]:
            self._linear.append(
                isinstance(one.op, MatMul | Gaussians) or self._linear_in(phi_of(one), one.number)
            )
        return self._linear[site.number]

    def _linear_in(self, x: Expr, before: int) -> bool:
        return degree(x) <= 1 and all(
            self.linear(site) for v in values(x) if v.vector for site in self.sites.of(v.ref, before)
        )


def vectors_in(x: Expr) -> list[Value]:
    return [v for v in values(x) if v.vector]
