"""Formulas of what has no limit: jumps at what is 0, but for a fluctuation."""

from __future__ import annotations

from tpc.derive.formula import ZMoment, ZScalar
from tpc.derive.limit import Limit
from tpc.derive.nodes import Ring
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError


def require_jumps_told(limit: Limit) -> None:
    """Raises TpcError (TP809) where a closed form shows that what jumps does so at 0.

    limit: of a program with what its jumps may meet among its outputs (`tpc.expand.watch`).
    """
    formulas = {f.of.name: f for f in limit.formulas if isinstance(f, ZMoment | ZScalar) and not f.loops}
    for output in limit.program.outputs:
        formula = formulas.get(output.ref.name) if output.jump else None
        if formula is not None and limit.closed.value(Ring(formula.of)) == 0:
            told = catalogue.scaling.jump_at_nothing(output.origin.label, output.check, output.jump)
            source = limit.program.source
            raise TpcError([told], limit.program.name, source.text if source else "", of_program=True)
