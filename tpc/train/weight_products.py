"""Products with weights in a network's body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.tree import Tree
from tpc.train.checks import check_operand
from tpc.train.naming import ACTIVATION, PRE_ACTIVATION
from tpc.train.records import ArrayExpr, Index, ProductStep, without_one
from tpc.train.weights import Side, Weight

if TYPE_CHECKING:
    from tpc.train.forward import Forward

Env = Mapping[str, ArrayExpr]


def product(forward: Forward, node: tree.MatrixProduct, env: Env, wish: str = PRE_ACTIVATION) -> ArrayExpr:
    """`W @ x`, as a variable: a step of the pass."""
    weight, member, transposed = weight_of(forward, node.matrix, env)
    near, far = weight.sides(transposed)
    operand = operand_of(forward, node, weight, near, env)
    if near.width and not far.width and weight.scaling.kind == "input":
        raise RefusedError(catalogue.networks.readout_of_input(node.span, weight.name))
    if far.width and not near.width and weight.scaling.kind == "output":
        raise RefusedError(catalogue.networks.input_of_readout(node.span, weight.name))
    if (operand.width or forward.has_variables(operand)) and not forward.is_leaf(operand):
        operand = forward.named(operand, ACTIVATION, node.operand)
    rest = operand.shape[:-1] if near.count is not None else operand.shape
    with forward.within_sums(node):
        own = forward.own_axes([*rest, *([] if far.count is None else [far.count])], node)
        out = forward.var(forward.numbered(wish), far.width, [a.count for a in own])
        forward.steps.append(
            ProductStep(
                out,
                (*forward.axes, *own),
                weight.name,
                transposed,
                operand,
                far.count is not None,
                node.span,
                len(forward.axes),
                member,
            )
        )
        return forward.of_var(out)


def weight_of(forward: Forward, node: Tree, env: Env) -> tuple[Weight, Index, bool]:
    """The weight on the left of `@`, which member of its family, and whether it is transposed."""
    base, transposed = node, False
    while isinstance(base, tree.Transposed):
        base, transposed = base.base, not transposed
    base, index = tree.base_and_index(base)
    weights = forward.scene.weights
    weight = weights.get(base.name) if isinstance(base, tree.Name) and base.name not in env else None
    if weight is None:
        raise RefusedError(catalogue.networks.weight_due(node.span, [*weights]))
    member = tuple(forward.index(i, env) for i in index)
    if len(member) != len(weight.family):
        count = len(weight.family)
        raise RefusedError(catalogue.indices.index_count(node.span, weight.name, count, len(member)))
    forward.check_inside(node, weight.name, member, weight.family)
    if weight.node.columns is None:
        raise RefusedError(catalogue.networks.bias_multiplied(node.span, weight.name))
    return weight, member, transposed


def operand_of(forward: Forward, node: tree.MatrixProduct, weight: Weight, near: Side, env: Env) -> ArrayExpr:
    operand = forward.expr(node.operand, env)
    if near.width is None and near.count is None:
        operand = without_one(operand)
    check_operand(forward.scene, node, weight, near, operand)
    return operand
