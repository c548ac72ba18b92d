"""The Z-recursion: one rule per instruction, named as in TP4 Def 7.3."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from itertools import cycle, islice
from typing import TypedDict

from tpc.core.affine import Affine
from tpc.core.expr import ZERO, Expr, Ref, add, mul, number, power
from tpc.core.names import Together, fresh
from tpc.core.places import IndexRange, Site
from tpc.core.program import (
    Gaussians,
    Input,
    MatMul,
    Moment,
    Nonlin,
    Origin,
    OuterMul,
    OuterNonlin,
    Program,
    Scalar,
)
from tpc.core.wellformed import InternalError
from tpc.derive.depend import Dependence
from tpc.derive.formula import (
    HatCovariance,
    ZDot,
    ZFormula,
    ZHat,
    ZInit,
    ZInput,
    ZMatMul,
    ZMoment,
    ZNonlin,
    ZOuter,
    ZOuterMul,
    ZScalar,
)
from tpc.derive.nodes import CopyMean, TableKernel, Z, copied, expectation, limits, moment
from tpc.derive.partials import Partials, same_matrix, summation
from tpc.derive.scales import coefficient_scale, stein_scale
from tpc.derive.sites import FormulaScope, all_rounds

AXES = ("i", "j", "k", "l")
MAX_PAIRED = 400  # products with one matrix whose covariances are listed pair by pair


class FormulaPlace(TypedDict):
    """What every formula of an instruction says of where it stands."""

    loops: tuple[IndexRange, ...]
    path: tuple[int, ...]
    origin: Origin
    scope: FormulaScope


class Rules:
    """What the rules look things up in: the program, its dependences, and the derivatives made so far."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.facts = Dependence(program)
        self.partials = Partials(self.facts)

    def place(self, site: Site) -> FormulaPlace:
        return {"loops": site.loops, "path": site.path, "origin": site.op.origin, "scope": self.facts.scope}

    def initial(self) -> Iterator[ZFormula]:
        for item in self.program.inputs:
            yield zinput(item, self.partials.names, self.facts.scope)
        for group in self.program.gaussians:
            yield from zinit(group, self.facts.scope)

    def of_instructions(self) -> Iterator[ZFormula]:
        for site in self.facts.sites:
            yield z(site.op, site, self)


def zinput(item: Input, names: frozenset[str], scope: FormulaScope) -> ZInput:
    variables: list[str] = []
    for wish in islice(cycle(AXES), len(item.shape)):
        variables.append(fresh(wish, Together((variables, names))))
    loops = tuple(IndexRange(v, Affine(count)) for v, count in zip(variables, item.shape, strict=True))
    return ZInput(
        Ref(item.name, tuple(Affine.var(v) for v in variables)), loops=loops, origin=item.origin, scope=scope
    )


def zinit(group: Gaussians, scope: FormulaScope) -> Iterator[ZInit]:
    """ZInit: `Z^h` of an initial vector is given; `Ẑ^h = Z^h`, `Ż^h = 0`."""
    loops = tuple(IndexRange(variable, Affine(count)) for variable, count in group.axes)
    refs = [Ref(name, tuple(Affine.var(variable) for variable, _ in group.axes)) for name in group.names]
    for i, ref in enumerate(refs):
        row = [limits(x, scope.inputs) for x in group.covariance[i]]
        covariances = tuple(
            (other, value) for other, value in zip(refs[:i], row[:i], strict=True) if value != ZERO
        )
        yield ZInit(
            ref,
            limits(group.mean[i], scope.inputs),
            row[i],
            covariances,
            loops=loops,
            origin=group.origin,
            scope=scope,
        )


@singledispatch
def z(op: object, site: Site, rules: Rules) -> ZFormula:
    """The formula of what `op`, at `site`, makes."""
    raise InternalError(f"no Z-rule for {type(op).__name__}")


@z.register
def znonlin(op: Nonlin, site: Site, rules: Rules) -> ZNonlin:
    """ZNonlin⁺: `Z^{φ(x..;θ..)} = φ(Z^x..; θ̊..)`."""
    return ZNonlin(op.out, limits(op.phi, rules.facts.scope.inputs), **rules.place(site))


