"""Passes over networks that calls ask for.

Each is written once, and read by all calls that are equal but for the variables of their loops.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tpc.syntax import tree
from tpc.syntax.tree import Range, Tree
from tpc.train.build import Maker, substituted
from tpc.train.forward import Forward
from tpc.train.forward_lines import lines_of_steps
from tpc.train.kernel_pairs import in_loops
from tpc.train.records import ArrayExpr, State
from tpc.train.weights import Reader

P = TypeVar("P")


@dataclass
class WrittenPass:
    """A forward pass whose lines have been written, `steps` of them."""

    values: dict[str, ArrayExpr]
    forward: Forward
    reader: Reader
    # its own loops, as they were called there
    used: tuple[Range, ...]
    steps: int = 0

    def lines(self) -> list[tree.Statement]:
        """The lines that have not been written yet.

        A family made member by member becomes an array where one is asked for.
        """
        left, self.steps = self.forward.steps[self.steps :], len(self.forward.steps)
        return in_loops(lines_of_steps(left, self.forward.prefix, (), self.reader), self.used)


@dataclass
class Passes(Generic[P]):
    """The passes that have been written, by the lines that they are among and what they are of."""

    found: dict[Hashable, list[tuple[list[tree.Statement], P]]] = field(default_factory=dict)

    def written(self, out: list[tree.Statement], key: Hashable, write: Callable[[], P]) -> P:
        """The pass among the lines `out`, by `write` if there is none."""
        known = self.found.setdefault(key, [])
        for lines, made in known:
            if lines is out:
                return made
        known.append((out, write()))
        return known[-1][1]


def call_key(
    network: tree.Network,
    args: Sequence[Tree],
    used: Sequence[Range],
    state: State = (),
) -> Hashable:
    """What is the same for calls that one pass is written for.

    used: the loops that `args` and `state` depend on.
    """
    marks = {r.variable.name: Maker(r.span).name(f"#{k}") for k, r in enumerate(used)}

    def marked(parts: Sequence[Tree]) -> tuple[Tree, ...]:
        return tuple(substituted(part, {**marks}) for part in parts)

    descents = tuple((u.descent, marked((u.time, *u.outer, *u.tasks))) for u in state)
    return network.name.name, marked(args), marked([r.count for r in used]), descents


def variables_here(written: Sequence[Range], used: Sequence[Range]) -> dict[str, Tree]:
    """What the variables of the loops of a pass, as it is `written`, stand for where it is used."""
    return {
        old.variable.name: Maker(new.span).name(new.variable.name)
        for old, new in zip(written, used, strict=True)
    }


def substituted_outside(value: ArrayExpr, here: dict[str, Tree], index: tuple[Tree, ...]) -> Tree:
    """An entry of a pass written for other variables, for those that are used here.

    The index is the caller's own.
    """
    marks = tuple(tree.Name(i.span, f"#{k}") for k, i in enumerate(index))
    entry = substituted(value.at(marks), here)
    return substituted(entry, {mark.name: i for mark, i in zip(marks, index, strict=True)})
