"""ZDot has to vanish, for vectors to be determined by their covariances: it is derived that it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.core.affine import Affine
from tpc.core.expr import ZERO, Expr, Ref, Value
from tpc.core.names import is_part
from tpc.core.program import MatMul, Nonlin
from tpc.core.traverse import substitute
from tpc.gram.boxes import Box, phi_of
from tpc.gram.labels import text_of
from tpc.gram.sources import constants, meet, vectors_in

if TYPE_CHECKING:
    from tpc.gram.covariance import Covariances


class Dots:
    """done: the numbers of sites that have been looked at. reasons: why families of products have a Ż."""

    def __init__(self, engine: Covariances) -> None:
        self.engine = engine
        self.done: set[int] = set()
        self.reasons: dict[str, str] = {}

    def why(self, site: Box) -> str | None:
        """Why what `site` makes has a Ż, None if that is 0.

        By Stein's lemma (Remark F.2), what is multiplied has to be uncorrelated with all products of the
        other side that it depends on. What elementwise instructions are made of is looked at in their place.
        """
        from tpc.gram.covariance import UnsettledError

        waiting, opened = [site], list[int]()
        while waiting:
            one = waiting.pop()
            if one.number in self.done:
                continue
            self.done.add(one.number)
            opened.append(one.number)
            if isinstance(one.op, Nonlin):
                waiting += reversed(
                    [
                        used
                        for value in vectors_in(phi_of(one))
                        for used in self.engine.sites.of(value.ref, one.number)
                    ]
                )
            elif isinstance(one.op, MatMul):
                try:
                    reason = self.reasons.get(one.family) or self._correlation(one, one.op)
                except UnsettledError:  # to be begun again
                    self.done -= {*opened}
                    raise
                if reason is not None:
                    self.reasons[one.family] = reason
                    self.done -= {*opened}
                    return reason
        return None

    def _correlation(self, site: Box, op: MatMul) -> str | None:
        """What makes a product's Ż, None if nothing does."""
        own = self.engine.vectors.sources_of_ref(op.operand)
        behind = self.engine.vectors.behind(site)
        for other in self.engine.sites.products.get((op.matrix.name, not op.transposed), ()):
            assert isinstance(other.op, MatMul)
            before = behind >> other.number & 1
            if (
                not before
                or _are_apart(op.matrix, other.op.matrix)
                or not meet(own, self.engine.vectors.sources(other))
            ):
                continue
            hat, operand = self._anywhere(other, other.op.out), self._anywhere(site, op.operand)
            # of one with a Ż itself this is no covariance of Ẑ
            if self.engine.product([hat, operand]) != ZERO or other.family in self.reasons:
                return (
                    f"the product `{self._product_shown(op)}` ({op.origin}) has a Ż: what is "
                    "multiplied is correlated with "
                    f"`{self._product_shown(other.op)}` ({other.op.origin})"
                )
        return None

    def _product_shown(self, op: MatMul) -> str:
        """A product as it was written: what has no name there by what it is."""
        operand, sites = str(op.operand), self.engine.sites.of(op.operand)
        if is_part(op.operand.name) and sites and isinstance(sites[0].op, Nonlin):
            operand = text_of(sites[0].op.phi)
            operand = (
                operand
                if operand.endswith(")") and operand.split("(")[0].isidentifier() and operand.count("(") == 1
                else f"({operand})"
            )
        return f"{op.matrix}{'.T' * op.transposed} @ {operand}"

    def _anywhere(self, site: Box, ref: Ref) -> Expr:
        """A member that `site` makes or uses, at any index."""
        at = {
            v: Affine.var(self.engine.axes.fresh(v, n))
            for v, n in zip(site.variables, site.counts, strict=True)
            if v is not None
        }
        return substitute(Value(ref, True), at)


def _are_apart(one: Ref, other: Ref) -> bool:
    """Whether two members of a family of matrices are different ones in all rounds."""
    indices = zip(constants(one.index), constants(other.index), strict=True)
    return any(i != j and None not in (i, j) for i, j in indices)
