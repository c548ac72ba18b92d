"""Optimizers of matrices, and Muon: its update is a function of the singular values of the momentum.

After Keller Jordan's `muon.py`: `w ← (1 − η decay) w − η √(rows/columns) F(u)`, F the polar factor or a few
steps of a Newton–Schulz iteration, so that updates have the spectral norm of Yang, Simon and Bernstein (arXiv
2310.17813). A weight between two widths is a table; of a side with d units F acts through a d × d array of
scalars, as `u g(uᵀu)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.core.spectral import TINY
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.table_kinds import MOST_STEPS
from tpc.syntax.tree import Tree
from tpc.syntax.walk import names_in
from tpc.train.build import Maker, is_number, substituted
from tpc.train.optimizer_rules import DECOUPLED, OptimizerRule
from tpc.train.records import Record
from tpc.train.scene import Scene
from tpc.train.shampoo import SHAMPOO, Preconditioner, check_hidden, preconditioner, shampoo_rule
from tpc.train.training_options import option_value
from tpc.train.weight_members import ByMember
from tpc.train.weights import Weight, of_member

if TYPE_CHECKING:
    from tpc.train.entrywise import Lines


Options = Mapping[str, tree.Option]
AtRound = Callable[[tree.Option], Tree]  # the value of an option in a round


@dataclass(frozen=True, slots=True)
class MatrixAware:
    """What is known by its name of an optimizer that acts on a matrix as a whole."""

    meaning: str
    # the options of its own, each with what it is if it is left out
    untold: Mapping[str, str]
    # what is taken as a matrix, entry by entry
    rule: Callable[[Scene, Options, Maker], OptimizerRule]
    # what is made of it, by options, and the values of the rule's parameters
    step: Callable[[Scene, Options, Mapping[str, Tree], Maker, AtRound], Orthogonalised | Preconditioner]
    # whether it may be a weight's
    check: Callable[[Weight, tree.Update], None]

    @property
    def options(self) -> tuple[str, ...]:
        """All options that its `update` line may have."""
        return ("lr", *self.untold, DECOUPLED, "clip")


STEPS, MOMENTUM = 5, Fraction("0.95")
QUINTIC = tuple(map(Fraction, ("3.4445", "-4.775", "2.0315")))
# of options that are not told, as they would be written
MUON = {
    "momentum": f"{float(MOMENTUM):g}",
    "nesterov": "1",
    "steps": f"{STEPS}",
    "coefficients": f"[{', '.join(f'{float(x):g}' for x in QUINTIC)}]",
}
# an iteration whose limit is the polar factor, and after how many steps that is so to rounding
CUBIC, CONVERGED = (Fraction(3, 2), Fraction(-1, 2), Fraction(0)), 110
# steps after which numbers of single precision stay: what rounding makes of singular values that are 0 grows
SINGLE, FINE = 44, Fraction(1, 10**10)
EXACT = "exact"


@dataclass(frozen=True, slots=True)
class Orthogonalised:
    """F: so many steps of an iteration, or the polar factor (None)."""

    steps: int | None
    coefficients: tuple[Tree, ...]


def orthogonalised(scene: Scene, options: Options, at: Maker, at_round: AtRound) -> Orthogonalised:
    """F by its options. Raises RefusedError."""
    given, own = options.get("steps"), options.get("coefficients")
    exact = given is not None and isinstance(given.value, tree.Name) and given.value.name == EXACT
    if exact and own is not None:
        raise RefusedError(catalogue.optimizers.exact_coefficients(own.span))
    steps = STEPS if given is None else None
    if given is not None and not exact:
        steps = scene.integer(option_value(given, "a whole number"))
        if steps is None or not 1 <= steps <= MOST_STEPS:
            raise RefusedError(catalogue.optimizers.steps_of_muon(given.span, MOST_STEPS))
    if own is None:
        return Orthogonalised(steps, tuple(map(at.number, QUINTIC)))
    items = own.value.items if isinstance(own.value, tree.ListOf) else ()
    coefficients = tuple(item for item in items if not isinstance(item, tree.ListOf))
    if not len(coefficients) == len(items) == len(QUINTIC):
        raise RefusedError(catalogue.optimizers.coefficients_of_muon(own.span))
    return Orthogonalised(steps, tuple(at_round(replace(own, value=item)) for item in coefficients))


def momentum_rule(scene: Scene, options: Options, m: Maker) -> OptimizerRule:
    """What is orthogonalised: the momentum, Nesterov's unless `nesterov = 0`."""
    given = options.get("nesterov")
    nesterov = 1 if given is None else scene.integer(option_value(given, "0 or 1"))
    if given is not None and nesterov not in (0, 1):
        raise RefusedError(catalogue.options.option_value(given.span, "nesterov", "0 or 1"))
    momentum, g = m.name("momentum"), m.name("g")
    own = None if "momentum" not in options else option_value(options["momentum"])
    parameters: dict[str, Tree | None] = {"momentum": m.number(MOMENTUM)}
    if own is not None and is_number(own, 0):
        return OptimizerRule("muon", parameters, (), g)
    line = m.add(m.mul(momentum, m.name("m")), g)
    return OptimizerRule("muon", parameters, (("m", line),), line if nesterov else m.name("m"))


