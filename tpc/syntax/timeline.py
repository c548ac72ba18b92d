"""When everything is made: definitions and outputs with the loops around them, placed in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod

from tpc.core.affine import Affine
from tpc.core.functions import CONSTANTS, is_function
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic, Label
from tpc.syntax import tree
from tpc.syntax.order import MAX_FAMILY, greatest, instances
from tpc.syntax.scope import SCALAR, Local, Loop, Scope


@dataclass(frozen=True, slots=True)
class TimedDefinition:
    """A definition with the loops around it, its own clauses included, and its place in time."""

    node: tree.Define
    name: tree.Name
    index: tuple[Affine, ...]
    loops: tuple[Loop, ...]
    stamp: Affine


@dataclass(frozen=True, slots=True)
class TimedOutput:
    """An output: what is reported, over its clauses."""

    node: tree.OutputStatement
    name: tree.Name
    loops: tuple[Loop, ...]
    stamp: Affine
    value: tree.Tree


class Timeline:
    """The definitions and the outputs of a file, in time. Errors are appended."""

    def __init__(self, scope: Scope, errors: list[Diagnostic]) -> None:
        self.scope = scope
        self.errors = errors
        self.sites: list[TimedDefinition] = []
        self.reported: list[TimedOutput] = []
        self.names_reported: dict[str, tree.Name] = {}

    def collect(
        self, statements: Sequence[tree.Statement], loops: tuple[Loop, ...], start: Affine, first: int
    ) -> int:
        """Places the definitions of a block in time, from `first` on.

        Gives how many moments one round of it takes.
        """
        moment = first
        for statement in statements:
            match statement:
                case tree.Define():
                    with telling(self.errors, statement):
                        moment += self.definition(statement, loops, start + moment)
                case tree.ForBlock(range=head, body=body):
                    inner = self.enter((head,), loops)
                    length = self.moments(body, inner)
                    stamp = start + moment + Affine.var(inner[-1].variable).scaled(length)
                    self.collect(body, inner, stamp, 0)
                    moment += length * max(1, greatest(inner[-1].count, loops))
                case tree.OutputStatement():
                    if loops:
                        self.errors.append(catalogue.syntax.misplaced(statement.span, "`output`"))
                    else:
                        self.output(statement, start + moment)
                        moment += 1
                case _ if loops:
                    self.errors.append(catalogue.syntax.misplaced(statement.span, "a declaration"))
        return moment - first

    def definition(self, node: tree.Define, loops: tuple[Loop, ...], stamp: Affine) -> int:
        """Places a definition in time, from `stamp` on; gives how many moments it takes."""
        inner = self.enter(node.clauses, loops)
        own = range(len(loops), len(inner))
        rounds = [max(1, greatest(inner[i].count, inner[:i])) for i in own]
        for place, i in enumerate(own):
            stamp = stamp + Affine.var(inner[i].variable).scaled(prod(rounds[place + 1 :]))
        self.site(node, inner, stamp)
        return prod(rounds)

    def moments(self, body: Sequence[tree.Statement], loops: tuple[Loop, ...]) -> int:
        """How many moments one round of `body` takes."""
        total = 0
        for statement in body:
            if isinstance(statement, tree.ForBlock):
                count = self.scope.affine(statement.range.count, _variables(loops)) or Affine()
                inner = (*loops, Loop(statement.range.variable.name, count))
                total += self.moments(statement.body, inner) * max(1, greatest(count, loops))
            elif isinstance(statement, tree.Define):
                total += self.rounds(statement.clauses, loops)
            else:
                total += 1
        return total

    def rounds(self, clauses: Sequence[tree.Range], loops: tuple[Loop, ...]) -> int:
        total = 1
        for clause in clauses:
            count = self.scope.affine(clause.count, _variables(loops)) or Affine()
            total *= max(1, greatest(count, loops))
            loops = (*loops, Loop(clause.variable.name, count))
        return total

    def enter(self, ranges: Sequence[tree.Range], loops: tuple[Loop, ...]) -> tuple[Loop, ...]:
        for item in ranges:
            name = item.variable
            self.check_variable(name, loops)
            count = self.scope.affine(item.count, _variables(loops))
            if count is None:
                self.errors.append(
                    catalogue.indices.dim_value(
                        item.count.span, "a count is made of dims, numbers and outer loop variables"
                    )
                )
                count = Affine()
            loops = (*loops, Loop(name.name, count))
        if instances(loops) > MAX_FAMILY:
            self.errors.append(
                catalogue.indices.dim_size(ranges[-1].count.span, instances(loops), MAX_FAMILY)
            )
            loops = tuple(Loop(loop.variable, Affine()) for loop in loops)
        return loops

    def check_variable(self, name: tree.Name, loops: tuple[Loop, ...]) -> None:
        if name.name in self.scope.symbols or any(loop.variable == name.name for loop in loops):
            self.errors.append(catalogue.names.shadows(name.span, name.name))
        if name.name in CONSTANTS or is_function(name.name):
            self.errors.append(catalogue.names.built_in(name.span, name.name))

    def site(self, node: tree.Define, loops: tuple[Loop, ...], stamp: Affine) -> None:
        base, index = tree.base_and_index(node.target)
        if not isinstance(base, tree.Name):
            self.errors.append(catalogue.indices.bad_target(node.target.span))
            return
        affine = []
        for i in index:
            value = self.scope.affine(i, _variables(loops))
            if value is None:
                gathers = isinstance(i, tree.Indexed) or (
                    isinstance(i, tree.Name) and i.name in self.scope.symbols
                )
                self.errors.append(
                    catalogue.indices.target_gather(i.span)
                    if gathers
                    else catalogue.indices.not_affine(i.span)
                )
                return
            affine.append(value)
        self.sites.append(TimedDefinition(node, base, tuple(affine), loops, stamp))

    def output(self, node: tree.OutputStatement, stamp: Affine) -> None:
        base, index = tree.base_and_index(node.target)
        if not isinstance(base, tree.Name):
            self.errors.append(catalogue.kinds.output_unnamed(node.target.span))
            return
        loops = self.enter(node.clauses, ())
        for clause, loop in zip(node.clauses, loops, strict=True):
            if loop.count.variables:
                self.errors.append(catalogue.indices.output_extent(clause.count.span, clause.variable.name))
                return
        if node.value is not None:
            affine = [self.scope.affine(i, _variables(loops)) for i in index]
            if affine != [Affine.var(loop.variable) for loop in loops]:
                self.errors.append(catalogue.indices.bad_target(node.target.span))
                return
        first = self.names_reported.setdefault(base.name, base)
        if first is not base:
            self.errors.append(catalogue.names.defined_twice(base.span, base.name, first.span))
            return
        self.reported.append(
            TimedOutput(node, base, loops, stamp, node.target if node.value is None else node.value)
        )


@contextmanager
def telling(errors: list[Diagnostic], node: tree.Define) -> Iterator[None]:
    """What is found wrong inside with a line that the user did not write is told with what made it."""
    before = len(errors)
    yield
    if node.what:
        errors[before:] = [
            error.in_line(node.what) if error.at == Label(node.span) else error for error in errors[before:]
        ]


def _variables(loops: Sequence[Loop]) -> dict[str, Local]:
    return {loop.variable: Local(SCALAR, Affine.var(loop.variable)) for loop in loops}
