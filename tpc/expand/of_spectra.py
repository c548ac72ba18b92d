"""Series of functions of the singular values of tables."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.core.expr import ZERO
from tpc.core.spectral import SpectralMap
from tpc.expand.growth import GrowsError, SmallError
from tpc.expand.terms import F0, NONE, Series

if TYPE_CHECKING:
    from tpc.expand.series import Expander


def spectral_series(expander: Expander, x: SpectralMap, cut: Fraction) -> Series:
    """Of a table's terms of order 1 alone: those below would need a derivative, which is refused."""
    if (expander.power_of(x.table) or F0) > 0:
        raise GrowsError(x.function, *expander.largest([x.table]))
    table, *scalars = (expander.series(part, min(cut, F0)) for part in x.parts)
    if F0 not in table:
        if expander.settled and cut <= 0:
            raise SmallError(x.function)
        return NONE
    out = {F0: x.with_parts([table[F0], *(terms.get(F0, ZERO) for terms in scalars)])}
    below = max((p for p in table if p < 0), default=None)
    return out if below is None or below < cut else {**out, below: expander.rough(x.function)}
