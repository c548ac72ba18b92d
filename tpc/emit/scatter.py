"""Updates of a few members of an array, where inputs are one-hot: added in place rather than to all members.

U[t+1, k] = U[t, k] - c[t]*where(k <= j[t], where(k >= j[t], 1, 0), 0)*x[t] for k < d      →
U.at[j[t]].add(-c[t]*x[t])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tpc.core.affine import Affine
from tpc.core.brackets import compared
from tpc.core.expr import (
    ZERO,
    Add,
    Expr,
    Gather,
    Index,
    Mul,
    Position,
    Ref,
    Sum,
    Value,
    add,
    is_vector,
    mul,
)
from tpc.core.expr import replace as rebuilt
from tpc.core.program import OuterNonlin, Product
from tpc.core.storage import Leaf, Region, ranges
from tpc.emit import python as py
from tpc.emit.excluded import finite_branches
from tpc.emit.python import Assign, Py
from tpc.emit.scopes import Frame, MemberArray
from tpc.emit.sums import Loops, depends

if TYPE_CHECKING:
    from tpc.emit.formulas import Expressions


@dataclass(frozen=True, slots=True)
class Addition:
    """What a sum over `loops` adds to the member at `row`."""

    loops: Loops
    row: Gather
    value: Expr


def separated(region: Region, indices: AbstractSet[str]) -> tuple[Region, tuple[Addition, ...]]:
    """A loop without the terms of its only instruction that are 0 but at one member, and these terms.

    indices: the inputs that are indices.
    """
    leaf = region.body[0]
    if (
        len(region.body) != 1
        or not isinstance(leaf, Leaf)
        or isinstance(leaf.op, Product | OuterNonlin)
        or not isinstance(leaf.op.phi, Add)
    ):
        return region, ()
    if [i for i in leaf.op.out.index if isinstance(i, Affine) and region.variable in i.variables] != [
        Affine.var(region.variable)
    ]:
        return region, ()
    rest, found = _split(leaf.op.phi, (), region.variable, indices)
    if not found or (is_vector(leaf.op.phi) and not is_vector(rest)):
        return region, ()
    op = replace(leaf.op, phi=rest)
    others = Region.around_body(region.loop, region.around, lambda around: (Leaf(op, around),))
    return others, found


def _split(
    x: Expr, loops: Loops, variable: str, indices: AbstractSet[str]
) -> tuple[Expr, tuple[Addition, ...]]:
    """What is left of `x`, inside sums over `loops`, without the terms that are 0 but at one member.

    The second value has the terms that were left out.
    """
    if isinstance(x, Add):
        parts = [_split(term, loops, variable, indices) for term in x.terms]
        return add(*(rest for rest, _ in parts)), tuple(a for _, found in parts for a in found)
    factors = x.factors if isinstance(x, Mul) else (x,)
    for k, factor in enumerate(factors):
        others = mul(*factors[:k], *factors[k + 1 :])
        row = _row(factor, variable)
        if row is not None and row.input in indices:
            value = at_row(others, variable, row)
            return (x, ()) if depends(value, variable) else (ZERO, (Addition(loops, row, value),))
        if isinstance(factor, Add):
            rest, found = _split(factor, loops, variable, indices)
            found = tuple(replace(a, value=mul(at_row(others, variable, a.row), a.value)) for a in found)
            if found and not any(depends(a.value, variable) for a in found):
                return mul(others, rest), found
        if (
            isinstance(factor, Sum)
            and factor.count.constant is not None
            and factor.variable not in (v for v, _ in loops)
        ):
            rest, found = _split(
                mul(others, factor.body), (*loops, (factor.variable, factor.count)), variable, indices
            )
            if found and rest == ZERO:
                return ZERO, found
    return x, ()


def _row(x: Expr, variable: str) -> Gather | None:
    """j, if `x` is `where(k <= j, where(k >= j, 1, 0), 0)`, and j is read at affine indices."""
    match compared(x):
        case Position(position), Value(Ref(name, index), False) if position == Affine.var(variable):
            affine = tuple(i for i in index if isinstance(i, Affine))
            return Gather(name, affine) if len(affine) == len(index) else None
    return None


def at_row(x: Expr, variable: str, row: Gather) -> Expr:
    """`x` with members at the loop's variable replaced by those at `row`."""

    def leaf(node: Expr) -> Expr | None:
        if isinstance(node, Value):
            index: tuple[Index, ...] = tuple(row if i == Affine.var(variable) else i for i in node.ref.index)
            return Value(Ref(node.ref.name, index), node.vector)
        return None

    return rebuilt(x, leaf)


