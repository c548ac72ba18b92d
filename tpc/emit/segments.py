"""Which loop of a program can be run in parts: the one that `tpc.evaluate.in_parts.longest` finds, in its
place."""

from __future__ import annotations

from tpc.core.dependence import is_parallel
from tpc.core.storage import Region
from tpc.plan.structure import Structure


def segmented(parts: Structure, variable: str | None = None) -> Region | None:
    """That loop, None if there is none."""
    loops = [
        node
        for node in parts.nodes
        if isinstance(node, Region)
        and node.greatest > 1
        and not is_parallel(node.loop, ())
        and variable in (None, node.loop.variable)
    ]
    return max(reversed(loops), key=lambda region: region.greatest, default=None)
