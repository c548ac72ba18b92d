"""Tables that are sums of outer products, kept as their rank-one terms: they cost what SGD costs.

    for t < T:                                        for t < T:
        y[t] = A[t] @ x[t]                                y$1[t, s] = mean(b[s]*x[t]) for s < t
        table A[t+1] = A[t] + sign(outer(a, b))    →      y[t] = sum(s < t: y$1[t, s]*sign(a[s]))

The sign of one example's gradient, Adafactor (Yang and Littwin, arXiv 2308.01814, Sec 2.10.3) and polynomials
are such. Exact: the same numbers but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Literal

from tpc.core.affine import Affine, Ranges
from tpc.core.expr import ONE, ZERO, Expr, Index, Ref, Value, add, is_vector, mul, walk
from tpc.core.names import part
from tpc.core.outer_terms import (
    NotSeparateError,
    OuterSums,
    OuterTerm,
    Terms,
    counted,
    own_name,
)
from tpc.core.passes import rewrite_sites
from tpc.core.places import Site, by_family, sites_of
from tpc.core.program import (
    Family,
    Moment,
    Nonlin,
    Op,
    OuterMul,
    OuterNonlin,
    Program,
    Scalar,
    all_families,
)
from tpc.core.signs import nonnegative_families
from tpc.core.table_terms import CarriedTable, MadeTable, TermsOf, extents, inside, nest, over, put
from tpc.core.traverse import (
    NotWholeError,
    bound_variables,
    free_variables,
    substitute,
    used_refs,
)

Kind = Literal["vector", "scalar"]
MOST_RANK = 512  # terms of a product: half the points that tables have without being asked
OWN = Value(Ref("·own"), True)  # stands for a table in its own next step


def as_rank_one(program: Program) -> Program:
    """The program with the tables that are sums of few outer products as rank-one terms."""
    blocked = set[str]()
    while program.tables - blocked:
        attempt = _Attempt(program, frozenset(blocked))
        wrong = attempt.run()
        if not wrong:
            return attempt.result()
        blocked |= wrong
    return program


@dataclass(frozen=True)
class _Carrying:
    """Scalars that say how much of its terms a carried table has."""

    attempt: _Attempt
    start: Site
    step: Site
    axis: int
    time: str
    factor: Expr  # of the table in its own next step

    @property
    def then(self) -> tuple[Index, ...]:
        return self.step.out.index

    @property
    def now(self) -> tuple[Index, ...]:
        return put(self.then, self.axis, Affine.var(self.time))

    def scalars(self, ranges: Ranges) -> str:
        """A family with the axes of the table, and of ranges."""
        own, loops = self.attempt.known[self.step.out.name], self.step.loops
        name = part(own.name, self.attempt.taken)
        shape = (*own.shape, *extents((*loops, *ranges))[len(loops) :])
        self.attempt.families.append(Family(name, "scalar", None, shape))
        return name

    def write(self, site: Site, ranges: Ranges, out: Ref, value: Expr) -> None:
        self.attempt.instead[site.number].append(nest(ranges, Scalar(out, value, origin=site.op.origin)))

    def kept(self) -> str:
        """What is left of the start."""
        name = self.scalars(())
        self.write(self.start, (), Ref(name, self.start.out.index), ONE)
        self.write(self.step, (), Ref(name, self.then), mul(self.factor, Value(Ref(name, self.now), False)))
        return name

    def rate(self) -> str:
        """What is left of the terms of each step."""
        now = Affine.var(self.time)
        past = own_name("s", {*self.step.variables, *bound_variables(self.factor), *self.attempt.taken})
        name = self.scalars(((past, self.count),))
        old = Value(Ref(name, (*self.now, Affine.var(past))), False)
        new = Ref(name, (*self.then, Affine.var(past)))
        self.write(self.step, ((past, now),), new, mul(self.factor, old))
        self.write(self.step, (), Ref(name, (*self.then, now)), ONE)
        return name

    @property
    def count(self) -> Affine:
        return next(count for variable, count in self.step.loops if variable == self.time)

    def lasts(self, term: OuterTerm) -> bool:
        """Whether a term is one of all later steps, too, each with its own factor."""
        if self.time in free_variables(term.rows) | free_variables(term.columns):
            return False
        counts = [count for _, count in term.ranges if self.time in count.variables]
        now = Affine.var(self.time)
        return len(counts) < 2 and all(count in (now, now + 1) for count in counts)

    def whole(self, term: OuterTerm) -> OuterTerm:
        now = Affine.var(self.time)
        return replace(term, ranges=tuple((v, now + 1 if n == now else n) for v, n in term.ranges))

    def total(self, term: OuterTerm) -> str:
        """The factors of a lasting term, of all steps together."""
        now, whole = Affine.var(self.time), self.whole(term)
        name = self.scalars(whole.ranges)
        index = tuple(Affine.var(v) for v, _ in term.ranges)
        growing = next((v for v, count in term.ranges if self.time in count.variables), None)
        old, new = (Ref(name, (*place, *index)) for place in (self.now, self.then))
        before = tuple((v, now if v == growing else count) for v, count in term.ranges)
        value = add(mul(self.factor, Value(old, False)), term.scale)
        self.write(self.step, before, new, value)
        if growing is None:
            own = TermsOf(self.step, ()).env(self.start.out)
            assert own is not None
            ranges = counted(term.ranges, own)
            self.write(self.start, ranges, Ref(name, (*self.start.out.index, *index)), ZERO)
            return name
        last: dict[str, Index] = {growing: now}
        ranges = tuple(r for r in counted(term.ranges, last) if r[0] != growing)
        value = substitute(term.scale, last) if (growing, now + 1) in term.ranges else ZERO
        self.write(
            self.step,
            ranges,
            Ref(name, tuple(now if i == Affine.var(growing) else i for i in new.index)),
            value,
        )
        return name


@dataclass
class _Attempt:
    """The reduction with some tables left as they are."""

    program: Program
    blocked: frozenset[str]
    forms: dict[str, MadeTable | CarriedTable] = field(default_factory=dict)
    families: list[Family] = field(default_factory=list)
    instead: dict[int, list[Op]] = field(default_factory=dict)  # of the instruction of a site

    def __post_init__(self) -> None:
        self.sites = sites_of(self.program.body)
        self.made = by_family(self.sites)
        self.known = dict(all_families(self.program))
        self.taken = set(self.program.names)
        self.positive = nonnegative_families(self.program)

    def run(self) -> set[str]:
        """Writes what stands for tables and what reads them; those that have to stay, too."""
        return self.write_tables() or self.write_readers()

    def write_tables(self) -> set[str]:
        for site in self.sites:
            name = site.out.name
            wanted = isinstance(site.op, OuterNonlin) and name not in self.forms and name not in self.blocked
            if not wanted or site is not self.made[name][-1]:
                continue
            try:
                self.forms[name] = self.form(self.made[name])
            except (NotSeparateError, NotWholeError):
                return {name}
        return set()

    def write_readers(self) -> set[str]:
        tables = self.program.tables
        for site in self.sites:
            read = {ref.name for ref in used_refs(site.op)} & tables
            if site.out.name in self.forms or not read:
                continue
            try:
                self.reader(site, read)
            except (NotSeparateError, NotWholeError):
                if left := read - self.blocked:
                    return left
        return set()

    def result(self) -> Program:
        body = rewrite_sites(
            self.program.body, self.sites, lambda site: self.instead.get(site.number, [site.op])
        )
        families = tuple(f for f in self.program.families if f.name not in self.forms)
        return replace(self.program, body=body, families=(*families, *self.families))

    # tables

    def form(self, sites: Sequence[Site]) -> MadeTable | CarriedTable:
        name = sites[0].out.name
        for site in sites:
            self.check_index(site)
        own = [site for site in sites if any(ref.name == name for ref in used_refs(site.op))]
        if not own:
            return MadeTable([self.pattern(site) for site in sites])
        if len(own) != 1 or len(sites) != 2:
            raise NotSeparateError
        start, step = (next(site for site in sites if (site is own[0]) is that) for that in (False, True))
        return self.carried(start, step)

    def check_index(self, site: Site) -> None:
        """Whether the index of what is made tells all rounds apart, in the plainest way."""
        variables = [i.terms for i in site.out.index if isinstance(i, Affine) and i.terms]
        plain = all(len(terms) == 1 and terms[0][1] == 1 for terms in variables)
        named = {terms[0][0] for terms in variables}
        affine = all(isinstance(i, Affine) for i in site.out.index)
        if not (affine and plain and len(named) == len(variables) and named == site.variables):
            raise NotSeparateError

    def pattern(self, site: Site) -> TermsOf:
        assert isinstance(site.op, OuterNonlin)
        terms = self.sums(site).terms(site.op.phi)
        self.instead[site.number] = []
        return TermsOf(site, self.named(site, terms))

    def carried(self, start: Site, step: Site) -> CarriedTable:
        time, axis = self.time_of(start, step)
        assert isinstance(step.op, OuterNonlin)
        terms = self.sums(step, put(step.out.index, axis, Affine.var(time))).terms(step.op.phi)
        factor, rest = _apart_from_own(terms)
        first = self.pattern(start)
        writer = _Carrying(self, start, step, axis, time, factor)
        lasting = [term for term in rest if writer.lasts(term)]
        self.instead[step.number] = []
        passing = self.named(step, [term for term in rest if term not in lasting])
        kept = writer.kept() if factor != ONE and first.terms else ""
        rate = writer.rate() if factor != ONE and passing else ""
        with_names = [(writer.whole(term), writer.total(term)) for term in lasting]
        return CarriedTable(axis, first, TermsOf(step, passing), kept, rate, with_names)

    def time_of(self, start: Site, step: Site) -> tuple[str, int]:
        """The variable of the steps, and the axis that counts them."""
        own = {ref for ref in used_refs(step.op) if ref.name == step.out.name}
        if len(own) != 1:
            raise NotSeparateError
        (before,) = own
        moving = [k for k, (i, j) in enumerate(zip(step.out.index, before.index, strict=True)) if i != j]
        if len(moving) != 1:
            raise NotSeparateError
        (axis,) = moving
        now, first = before.index[axis], start.out.index[axis]
        assert isinstance(first, Affine)
        if not isinstance(now, Affine) or now.const or first.constant != 0:
            raise NotSeparateError
        if step.out.index[axis] != now + 1 or any(
            isinstance(i, Affine) and not i.terms for k, i in enumerate(start.out.index) if k != axis
        ):
            raise NotSeparateError
        return now.terms[0][0], axis

    # what reads them

    def reader(self, site: Site, read: set[str]) -> None:
        op = site.op
        if isinstance(op, OuterMul):
            if op.table.name in self.forms:
                self.instead[site.number] = self.product(site, op)
            return
        if read <= self.blocked:
            return
        if not isinstance(op, Moment):
            raise NotSeparateError
        self.instead[site.number] = self.moment(site, op)

    def product(self, site: Site, op: OuterMul) -> list[Op]:
        made, total = list[Op](), list[Expr]()
        for term in self.few(site, self.sums(site).of_table(op.table)):
            near, far = (term.rows, term.columns) if op.transposed else (term.columns, term.rows)
            mean = self.mean(site, term.ranges, mul(near, Value(op.operand, True)), made)
            total.append(over(term.ranges, mul(term.scale, mean, far)))
        return [*made, Nonlin(op.out, add(*total), origin=op.origin)]

    def moment(self, site: Site, op: Moment) -> list[Op]:
        made, total = list[Op](), list[Expr]()
        for term in self.few(site, self.sums(site).terms(op.phi)):
            means = [self.mean(site, term.ranges, x, made) for x in (term.rows, term.columns)]
            total.append(over(term.ranges, mul(term.scale, *means)))
        return [*made, Scalar(op.out, add(*total), origin=op.origin)]

    def mean(self, site: Site, ranges: Ranges, x: Expr, made: list[Op]) -> Expr:
        if not is_vector(x):
            return x
        own = inside(ranges, x)
        out = self.family("scalar", site.out.name, None, (*site.loops, *own))
        made.append(nest(own, Moment(out, x, origin=site.op.origin)))
        return Value(out, False)

    def few(self, site: Site, terms: Terms) -> Terms:
        """Raises NotSeparateError for more terms than points would be."""
        if sum(prod(extents((*site.loops, *term.ranges))[len(site.loops) :]) for term in terms) > MOST_RANK:
            raise NotSeparateError
        return terms

    # names

    def sums(self, site: Site, own: tuple[Index, ...] = ()) -> OuterSums:
        phi = ZERO if isinstance(site.op, OuterMul) else site.op.phi  # type: ignore[union-attr]
        taken = {*site.variables, *bound_variables(phi), *self.program.names}
        sums = OuterSums(lambda ref: (), self.positive, taken)

        def of_table(ref: Ref) -> Terms:
            if own and ref == Ref(site.out.name, own):
                return (OuterTerm(rows=OWN),)
            if ref.name not in self.forms:
                raise NotSeparateError
            return self.forms[ref.name].read(ref, taken)

        sums.of_table = of_table
        return sums

    def named(self, site: Site, terms: Iterable[OuterTerm]) -> Terms:
        """The terms with rows and columns that are vectors of the program, made where the table is."""
        known = dict[tuple[Expr, Ranges], Expr]()
        family = self.known[site.out.name]

        def name(x: Expr, ranges: Ranges, side: str, width: str | None) -> Expr:
            if not is_vector(x) or isinstance(x, Value):
                return x
            own = inside(ranges, x)
            if (x, own) not in known:
                out = self.family("vector", f"{site.out.name}_{side}", width, (*site.loops, *own))
                self.instead[site.number].append(nest(own, Nonlin(out, x, origin=site.op.origin)))
                known[x, own] = Value(out, True)
            return known[x, own]

        return tuple(
            replace(
                term,
                rows=name(term.rows, term.ranges, "rows", family.width),
                columns=name(term.columns, term.ranges, "columns", family.columns),
            )
            for term in terms
        )

    def family(self, kind: Kind, wish: str, width: str | None, ranges: Ranges) -> Ref:
        """A new family with an axis for each range, at their variables."""
        name = part(wish, self.taken)
        self.families.append(Family(name, kind, width, extents(ranges)))
        return Ref(name, tuple(Affine.var(v) for v, _ in ranges))


def _apart_from_own(terms: Terms) -> tuple[Expr, list[OuterTerm]]:
    """What a table is multiplied by in its next step, and what is added. Raises NotSeparateError."""
    factor: Expr = ZERO
    rest = list[OuterTerm]()
    for term in terms:
        if term.rows == OWN and term.columns == ONE and not term.ranges:
            factor = add(factor, term.scale)
        elif any(OWN in walk(x) for x in (term.rows, term.columns)):
            raise NotSeparateError
        else:
            rest.append(term)
    return factor, rest
