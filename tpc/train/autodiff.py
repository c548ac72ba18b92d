"""The backward pass: reverse-mode differentiation of the steps of a forward pass, one rule a step.

A cotangent of a vector x of width m is `m ∂f/∂x_α`, of a scalar `∂f/∂θ`: both are of order 1 (TP4 writes dh for it). So a mean over coordinates takes
one from a vector to a scalar, and nothing carries a power of n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import singledispatchmethod

from tpc.syntax import catalogue_training, tree
from tpc.syntax.tree import Range, Tree
from tpc.train.derivative import derivative, jump_in
from tpc.train.make import Maker, substituted
from tpc.train.scene import RefusedError, Scene
from tpc.train.values import Axis, Elementwise, Index, Product, Record, Step, Var
from tpc.train.weights import Reader, Weight

Entry = Callable[[Weight, Index, Sequence[str]], Tree]


@dataclass(frozen=True, slots=True)
class Contribution:
    """A term of the cotangent of an entry. index: which entry; axes: the variables that are bound in it, to be summed over but for the index."""

    index: Index
    axes: tuple[Axis, ...]
    value: Tree


@dataclass
class Backward:
    """One backward pass. reader: products with weights in the state of the pass. examples: the ranges of the loops of the pass that are not time.
    own: how many of the first indices of the forward pass's variables are those of loops, if its loops are fewer (None: as many as `prefix`).

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
    inlined: dict[str, Contribution] = field(default_factory=dict)
    coefficient: Tree | None = None

    def prepare(self, steps: Sequence[Step], outs: Sequence[Var], seed: str, coefficient: Tree) -> None:
        """Finds what the gradient goes through, names its cotangents, and lists the terms of every weight's gradient.

        The gradient is that of what has cotangent 1 with respect to `outs`, or, if these are arrays, the family `seed`; times `coefficient`, a scalar
        for every example. Products in the pass itself may need the terms, so they are listed before any line is made.
        """
        self.coefficient, self.seeded = coefficient, {out.name for out in outs}
        needed = set(self.seeded)
        self.cotangents |= dict.fromkeys(needed, seed)
        self.found |= {name: [Contribution((), (), Maker(steps[-1].span).number(1))] for name in needed}
        for step in reversed(steps):
            if step.out.name not in needed:
                continue
            self.reached.insert(0, step)
            self.cotangents.setdefault(step.out.name, self.scene.names.fresh(f"d{step.out.name}"))
            if isinstance(step, Product):
                probe = step.operand.at(tuple(Maker(step.span).name("_") for _ in step.operand.shape))
                needed |= {_base(leaf) for leaf in self.leaves(probe)}
            else:
                needed |= {_base(leaf) for leaf in self.leaves(step.value)}
        for step in self.reached:
            if isinstance(step, Product):
                self.record(step)
            else:
                for weight in self.scene.weights.values():
                    if not weight.matrix and not weight.frozen and weight.name not in self.members and self.member_leaves(step.value, weight):
                        self.members[weight.name] = weight, []
                        self.member_record(weight)

    def run(self) -> None:
        """Makes the lines. The first time through only finds out which cotangents need none, being something that has a name."""
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
            return self.gathered(self.inlined[var.name], index, var.shape, m)
        return m.member(name, (*map(m.name, self.prefix), *index)) if name else self.found[var.name][0].value

    def define(self, var: Var, step: Step) -> None:
        """Makes the cotangent of a variable: the sum of what its uses contribute."""
        m = Maker(step.span)
        found = self.found[var.name]
        if len(found) == 1 and not found[0].axes and not var.shape and isinstance(found[0].value, tree.Name | tree.Indexed):
            self.inlined[var.name] = found[0]
            return
        axes = self.axes_of(var.shape, found)
        index = tuple(m.name(a.variable) for a in axes)
        value = m.add(*(self.gathered(c, index, var.shape, m) for c in found))
        name = self.cotangents[var.name]
        clauses = [*self.examples, *(m.range(a.variable, a.count) for a in axes)]
        what = f"gradient of line {step.span.line} in {var.name.partition('$')[0]}"
        self.defined.append(m.define(m.member(name, (*map(m.name, self.prefix), *index)), value, clauses, what))

    def gathered(self, c: Contribution, index: Index, shape: Sequence[Tree], m: Maker) -> Tree:
        """A contribution as a term for the entry `index` of an array: bound variables that the entry fixes put in, the others summed over."""
        left = {a.variable: a for a in c.axes}
        env: dict[str, Tree] = {}
        tests: list[tuple[Tree, Tree]] = []
        for wanted, own, count in zip(index, c.index or index, shape, strict=True):
            if isinstance(own, tree.Name) and own.name in left and self.scene.equal(left[own.name].count, count):
                del left[own.name]
                env[own.name] = wanted
            elif own != wanted:
                tests.append((wanted, own))                          # as `x[p+1]`: of the terms, those with p + 1 = wanted
        rest = list(left.values())
        taken = [*self.prefix, *(n.name for i in index for n in tree.names(i)), *(a.variable for a in rest), *summed([c])]
        fresh = self.scene.names.variables(len(rest), taken)
        env |= {a.variable: m.name(v) for a, v in zip(rest, fresh, strict=True)}
        value = substituted(c.value, env)
        ranges = [m.range(v, a.count) for v, a in zip(fresh, rest, strict=True)]
        return m.sum(ranges, m.mul(value, *(m.equal(a, substituted(b, env)) for a, b in tests)))

    def contribute(self, leaf: tree.Name | tree.Indexed, axes: tuple[Axis, ...], value: Tree) -> None:
        index = leaf.index if isinstance(leaf, tree.Indexed) else ()
        self.found.setdefault(_base(leaf), []).append(Contribution(index[len(self.prefix) if self.own is None else self.own:], axes, value))

    def leaves(self, x: Tree) -> list[tree.Name | tree.Indexed]:
        """The entries of variables in an expression, each once."""
        found: dict[tree.Name | tree.Indexed, None] = {}
        stack: list[tree.Node] = [x]
        while stack:
            node = stack.pop()
            base = node.base if isinstance(node, tree.Indexed) else node
            if isinstance(base, tree.Name) and base.name in self.made and isinstance(node, tree.Name | tree.Indexed):
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
        """`out = φ(x..)` gives `dx += dout ∂φ/∂x`; a scalar in it, the mean of that. `out = E φ(x..)` gives the same with a scalar dout."""
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
                place = leaf.index[len(leaf.index) - len(weight.axes):] if isinstance(leaf, tree.Indexed) else ()
                bound = (*step.axes, *bound_in(step.value, leaf))
                self.members[weight.name][1].append(Contribution(place, bound, term))

    def term(self, m: Maker, dout: Tree, step: Elementwise, leaf: Tree, scalar: bool) -> Tree:
        slope = derivative(step.value, leaf)
        jumps = jump_in(slope, self.scene.functions)
        if jumps:
            raise RefusedError(catalogue_training.no_gradient(step.span, jumps))
        if not step.mean:
            value = m.mul(dout, slope)
            return m.mean(value) if scalar else value
        return m.mul(dout, m.mean(slope) if scalar else slope)

    def width_of(self, x: Tree) -> str | None:
        return next((w for leaf in self.leaves(x) if (w := self.made[_base(leaf)].width)), "a width")

    @rule.register
    def product(self, step: Product) -> None:
        """`h = W x` gives `dx += Wᵀ dh`, and the term `dh xᵀ` of the gradient of W (`x dhᵀ` for `h = Wᵀ x`)."""
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
            value = self.reader.product(weight, not step.transposed, dout, tuple(map(m.name, own)), (*scope, *own), backward=True)
            self.contribute(entry, (*rest, *(Axis(v, near.count) for v in own if near.count is not None)), value)
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
            Record(ranges, a, b, m.mul(weight.scaling.record(m, step.transposed), self.coefficient), step.span))

    # weights that are read as they are (biases)

    def member_leaves(self, x: Tree, weight: Weight) -> list[tree.Name | tree.Indexed]:
        names = {weight.initial, *(upto.descent.carried[weight.name] for upto in self.reader.state if weight.name in upto.descent.carried)}
        bases = {node.base for node in tree.walk(x) if isinstance(node, tree.Indexed)}
        found = (node for node in tree.walk(x) if isinstance(node, tree.Name | tree.Indexed) and _base(node) in names)
        return list(dict.fromkeys(node for node in found if node not in bases))

    def member_record(self, weight: Weight) -> None:
        assert self.coefficient is not None
        m, name = Maker(weight.node.span), self.scene.names.fresh(f"d{weight.name}")
        self.member_names[weight.name] = name
        prefix = tuple(map(m.name, self.prefix))
        self.records.setdefault(weight.name, []).append(
            Record(self.examples, lambda j: m.member(name, (*prefix, *j)), lambda _: m.number(1), self.coefficient, weight.node.span))

    def member_gradient(self, weight: Weight, contributions: Sequence[Contribution]) -> None:
        """The cotangent of a weight that is read as it is: what its uses contribute."""
        m = Maker(weight.node.span)
        axes = self.axes_of(weight.axes, contributions)
        index = tuple(m.name(a.variable) for a in axes)
        value = m.add(*(self.gathered(c, index, weight.axes, m) for c in contributions))
        clauses = [*self.examples, *(m.range(a.variable, a.count) for a in axes)]
        target = m.member(self.member_names[weight.name], (*map(m.name, self.prefix), *index))
        self.defined.append(m.define(target, value, clauses, f"gradient in {weight.name}"))


def summed(contributions: Sequence[Contribution]) -> set[str]:
    """The variables of the sums in contributions."""
    return {r.variable.name for c in contributions for node in tree.walk(c.value) if isinstance(node, tree.Sum) for r in node.ranges}


def _base(leaf: tree.Name | tree.Indexed) -> str:
    base = leaf.base if isinstance(leaf, tree.Indexed) else leaf
    return base.name if isinstance(base, tree.Name) else ""


def bound_in(x: Tree, leaf: Tree) -> tuple[Axis, ...]:
    """The ranges of the sums in `x` whose variables are in the index of `leaf`."""
    wanted = {name.name for name in tree.names(leaf)}
    ranges = {r.variable.name: r for node in tree.walk(x) if isinstance(node, tree.Sum) for r in node.ranges if r.variable.name in wanted}
    return tuple(Axis(name, r.count) for name, r in ranges.items())
