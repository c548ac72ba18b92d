"""How the members of a table are read as sums of outer products, at any index and in any loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tpc.core.affine import Affine, Ranges, bounds
from tpc.core.expr import ONE, Expr, Index, Ref, Value, mul, summed
from tpc.core.outer_terms import NotSeparateError, OuterTerm, Terms, own_name
from tpc.core.places import Site
from tpc.core.program import For, Op
from tpc.core.traverse import free_variables


@dataclass(frozen=True)
class TermsOf:
    """What one instruction makes of a table: its terms, in the variables of its index."""

    site: Site
    terms: Terms

    def env(self, ref: Ref) -> dict[str, Index] | None:
        """The variables at a member, None if it is another one's. Raises NotSeparateError if that is open."""
        env = dict[str, Index]()
        for made, read in zip(self.site.out.index, ref.index, strict=True):
            assert isinstance(made, Affine)
            if made.terms:
                env[made.terms[0][0]] = read - made.const if isinstance(read, Affine) else read
                if not isinstance(read, Affine) and made.const:
                    raise NotSeparateError
            elif not isinstance(read, Affine) or read.terms:
                raise NotSeparateError
            elif read != made:
                return None
        return env


@dataclass(frozen=True)
class MadeTable:
    """A table whose members are made one by one."""

    patterns: Sequence[TermsOf]

    def read(self, ref: Ref, taken: set[str]) -> Terms:
        found = [(pattern, env) for pattern in self.patterns if (env := pattern.env(ref)) is not None]
        if len(found) != 1:
            raise NotSeparateError
        pattern, env = found[0]
        return tuple(term.called(taken).at(env) for term in pattern.terms)


@dataclass(frozen=True)
class CarriedTable:
    """A table of step t + 1 that is a multiple of itself of step t and more terms."""

    axis: int
    start: TermsOf
    step: TermsOf
    # what is left of the start, and of the terms of step s, where not all is; families of scalars
    kept: str = ""
    rate: str = ""
    # terms that every step has, with the families of what multiplies them
    lasting: Sequence[tuple[OuterTerm, str]] = ()

    @property
    def time(self) -> str:
        index = self.step.site.out.index[self.axis]
        assert isinstance(index, Affine)
        return index.terms[0][0]

    def read(self, ref: Ref, taken: set[str]) -> Terms:
        now = ref.index[self.axis]
        first = self.start.env(Ref(ref.name, put(ref.index, self.axis, Affine())))
        own = self.step.env(ref)
        if not isinstance(now, Affine) or first is None or own is None:
            raise NotSeparateError
        left = Value(Ref(self.kept, ref.index), False) if self.kept else ONE
        found = [scaled(term.called(taken).at(first), left) for term in self.start.terms]
        for term in self.step.terms:
            step = own_name("s", taken)
            past = term.called(taken).at({**own, self.time: Affine.var(step)})
            rate = Value(Ref(self.rate, (*ref.index, Affine.var(step))), False) if self.rate else ONE
            past = replace(past, ranges=((step, now), *past.ranges))
            found.append(scaled(past, rate))
        for term, name in self.lasting:
            lasting = term.called(taken)
            index = (*ref.index, *(Affine.var(v) for v, _ in lasting.ranges))
            lasting = lasting.at({**own, self.time: now - 1})
            found.append(replace(lasting, scale=Value(Ref(name, index), False)))
        return tuple(found)


def scaled(term: OuterTerm, factor: Expr) -> OuterTerm:
    return replace(term, scale=mul(factor, term.scale))


def put(index: Sequence[Index], axis: int, value: Affine) -> tuple[Index, ...]:
    return (*index[:axis], value, *index[axis + 1 :])


def extents(ranges: Sequence[tuple[str, Affine]]) -> tuple[int, ...]:
    """The greatest counts of ranges, outermost first."""
    return tuple(max(bounds(count, ranges[:k])[1], 0) for k, (_, count) in enumerate(ranges))


def inside(ranges: Ranges, x: Expr) -> Ranges:
    """The ranges that an expression moves with, and those that their counts do."""
    wanted = set(free_variables(x))
    for variable, count in reversed(ranges):
        if variable in wanted:
            wanted |= count.variables
    return tuple((v, count) for v, count in ranges if v in wanted)


def nest(ranges: Ranges, op: Op) -> Op:
    for variable, count in reversed(ranges):
        op = For(variable, count, (op,), origin=op.origin)
    return op


def over(ranges: Ranges, x: Expr) -> Expr:
    for variable, count in reversed(ranges):
        x = summed(variable, count, x)
    return x
