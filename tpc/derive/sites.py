"""Where things are made.

Instructions with the loops around them, and which of their rounds come before which.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tpc.core.affine import Affine
from tpc.core.expr import Expr, Gather, Ref
from tpc.core.names import Together, fresh
from tpc.core.places import IndexRange, Site, shared
from tpc.core.traverse import substitute_ref
from tpc.derive.nodes import Env


@dataclass(frozen=True, eq=False, slots=True)
class FormulaScope:
    """What is needed to read a formula by itself."""

    # the instructions that lowering made out of parts of a line, by fresh name
    parts: Mapping[str, Sequence[Site]] = field(default_factory=dict)
    inputs: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()
    # what finds the closed form of an equation (`tpc.derive.closed`)
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
