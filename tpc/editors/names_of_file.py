"""What the names in a file stand for, as written: where each is declared, and where it is used.

For editors, which ask while a program is still being written; so nothing is refused, and a name that is
declared nowhere just stands for nothing. What may be wrong with names is found by `tpc.syntax.resolve`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.walk import parts
from tpc.train.optimizer_rules import GIVEN


@dataclass(eq=False, slots=True)
class DeclaredName:
    """One thing with a name."""

    name: str
    # in words
    kind: str
    # all places of the name, declarations first
    declared: list[Span] = field(default_factory=list)
    used: list[Span] = field(default_factory=list)

    @property
    def places(self) -> list[Span]:
        return [*self.declared, *self.used]


@dataclass(eq=False, slots=True)
class NameScope:
    """Names, and what is around them."""

    around: NameScope | None
    names: dict[str, DeclaredName] = field(default_factory=dict)

    def find(self, name: str) -> DeclaredName | None:
        scope: NameScope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.around
        return None

    def declare(self, name: tree.Name, kind: str) -> DeclaredName:
        """A name that may be declared again, by another line of a family; the first says what it is."""
        symbol = self.names.setdefault(name.name, DeclaredName(name.name, kind))
        symbol.declared.append(name.span)
        return symbol


class NamesOfFile:
    """All names of a file that it declares, in the order of their declarations."""

    def __init__(self, file: tree.File) -> None:
        self.all: list[DeclaredName] = []
        self.top = NameScope(None)
        self.insides: dict[str, NameScope] = {}  # of networks, and of what is adapted from one
        self._declare(file.statements, self.top)
        self._visit_all(file.statements, self.top)

    def at(self, line: int, column: int) -> DeclaredName | None:
        """What the name at a place stands for, if there is one; the place after a name belongs to it, too."""
        found = [
            (span.column, symbol)
            for symbol in self.all
            for span in symbol.places
            if span.line == line and span.column <= column <= span.end_column
        ]
        return max(found, key=lambda pair: pair[0])[1] if found else None

    # declarations come first, as a function may be used by lines before it

    def _new(self, scope: NameScope, name: tree.Name, kind: str) -> None:
        fresh = name.name not in scope.names
        symbol = scope.declare(name, kind)
        if fresh:
            self.all.append(symbol)

    def _declare(self, statements: Iterable[Any], scope: NameScope) -> None:
        for s in statements:
            match s:
                case tree.ForBlock(body=body):
                    self._declare(body, scope)
                case tree.WidthStatement(name=name):
                    self._new(scope, name, "width")
                case tree.Dim(name=name):
                    self._new(scope, name, "dim")
                case tree.InputStatement(declared=declared):
                    self._new(scope, declared.name, "input")
                case tree.MatrixStatement(declared=several):
                    for declared in several:
                        self._new(scope, declared.name, "matrix")
                case tree.Vector(declared=several):
                    for declared in several:
                        self._new(scope, declared.name, "vector")
                case tree.WeightStatement(name=name, columns=columns):
                    self._new(scope, name, "bias" if columns is None else "weight")
                case tree.Activation(name=name):
                    self._new(scope, name, "activation")
                case tree.Function(name=name):
                    self._new(scope, name, "function")
                case tree.Network(name=name):
                    self._new(scope, name, "network")
                    self.insides[name.name] = self._inside(s, scope)
                case tree.Train(name=name):
                    if name is not None:
                        self._new(scope, name, "training")
                    self._declare((i for i in s.items if isinstance(i, tree.Adapted)), scope)
                case tree.Adapted(target=target, network=network):
                    self._new_base(scope, target, "adapted network")
                    base = _base(target)
                    if base is not None and network.name in self.insides:
                        self.insides[base.name] = self.insides[network.name]
                case tree.Optimizer(name=name):
                    self._new(scope, name, "optimizer")
                case tree.Define(target=target, sides=sides):
                    self._new_base(scope, target, "table" if sides else "value")
                case tree.OutputStatement(target=target, value=value):
                    if value is not None:
                        self._new_base(scope, target, "output")

    def _new_base(self, scope: NameScope, target: tree.Tree, kind: str) -> None:
        name = _base(target)
        if name is not None:
            self._new(scope, name, kind)

    def _inside(self, s: tree.Network | tree.Function | tree.Optimizer, around: NameScope) -> NameScope:
        """The names of a block's own. What a rule is given, it declares nowhere."""
        scope = NameScope(around)
        if isinstance(s, tree.Optimizer):
            scope.names |= {name: DeclaredName(name, "given") for name in GIVEN}
        for parameter in s.parameters:
            if isinstance(parameter, tree.Option):
                self._new(scope, parameter.name, "parameter")
            else:
                self._new(scope, parameter, "argument")
        self._declare(s.body, scope)
        return scope

    # uses

    def _visit_all(self, nodes: Iterable[Any], scope: NameScope) -> None:
        for node in nodes:
            self._visit(node, scope)

    def _use(self, name: tree.Name, scope: NameScope) -> None:
        symbol = scope.find(name.name)
        if symbol is not None and name.span not in symbol.declared:
            symbol.used.append(name.span)

    def _ranged(self, ranges: Iterable[tree.Range | tree.Axis], scope: NameScope) -> NameScope:
        """A scope with the variables of ranges, whose counts may use those before them."""
        for r in ranges:
            self._visit(r.count, scope)
            if r.variable is not None:
                scope = NameScope(scope)
                self._new(scope, r.variable, "variable")
        return scope

    def _visit(self, node: Any, scope: NameScope) -> None:
        match node:
            case tree.Name():
                self._use(node, scope)
            case tree.Attribute(base=base, name=name):
                self._visit(base, scope)
                inside = self.insides.get(_name_of(base))
                symbol = None if inside is None else inside.names.get(name.name)
                if symbol is not None:  # its token begins with the point
                    symbol.used.append(replace(name.span, column=name.span.column + 1))
            case tree.Summation(ranges=ranges, body=body):
                self._visit(body, self._ranged(ranges, scope))
            case tree.ForBlock(range=head, body=body):
                self._visit_all(body, self._ranged((head,), scope))
            case tree.Function(body=body, result=result):
                self._visit_all((*body, result), self._inside(node, scope))
            case tree.Network(name=own, body=body, result=result):
                self._visit_all((*body, result), self.insides.get(own.name, scope))
            case tree.Train(network=network, range=head, items=items):
                self._use(network, scope)
                self._visit_all(items, self._ranged((head,), scope))
            case tree.Loss(parameters=parameters, value=value, options=options):
                inner = NameScope(scope)
                for parameter in parameters:
                    self._new(inner, parameter, "argument")
                self._visit_all([option.value for option in options], scope)
                self._visit(value, inner)
            case tree.Optimizer(parameters=parameters, body=body, result=result):
                self._visit_all([parameter.value for parameter in parameters], scope)
                self._visit_all((*body, result), self._inside(node, scope))
            case tree.Update(name=name, options=options, weights=weights):
                rule = scope.find(name.name)
                if rule is not None and rule.kind == "optimizer":
                    self._use(name, scope)
                self._visit_all(weights, scope)
                self._visit_all([option.value for option in options], scope)
            case tree.Parametrization(options=options):
                self._visit_all([option.value for option in options], scope)
            case tree.Option(value=value):
                self._visit(value, scope)
            case tree.InputStatement() | tree.MatrixStatement() | tree.Vector() | tree.WeightStatement():
                self._visit_declaration(node, scope)
            case tree.Define() | tree.OutputStatement() | tree.AddTo() | tree.Adapted() | tree.Examples():
                self._visit_clauses(node, scope)
            case tree.Gradient(network=network, examples=examples, options=options):
                inner = self._ranged(examples.clauses, scope)
                self._visit_all((network, *examples.inputs, examples.label), inner)
                self._visit_all([option.value for option in options], scope)
            case tree.Node() if not isinstance(node, tree.ProgramName):  # that name is not one of the file's
                self._visit_all(parts(node), scope)

    def _visit_clauses(self, node: Any, scope: NameScope) -> None:
        """A line with `for` clauses, whose variables the whole line may use."""
        inner = self._ranged(node.clauses, scope)
        match node:
            case tree.Examples(inputs=inputs, label=label):
                self._visit_all((*inputs, label), inner)
            case tree.Adapted(target=target, network=network, examples=examples, options=options):
                self._visit_all((target, network, examples), inner)
                self._visit_all([option.value for option in options], inner)
            case _:
                self._visit_all((*(getattr(node, "sides", None) or ()), node.target, node.value), inner)

    def _visit_declaration(self, node: Any, scope: NameScope) -> None:
        """A declaration: its axes have variables, which what follows may use."""
        several = getattr(node, "declared", ())
        axes = (
            list(node.axes)
            if isinstance(node, tree.WeightStatement)
            else [axis for d in (several if isinstance(several, tuple) else (several,)) for axis in d.axes]
        )
        inner = self._ranged(axes, scope)
        for key in ("rows", "columns", "width", "law", "bound", "default"):
            self._visit(getattr(node, key, None), inner)
        self._visit_all([option.value for option in getattr(node, "options", ())], inner)


def _base(target: tree.Tree) -> tree.Name | None:
    """What is defined by a line: `x` of `x[t+1]`."""
    while isinstance(target, tree.Indexed):
        target = target.base
    return target if isinstance(target, tree.Name) else None


def _name_of(base: tree.Tree) -> str:
    name = _base(base)
    return "" if name is None else name.name
