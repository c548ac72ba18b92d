"""Weights: what they start as, and their products at any time.

A trained weight is what it started as plus rank-one terms; never a dense matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from tpc.core.exponent import Exponent
from tpc.syntax import tree
from tpc.syntax.tree import Range, Tree
from tpc.syntax.walk import names_in
from tpc.train.build import Maker, is_number, substituted
from tpc.train.naming import PAST, VARIABLES, Names
from tpc.train.parametrization import HALF, Scaling
from tpc.train.records import Index, Record, State, Upto, variables_of

Entry = Callable[[Index], Tree]


@dataclass(frozen=True, slots=True)
class Side:
    """A side of a weight: a width, or a finite number of units.

    Neither if it is written `1` (or the weight is a bias), which has no index.
    """

    width: str | None
    count: Tree | None = None


@dataclass(frozen=True, slots=True)
class Weight:
    """A declared weight, or family of weights.

    It is `W = scale n^{−a} w`: std is of what w is drawn with, and gradients are those in w, so that an
    update of W has the factor scale². What is kept is W (see `tpc.train.parametrization`).
    """

    name: str
    rows: Side
    columns: Side
    scaling: Scaling
    std: Tree
    scale: Tree
    rate: Tree
    frozen: bool
    node: tree.WeightStatement
    # the name of its initial matrix, if both sides grow
    matrix: str = ""
    # that of the copy the backward pass uses (Thm 6.3)
    back: str = ""
    # the family of its initial vectors, or scalars, if not
    initial: str = ""
    # the lengths of the axes that tell its members apart
    family: tuple[Tree, ...] = ()
    # what these are called where it is declared ("" if nothing), of which std, scale and rate may be
    # functions
    variables: tuple[str, ...] = ()

    @property
    def axes(self) -> tuple[Tree, ...]:
        """The lengths of the finite axes of its vectors or scalars.

        Those of a family, then rows, then columns.
        """
        return (*self.family, *(side.count for side in (self.rows, self.columns) if side.count is not None))

    @property
    def width(self) -> str | None:
        return self.rows.width or self.columns.width

    def sides(self, transposed: bool) -> tuple[Side, Side]:
        """(near, far): what it is multiplied to, and what comes out."""
        return (self.rows, self.columns) if transposed else (self.columns, self.rows)

    def of(self, attribute: Tree, index: Index) -> Tree:
        """An attribute of a member. index: which one, and maybe more behind that."""
        return substituted(attribute, {v: i for v, i in zip(self.variables, index, strict=False) if v})

    def differs(self, attribute: Tree) -> bool:
        """Whether an attribute is another one for every member."""
        return any(name.name in self.variables for name in names_in(attribute))


def declarations(weight: Weight, m: Maker, names: Names) -> list[tree.Statement]:
    """What the weight is at first.

    `N(0, σ²/columns)` entries, or vectors of `N(0, σ²)` coordinates, σ being scale times std.

    Where nothing grows it is 0, or, if it has a std, scalars `N(0, σ²)`, each as √n times the mean of a
    vector of that law.
    """
    variables = names.variables(len(weight.axes))
    index = tuple(map(m.name, variables))
    axes = tuple(tree.Axis(m.span, m.name(v), count) for v, count in zip(variables, weight.axes, strict=True))
    variance = weight.of(m.product(squared(weight.scale, m), squared(weight.std, m)), index)
    if weight.matrix:
        columns = m.name(weight.columns.width or "")
        law = tree.Gaussian(m.span, m.number(0), m.div(variance, columns))
        made = [tree.Declared(m.span, m.name(name), axes) for name in (weight.matrix, weight.back) if name]
        return [
            tree.MatrixStatement(m.span, (d,), m.name(weight.rows.width or ""), columns, law) for d in made
        ]

    def vectors(name: str, width: str) -> tree.Statement:
        law = tree.Gaussian(m.span, m.number(0), variance)
        return tree.Vector(m.span, (tree.Declared(m.span, m.name(name), axes),), False, m.name(width), law)

    def at_first(value: Tree) -> tree.Statement:
        clauses = [m.range(v, count) for v, count in zip(variables, weight.axes, strict=True)]
        return m.define(m.member(weight.initial, index), value, clauses, f"{weight.name} at first")

    if weight.width:
        return [vectors(weight.initial, weight.width)]
    if is_number(variance, 0):
        return [at_first(m.number(0))]
    drawn, width = names.fresh(f"{weight.name}_drawn"), weight.scaling.width
    return [
        vectors(drawn, width),
        at_first(m.mul(m.width_power(width, Exponent(HALF)), m.mean(m.member(drawn, index)))),
    ]


def squared(x: Tree, m: Maker) -> Tree:
    """`x²`, of a number as a number, and of `y^(1/2)` as y."""
    half = tree.Chain(m.span, (m.number(1), m.number(2)), ("/",))
    if isinstance(x, tree.Power) and x.exponent in (half, m.number(Fraction(1, 2))):
        return x.base
    return m.number(x.value**2) if isinstance(x, tree.Literal) else m.power(x, 2)


@dataclass(frozen=True, slots=True)
class _Step:
    """The rank-one terms `Σ_ranges c a bᵀ` that steps of a descent have subtracted from a weight."""

    record: Record
    ranges: list[Range]
    env: dict[str, Tree]  # what the variables of the record stand for
    scalars: list[Tree]  # the factors of c


@dataclass(frozen=True, slots=True)
class Reader:
    """Products with weights in a state, made by `m`.

    scope (of methods): the variables in scope at the place, which new ones avoid.
    """

    names: Names
    state: State
    m: Maker
    weights: Mapping[str, Weight]

    def entry(self, weight: Weight, index: Index, scope: Sequence[str]) -> Tree:
        """The member at `index` of a weight with a finite side."""
        base, later = self._base(weight)
        start = (
            base.descent.carried_member(weight.name, base, index, self.m)
            if base
            else self.m.mul(weight.scaling.start(self.m), self.m.member(weight.initial, index))
        )
        member, rows, columns = split(weight, index)
        terms = [self.m.mul(self._shrunk(weight, later, member), start)]
        for step in self._steps(weight, later, member, scope):
            sides = step.record.b(columns), step.record.a(rows)
            term = self.m.mul(*step.scalars, *(substituted(side, step.env) for side in sides))
            terms.append(self.m.neg(self.m.sum(step.ranges, term)))
        return self.m.add(*terms)

    def product(
        self,
        weight: Weight,
        transposed: bool,
        x: Callable[[Index], Tree],
        far: Index,
        scope: Sequence[str],
        *,
        member: Index = (),
        backward: bool = False,
        picked: Tree | None = None,
    ) -> Tree:
        """`W x`, or `Wᵀ x`.

        x: what it is multiplied to, `x(j)` its entries on a finite side. far: the index of what comes out, on
        a finite side. member: which weight of a family. backward: of a backward pass, x being a cotangent.
        picked: the only entry of x that is not 0, and is 1, if that is so.
        """
        m = self.m
        factor = weight.scaling.backward(m, transposed) if backward else weight.scaling.forward(m)
        near, _ = weight.sides(transposed)
        if weight.matrix:
            later, matrix = self.state, weight.back if backward and weight.back else weight.matrix
            start, first = weight.scaling.start(m), m.matmul(matrix, transposed, x(()), member)
            terms = [m.mul(start, self._shrunk(weight, later, member), first)]
        else:
            _, later = self._base(weight)
            before = replace(self, state=self.state[: len(self.state) - len(later)])

            def entry(own: Index, inner: Sequence[str]) -> Tree:
                index = (*member, *own, *far) if transposed else (*member, *far, *own)
                return before.entry(weight, index, inner)

            first = self._contract(near, entry, x, scope, picked)
            terms = [m.mul(self._shrunk(weight, later, member), first)]
        for step in self._steps(weight, later, member, scope, transposed):
            a, b = step.record.a, step.record.b
            near_entry, far_entry = (a, b) if transposed else (b, a)

            def other(own: Index, _: Sequence[str], step: _Step = step, of: Entry = near_entry) -> Tree:
                return substituted(of(own), step.env)

            inner = self._contract(near, other, x, (*scope, *variables_of(step.ranges)), picked)
            term = m.mul(*step.scalars, inner, substituted(far_entry(far), step.env))
            terms.append(m.neg(m.sum(step.ranges, term)))
        terms += [m.neg(term) for term in self._tables(weight, later, member, x, transposed)]
        return m.mul(factor, m.add(*terms))

    def _tables(
        self, weight: Weight, later: State, member: Index, x: Callable[[Index], Tree], transposed: bool
    ) -> Iterator[Tree]:
        """What entrywise optimizers have subtracted from a product."""
        m = self.m
        for position, upto in enumerate(later):
            name = upto.descent.tables.get(weight.name)
            if name is not None:
                product = m.matmul(name, transposed, x(()), (*upto.outer, upto.time, *upto.tasks, *member))
                left = self._shrunk(weight, later[position + 1 :], member)
                yield m.mul(left, weight.scaling.table(m, transposed), product)

    def _steps(
        self, weight: Weight, later: State, member: Index, scope: Sequence[str], transposed: bool = False
    ) -> Iterator[_Step]:
        """What the descents `later` have done to a member of a weight. transposed: as it is multiplied."""
        m = self.m
        for position, upto in enumerate(later):
            for record in upto.descent.records_of(weight.name, member):
                env, ranges, past = self._past(upto, record, scope)
                ranges, env, tests = of_member(weight, record, member, ranges, env, m)
                scalars = [
                    upto.descent.rate_of(weight, member, upto, past, m),
                    self._shrunk(weight, later[position + 1 :], member),
                    substituted(record.coefficient, env),
                    upto.descent.update_of(weight, member, m, transposed),
                    *tests,
                ]
                yield _Step(record, ranges, env, scalars)

    def _contract(
        self,
        near: Side,
        entry: Callable[[Index, Sequence[str]], Tree],
        x: Callable[[Index], Tree],
        scope: Sequence[str],
        picked: Tree | None,
    ) -> Tree:
        """`Σ_near entry · x`: a mean over a width, a sum over units."""
        m = self.m
        if near.width:
            return m.mean(m.mul(entry((), scope), x(())))
        if near.count is None:
            return m.mul(x(()), entry((), scope))
        if picked is not None:
            return entry((picked,), scope)
        (variable,) = self.names.variables(1, scope, VARIABLES)
        own = (m.name(variable),)
        return m.sum([m.range(variable, near.count)], m.mul(x(own), entry(own, (*scope, variable))))

    def _base(self, weight: Weight) -> tuple[Upto | None, State]:
        """The last descent that carries the weight, and what has happened to it after."""
        for k in reversed(range(len(self.state))):
            if weight.name in self.state[k].descent.carried:
                return self.state[k], self.state[k + 1 :]
        return None, self.state

    def _shrunk(self, weight: Weight, later: State, member: Index) -> Tree:
        """What weight decay has left of what the weight was before."""
        return self.m.mul(
            *(
                upto.descent.shrink_of(weight, member, upto, self.m)
                for upto in later
                if weight.name in upto.descent.records or weight.name in upto.descent.tables
            )
        )

    def _past(
        self, upto: Upto, record: Record, scope: Sequence[str]
    ) -> tuple[dict[str, Tree], list[tree.Range], Tree]:
        """A sum over the past of a descent.

        What its variables stand for, the ranges, and the variable of time.
        """
        descent, m = upto.descent, self.m
        used = [*scope, *(n.name for part in (upto.time, *upto.outer, *upto.tasks) for n in names_in(part))]
        fresh = self.names.variables(1 + len(record.ranges), used, PAST)
        env: dict[str, Tree] = dict(zip(descent.outer_variables, upto.outer, strict=True))
        env |= dict(zip(descent.task_variables, upto.tasks, strict=True))
        env[descent.time.variable.name] = past = m.name(fresh[0])
        ranges = [m.range(fresh[0], upto.time)]
        for own, variable in zip(record.ranges, fresh[1:], strict=True):
            ranges.append(m.range(variable, substituted(own.count, env)))
            env[own.variable.name] = m.name(variable)
        return {k: v for k, v in env.items() if not (isinstance(v, tree.Name) and v.name == k)}, ranges, past


def split(weight: Weight, index: Index) -> tuple[Index, Index, Index]:
    """An index of a weight's vectors or scalars as those of its family, its rows and its columns."""
    family = len(weight.family)
    rows = family + (0 if weight.rows.count is None else 1)
    return index[:family], index[family:rows], index[rows:]


