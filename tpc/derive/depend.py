"""Which Z depends on which Ẑ, and across what no derivative exists.

The sparsity of the partial derivatives, found before any is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tpc.core.affine import Affine, Ranges
from tpc.core.calculus import NotDifferentiableError, differentiate
from tpc.core.dependence import values_within
from tpc.core.expr import ONE, ZERO, Call, Expr, OuterProduct, Ref, Sum, Value, walk
from tpc.core.functions import elementwise
from tpc.core.places import IndexRange, Site, by_family, may_make, may_meet, sites_of
from tpc.core.program import MatMul, Nonlin, OuterMul, OuterNonlin, Program
from tpc.core.spectral import SpectralMap
from tpc.derive.parts import parts_of_lines
from tpc.derive.sides import Sides
from tpc.derive.sites import FormulaScope, before


class Dependence:
    """Facts about the sites of a program, a set of product sites being the bits of an integer.

    made: by name. scope: those that lowering has made out of parts of a line, which formulas show as what
    they are. reach[X]: the products whose Ẑ occurs in the Z made at site X, unwound. rough[X]: those of them
    across which that has no derivative. Loops are treated as wholes, so a site may be said to depend on more
    than one of its rounds does.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.sites = sites_of(program.body)
        self.products = tuple(site for site in self.sites if isinstance(site.op, MatMul))
        self.sides = Sides(self.products)
        self.across = {site.number: self._across(site) for site in self.products}
        self.made = by_family(self.sites)
        self.makers: dict[tuple[Ref, Ranges], list[Site]] = {}
        inputs = frozenset(item.name for item in program.inputs)
        self.scope = FormulaScope(parts_of_lines(self.made), inputs, program.tables)
        self.constant = {site.out: site for site in self.sites if not site.loops}
        self.reach = [0] * len(self.sites)
        self.rough = [0] * len(self.sites)
        self.beyond = [0] * len(self.sites)  # of tables, what their columns reach, as `reach` their rows
        self.operands = {site.number: list(self._operands(site)) for site in self.sites}
        self._solve()

    def definitions(self, ref: Ref, ranges: Sequence[tuple[str, Affine]]) -> list[Site]:
        """The sites that may have made `ref`, none for an initial vector."""
        if ref in self.constant:
            return [self.constant[ref]]
        key = (ref, tuple(ranges))
        if key not in self.makers:  # asked for again by every derivative that goes through it
            self.makers[key] = [s for s in self.made.get(ref.name, ()) if may_make(s, ref, ranges)]
        return self.makers[key]

    def opposing(self, site: Site) -> Sequence[Site]:
        """The products with the transpose of the site's matrix that have a round before one of its rounds."""
        return self.across[site.number]

    def _across(self, site: Site) -> list[Site]:
        return [
            g
            for g in self.sides.may_be(site.product, transposed=True)
            if any(True for _ in before(g, site, ()))
            and all(
                may_meet(i, site.loops, j, g.loops)
                for i, j in zip(site.product.matrix.index, g.product.matrix.index, strict=True)
            )
        ]

    def _operands(self, site: Site) -> Iterator[tuple[list[Site], bool]]:
        """The definitions of each vector that the site's φ (or product) is made of.

        With each comes whether φ has no derivative in it.
        """
        if isinstance(site.op, MatMul):
            yield self.definitions(site.op.operand, site.loops), False
        elif isinstance(site.op, Nonlin):
            smooth = not has_jumps(site.op.phi)
            for value, ranges in vectors(site.op.phi, site.loops):
                yield self.definitions(value.ref, ranges), not (smooth or differentiable(site.op.phi, value))

    def _solve(self) -> None:
        changed = True
        while changed:
            changed = False
            for site in self.sites:
                k, beyond = site.number, 0
                if isinstance(site.op, OuterNonlin):
                    reach, beyond = (self._side(site.op.phi, site.loops, side) for side in (0, 1))
                    rough = reach
                elif isinstance(site.op, OuterMul):
                    reach = rough = self._of_table(site, site.op)
                else:
                    reach, rough = (
                        self._product(site, self.across[k])
                        if isinstance(site.op, MatMul)
                        else self._nonlin(site)
                    )
                changed |= (reach, rough, beyond) != (self.reach[k], self.rough[k], self.beyond[k])
                self.reach[k], self.rough[k], self.beyond[k] = reach, rough, beyond

    def _side(self, x: Expr, ranges: Ranges, side: int) -> int:
        """The products whose Ẑ occurs in the rows (0) or the columns (1) of a table's entries."""
        if isinstance(x, OuterProduct):
            found = 0
            for value, inside in vectors(x.parts[side], ranges):
                for made in self.definitions(value.ref, inside):
                    found |= self.reach[made.number]
            return found
        if isinstance(x, Value) and x.vector:
            own, found = self.beyond if side else self.reach, 0
            for made in self.definitions(x.ref, ranges):
                found |= own[made.number]
            return found
        inner = (*ranges, IndexRange(x.variable, x.count)) if isinstance(x, Sum) else ranges
        found = 0
        for part, which in parts_of_side(x, side):
            found |= self._side(part, inner, which)
        return found

    def _of_table(self, site: Site, op: OuterMul) -> int:
        """The same of the product of a table; the copy is integrated out.

        Its derivative goes through functions of entries, which may have none: coefficients go by Stein.
        """
        own, found = self.beyond if op.transposed else self.reach, 0
        for made in self.definitions(op.table, site.loops):
            found |= own[made.number]
        return found

    def _nonlin(self, site: Site) -> tuple[int, int]:
        reach = rough = 0
        for definitions, jumps in self.operands[site.number]:
            for made in definitions:
                reach |= self.reach[made.number]
                rough |= self.reach[made.number] if jumps else self.rough[made.number]
        return reach, rough

    def _product(self, site: Site, opposing: list[Site]) -> tuple[int, int]:
        reach, rough = 1 << site.number, 0
        ((operand, _),) = self.operands[site.number]
        for g in opposing:
            if any(self.reach[made.number] >> g.number & 1 for made in operand):
                ((met, _),) = self.operands[g.number]
                for made in met:
                    reach |= self.reach[made.number]
                    rough |= self.rough[made.number]
        return reach, rough

    def depends(self, ref: Ref, ranges: Ranges, g: Site) -> bool:
        """May `Z^ref` depend on the Ẑ of `g`?"""
        return any(self.reach[site.number] >> g.number & 1 for site in self.definitions(ref, ranges))

    def jumps(self, ref: Ref, ranges: Ranges, g: Site) -> bool:
        """May the derivative of `Z^ref` along the Ẑ of `g` not exist?"""
        return any(self.rough[site.number] >> g.number & 1 for site in self.definitions(ref, ranges))


