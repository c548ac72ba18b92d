"""What parts of the pass to covariances may ask of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tpc.core.expr import Expr
from tpc.core.program import Matrix, Program
from tpc.gram.axes import Axes
from tpc.gram.boxes import Box, Boxes
from tpc.gram.covariance_arrays import CovarianceArrays


class CovariancePass(Protocol):
    """The pass, as far as those know it that it hands products to."""

    @property
    def program(self) -> Program: ...

    @property
    def sites(self) -> Boxes: ...

    @property
    def axes(self) -> Axes: ...

    @property
    def arrays(self) -> CovarianceArrays: ...

    @property
    def matrices(self) -> Mapping[str, Matrix]: ...

    @property
    def ratios(self) -> Mapping[str, Expr]: ...

    def product(self, factors: Sequence[Expr]) -> Expr:
        """`E Π factors`."""

    def scalar(self, x: Expr) -> Expr:
        """An expression of scalars with the program's own replaced by their formulas."""

    def why_dotted(self, site: Box) -> str | None:
        """Why what `site` makes has a Ż, None if that is 0."""
