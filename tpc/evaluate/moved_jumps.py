"""Which outputs have a jump that inputs move, of which derivatives on points see nothing."""

from __future__ import annotations

from collections.abc import Iterable

from tpc.core.expr import ZERO, Call, Compare, Expr, Pow, Value, is_vector, walk
from tpc.core.functions import elementwise
from tpc.core.program import Instruction, MatMul, OuterMul, Program, instructions
from tpc.expand.edges import contact_at


def with_moved_jumps(program: Program) -> frozenset[str]:
    """The outputs that depend on a jump of a function of vectors, which themselves depend on inputs.

    The mean over a law changes by its density where the jump is, too; at points the derivative is that
    between jumps.
    """
    moved = {item.name for item in program.inputs if item.bound is None}
    for gaussians in program.gaussians:
        laws = (*gaussians.mean, *(x for row in gaussians.covariance for x in row))
        if _names(laws) & moved:
            moved |= {*gaussians.names}
    moved |= {matrix.name for matrix in program.matrices if _names([matrix.variance]) & moved}
    jumping = set[str]()
    ops, before = [op for op, _ in instructions(program.body)], -1
    while before < len(moved) + len(jumping):
        before = len(moved) + len(jumping)
        for op in ops:
            read = _read(op)
            if read & moved:
                moved.add(op.out.name)
            if read & jumping or any(_jumps(x, moved) for x in _expressions(op)):
                jumping.add(op.out.name)
    return frozenset(output.name for output in program.outputs if output.ref.name in jumping)


def _expressions(op: Instruction) -> tuple[Expr, ...]:
    if isinstance(op, MatMul):
        return ()
    if isinstance(op, OuterMul):
        return () if op.vectors is None else (op.vectors,)
    return (op.phi,)


def _read(op: Instruction) -> set[str]:
    names = _names(_expressions(op))
    if isinstance(op, MatMul):
        return names | {op.matrix.name, op.operand.name}
    return names | {op.table.name, op.operand.name} if isinstance(op, OuterMul) else names


def _names(expressions: Iterable[Expr]) -> set[str]:
    return {node.ref.name for x in expressions for node in walk(x) if isinstance(node, Value)}


def _jumps(x: Expr, moved: set[str]) -> bool:
    return any(isinstance(node, Call) and _jump(node, moved) for node in walk(x))


def _jump(x: Call, moved: set[str]) -> bool:
    match x:
        case Call("where", (Compare() as condition, left, right)):
            return (
                is_vector(condition)
                and bool(_names([condition]) & moved)
                and not _quotient(condition, left, right)
                and contact_at(condition, left, right) == 0
            )
    return elementwise(x.function).shape == "jump" and is_vector(x) and bool(_names([x]) & moved)


def _quotient(condition: Compare, left: Expr, right: Expr) -> bool:
    """Whether a `where` only keeps what is divided by from being 0."""
    tested = condition.left
    divisors = [tested, *(tested.args if isinstance(tested, Call) and tested.function == "abs" else ())]
    inverses = [node for node in walk(left) if isinstance(node, Pow) and node.base in divisors]
    return condition.op == ">" and condition.right == right == ZERO and bool(inverses)
