"""Linear combinations of vectors taken apart, where a function of many of them is one of few vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tpc.core.expr import ONE, ZERO, Add, Expr, Mul, Sum, Value, add, is_vector, mul

Parts = dict[Expr, Expr]  # the coefficient of each vector, and under ONE what has none


def parts_of(x: Expr) -> Parts | None:
    """A linear combination of vectors, and of sums of vectors, by its coefficients; None if it is none."""
    if not is_vector(x):
        return {ONE: x}
    match x:
        case Value() | Sum():
            return {x: ONE}
        case Add(terms):
            out: Parts = {}
            for term in terms:
                found = parts_of(term)
                if found is None:
                    return None
                for atom, coefficient in found.items():
                    out[atom] = add(out[atom], coefficient) if atom in out else coefficient
            return {atom: coefficient for atom, coefficient in out.items() if coefficient != ZERO}
        case Mul(factors):
            vectors = [f for f in factors if is_vector(f)]
            inner = parts_of(vectors[0]) if len(vectors) == 1 else None
            front = [f for f in factors if not is_vector(f)]
            return (
                None
                if inner is None
                else {atom: mul(*front, coefficient) for atom, coefficient in inner.items()}
            )
    return None


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
