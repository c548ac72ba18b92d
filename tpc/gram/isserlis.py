"""`E` of a product of Gaussians: the sum over all ways to pair them (Isserlis)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.core.expr import ONE, ZERO, Expr, add, mul, neg
from tpc.gram.ir import NotGramError

if TYPE_CHECKING:
    from tpc.gram.covariance import Covariances

MOST = 10  # factors: 945 pairings


def isserlis(engine: Covariances, members: Sequence[Expr]) -> Expr:
    """`E Π members`, jointly Gaussian; those with a mean may be left alone."""
    if len(members) > MOST:
        raise NotGramError(f"a product of {len(members)} Gaussians")
    means = [engine.mean(x) for x in members]
    if len(members) % 2 and all(m == ZERO for m in means):
        return ZERO
    return _sum(engine, list(members), means)


def covariance_of(engine: Covariances, x: Expr, y: Expr, mean_x: Expr, mean_y: Expr) -> Expr:
    second = engine.product([x, y])
    return second if ZERO in (mean_x, mean_y) else add(second, neg(mul(mean_x, mean_y)))


def _sum(engine: Covariances, members: list[Expr], means: list[Expr]) -> Expr:
    if not members:
        return ONE
    first, others = members[0], members[1:]
    terms = []
    if means[0] != ZERO:
        terms.append(mul(means[0], _sum(engine, others, means[1:])))
    for k, other in enumerate(others):
        pair = covariance_of(engine, first, other, means[0], means[k + 1])
        if pair != ZERO:
            terms.append(
                mul(pair, _sum(engine, others[:k] + others[k + 1 :], means[1 : k + 1] + means[k + 2 :]))
            )
    return add(*terms)