def vectors(x: Expr, ranges: Ranges) -> list[tuple[Value, tuple[IndexRange, ...]]]:
    """The vectors in `x`, each with the ranges of the variables around it."""
    found = dict.fromkeys(pair for pair in values_within(x, ranges) if pair[0].vector)
    return [(value, tuple(IndexRange(*one) for one in inside)) for value, inside in found]


def has_jumps(phi: Expr) -> bool:
    """Is there a function in φ that has no derivative?"""
    return any(
        isinstance(node, Call) and None in elementwise(node.function).derivatives for node in walk(phi)
    )


def differentiable(phi: Expr, value: Value) -> bool:
    """Does φ have a derivative in `value`?

    A `where` counts as a jump: the conditions of Remark F.2 cannot be seen.
    """
    try:
        differentiate(
            phi,
            lambda node: (ONE if node == value else ZERO) if isinstance(node, Value) else None,
            across_where=False,
        )
    except NotDifferentiableError:
        return False
    return True


def parts_of_side(x: Expr, side: int) -> list[tuple[Expr, int]]:
    """The parts that a side of a table is told by, each with that of its sides which is the same."""
    if not isinstance(x, SpectralMap):
        return [(part, side) for part in x.parts]
    letter = x.signature.result[side]
    pairs = zip(x.tables, x.signature.tables, strict=True)
    return [(table, k) for table, letters in pairs for k, own in enumerate(letters) if own == letter]
