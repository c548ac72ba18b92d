"""The backward pass: reverse-mode differentiation of the steps of a forward pass, one rule a step.

A cotangent of a vector x of width m is `m ∂f/∂x_α`, of a scalar `∂f/∂θ`: both are of order 1 (TP4 writes dh
for it). So a mean over coordinates takes one from a vector to a scalar, and nothing carries a power of n.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import singledispatchmethod

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.tree import Range, Tree
from tpc.train.build import Maker, substituted
from tpc.train.derivative import derivative, has_kinks, jump_in
from tpc.train.padding import Margin, padded, plus
from tpc.train.records import Axis, Collected, Elementwise, Index, Padded, Product, Record, Step, Var, read_by
from tpc.train.scene import Scene
from tpc.train.shifted_reads import Solution, shifted, solved
from tpc.train.weights import Reader, Weight

Entry = Callable[[Weight, Index, Sequence[str]], Tree]


@dataclass(frozen=True, slots=True)
class Contribution:
    """A term of the cotangent of an entry. index: which entry; axes: the variables that are bound in it, to
    be summed over but for the index."""

    index: Index
    axes: tuple[Axis, ...]
    value: Tree


@dataclass
class Backward:
    """One backward pass. reader: products with weights in the state of the pass. examples: the ranges of the
    loops of the pass that are not time.
    own: how many of the first indices of the forward pass's variables are those of loops, if its loops are
    fewer (None: as many as `prefix`).

    defined: the lines that make cotangents, in order. records: terms of the gradient of every weight.
    """

    scene: Scene
    prefix: tuple[str, ...]
    examples: tuple[Range, ...]
    reader: Reader
    made: dict[str, Var]
    own: int | None = None
    defined: list[tree.Define] = field(default_factory=list)
    records: dict[str, list[Record]] = field(default_factory=dict)
    found: dict[str, list[Contribution]] = field(default_factory=dict)
    cotangents: dict[str, str] = field(default_factory=dict)
    members: dict[str, tuple[Weight, list[Contribution]]] = field(default_factory=dict)
    member_names: dict[str, str] = field(default_factory=dict)
    seeded: set[str] = field(default_factory=set)
    reached: list[Step] = field(default_factory=list)
    spreads: dict[tuple[str, Index], str] = field(default_factory=dict)
    inlined: dict[str, Contribution] = field(default_factory=dict)
    resting: set[str] = field(default_factory=set)  # functions with kinks, and variables made by them
    coefficient: Tree | None = None

    def prepare(self, steps: Sequence[Step], outs: Sequence[Var], seed: str, coefficient: Tree) -> None:
        """Finds what the gradient goes through, names its cotangents, and lists the terms of every weight's
        gradient.

        The gradient is that of what has cotangent 1 with respect to `outs`, or, if these are arrays, the
        family `seed`; times `coefficient`, a scalar for every example. Products in the pass itself may need
        the terms, so they are listed before any line is made.
        """
        self.coefficient, self.seeded = coefficient, {out.name for out in outs}
        needed, live = set(self.seeded), self.live(steps)
        self.cotangents |= dict.fromkeys(needed, seed)
        self.found |= {name: [Contribution((), (), Maker(steps[-1].span).number(1))] for name in needed}
        for step in reversed(steps):
            if step.out.name not in needed or step.out.name not in live:
                continue
            self.reached.insert(0, step)
            self.cotangents.setdefault(step.out.name, self.scene.names.fresh(f"d{step.out.name}"))
            needed |= {_base(leaf) for leaf in self.leaves(read_by(step))}
        self.made = {name: var for name, var in self.made.items() if name in live}
        self.resting |= {
            name for name, function in self.scene.functions.items() if has_kinks(function, self.resting)
        }
        for step in steps:
            kinked = isinstance(step, Elementwise) and not step.mean and has_kinks(step.value, self.resting)
            if kinked or (
                isinstance(step, Collected)
                and any(_base(leaf) in self.resting for leaf in self.leaves(read_by(step)))
            ):
                self.resting.add(step.out.name)
        for step in self.reached:
            if isinstance(step, Product):
                self.record(step)
            elif isinstance(step, Elementwise):
                for weight in self.scene.weights.values():
                    if (
                        not weight.matrix
                        and not weight.frozen
                        and weight.name not in self.members
                        and self.member_leaves(step.value, weight)
                    ):
                        self.members[weight.name] = weight, []
                        self.member_record(weight)

    def live(self, steps: Sequence[Step]) -> set[str]:
        """The variables that weights have gone into."""
        found: set[str] = set()
        for step in steps:
            weights = isinstance(step, Product) or any(
                self.member_leaves(step.value, w)
                for w in self.scene.weights.values()
                if isinstance(step, Elementwise) and not w.matrix
            )
            if weights or any(_base(leaf) in found for leaf in self.leaves(read_by(step))):
                found.add(step.out.name)
        return found

    def run(self) -> None:
        """Makes the lines. The first time through only finds out which cotangents need none, being something
        that has a name."""
        seed = dict(self.found)
        self.lines()
        self.found, self.defined = seed, []
        self.members = {name: (weight, []) for name, (weight, _) in self.members.items()}
        self.lines()

    def lines(self) -> None:
        for step in reversed(self.reached):
            if step.out.name not in self.seeded:
                self.define(step.out, step)
            self.rule(step)
        for weight, contributions in self.members.values():
            self.member_gradient(weight, contributions)

    # cotangents

    def axes_of(self, shape: Sequence[Tree], contributions: Sequence[Contribution]) -> tuple[Axis, ...]:
        """Axes of an array that contributions are made for; no sum in these has their variables."""
        variables = self.scene.names.variables(len(shape), [*self.prefix, *summed(contributions)])
        return tuple(Axis(v, count) for v, count in zip(variables, shape, strict=True))

    def cotangent(self, var: Var, index: Index, m: Maker) -> Tree:
        name = self.cotangents[var.name]
        if var.name in self.inlined:
            return self.gathered(self.inlined[var.name], index, replace(var, name=name), m)
        return m.member(name, (*map(m.name, self.prefix), *index)) if name else self.found[var.name][0].value

    def define(self, var: Var, step: Step) -> None:
        """Makes the cotangent of a variable: the sum of what its uses contribute."""
        m = Maker(step.span)
        found = self.found[var.name]
        if len(found) == 1 and self.is_alias(found[0], var):
            self.inlined[var.name] = found[0]
            return
        axes = self.axes_of(var.shape, found)
        index = tuple(m.name(a.variable) for a in axes)
        name = self.cotangents[var.name]
        value = m.add(*(self.gathered(c, index, replace(var, name=name), m) for c in found))
        clauses = [*self.examples, *(m.range(a.variable, a.count) for a in axes)]
        what = f"gradient of line {step.span.line} in {var.name.partition('$')[0]}"
        self.defined.append(
            m.define(m.member(name, (*map(m.name, self.prefix), *index)), value, clauses, what)
        )

    def is_alias(self, c: Contribution, var: Var) -> bool:
        """Whether the contribution is something that has a name, entry by entry."""
        own = [i.name if isinstance(i, tree.Name) else "" for i in c.index]
        lengths = {a.variable: a.count for a in c.axes}
        return (
            isinstance(c.value, tree.Name | tree.Indexed)
            and sorted(own) == sorted(lengths)
            and len(own) == len(var.shape)
            and all(self.scene.equal(lengths[v], count) for v, count in zip(own, var.shape, strict=True))
        )

    def gathered(self, c: Contribution, index: Index, of: Var, m: Maker) -> Tree:
        """A contribution as a term for the entry `index` of the cotangent `of`: variables that the entry
        fixes put in, the others summed over."""
        # nothing else is called that
        marks = {a.variable: Axis(f"#{k}", a.count) for k, a in enumerate(c.axes)}
        marked: dict[str, Tree] = {v: m.name(a.variable) for v, a in marks.items()}
        left = {a.variable: a for a in marks.values()}
        env: dict[str, Tree] = {}
        tests: list[tuple[Tree, Tree]] = []
        places: dict[str, Solution] = {}
        for wanted, given, count in zip(index, c.index or index, of.shape, strict=True):
            own = substituted(substituted(given, marked), env) if c.index else given
            if (
                isinstance(own, tree.Name)
                and own.name in left
                and self.scene.equal(left[own.name].count, count)
            ):
                del left[own.name]
                env[own.name] = wanted
            elif (
                own != wanted and (place := solved(self.scene, own, wanted, count, left.values())) is not None
            ):
                del left[place.variable]  # as `x[p+1]`: p is what is wanted less 1
                env[place.variable], places[place.variable] = place.value, place
            elif own != wanted:
                tests.append((wanted, own))  # as `x[0]`: of the terms, those with 0 = wanted
        rest = [a for a in c.axes if marks[a.variable].variable in left]
        taken = [
            *self.prefix,
            *(n.name for i in index for n in tree.names(i)),
            *(a.variable for a in rest),
            *summed([c]),
        ]
        fresh = self.scene.names.variables(len(rest), taken)
        new: dict[str, Tree] = {
            marks[a.variable].variable: m.name(v) for a, v in zip(rest, fresh, strict=True)
        }
        final = {mark: substituted(x, new) for mark, x in env.items()} | new
        if any(place.before or place.after for place in places.values()):
            value: Tree = m.member(
                self.spread(c, marks, places, of, m),
                (*map(m.name, self.prefix), *shifted(m, marks.values(), places, final)),
            )
        else:
            value = substituted(c.value, {v: final[a.variable] for v, a in marks.items()})
        ranges = [m.range(v, a.count) for v, a in zip(fresh, rest, strict=True)]
        return m.sum(ranges, m.mul(value, *(m.equal(a, substituted(b, final)) for a, b in tests)))

    def spread(
        self, c: Contribution, marks: Mapping[str, Axis], places: Mapping[str, Solution], of: Var, m: Maker
    ) -> str:
        """A contribution as an array with zeros around it, so that the places where an entry is not read
        contribute nothing; its name."""
        key = (of.name, c.index)
        if key not in self.spreads:
            self.spreads[key] = self.scene.names.fresh(f"{of.name}_part")
        around = {
            v: (places[a.variable].before, places[a.variable].after)
            for v, a in marks.items()
            if a.variable in places
        }
        margins = [
            Margin(a.variable, a.count, *map(m.number, around.get(a.variable, (0, 0)))) for a in c.axes
        ]
        prefix = tuple(map(m.name, self.prefix))
        self.defined += padded(
            m,
            lambda i: m.member(self.spreads[key], (*prefix, *i)),
            margins,
            c.value,
            of.width is not None,
            self.examples,
            "part of a gradient",
        )
        return self.spreads[key]

    def contribute(self, leaf: tree.Name | tree.Indexed, axes: tuple[Axis, ...], value: Tree) -> None:
        index = leaf.index if isinstance(leaf, tree.Indexed) else ()
        self.found.setdefault(_base(leaf), []).append(
            Contribution(index[len(self.prefix) if self.own is None else self.own :], axes, value)
        )

    def leaves(self, x: Tree) -> list[tree.Name | tree.Indexed]:
        """The entries of variables in an expression, each once."""
        found: dict[tree.Name | tree.Indexed, None] = {}
        stack: list[tree.Node] = [x]
        while stack:
            node = stack.pop()
            base = node.base if isinstance(node, tree.Indexed) else node
            if (
                isinstance(base, tree.Name)
                and base.name in self.made
                and isinstance(node, tree.Name | tree.Indexed)
            ):
                found[node] = None
            else:
                stack.extend(tree.parts(node))
        return list(reversed(found))

    # rules

    @singledispatchmethod
    def rule(self, step: Step) -> None:
        raise TypeError(f"no rule for {type(step).__name__}")

    @rule.register
    def elementwise(self, step: Elementwise) -> None:
        """`out = φ(x..)` gives `dx += dout ∂φ/∂x`; a scalar in it, the mean of that. `out = E φ(x..)` gives
        the same with a scalar dout."""
        m = Maker(step.span)
        own = tuple(m.name(a.variable) for a in step.axes)
        dout = self.cotangent(step.out, own, m)
        width = self.width_of(step.value) if step.mean else step.out.width
        for leaf in self.leaves(step.value):
            term = self.term(m, dout, step, leaf, self.made[_base(leaf)].width is None and width is not None)
            self.contribute(leaf, (*step.axes, *bound_in(step.value, leaf)), term)
        for weight in self.scene.weights.values():
            for leaf in [] if weight.matrix or weight.frozen else self.member_leaves(step.value, weight):
                term = self.term(m, dout, step, leaf, weight.width is None and width is not None)
                place = (
                    leaf.index[len(leaf.index) - len(weight.axes) :] if isinstance(leaf, tree.Indexed) else ()
                )
                bound = (*step.axes, *bound_in(step.value, leaf))
                self.members[weight.name][1].append(Contribution(place, bound, term))

    def term(self, m: Maker, dout: Tree, step: Elementwise, leaf: Tree, scalar: bool) -> Tree:
        slope = derivative(step.value, leaf, self.resting)
        jumps = jump_in(slope, self.scene.functions)
        if jumps:
            raise RefusedError(catalogue.trainings.no_gradient(step.span, jumps))
        if not step.mean:
            value = m.mul(dout, slope)
            return m.mean(value) if scalar else value
        return m.mul(dout, m.mean(slope) if scalar else slope)

    def width_of(self, x: Tree) -> str | None:
        return next((w for leaf in self.leaves(x) if (w := self.made[_base(leaf)].width)), "a width")

    @rule.register
    def product(self, step: Product) -> None:
        """`h = W x` gives `dx += Wᵀ dh`, and the term `dh xᵀ` of the gradient of W (`x dhᵀ` for
        `h = Wᵀ x`)."""
        m = Maker(step.span)
        weight = self.scene.weights[step.weight]
        near, _ = weight.sides(step.transposed)
        rest = step.rest
        dout, operand = self.entries(step, m)
        probe = operand((m.name("_"),) if near.count is not None else ())
        scope = (*self.prefix, *(a.variable for a in rest))
        if any(n.name in self.made for n in tree.names(probe)):
            own = self.scene.names.variables(1, scope) if near.count is not None else []
            entry = operand(tuple(map(m.name, own)))
            assert isinstance(entry, tree.Name | tree.Indexed)
            value = self.reader.product(
                weight,
                not step.transposed,
                dout,
                tuple(map(m.name, own)),
                (*scope, *own),
                member=step.member,
                backward=True,
            )
            self.contribute(
                entry, (*rest, *(Axis(v, near.count) for v in own if near.count is not None)), value
            )

    @rule.register
    def padding(self, step: Padded) -> None:
        """What is inside an array with zeros around it gets the cotangents of its places."""
        m = Maker(step.span)
        places: list[Tree] = [m.name(a.variable) for a in step.axes]
        for k, (before, _) in enumerate(step.margins, step.given):
            places[k] = plus(m, places[k], before)
        dout = self.cotangent(step.out, tuple(places), m)
        for leaf in self.leaves(step.entry):
            self.contribute(leaf, step.axes, m.mul(dout, derivative(step.entry, leaf)))

    @rule.register
    def collecting(self, step: Collected) -> None:
        """A member gets the cotangent of its place."""
        m = Maker(step.span)
        for part in step.parts:
            dout = self.cotangent(step.out, step.index(part.place), m)
            for leaf in self.leaves(part.entry):
                self.contribute(leaf, step.axes, dout if part.zero is None else m.mean(dout))

    def entries(self, step: Product, m: Maker) -> tuple[Callable[[Index], Tree], Callable[[Index], Tree]]:
        """The cotangent of a product's outcome, and what was multiplied, by index of a finite side."""
        outer = tuple(m.name(a.variable) for a in step.rest)

        def dout(j: Index) -> Tree:
            return self.cotangent(step.out, (*outer, *j), m)

        def operand(j: Index) -> Tree:
            return step.entry(outer, j)

        return dout, operand

    def record(self, step: Product) -> None:
        """The term of a product's weight's gradient."""
        m, weight = Maker(step.span), self.scene.weights[step.weight]
        if weight.frozen:
            return
        assert self.coefficient is not None
        rest = step.rest
        dout, operand = self.entries(step, m)
        ranges = (*self.examples, *(m.range(a.variable, a.count) for a in rest))
        a, b = (operand, dout) if step.transposed else (dout, operand)
        self.records.setdefault(weight.name, []).append(
            Record(
                ranges,
                a,
                b,
                m.mul(weight.scaling.record(m, step.transposed), self.coefficient),
                step.span,
                step.member,
            )
        )

    # weights that are read as they are (biases)

    def member_leaves(self, x: Tree, weight: Weight) -> list[tree.Name | tree.Indexed]:
        names = {
            weight.initial,
            *(
                upto.descent.carried[weight.name]
                for upto in self.reader.state
                if weight.name in upto.descent.carried
            ),
        }
        bases = {node.base for node in tree.walk(x) if isinstance(node, tree.Indexed)}
        found = (
            node
            for node in tree.walk(x)
            if isinstance(node, tree.Name | tree.Indexed) and _base(node) in names
        )
        return list(dict.fromkeys(node for node in found if node not in bases))

    def member_record(self, weight: Weight) -> None:
        assert self.coefficient is not None
        m, name = Maker(weight.node.span), self.scene.names.fresh(f"d{weight.name}")
        self.member_names[weight.name] = name
        variables = self.scene.names.variables(len(weight.family), self.prefix)
        member = tuple(map(m.name, variables))
        prefix, ranges = (
            tuple(map(m.name, self.prefix)),
            [m.range(v, count) for v, count in zip(variables, weight.family, strict=True)],
        )
        self.records.setdefault(weight.name, []).append(
            Record(
                (*self.examples, *ranges),
                lambda j: m.member(name, (*prefix, *member, *j)),
                lambda _: m.number(1),
                self.coefficient,
                weight.node.span,
                member,
            )
        )

    def member_gradient(self, weight: Weight, contributions: Sequence[Contribution]) -> None:
        """The cotangent of a weight that is read as it is: what its uses contribute."""
        m = Maker(weight.node.span)
        axes = self.axes_of(weight.axes, contributions)
        index = tuple(m.name(a.variable) for a in axes)
        of = Var(self.member_names[weight.name], weight.width, weight.axes)
        value = m.add(*(self.gathered(c, index, of, m) for c in contributions))
        clauses = [*self.examples, *(m.range(a.variable, a.count) for a in axes)]
        target = m.member(self.member_names[weight.name], (*map(m.name, self.prefix), *index))
        self.defined.append(m.define(target, value, clauses, f"gradient in {weight.name}"))


def summed(contributions: Sequence[Contribution]) -> set[str]:
    """The variables of the sums in contributions."""
    return {
        r.variable.name
        for c in contributions
        for node in tree.walk(c.value)
        if isinstance(node, tree.Sum)
        for r in node.ranges
    }


def _base(leaf: tree.Name | tree.Indexed) -> str:
    base = leaf.base if isinstance(leaf, tree.Indexed) else leaf
    return base.name if isinstance(base, tree.Name) else ""


def bound_in(x: Tree, leaf: Tree) -> tuple[Axis, ...]:
    """The ranges of the sums in `x` whose variables are in the index of `leaf`."""
    wanted = {name.name for name in tree.names(leaf)}
    ranges = {
        r.variable.name: r
        for node in tree.walk(x)
        if isinstance(node, tree.Sum)
        for r in node.ranges
        if r.variable.name in wanted
    }
    return tuple(Axis(name, r.count) for name, r in ranges.items())
