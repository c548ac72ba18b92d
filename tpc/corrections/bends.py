"""Where functions of vectors bend or jump at places that move with the weights of the points."""

from __future__ import annotations

from tpc.core.expr import Call, Value, is_vector, walk
from tpc.core.functions import elementwise
from tpc.core.program import Instruction, MatMul, Moment, Nonlin, OuterMul, OuterNonlin, Program, instructions
from tpc.core.traverse import used_refs


def has_moving_bends(program: Program) -> bool:
    """Whether a function that is not smooth is applied to vectors that depend on the weights.

    A function of initial vectors and inputs alone, such as the sign of one, does not.
    """
    ops = [op for op, _ in instructions(program.body)]
    moving = _moving(ops)
    return any(
        elementwise(node.function).shape != "smooth"
        and any(isinstance(part, Value) and part.ref.name in moving for part in walk(node))
        for op in ops
        if isinstance(op, Nonlin | Moment | OuterNonlin)
        for node in walk(op.phi)
        if isinstance(node, Call) and is_vector(node)
    )


def _moving(ops: list[Instruction]) -> set[str]:
    """The families that are made of products or means, or of what is."""
    moving: set[str] = set()
    while True:
        found = {
            op.out.name
            for op in ops
            if isinstance(op, MatMul | OuterMul | Moment) or any(ref.name in moving for ref in used_refs(op))
        }
        if found == moving:
            return moving
        moving = found