def of_member(
    weight: Weight, record: Record, member: Index, ranges: Sequence[Range], env: Mapping[str, Tree], m: Maker
) -> tuple[list[Range], dict[str, Tree], list[Tree]]:
    """The terms of a record that are of one member of a family of weights.

    Gives the ranges that are left, what variables stand for, and factors 0 or 1.

    env: what the record's variables stand for so far; `ranges` are in these terms.
    """
    return same_member(record.member, member, weight.family, ranges, env, m)


def same_member(
    own_index: Index,
    wanted_index: Index,
    counts: Sequence[Tree],
    ranges: Sequence[Range],
    env: Mapping[str, Tree],
    m: Maker,
) -> tuple[list[Range], dict[str, Tree], list[Tree]]:
    """Where two indices are the same. counts: the lengths of their axes; the rest as for `of_member`."""
    left, here, tests = list(ranges), dict(env), list[Tree]()
    for own, wanted, count in zip(own_index, wanted_index, counts, strict=True):
        found = substituted(own, here)
        whole = next((r for r in left if r.variable == found and r.count == count), None)
        if whole is not None and not any(
            n.name == whole.variable.name for r in left for n in names_in(r.count)
        ):
            left.remove(whole)
            here = {
                name: substituted(x, {whole.variable.name: wanted})
                for name, x in {whole.variable.name: whole.variable, **here}.items()
            }
        elif isinstance(found, tree.Literal) and isinstance(wanted, tree.Literal) and found != wanted:
            tests.append(m.number(0))
        elif found != wanted:
            tests.append(m.equal(found, wanted))
    return left, here, tests
