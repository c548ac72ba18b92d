"""The inner steps of `adapt`: a network after them, and their lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tpc.syntax import tree
from tpc.syntax.tree import Tree
from tpc.train.build import Maker
from tpc.train.descent import Descent, Updates
from tpc.train.gradients import LossGradient
from tpc.train.records import State
from tpc.train.scene import Scene
from tpc.train.weights import Reader, Weight


@dataclass(frozen=True, slots=True)
class Adaptation:
    """A network after inner steps on weights that are kept as histories.

    Nothing of a task's own is formed but its hidden vectors.
    """

    network: tree.Network
    descent: Descent
    before: State
    outer: tuple[Tree, ...]
    steps: Tree
    gradient: LossGradient
    members: Sequence[Weight]  # the weights that are kept as they are, for each task

    def lines(self, scene: Scene, shown: int) -> list[tree.Statement]:
        """The loop of the inner steps, and what is before it.

        shown: how many passes' lines are kept, less one.
        """
        descent, gradient = self.descent, self.gradient
        m = gradient.backward.reader.m
        backward = gradient.backward_lines()
        updates = Updates(scene, descent, m)
        for weight in self.members:
            self._carry(weight, updates, scene, m)
        lines = [
            *gradient.forward_lines(),
            *gradient.loss,
            *(backward if shown > 0 else []),
            *(updates.lines if shown > 1 else []),
        ]
        loop = tree.ForBlock(m.span, descent.time, tuple(lines))
        return [*(updates.before if shown > 1 else []), loop]

    def _carry(self, weight: Weight, updates: Updates, scene: Scene, m: Maker) -> None:
        records = [
            replace(r, ranges=r.ranges[len(self.descent.tasks) :])
            for r in self.gradient.records.get(weight.name, [])
        ]
        own = scene.names.variables(len(weight.axes), updates.descent_scope(records))
        around = [*self.descent.outer_variables, *self.gradient.point.prefix[len(self.descent.outer) + 1 :]]
        start = Reader(scene.names, self.before, m, scene.weights)
        entry = start.entry(weight, tuple(map(m.name, own)), [*around, *own])
        updates.carry(weight, records, entry, own)
