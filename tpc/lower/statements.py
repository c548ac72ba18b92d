"""Statements of the tree to declarations, instructions and regions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import fields, is_dataclass, replace
from functools import cached_property
from typing import Any

from tpc.core.affine import Affine
from tpc.core.expr import ONE, Expr, Ref, Value, divide, new_position, values
from tpc.core.functions import CONSTANTS, is_function
from tpc.core.option_bound import Bound
from tpc.core.program import (
    Axis,
    Family,
    Gaussians,
    Input,
    Matrix,
    OptionRange,
    Origin,
    Output,
    Program,
    Width,
)
from tpc.core.traverse import free_variables
from tpc.diagnostics.diagnostic import RefusedError, TpcError
from tpc.diagnostics.spans import Span
from tpc.lower.block import Binding, Block, Env
from tpc.lower.expressions import ExpressionLowering
from tpc.syntax import tree
from tpc.syntax.declarations import default_value
from tpc.syntax.resolve import Checked
from tpc.syntax.scope import Loop


def lower(checked: Checked, text: str = "", file: str = "") -> Program:
    """The core program of a checked tree.

    Raises TpcError for what shows only here: a derivative that does not exist, an expression too large.
    """
    lowering = Statements(checked)
    try:
        return lowering.program()
    except RefusedError as refused:
        made = lowering.line
        found = refused.diagnostic if made is None else refused.diagnostic.in_line(made.what)
        raise TpcError([found], file or checked.name, text) from None


def origin_of(span: Span, what: str = "") -> Origin:
    return Origin(span.line, span.column, what)


class Statements:
    """One program's lowering."""

    def __init__(self, checked: Checked) -> None:
        self.checked = checked
        self.scope = checked.scope
        self.block = Block(checked.scope.symbols)
        self.expressions = ExpressionLowering(checked.scope, self.block)
        self.ratios: dict[str, Expr] = {}
        self.outputs: list[Output] = []
        self.options: list[OptionRange] = []
        self.given: set[str] = set()  # the inputs
        # the variables that lines which make a family have in its indices
        self.spoken: dict[str, list[str]] = {}
        self.line: tree.Define | None = None  # the one being lowered

    @cached_property
    def variables(self) -> set[str]:
        return _variables(self.checked.file)

    def program(self) -> Program:
        statements = self.checked.file.statements
        inputs = tuple(self.input(s) for s in statements if isinstance(s, tree.InputStatement))
        self.given = {item.name for item in inputs}
        widths = tuple(self.width(s) for s in statements if isinstance(s, tree.WidthStatement))
        matrices = tuple(m for s in statements if isinstance(s, tree.MatrixStatement) for m in self.matrix(s))
        gaussians = tuple(g for s in statements if isinstance(s, tree.Vector) for g in self.gaussians(s))
        for name, kind in self.checked.families.items():
            own = kind.name if kind.name in ("vector", "table") else "scalar"
            self.block.made[name] = Family(name, own, kind.width, self.checked.shapes[name], kind.columns)
        self.statements(statements)
        given = {name for g in gaussians for name in g.names} | {item.name for item in inputs}
        families = tuple(family for name, family in sorted(self.block.made.items()) if name not in given)
        return Program(
            self.checked.name,
            widths,
            inputs,
            matrices,
            gaussians,
            families,
            tuple(self.block.ops),
            tuple(self.outputs),
            self.checked.notes,
            tuple(self.options),
        )

    # declarations

    def width(self, node: tree.WidthStatement) -> Width:
        first = self.scope.widths[0]
        ratio = ONE if node.ratio is None else self.expressions.lower(node.ratio, {first: Binding(ONE)})
        self.ratios[node.name.name] = ratio
        return Width(
            node.name.name, ratio, origin=origin_of(node.name.span if node.ratio is None else node.ratio.span)
        )

    def input(self, node: tree.InputStatement) -> Input:
        symbol = self.scope.symbols[node.declared.name.name]
        default = None if node.default is None else default_value(node.default, self.scope)
        return Input(
            node.declared.name.name, symbol.shape or (), default, symbol.bound, origin=origin_of(node.span)
        )

    def axes(self, declared: tree.Declared) -> tuple[tuple[Axis, ...], Env]:
        shape = self.scope.symbols[declared.name.name].shape or ()
        axes: list[Axis] = []
        env: dict[str, Binding] = {}
        symbols = self.scope.symbols
        taken = {axis.variable.name for axis in declared.axes if axis.variable}
        for axis, count in zip(declared.axes, shape, strict=True):
            name = (
                axis.variable.name
                if axis.variable
                else next(v for v in _names() if v not in taken and v not in symbols)
            )
            taken.add(name)
            axes.append((name, count))
            env[name] = Binding(new_position(Affine.var(name)), Affine.var(name))
        return tuple(axes), env

    def matrix(self, node: tree.MatrixStatement) -> list[Matrix]:
        assert isinstance(node.rows, tree.Name)
        assert isinstance(node.columns, tree.Name)
        assert not isinstance(node.law.covariance, tree.ListOf)
        columns = node.columns.name
        relative = {
            name: Binding(ONE if name == columns else divide(ratio, self.ratios[columns]))
            for name, ratio in self.ratios.items()
        }
        made = []
        for declared in node.declared:
            axes, env = self.axes(declared)
            with self.along(axes):
                variance = self.expressions.lower(node.law.covariance, {**relative, **env})
            made.append(
                Matrix(
                    declared.name.name,
                    axes,
                    node.rows.name,
                    columns,
                    variance,
                    origin=origin_of(node.law.span),
                )
            )
        return made

    def gaussians(self, node: tree.Vector) -> list[Gaussians]:
        assert isinstance(node.width, tree.Name)
        law, made = node.law, []
        groups = [node.declared] if node.joint else [(item,) for item in node.declared]
        for group in groups:
            axes, env = self.axes(group[0])
            for other in group[1:]:
                for axis, (name, _) in zip(other.axes, axes, strict=True):
                    if axis.variable:
                        env = {
                            **env,
                            axis.variable.name: Binding(new_position(Affine.var(name)), Affine.var(name)),
                        }
            with self.along(axes):
                mean = tuple(
                    self.law_entry(x, env)
                    for x in (law.mean.items if isinstance(law.mean, tree.ListOf) else (law.mean,))
                )
                rows = law.covariance.items if isinstance(law.covariance, tree.ListOf) else (law.covariance,)
                covariance = tuple(
                    tuple(
                        self.law_entry(x, env)
                        for x in (row.items if isinstance(row, tree.ListOf) else (row,))
                    )
                    for row in rows
                )
            names = tuple(item.name.name for item in group)
            made.append(Gaussians(names, axes, node.width.name, mean, covariance, origin=origin_of(law.span)))
            for name in names:
                self.block.made[name] = Family(
                    name, "vector", node.width.name, tuple(count for _, count in axes)
                )
        return made

    def along(self, axes: Sequence[Axis]) -> AbstractContextManager[None]:
        """Inside the law of a family: its variables are bound, which counts of sums may depend on."""
        return self.block.summing([Loop(name, Affine(count)) for name, count in axes])

    def law_entry(self, node: tree.Tree | tree.ListOf, env: Env) -> Expr:
        assert not isinstance(node, tree.ListOf)
        return self.expressions.lower(node, env)

    # instructions

    def statements(self, statements: Sequence[tree.Statement]) -> None:
        for statement in statements:
            match statement:
                case tree.Define():
                    self.line, origin = statement, origin_of(statement.span, statement.what)
                    self.define(statement.target, statement.value, statement.clauses, origin)
                case tree.ForBlock(range=head, body=body):
                    with self.block.region(self.loop(head), origin_of(statement.span)):
                        self.statements(body)
                case tree.OutputStatement():
                    self.line = None
                    self.output(statement)

    def env(self) -> Env:
        return {
            loop.variable: Binding(new_position(Affine.var(loop.variable)), Affine.var(loop.variable))
            for loop in self.block.loops
        }

    def loop(self, node: tree.Range) -> Loop:
        count = self.expressions.index(node.count, self.env())
        assert isinstance(count, Affine)
        return Loop(node.variable.name, count)

    def define(
        self, target: tree.Tree, value: tree.Tree, clauses: Sequence[tree.Range], origin: Origin
    ) -> None:
        if clauses:
            with self.block.region(self.loop(clauses[0]), origin):
                self.define(target, value, clauses[1:], origin)
            return
        base, index = tree.base_and_index(target)
        assert isinstance(base, tree.Name)
        self.block.base, self.block.origin = base.name, origin
        ref = self.expressions.ref(base.name, index, self.env())
        if base.name not in self.spoken or not all(self.spoken[base.name]):
            self.spoken[base.name] = [_variable(i) for i in ref.index]
        self.block.finish(ref, self.expressions.lower(value, self.env()))

    def output(self, node: tree.OutputStatement) -> None:
        base = node.target.base if isinstance(node.target, tree.Indexed) else node.target
        assert isinstance(base, tree.Name)
        loops = [
            Loop(c.variable.name, count)
            for c in node.clauses
            if isinstance(count := self.expressions.index(c.count, self.env()), Affine)
        ]
        env = {
            loop.variable: Binding(new_position(Affine.var(loop.variable)), Affine.var(loop.variable))
            for loop in loops
        }
        axes = tuple((loop.variable, max(0, loop.count.const)) for loop in loops)
        value = node.target if node.value is None else node.value
        if node.bound is not None:
            self.option(node.bound, self.expressions.lower(value, env), axes, node)
            return
        if (
            isinstance(value, tree.Name)
            and not loops
            and self.scope.symbols.get(value.name)
            and self.scope.symbols[value.name].axes
        ):
            ref, axes = self.whole(value.name)
        elif isinstance(value, tree.Name | tree.Indexed) and isinstance(
            x := self.expressions.lower(value, env), Value
        ):
            ref = x.ref
        else:
            ref = self.output_value(base.name, value, node, loops)
        origin = origin_of(node.span)
        self.outputs.append(Output(base.name, axes, ref, node.check, divisor=node.divisor, origin=origin))

    def option(self, bound: Bound, value: Expr, axes: tuple[Axis, ...], node: tree.Node) -> None:
        """Notes the range of an option that is made of inputs."""
        used = free_variables(value)
        if all(v.ref.name in self.given for v in values(value)):
            self.options.append(
                OptionRange(
                    bound,
                    value,
                    tuple(axis for axis in axes if axis[0] in used),
                    origin=origin_of(node.span),
                )
            )

    def whole(self, name: str) -> tuple[Ref, tuple[Axis, ...]]:
        """A family over all of its axes, with the variables of a line that makes it, where it has some."""
        shape = self.scope.symbols[name].shape or self.block.made[name].shape
        variables = list(self.spoken.get(name, [""] * len(shape)))
        names = (v for v in _names() if v not in self.scope.symbols and v not in variables)
        for k, variable in enumerate(variables):
            if not variable or variable in variables[:k]:
                variables[k] = next(names)
        return Ref(name, tuple(Affine.var(v) for v in variables)), tuple(zip(variables, shape, strict=True))

    def output_value(self, name: str, value: tree.Tree, node: tree.OutputStatement, loops: list[Loop]) -> Ref:
        """Makes a family for an output that is an expression.

        It has the output's name if that is free to be defined, and no variable anywhere.
        """
        taken = name in self.block.made or name in self.scope.symbols or name in self.variables
        if taken or name in CONSTANTS or is_function(name):
            name = self.block.fresh(name)
        shape = tuple(max(0, loop.count.const) for loop in loops)
        self.block.made[name] = Family(name, "scalar", None, shape)
        index = tuple(Affine.var(loop.variable) for loop in loops)

        def nested(rest: Sequence[Loop]) -> None:
            if rest:
                with self.block.region(rest[0], origin_of(node.span)):
                    nested(rest[1:])
            else:
                self.block.base, self.block.origin = name, origin_of(node.span)
                self.block.finish(Ref(name, index), self.expressions.lower(value, self.env()))

        nested(loops)
        # of what has no members
        self.block.made[name] = replace(
            self.block.made[name], shape=shape if 0 not in shape else (0,) * len(shape)
        )
        return Ref(name, index)


def _variables(file: tree.File) -> set[str]:
    """The names of all variables of loops, axes and sums."""
    found, left = set[str](), list[Any](file.statements)
    while left:
        node = left.pop()
        if isinstance(node, tuple):
            left += node
        elif is_dataclass(node) and not isinstance(node, Span):
            for part in fields(node):
                inner = getattr(node, part.name)
                left.append(inner)
                if part.name == "variable" and isinstance(inner, tree.Name):
                    found.add(inner.name)
    return found


def _variable(index: object) -> str:
    """The only variable of an index, "" if there is none, or there are several."""
    found = list(index.variables) if isinstance(index, Affine) else []
    return found[0] if len(found) == 1 else ""


def _names() -> Sequence[str]:
    return [*"ijklpqrs", *(f"i{k}" for k in range(100))]
