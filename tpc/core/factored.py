"""Tables that are sums of outer products of vectors with scalar coefficients, kept as these coefficients.

So are gradients of weights, their momentum, and functions of the singular values of both: such a table is
Σ_ij C_ij x_i yᵀ_j over all vectors x_i and y_j that outer products are ever made of, and takes scalars alone,
so that it is in every representation that these vectors are in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

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
    walk,
)
from tpc.core.expr import replace as rebuilt
from tpc.core.names import part
from tpc.core.passes import rewrite_sites
from tpc.core.places import Site, by_family, shared, sites_of
from tpc.core.program import (
    Family,
    Instruction,
    Nonlin,
    OuterMul,
    OuterNonlin,
    Program,
    all_families,
    instructions,
)
from tpc.core.spectral import SpectralMap
from tpc.core.table_terms import over
from tpc.core.traverse import substitute, used_refs


@dataclass
class NotFactoredError(Exception):
    """What is there of a table's vectors in the middle of two loops is not told by their counts."""

    table: str


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


SideKey = tuple[str, int]  # a table, and 0 for its rows or 1 for its columns


def slots_of(program: Program, tables: frozenset[str]) -> Mapping[str, tuple[Slots, Slots]]:
    """What the rows and the columns of tables are made of, by family."""
    sides = _Sides({(name, side): (name, side) for name in tables for side in (0, 1)})
    for op, _ in instructions(program.body):
        if isinstance(op, OuterNonlin) and op.out.name in tables:
            sides.add(op.phi, ((op.out.name, 0), (op.out.name, 1)))
    families = all_families(program)
    joined: dict[SideKey, set[str]] = {}
    for key, names in sides.vectors.items():
        joined.setdefault(sides.root(key), set()).update(names)

    def found(key: SideKey) -> Slots:
        return Slots(tuple(families[name] for name in sorted(joined.get(sides.root(key), ()))))

    return {name: (found((name, 0)), found((name, 1))) for name in tables}


@dataclass
class _Sides:
    """Which sides of tables are made of the same vectors, as a forest, and of which these are."""

    parents: dict[SideKey, SideKey]
    vectors: dict[SideKey, set[str]] = field(default_factory=dict)

    def root(self, key: SideKey) -> SideKey:
        while self.parents[key] != key:
            key = self.parents[key]
        return key

    def join(self, key: SideKey, other: SideKey) -> None:
        self.parents[self.root(key)] = self.root(other)

    def add(self, x: Expr, own: tuple[SideKey, SideKey]) -> None:
        """What an expression says of the rows and the columns of the table that it is."""
        match x:
            case Value(ref, True):
                for side in (0, 1):
                    self.join((ref.name, side), own[side])
            case OuterProduct():
                for key, part in zip(own, x.parts, strict=True):
                    names = {v.ref.name for v in walk(part) if isinstance(v, Value)}
                    self.vectors.setdefault(key, set()).update(names)
            case SpectralMap():
                self.add_spectral(x, own)
            case _:
                for part in x.parts:
                    self.add(part, own)

    def add_spectral(self, x: SpectralMap, own: tuple[SideKey, SideKey]) -> None:
        """Sides with the same letter in the signature of a function are of one kind."""
        known = dict[str, SideKey]()
        for letter, key in zip(x.signature.result, own, strict=True):
            self.join(known.setdefault(letter, key), key)
        for letters, table in zip(x.signature.tables, x.tables, strict=True):
            if isinstance(table, Value):
                for side, letter in enumerate(letters):
                    key = (table.ref.name, side)
                    self.join(key, known.setdefault(letter, key))


def factored(program: Program) -> Program:
    """The program with such tables as families of the kind "factored".

    A table that is made of another one is such only together with it.
    """
    dense = _with_kin(program, _not_linear(program))
    while tables := program.tables - dense:
        try:
            return _in_factors(program, tables)
        except NotFactoredError as error:
            dense = _with_kin(program, {*dense, error.table})
    return program


def _in_factors(program: Program, tables: frozenset[str]) -> Program:
    """Raises NotFactoredError."""
    sites = sites_of(program.body)
    reads = _Reads(by_family(sites), slots_of(program, tables), {*program.names})
    body = rewrite_sites(program.body, sites, lambda site: [reads.op(site)])
    families = tuple(replace(f, kind="factored") if f.name in tables else f for f in program.families)
    return replace(program, body=body, families=families)


