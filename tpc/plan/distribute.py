"""Loops with products made loops of products.

What the rounds multiply with one matrix is then there at once, for one product of matrices.

    for i < B:                          for i < B:
        x[i] = tanh(u[i])                   x[i] = tanh(u[i])
        h[i] = W @ x[i]          →      for i < B:
        z[i] = tanh(h[i])                   h[i] = W @ x[i]
                                        for i < B:
                                            z[i] = tanh(h[i])

The rounds of such a loop do not depend on each other, so that all may do their first instruction before any
does its second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tpc.core.program import For, MatMul, Op, instructions


def distribute(body: Sequence[Op], split: Sequence[For]) -> tuple[Op, ...]:
    """`body` with the loops of `split` distributed over their instructions.

    split: loops in `body`, whose rounds are independent.
    """
    out: list[Op] = []
    for op in body:
        if not isinstance(op, For):
            out.append(op)
            continue
        inner = distribute(op.body, split)
        if any(op is loop for loop in split):
            out += _spread(op, inner)
        else:
            out.append(op if inner == op.body else replace(op, body=inner))
    return tuple(out)


def _spread(loop: For, body: Sequence[Op]) -> list[For]:
    """`body` for every value of the loop's variable.

    A loop for every product, one for what lies between two of them.
    """
    out: list[For] = []
    between: list[Op] = []
    for op in body:
        if not _multiplies(op):
            between.append(op)
            continue
        if between:
            out.append(replace(loop, body=tuple(between)))
            between = []
        if isinstance(op, For) and not _nest(op) and loop.variable not in op.count.variables:
            # the inner loop's rounds stay in their order
            out.append(replace(op, body=tuple(_spread(loop, op.body))))
        else:
            out.append(replace(loop, body=(op,)))
    return [*out, replace(loop, body=tuple(between))] if between else out


def _multiplies(op: Op) -> bool:
    return any(isinstance(inner, MatMul) for inner, _ in instructions((op,)))


def _nest(op: Op) -> bool:
    """Whether it is one product and loops around it."""
    return isinstance(op, MatMul) or (isinstance(op, For) and len(op.body) == 1 and _nest(op.body[0]))
