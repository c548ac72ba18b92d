"""Series of functions of tables as operators."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.core.expr import ZERO, Add, Expr, Mul, OuterProduct, Sum, Value, is_vector, replace, values, walk
from tpc.core.printer import as_written
from tpc.core.program import Nonlin, OuterNonlin
from tpc.core.spectral import SpectralMap
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.expand.growth import GrowsError, SmallError
from tpc.expand.terms import F0, NONE, Series

if TYPE_CHECKING:
    from tpc.expand.orders import Orders
    from tpc.expand.series import Expander

# functions that are homogeneous in their first table, by its power in them
DEGREES = {"left_gram": 2, "right_gram": 2, "preconditioned": 1, "polar": 0}


def spectral_series(expander: Expander, x: SpectralMap, cut: Fraction) -> Series:
    """A series, of the first terms of tables alone: those below would need a derivative, which is refused."""
    if x.function in DEGREES:
        return _homogeneous(expander, x, DEGREES[x.function], cut)
    top = expander.power_of(x.table)
    if top is None:
        expander.look_for([x.table], F0, cut)
        return NONE
    if top > 0:
        raise GrowsError(x.function, *expander.largest([x.table]))
    table, *scalars = (expander.series(part, min(cut, F0)) for part in x.parts)
    if F0 not in table:
        if expander.settled and cut <= 0:
            raise SmallError(x.function)
        return {F0: x}  # so that it is asked for once all powers are known
    out = {F0: x.with_parts([table[F0], *(terms.get(F0, ZERO) for terms in scalars)])}
    below = max((p for p in table if p < 0), default=None)
    return out if below is None or below < cut else {**out, below: expander.rough(x.function)}


def spectral_power(x: SpectralMap, own: Fraction | None) -> Fraction | None:
    """A power that no term of it exceeds, `own` being that of the first table."""
    return F0 if x.function not in DEGREES else None if own is None else own * DEGREES[x.function]


def _homogeneous(expander: Expander, x: SpectralMap, degree: int, cut: Fraction) -> Series:
    """All else is of order 1, and as in the limit."""
    others = x.parts[1:]
    if any((expander.power_of(part) or F0) > 0 for part in others):
        raise GrowsError(x.function, *expander.largest(others))
    top = expander.power_of(x.table)
    if top is None:
        expander.look_for([x.table], Fraction(degree), cut)
        return NONE
    terms = expander.series(x.table, min(cut - top * (degree - 1), top))
    first = max(terms, default=None)
    if first is None or first * degree < cut:
        return NONE
    rest = [expander.series(part, min(cut - first * degree, F0)) for part in others]
    parts: list[Expr] = [terms[first], *(own.get(F0, ZERO) for own in rest)]
    moves = [p - first for p in terms if p < first] + [p for own in rest for p in own if p < 0]
    below = first * degree + max(moves, default=cut - 1 - first * degree)
    out = {first * degree: x.with_parts(parts)}
    return out if below < cut else {**out, below: expander.rough(x.function)}


def require_same_sizes(known: Orders) -> None:
    """Raises RefusedError where a polar factor is of a table parts of which are smaller by a power of n.

    These have singular values of their own, which are not 0 at any width, and count as much as others.
    """
    for site in known.sites:
        for node in walk(site.op.phi) if isinstance(site.op, OuterNonlin) else ():
            if not isinstance(node, SpectralMap) or node.function != "polar":
                continue
            sizes = dict[object, Fraction]()
            for pair, p in _pairs(known, node.table, F0, set()):
                sizes[pair] = max(p, sizes.get(pair, p))
            if len(set(sizes.values())) > 1:
                at, out = site.op.origin.label, as_written(site.op.out)
                raise RefusedError(catalogue.scaling.rough_series(at, out, node.function))


def _pairs(known: Orders, x: Expr, factor: Fraction, seen: set[str]) -> Iterator[tuple[object, Fraction]]:
    """The families of the vectors that a table in factors is made of, row and column, with powers of n."""
    match x:
        case Value(ref, _):
            sites = () if ref.name in seen else known.made.get(ref.name, ())
            for site in sites:
                if isinstance(site.op, OuterNonlin):
                    yield from _pairs(known, site.op.phi, factor, seen | {ref.name})
        case OuterProduct():
            if (own := _power(known, x)) is not None:
                yield tuple(frozenset(v.ref.name for v in values(part)) for part in x.parts), factor + own
        case Add(terms):
            for term in terms:
                yield from _pairs(known, term, factor, seen)
        case Sum(_, _, body):
            yield from _pairs(known, body, factor, seen)
        case Mul(factors):
            powers = [known.expander.power_of(part) for part in factors if not is_vector(part)]
            if None not in powers:
                whole = factor + sum(p for p in powers if p is not None)
                for part in factors:
                    yield from _pairs(known, part, whole, seen) if is_vector(part) else ()


def _power(known: Orders, x: Expr) -> Fraction | None:
    """As `power_of`, also of what has only been looked for down to order 1."""

    def made_of(node: Expr) -> Expr | None:
        if not isinstance(node, Value) or known.powers_of(node.ref):
            return None
        makers = [site.op for site in known.made.get(node.ref.name, ())]
        (op,) = makers if len(makers) == 1 else (None,)
        return replace(op.phi, made_of) if isinstance(op, Nonlin) else None

    return known.expander.power_of(replace(x, made_of))
