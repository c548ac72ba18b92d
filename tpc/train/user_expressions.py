"""Expressions of a user's own lines as arrays, of which entries are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.tree import Tree
from tpc.train.build import Maker
from tpc.train.records import Index


@dataclass(frozen=True, slots=True)
class Entries:
    """An expression of the core language, an array over axes of these lengths (None: not known).

    `at` gives an entry, or with no index at all what the user wrote.
    """

    shape: tuple[Tree | None, ...]
    at: Callable[[Index], Tree]
    # whether networks, kernels or trainings made an array in it, so that it is to be taken entry by entry
    made: bool = False
    # whether there is a call
    called: bool = False

    @property
    def plain(self) -> Tree:
        return self.at(())

    def probe(self, m: Maker) -> Tree:
        """Some entry, of variables that mean nothing."""
        return self.at(tuple(m.name("_") for _ in self.shape))

    def lengths(self, at: Tree) -> list[Tree]:
        """The lengths of its axes. Raises RefusedError where one is not known."""
        known = [count for count in self.shape if count is not None]
        if len(known) < len(self.shape):
            self.probe(Maker(at.span))  # says why, where it knows
            raise RefusedError(catalogue.networks.network_extent(at.span))
        return known


def name_of_call(node: Tree) -> str:
    """What a call gives, by a name."""
    function = node.function if isinstance(node, tree.Applied) else node
    return name_of(
        function.args[0]
        if isinstance(function, tree.Applied)
        else function.name
        if isinstance(function, tree.Attribute)
        else function
    )


def name_of(node: Tree) -> str:
    base = node.base if isinstance(node, tree.Indexed) else node
    return base.name if isinstance(base, tree.Name) else ""
