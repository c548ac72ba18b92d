"""What a gradient goes through: the variables that weights have gone into and that an output is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from tpc.syntax import tree
from tpc.syntax.tree import Tree
from tpc.syntax.walk import parts, walk
from tpc.train.derivative import has_kinks
from tpc.train.records import CollectedStep, ElementwiseStep, ProductStep, State, Step, Var, read_by
from tpc.train.scene import Scene
from tpc.train.weights import Weight

Leaf = tree.Name | tree.Indexed


class Paths:
    """The paths through the steps of a forward pass."""

    def __init__(self, scene: Scene, steps: Sequence[Step], made: Mapping[str, Var], state: State) -> None:
        """made: the variables of the pass. state: that of the weights which it sees."""
        self.scene = scene
        self.steps = steps
        self.state = state
        self.read = {step.out.name: _leaves(read_by(step), made) for step in steps}
        live = self._live()
        self.made = {name: var for name, var in made.items() if name in live}
        self.kinked = self._kinked()

    def to(self, outs: Iterable[Var]) -> list[Step]:
        """The steps that make what the variables `outs` are made of."""
        needed, reached = {out.name for out in outs}, list[Step]()
        for step in reversed(self.steps):
            if step.out.name in needed and step.out.name in self.made:
                reached.append(step)
                needed |= {base_of(leaf) for leaf in self.inputs(step)}
        return reached[::-1]

    def inputs(self, step: Step) -> list[Leaf]:
        """The entries of variables that a step reads, each once."""
        return [leaf for leaf in self.read[step.out.name] if base_of(leaf) in self.made]

    def leaves(self, x: Tree) -> list[Leaf]:
        """The entries of variables in an expression, each once."""
        return _leaves(x, self.made)

    def biases(self, x: Tree) -> list[tuple[Weight, list[Leaf]]]:
        """The weights that an expression reads as they are, and where, in the order of their declarations."""
        bases, found = set[Tree](), dict[str, dict[Leaf, None]]()
        for node in walk(x):
            if isinstance(node, tree.Indexed):
                bases.add(node.base)
            if isinstance(node, tree.Name | tree.Indexed) and (name := self._families.get(base_of(node))):
                found.setdefault(name, {})[node] = None
        return [
            (self.scene.weights[name], own)
            for name in sorted(found, key=self._places.__getitem__)
            if (own := [leaf for leaf in found[name] if leaf not in bases])
        ]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.scene.weights)}

    @cached_property
    def _families(self) -> dict[str, str]:
        """The weights that are no matrices, by the families they are read from."""
        families = {w.initial: name for name, w in self.scene.weights.items() if not w.matrix}
        return families | {
            upto.descent.carried[name]: name
            for upto in self.state
            for name in families.values()
            if name in upto.descent.carried
        }

    def _live(self) -> set[str]:
        """The variables that weights have gone into."""
        found = set[str]()
        for step in self.steps:
            weights = isinstance(step, ProductStep) or (
                isinstance(step, ElementwiseStep) and self.biases(step.value)
            )
            if weights or any(base_of(leaf) in found for leaf in self.read[step.out.name]):
                found.add(step.out.name)
        return found

    def _kinked(self) -> set[str]:
        """The functions with kinks, and the variables made by them."""
        kinked = {name for name, function in self.scene.functions.items() if has_kinks(function)}
        for step in self.steps:
            if isinstance(step, ElementwiseStep):
                kinks = not step.mean and has_kinks(step.value, kinked)
            else:
                kinks = isinstance(step, CollectedStep) and any(
                    base_of(leaf) in kinked for leaf in self.inputs(step)
                )
            if kinks:
                kinked.add(step.out.name)
        return kinked


def base_of(leaf: Leaf) -> str:
    base = leaf.base if isinstance(leaf, tree.Indexed) else leaf
    return base.name if isinstance(base, tree.Name) else ""


def _leaves(x: Tree, made: Mapping[str, Var]) -> list[Leaf]:
    found: dict[Leaf, None] = {}
    stack: list[tree.Node] = [x]
    while stack:
        node = stack.pop()
        if isinstance(node, tree.Name | tree.Indexed) and base_of(node) in made:
            found[node] = None
        else:
            stack.extend(parts(node))
    return list(reversed(found))
