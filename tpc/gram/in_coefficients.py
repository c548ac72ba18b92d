"""Tables in factors as the families of their coefficients, which are scalars like others.

for t < T:                                    for t < T:
    table A[t] = c[t]*outer(x[t], y[t])  →        A$1[t, s, r] = c[t]·[s = t]·[r = t] for s < T for r < T
    h[t] = A[t] @ z                               h$1[t, r] = mean(y[r]*z) for r < t + 1
                                                  h$2[t, s] = sum(r < t + 1: A$1[t, s, r]*h$1[t, r])
                                                  h[t] = sum(s < t + 1: h$2[t, s]*x[s])
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from tpc.core.affine import Affine, Ranges
from tpc.core.expr import (
    ZERO,
    Add,
    Expr,
    Index,
    Mul,
    OuterProduct,
    Position,
    Ref,
    Sum,
    Value,
    add,
    delta,
    is_vector,
    mul,
    summed,
)
from tpc.core.factored import Slots, slots_of
from tpc.core.names import part
from tpc.core.passes import rewrite_sites
from tpc.core.places import Site, sites_of
from tpc.core.program import Family, Moment, Nonlin, Op, OuterMul, OuterNonlin, Program, Scalar
from tpc.core.spectral import SpectralEntry, SpectralMap
from tpc.core.table_terms import extents, nest, over
from tpc.gram.ir import NotGramError

Term = tuple[Ranges, Ref]  # a vector that a table may be made of, over ranges


def in_coefficients(program: Program) -> Program:
    """The program without tables in factors. Raises NotGramError for functions that are not of singular
    values."""
    if not (factored := program.factored):
        return program
    writer = _Coefficients(slots_of(program, factored), {*program.names})
    tables = {family.name: family for family in program.families if family.name in factored}
    for name, family in tables.items():
        writer.add(name, family.shape, writer.slots[name])
    body = rewrite_sites(program.body, sites_of(program.body), writer.op)
    families = tuple(family for family in program.families if family.name not in tables)
    return replace(program, body=body, families=(*families, *writer.families))


def terms_of(x: Expr) -> list[Term]:
    """The vectors of a sum of such over ranges."""
    found = []
    for term in x.terms if isinstance(x, Add) else (x,):
        ranges: Ranges = ()
        while isinstance(term, Sum):
            ranges, term = (*ranges, (term.variable, term.count)), term.body
        assert isinstance(term, Value)
        found.append((ranges, term.ref))
    return found


@dataclass
class _Coefficients:
    slots: Mapping[str, tuple[Slots, Slots]]
    taken: set[str]
    families: list[Family] = field(default_factory=list)
    # of a table, by the families of a row's and a column's vector
    names: dict[str, dict[tuple[str, str], str]] = field(default_factory=dict)

    def add(self, table: str, shape: tuple[int, ...], slots: tuple[Slots, Slots]) -> None:
        """Families for the coefficients of a table."""
        self.names[table] = {}
        for row, column in _pairs(slots):
            name = part(table, self.taken)
            self.families.append(Family(name, "scalar", None, (*shape, *row.shape, *column.shape)))
            self.names[table][row.name, column.name] = name

    def op(self, site: Site) -> list[Op]:
        """What stands for an instruction."""
        op = site.op
        if isinstance(op, OuterMul) and op.table.name in self.names:
            return self.product(site, op)
        if isinstance(op, OuterNonlin) and op.out.name in self.names:
            return self.cells_of(site, op)
        return [op]

    # tables

    def cells_of(self, site: Site, op: OuterNonlin) -> list[Op]:
        out = list[Op]()
        slots = self.slots[op.out.name]
        phi = self.without_maps(site, op.phi, slots, out)
        for row, column in _pairs(slots):
            axes = [part("p", self.taken) for _ in (*row.shape, *column.shape)]
            ranges = tuple((v, Affine(n)) for v, n in zip(axes, (*row.shape, *column.shape), strict=True))
            at = tuple(map(Affine.var, axes))
            value = self.coefficient(phi, (row, column), at)
            name = self.names[op.out.name][row.name, column.name]
            out.append(nest(ranges, Scalar(Ref(name, (*op.out.index, *at)), value, origin=op.origin)))
        return out

    def coefficient(self, x: Expr, pair: tuple[Family, Family], at: tuple[Affine, ...]) -> Expr:
        """The coefficient of the outer product of the vectors of two families at indices."""
        match x:
            case Value(ref):
                name = self.names[ref.name][pair[0].name, pair[1].name]
                return Value(Ref(name, (*ref.index, *at)), False)
            case OuterProduct(Value(row), Value(column)):
                if (row.name, column.name) != (pair[0].name, pair[1].name):
                    return ZERO
                index: tuple[Index, ...] = (*row.index, *column.index)
                return mul(*(delta(i, j) for i, j in zip(at, index, strict=True)))
            case Add(terms):
                return add(*(self.coefficient(term, pair, at) for term in terms))
            case Mul(factors):
                return mul(*(self.coefficient(f, pair, at) if is_vector(f) else f for f in factors))
            case Sum(variable, count, body):
                return summed(variable, count, self.coefficient(body, pair, at))
        return x

    def without_maps(self, site: Site, x: Expr, slots: tuple[Slots, Slots], made: list[Op]) -> Expr:
        """`x` with tables of their own for functions of singular values."""
        if isinstance(x, SpectralMap):
            return self.mapped(site, x, slots, made)
        if not is_vector(x) or not x.parts or isinstance(x, OuterProduct):
            return x
        return x.with_parts([self.without_maps(site, each, slots, made) for each in x.parts])

    def mapped(self, site: Site, x: SpectralMap, slots: tuple[Slots, Slots], made: list[Op]) -> Expr:
        """A table of its own. Raises NotGramError."""
        if not x.signature.of_singular_values:
            raise NotGramError(f"`{x.function}` of a table is no scalar that covariances are made of")
        assert isinstance(x.table, Value)
        assert isinstance(x.vectors, OuterProduct)
        name = part(f"{x.table.ref.name}_mapped", self.taken)
        loops = tuple(map(Affine.var, (loop.variable for loop in site.loops)))
        self.add(name, extents(site.loops), slots)
        rows, columns = map(terms_of, x.vectors.parts)
        cells = tuple(
            over((*near, *far), self.member(x.table.ref, row, column))
            for near, row in rows
            for far, column in columns
        )
        sides = [
            add(*(over(ranges, Value(ref, False)) for ranges, ref in terms)) for terms in (rows, columns)
        ]
        for i, (near, row) in enumerate(rows):
            for j, (far, column) in enumerate(columns):
                at = tuple(Position(Affine.var(v)) for v, _ in (*near, *far))
                entry = SpectralEntry(
                    x.function, x.steps, sides[0], sides[1], cells, x.coefficients, (i, j), at
                )
                target = self.member(Ref(name, loops), row, column).ref
                made.append(nest((*near, *far), Scalar(target, entry, origin=site.op.origin)))
        return Value(Ref(name, loops), True)

    def member(self, table: Ref, row: Ref, column: Ref) -> Value:
        """The coefficient of the outer product of two vectors."""
        name = self.names[table.name][row.name, column.name]
        return Value(Ref(name, (*table.index, *row.index, *column.index)), False)

    # what reads them

    def product(self, site: Site, op: OuterMul) -> list[Op]:
        assert isinstance(op.vectors, OuterProduct)
        made, total = list[Op](), list[Expr]()
        rows, columns = map(terms_of, op.vectors.parts)
        near, far = (rows, columns) if op.transposed else (columns, rows)
        means = []
        for ranges, vector in near:
            mean = self.family(op.out.name, (*site.loops, *ranges))
            phi = mul(Value(vector, True), Value(op.operand, True))
            made.append(nest(ranges, Moment(mean, phi, origin=op.origin)))
            means.append((ranges, vector, mean))
        for ranges, vector in far:
            terms = []
            for own, other, mean in means:
                sides = (other, vector) if op.transposed else (vector, other)
                terms.append(over(own, mul(self.member(op.table, *sides), Value(mean, False))))
            factor = self.family(op.out.name, (*site.loops, *ranges))
            made.append(nest(ranges, Scalar(factor, add(*terms), origin=op.origin)))
            total.append(over(ranges, mul(Value(factor, False), Value(vector, True))))
        return [*made, Nonlin(op.out, add(*total), origin=op.origin)]

    def family(self, wish: str, ranges: Ranges) -> Ref:
        """A new family of scalars with an axis for each range, at their variables."""
        name = part(wish, self.taken)
        self.families.append(Family(name, "scalar", None, extents(ranges)))
        return Ref(name, tuple(Affine.var(v) for v, _ in ranges))


def _pairs(slots: tuple[Slots, Slots]) -> Iterator[tuple[Family, Family]]:
    rows, columns = slots
    for row in rows.families:
        for column in columns.families:
            yield row, column