def added(
    emit: Expressions,
    held: MemberArray,
    region: Region,
    additions: Sequence[Addition],
    frame: Frame,
    suffix: str,
) -> None:
    """Emits the additions to the array, which has one axis, that of the loop.

    They are made at once if each is a sum over one variable.

    One after the other they make XLA copy an array that is carried and was read before.
    """
    comments = [
        " ".join(["one-hot: all else is 0", *(f"for {v} < {n}" for v, n in a.loops)]) for a in additions
    ]
    rows = [_rows(emit, a, frame, region) for a in additions]
    values = [_all(emit, a, a.value, frame, region, suffix) for a in additions]
    if len(additions) > 1 and all(len(a.loops) == 1 for a in additions):
        comments = ["; ".join(dict.fromkeys(comments))]
        rows, values = ([py.call("jnp.concatenate", py.tuple_of(own))] for own in (rows, values))
    for comment, row, value in zip(comments, rows, values, strict=True):
        turn = frame.turns() if held.packed else None
        more = (
            Py(f"{held.name}.at[{row.text}].add({value.text})")
            if turn is None
            else py.call(
                "increased", py.name(held.name), row, value, turn, py.integer(emit.packed.index(held.family))
            )
        )
        frame.statements.append(Assign((held.name,), more, comment))
    frame.changes(held)


def _goes_through(a: Addition, source: MemberArray) -> bool:
    """Whether the sums go through all of the input that tells the members, in the order of its axes."""
    variables = [v for v, _ in a.loops]
    along = [
        i.terms[0][0] for i in a.row.index if i.variables & set(variables) and i == Affine.var(i.terms[0][0])
    ]
    full = all(
        n.const == source.shape[axis]
        for axis, i in enumerate(a.row.index)
        for v, n in a.loops
        if v in i.variables
    )
    return along == variables and full and source.kept == tuple(range(len(a.row.index)))


def _rows(emit: Expressions, a: Addition, frame: Frame, region: Region) -> Py:
    """The members that something is added to: for all values of the sums' variables, an axis each."""
    if not a.loops:
        return emit.index(a.row, frame)
    source = frame.find(Ref(a.row.input, a.row.index))
    variables = [v for v, _ in a.loops]
    if not _goes_through(a, source):
        return _over(emit, a, frame, lambda inner: emit.index(a.row, inner))
    return py.subscript(
        py.name(source.name),
        [py.FULL if i.variables & set(variables) else emit.affine(i, frame) for i in a.row.index],
    )


def _all(emit: Expressions, a: Addition, x: Expr, frame: Frame, region: Region, suffix: str) -> Py:
    """`x` for all values of the sums' variables, an axis each."""
    x, around = finite_branches(x), (*ranges(region.around), *a.loops)
    return _over(
        emit,
        a,
        frame,
        lambda inner: emit.vector(x, inner, around, suffix) if is_vector(x) else emit.value(x, inner, around),
    )


def _over(emit: Expressions, a: Addition, frame: Frame, body: Callable[[Frame], Py]) -> Py:
    """What `body` emits in a frame, for all values of the sums' variables."""
    inner, parameters = frame, []
    for variable, _ in a.loops:
        parameters.append(emit.names.fresh(variable))
        inner = Frame(parent=inner, variables={variable: parameters[-1]})
    value = body(inner)
    for parameter, (_, n) in reversed(list(zip(parameters, a.loops, strict=True))):
        value = Py(f"jax.vmap({py.lambda_of(parameter, value).text})(jnp.arange({n}))")
    return value
