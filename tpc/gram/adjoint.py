"""Products with a Ż where they stand alone in a mean: their matrix is moved to the other side.

`E ψ·(W x)` is `E (Wᵀ ψ)·x`, as at finite width: so x may depend on Wᵀ in whatever way, if Wᵀ ψ has no Ż. In
the kernel regime the outputs of a network move with the first order of its hidden layers, so that these are
the only such products, and what is left is what its tangent kernel is made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from tpc.core.affine import Affine
from tpc.core.expr import Expr, Number, Pow, Ref, Value, mul, values
from tpc.core.names import part
from tpc.core.program import MatMul, Nonlin
from tpc.core.traverse import substitute
from tpc.gram.boxes import Box
from tpc.gram.covariance_pass import CovariancePass
from tpc.gram.ir import NotGramError


class Adjoints:
    """The products `Wᵀ ψ` that have been added to a program, by what they are."""

    def __init__(self, engine: CovariancePass) -> None:
        self.engine = engine
        self.taken = set(engine.program.names)
        self.made: dict[tuple[bool, tuple[Expr, ...]], Box] = {}

    def moved(self, factors: Sequence[Expr], product: Value, site: Box, why: str) -> Expr:
        """`E Π factors`, one of which is a product that `site` makes. Raises NotGramError: why it has a Ż."""
        op = site.op
        assert isinstance(op, MatMul)
        others = list(factors)
        if product not in others:
            raise NotGramError(why)
        others.remove(product)
        if any(product in values(x) for x in others):
            raise NotGramError(why)
        at = site.at(product.ref.index)
        matrix, operand = (substitute(x, at) for x in (Value(op.matrix, False), Value(op.operand, True)))
        assert isinstance(matrix, Value)
        adjoint = self._adjoint(mul(*others), matrix, op, why)
        rows, columns = (
            self._ratio(op.matrix.name, transposed) for transposed in (op.transposed, not op.transposed)
        )
        ratio = () if rows == columns else (columns, Pow(rows, Number(Fraction(-1))))
        return self.engine.product([*ratio, adjoint, operand])

    def _ratio(self, matrix: str, transposed: bool) -> Expr:
        """The width of what a product with a matrix makes, as a multiple of the first."""
        own = self.engine.matrices[matrix]
        return self.engine.ratios[own.columns if transposed else own.rows]

    def _adjoint(self, psi: Expr, matrix: Value, op: MatMul, why: str) -> Value:
        """The product of the transpose of `matrix` with ψ."""
        parts, back = self.engine.axes.canonical([psi, matrix])
        key = op.transposed, parts
        if key not in self.made:
            own = next(x for x in parts if isinstance(x, Value) and x.ref.name == matrix.ref.name)
            (of,) = (x for x in parts if x is not own)
            self.made[key] = self._added(of, own, list(back), op)
        found = self.made[key]
        if self.engine.why_dotted(found) is not None:
            raise NotGramError(why)
        return Value(Ref(found.family, tuple(back.values())), True)

    def _added(self, psi: Expr, matrix: Value, axes: list[str], op: MatMul) -> Box:
        sites, index = self.engine.sites, tuple(map(Affine.var, axes))
        name = part(f"d{op.operand.name}", self.taken)
        operand = Ref(part(f"{name}_of", self.taken), index)
        counts = tuple(self.engine.axes.extents[axis] for axis in axes)
        product = MatMul(Ref(name, index), matrix.ref, operand, not op.transposed, origin=op.origin)
        for made in (Nonlin(operand, psi, origin=op.origin), product):
            box = Box(made, sites.count, made.out.name, tuple(axes), (0,) * len(axes), counts)
            sites.add(box)
            sites.added.add(box.family)
        return box
