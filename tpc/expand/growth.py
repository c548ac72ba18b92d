"""What stops a series: quantities that grow with n, or tend to 0, where a function does not allow it."""

from __future__ import annotations

from fractions import Fraction

from tpc.core.expr import Ref
from tpc.core.program import Instruction


class GrowsError(Exception):
    """A quantity that grows with n meets a function, of which there is no limit then.

    value: the quantity, if it has a name.
    """

    def __init__(self, function: str, value: Ref | None, at: Fraction) -> None:
        super().__init__(function)
        self.function, self.value, self.power = function, value, at


class SmallError(Exception):
    """A quantity that tends to 0 meets a function that is not finite there, in `op`."""

    def __init__(self, function: str, op: Instruction | None = None) -> None:
        super().__init__(function)
        self.function, self.op = function, op


class UnstableError(Exception):
    """`name` grows like n^power, at `op`; function: what it meets, "" if it is an output, or "check"."""

    def __init__(self, op: Instruction, ref: Ref, at: Fraction, function: str, rounds: bool = False) -> None:
        super().__init__(str(ref))
        self.op, self.ref, self.power, self.function, self.rounds = op, ref, at, function, rounds
        self.again: list[str] = []  # matrices that a mean in it would be 0 for, were they not used again
