"""How fast finite width comes near to the limit, told from the powers of n in a program."""

from __future__ import annotations

import math

from tpc.core.expr import Extent, Number, Pow, walk
from tpc.core.program import MatMul, OuterMul, Program, instructions


def order_of(program: Program) -> float:
    """The p of n^(-p), in powers of which outputs come near to their limits: 1, or 1/4 where n^(1/4) occurs.

    Of n^(1/2) odd powers are taken to cancel, as they do in the parametrizations.
    """
    found = [
        node.exponent.value.denominator
        for op, _ in instructions(program.body)
        if not isinstance(op, MatMul | OuterMul)
        for node in walk(op.phi)
        if isinstance(node, Pow) and isinstance(node.base, Extent) and isinstance(node.exponent, Number)
    ]
    finest = math.lcm(*found)
    return 1.0 if finest <= 2 else 1 / finest
