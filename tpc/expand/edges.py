"""Whether a `where` jumps at its edge: the one question of the series that is answered by numbers."""

from __future__ import annotations

import numpy as np

from tpc.core.expr import Compare, Expr, Number, Sum, add, children, neg, walk
from tpc.core.laws import NUMPY
from tpc.core.numeric import evaluate

# random lines along which the edge is looked for, and what is a jump there
PROBES, EDGE = 200, 1e-6


def jumps(condition: Compare, left: Expr, right: Expr) -> bool:
    """Whether `left` and `right` differ where the condition changes.

    Looked at where random lines meet its edge, found by bisection.
    """
    r = np.random.default_rng(0)
    leaves = list(
        dict.fromkeys(
            node
            for x in (condition, left, right)
            for node in walk(x)
            if isinstance(node, Sum) or not (children(node) or isinstance(node, Number))
        )
    )
    start, end = r.standard_normal((2, len(leaves), PROBES)) * 3
    low, high = np.zeros(PROBES), np.ones(PROBES)

    def at(x: Expr, place: np.ndarray) -> np.ndarray:
        known = dict(zip(leaves, start + place * (end - start), strict=True))
        with np.errstate(all="ignore"):
            return np.broadcast_to(np.asarray(evaluate(x, known.get, NUMPY), dtype=float), (PROBES,))

    side = add(condition.left, neg(condition.right))
    crosses = at(side, low) * at(side, high) < 0
    for _ in range(80):
        middle = (low + high) / 2
        same = at(side, middle) * at(side, low) > 0
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return bool(np.any(np.abs(at(left, high) - at(right, high))[crosses] > EDGE))
