"""Tables in factors as arrays of coefficients: what is emitted for them.

A row, or a column, of the array belongs to a vector, a place among `Slots`. Places of what is not made yet
have coefficients 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tpc.core.affine import Affine, Ranges
from tpc.core.expr import Expr, Mul, OuterProduct, Ref, Sum, Value, is_vector, walk
from tpc.core.factored import Slots, slots_of
from tpc.core.program import OuterMul, OuterNonlin, Program
from tpc.core.spectral import SpectralMap
from tpc.core.storage import leaves
from tpc.emit import python as py
from tpc.emit.python import Assign, Py
from tpc.emit.scopes import Frame
from tpc.emit.sums import Loops, Sums, depends, greatest
from tpc.plan.structure import Structure

if TYPE_CHECKING:
    from tpc.emit.formulas import Expressions


def cell(emit: Expressions, x: OuterProduct, slots: tuple[Slots, Slots], frame: Frame) -> Py:
    """One outer product: a coefficient 1 at its place."""
    ones = py.call("jnp.ones", Py("()"), py.name("dtype"))
    return _cells(emit, x, slots, frame, ones)


def _cells(
    emit: Expressions, x: OuterProduct, slots: tuple[Slots, Slots], frame: Frame, coefficients: Py
) -> Py:
    """The coefficients of outer products at their places."""
    refs = [vector.ref for vector in x.parts if isinstance(vector, Value)]
    places = [emit.affine(_place(own, ref), frame) for own, ref in zip(slots, refs, strict=True)]
    shape = py.tuple_of([py.integer(own.count) for own in slots])
    return py.call("cells", shape, *places, coefficients)


def sum_of_cells(
    sums: Sums, loops: Loops, body: Expr, slots: tuple[Slots, Slots], frame: Frame, ranges: Ranges
) -> Py | None:
    """A sum of outer products with coefficients: these at their places. None if it is something else."""
    emit = sums.emit
    factors = body.factors if isinstance(body, Mul) else (body,)
    outer = [f for f in factors if isinstance(f, OuterProduct)]
    scalars = [f for f in factors if not is_vector(f)]
    if len(outer) != 1 or len(scalars) + 1 != len(factors):
        return None
    moving = [f for f in scalars if any(depends(f, v) for v, _ in loops)]
    coefficients = sums.coefficients_of(moving, loops, frame, ranges)
    count = loops[0][1]
    if count.constant is None:
        coefficients = py.call("before", emit.affine(count, frame), coefficients)
    found = _cells(emit, outer[0], slots, _along(loops, ranges, frame), coefficients)
    still = [f for f in scalars if f not in moving]
    return sums.times(still, found, count, frame, ranges)


def product(emit: Expressions, op: OuterMul, frame: Frame) -> Py:
    """`Σ_ij C_ij x_i ⟨y_j, z⟩`, or transposed."""
    assert isinstance(op.vectors, OuterProduct)
    near, far = (
        Stack(emit, emit.factored[op.table.name][side], op.vectors.parts[side], frame)
        for side in ((0, 1) if op.transposed else (1, 0))
    )
    coefficients = emit.member(op.table, frame)
    met = near.products(emit.member(op.operand, frame))
    return far.combined(py.matmul(met, coefficients) if op.transposed else py.matmul(coefficients, met))


def spectral(emit: Expressions, x: SpectralMap, frame: Frame, ranges: Ranges) -> Py:
    """A function of tables as operators, by the inner products of rows and of columns."""
    assert isinstance(x.vectors, OuterProduct)
    assert isinstance(x.table, Value)
    stacks = [
        Stack(emit, own, part, frame)
        for own, part in zip(emit.factored[x.table.ref.name], x.vectors.parts, strict=True)
    ]

    def gram(side: int) -> Py:
        chain = frame.chain(gram_key(stacks[side].slots))
        return stacks[side].gram() if chain is None else py.name(chain.name)

    tables = [_table(emit, x, k, frame, ranges) for k in range(len(x.tables))]
    scalars = [emit.value(part, frame, ranges) for part in x.coefficients]
    if (side := x.signature.summed) is not None:
        return py.call("gram_in_factors", tables[0] if side else py.transposed(tables[0]), gram(side))
    counted = [py.integer(x.steps)] if x.signature.steps else []
    function, given = f"{x.function}_in_factors", [*tables, gram(0), gram(1), *counted, *scalars]
    steps = [stack.history.shape[0] for stack in stacks if stack.history is not None]
    alike = len(steps) == 2 and steps[0] == steps[1] and stacks[0].count == stacks[1].count
    if alike and len(tables) == 1:
        return py.call("so_far", py.name(function), stacks[0].count, py.integer(steps[0]), *given)
    return py.call(function, *given)


def _table(emit: Expressions, x: SpectralMap, k: int, frame: Frame, ranges: Ranges) -> Py:
    """The coefficients of a table that a function is of."""
    if isinstance(x.tables[k], Value):
        return emit.value(x.tables[k], frame, ranges)
    assert isinstance(x.table, Value)
    sides = dict(zip("rc", emit.factored[x.table.ref.name], strict=True))
    shape = py.tuple_of([py.integer(sides[letter].count) for letter in x.signature.tables[k]])
    return py.call("jnp.zeros", shape, py.name("dtype"))


def gram_key(slots: Slots) -> tuple[str, bool]:
    """What the inner products of the vectors of places are found by among what a frame carries."""
    return "+".join(family.name for family in slots.families), False


def kept_grams(program: Program, structure: Structure) -> dict[tuple[str, bool], Slots]:
    """The places whose inner products are kept from step to step: all new ones are met in order."""
    slots, needed = slots_of(program, program.factored), set[tuple[str, bool]]()
    found: dict[tuple[str, bool], Slots | None] = {}
    for leaf in leaves(structure.nodes):
        if not isinstance(leaf.op, OuterNonlin) or leaf.op.out.name not in slots:
            continue
        keys = {gram_key(own): own for own in slots[leaf.op.out.name]}
        for node in walk(leaf.op.phi):
            if isinstance(node, SpectralMap) and isinstance(node.table, Value):
                needed |= {gram_key(own) for own in slots[node.table.ref.name]}
        if any(True for _ in _products(leaf.op.phi, ())):
            at_once = any(region in structure.parallel for region in leaf.around)
            for key, own in keys.items():
                found[key] = None if at_once else found.get(key, own)
    return {key: own for key, own in found.items() if own is not None and key in needed}


def _places_in_a_row(emit: Expressions, slots: Slots, ref: Ref, own: Loops, frame: Frame) -> Py:
    """The places of the vectors of all rounds of the sums, an array with one axis."""
    places = emit.affine(_place(slots, ref), _along(own, (), frame))
    if not own:
        return py.call("jnp.asarray", Py(f"[{places.text}]"))
    return Py(f"({places.text}).reshape(-1)") if len(own) > 1 else places


def grow(emit: Expressions, op: OuterNonlin, frame: Frame) -> None:
    """Inner products of the vectors that an instruction makes outer products of, with all that there are."""
    for node, loops in _products(op.phi, ()):
        for slots, part in zip(emit.factored[op.out.name], node.parts, strict=True):
            chain = frame.chain(gram_key(slots))
            if chain is None or not isinstance(part, Value):
                continue
            own = tuple(loop for loop in loops if depends(part, loop[0]))
            places = _places_in_a_row(emit, slots, part.ref, own, frame)
            stack = Stack(emit, slots, None, frame)
            history, first = stack.held[0], part.ref.index[0] if part.ref.index else None
            if len(stack.held) == 1 and history is not None and history.blocks and isinstance(first, Affine):
                new = _members(emit, part.ref, own, frame)
                arguments = [py.name(history.name), new, stack.weights, places, emit.affine(first + 1, frame)]
                value = py.call("grown_in_blocks", py.name(chain.name), *arguments)
            else:
                value = py.call("grown", py.name(chain.name), stack.whole, stack.weights, places)
            frame.statements.append(Assign((chain.name,), value))
            frame.changes(chain)


def _members(emit: Expressions, ref: Ref, loops: Loops, frame: Frame) -> Py:
    """The vectors that a reference runs over, [K, M]."""
    if not loops:
        return Py(f"{emit.member(ref, frame).at(py.ATOM)}[None]")
    array, _ = Sums(emit).slice(frame.find(ref), ref, loops, frame, ())
    return array if len(loops) == 1 else py.call("flat", array)


def _products(x: Expr, loops: Loops) -> Iterator[tuple[OuterProduct, Loops]]:
    """The outer products of a table's expression, with the sums around them."""
    if isinstance(x, OuterProduct):
        yield x, loops
        return
    inner = (*loops, (x.variable, x.count)) if isinstance(x, Sum) else loops
    for part in x.tables if isinstance(x, SpectralMap) else x.parts:
        yield from _products(part, inner)


