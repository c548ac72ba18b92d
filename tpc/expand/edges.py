"""How smoothly the branches of a `where` meet: the one question of the series that is answered by numbers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from tpc.core.calculus import NotDifferentiableError, differentiate
from tpc.core.expr import ONE, ZERO, Compare, Expr, Number, OuterProduct, Sum, add, children, neg, walk
from tpc.core.laws import NUMPY
from tpc.core.numeric import evaluate
from tpc.core.spectral import SpectralMap

# random lines along which the edge is looked for, and what is a jump there
PROBES, EDGE = 400, 1e-6
MOST = 4  # derivatives beyond which branches count as no smoother
OF_TABLES = OuterProduct | SpectralMap  # of which an entry is a number that no other value tells

Places = Mapping[Expr, np.ndarray]


@lru_cache(maxsize=256)
def contact_at(condition: Compare, left: Expr, right: Expr) -> int | None:
    """The first derivative, 0 being the values, in which `left` and `right` differ where the condition
    changes; None if that is nowhere.

    Looked at where random lines meet the edge, found by bisection.
    """
    leaves = leaves_of(condition, left, right)
    places = edge(condition, leaves)
    if places is None:
        return None
    pairs = [(left, right)]
    for order in range(MOST):
        if any(differ(*pair, places) for pair in pairs):
            return order
        try:
            pairs = [(slope(a, leaf), slope(b, leaf)) for a, b in pairs for leaf in leaves]
        except NotDifferentiableError:
            return order + 1
        pairs = [pair for pair in dict.fromkeys(pairs) if pair[0] != pair[1]]
        if not pairs:
            return None
    return MOST


@lru_cache(maxsize=256)
def rests(place: Expr, moved: Expr) -> bool:
    """Whether `place` is 0, not by chance, where `moved` is not."""
    leaves = leaves_of(place, moved)
    r = np.random.default_rng(0)
    places = dict(zip(leaves, r.standard_normal((len(leaves), PROBES)), strict=True))
    return bool(leaves) and bool(np.any((numbers(place, places) == 0) & (numbers(moved, places) != 0)))


def leaves_of(*expressions: Expr) -> list[Expr]:
    return list(
        dict.fromkeys(
            node
            for x in expressions
            for node in walk(x)
            if isinstance(node, Sum | OF_TABLES) or not (children(node) or isinstance(node, Number))
        )
    )


def edge(condition: Compare, leaves: list[Expr]) -> Places | None:
    """Places where the condition changes, of all sizes; None if none is found."""
    r = np.random.default_rng(0)
    start, end = r.standard_normal((2, len(leaves), PROBES)) * 10 ** r.uniform(-1, 2, PROBES)
    low, high = np.zeros(PROBES), np.ones(PROBES)
    side = add(condition.left, neg(condition.right))

    def at(place: np.ndarray) -> np.ndarray:
        return numbers(side, dict(zip(leaves, start + place * (end - start), strict=True)))

    below, above = at(low), at(high)
    crosses = below * above < 0
    for _ in range(80):
        middle = (low + high) / 2
        same = at(middle) * below > 0
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    found = (start + high * (end - start))[:, crosses]
    return dict(zip(leaves, found, strict=True)) if crosses.any() else None


def differ(left: Expr, right: Expr, places: Places) -> bool:
    one, other = numbers(left, places), numbers(right, places)
    return bool(np.any(np.abs(one - other) > EDGE * (1 + np.abs(one) + np.abs(other))))


def slope(x: Expr, leaf: Expr) -> Expr:
    def seed(node: Expr) -> Expr | None:
        if node == leaf:
            return ONE
        return ZERO if isinstance(node, OF_TABLES) or not children(node) else None

    return differentiate(x, seed)


def numbers(x: Expr, places: Places) -> np.ndarray:
    count = len(next(iter(places.values())))
    with np.errstate(all="ignore"):
        return np.broadcast_to(np.asarray(evaluate(x, places.get, NUMPY), dtype=float), (count,))
