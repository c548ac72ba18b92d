"""Nodes of the tree, made at one place of the source.

Simplifications keep what is written out readable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, cast

from tpc.core.exponent import Exponent
from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.tree import Tree
from tpc.syntax.walk import inner_fields


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes nodes whose place is `span`."""

    span: Span

    def number(self, value: int | Fraction) -> Tree:
        x = tree.Literal(self.span, abs(Fraction(value)))
        return tree.Negated(self.span, x) if value < 0 else x

    def name(self, name: str) -> tree.Name:
        return tree.Name(self.span, name)

    def member(self, name: str, index: Sequence[Tree] = ()) -> Tree:
        return tree.Indexed(self.span, self.name(name), tuple(index)) if index else self.name(name)

    def add(self, *terms: Tree) -> Tree:
        """The sum, without zeros; negated terms are subtracted."""
        kept = [t for t in terms if not is_number(t, 0)]
        if not kept:
            return self.number(0)
        if len(kept) == 1:
            return kept[0]
        signs = tuple("-" if isinstance(t, tree.Negated) else "+" for t in kept[1:])
        rest = tuple(t.operand if isinstance(t, tree.Negated) else t for t in kept[1:])
        return tree.Chain(self.span, (kept[0], *rest), signs)

    def neg(self, x: Tree) -> Tree:
        if is_number(x, 0):
            return x
        return x.operand if isinstance(x, tree.Negated) else tree.Negated(self.span, x)

    def sub(self, x: Tree, y: Tree) -> Tree:
        return self.add(x, self.neg(y))

    def mul(self, *factors: Tree) -> Tree:
        """The product, without ones; signs in front; 0 if a factor is."""
        negative, kept = False, list[Tree]()
        for factor in factors:
            if isinstance(factor, tree.Negated):
                negative, factor = not negative, factor.operand
            if is_number(factor, 0):
                return self.number(0)
            if not is_number(factor, 1):
                kept.append(factor)
        out = (
            self.number(1)
            if not kept
            else kept[0]
            if len(kept) == 1
            else tree.Chain(self.span, tuple(kept), ("*",) * (len(kept) - 1))
        )
        return self.neg(out) if negative else out

    def product(self, x: Tree, y: Tree) -> Tree:
        """The product; that of two numbers as a number."""
        return (
            self.number(x.value * y.value)
            if isinstance(x, tree.Literal) and isinstance(y, tree.Literal)
            else self.mul(x, y)
        )

    def div(self, x: Tree, y: Tree) -> Tree:
        if is_number(x, 0) or is_number(y, 1):
            return x
        if isinstance(x, tree.Negated):
            return self.neg(self.div(x.operand, y))
        return tree.Chain(self.span, (x, y), ("/",))

    def power(self, x: Tree, exponent: int) -> Tree:
        return x if exponent == 1 else tree.Power(self.span, x, self.number(exponent))

    def width_power(self, width: str, exponent: Exponent) -> Tree:
        """`width^exponent` as a factor."""
        if exponent == Exponent() or not width:
            return self.number(1)
        terms = [self.mul(self.number(k), self.name(name)) for name, k in exponent.terms]
        power = self.add(self.number(exponent.const), *terms)
        return self.name(width) if is_number(power, 1) else tree.Power(self.span, self.name(width), power)

    def call(self, function: str, *args: Tree) -> Tree:
        return tree.Applied(self.span, self.name(function), args)

    def mean(self, x: Tree) -> Tree:
        return x if is_number(x, 0) else tree.Mean(self.span, x)

    def sum(self, ranges: Sequence[tree.Range], body: Tree) -> Tree:
        if not ranges or is_number(body, 0):
            return body
        if isinstance(body, tree.Negated):
            return self.neg(self.sum(ranges, body.operand))
        return tree.Summation(self.span, tuple(ranges), body)

    def range(self, variable: str, count: Tree | int) -> tree.Range:
        return tree.Range(
            self.span, self.name(variable), self.number(count) if isinstance(count, int) else count
        )

    def matmul(self, matrix: str, transposed: bool, x: Tree, member: Sequence[Tree] = ()) -> Tree:
        left: Tree = self.member(matrix, member)
        return tree.MatrixProduct(self.span, tree.Transposed(self.span, left) if transposed else left, x)

    def equal(self, x: Tree, y: Tree) -> Tree:
        """1 where two whole numbers are equal, else 0."""
        at_most, at_least = tree.Comparison(self.span, "<=", x, y), tree.Comparison(self.span, ">=", x, y)
        zero, one = self.number(0), self.number(1)
        return self.call("where", at_most, self.call("where", at_least, one, zero), zero)

    def define(
        self, target: Tree, value: Tree, clauses: Sequence[tree.Range] = (), what: str = ""
    ) -> tree.Define:
        return tree.Define(self.span, target, value, tuple(clauses), what)


def is_number(x: Tree, value: int) -> bool:
    return isinstance(x, tree.Literal) and x.value == value


def replaced(node: Tree, leaf: Callable[[Tree], Tree | None]) -> Tree:
    """`node` with every part for which `leaf` gives a tree replaced by it.

    Bound variables are the caller's care.
    """
    return cast(Tree, _replaced(node, leaf))


def _replaced(node: tree.Node, leaf: Callable[[Tree], Tree | None]) -> tree.Node:
    new = leaf(cast(Tree, node))
    if new is not None:
        return new
    changed, values = False, list[Any]()
    for name in inner_fields(node):
        value = other = getattr(node, name)
        if isinstance(value, tree.Node):
            other = _replaced(value, leaf)
            changed |= other is not value
        elif isinstance(value, tuple) and any(isinstance(item, tree.Node) for item in value):
            other = tuple(_replaced(item, leaf) if isinstance(item, tree.Node) else item for item in value)
            changed |= any(a is not b for a, b in zip(value, other, strict=True))
        values.append(other)
    return cast(Any, type(node))(node.span, *values) if changed else node


def placed(node: Tree, span: Span) -> Tree:
    """`node`, of a text of our own, as if all of it stood at a place of the file."""
    return cast(Tree, _placed(node, span))


def _placed(node: tree.Node, span: Span) -> tree.Node:
    def of(value: Any) -> Any:
        if isinstance(value, tree.Node):
            return _placed(value, span)
        return tuple(map(of, value)) if isinstance(value, tuple) else value

    return type(node)(span, *(of(getattr(node, name)) for name in inner_fields(node)))


def substituted(node: Tree, values: dict[str, Tree]) -> Tree:
    """`node` with names replaced by trees; the variables of sums in it are names of their own."""

    def leaf(x: Tree) -> Tree | None:
        if isinstance(x, tree.Name):
            return values.get(x.name)
        if isinstance(x, tree.Summation) and (own := {r.variable.name for r in x.ranges} & values.keys()):
            left = {name: value for name, value in values.items() if name not in own}
            return replace(
                x,
                ranges=tuple(replace(r, count=substituted(r.count, values)) for r in x.ranges),
                body=substituted(x.body, left),
            )
        return None

    return replaced(node, leaf) if values else node
