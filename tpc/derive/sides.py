"""The products with one side of a matrix, found by the member of its family.

So a member's are not looked for among those of all others.
"""

from __future__ import annotations

from collections.abc import Sequence

from tpc.core.affine import Affine
from tpc.core.expr import Ref
from tpc.core.places import Site
from tpc.core.program import MatMul

Side = tuple[str, bool]  # a family of matrices, and whether its transposes


class Sides:
    """All products of a program by sides.

    fixed: those with a matrix whose indices are constants; varying: the others.
    """

    def __init__(self, products: Sequence[Site]) -> None:
        self.every: dict[Side, list[Site]] = {}
        self.fixed: dict[tuple[Side, tuple[int, ...]], list[Site]] = {}
        self.varying: dict[Side, list[Site]] = {}
        for site in products:
            side, member = (site.product.matrix.name, site.product.transposed), constants(site.product.matrix)
            self.every.setdefault(side, []).append(site)
            if member is None:
                self.varying.setdefault(side, []).append(site)
            else:
                self.fixed.setdefault((side, member), []).append(site)

    def may_be(self, op: MatMul, *, transposed: bool = False) -> Sequence[Site]:
        """The products with what may be the matrix of `op`, in program order.

        They are on the same side or, `transposed`, on the other one.
        """
        side, member = (op.matrix.name, op.transposed != transposed), constants(op.matrix)
        if member is None:
            return self.every.get(side, [])
        fixed, varying = self.fixed.get((side, member), []), self.varying.get(side, [])
        return sorted([*fixed, *varying], key=lambda site: site.number) if varying else fixed


def constants(ref: Ref) -> tuple[int, ...] | None:
    """The indices of a reference, if all are constants."""
    found = tuple(i.const for i in ref.index if isinstance(i, Affine) and not i.terms)
    return found if len(found) == len(ref.index) else None
