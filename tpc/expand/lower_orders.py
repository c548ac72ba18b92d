"""How near outputs come to their limits where powers of n other than of n^(-1/2) occur."""

from __future__ import annotations

from fractions import Fraction

from tpc.core.program import Program
from tpc.diagnostics.diagnostic import RefusedError
from tpc.expand.growth import SmallError, UnstableError
from tpc.expand.orders import Orders

LEAST = Fraction(-1, 2)  # what means fluctuate by without any powers


def nearness(program: Program) -> dict[str, Fraction]:
    """The greatest negative power of n that a term of an output has, of those with one above n^(-1/2).

    Of those alone of which it can be told.
    """
    try:
        first = Orders(program, least=LEAST)
        first.discover()
        found = Orders(program, chances=dict(first.chances), numbers=dict(first.numbers), least=LEAST)
        found.discover()
    except (RefusedError, SmallError, UnstableError):
        return {}
    shown = [output for output in program.outputs if not output.check]
    powers = {
        output.name: max((p for p in found.powers_of(output.ref) if p < 0), default=LEAST) for output in shown
    }
    return {name: p for name, p in powers.items() if p > LEAST}
