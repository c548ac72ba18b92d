"""Linear combinations of vectors taken apart, where a function of many of them is one of few vectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from tpc.core.expr import ONE, ZERO, Add, Expr, Mul, Sum, Value, add, is_vector, mul

K = TypeVar("K")
Parts = dict[Expr, Expr]  # the coefficient of each vector, and under ONE what has none


def parts_of(x: Expr) -> Parts | None:
    """A linear combination of vectors, and of sums of vectors, by its coefficients; None if it is none."""
    if not is_vector(x):
        return {ONE: x}
    match x:
        case Value() | Sum():
            return {x: ONE}
        case Add(terms):
            out = total_of(map(parts_of, terms))
            return None if out is None else {atom: k for atom, k in out.items() if k != ZERO}
        case Mul(factors):
            vectors = [f for f in factors if is_vector(f)]
            front = [f for f in factors if not is_vector(f)]
            return multiple_of(parts_of(vectors[0]), front) if len(vectors) == 1 else None
    return None


def total_of(parts: Iterable[dict[K, Expr] | None]) -> dict[K, Expr] | None:
    """The sum of linear combinations, by their coefficients; None if one of them is none."""
    out: dict[K, Expr] = {}
    for part in parts:
        if part is None:
            return None
        for key, coefficient in part.items():
            out[key] = add(out[key], coefficient) if key in out else coefficient
    return out


def multiple_of(part: dict[K, Expr] | None, front: Sequence[Expr]) -> dict[K, Expr] | None:
    """A linear combination times scalars."""
    return None if part is None else {key: mul(*front, coefficient) for key, coefficient in part.items()}


def fewer(meanings: Mapping[str, Expr], names: Sequence[str]) -> dict[str, Parts] | None:
    """The Gaussians `names` in vectors, if these are fewer; None if nothing is won.

    It is won, too, if they are as many, and what is added to them is told apart.
    """
    found = {name: parts_of(meanings[name]) for name in names}
    known = {name: parts for name, parts in found.items() if parts is not None}
    atoms = {atom for parts in known.values() for atom in parts if atom != ONE}
    shifted = any(ONE in parts for parts in known.values())
    if len(known) < len(names) or len(atoms) > len(names) or (len(atoms) == len(names) and not shifted):
        return None
    return known
