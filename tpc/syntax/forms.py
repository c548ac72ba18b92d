"""What a tree is by its form alone."""

from __future__ import annotations

from tpc.syntax import tree


def derivative_of(node: tree.Applied) -> tuple[tree.Name, tree.Tree | None] | None:
    """`phi'(…)` as (phi, None), `D(phi, i)(…)` as (phi, i), else None."""
    match node.function:
        case tree.Primed(base=tree.Name() as name):
            return name, None
        case tree.Applied(function=tree.Name(name="D"), args=(tree.Name() as name, position)):
            return name, position
    return None


def is_rational(node: tree.Tree, open_: frozenset[str]) -> bool:
    """Whether `node` is a number written as a fraction or an integer, the power that a width may have.

    open_: names that may stand in it.
    """
    match node:
        case tree.Literal():
            return True
        case tree.Name(name=name):
            return name in open_
        case tree.Negated(operand=operand):
            return is_rational(operand, open_)
        case tree.Chain(operands=operands, operators=operators):
            return (operators[0] in "*/" or bool(open_)) and all(
                is_rational(part, open_) for part in operands
            )
    return False