def check_matrix(weight: Weight, at: tree.Update) -> None:
    """Whether a weight has singular values. Raises RefusedError."""
    if weight.scaling.kind == "finite" or weight.node.columns is None:
        raise RefusedError(catalogue.optimizers.no_matrix(at.name.span, at.name.name, weight.name))


MATRIX_AWARE = {
    "muon": MatrixAware(
        "the momentum with its singular values made alike",
        MUON,
        momentum_rule,
        lambda scene, options, _, m, at_round: orthogonalised(scene, options, m, at_round),
        check_matrix,
    ),
    "shampoo": MatrixAware(
        "the gradient between roots of its sums of squares as a matrix",
        SHAMPOO,
        lambda _, options, m: shampoo_rule(options, m),
        lambda _, __, parameters, *others: preconditioner(parameters),
        check_hidden,
    ),
}


def of_matrices(update: tree.Update) -> bool:
    """Whether a line is of all weights between two widths that no other line names."""
    return update.word is None and update.name.name in MATRIX_AWARE


@dataclass(frozen=True, slots=True)
class SpectralStep:
    """F of a matrix, and the family of what it is of."""

    value: Tree
    of: Tree
    # the mean square of that, if it is at hand
    square: Tree | None = None


def spectral_step(lines: Lines, own: Orthogonalised, value: Tree) -> SpectralStep:
    """F of the matrix with the entries `value`, times √(rows/columns), in what a program keeps."""
    weight, m = lines.weight, lines.m
    value = lines.define("u", value, "what is orthogonalised for {}")
    over = weight.scaling.columns if weight.scaling.kind in ("matrix", "output") else None
    factor = m.div(m.number(1), over or m.number(1))
    if weight.matrix:
        iterated = [m.number(own.steps or 1), *own.coefficients]
        step = m.call("polar", value) if own.steps is None else m.call("newton_schulz", value, *iterated)
        return SpectralStep(m.mul(factor, step), value)
    iteration = _Iteration(lines, own, value)
    if len(weight.axes) == len(weight.family):
        return SpectralStep(m.mul(factor, value, iteration.of_one()), value, iteration.size)
    return SpectralStep(m.mul(factor, iteration.of_several()), value, iteration.size)


def jump_of(step: SpectralStep, lines: Lines, records: Sequence[Record]) -> str:
    """The family of a number that is 0 where F is taken of 0, which jumps there: it has no regard to size."""
    square = met_square(lines, step.of, records) if step.square is None else step.square
    return family_of(lines.number("jump", square))


