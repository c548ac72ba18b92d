"""The program of the limit: a pass from a program with powers of n to one without (TP4 App H.3–H.5).

Every family is a series `x = Σ_p n^p x_p`, to the order that the outputs want; its terms are families of
their own, made by instructions like any
others: `δh` is the paper's, and products with a matrix are taken term by term. A mean v·x/n with v Gaussian
of mean 0 and x made without v is of order n^{-1/2}: times n^{1/2} it is a scalar that is random in the limit,
Gaussian, on which the rest is conditioned: an input of the limit's program.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, islice

from tpc.core.expr import ZERO, Expr, Extent, Number, Pow, Ref, Value, add, children, values, walk
from tpc.core.network import Source
from tpc.core.passes import part_for, renamed
from tpc.core.printer import as_written
from tpc.core.program import (
    Family,
    For,
    Instruction,
    MatMul,
    Moment,
    Nonlin,
    Op,
    OuterMul,
    Product,
    Program,
    Scalar,
    instructions,
)
from tpc.core.wellformed import verified
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic, RefusedError, TpcError
from tpc.expand.arrange import split_loops, without_duplicates
from tpc.expand.chance import NO_GROUPS, RANDOM, Chance, join
from tpc.expand.growth import SmallError, UnstableError
from tpc.expand.of_spectra import require_same_sizes
from tpc.expand.orders import Orders, SeriesTerm, key, orders
from tpc.expand.random_start import Initial, initial_program, without_initial
from tpc.expand.rename import PART, START, Meaning, TermName, meanings_of
from tpc.expand.simplify import without_constant_axes, without_copies, without_zeros
from tpc.expand.terms import F0

MOST_TERMS = 16  # times that one power of n may be another: so many derivatives of a function at least
MOST_WAYS = 200  # of choosing what the random scalars are linear in


@dataclass(frozen=True)
class Expansion:
    """A program, and that of its limit."""

    program: Program
    # no power of n occurs in it; the program itself if none did
    limit: Program
    # what names in it stand for that are not what the program calls so
    meanings: tuple[Meaning, ...] = ()
    # the scalars that are random in the limit, which are inputs of `limit`; None if there are none
    initial: Initial | None = None


def expand(program: Program) -> Expansion:
    """The limit's program.

    Raises TpcError: what grows with n and so has no limit (TP801), and what tpc cannot take the limit of
    (TP802, TP803).
    """
    return _of_text(program, program.source) if has_powers(program) else Expansion(program, program)


@lru_cache(maxsize=64)
def _of_text(program: Program, source: Source | None) -> Expansion:
    """source: that of the program, which is equal to others that stand on other lines."""
    try:
        require_few_terms(program)
        return _expand(program, orders(program))
    except UnstableError as error:
        found = catalogue.scaling.unstable(
            error.op.origin.label,
            as_written(error.ref),
            error.power,
            error.function,
            error.rounds,
            error.again,
        )
    except SmallError as error:
        found = _tends_to_zero(error)
    except RefusedError as error:
        found = error.diagnostic
    raise TpcError([found], program.name, of_program=True) from None


def random_in_the_limit(program: Program) -> bool:
    """Whether scalars of the program are random in its limit, which is then conditioned on them.

    Raises TpcError as `expand` does.
    """
    return expand(program).initial is not None


def has_powers(program: Program) -> bool:
    return any(
        isinstance(node, Extent)
        for op, _ in instructions(program.body)
        if not isinstance(op, Product)
        for node in walk(op.phi)
    )


def require_few_terms(program: Program) -> None:
    """Raises RefusedError (TP808) where a series would be as long as a power of n is large beside another."""
    found = {
        abs(power): op
        for op, _ in instructions(program.body)
        if not isinstance(op, Product)
        for power in powers_of_widths(op.phi)
        if power
    }
    if found and max(found) > MOST_TERMS * min(found):
        at = found[max(found)].origin.label
        raise RefusedError(catalogue.scaling.powers_far_apart(at, max(found), min(found), MOST_TERMS))


def powers_of_widths(x: Expr) -> Iterator[Fraction]:
    """The powers of widths in an expression, one for each place."""
    match x:
        case Extent():
            yield Fraction(1)
        case Pow(Extent(), Number(p)):
            yield p
        case _:
            for part in children(x):
                yield from powers_of_widths(part)


def _expand(program: Program, known: Orders) -> Expansion:
    outputs = {key(output.ref.name, F0) for output in program.outputs}
    require_same_sizes(known)
    terms = _Terms(program, known)
    body = without_zeros(terms.body(program.body), outputs)
    # before second names go, so that names do not depend on that
    written = list(dict.fromkeys(op.out.name for op, _ in instructions(body)))
    body, gone = without_constant_axes(body, outputs)
    body = without_duplicates(without_copies(body, outputs), outputs)
    body = split_loops(part_for(without_copies(body, outputs), outputs))
    left = dict.fromkeys(op.out.name for op, _ in instructions(body))
    families = tuple(_without_axes(terms.families[name], gone.get(name, ())) for name in left)
    terms.check_initial(left)
    meanings = meanings_of(program, written, terms.families, terms.initial)
    inputs = {item.name for item in program.inputs}
    of_outputs = tuple(
        output
        if output.ref.name in inputs
        else replace(output, ref=Ref(key(output.ref.name, F0), output.ref.index))
        for output in program.outputs
    )
    whole = renamed(
        replace(program, families=families, body=body, outputs=of_outputs),
        {name: m.name for name, m in meanings.items()},
    )
    starts = [meanings[name] for name in left if name in terms.initial]
    initial = initial_program(whole, starts) if starts else None
    limit = without_initial(whole, [m.name for m in starts])
    told = tuple(meanings[name] for name in left if meanings[name].told)
    return Expansion(program, verified(limit), told, initial)


def _without_axes(family: Family, gone: Sequence[int] | set[int]) -> Family:
    return replace(family, shape=tuple(n for axis, n in enumerate(family.shape) if axis not in gone))


def _tends_to_zero(error: SmallError) -> Diagnostic:
    assert error.op is not None
    return catalogue.scaling.tends_to_zero(error.op.origin.label, as_written(error.op.out), error.function)


@dataclass
class _Terms:
    """Writes the instructions of all terms."""

    program: Program
    known: Orders
    # those that they make, by key
    families: dict[str, Family] = field(default_factory=dict)
    # by key, the means that are random in the limit
    initial: dict[str, list[tuple[Instruction, Expr]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.made = {family.name: family for family in self.program.families}
        self.outputs = {output.ref.name for output in self.program.outputs}
        self.op: Instruction | None = None
        self.expander = replace(self.known.expander, rough=self._rough)

    def body(self, body: Sequence[Op]) -> tuple[Op, ...]:
        out: list[Op] = []
        for op in body:
            if isinstance(op, For):
                inner = self.body(op.body)
                out += [replace(op, body=inner)] if inner else []
            elif op.out.name in self.known.cuts:
                out += self._write(op)
        return tuple(out)

    def _write(self, op: Instruction) -> Iterator[Instruction]:
        """An instruction for each power that is wanted of what `op` makes, 0 where it has no such term."""
        self.op = op
        name = op.out.name
        wanted = self.known.wanted(name)
        terms = self.known.terms(op, self.known.cuts[name], self.expander)
        for p in [*wanted, *([F0] if name in self.outputs and F0 not in wanted else [])]:
            yield from self._term(op, TermName(name, p), [term for term in terms if term.power == p])

    def _term(self, op: Instruction, name: TermName, terms: list[SeriesTerm]) -> Iterator[Instruction]:
        out = self._out(name, op)
        if isinstance(op, MatMul):
            for term in terms:
                assert isinstance(term.value, Value)
                yield replace(op, out=out, operand=term.value.ref)
            if not terms:
                yield Nonlin(out, ZERO, origin=op.origin)
            return
        if isinstance(op, OuterMul):
            yield from self._of_table(op, name, out, terms)
            return
        if not isinstance(op, Moment):
            yield replace(op, out=out, phi=terms[0].value if terms else ZERO)
            return
        if [term.kind for term in terms] == ["mean"]:
            yield Moment(out, terms[0].value, origin=op.origin)
            return
        parts: list[Expr] = []
        for term in terms:
            if term.kind == "value":
                parts.append(term.value)
                continue
            part = self._out(replace(name, kind=START if term.kind == "initial" else PART), op)
            if term.kind == "initial":
                self.initial.setdefault(part.name, []).append((op, term.value))
            yield Moment(part, term.value, origin=op.origin)
            parts.append(Value(part, False))
        yield Scalar(out, add(*parts), origin=op.origin)

    def _of_table(
        self, op: OuterMul, name: TermName, out: Ref, terms: list[SeriesTerm]
    ) -> Iterator[Instruction]:
        """The products of the terms of a table and of its operand that have one power in all."""
        parts = [replace(name, kind=PART, number=k) for k in range(len(terms))]
        places = [self._out(part, op) for part in parts] if len(terms) > 1 else [out]
        for place, term in zip(places, terms, strict=False):
            table, operand = values(term.value)
            yield replace(op, out=place, table=table.ref, operand=operand.ref)
        if len(terms) != 1:
            total = add(*(Value(place, True) for place in places)) if terms else ZERO
            yield Nonlin(out, total, origin=op.origin)

    def _out(self, term: TermName, op: Instruction) -> Ref:
        name = str(term)
        self.families.setdefault(name, replace(self.made[op.out.name], name=name))
        return Ref(name, op.out.index)

    def _rough(self, function: str) -> Expr:
        assert self.op is not None
        label, out = self.op.origin.label, as_written(self.op.out)
        raise RefusedError(catalogue.scaling.rough_series(label, out, function))

    def check_initial(self, left: Sequence[str] | dict[str, None]) -> None:
        """Refuses scalars that need not be jointly Gaussian given the rest.

        What one is linear in must occur nowhere else in any.

        A product of several vectors may be told to be linear in one or another of them: there must be a way
        in which that is so.
        """
        there = [(op, value) for name in left for op, value in self.initial.get(name, ())]
        if not there:
            return
        distinct = list(dict.fromkeys(value for _, value in there))
        chances = {value: self.known.chance_of(value) for value in distinct}
        if not self.linear_together(distinct, chances.values()):
            raise RefusedError(
                catalogue.scaling.not_gaussian(there[0][0].origin.label, as_written(there[0][0].out))
            )
        for op, value in there:
            if RANDOM in chances[value].others:
                raise RefusedError(catalogue.scaling.not_gaussian(op.origin.label, as_written(op.out)))

    def linear_together(self, scalars: Sequence[Expr], chances: Iterable[Chance]) -> bool:
        """Whether there is a way to tell what each is linear in so that this occurs nowhere else."""
        groups = sorted(frozenset[str]().union(*(chance.linear or NO_GROUPS for chance in chances)))
        ways = (frozenset(avoid) for k in range(len(groups)) for avoid in combinations(groups, k))
        return any(
            join(self.known.chance_of(value, avoid) for value in scalars).linear
            for avoid in islice(ways, MOST_WAYS)
        )
