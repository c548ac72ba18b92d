"""What a file declares, as far as writing networks out needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import cast

from tpc.core.functions import CONSTANTS, is_function
from tpc.core.network import LEARNING, Pass
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.scope import NotANumberError, fraction
from tpc.syntax.tree import Tree
from tpc.syntax.walk import names_in, parts, walk
from tpc.train.build import Maker
from tpc.train.naming import Names
from tpc.train.optimizer_rules import OptimizerRule
from tpc.train.weights import Weight


@dataclass(frozen=True, slots=True)
class Outer:
    """Something declared outside networks.

    Its width if it is a vector, and the lengths of its axes (None: not known here).
    """

    width: str | None
    axes: tuple[Tree | None, ...]
    bound: Tree | None = None
    # an input
    given: bool = False


@dataclass
class Scene:
    """What the lines of a network may refer to, and what has been written of it so far."""

    names: Names
    # dims, as far as they are known
    constants: Mapping[str, int]
    widths: dict[str, Tree | None] = field(default_factory=dict)
    # inputs, initial vectors and families by name
    outer: dict[str, Outer] = field(default_factory=dict)
    functions: dict[str, tree.Function] = field(default_factory=dict)
    weights: dict[str, Weight] = field(default_factory=dict)
    networks: dict[str, tree.Network] = field(default_factory=dict)
    # rules of the user's own
    optimizers: dict[str, OptimizerRule] = field(default_factory=dict)
    # the weights that entrywise optimizers other than SGD update
    entrywise: set[str] = field(default_factory=set)
    # those of them that are updated as matrices
    spectral: set[str] = field(default_factory=set)
    # rows and columns of the matrices of the program
    matrices: dict[str, tuple[str, str]] = field(default_factory=dict)
    # the families of tables
    tables: set[str] = field(default_factory=set)
    # the widths of the vectors that have been written out
    made: dict[str, str] = field(default_factory=dict)
    # the variables of the loops that networks are called in
    loops: set[str] = field(default_factory=set)
    # the lengths of the axes of the arrays that trainings make, and of those that lines make of such
    arrays: dict[str, tuple[Tree | None, ...]] = field(default_factory=dict)
    # the forward passes so far
    passes: list[Pass] = field(default_factory=list)
    # ranges of options that are made of inputs, to be looked at when these are given
    bounds: list[tree.OutputStatement] = field(default_factory=list)
    # exponents, and what tells updates from the rest, stay names, for the scaling analysis
    open: bool = False

    def learned(self, rate: Tree, m: Maker) -> Tree:
        """A learning rate; in an opened program it is 0 where nothing is learned."""
        return m.mul(m.name(LEARNING), rate) if self.open else rate

    def width_in(self, node: Tree) -> str | None:
        """The width of an expression of the core language.

        None for a scalar, or where it is not known yet.
        """
        match node:
            case tree.Mean() | tree.Literal():
                return None
            case tree.Name(name=name) | tree.Indexed(base=tree.Name(name=name)):
                known = self.outer.get(name)
                return self.made.get(name) if known is None else known.width
            case tree.MatrixProduct(matrix=matrix):
                transposed, base = (
                    isinstance(matrix, tree.Transposed),
                    matrix.base if isinstance(matrix, tree.Transposed) else matrix,
                )
                rows, columns = (
                    self.matrices.get(base.name, (None, None))
                    if isinstance(base, tree.Name)
                    else (None, None)
                )
                return columns if transposed else rows
        return next(
            (
                w
                for part in parts(node)
                if not isinstance(part, tree.Range) and (w := self.width_in(cast(Tree, part)))
            ),
            None,
        )

    def integer(self, node: Tree) -> int | None:
        """The value of a whole number made of numbers and dims, else None."""
        try:
            value = fraction(node, self.constants)
        except (NotANumberError, OverflowError):
            return None
        return int(value) if value.denominator == 1 else None

    def shown(self, shape: Sequence[Tree | None]) -> str:
        """A shape as text, "" for none."""
        sizes = [None if count is None else self.integer(count) for count in shape]
        return " x ".join("?" if size is None else str(size) for size in sizes)

    def same(self, a: Tree | None, b: Tree | None) -> bool:
        """Whether two lengths may be the same (one that is not known may)."""
        if a is None or b is None or a == b:
            return True
        x, y = self.integer(a), self.integer(b)
        return x == y if x is not None and y is not None else True

    def merged(
        self, shape: tuple[Tree | None, ...], other: tuple[Tree | None, ...], at: tree.Node
    ) -> tuple[Tree | None, ...]:
        """What is known of two shapes that must be the same; () fits all. Raises RefusedError if they differ.

        at: what has the shape `other`.
        """
        if not shape or not other:
            return shape or other
        if len(shape) != len(other) or not all(map(self.same, shape, other)):
            raise RefusedError(
                catalogue.networks.shapes_differ(at.span, self.shown(other), self.shown(shape))
            )
        return tuple(a if a is not None else b for a, b in zip(shape, other, strict=True))

    def equal(self, a: Tree, b: Tree) -> bool:
        """Whether two lengths are the same for certain."""
        return a == b or (self.integer(a) is not None and self.integer(a) == self.integer(b))

    def is_elementwise(self, name: str) -> bool:
        return is_function(name) or name in self.functions

    def network(self, name: str) -> tree.Network | None:
        """What networks call by this name as a part of theirs: another network, or a `layer`."""
        return self.networks.get(name) or self.layer(name)

    def layer(self, name: str) -> tree.Network | None:
        """The function `name` of the file as a network, if it has means, weights or networks in it.

        None if it is elementwise, or has products with other matrices, which networks do not have.
        """
        if name not in self.functions:
            return None
        body, free = self._reached(name)
        products = (node for node in body if isinstance(node, tree.MatrixProduct))
        if not all(any(p.name in self.weights for p in names_in(node.matrix)) for node in products):
            return None
        inside = any(isinstance(node, tree.Mean) for node in body)
        if not inside and not free & {*self.weights, *self.networks}:
            return None
        made = self.functions[name]
        return tree.Network(made.span, made.name, made.parameters, made.body, made.result)

    def _reached(self, name: str) -> tuple[list[tree.Node], set[str]]:
        """All nodes of a function and of those that it calls, and the names that these have from outside."""
        body, free, todo = list[tree.Node](), set[str](), {name}
        while todo - free:
            free.add(inner := min(todo - free))
            function = self.functions.get(inner)
            if function is not None:
                body += walk(function)
                own = [*function.parameters, *(line.target for line in function.body)]
                local = {x.name for x in own if isinstance(x, tree.Name)}
                todo |= {part.name for part in names_in(function)} - local
        return body, free

    def is_constant(self, name: str) -> bool:
        return name in CONSTANTS or name in self.constants


def outer_of(statements: tuple[tree.Statement, ...], loops: tuple[tree.Range, ...] = ()) -> dict[str, Outer]:
    """Inputs, initial vectors, and families, which are told by their definitions.

    loops: those around the statements.
    """
    found: dict[str, Outer] = {}
    for statement in statements:
        match statement:
            case tree.InputStatement(declared=declared, bound=bound):
                found[declared.name.name] = Outer(
                    None, tuple(axis.count for axis in declared.axes), bound, given=True
                )
            case tree.Vector(declared=items, width=tree.Name(name=width)):
                for item in items:
                    found[item.name.name] = Outer(width, tuple(axis.count for axis in item.axes))
            case tree.Define(target=target, clauses=clauses):
                base, index = tree.base_and_index(target)
                if isinstance(base, tree.Name):
                    once = base.name not in found
                    found[base.name] = Outer(
                        None,
                        lengths(index, (*loops, *clauses)) if once else (None,) * len(found[base.name].axes),
                    )
            case tree.ForBlock(range=head, body=body):
                for name, outer in outer_of(body, (*loops, head)).items():
                    found[name] = (
                        outer
                        if name not in found
                        else replace(found[name], axes=(None,) * len(found[name].axes))
                    )
    return found


def lengths(index: Sequence[Tree], loops: Sequence[tree.Range]) -> tuple[Tree | None, ...]:
    """The lengths of the axes of a family that one line makes.

    Where an index is just the variable of a loop, the count of that loop.
    """
    variables = {r.variable.name: r.count for r in loops}

    def length(i: Tree) -> Tree | None:
        count = variables.get(i.name) if isinstance(i, tree.Name) else None
        return None if count is None or any(name.name in variables for name in names_in(count)) else count

    return tuple(map(length, index))


def is_one(side: tree.Name | tree.Literal | None) -> bool:
    return side is None or (isinstance(side, tree.Literal) and side.value == Fraction(1))


def one(m: Maker) -> Tree:
    return m.number(1)


def declared_names(file: tree.File) -> set[str]:
    """What is declared or made outside the training language, and all variables.

    Names that nothing written out may have.
    """
    found = set(outer_of(file.statements))
    for node in walk(file):
        match node:
            case tree.Range(variable=variable):
                found.add(variable.name)
            case tree.Axis(variable=tree.Name(name=name)):
                found.add(name)
            case (
                tree.WidthStatement(name=name)
                | tree.Dim(name=name)
                | tree.Function(name=name)
                | tree.ProgramName(name=name)
                | tree.Activation(name=name)
            ):
                found.add(name.name)
            case tree.MatrixStatement(declared=items):
                found |= {item.name.name for item in items}
            case tree.OutputStatement(target=target, value=value) if value is not None:
                found |= {name.name for name in names_in(target)}
            case tree.Adapted(target=target):
                found |= {name.name for name in names_in(target)}
    return found
