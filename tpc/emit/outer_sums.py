"""Sums of outer products as expressions of JAX: one product of arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.core.affine import Ranges
from tpc.core.expr import Expr, Mul, OuterProduct, Value, is_vector
from tpc.emit import python as py
from tpc.emit.python import Py
from tpc.emit.scopes import Frame
from tpc.emit.sums import Loops, depends, greatest, in_order, variables_of

if TYPE_CHECKING:
    from tpc.emit.sums import Sums


def sum_of_outer(sums: Sums, loops: Loops, body: Expr, frame: Frame, ranges: Ranges) -> Py | None:
    """A sum of outer products with coefficients, as one product of arrays.

    None if it is something else.
    """
    factors = body.factors if isinstance(body, Mul) else (body,)
    outer = [f for f in factors if isinstance(f, OuterProduct)]
    scalars = [f for f in factors if not is_vector(f)]
    sides = [part for f in outer for part in f.parts]
    if len(outer) != 1 or len(scalars) + 1 != len(factors) or not all(isinstance(x, Value) for x in sides):
        return None
    letters = dict(zip([v for v, _ in loops], "ijklmnop", strict=False))
    moving = [f for f in scalars if any(depends(f, v) for v, _ in loops)]
    coefficients, count = sums.coefficients_of(moving, loops, frame, ranges), loops[0][1]
    arrays, terms, lengths = list[Py](), ["".join(letters.values())], set[int]()
    for side, points in zip(sides, "ab", strict=True):
        assert isinstance(side, Value)
        own = tuple(loop for loop in loops if depends(side, loop[0]))
        if not side.vector:
            return None
        held = frame.find(side.ref)
        if own and not in_order(held, side.ref, variables_of(own), all_of_them=True):
            return None
        if not own:
            arrays.append(sums.emit.value(side, frame, ranges))
        else:
            array, length = sums.slice(held, side.ref, own, frame, ranges)
            arrays.append(array)
            lengths |= {length} if own[0] == loops[0] else set()
        terms.append("".join(letters[v] for v, _ in own) + points)
    if len(lengths) > 1:
        return None
    if count.constant is None:
        padded = [py.integer(n) for n in lengths if n != greatest(count, ranges)]
        coefficients = py.call("before", sums.emit.affine(count, frame), coefficients, *padded)
    found = py.call("jnp.einsum", Py(f"'{','.join(terms)}->ab'"), coefficients, *arrays)
    still = [f for f in scalars if f not in moving]
    return sums.times(still, found, count, frame, ranges)
