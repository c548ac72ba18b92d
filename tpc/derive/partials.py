"""The coefficients of ZDot and the partial derivatives they are made of (TP4 Remark F.1).

They are named quantities with recurrences, found by symbol.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from tpc.core.affine import Affine
from tpc.core.calculus import differentiate
from tpc.core.deep import Deep, unwound
from tpc.core.expr import ZERO, Add, Delta, Expr, Mul, Ref, Sum, Value, add, delta, mul, summed, walk
from tpc.core.names import Together
from tpc.core.places import IndexRange, Site, greatest, least
from tpc.core.program import Nonlin
from tpc.core.traverse import bound_variables, free_variables, ref_variables
from tpc.derive.depend import Dependence, vectors
from tpc.derive.formula import Opposing, ZPartial
from tpc.derive.nodes import Expectation, Partial, Stein, at, expectation, limits
from tpc.derive.scales import coefficient_scale
from tpc.derive.sites import SiteRounds, all_rounds, before, round_of

MAX_PRODUCT, MAX_SUM = 40, 12  # nodes of a derivative that is written where it is used instead of being named


class Partials:
    """The recurrences of `∂Z^x/∂Ẑ^g`, one for each pair of sites that was asked for, made once."""

    def __init__(self, facts: Dependence) -> None:
        self.facts = facts
        self.names = facts.program.names
        self.entries: dict[tuple[int, int], ZPartial | None] = {}  # None: being made
        self.terms: dict[int, tuple[Opposing, ...] | None] = {}

    # ∂Z^x/∂Ẑ^g

    def partial(self, of: Ref, ranges: Sequence[IndexRange], by: Ref, g: Site) -> Deep[Expr]:
        """`∂Z^of/∂Ẑ^by`, by name unless it is a number or one short product."""
        definitions = self.facts.definitions(of, ranges)
        if not any(self.facts.reach[site.number] >> g.number & 1 for site in definitions):
            return ZERO
        if len(definitions) == 1:
            site, entry = definitions[0], (yield self.entry(definitions[0], g))
            rounds, by_rounds = round_of(site, of), round_of(g, by)
            if entry is not None and is_short(entry.value) and rounds is not None and by_rounds is not None:
                renamed = round_of(g, entry.by)
                assert renamed is not None
                own = {i.terms[0][0]: by_rounds[v] for v, i in renamed.items()}
                return at(entry.value, {**rounds, **own})
        return Partial(of, by, g.number)

    def entry(self, site: Site, g: Site) -> Deep[ZPartial | None]:
        """The recurrence for the rounds of a pair of sites.

        None while it is being made: a loop leads back to it.
        """
        key = (site.number, g.number)
        if key not in self.entries:
            self.entries[key] = None
            self.entries[key] = yield self._make(site, g)
        return self.entries[key]

    def _make(self, site: Site, g: Site) -> Deep[ZPartial]:
        if isinstance(site.op, Nonlin):
            inner = bound_variables(site.op.phi)
        else:
            inner = frozenset({name for term in (yield self.terms_of(site)) for name in term_variables(term)})
        rounds = all_rounds(g, {}, 0, Together((self.names, site.variables, inner)))
        by, inside = rounds.of(g.out), (*site.loops, *rounds.ranges)
        value = (
            yield self._nonlin(site, by, g, inside)
            if isinstance(site.op, Nonlin)
            else self._product(site, by, g, rounds, inside)
        )
        return ZPartial(
            site.out,
            by,
            rounds.ranges,
            value,
            loops=site.loops,
            path=site.path,
            origin=site.op.origin,
            by_path=g.path,
            scope=self.facts.scope,
        )

    def _nonlin(self, site: Site, by: Ref, g: Site, inside: tuple[IndexRange, ...]) -> Deep[Expr]:
        """`Σ_v ∂φ/∂v ∂Z^v/∂Ẑ^g`, scalars being constants (ZNonlin⁺)."""
        assert isinstance(site.op, Nonlin)
        slopes: dict[Expr, Expr] = {}
        for value, within in vectors(site.op.phi, inside):
            own = yield self.partial(value.ref, within, by, g)
            # of sums of several lengths the name, which holds for each
            slopes[value] = own if slopes.get(value, own) == own else Partial(value.ref, by, g.number)

        def seed(node: Expr) -> Expr | None:
            return slopes.get(node, ZERO) if isinstance(node, Value) else None

        return simplified(
            limits(differentiate(site.op.phi, seed, across_where=False), self.facts.scope.inputs), inside
        )

    def _product(
        self, site: Site, by: Ref, g: Site, rounds: SiteRounds, inside: tuple[IndexRange, ...]
    ) -> Deep[Expr]:
        """`[h is g] + Σ_j coefficient_j ∂Z^{y_j}/∂Ẑ^g`, the coefficients those of `Ż^h`."""
        same = mul(*(delta(Affine.var(v), i) for v, i in rounds.env.items())) if site is g else ZERO
        terms = list[Expr]()
        for t in (yield self.terms_of(site)):
            slope = yield self.partial(t.y, (*inside, *t.ranges), by, g)
            terms.append(summation(t.ranges, mul(t.coefficient, t.same, slope), inside))
        return add(same, *terms)

    # Ż^h

    def opposing(self, h: Site) -> tuple[Opposing, ...]:
        """The terms of `Ż^h`: products with the transpose, before h, on whose Ẑ the operand depends."""
        return unwound(self.terms_of(h))

    def terms_of(self, h: Site) -> Deep[tuple[Opposing, ...]]:
        known = self.terms.get(h.number, ())
        if known is None:  # led back to itself by a loop: the same terms, their derivatives by name
            again: tuple[Opposing, ...] = yield self._opposing(h, by_name=True)
            return again
        if h.number not in self.terms:
            self.terms[h.number] = None
            self.terms[h.number] = yield self._opposing(h, by_name=False)
        found = self.terms[h.number]
        assert found is not None
        return found

    def by_stein(self, h: Site) -> bool:
        """Does some derivative that `Ż^h` needs not exist (Remark F.2)?"""
        return any(self.facts.jumps(h.product.operand, h.loops, g) for g in self._met(h))

    def _met(self, h: Site) -> list[Site]:
        return [g for g in self.facts.opposing(h) if self.facts.depends(h.product.operand, h.loops, g)]

    def _opposing(self, h: Site, *, by_name: bool) -> Deep[tuple[Opposing, ...]]:
        stein, scale, found = (
            self.by_stein(h),
            coefficient_scale(self.facts.program, h.product),
            list[Opposing](),
        )
        for g in self._met(h):
            for rounds in before(g, h, self.names):
                by, inside = rounds.of(g.out), (*h.loops, *rounds.ranges)
                same = same_matrix(g, rounds, h)
                if stein:
                    coefficient: Expr = Stein(h.out, by)
                elif by_name:
                    coefficient = mul(scale, Expectation(Partial(h.product.operand, by, g.number)))
                else:
                    coefficient = mul(
                        scale, expectation((yield self.partial(h.product.operand, inside, by, g)))
                    )
                if same != ZERO and coefficient != ZERO:
                    found.append(
                        Opposing(by, rounds.of(g.product.operand), rounds.ranges, same, coefficient, g.number)
                    )
        return tuple(found)

    # what is shown

    def reached(self, values: Sequence[Expr]) -> tuple[ZPartial, ...]:
        """The recurrences of all derivatives that `values` name, in program order.

        With them come those of the derivatives that these name.
        """
        found: dict[tuple[int, int], ZPartial] = {}
        todo = list(values)
        while todo:
            for node in walk(todo.pop()):
                if isinstance(node, Partial):
                    for key in self._pairs(node):
                        entry = unwound(self.entry(self.facts.sites[key[0]], self.facts.sites[key[1]]))
                        if key not in found and entry is not None:
                            found[key] = entry
                            todo.append(entry.value)
        return tuple(found[key] for key in sorted(found))

    def _pairs(self, node: Partial) -> list[tuple[int, int]]:
        of = node.of
        sites = [self.facts.constant[of]] if of in self.facts.constant else self.facts.made.get(of.name, [])
        return [
            (site.number, node.product) for site in sites if self.facts.reach[site.number] >> node.product & 1
        ]


def term_variables(term: Opposing) -> frozenset[str]:
    return (
        frozenset(r.variable for r in term.ranges) | bound_variables(term.coefficient) | ref_variables(term.y)
    )


def same_matrix(g: Site, rounds: SiteRounds, h: Site) -> Expr:
    """`[the matrix of g is that of h]`, for members of a family of matrices."""
    return mul(
        *(delta(i, j) for i, j in zip(rounds.of(g.product.matrix).index, h.product.matrix.index, strict=True))
    )


def is_short(x: Expr) -> bool:
    """Whether `x` is a product with at most one other derivative in it.

    Such a one may stand for its name, and formulas do not grow by sharing.
    """
    found = list(islice(walk(x), MAX_PRODUCT + 1))
    return (
        len(found) <= (MAX_SUM if isinstance(x, Add) else MAX_PRODUCT)
        and not any(isinstance(node, Sum) for node in found)
        and sum(isinstance(node, Partial) for node in found) <= 1
    )


# sums with brackets in them


def summation(ranges: Sequence[IndexRange], body: Expr, inside: Sequence[IndexRange]) -> Expr:
    """`Σ body` over `ranges`, without the sums that a bracket `[s = t]` reduces to one term.

    inside: the ranges of the free variables.
    """
    for i in reversed(range(len(ranges))):
        body = _summation(ranges[i], body, (*inside, *ranges[:i]))
    return body


def _summation(over: IndexRange, body: Expr, inside: Sequence[IndexRange]) -> Expr:
    factors = body.factors if isinstance(body, Mul) else (body,)
    for factor in factors:
        if isinstance(factor, Delta) and (index := _solved(factor, over.variable)) is not None:
            low, high = index, over.count - 1 - index
            if _nonnegative(low, inside) and _nonnegative(high, inside):
                rest = mul(*(f for f in factors if f is not factor))
                return at(rest, {over.variable: index})
            if _negative(low, inside) or _negative(high, inside):
                return ZERO
    outer = [f for f in factors if isinstance(f, Delta) and over.variable not in free_variables(f)]
    inner = [f for f in factors if f not in outer]
    return mul(*outer, summed(over.variable, over.count, mul(*inner)))


def _solved(x: Delta, variable: str) -> Affine | None:
    """The one value of `variable` for which the bracket is 1."""
    if not isinstance(x.left, Affine) or not isinstance(x.right, Affine):
        return None
    difference = x.left - x.right
    k = difference.coefficient(variable)
    if abs(k) != 1:
        return None
    return (difference - Affine.var(variable).scaled(k)).scaled(-k)


def _nonnegative(index: Affine, ranges: Sequence[IndexRange]) -> bool:
    low = least(index, ranges)
    return low is not None and low >= 0


def _negative(index: Affine, ranges: Sequence[IndexRange]) -> bool:
    high = greatest(index, ranges)
    return high is not None and high < 0


def simplified(x: Expr, inside: Sequence[IndexRange]) -> Expr:
    """`x` with sums at its top resolved where a bracket leaves one term."""
    match x:
        case Add(terms):
            return add(*(simplified(term, inside) for term in terms))
        case Mul(factors):
            return mul(*(simplified(f, inside) if isinstance(f, Sum) else f for f in factors))
        case Sum(variable, count, body):
            over = IndexRange(variable, count)
            inner = simplified(body, (*inside, over))
            return _summation(over, inner, inside)
        case _:
            return x
