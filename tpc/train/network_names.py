"""Names in a network's body, and members of what they name, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.print_tree import print_tree
from tpc.syntax.tree import Tree
from tpc.syntax.walk import walk
from tpc.train.build import Maker
from tpc.train.collect import place_of
from tpc.train.records import ArrayExpr, Index
from tpc.train.weights import Weight

if TYPE_CHECKING:
    from tpc.train.forward import Forward

Env = Mapping[str, ArrayExpr]


def bias(forward: Forward, node: Tree, weight: Weight) -> ArrayExpr:
    if weight.columns.width or weight.columns.count is not None:
        raise RefusedError(catalogue.networks.weight_misplaced(node.span, weight.name))
    probe = forward.entry(weight, tuple(Maker(node.span).name("_") for _ in weight.axes), forward.scope())
    bases = [probe, *(part.base for part in walk(probe) if isinstance(part, tree.Indexed))]
    forward.members |= {base.name for base in bases if isinstance(base, tree.Name)}
    return ArrayExpr(weight.rows.width, weight.axes, lambda i: forward.entry(weight, i, forward.scope()))


def outside(forward: Forward, node: Tree, name: str, index: Index) -> ArrayExpr:
    """An input, a vector or a family of the program, with some of its indices given."""
    known = forward.scene.outer.get(name)
    if known is None:
        if name in forward.scene.networks or forward.scene.is_elementwise(name):
            raise RefusedError(catalogue.names.function_as_value(node.span, name))
        if name in forward.scene.widths:
            raise RefusedError(catalogue.laws.width_in_network(node.span, name))
        raise RefusedError(
            catalogue.names.unknown_name(
                node.span, name, [*forward.scene.outer, *forward.scene.weights, *forward.scene.networks]
            )
        )
    if len(index) > len(known.axes):
        raise RefusedError(catalogue.indices.index_count(node.span, name, len(known.axes), len(index)))
    forward.check_inside(node, name, index, known.axes)
    return ArrayExpr(
        known.width, known.axes[len(index) :], lambda i: Maker(node.span).member(name, (*index, *i))
    )


def indexed(forward: Forward, node: Tree, base: Tree, index: Sequence[Tree], env: Env) -> ArrayExpr:
    positions = tuple(forward.index(i, env) for i in index)
    if isinstance(base, tree.Name) and base.name not in env and base.name not in forward.scene.weights:
        return outside(forward, node, base.name, positions)
    value, shown = forward.expr(base, env), base.name if isinstance(base, tree.Name) else ""
    if value.members is not None:
        if not value.members:
            raise RefusedError(catalogue.indices.never_made(node.span, print_tree(node), ""))
        place = place_of(forward, value, shown, positions, index)
        if place is not None:
            if place not in value.members:
                raise RefusedError(
                    catalogue.indices.never_made(node.span, f"{shown}[{', '.join(map(str, place))}]", "")
                )
            value, positions = value.members[place], positions[len(place) :]
            if not positions:
                return value
    if len(positions) > len(value.shape):
        raise RefusedError(catalogue.indices.index_count(node.span, shown, len(value.shape), len(positions)))
    forward.check_inside(node, shown, positions, value.shape)
    return ArrayExpr(value.width, value.shape[len(positions) :], lambda i: value.at((*positions, *i)))
