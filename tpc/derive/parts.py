"""Which fresh names formulas show as what they stand for: those that lowering made for parts of a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import networkx

from tpc.core.expr import walk
from tpc.core.names import is_part
from tpc.core.places import Site
from tpc.core.program import Product
from tpc.core.traverse import used_refs

# of parts in parts, and of a part written out; what exceeds them keeps its name
MAX_NESTED, MAX_NODES = 20, 5000


def parts_of_lines(made: Mapping[str, Sequence[Site]]) -> dict[str, Sequence[Site]]:
    """The families with fresh names that can be written out where they are used.

    made: the sites by what they make.

    None that refers to itself by way of others over the rounds of a loop, and none that would be too long, or
    be nested too deep.
    """

    fresh = {name: sites for name, sites in made.items() if is_part(name)}
    graph = networkx.DiGraph()
    graph.add_nodes_from(fresh)
    graph.add_edges_from(
        (name, ref.name)
        for name, sites in fresh.items()
        for site in sites
        for ref in used_refs(site.op)
        if ref.name in fresh
    )
    # how deep parts are nested in a part, and the nodes of it written out
    extents: dict[str, tuple[int, int]] = {}
    groups = networkx.condensation(graph)
    for group in reversed(list(networkx.topological_sort(groups))):
        name, *others = groups.nodes[group]["members"]
        if others or graph.has_edge(name, name):
            continue
        inner = [
            extents[ref.name] for site in fresh[name] for ref in used_refs(site.op) if ref.name in extents
        ]
        extent = (
            1 + max((depth for depth, _ in inner), default=0),
            sum(map(own_size, fresh[name])) + sum(size for _, size in inner),
        )
        if extent[0] <= MAX_NESTED and extent[1] <= MAX_NODES:
            extents[name] = extent
    return {name: sites for name, sites in fresh.items() if name in extents}


def own_size(site: Site) -> int:
    return 1 if isinstance(site.op, Product) else sum(1 for _ in walk(site.op.phi))