def met_square(lines: Lines, table: Tree, records: Sequence[Record]) -> Tree:
    """The sum of E (u x)² of a table u, x being what the weight is multiplied to in this step."""
    m, weight = lines.m, lines.weight
    assert isinstance(table, tree.Indexed)
    terms = list[Tree]()
    for r in ByMember(records, lambda record: record.member).of(lines.member):
        ranges, env, tests = of_member(weight, r, lines.member, r.ranges, {}, m)
        met = m.matmul(family_of(table), False, substituted(r.b(()), env), table.index)
        terms.append(m.sum(ranges, m.mul(*tests, m.mean(m.power(met, 2)))))
    return m.add(*terms)


def family_of(member: Tree) -> str:
    base = member.base if isinstance(member, tree.Indexed) else member
    assert isinstance(base, tree.Name)
    return base.name


@dataclass
class _Iteration:
    """`P ← a P + b P N + c P N²`, N = Pᵀ S P, from P = 1/(√tr S + 1e-7): u P is the iteration from u.

    N is (u P)ᵀ u P as it is, rounding included: in terms of S P² errors would grow from step to step.
    """

    lines: Lines
    own: Orthogonalised
    # a member of the family that is orthogonalised
    value: Tree

    def __post_init__(self) -> None:
        lines, names = self.lines, self.lines.updates.scene.names
        scope = [n.name for clause in lines.clauses for n in names_in(clause)]
        found = names.variables(4, [*scope, *lines.updates.descent_scope(())])
        self.q, self.i, self.j, self.k = map(self.m.name, found)
        self.made: dict[str, str] = {}
        self.size: Tree = self.m.number(0)  # the squared norm

    @property
    def m(self) -> Maker:
        return self.lines.m

    @property
    def coefficients(self) -> tuple[Tree, ...]:
        return self.own.coefficients if self.own.steps is not None else tuple(map(self.m.number, CUBIC))

    @property
    def steps(self) -> Tree:
        return self.m.number(CONVERGED if self.own.steps is None else self.own.steps)

    def first(self, trace: Tree) -> Tree:
        """One over the norm of u, 0 if that is 0."""
        m = self.m
        norm = m.call("sqrt", trace)
        norm = norm if self.own.steps is None else m.add(norm, m.number(TINY))
        tested = tree.Comparison(m.span, ">", norm, m.number(0))
        return m.call("where", tested, m.div(m.number(1), norm), m.number(0))

    def of_one(self) -> Tree:
        """P of a side with one unit, a scalar."""
        m, lines = self.m, self.lines
        self.size = square = self.member("square")
        lines.updates.lines.append(self.line(square, m.mean(m.power(self.value, 2)), lines.clauses))
        root, then = self.member("root", self.q), self.member("root", m.add(self.q, m.number(1)))
        lines.updates.lines.append(
            self.line(self.member("root", m.number(0)), self.first(square), lines.clauses)
        )
        a, b, c = self.coefficients
        n = m.mul(square, m.power(root, 2))
        grown = m.mul(root, m.add(a, m.mul(b, n), m.mul(c, tree.Power(m.span, n, m.number(2)))))
        clauses = [*lines.clauses, m.range(self.q.name, self.steps)]
        lines.updates.lines.append(self.line(then, grown, clauses))
        return self.member("root", self.steps)

    def of_several(self) -> Tree:
        """A column of u P."""
        m, lines, q, i, j, k = self.m, self.lines, self.q, self.i, self.j, self.k
        own = lines.clauses[-1]
        around, each = lines.clauses[:-1], [m.range(x.name, own.count) for x in (i, j)]

        def total(x: Tree) -> Tree:
            return m.sum([m.range(k.name, own.count)], x)

        def product(left: Tree, right: Tree) -> Tree:
            """An entry of a product of two d × d arrays."""
            return total(m.mul(left, right))

        a, b, c = self.coefficients
        gram = m.mean(m.mul(self.column(i), self.column(j)))
        self.size = total(self.pair("gram", k, k))
        clauses = [*around, *each]
        lines.updates.lines.append(self.line(self.pair("gram", i, j), gram, clauses))
        exact = self.own.steps is None
        first = self.range_of_gram(i, j) if exact else m.mul(m.equal(i, j), self.first(self.size))
        after = m.add(
            m.mul(a, self.pair("root", q, i, j)),
            m.mul(b, self.pair("once", q, i, j)),
            m.mul(c, product(self.pair("once", q, i, k), self.pair("square", q, k, j))),
        )
        if exact:
            before = self.pair("root", q, i, j)
            after = m.add(before, m.mul(self.moving(), m.sub(after, before)))
        inside = [
            ("half", q, product(self.pair("gram", i, k), self.pair("root", q, k, j))),
            ("square", q, product(self.pair("root", q, k, i), self.pair("half", q, k, j))),
            ("once", q, product(self.pair("root", q, i, k), self.pair("square", q, k, j))),
            ("root", m.add(q, m.number(1)), after),
        ]
        lines.updates.lines.append(self.line(self.pair("root", m.number(0), i, j), first, clauses))
        block = [self.line(self.pair(name, at, i, j), value, clauses) for name, at, value in inside]
        lines.updates.lines.append(tree.ForBlock(m.span, m.range(q.name, self.steps), tuple(block)))
        return total(m.mul(self.column(k), self.pair("root", self.steps, k, own.variable)))

    def range_of_gram(self, i: Tree, j: Tree) -> Tree:
        """The first P where it goes on for long: S/(tr S)^(3/2), in which rounding alone is where S is 0."""
        m = self.m
        return m.mul(self.pair("gram", i, j), m.power(self.first(self.size), 3))

    def moving(self) -> Tree:
        """How much of a step is done, 1, or 0 of late ones in single precision.

        There (1 + 1e-10)^2 is 1.
        """
        m, lines = self.m, self.lines
        around = lines.clauses[:-1]
        one = m.mul(self.size, m.power(self.first(self.size), 2))
        square, rest = self.alone("fine"), self.alone("rest")
        grown = m.power(m.add(m.number(1), m.mul(m.number(FINE), one)), 2)
        lines.updates.lines += [self.line(square, grown, around)]
        lines.updates.lines += [self.line(rest, m.sub(square, m.number(1)), around)]
        early = tree.Comparison(m.span, "<", self.q, m.number(SINGLE))
        return m.call(
            "where", early, m.number(1), m.call("min", m.number(1), m.mul(m.number(1 / FINE), rest))
        )

    def alone(self, part: str) -> Tree:
        """A number of this step, of a family's member."""
        lines, updates = self.lines, self.lines.updates
        return self.m.member(self.name(part), (*updates.index(updates.now), *lines.member[:-1]))

    def line(self, target: Tree, value: Tree, clauses: Sequence[tree.Range]) -> tree.Define:
        return self.m.define(target, value, clauses, f"orthogonalisation of {self.lines.weight.name}")

    def name(self, part: str) -> str:
        if part not in self.made:
            self.made[part] = self.lines.fresh(part)
        return self.made[part]

    def member(self, part: str, *more: Tree) -> Tree:
        lines, updates = self.lines, self.lines.updates
        return self.m.member(self.name(part), (*updates.index(updates.now), *lines.member, *more))

    def pair(self, part: str, *index: Tree) -> Tree:
        lines, updates = self.lines, self.lines.updates
        return self.m.member(self.name(part), (*updates.index(updates.now), *lines.member[:-1], *index))

    def column(self, place: Tree) -> Tree:
        """What is orthogonalised at another unit."""
        assert isinstance(self.value, tree.Indexed)
        return tree.Indexed(self.m.span, self.value.base, (*self.value.index[:-1], place))
