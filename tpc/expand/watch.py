"""Jumps at quantities that depend on means: what a run looks at to tell whether these are 0 in the limit.

`sign(mean(u))`, u Gaussian, is the sign of a fluctuation at width n, and has no limit. A run has to see that
mean(u) is 0, in the limit that it computes; of a vector, the number in front of it, or else its mean square.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tpc.core.affine import Affine, Ranges, bounds
from tpc.core.expr import (
    MINUS_ONE,
    ONE,
    ZERO,
    Call,
    Compare,
    Expr,
    Number,
    Pow,
    Ref,
    Sum,
    Value,
    add,
    call,
    is_vector,
    neg,
    number,
    power,
)
from tpc.core.expr import replace as replaced
from tpc.core.functions import elementwise
from tpc.core.names import part
from tpc.core.passes import rewrite_sites
from tpc.core.places import Site, by_family
from tpc.core.printer import as_written
from tpc.core.program import (
    Family,
    For,
    Moment,
    Op,
    OuterNonlin,
    Output,
    Product,
    Program,
    Scalar,
    all_families,
)
from tpc.core.spectral import SpectralMap
from tpc.core.traverse import free_variables
from tpc.expand.edges import differ, edge, leaves_of, numbers, rests
from tpc.expand.vanishing import Nullity, Vanishing, collected, split

SIDES = {"sign": (ONE, MINUS_ONE), "step": (ONE, ZERO)}  # of a jump at 0, above first
OF_DIRECTION = ("polar", "newton_schulz")  # functions of tables that have no regard to their size


@dataclass(frozen=True, slots=True)
class Jump:
    """What jumps where `place` is 0, in the ranges around it."""

    node: Call | SpectralMap
    place: Expr
    ranges: Ranges
    # what is made with it, one term of the sum that it is in
    around: Expr


def with_jumps_watched(program: Program) -> Program:
    """The program of a limit, with outputs that a run looks at and does not report."""
    facts = Vanishing(program)
    if not facts.random:
        return program
    own = _Watch(program, facts)
    body = rewrite_sites(program.body, facts.sites, own.at)
    if not own.outputs:
        return program
    families = (*program.families, *own.families)
    return replace(
        program,
        body=(*own.filled, *body),
        families=families,
        outputs=(*program.outputs, *own.outputs),
    )


def jumps_of(x: Expr, ranges: Ranges, around: Expr) -> Iterator[Jump]:
    """Those in an expression, inner ones first."""
    inner = (*ranges, (x.variable, x.count)) if isinstance(x, Sum) else ranges
    for piece in x.parts:
        yield from jumps_of(piece, inner, piece if isinstance(x, Sum) else around)
    if isinstance(x, SpectralMap) and x.function in OF_DIRECTION:
        yield Jump(x, x.table, ranges, around)
    if isinstance(x, Call) and elementwise(x.function).shape == "jump":
        at = x.args[0]
        yield Jump(x, add(at.left, neg(at.right)) if isinstance(at, Compare) else at, ranges, around)


class _Watch:
    """Writes what is looked at, before the instructions that jump."""

    def __init__(self, program: Program, facts: Vanishing) -> None:
        self.facts = facts
        self.known = dict(all_families(program))
        self.taken = {*self.known, *(output.name for output in program.outputs)}
        made = by_family(facts.sites)
        # what optimizers look at
        self.seen = {
            self.root(site.op.phi)
            for output in program.outputs
            if output.check and not output.divisor
            for site in made.get(output.ref.name, ())
            if not isinstance(site.op, Product)
        }
        self.families: list[Family] = []
        self.outputs: list[Output] = []
        self.filled: list[Op] = []  # members that no round makes

    def at(self, site: Site) -> list[Op]:
        op = site.op
        if isinstance(op, Product):
            return [op]
        found: list[Op] = []
        for jump in dict.fromkeys(jumps_of(op.phi, tuple(site.loops), op.phi)):
            what = self.looked_at(jump)
            written = isinstance(jump.node, SpectralMap) and op.origin.what  # by an optimizer
            if what is not None and not written and self.jumps(jump.around, jump):
                found += self.line(site, jump, what)
        return [*found, op]

    def looked_at(self, jump: Jump) -> Expr | None:
        """The number, or the square whose mean, is 0 where there is no limit; None if nothing is."""
        facts, place, ranges = self.facts, jump.place, jump.ranges
        if self.root(place) in self.seen:
            return None
        whole = collected(facts.unfolded(place))
        if not is_vector(place):
            moves = facts.by_chance(without_jumps(whole))
            return place if moves and facts.size(whole, ranges) == Nullity.CHANCE else None
        rest = facts.without(whole, ranges)
        if rest == whole:
            return None
        if rest != ZERO:
            if isinstance(jump.node, SpectralMap) or not rests(rest, facts.nearly_without(whole, ranges)):
                return None
            nothing = Compare(">", call("abs", rest), ZERO)
            return power(call("where", nothing, ZERO, whole), number(2))
        scalar, vector = split(whole)
        alone = scalar != ONE and facts.size(vector, ranges) == Nullity.THERE
        return scalar if alone else power(place, number(2))

    def root(self, x: Expr) -> Expr:
        """What `x` is a power or size of."""
        match x:
            case Pow(base, Number()) | Call("abs" | "sqrt", (base,)):
                return self.root(base)
            case Value(_, False) if (own := self.facts.unfolded(x, 1)) != x:
                return self.root(own)
        return self.facts.one_name(x)

    def jumps(self, x: Expr, jump: Jump) -> bool:
        """Whether x is not the same on both sides of the jump, whatever its values are, or are made of."""
        if isinstance(jump.node, SpectralMap):
            return True
        return _jumps(x, jump, lambda part: part) and _jumps(x, jump, self.unfolded)

    def unfolded(self, x: Expr) -> Expr:
        return self.facts.one_name(self.facts.unfolded(x))

    def line(self, site: Site, jump: Jump, what: Expr) -> tuple[Op, ...]:
        """What makes the number that is looked at, for all rounds that it depends on."""
        used, outer = free_variables(what), len(site.loops)
        axes = [(v, n) for k, (v, n) in enumerate(jump.ranges) if k < outer or v in used]
        name = part(site.out.name, self.taken)
        out = Ref(name, tuple(Affine.var(v) for v, _ in axes))
        most = [max(bounds(n, jump.ranges)[1], 0) for _, n in axes]
        self.families.append(Family(name, "scalar", None, tuple(most)))
        self.filled += filled(name, tuple(axes), most)
        shown = as_written(site.out)
        self.outputs.append(
            Output(
                name,
                tuple((v, n) for (v, _), n in zip(axes, most, strict=True)),
                out,
                shown,
                jump.node.function,
                square=is_vector(what),
                origin=site.op.origin,
            )
        )
        body: tuple[Op, ...] = self.made(site, out, what)
        for variable, count in reversed(axes[outer:]):
            body = (For(variable, count, body, origin=site.op.origin),)
        return body

    def made(self, site: Site, out: Ref, what: Expr) -> tuple[Op, ...]:
        """The instructions, of which there are two where entries of a table have to be there for a mean."""
        origin = site.op.origin
        if not is_vector(what):
            return (Scalar(out, what, origin=origin),)
        if not isinstance(site.op, OuterNonlin):
            return (Moment(out, what, origin=origin),)
        table = Ref(part(site.out.name, self.taken), out.index)
        shape = self.families[-1].shape
        self.families.append(replace(self.known[site.out.name], name=table.name, shape=shape))
        return OuterNonlin(table, what, origin=origin), Moment(out, Value(table, True), origin=origin)


def _jumps(x: Expr, jump: Jump, made_of: Callable[[Expr], Expr]) -> bool:
    """Looked at where random lines meet the jump; where none does, it is taken to be one."""
    node = jump.node
    assert isinstance(node, Call)
    sides = SIDES.get(node.function) or node.args[1:]
    one, other = (made_of(replaced(x, partial(_swapped, node, side))) for side in sides)
    above = Compare(">", made_of(jump.place), ZERO)
    places = edge(above, leaves_of(above, one, other))
    if places is None:
        return True
    finite = all(np.all(np.isfinite(numbers(side, places))) for side in (one, other))
    return not finite or differ(one, other, places)


def filled(name: str, axes: Ranges, most: Sequence[int]) -> Iterator[Op]:
    """1 for the members that loops, of which the lengths depend on others' rounds, leave out."""
    for k, (variable, count) in enumerate(axes):
        if not count.terms:
            continue
        place = [Affine.var(v) for v, _ in axes]
        place[k] += count
        made: Op = Scalar(Ref(name, tuple(place)), ONE)
        later = [(v, Affine(n)) for (v, _), n in zip(axes[k + 1 :], most[k + 1 :], strict=True)]
        for v, n in reversed([*axes[:k], (variable, Affine(most[k]) - count), *later]):
            made = For(v, n, (made,))
        yield made


def without_jumps(x: Expr) -> Expr:
    """`x` with numbers for what jumps, which is looked at where it does."""
    return replaced(
        x, lambda n: ZERO if isinstance(n, Call) and elementwise(n.function).shape == "jump" else None
    )


def _swapped(old: Expr, new: Expr, node: Expr) -> Expr | None:
    return new if node == old else None