@z.register
def zmoment(op: Moment, site: Site, rules: Rules) -> ZMoment:
    """ZMoment: `θ̊ = E φ(Z^x..; θ̊..)`, the θ̊ inside being constants."""
    scope = rules.facts.scope
    return ZMoment(op.out, moment(op.phi, scope.inputs, scope.tables), **rules.place(site))


@z.register
def zouter(op: OuterNonlin, site: Site, rules: Rules) -> ZOuter:
    """ZOuter: a table's kernel is ψ of the Z's of its rows, and of copies of those of its columns."""
    scope = rules.facts.scope
    return ZOuter(op.out, limits(op.phi, scope.inputs, scope.tables), **rules.place(site))


@z.register
def zoutermul(op: OuterMul, site: Site, rules: Rules) -> ZOuterMul:
    """ZOuterMul: `Z^{Ax} = E′ A(·, ·′) Z^x′`."""
    value = CopyMean(mul(TableKernel(op.table, op.transposed), copied(Z(op.operand))))
    return ZOuterMul(op.out, value, **rules.place(site))


@z.register
def zscalar(op: Scalar, site: Site, rules: Rules) -> ZScalar:
    """A scalar made of scalars has the limit made of their limits."""
    return ZScalar(op.out, limits(op.phi, rules.facts.scope.inputs), **rules.place(site))


@z.register
def zmatmul(op: MatMul, site: Site, rules: Rules) -> ZMatMul:
    """ZMatMul: `Z^{Wx} = Ẑ^{Wx} + Ż^{Wx}`."""
    return ZMatMul(op.out, op, zhat(site, rules), zdot(site, rules), **rules.place(site))


def zhat(site: Site, rules: Rules) -> ZHat:
    """ZHat: `Cov(Ẑ^{Wx}, Ẑ^{Wy}) = σ² E Z^x Z^y`, and `Cov(Ẑ^{Wᵀx}, Ẑ^{Wᵀy}) = ρσ² E Z^x Z^y`."""
    op, found = site.product, list[HatCovariance]()
    scale = coefficient_scale(rules.program, op)
    others = rules.facts.sides.may_be(op)
    if len(others) > MAX_PAIRED:
        found, others = [_with_all_before(site, rules, scale)], []
    for other in others:
        if other.number > site.number or (other is site and not site.loops):
            continue
        rounds = all_rounds(other, {}, 0, Together((rules.partials.names, site.variables)))
        value = mul(
            same_matrix(other, rounds, site),
            scale,
            second_moment(op.operand, rounds.of(other.product.operand)),
        )
        if value != ZERO:
            found.append(HatCovariance(rounds.of(other.out), value, rounds.ranges))
    return ZHat(op.out, mul(scale, second_moment(op.operand, op.operand)), tuple(found), **rules.place(site))


def second_moment(x: Ref, y: Ref) -> Expr:
    return expectation(power(Z(x), number(2)) if x == y else mul(Z(y), Z(x)))


def _with_all_before(site: Site, rules: Rules, scale: Expr) -> HatCovariance:
    """The covariances with all products before, in one formula."""
    op, names = site.product, Together((rules.partials.names, site.variables))
    g = fresh("g", names)
    y = fresh("y", Together((names, (g,))))
    words = f", for every {g} = {op.matrix}{'ᵀ' * op.transposed} {y} before"
    return HatCovariance(Ref(g), mul(scale, second_moment(op.operand, Ref(y))), (), words)


def zdot(site: Site, rules: Rules) -> ZDot:
    """ZDot: `Ż^{Wx} = σ² Σ_i Z^{y_i} E ∂Z^x/∂Ẑ^{Wᵀy_i}`, and `ρσ²` for `Wᵀx`.

    The sum is over the opposing products before it.

    Where such a derivative does not exist, Stein's lemma gives the coefficients (Remark F.2): `a = C⁺b` with
    `C_ij = E Z^{y_i} Z^{y_j}`, `b_i = E Ẑ^{g_i} Z^x`, divided by ρ for `Wx` and times ρ for `Wᵀx`.
    """
    op, program, partials = site.product, rules.program, rules.partials
    terms = partials.opposing(site)
    value = add(*(summation(t.ranges, mul(t.coefficient, t.same, Z(t.y)), site.loops) for t in terms))
    return ZDot(
        op.out,
        value,
        terms,
        "stein" if partials.by_stein(site) else "derivative",
        op.operand,
        coefficient_scale(program, op),
        stein_scale(program, op),
        **rules.place(site),
    )
