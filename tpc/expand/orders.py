"""The powers of n that every family has terms of, and how far down they are wanted.

Two fixed points over the rolled program.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Literal

from tpc.core.expr import ZERO, Expr, Number, Ref, Value, is_vector, mul, replace, values
from tpc.core.functions import FUNCTIONS
from tpc.core.passes import needed_for
from tpc.core.places import Site, by_family, may_make, sites_of
from tpc.core.printer import as_written
from tpc.core.program import (
    Instruction,
    MatMul,
    Moment,
    Nonlin,
    OuterMul,
    OuterNonlin,
    Product,
    Program,
    Scalar,
)
from tpc.core.traverse import used_refs
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.expand.chance import NO_GROUPS, RANDOM, Chance, Chances, Groups, entries, initial_chance, join
from tpc.expand.growth import GrowsError, SmallError, UnstableError
from tpc.expand.rename import TermName
from tpc.expand.series import Expander
from tpc.expand.terms import F0, Series

HALF = Fraction(1, 2)
MOST_SWEEPS = 60  # beyond so many, some power grows from round to round
DEEPEST = 6  # lines that are looked through for what is always 0
POISON = Value(Ref("·rough"), False)  # in place of what needs a derivative that does not exist
Kind = Literal["product", "value", "mean", "initial"]


@dataclass(frozen=True, slots=True)
class SeriesTerm:
    """What an instruction gives for one power of what it makes."""

    power: Fraction
    kind: Kind
    # for "product" the operand, for "initial" what the mean is taken of that is random in the limit
    value: Expr


def beside_jumps(function: str) -> Expr:
    known = FUNCTIONS.get(function)
    return ZERO if known is not None and known.shape == "jump" else POISON


def key(name: str, p: Fraction) -> str:
    """The name of a term while names are not settled."""
    return str(TermName(name, p))


def operands(op: Instruction) -> Iterator[Value]:
    if isinstance(op, Product):
        yield from (Value(ref, True) for ref in used_refs(op))
    else:
        yield from values(op.phi)


@dataclass
class Orders:
    """What is known so far."""

    program: Program
    # by the number of a site
    powers: dict[int, set[Fraction]] = field(default_factory=dict)
    # by family
    cuts: dict[str, Fraction] = field(default_factory=dict)
    # by term
    chances: dict[str, Chance] = field(default_factory=dict)
    # by the number of a site and a power: the terms that are numbers
    numbers: dict[tuple[int, Fraction], Number] = field(default_factory=dict)
    # whether what has no powers is 0, not unknown
    settled: bool = False
    # whether every instruction has been looked at, with all that it is made of
    all_seen: bool = False
    least: Fraction = F0  # power that is looked for

    def __post_init__(self) -> None:
        self.given = {item.name for item in self.program.inputs} | {
            name for group in self.program.gaussians for name in group.names
        }
        self.laws = {name: initial_chance(group) for group in self.program.gaussians for name in group.names}
        self.ratios: Mapping[str, Expr] = {width.name: width.ratio for width in self.program.widths}
        every = sites_of(self.program.body)
        needed = needed_for(self.program.body, {output.ref.name for output in self.program.outputs})
        self.sites = [site for site in every if site.out.name in needed]  # that outputs depend on
        self.made = by_family(every)
        self.makers: dict[Ref, list[int]] = {}
        self.products: dict[str, list[MatMul]] = {}
        for site in self.sites:
            if isinstance(site.op, MatMul):
                self.products.setdefault(site.op.matrix.name, []).append(site.op)
        self.expander = self._expander()

    def _expander(self) -> Expander:
        known, seen = (self.members_or_numbers, self.powers_of, self.ratios), lambda: self.all_seen
        own = Expander(*known, lambda function: POISON, self.unfolded, seen, self.settled)
        looked_at = partial(self.members_or_numbers, noted=False)
        return dataclasses.replace(
            own, beside=dataclasses.replace(own, members=looked_at, rough=beside_jumps)
        )

    def members(self, v: Value, cut: Fraction, noted: bool = True) -> Series:
        """The terms of a member, by the names of terms. noted: that these are wanted, once all is known."""
        name = v.ref.name
        if name in self.given:
            return {F0: v} if cut <= 0 else {}
        if noted or not self.settled:
            self.cuts[name] = min(cut, self.cuts.get(name, cut))
        return {
            p: Value(Ref(key(name, p), v.ref.index), v.vector)
            for p in sorted(self.powers_of(v.ref), reverse=True)
            if p >= cut
        }

    def members_or_numbers(self, v: Value, cut: Fraction, noted: bool = True) -> Series:
        """As `members`, but terms that are numbers are these, so that they cancel."""
        found = self.members(v, cut, noted)
        return (
            found if v.ref.name in self.given else {p: self._number(v.ref, p) or e for p, e in found.items()}
        )

    def _number(self, ref: Ref, p: Fraction) -> Number | None:
        """The term of a member that is the same number whichever instruction makes it.

        Instructions of which nothing is known yet, as in a loop before its first account, count as agreeing.
        """
        makers = (k for k in self.makers[ref] if self.all_seen or self.powers.get(k))
        all_of = {self.numbers.get((maker, p)) for maker in makers}
        return all_of.pop() if len(all_of) == 1 else None

    def powers_of(self, ref: Ref) -> Collection[Fraction]:
        """The powers that a member may have.

        Those of all instructions that may make it, as far as constant indices tell.
        """
        if ref.name in self.given:
            return {F0}
        if ref not in self.makers:
            self.makers[ref] = [
                site.number for site in self.made.get(ref.name, ()) if may_make(site, ref, ())
            ]
        return frozenset[Fraction]().union(*(self.powers.get(maker, ()) for maker in self.makers[ref]))

    def unfolded(self, x: Expr, depth: int = DEEPEST) -> Expr:
        """An expression of terms, with what these are made of where one line makes them elementwise, so that
        what is always 0 in it is seen."""

        def made_of(node: Expr) -> Expr | None:
            if not isinstance(node, Value) or not node.vector or depth == 0:
                return None
            if not TermName.is_one(node.ref.name):
                return None
            name = TermName.of(node.ref.name)
            sites = self.made.get(name.family, ())
            if len(sites) != 1 or not isinstance(op := sites[0].op, Nonlin) or op.out.index != node.ref.index:
                return None
            term = (self.expander.beside or self.expander).series(op.phi, name.power).get(name.power)
            return None if term is None else self.unfolded(term, depth - 1)

        return replace(x, made_of)

    def chance(self, v: Value) -> Chance:
        if v.vector and v.ref.name in self.laws:
            return self.laws[v.ref.name]
        own = self.chances.get(
            v.ref.name, Chance() if v.vector and v.ref.name not in self.given else Chance(None)
        )
        return own if v.vector else Chance(None, own.others)

    def chance_of(self, x: Expr, avoid: Groups = NO_GROUPS) -> Chance:
        return Chances(self.chance, avoid).expr(x)

    def terms(self, op: Instruction, cut: Fraction, expander: Expander | None = None) -> list[SeriesTerm]:
        """What `op` gives, from `cut` on. Raises GrowsError and SmallError."""
        expander = expander or self.expander
        if isinstance(op, MatMul):
            return [
                SeriesTerm(p, "product", x) for p, x in self.members(Value(op.operand, True), cut).items()
            ]
        if isinstance(op, OuterMul):
            pairs = self._pairs((Value(op.table, True), Value(op.operand, True)), cut)
            for p, a, b in pairs:
                self._require_mean(op, a, b, p, cut)
            return [SeriesTerm(p, "product", mul(a, b)) for p, a, b in pairs]
        found = expander.series(op.phi, cut)
        if not isinstance(op, Moment):
            return [SeriesTerm(p, "value", x) for p, x in found.items()]
        out = []
        for p, x in found.items():
            initial, rest = Chances(self.chance).split(x)
            if is_vector(initial) and p - HALF >= cut:
                out.append(SeriesTerm(p - HALF, "initial", initial))
            if rest != ZERO:
                out.append(SeriesTerm(p, "mean" if is_vector(rest) else "value", rest))
        return out

    def _pairs(self, factors: tuple[Value, Value], cut: Fraction) -> list[tuple[Fraction, Expr, Expr]]:
        """The products of terms of two members whose powers come to `cut` or more."""
        tops = [self.expander.top(v.ref) for v in factors]
        if self.settled and None in tops:
            return []
        wanted = [cut - (tops[1] or F0), cut - (tops[0] or F0)]
        a, b = (
            self.members(v, least if None not in tops else min(least, F0))
            for v, least in zip(factors, wanted, strict=True)
        )
        return [(p + q, x, y) for p, x in a.items() for q, y in b.items() if p + q >= cut]

    def _require_mean(self, op: OuterMul, table: Expr, x: Expr, p: Fraction, cut: Fraction) -> None:
        """Raises RefusedError where a table's product is 0 for its mean, and more than that is wanted."""
        linear = self.chance_of(x).linear
        if self.settled and linear and not linear & self.chance_of(table).groups and p - HALF >= cut:
            raise RefusedError(catalogue.scaling.not_gaussian(op.origin.label, as_written(op.out)))

    # fixed points

    def discover(self) -> None:
        """Finds the powers of all families, each wanted down to `least` at least. Raises UnstableError.

        Where something grows, one more account is taken: what is told is the first one of the program.
        """
        self.cuts = {site.out.name: self.least for site in self.sites}
        for _ in range(MOST_SWEEPS):
            before = (
                {place: set(powers) for place, powers in self.powers.items()},
                dict(self.cuts),
                dict(self.chances),
                dict(self.numbers),
            )
            found = self._sweep()
            if found:
                found += self._sweep()
                at = {id(s.op): s.number for s in self.sites}
                first = min(found, key=lambda e: (e.function == "check", at[id(e.op)]))
                first.again = self.used_again(first.ref.name)
                raise first
            if before == (self.powers, self.cuts, self.chances, self.numbers):
                if self.all_seen:
                    return
                self.all_seen = True
        worst = max(self.sites, key=self._top)
        raise UnstableError(worst.op, worst.out, self._top(worst), "", rounds=True)

    def _top(self, site: Site) -> Fraction:
        return max(self.powers.get(site.number, {F0}))

    def _sweep(self) -> list[UnstableError]:
        """Looks at every instruction once; gives what grows where it has no limit."""
        outputs = {o.ref.name: "check" if o.check else "" for o in self.program.outputs}
        found = []
        for site in self.sites:
            op = site.op
            try:
                terms = self.terms(op, self.cuts[op.out.name])
            except GrowsError as error:
                found.append(UnstableError(op, error.value or op.out, error.power, error.function))
                continue
            self._note_numbers(site, terms)
            for term in terms:
                self.powers.setdefault(site.number, set()).add(term.power)
                name = key(op.out.name, term.power)
                self.chances[name] = join([self.chances.get(name, Chance()), self._chance(op, term)])
            if op.out.name in outputs and (top := self._top(site)) > 0:
                cause = self._cause(site)
                power = max(self.powers.get(cause.number, {top}))
                why = outputs[op.out.name] or ("" if cause is site else "output")
                found.append(UnstableError(cause.op, cause.out, power, why))
        return found

    def _note_numbers(self, site: Site, terms: Sequence[SeriesTerm]) -> None:
        """Terms of scalars that are numbers; those that are none any more are no longer."""
        values = {term.power: [other.value for other in terms if other.power == term.power] for term in terms}
        for p in self.powers.get(site.number, set()) | set(values):
            match values.get(p) if isinstance(site.op, Scalar | Moment) else None:
                case [Number() as value]:
                    self.numbers[site.number, p] = value
                case _:
                    self.numbers.pop((site.number, p), None)

    def _cause(self, site: Site) -> Site:
        """Where it comes from that a scalar grows: the mean that does, if it is made of one."""
        made = {other.out.name: other for other in reversed(self.sites)}
        seen = {site.out.name}
        while isinstance(site.op, Scalar):
            tops = {
                v.ref.name: max(self.powers_of(v.ref), default=F0)
                for v in operands(site.op)
                if v.ref.name in made and v.ref.name not in seen
            }
            worst = max(tops, key=lambda name: tops[name], default=None)
            if worst is None or tops[worst] <= 0:
                break
            site = made[worst]
            seen.add(worst)
        return site

    def _chance(self, op: Instruction, term: SeriesTerm) -> Chance:
        own = self.chance_of(term.value)
        if term.kind == "initial":
            return Chance(None, frozenset({RANDOM}))
        if isinstance(op, Nonlin):
            return own
        if isinstance(op, MatMul):
            group = frozenset({entries(op.matrix.name)})
            return (
                Chance(group, own.groups) if self.fresh(op.matrix.name) else Chance(None, own.groups | group)
            )
        if isinstance(op, OuterMul | OuterNonlin):
            return Chance(None, own.groups)
        return Chance(None, own.groups & {RANDOM})

    def fresh(self, matrix: str) -> bool:
        """Whether all products with a matrix are with vectors made without it, from one side.

        The same of the members of a family.

        Then given all that is made without it they are jointly Gaussian of mean 0 and covariance E x x',
        coordinate by coordinate, as initial vectors
        are: its rows (columns, if it is always transposed) are independent.
        """
        products = self.products[matrix]
        if len({op.transposed for op in products}) > 1:
            return False
        operands = {op.operand.name for op in products}
        made_of = [chance for name, chance in self.chances.items() if TermName.of(name).family in operands]
        return not any(entries(matrix) in chance.groups for chance in made_of)

    def used_again(self, name: str) -> list[str]:
        """The matrices because of which the mean that the scalar `name` is made of is not known to be 0."""
        seen, left, found = {name}, [name], list[str]()
        while left:
            for site in self.made.get(left.pop(), ()):
                for v in operands(site.op):
                    makers = [other.op for other in self.made.get(v.ref.name, ())]
                    found += [
                        m.matrix.name
                        for m in makers
                        if v.vector and isinstance(m, MatMul) and not self.fresh(m.matrix.name)
                    ]
                    if not v.vector and v.ref.name not in seen:
                        seen.add(v.ref.name)
                        left.append(v.ref.name)
        return list(dict.fromkeys(found))

    def demand(self) -> None:
        """Finds how far down each family is wanted for the outputs at n = ∞, all powers being known."""
        self.settled = True
        self.expander = self._expander()
        for site in self.sites:
            if not self.powers.get(site.number):  # it is 0, or has no limit, which only it can tell
                self._demanded(site.op, F0)
        self.cuts = {output.ref.name: F0 for output in self.program.outputs}
        while True:
            before = dict(self.cuts)
            for op in (site.op for site in reversed(self.sites)):
                if op.out.name in self.cuts:
                    self._demanded(op, self.cuts[op.out.name])
            if before == self.cuts:
                return

    def _demanded(self, op: Instruction, cut: Fraction) -> None:
        try:
            self.terms(op, cut)
        except SmallError as error:
            raise SmallError(error.function, op) from None

    def wanted(self, name: str) -> list[Fraction]:
        """The powers of a family that matter, greatest first."""
        found = frozenset[Fraction]().union(*(self.powers.get(site.number, ()) for site in self.made[name]))
        return sorted((p for p in found if name in self.cuts and p >= self.cuts[name]), reverse=True)


def orders(program: Program) -> Orders:
    """The powers that matter. Raises UnstableError, SmallError.

    Powers are found twice: what was taken for larger before all was known of what depends on what is not in
    the second account.
    """
    first = Orders(program)
    first.discover()
    found = Orders(program, chances=dict(first.chances), numbers=dict(first.numbers))
    found.discover()
    found.demand()
    return found