def _not_linear(program: Program) -> set[str]:
    """Tables that are no linear maps of outer products, or are read by more than products and tables."""
    found, tables = set[str](), program.tables
    for op, _ in instructions(program.body):
        if isinstance(op, OuterNonlin):
            found |= set() if _linear(op.phi) else {op.out.name}
        elif not isinstance(op, OuterMul):
            found |= {ref.name for ref in used_refs(op)} & tables
    return found


def _with_kin(program: Program, tables: set[str]) -> set[str]:
    """Tables with all that they are made of, and all that are made of them."""
    ops, every = [op for op, _ in instructions(program.body) if isinstance(op, OuterNonlin)], program.tables
    kin = [{op.out.name, *(ref.name for ref in used_refs(op))} & every for op in ops]
    while more := {name for names in kin if names & tables for name in names} - tables:
        tables = tables | more
    return tables


def _is_named(x: Expr) -> bool:
    """Whether it is a vector of the program, and no input tells which member."""
    return isinstance(x, Value) and x.vector and all(isinstance(i, Affine) for i in x.ref.index)


def _linear(x: Expr) -> bool:
    match x:
        case Number():
            return x == ZERO
        case Value():
            return x.vector
        case OuterProduct(rows, columns):
            return _is_named(rows) and _is_named(columns)
        case SpectralMap():
            return isinstance(x.table, Value) and all(isinstance(t, Value) or t == ZERO for t in x.tables)
        case Add(terms):
            return all(map(_linear, terms))
        case Mul(factors):
            vectors = [f for f in factors if is_vector(f)]
            return len(vectors) == 1 and _linear(vectors[0])
        case Sum(_, _, body):
            return _linear(body)
    return False


@dataclass
class _Reads:
    """Puts to products and spectral maps what they read beside the coefficients: the vectors so far."""

    made: Mapping[str, Sequence[Site]]
    slots: Mapping[str, tuple[Slots, Slots]]
    taken: set[str]

    def op(self, here: Site) -> Instruction:
        op = here.op
        if isinstance(op, OuterMul):
            if op.table.name not in self.slots:
                return op
            vectors = self.vectors(op.table.name, here)
            nothing = Nonlin(op.out, ZERO, origin=op.origin)
            return nothing if vectors == ZERO else replace(op, vectors=vectors)
        if isinstance(op, OuterNonlin) and op.out.name in self.slots:
            return replace(op, phi=self.with_vectors(op.phi, here))
        return op

    def with_vectors(self, phi: Expr, here: Site) -> Expr:
        def leaf(node: Expr) -> Expr | None:
            if not isinstance(node, SpectralMap) or not isinstance(node.table, Value):
                return None
            vectors = self.vectors(node.table.ref.name, here)
            return ZERO if vectors == ZERO else replace(node, vectors=vectors)

        return rebuilt(phi, leaf)

    def vectors(self, table: str, here: Site) -> Expr:
        """The outer product of the sums of all vectors so far that the rows, and the columns, are made of.

        It is 0 where there are none yet, and so is the table. Raises NotFactoredError.
        """
        makers = (self.made.get(f.name, ()) for side in self.slots[table] for f in side.families)
        if any(shared(own, here) > 1 for sites in makers for own in sites):
            raise NotFactoredError(table)
        rows, columns = (
            add(*(part for family in side.families for part in self.members(family, here)))
            for side in self.slots[table]
        )
        return outer_product(rows, columns)

    def members(self, family: Family, here: Site) -> list[Expr]:
        """The sums of the members of a family that are there: of each instruction, or all initial ones."""
        made = self.made.get(family.name)
        return [self.all_of(family)] if made is None else [self.so_far(site, here) for site in made]

    def so_far(self, own: Site, here: Site) -> Expr:
        """The sum of all members that an instruction has made where another one stands."""
        common = shared(own, here)
        before = own.path[common] < here.path[common]
        if common == 0 and not before:
            return ZERO
        env: dict[str, Affine] = {}
        ranges: list[tuple[str, Affine]] = []
        for depth, loop in enumerate(own.loops):
            count = loop.count.substitute(env)
            if depth < common:
                count = Affine.var(loop.variable) + (1 if before else 0)
                if bounds(count, (loop,))[1] <= 0:
                    return ZERO
            variable = part(loop.variable, self.taken)
            ranges.append((variable, count))
            env[loop.variable] = Affine.var(variable)
        return over(tuple(ranges), substitute(Value(own.out, True), env))

    def all_of(self, family: Family) -> Expr:
        """The sum of all initial vectors of a family."""
        axes = [part("i", self.taken) for _ in family.shape]
        ranges = tuple((variable, Affine(count)) for variable, count in zip(axes, family.shape, strict=True))
        return over(ranges, Value(Ref(family.name, tuple(map(Affine.var, axes))), True))
