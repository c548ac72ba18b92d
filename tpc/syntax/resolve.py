"""Everything that a user can get wrong in a file, found on the tree, in the user's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

from tpc.core.affine import Affine
from tpc.core.functions import CONSTANTS, is_function
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic, TpcError, in_order
from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.declarations import check_laws, check_side
from tpc.syntax.kinds import Kinds
from tpc.syntax.layout import RESERVED
from tpc.syntax.order import (
    MAX_FAMILY,
    MAX_MEMBERS,
    Making,
    Order,
    Reference,
    TooManyRoundsError,
)
from tpc.syntax.scope import SCALAR, UNKNOWN, WORDS, Kind, Scope, Symbol
from tpc.syntax.timeline import TimedDefinition, TimedOutput, Timeline, telling
from tpc.syntax.walk import names_in

MAX_ERRORS = 50


@dataclass(frozen=True, slots=True)
class Checked:
    """A tree in which nothing is wrong.

    What its names stand for, its dims, and the kind and extents of every family.
    """

    file: tree.File
    name: str
    scope: Scope
    families: Mapping[str, Kind]
    shapes: Mapping[str, tuple[int, ...]]
    notes: tuple[str, ...]


def resolve(
    file: tree.File,
    name: str,
    text: str,
    overrides: Mapping[str, int],
    program: str = "program",
    exponents: frozenset[str] = frozenset(),
) -> Checked:
    """Checks `file`. Raises TpcError with all that is wrong.

    overrides: values of dims in place of the file's. program: its name if it gives none.
    """
    errors: list[Diagnostic] = []
    resolver = Resolver(file, errors, overrides, exponents)
    checked = resolver.check(program)
    if errors:
        raise TpcError(in_order(errors)[:MAX_ERRORS], name, text)
    return checked


class Resolver:
    """One file's resolution. The steps are the lines of `check`."""

    def __init__(
        self,
        file: tree.File,
        errors: list[Diagnostic],
        overrides: Mapping[str, int],
        exponents: frozenset[str],
    ) -> None:
        self.file = file
        self.errors = errors
        self.scope = Scope(errors, overrides, exponents)
        self.timeline = Timeline(self.scope, errors)
        self.sites = self.timeline.sites
        self.reported = self.timeline.reported
        self.families: dict[str, Kind] = {}
        self.uses: list[Reference] = []

    def check(self, name: str) -> Checked:
        for statement in self.file.statements:
            self.declare(statement)
        self.timeline.collect(self.file.statements, (), Affine(), 1)
        self.declare_families()
        check_laws(self.file, self.scope, self.errors)
        self.infer_families()
        self.check_functions()
        self.check_values()
        shapes = {} if self.errors else self.check_order()
        given = next((s.name.name for s in self.file.statements if isinstance(s, tree.ProgramName)), name)
        return Checked(self.file, given, self.scope, self.families, shapes, self.notes())

    # what the file declares

    def declare(self, statement: tree.Statement) -> None:
        scope = self.scope
        match statement:
            case tree.WidthStatement(name=name):
                scope.declare(name, Symbol("width", name.span, node=statement))
            case tree.Dim(name=name, value=value):
                override = scope.overrides.get(name.name)
                count = scope.extent(value) if override is None else scope.count(override, value.span)
                if scope.declare(name, Symbol("dim", name.span)):
                    # 1: what is wrong with it is said once
                    scope.dims[name.name] = 1 if count is None else count
            case tree.InputStatement(declared=declared, bound=bound):
                shape = self.extents(declared, MAX_FAMILY)
                limit = scope.extent(bound) if bound else None
                scope.declare(
                    declared.name,
                    Symbol("input", declared.name.span, len(shape), shape, SCALAR, statement, limit),
                )
            case tree.MatrixStatement(declared=items):
                for declared in items:
                    shape = self.extents(declared)
                    scope.declare(
                        declared.name,
                        Symbol("matrix", declared.name.span, len(shape), shape, UNKNOWN, statement),
                    )
            case tree.Vector(declared=items, width=width):
                kind = Kind("vector", width.name if isinstance(width, tree.Name) else str(width.value))
                for declared in items:
                    shape = self.extents(declared)
                    scope.declare(
                        declared.name,
                        Symbol("vector", declared.name.span, len(shape), shape, kind, statement),
                    )
            case tree.Function(name=name, parameters=parameters):
                scope.declare(name, Symbol("function", name.span, node=statement))
                self.check_parameters(parameters)

    def check_parameters(self, parameters: Sequence[tree.Name]) -> None:
        seen: dict[str, Span] = {}
        for parameter in parameters:
            if parameter.name in CONSTANTS or is_function(parameter.name) or parameter.name in RESERVED:
                self.errors.append(catalogue.names.built_in(parameter.span, parameter.name))
            elif parameter.name in seen:
                self.errors.append(
                    catalogue.names.defined_twice(parameter.span, parameter.name, seen[parameter.name])
                )
            seen.setdefault(parameter.name, parameter.span)

    def extents(self, declared: tree.Declared, limit: int = MAX_MEMBERS) -> tuple[int, ...]:
        """The extents of a declared family (1 in place of one that is wrong)."""
        shape, members, seen = [], 1, set()
        for axis in declared.axes:
            count = self.scope.extent(axis.count)
            if axis.variable is not None:
                if axis.variable.name in seen or axis.variable.name in self.scope.symbols:
                    self.errors.append(catalogue.names.shadows(axis.variable.span, axis.variable.name))
                seen.add(axis.variable.name)
            shape.append(1 if count is None else count)
            members *= shape[-1]
        if members > limit:
            self.errors.append(catalogue.indices.dim_size(declared.span, members, limit))
            return (1,) * len(shape)
        return tuple(shape)

    # what it makes

    def declare_families(self) -> None:
        for site in self.sites:
            known = self.scope.symbols.get(site.name.name)
            if known is None:
                self.scope.declare(
                    site.name, Symbol("family", site.name.span, len(site.index), None, UNKNOWN)
                )
            elif known.what != "family":
                self.errors.append(
                    catalogue.indices.target_is_given(
                        site.name.span, site.name.name, known.span, WORDS[known.what]
                    )
                )
            elif known.axes != len(site.index):
                self.errors.append(
                    catalogue.indices.index_count(
                        site.node.target.span, site.name.name, known.axes, len(site.index)
                    )
                )

    # kinds

    def infer_families(self) -> None:
        """Kinds of families to a fixpoint.

        a definition may refer to families that are made later in a loop.
        """
        pending = [site for site in self.sites if site.name.name in self.scope.symbols]
        progress = True
        while pending and progress:
            progress = False
            for site in pending:
                if site.name.name in self.families:
                    continue
                kinds = Kinds(self.scope, self.families, [], [])
                kind = kinds.defined(site.node, site.loops, site.stamp)
                if kind.name != "unknown":
                    self.families[site.name.name] = kind
                    progress = True
            pending = [site for site in pending if site.name.name not in self.families]
            # scalars made one from another: were a vector among them, that would have been found out
            if not progress:
                grounded = [site.name.name for site in pending if self.has_known_part(site)]
                self.families.update(dict.fromkeys(grounded, SCALAR))
                progress = bool(grounded)

    def has_known_part(self, site: TimedDefinition) -> bool:
        """Whether something whose kind is known is in a definition."""
        return any(
            node.name in self.families or (known is not None and known.what in ("input", "vector"))
            for node in names_in(site.node.value)
            for known in [self.scope.symbols.get(node.name)]
        )

    def check_functions(self) -> None:
        """Functions are checked where they are used.

        One that is not used is checked with scalar arguments, and for its names only.
        """
        used = {
            node.name
            for s in self.file.statements
            for node in names_in(s)
            if not (isinstance(s, tree.Function) and node is s.name)
        }
        for statement in self.file.statements:
            if isinstance(statement, tree.Function) and statement.name.name not in used:
                zero = tree.Literal(statement.name.span, Fraction(0))
                call = tree.Applied(statement.name.span, statement.name, (zero,) * len(statement.parameters))
                found: list[Diagnostic] = []
                Kinds(self.scope, self.families, found, []).infer(call, {})
                self.errors += [d for d in found if d.code.startswith("TP1")]

    def check_values(self) -> None:
        kinds = Kinds(self.scope, self.families, self.errors, self.uses)
        first: dict[str, tuple[Kind, Span]] = {}
        for site in self.sites:
            with telling(self.errors, site.node):
                for side in site.node.sides:
                    check_side(side, self.scope, self.errors)
                kind = kinds.defined(site.node, site.loops, site.stamp)
                if kind.name != "unknown":
                    self.check_alike(site, kind, first)
        for reported in self.reported:
            self.check_output(reported, kinds)
        if not self.errors:
            for site in self.sites:
                if site.name.name not in self.families:
                    self.errors.append(catalogue.kinds.kind_unknown(site.name.span, site.name.name))
                    break

    def check_alike(self, site: TimedDefinition, kind: Kind, first: dict[str, tuple[Kind, Span]]) -> None:
        """Whether a family is of the kind that its first definition gives it."""
        name, span = site.name.name, site.node.target.span
        before, place = first.setdefault(name, (kind, span))
        if before != kind:
            self.errors.append(catalogue.kinds.kind_differs(span, name, str(kind), place, str(before)))

    def check_output(self, reported: TimedOutput, kinds: Kinds) -> None:
        value = reported.value
        symbol = self.scope.symbols.get(value.name) if isinstance(value, tree.Name) else None
        if (
            symbol is not None
            and symbol.axes
            and not reported.loops
            and reported.node.value is None
            and symbol.what in ("family", "input")
        ):
            kind = self.families.get(reported.name.name, SCALAR)  # a whole family: its members are all there
        else:
            kind = kinds.define(value, reported.loops, reported.stamp)
        if kind.name == "table":
            self.errors.append(catalogue.tables.output_of_table(value.span, reported.name.name))
        if kind.name == "vector":
            self.errors.append(
                catalogue.kinds.output_of_vector(value.span, reported.name.name, reported.node.value is None)
            )

    # order

    def check_order(self) -> dict[str, tuple[int, ...]]:
        """Each index once, nothing before it is made; gives the extents of the families."""
        makings: dict[str, list[Making]] = {}
        for site in self.sites:
            makings.setdefault(site.name.name, []).append(
                Making(site.name.name, site.index, site.loops, site.stamp, site.node.target.span)
            )
        order = Order(self.errors)
        with suppress(TooManyRoundsError):
            for name, items in makings.items():
                order.make(name, items)
            for use in dict.fromkeys(self.uses):
                if len(self.errors) >= MAX_ERRORS:
                    break
                symbol = self.scope.symbols[use.name]
                if symbol.shape is not None:
                    order.given(use, symbol.shape)
                else:
                    order.use(use)
            for reported in self.reported:
                if reported.node.value is None and isinstance(reported.value, tree.Name):
                    order.whole(reported.name.name, reported.name.span)
        return {name: made.shape for name, made in order.made.items()}

    def notes(self) -> tuple[str, ...]:
        """Remarks on what is allowed and yet unlikely to be meant."""
        found = []
        kinds = Kinds(self.scope, self.families, [], [])
        for site in self.sites:
            if (
                isinstance(site.node.value, tree.Mean)
                and kinds.define(site.node.value.body, site.loops, site.stamp) == SCALAR
            ):
                found.append(
                    f"line {site.node.span.line}: the mean of something that is not random is the thing "
                    "itself"
                )
        return tuple(found)
