"""The cheapest order in which to multiply the factors of a term and to sum them.

One product of two arrays after the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from tpc.core.affine import Affine
from tpc.core.expr import ONE, Expr, Value
from tpc.core.printer import print_expr
from tpc.core.traverse import free_variables, substitute
from tpc.reassociate.products import NotMultilinearError, Term

WRITE = 16  # multiplications that writing a number to memory takes as long as
MOST = 9  # factors of a term


@dataclass(frozen=True)
class TermFactor:
    """A factor of a term: a scalar, or a vector."""

    x: Expr
    # its indices that are axes
    moving: frozenset[str]

    @property
    def vector(self) -> bool:
        return isinstance(self.x, Value) and self.x.vector

    @cached_property
    def skeleton(self) -> str:
        """Itself but for the names of its axes."""
        return print_expr(_blank(self.x, dict.fromkeys(self.moving, "_")))


@dataclass(frozen=True)
class Pair:
    """The product of two, summed over the axes of theirs that are not among `moving`.

    For two vectors that is their inner product.
    """

    left: Node
    right: Node
    moving: frozenset[str]

    @property
    def vector(self) -> bool:
        return self.left.vector != self.right.vector

    @property
    def inner(self) -> bool:
        return self.left.vector and self.right.vector

    @property
    def summed(self) -> frozenset[str]:
        return (self.left.moving | self.right.moving) - self.moving

    @cached_property
    def skeleton(self) -> str:
        parts = sorted((self.left.skeleton, self.right.skeleton))
        return f"({parts[0]} {parts[1]} {len(self.moving)})"


Node = TermFactor | Pair


def _blank(x: Expr, names: Mapping[str, str]) -> Expr:
    return substitute(x, {v: Affine.var(name) for v, name in names.items()})


def pair_cost(node: Pair, extents: Mapping[str, int], size: int) -> float:
    """Multiplications of one product, its result written."""
    long = size if node.left.vector or node.right.vector else 1
    both = math.prod(extents[v] for v in node.left.moving | node.right.moving)
    made = math.prod(extents[v] for v in node.moving) * (size if node.vector else 1)
    between = both if node.inner and node.summed else 0  # the inner products, before they are summed
    return float(both * long + WRITE * (made + between))


def cheapest(
    term: Term, out: frozenset[str], extents: Mapping[str, int], size: int
) -> tuple[tuple[Expr, ...], Node | None]:
    """The factors that have no axes, and the best order for the others (None if there are no others).

    out: the axes of the result.

    extents: of all axes. size: numbers in a vector. Raises NotMultilinearError for too many factors.
    """
    moving = out | {v for v, _ in term.sums}
    still, leaves = [], []
    for x in (*term.scalars, *(Value(ref, True) for ref in term.vectors)):
        own = free_variables(x) & moving
        if own or (isinstance(x, Value) and x.vector):
            leaves.append(TermFactor(x, own))
        else:
            still.append(x)
    if len(leaves) > MOST:
        raise NotMultilinearError
    return tuple(still), _best(leaves, out, extents, size) if leaves else None


def _alone(
    leaf: TermFactor, needed: frozenset[str], extents: Mapping[str, int], size: int
) -> tuple[float, Node]:
    """A factor, summed over the axes that are its own."""
    if leaf.moving <= needed:
        return 0.0, leaf
    node = Pair(leaf, TermFactor(ONE, frozenset()), leaf.moving & needed)
    return pair_cost(node, extents, size), node


def _best(leaves: list[TermFactor], out: frozenset[str], extents: Mapping[str, int], size: int) -> Node:
    full = (1 << len(leaves)) - 1
    needed = [
        out | frozenset[str]().union(*(leaf.moving for k, leaf in enumerate(leaves) if not mask >> k & 1))
        for mask in range(full + 1)
    ]
    best: dict[int, tuple[float, Node]] = {
        1 << k: _alone(leaf, needed[1 << k], extents, size) for k, leaf in enumerate(leaves)
    }
    for mask in range(1, full + 1):
        if mask in best:
            continue
        part = (mask - 1) & mask
        while part:
            rest = mask ^ part
            if part > rest:  # each way of taking it apart once
                (a, left), (b, right) = best[part], best[rest]
                node = Pair(left, right, (left.moving | right.moving) & needed[mask])
                cost = a + b + pair_cost(node, extents, size)
                if mask not in best or cost < best[mask][0]:
                    best[mask] = cost, node
            part = (part - 1) & mask
    return best[full][1]
