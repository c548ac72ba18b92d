"""Loops whose rounds depend on each other, in parts: some of these may have rounds that do not."""

from __future__ import annotations

from collections.abc import Collection

import networkx

from tpc.core.affine import Ranges
from tpc.core.dependence import is_parallel
from tpc.core.passes import rewrite
from tpc.core.program import For, instructions
from tpc.core.traverse import used_refs


def in_parts(loop: For, outer: Ranges) -> tuple[For, ...]:
    """A loop for each set of families that are made of each other; the loop, if none would be parallel."""
    graph, made = networkx.DiGraph(), dict[str, int]()
    for op, _ in instructions(loop.body):
        made.setdefault(op.out.name, len(made))
    graph.add_nodes_from(made)
    graph.add_edges_from(
        (ref.name, op.out.name)
        for op, _ in instructions(loop.body)
        for ref in used_refs(op)
        if ref.name in made
    )
    groups = networkx.condensation(graph)
    first = {node: min(made[name] for name in groups.nodes[node]["members"]) for node in groups}
    order = networkx.lexicographical_topological_sort(groups, key=first.__getitem__)
    parts = [_part(loop, groups.nodes[node]["members"]) for node in order]
    return tuple(parts) if any(is_parallel(part, outer) for part in parts) else (loop,)


def _part(loop: For, families: Collection[str]) -> For:
    (part,) = rewrite((loop,), lambda op: op if op.out.name in families else None)
    assert isinstance(part, For)
    return part
