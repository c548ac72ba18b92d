"""Tables that are sums of outer products of vectors with scalar coefficients, kept as these coefficients.

So are gradients of weights, their momentum, and functions of the singular values of both: such a table is
Σ_ij C_ij x_i yᵀ_j over all vectors x_i and y_j that outer products are ever made of, and takes scalars alone,
so that it is in every representation that these vectors are in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tpc.core.affine import Affine, bounds
from tpc.core.expr import (
    ZERO,
    Add,
    Expr,
    Mul,
    Number,
    OuterProduct,
    Ref,
    Sum,
    Value,
    add,
    is_vector,
    outer_product,
    summed,
    walk,
)
from tpc.core.expr import replace as rebuilt
from tpc.core.names import numbered
from tpc.core.program import (
    Family,
    For,
    Instruction,
    Op,
    OuterMul,
    OuterNonlin,
    Program,
    all_families,
    instructions,
)
from tpc.core.spectral import SpectralMap
from tpc.core.traverse import substitute, used_refs

ROOT = For("", Affine(1), ())
Place = tuple[tuple[For, int], ...]  # the loops around an instruction, each with the place in it


class NotFactoredError(Exception):
    """What is there of the vectors in the middle of two loops is not told by their counts."""


@dataclass(frozen=True, slots=True)
class Slots:
    """The families of vectors that one side of tables is made of, in a row, each member a place."""

    families: tuple[Family, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(family.name for family in self.families)

    @property
    def count(self) -> int:
        return sum(math.prod(family.shape) for family in self.families)

    def offset(self, name: str) -> int:
        own = [family.name for family in self.families].index(name)
        return sum(math.prod(family.shape) for family in self.families[:own])

    def place(self, ref: Ref) -> Affine | None:
        """The place of a member; None if its index is read from an input."""
        shape = next(family.shape for family in self.families if family.name == ref.name)
        at = Affine(self.offset(ref.name))
        for axis, index in enumerate(ref.index):
            if not isinstance(index, Affine):
                return None
            at = at + index.scaled(math.prod(shape[axis + 1 :]))
        return at


def slots_of(program: Program, tables: frozenset[str]) -> Mapping[str, tuple[Slots, Slots]]:
    """What the rows and the columns of tables are made of, by family."""
    sides: dict[tuple[str, int], tuple[str, int]] = {
        (name, side): (name, side) for name in tables for side in (0, 1)
    }

    def root(key: tuple[str, int]) -> tuple[str, int]:
        while sides[key] != key:
            key = sides[key]
        return key

    vectors: dict[tuple[str, int], dict[str, None]] = {key: {} for key in sides}
    for op, _ in instructions(program.body):
        if not isinstance(op, OuterNonlin) or op.out.name not in tables:
            continue
        for node in walk(op.phi):
            if isinstance(node, Value) and node.ref.name in tables:
                for side in (0, 1):
                    sides[root((node.ref.name, side))] = root((op.out.name, side))
            if isinstance(node, OuterProduct):
                for side, part in enumerate(node.parts):
                    vectors[op.out.name, side] |= dict.fromkeys(
                        v.ref.name for v in walk(part) if isinstance(v, Value)
                    )
    families = all_families(program)
    joined: dict[tuple[str, int], dict[str, None]] = {}
    for key, names in vectors.items():
        joined[root(key)] = joined.get(root(key), {}) | names
    found = {key: Slots(tuple(families[name] for name in sorted(joined[root(key)]))) for key in sides}
    return {name: (found[name, 0], found[name, 1]) for name in tables}


def factored(program: Program) -> Program:
    """The program with such tables as families of the kind "factored", if that is all that it has."""
    tables = program.tables
    if not tables or not _all_linear(program, tables):
        return program
    reads = _Reads(_definitions(program), slots_of(program, tables), {*program.names})
    try:
        body = tuple(reads.op(op, ((ROOT, k),)) for k, op in enumerate(program.body))
    except NotFactoredError:
        return program
    families = tuple(replace(f, kind="factored") if f.name in tables else f for f in program.families)
    return replace(program, body=body, families=families)


def _all_linear(program: Program, tables: frozenset[str]) -> bool:
    """Whether all tables are made of outer products by linear maps, and multiplied to vectors alone."""
    for op, _ in instructions(program.body):
        if isinstance(op, OuterNonlin):
            if not _linear(op.phi):
                return False
        elif not isinstance(op, OuterMul) and any(ref.name in tables for ref in used_refs(op)):
            return False
    return True


def _linear(x: Expr) -> bool:
    match x:
        case Number():
            return x == ZERO
        case Value():
            return x.vector
        case OuterProduct(rows, columns):
            return all(
                isinstance(part, Value) and part.vector and all(isinstance(i, Affine) for i in part.ref.index)
                for part in (rows, columns)
            )
        case SpectralMap():
            return isinstance(x.table, Value)
        case Add(terms):
            return all(map(_linear, terms))
        case Mul(factors):
            vectors = [f for f in factors if is_vector(f)]
            return len(vectors) == 1 and _linear(vectors[0])
        case Sum(_, _, body):
            return _linear(body)
    return False


def _definitions(program: Program) -> dict[str, list[tuple[Instruction, Place]]]:
    found: dict[str, list[tuple[Instruction, Place]]] = {}
    for k, op in enumerate(program.body):
        for instruction, place in _placed(op, ((ROOT, k),)):
            found.setdefault(instruction.out.name, []).append((instruction, place))
    return found


def _placed(op: Op, place: Place) -> Iterator[tuple[Instruction, Place]]:
    if not isinstance(op, For):
        yield op, place
        return
    for k, inner in enumerate(op.body):
        yield from _placed(inner, (*place, (op, k)))


@dataclass
class _Reads:
    """Puts to products and spectral maps what they read beside the coefficients: the vectors so far."""

    made: Mapping[str, Sequence[tuple[Instruction, Place]]]
    slots: Mapping[str, tuple[Slots, Slots]]
    taken: set[str]

    def op(self, op: Op, place: Place) -> Op:
        if isinstance(op, For):
            return replace(
                op, body=tuple(self.op(inner, (*place, (op, k))) for k, inner in enumerate(op.body))
            )
        if isinstance(op, OuterMul):
            return replace(op, vectors=self.vectors(op.table.name, place))
        if isinstance(op, OuterNonlin):
            return replace(op, phi=self.with_vectors(op.phi, place))
        return op

    def with_vectors(self, phi: Expr, place: Place) -> Expr:
        def leaf(node: Expr) -> Expr | None:
            if not isinstance(node, SpectralMap) or not isinstance(node.table, Value):
                return None
            return replace(node, vectors=self.vectors(node.table.ref.name, place))

        return rebuilt(phi, leaf)

    def vectors(self, table: str, place: Place) -> Expr:
        """The outer product of the sums of all vectors so far that the rows, and the columns, are made of."""
        rows, columns = (
            add(*(self.so_far(f, op, own, place) for f in side.families for op, own in self.definitions(f)))
            for side in self.slots[table]
        )
        return outer_product(rows, columns)

    def definitions(self, family: Family) -> Sequence[tuple[Instruction | None, Place]]:
        return self.made.get(family.name) or [(None, ())]

    def so_far(self, family: Family, op: Instruction | None, own: Place, here: Place) -> Expr:
        """The sum of all members that an instruction has made where another one stands.

        Raises NotFactoredError.
        """
        if op is None:
            return self.all_of(family)
        common = 1
        while common < min(len(own), len(here)) and own[common][0] is here[common][0]:
            common += 1
        if common > 2:
            raise NotFactoredError
        before = own[common - 1][1] < here[common - 1][1]
        if common == 1 and not before:
            return ZERO
        env: dict[str, Affine] = {}
        ranges: list[tuple[str, Affine]] = []
        for depth, (loop, _) in enumerate(own[1:], 1):
            count = loop.count.substitute(env)
            if depth < common:
                count = Affine.var(loop.variable) + (1 if before else 0)
                if bounds(count, ((loop.variable, loop.count),))[1] <= 0:
                    return ZERO
            variable = self.fresh(loop.variable)
            ranges.append((variable, count))
            env[loop.variable] = Affine.var(variable)
        body = substitute(Value(op.out, True), env)
        for variable, count in reversed(ranges):
            body = summed(variable, count, body)
        return body

    def all_of(self, family: Family) -> Expr:
        """The sum of all initial vectors of a family."""
        axes = [self.fresh("i") for _ in family.shape]
        body: Expr = Value(Ref(family.name, tuple(map(Affine.var, axes))), True)
        for variable, count in reversed(list(zip(axes, family.shape, strict=True))):
            body = summed(variable, Affine(count), body)
        return body

    def fresh(self, variable: str) -> str:
        name = numbered(f"{variable.partition('$')[0]}$", self.taken)
        self.taken.add(name)
        return name