def _along(loops: Sequence[tuple[str, Affine]], ranges: Ranges, frame: Frame) -> Frame:
    """A frame in which the variables of sums are axes."""
    last = len(loops) - 1
    variables = {
        v: f"jnp.arange({greatest(n, ranges)})" + ("" if k == last else f"[:{', None' * (last - k)}]")
        for k, (v, n) in enumerate(loops)
    }
    return Frame(parent=frame, variables=variables)


def _place(slots: Slots, ref: Ref) -> Affine:
    place = slots.place(ref)
    assert place is not None
    return place


def _steps(so_far: Sum) -> Affine:
    """How many steps there are of vectors so far."""
    (member,) = (node for node in walk(so_far) if isinstance(node, Value))
    first = member.ref.index[0]
    assert isinstance(first, Affine)
    return so_far.count + first.const


class Stack:
    """The vectors of all places, [K, M], 0 where none is made yet.

    so_far: the sum of those that there are, None if that is not told.
    """

    def __init__(self, emit: Expressions, slots: Slots, so_far: Expr | None, frame: Frame) -> None:
        self.slots, self.emit, self.frame = slots, emit, frame
        self.held = [
            frame.find_or_none(Ref(f.name, tuple(Affine.var(f"{k}") for k in range(len(f.shape)))))
            for f in slots.families
        ]
        only = self.held[0] if len(self.held) == 1 else None
        self.history = only if only is not None and only.blocks and isinstance(so_far, Sum) else None
        self.count = emit.affine(_steps(so_far), frame) if isinstance(so_far, Sum) else py.integer(0)

    @property
    def weights(self) -> Py:
        return py.name(f"weights{self.emit.space.sectors.suffix([self.slots.families[0].name])}")

    @property
    def whole(self) -> Py:
        """All of them as one array."""
        parts = []
        for family, held in zip(self.slots.families, self.held, strict=True):
            if held is None:
                (size,) = self.emit.sizes(family.name)
                shape = py.tuple_of([py.integer(math.prod(family.shape)), py.name(size)])
                parts.append(py.call("jnp.zeros", shape, py.name("dtype")))
            elif not family.shape:
                parts.append(Py(f"{held.whole.at(py.ATOM)}[None]"))
            elif len(family.shape) == 1:
                parts.append(held.whole)
            else:
                parts.append(py.call("flat", held.whole))
        return parts[0] if len(parts) == 1 else py.call("jnp.concatenate", py.tuple_of(parts))

    def products(self, x: Py) -> Py:
        """The inner products of a vector with all of them."""
        weighted = py.product([self.weights, x])
        if self.history is None:
            return py.matmul(self.whole, weighted)
        found = py.call("products", py.name(self.history.name), weighted, self.count)
        return Py(f"{found.text}.reshape(-1)")

    def combined(self, coefficients: Py) -> Py:
        """The sum of all of them with coefficients."""
        if self.history is None:
            return py.matmul(coefficients, self.whole)
        shape = ", ".join(str(self.history.shape[axis]) for axis in self.history.kept)
        shaped = Py(f"{coefficients.at(py.ATOM)}.reshape({shape})")
        return py.call("combined", py.name(self.history.name), shaped, self.count)

    def gram(self) -> Py:
        return py.call("gram_of", self.whole, self.weights)
