"""Where things are made.

Instructions with the loops around them, and which of their rounds come before which.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tpc.core.affine import Affine
from tpc.core.expr import Expr, Gather, Index, Ref, substitute_ref
from tpc.core.program import Instruction, MatMul, Op, Program
from tpc.derive.nodes import Env, Together, fresh


@dataclass(frozen=True, slots=True)
class IndexRange:
    """A variable that runs over 0 … count−1."""

    variable: str
    count: Affine


@dataclass(frozen=True, eq=False, slots=True)
class Site:
    """An instruction in its loops.

    `path`: its place in the program, a position for every region around it and one in the innermost.
    """

    number: int
    op: Instruction
    path: tuple[int, ...]
    loops: tuple[IndexRange, ...]

    @property
    def out(self) -> Ref:
        return self.op.out

    @property
    def variables(self) -> frozenset[str]:
        return frozenset(loop.variable for loop in self.loops)

    @property
    def product(self) -> MatMul:
        assert isinstance(self.op, MatMul)
        return self.op


@dataclass(frozen=True, eq=False, slots=True)
class FormulaScope:
    """What is needed to read a formula by itself.

    The instructions that lowering made out of parts of a line, by fresh name; the inputs; closed: what finds
    the closed form of an equation (`tpc.derive.closed`).
    """

    parts: Mapping[str, Sequence[Site]] = field(default_factory=dict)
    inputs: frozenset[str] = frozenset()
    closed: Callable[[Any], Expr | None] | None = None

    def part(self, ref: Ref) -> tuple[Site, dict[str, Affine]] | None:
        """The instruction behind a fresh name, and its round."""
        for site in self.parts.get(ref.name, ()):
            if (env := round_of(site, ref)) is not None:
                return site, env
        return None


@dataclass(frozen=True, slots=True)
class SiteRounds:
    """Some rounds of a site.

    Its loop variables as indices, and the new variables among these with their ranges, outermost first.
    """

    env: Env
    ranges: tuple[IndexRange, ...]

    def of(self, ref: Ref) -> Ref:
        return substitute_ref(ref, self.env)


def sites_of(program: Program) -> tuple[Site, ...]:
    found: list[Site] = []

    def visit(body: Sequence[Op], path: tuple[int, ...], loops: tuple[IndexRange, ...]) -> None:
        for i, op in enumerate(body):
            if isinstance(op, Instruction):
                found.append(Site(len(found), op, (*path, i), loops))
            else:
                visit(op.body, (*path, i), (*loops, IndexRange(op.variable, op.count)))

    visit(program.body, (), ())
    return tuple(found)


def shared(a: Site, b: Site) -> int:
    """The number of regions that are around both."""
    depth = 0
    while depth < min(len(a.loops), len(b.loops)) and a.path[depth] == b.path[depth]:
        depth += 1
    return depth


def before(g: Site, h: Site, avoid: Container[str]) -> Iterator[SiteRounds]:
    """The rounds of `g` that come before a round of `h`, disjoint, as sums over variables not in `avoid`.

    With k regions shared, these are the rounds whose first u < k variables agree and whose next is less (the
    last of them, u = k, or equal if `g` stands before `h` in the text); variables further in run freely.
    """
    depth = shared(g, h)
    textually, taken = g.path[depth] < h.path[depth], Together((avoid, h.variables))
    if depth == 0:
        if textually:
            yield all_rounds(g, {}, 0, taken)
        return
    for u in range(depth):
        env = {loop.variable: Affine.var(loop.variable) for loop in g.loops[:u]}
        own = g.loops[u].variable
        variable = fresh("s" if own in taken else own, taken)
        count = Affine.var(own) + (1 if textually and u == depth - 1 else 0)
        rest = all_rounds(g, {**env, own: Affine.var(variable)}, u + 1, Together((taken, (variable,))))
        yield SiteRounds(rest.env, (IndexRange(variable, count), *rest.ranges))


def all_rounds(g: Site, env: Env, start: int, avoid: Container[str]) -> SiteRounds:
    """The rounds of `g` with its first `start` loop variables given by `env`."""
    known, ranges, own = dict(env), list[IndexRange](), list[str]()
    taken = Together((avoid, own))
    for loop in g.loops[start:]:
        variable = fresh(loop.variable, taken)
        own.append(variable)
        ranges.append(IndexRange(variable, loop.count.substitute(known)))
        known[loop.variable] = Affine.var(variable)
    return SiteRounds(known, tuple(ranges))


# ranges of indices


def least(index: Affine, ranges: Sequence[IndexRange]) -> int | None:
    """The least value of `index` over `ranges` (outermost first), None if a variable is not among them."""
    for loop in reversed(ranges if index.terms else ()):
        k = index.coefficient(loop.variable)
        if k:
            index = index.substitute({loop.variable: Affine() if k >= 0 else loop.count - 1})
    return index.constant


def greatest(index: Affine, ranges: Sequence[IndexRange]) -> int | None:
    low = least(index.scaled(-1), ranges)
    return None if low is None else -low


def may_meet(a: Index, a_ranges: Sequence[IndexRange], b: Index, b_ranges: Sequence[IndexRange]) -> bool:
    """Can the two indices be equal? (True where that cannot be told.)"""
    if isinstance(a, Gather) or isinstance(b, Gather):
        return True
    if not a.terms and not b.terms:
        return a.const == b.const
    lows, highs = (least(a, a_ranges), least(b, b_ranges)), (greatest(a, a_ranges), greatest(b, b_ranges))
    if lows[0] is None or lows[1] is None or highs[0] is None or highs[1] is None:
        return True
    return lows[0] <= highs[1] and lows[1] <= highs[0]


def may_define(site: Site, ref: Ref, ranges: Sequence[IndexRange]) -> bool:
    return site.out.name == ref.name and all(
        may_meet(i, ranges, j, site.loops) for i, j in zip(ref.index, site.out.index, strict=True)
    )


def round_of(site: Site, ref: Ref) -> dict[str, Affine] | None:
    """The values of the loop variables of `site` at which it makes `ref`; None if the indices do not say."""
    env: dict[str, Affine] = {}
    for made, wanted in zip(site.out.index, ref.index, strict=True):
        if isinstance(made, Gather) or isinstance(wanted, Gather):
            return None
        if made.constant is not None:
            if made != wanted:
                return None
        elif len(made.terms) == 1 and made.terms[0][1] == 1 and made.terms[0][0] not in env:
            env[made.terms[0][0]] = wanted - made.const
        else:
            return None
    return env if env.keys() == site.variables else None
