"""The backward pass: reverse-mode differentiation of the steps of a forward pass, one rule a step.

A cotangent of a vector x of width m is `m ∂f/∂x_α`, of a scalar `∂f/∂θ`: both are of order 1 (TP4 writes dh
for it). So a mean over coordinates takes one from a vector to a scalar, and nothing carries a power of n.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import singledispatchmethod

from tpc.core.names import SplitName
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.tree import Range, Tree
from tpc.train.build import Maker
from tpc.train.contributions import Contribution, CotangentSums, bound_in
from tpc.train.derivative import derivative, jump_in
from tpc.train.gradient_paths import Leaf, Paths, base_of
from tpc.train.padding import plus
from tpc.train.records import (
    CollectedStep,
    ElementwiseStep,
    FiniteAxis,
    Index,
    PaddedStep,
    ProductStep,
    Record,
    Step,
    Var,
)
from tpc.train.scene import Scene
from tpc.train.weights import Reader, Weight


@dataclass
class Backward:
    """One backward pass, of the gradient of what has cotangent 1 with respect to `outs`.

    It is found first, which gives its variables their names and lists the terms of the gradient of every
    weight, `records`: products in the pass itself may need them. Then `lines` writes it.
    """

    scene: Scene
    prefix: tuple[str, ...]  # the variables of the loops around
    examples: tuple[Range, ...]  # the ranges of those that are not time
    reader: Reader  # products with weights in the state of the pass
    paths: Paths
    outs: Sequence[Var]
    seed: str  # the family of the cotangents of `outs`, if these are arrays
    coefficient: Tree  # a scalar in front of the gradient, for every example
    own: int | None = None  # how many of a variable's first indices are those of loops; None: all of `prefix`
    records: dict[str, list[Record]] = field(default_factory=dict)
    cotangents: dict[str, str] = field(default_factory=dict)  # what the cotangents of variables are called
    reached: list[Step] = field(init=False)
    sums: CotangentSums = field(init=False)
    biases: dict[str, str] = field(default_factory=dict)  # what the gradients of weights read as they are
    named: dict[str, Contribution] | None = None  # of `aliases`, once they are looked for
    slopes: dict[tuple[str, Leaf], Tree] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sums = CotangentSums(self.scene, self.prefix, self.examples)
        self.reached = self.paths.to(self.outs)
        self.cotangents |= {out.name: self.seed for out in self.outs}
        for step in reversed(self.reached):
            self.cotangents.setdefault(step.out.name, self.scene.names.fresh(f"d{step.out.name}"))
        for step in self.reached:
            if isinstance(step, ProductStep):
                self.record(step)
            elif isinstance(step, ElementwiseStep):
                for weight, _ in self.paths.biases(step.value):
                    if not weight.frozen and weight.name not in self.biases:
                        self.bias_record(weight)

    def lines(self) -> list[tree.Define]:
        """The lines that make the cotangents, and the gradients of weights that are read as they are."""
        lines, uses = self.sums.lines, dict[str, list[Contribution]]()
        of_biases: dict[str, list[Contribution]] = {name: [] for name in self.biases}
        for step in reversed(self.reached):
            if not self.is_out(step) and step.out.name not in self.aliases:
                lines.append(self.cotangent_line(step, uses[step.out.name]))
            for leaf, contribution in self.rule(step):
                uses.setdefault(base_of(leaf), []).append(contribution)
            for name, contribution in self.bias_uses(step):
                of_biases[name].append(contribution)
        for name, contributions in of_biases.items():
            weight = self.scene.weights[name]
            of = Var(self.biases[name], weight.width, weight.axes)
            lines.append(self.line(of, contributions, Maker(weight.node.span), f"gradient in {name}"))
        return lines

    @property
    def aliases(self) -> dict[str, Contribution]:
        """Cotangents that have a name already and need no line.

        Looked for when the first of them is spoken of: that may be in the lines of another pass, whose
        weights have seen this one.
        """
        if self.named is None:
            self.named = {}
            self.find_aliases(self.named)
        return self.named

    def find_aliases(self, found: dict[str, Contribution]) -> None:
        uses = dict[str, list[Contribution]]()
        for step in reversed(self.reached):
            own = uses.pop(step.out.name, [])
            if not self.is_out(step) and len(own) == 1 and self.sums.is_alias(own[0], step.out):
                found[step.out.name] = own[0]
            for leaf, contribution in self.rule(step, writing=False):
                uses.setdefault(base_of(leaf), []).append(contribution)

    def is_out(self, step: Step) -> bool:
        return any(step.out.name == out.name for out in self.outs)

    # cotangents

    def cotangent(self, var: Var, index: Index, m: Maker) -> Tree:
        name = self.cotangents[var.name]
        if var.name in self.aliases:
            return self.sums.gathered(self.aliases[var.name], index, replace(var, name=name), m)
        return self.member(name, index, m) if name else m.number(1)

    def member(self, name: str, index: Index, m: Maker) -> Tree:
        return m.member(name, (*map(m.name, self.prefix), *index))

    def cotangent_line(self, step: Step, uses: Sequence[Contribution]) -> tree.Define:
        what = f"gradient of line {step.span.line} in {SplitName.of(step.out.name).base}"
        of = replace(step.out, name=self.cotangents[step.out.name])
        return self.line(of, uses, Maker(step.span), what)

    def line(self, of: Var, uses: Sequence[Contribution], m: Maker, what: str) -> tree.Define:
        """The line that makes `of`: the sum of what its uses contribute."""
        axes = self.sums.axes_of(of.shape, uses)
        index = tuple(m.name(a.variable) for a in axes)
        value = m.add(*(self.sums.gathered(c, index, of, m) for c in uses))
        clauses = [*self.examples, *(m.range(a.variable, a.count) for a in axes)]
        return m.define(self.member(of.name, index, m), value, clauses, what)

    def use(self, leaf: Leaf, axes: tuple[FiniteAxis, ...], value: Tree | None) -> tuple[Leaf, Contribution]:
        index = leaf.index if isinstance(leaf, tree.Indexed) else ()
        around = len(self.prefix) if self.own is None else self.own
        return leaf, Contribution(index[around:], axes, value)

    # rules: what a step contributes to the cotangents of what it reads

    @singledispatchmethod
    def rule(self, step: Step, *, writing: bool = True) -> Iterator[tuple[Leaf, Contribution]]:
        """writing: with products with matrices, which no cotangent is an alias of, and all aliases known."""
        raise TypeError(f"no rule for {type(step).__name__}")

    @rule.register
    def elementwise(
        self, step: ElementwiseStep, *, writing: bool = True
    ) -> Iterator[tuple[Leaf, Contribution]]:
        """`out = φ(x..)` gives `dx += dout ∂φ/∂x`; a scalar in it, the mean of that.

        `out = E φ(x..)` gives the same with a scalar dout.
        """
        for leaf in self.paths.inputs(step):
            scalar = self.paths.made[base_of(leaf)].width is None
            yield self.use(leaf, (*step.axes, *bound_in(step.value, leaf)), self.term(step, leaf, scalar))

    def term(self, step: ElementwiseStep, leaf: Leaf, scalar: bool) -> Tree:
        """`dout ∂φ/∂leaf`, or its mean over coordinates if the leaf is a scalar."""
        m = Maker(step.span)
        dout = self.cotangent(step.out, tuple(m.name(a.variable) for a in step.axes), m)
        slope = self.slope(step, leaf)
        width = step.out.width
        if step.mean:
            inputs = (self.paths.made[base_of(x)].width for x in self.paths.inputs(step))
            width = next((w for w in inputs if w), "a width")
        averaged = scalar and width is not None
        if not step.mean:
            value = m.mul(dout, slope)
            return m.mean(value) if averaged else value
        return m.mul(dout, m.mean(slope) if averaged else slope)

    def slope(self, step: ElementwiseStep, leaf: Leaf) -> Tree:
        """`∂φ/∂leaf`. Raises RefusedError where it is 0 but for jumps."""
        key = (step.out.name, leaf)
        if key not in self.slopes:
            self.slopes[key] = derivative(step.value, leaf, self.paths.kinked)
            jumps = jump_in(self.slopes[key], self.scene.functions)
            if jumps:
                raise RefusedError(catalogue.trainings.no_gradient(step.span, jumps))
        return self.slopes[key]

    @rule.register
    def product(self, step: ProductStep, *, writing: bool = True) -> Iterator[tuple[Leaf, Contribution]]:
        """`h = W x` gives `dx += Wᵀ dh`; for the gradient of W see `record`."""
        if not self.paths.inputs(step):
            return
        m = Maker(step.span)
        weight = self.scene.weights[step.weight]
        near, _ = weight.sides(step.transposed)
        dout, operand = self.sides(step, m)
        scope = (*self.prefix, *(a.variable for a in step.rest))
        own = self.scene.names.variables(1, scope) if near.count is not None else []
        index = tuple(map(m.name, own))
        entry = operand(index)
        assert isinstance(entry, tree.Name | tree.Indexed)
        value = None
        if writing or not weight.matrix:
            value = self.reader.product(
                weight, not step.transposed, dout, index, (*scope, *own), member=step.member, backward=True
            )
        axes = (FiniteAxis(v, near.count) for v in own if near.count is not None)
        yield self.use(entry, (*step.rest, *axes), value)

    @rule.register
    def padding(self, step: PaddedStep, *, writing: bool = True) -> Iterator[tuple[Leaf, Contribution]]:
        """What is inside an array with zeros around it gets the cotangents of its places."""
        m = Maker(step.span)
        places: list[Tree] = [m.name(a.variable) for a in step.axes]
        for k, (before, _) in enumerate(step.margins, step.given):
            places[k] = plus(m, places[k], before)
        dout = self.cotangent(step.out, tuple(places), m)
        for leaf in self.paths.inputs(step):
            yield self.use(leaf, step.axes, m.mul(dout, derivative(step.entry, leaf)))

    @rule.register
    def collecting(self, step: CollectedStep, *, writing: bool = True) -> Iterator[tuple[Leaf, Contribution]]:
        """A member gets the cotangent of its place."""
        m = Maker(step.span)
        for part in step.parts:
            dout = self.cotangent(step.out, step.index(part.place), m)
            for leaf in self.paths.leaves(part.entry):
                yield self.use(leaf, step.axes, dout if part.zero is None else m.mean(dout))

    # terms of the gradients of weights

    def sides(self, step: ProductStep, m: Maker) -> tuple[Callable[[Index], Tree], Callable[[Index], Tree]]:
        """The cotangent of a product's outcome, and what was multiplied, by index of a finite side."""
        outer = tuple(m.name(a.variable) for a in step.rest)

        def dout(j: Index) -> Tree:
            return self.cotangent(step.out, (*outer, *j), m)

        def operand(j: Index) -> Tree:
            return step.entry(outer, j)

        return dout, operand

    def record(self, step: ProductStep) -> None:
        """The term of a product's weight's gradient."""
        m, weight = Maker(step.span), self.scene.weights[step.weight]
        if weight.frozen:
            return
        dout, operand = self.sides(step, m)
        ranges = (*self.examples, *(m.range(a.variable, a.count) for a in step.rest))
        a, b = (operand, dout) if step.transposed else (dout, operand)
        coefficient = m.mul(weight.scaling.record(m, step.transposed), self.coefficient)
        self.records.setdefault(weight.name, []).append(
            Record(ranges, a, b, coefficient, step.span, step.member)
        )

    # weights that are read as they are (biases)

    def bias_record(self, weight: Weight) -> None:
        m, name = Maker(weight.node.span), self.scene.names.fresh(f"d{weight.name}")
        self.biases[weight.name] = name
        variables = self.scene.names.variables(len(weight.family), self.prefix)
        member = tuple(map(m.name, variables))
        ranges = [m.range(v, count) for v, count in zip(variables, weight.family, strict=True)]
        self.records.setdefault(weight.name, []).append(
            Record(
                (*self.examples, *ranges),
                lambda j: self.member(name, (*member, *j), m),
                lambda _: m.number(1),
                self.coefficient,
                weight.node.span,
                member,
            )
        )

    def bias_uses(self, step: Step) -> Iterator[tuple[str, Contribution]]:
        """What a step contributes to the gradients of the weights that it reads as they are."""
        if not isinstance(step, ElementwiseStep):
            return
        for weight, leaves in self.paths.biases(step.value):
            for leaf in () if weight.frozen else leaves:
                index = (
                    leaf.index[len(leaf.index) - len(weight.axes) :] if isinstance(leaf, tree.Indexed) else ()
                )
                bound = (*step.axes, *bound_in(step.value, leaf))
                yield weight.name, Contribution(index, bound, self.term(step, leaf, weight.width is None))
