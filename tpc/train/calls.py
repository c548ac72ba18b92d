"""Calls of networks in a user's own lines: `f(x)`, `f[t](x)`, `f.h(x)`. Each becomes a forward pass before the line, once for equal calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NoReturn, cast

from tpc.syntax import catalogue, catalogue_training, tree
from tpc.syntax.diagnostic import Diagnostic
from tpc.syntax.tree import Range, Tree
from tpc.train.checks import called, check_indices
from tpc.train.forward import Forward
from tpc.train.kernels import KERNELS, Kernels
from tpc.train.make import Maker, substituted
from tpc.train.scene import RefusedError, Scene
from tpc.train.steps import written
from tpc.train.training import Trainings, pass_of
from tpc.train.values import State, Value
from tpc.train.weights import Reader


@dataclass(frozen=True, slots=True)
class Pass:
    """A forward pass that has been written. variables: those of its clauses, as they were called there. out: the lines that it is among."""

    values: dict[str, Value]
    variables: tuple[str, ...]
    out: list[tree.Statement]


@dataclass
class Calls:
    scene: Scene
    trainings: Trainings
    done: dict[Any, Pass] = field(default_factory=dict)
    kernels: Kernels = field(init=False)

    def __post_init__(self) -> None:
        self.kernels = Kernels(self.scene, self.trainings)

    def rewritten(self, s: tree.Define | tree.Output, out: list[tree.Statement], blocks: tuple[Range, ...]) -> tree.Statement:
        """`s` with every call of a network replaced by what the pass makes; the passes go to `out`."""
        target = s.target.base if isinstance(s.target, tree.Indexed) else s.target
        place = _Place(self, out, blocks, f"_{target.name}" if isinstance(target, tree.Name) else "")
        if s.value is None:
            place.check_loss(s.target)
            whole = isinstance(s.target, tree.Name) and self.trainings.has_trained(s.target.name)      # what its training makes
            return replace(s, target=s.target if whole else place.rewritten(s.target, s.clauses)) if isinstance(s, tree.Output) else s
        return replace(s, value=place.rewritten(s.value, s.clauses))


@dataclass
class _Place:
    """Where calls stand: the list of lines, the loops around, and what names of passes end with."""

    calls: Calls
    out: list[tree.Statement]
    blocks: tuple[Range, ...]
    suffix: str

    def rewritten(self, node: Tree, loops: tuple[Range, ...]) -> Tree:
        """loops: clauses of the line, and ranges of the sums around `node`."""
        named = self.training_value(node)
        if named is not None:
            return named
        self.check(node)
        if isinstance(node, tree.Indexed):
            value = self.call(node.base, loops)
            if value is not None:
                return self.entry(value, node, tuple(self.rewritten(i, loops) for i in node.index))
            if isinstance(node.base, tree.Name):
                self.check_loss(node.base)
                return replace(node, index=tuple(self.rewritten(i, loops) for i in node.index))
        if isinstance(node, tree.MatMul):
            return self.matmul(replace(node, operand=self.rewritten(node.operand, loops)))
        value = self.call(node, loops)
        if value is not None:
            return self.entry(value, node, ())
        inner = (*loops, *node.ranges) if isinstance(node, tree.Sum) else loops
        return self.parts(node, inner)

    def parts(self, node: Tree, loops: tuple[Range, ...]) -> Tree:
        changes: dict[str, Any] = {}
        for name in tree.inner_fields(node):
            value = getattr(node, name)
            if isinstance(value, tree.Node):
                changes[name] = self.rewritten(cast(Tree, value), loops)
            elif isinstance(value, tuple) and any(isinstance(item, tree.Node) for item in value):
                changes[name] = tuple(item if isinstance(item, Range) else self.rewritten(item, loops) for item in value)
        return replace(node, **changes) if changes else node

    def check(self, node: Tree) -> None:
        """Whether names of the training language stand where they mean something."""
        trainings, scene = self.calls.trainings, self.calls.scene
        match node:
            case tree.Name(name=name):
                self.check_loss(node)
                if name in scene.networks or name in trainings.adapted:
                    self.refuse(catalogue.function_as_value(node.span, name))
                if name in scene.weights:
                    self.refuse(catalogue_training.weight_misplaced(node.span, name))
            case tree.Applied(function=tree.Name(name=name) as function) if name in scene.weights:
                self.refuse(catalogue_training.weight_misplaced(function.span, name))
            case tree.Applied(function=tree.Name(name=name)) if name in KERNELS:
                self.refuse(catalogue_training.kernel_uncalled(node.span, name))
            case tree.Attribute(base=base, name=inside):
                shown = base.base if isinstance(base, tree.Indexed) else base
                named = shown.name if isinstance(shown, tree.Name) else ""
                known = named in scene.networks or named in trainings.adapted
                if known:
                    self.refuse(catalogue_training.inside_uncalled(node.span, named, inside.name))
                self.refuse(catalogue_training.no_attribute(base.span, named))
            case tree.MatMul(matrix=matrix):
                base = matrix.base if isinstance(matrix, tree.Transposed) else matrix
                weight = scene.weights.get(name_of(base))
                if weight is not None and (not weight.matrix or trainings.touched(weight.name)):
                    self.refuse(catalogue_training.weight_outside(base.span, weight.name))

    def matmul(self, node: tree.MatMul) -> Tree:
        """A product in the user's own line; a weight is what its parametrization makes it."""
        base = node.matrix.base if isinstance(node.matrix, tree.Transposed) else node.matrix
        weight = self.calls.scene.weights.get(name_of(base))
        m = Maker(node.span)
        return node if weight is None else m.mul(weight.scaling.start(m), node)

    def check_loss(self, node: Tree) -> None:
        """Whether `loss` is one: that of a training with a name is not."""
        named = self.calls.trainings.named
        if isinstance(node, tree.Name) and node.name == "loss" and named and "loss" not in self.calls.scene.names.taken:
            self.refuse(catalogue_training.loss_unnamed(node.span, [*named]))

    def training_value(self, node: Tree) -> Tree | None:
        """`pre.loss`, or None."""
        if not isinstance(node, tree.Attribute) or not isinstance(node.base, tree.Name) or node.base.name not in self.calls.trainings.named:
            return None
        made = self.calls.trainings.named[node.base.name]
        if node.name.name not in made:
            self.refuse(catalogue.unknown_name(node.name.span, node.name.name, [*made]))
        return Maker(node.span).name(made[node.name.name])

    def call(self, node: Tree, loops: tuple[Range, ...]) -> Value | None:
        """The value of a call of a network, None if `node` is none."""
        if not isinstance(node, tree.Applied):
            return None
        kernel = self.calls.kernels.value(node, self, loops)
        if kernel is not None:
            return kernel
        inside = node.function.name if isinstance(node.function, tree.Attribute) else None
        reference = node.function.base if isinstance(node.function, tree.Attribute) else node.function
        found = self.calls.trainings.network(reference, (*self.blocks, *loops))
        if found is None:
            if inside is not None:
                self.refuse(catalogue_training.not_a_network(reference.span, name_of(reference), [*self.calls.scene.networks]))
            return None
        network, state = found
        values = self.passed(node, network, state, loops)
        if inside is None:
            return values[network.name.name]
        if inside.name not in values:
            self.refuse(catalogue_training.unknown_inside(inside.span, inside.name, network.name.name, [n for n in values if n != network.name.name]))
        return values[inside.name]

    def passed(self, node: tree.Applied, network: tree.Network, state: State, loops: tuple[Range, ...]) -> dict[str, Value]:
        """The forward pass of a call, written now or before; what is named in it."""
        check_indices(self.calls.scene, node.args, (*self.blocks, *loops))
        args = tuple(self.rewritten(arg, loops) for arg in node.args)
        used = self.needed(loops, [*args, *(part for upto in state for part in (upto.time, *upto.outer, *upto.tasks))])
        variables = tuple(r.variable.name for r in used)
        m = Maker(node.span)
        marks: dict[str, Tree] = {v: m.name(f"#{k}") for k, v in enumerate(variables)}
        key = (id(self.out), network.name.name, tuple(substituted(a, marks) for a in args), tuple(substituted(r.count, marks) for r in used),
               tuple((id(u.descent), *(substituted(x, marks) for x in (u.time, *u.outer, *u.tasks))) for u in state))
        if key not in self.calls.done:
            self.calls.done[key] = Pass(self.write(node, network, state, args, used), variables, self.out)
        made = self.calls.done[key]
        here: dict[str, Tree] = {old: m.name(new) for old, new in zip(made.variables, variables, strict=True) if old != new}
        return {name: replace(value, at=partial(substituted_outside, value, here)) for name, value in made.values.items()}

    def write(self, node: tree.Applied, network: tree.Network, state: State, args: Sequence[Tree], used: Sequence[Range]) -> dict[str, Value]:
        scene = self.calls.scene
        reader = Reader(scene.names, state, Maker(node.span), scene.weights)
        prefix = [*(b.variable.name for b in self.blocks), *(r.variable.name for r in used)]
        forward = Forward(scene, prefix, reader.entry, self.suffix)
        forward.span = node.span
        with called(node):
            value = forward.run(network, [forward.argument(arg) for arg in args], node)
        output = value.leaf.name if value.leaf is not None else ""
        scene.passes.append(pass_of(scene, network.name.name, output, forward, training=False))
        scene.made |= {var.name: var.width for var in forward.made.values() if var.width is not None}
        lines: tuple[tree.Statement, ...] = tuple(written(forward.steps, prefix, (), reader))
        for loop in reversed(used):
            lines = (tree.ForBlock(node.span, loop, lines),)
        self.out += lines
        return forward.locals

    def needed(self, loops: Sequence[Range], parts: Sequence[Tree]) -> tuple[Range, ...]:
        """Those of `loops` whose variables occur in `parts`, or in the counts of others that do."""
        names = {name.name for part in parts for name in tree.names(part)}
        found: list[Range] = []
        for loop in reversed(loops):
            if loop.variable.name in names:
                names |= {name.name for name in tree.names(loop.count)}
                found.insert(0, loop)
        return tuple(found)

    def entry(self, value: Value, node: Tree, index: tuple[Tree, ...]) -> Tree:
        if value.members is not None:
            axes = len(next(iter(value.members)))
            place = tuple(self.calls.scene.integer(i) for i in index[:axes])
            if place in value.members:
                return self.entry(value.members[cast(tuple[int, ...], place)], node, index[axes:])
        if len(index) != len(value.shape) or value.members is not None:
            self.refuse(catalogue_training.network_entries(node.span, len(value.shape), len(index)))
        return replace(value.at(index), span=node.span)

    def refuse(self, diagnostic: Diagnostic) -> NoReturn:
        raise RefusedError(diagnostic)


def name_of(node: Tree) -> str:
    base = node.base if isinstance(node, tree.Indexed) else node
    return base.name if isinstance(base, tree.Name) else ""


def substituted_outside(value: Value, here: dict[str, Tree], index: tuple[Tree, ...]) -> Tree:
    """An entry of a pass written for other variables, for those that are used here. The index is the caller's own."""
    marks = tuple(tree.Name(i.span, f"#{k}") for k, i in enumerate(index))
    entry = substituted(value.at(marks), here)
    return substituted(entry, {mark.name: i for mark, i in zip(marks, index, strict=True)})
