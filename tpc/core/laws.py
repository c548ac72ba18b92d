"""The numbers that laws, ratios and variances come to, given the inputs.

Arrays over the axes of what is declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tpc.core.affine import Affine
from tpc.core.expr import (
    Add,
    Constant,
    Expr,
    Gather,
    Index,
    Mul,
    Number,
    Position,
    Sum,
    Value,
    children,
    walk,
)
from tpc.core.like_terms import like_terms
from tpc.core.numeric import Namespace, evaluate
from tpc.core.program import Axis, Gaussians
from tpc.core.traverse import substitute

Inputs = Mapping[str, np.ndarray]


class _Special:
    """scipy.special, imported only if a law needs it."""

    def __getattr__(self, name: str) -> Any:
        import scipy.special

        return getattr(scipy.special, name)


NUMPY = Namespace(np, _Special())


def law_number(x: Expr, inputs: Inputs, axes: tuple[Axis, ...]) -> np.ndarray:
    """An expression over inputs and axis variables, an array over the axes."""
    grids = dict(
        zip((variable for variable, _ in axes), np.indices(tuple(count for _, count in axes)), strict=True)
    )

    def at(index: Index) -> np.ndarray:
        if isinstance(index, Gather):
            return np.asarray(np.asarray(inputs[index.input])[tuple(at(i) for i in index.index)])
        return np.asarray(index.over(grids))

    def leaf(node: Expr) -> Any | None:
        match node:
            case Value(ref, _):
                return np.asarray(inputs[ref.name], dtype=float)[tuple(at(i) for i in ref.index)]
            case Position(index):
                return at(index).astype(float)
            case Sum(variable, count, body):
                limit = at(count)
                rounds = (substitute(body, {variable: Affine(i)}) for i in range(int(np.max(limit))))
                return sum(
                    (np.where(i < limit, evaluate(term, leaf, NUMPY), 0.0) for i, term in enumerate(rounds)),
                    start=np.zeros(()),
                )
        return None

    with np.errstate(all="ignore"):
        out: np.ndarray = np.broadcast_to(
            np.asarray(evaluate(x, leaf, NUMPY), dtype=float), tuple(count for _, count in axes)
        )
    return out


def covariance(group: Gaussians, inputs: Inputs) -> np.ndarray:
    """[*axes, k, k]."""
    rows = [np.stack([law_number(x, inputs, group.axes) for x in row], axis=-1) for row in group.covariance]
    return np.stack(rows, axis=-2)


def is_zero(x: Expr) -> bool:
    """Whether `x` is 0 whatever the inputs and vectors are, which log(1) and u − u are, too."""
    match x:
        case Number(value):
            return value == 0
        case Mul(factors):
            return any(map(is_zero, factors))
        case Add() if not is_constant(x):
            return not any(like_terms(x).values())
    return is_constant(x) and bool(law_number(x, {}, ()) == 0)


def is_constant(x: Expr) -> bool:
    nodes = list(walk(x))
    known = all(node.count.constant is not None for node in nodes if isinstance(node, Sum))
    return known and all(isinstance(leaf, Number | Constant) for leaf in nodes if not children(leaf))
