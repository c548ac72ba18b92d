"""Loop variables told apart from what else a program names, as the language has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tpc.core import expr
from tpc.core.affine import Affine
from tpc.core.expr import Expr, Sum, summed, walk
from tpc.core.names import numbered
from tpc.core.program import Axis, For, Op, Product, Program, instructions
from tpc.core.traverse import at_round, substitute_index, substitute_ref

Renaming = Mapping[str, Affine]


def variables_apart(program: Program) -> Program:
    """The program with other variables for those called like a vector, scalar, matrix or output of it."""
    variables, at = _variables(program), dict[str, Affine]()
    taken = {*program.names, *variables}
    for variable in sorted(variables & program.names):
        name = numbered(variable, taken)
        at[variable] = Affine.var(name)
        taken.add(name)
    if not at:
        return program
    return replace(
        program,
        body=tuple(_op(op, at) for op in program.body),
        matrices=tuple(
            replace(m, axes=_axes(m.axes, at), variance=_expr(m.variance, at)) for m in program.matrices
        ),
        gaussians=tuple(
            replace(
                g,
                axes=_axes(g.axes, at),
                mean=tuple(_expr(x, at) for x in g.mean),
                covariance=tuple(tuple(_expr(x, at) for x in row) for row in g.covariance),
            )
            for g in program.gaussians
        ),
        outputs=tuple(
            replace(o, axes=_axes(o.axes, at), ref=substitute_ref(o.ref, at)) for o in program.outputs
        ),
    )


def _variables(program: Program) -> set[str]:
    axes = [
        *(m.axes for m in program.matrices),
        *(g.axes for g in program.gaussians),
        *(o.axes for o in program.outputs),
    ]
    found = {variable for own in axes for variable, _ in own}
    laws = [m.variance for m in program.matrices] + [
        x for g in program.gaussians for x in (*g.mean, *(c for row in g.covariance for c in row))
    ]
    for op, loops in instructions(program.body):
        found |= {loop.variable for loop in loops}
        laws += [] if isinstance(op, Product) else [op.phi]
    return found | {node.variable for law in laws for node in walk(law) if isinstance(node, Sum)}


def _name(variable: str, at: Renaming) -> str:
    return str(at.get(variable, variable))


def _axes(axes: Sequence[Axis], at: Renaming) -> tuple[Axis, ...]:
    return tuple((_name(variable, at), count) for variable, count in axes)


def _op(op: Op, at: Renaming) -> Op:
    if isinstance(op, For):
        count, body = op.count.substitute(at), tuple(_op(inner, at) for inner in op.body)
        return replace(op, variable=_name(op.variable, at), count=count, body=body)
    if isinstance(op, Product):
        return at_round(op, at)
    return replace(op, out=substitute_ref(op.out, at), phi=_expr(op.phi, at))


def _expr(x: Expr, at: Renaming) -> Expr:
    """An expression with its variables renamed, those of its sums, too."""

    def leaf(node: Expr) -> Expr | None:
        if isinstance(node, Sum):
            return summed(_name(node.variable, at), node.count.substitute(at), _expr(node.body, at))
        return node.with_indices([substitute_index(i, at) for i in node.indices]) if node.indices else None

    return expr.replace(x, leaf)
