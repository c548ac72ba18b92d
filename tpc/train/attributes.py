"""The attributes of weights: which there are, and what their values may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import prod

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.print_tree import print_tree
from tpc.syntax.tree import Range, Tree
from tpc.syntax.walk import names_in, walk
from tpc.train.build import replaced
from tpc.train.checks import (
    MAX_ROUNDS,
    check_indices,
    check_known,
    check_scalar,
    check_sign,
    check_variables,
    corners,
    whole,
)
from tpc.train.naming import Names
from tpc.train.scene import Scene
from tpc.train.training_options import option_value

ATTRIBUTES = ("std", "scale", "lr", "frozen", "decoupled", "a", "b")
SIZES = ("std", "scale")  # known before anything is drawn


def check_attributes(
    scene: Scene, weight: tree.WeightStatement, options: Mapping[str, tree.Option], *, matrix: bool
) -> None:
    """What the attributes of a weight may be. matrix: it is between two widths."""
    for flag in ("frozen", "decoupled"):
        if flag in options and options[flag].value is not None:
            raise RefusedError(catalogue.options.option_flag(options[flag].span, flag))
    if "std" in options and not scene.widths:
        raise RefusedError(catalogue.options.std_without_width(options["std"].span))
    numbers = {name: option_value(options[name]) for name in (*SIZES, "lr") if name in options}
    ranges = own_ranges(scene, weight, [*numbers.values()])
    for name, value in numbers.items():
        if name in SIZES:
            check_given(scene, name, value)
        check_scalar(scene, name, value)
        inner = [
            *ranges,
            *(r for node in walk(value) if isinstance(node, tree.Summation) for r in node.ranges),
        ]
        check_known(scene, value, inner)
        check_indices(scene, (value,), ranges)
        for at in members(scene, ranges):
            check_divisors(scene, value, at)
            if name in SIZES and matrix:
                check_sign(scene, name, value, None, "above 0 for a weight between two widths", at)
            if name in SIZES:
                check_sign(scene, name, value, Fraction(0), "at least 0", at)


def apart(value: Tree, names: Names) -> Tree:
    """An attribute with variables of its sums that nothing else in the file is called.

    So any index may be put in.
    """
    variables = {
        r.variable.name for node in walk(value) if isinstance(node, tree.Summation) for r in node.ranges
    }
    fresh = {v: names.another(v, [v]) for v in sorted(variables)}
    return replaced(
        value,
        lambda x: replace(x, name=fresh[x.name]) if isinstance(x, tree.Name) and x.name in fresh else None,
    )


def own_ranges(scene: Scene, weight: tree.WeightStatement, values: Sequence[Tree]) -> list[Range]:
    """The ranges of a family's variables, if its attributes use them: then they are to mean nothing else."""
    ranges = [
        Range(axis.span, axis.variable, axis.count) for axis in weight.axes if axis.variable is not None
    ]
    used = {name.name for value in values for name in names_in(value)}
    for k, item in enumerate(ranges):
        if item.variable.name in used:
            check_variables(scene, [item])
            if any(item.variable == other.variable for other in ranges[:k]):
                raise RefusedError(catalogue.names.shadows(item.variable.span, item.variable.name))
    return [item for item in ranges if item.variable.name in used]


def members(scene: Scene, ranges: Sequence[Range]) -> Iterator[dict[str, int]]:
    """The members of a family, by the variables that tell them apart; of a very large one its corners."""
    counts = [scene.integer(r.count) or 0 for r in ranges]
    if prod(counts) > MAX_ROUNDS:
        yield from corners(scene, ranges, {})
        return
    for index in product(*map(range, counts)):
        yield {r.variable.name: k for r, k in zip(ranges, index, strict=True)}


def check_divisors(scene: Scene, value: Tree, at: Mapping[str, int]) -> None:
    """Whether a member's attribute is divided by zero."""
    for chain in (node for node in walk(value) if isinstance(node, tree.Chain)):
        for operator, divisor in zip(chain.operators, chain.operands[1:], strict=True):
            if operator == "/" and whole(scene, divisor, at) == 0:
                raise RefusedError(catalogue.kinds.division_by_zero(divisor.span))


def check_given(scene: Scene, option: str, value: Tree) -> None:
    """Whether an attribute is known before anything is drawn or computed."""
    for node in walk(value):
        if isinstance(node, tree.Mean | tree.MatrixProduct | tree.Attribute):
            raise RefusedError(catalogue.options.option_not_given(node.span, option, print_tree(node)))
    for name in names_in(value):
        if name.name in scene.widths:
            raise RefusedError(catalogue.laws.option_of_width(name.span, option, name.name))
        if name.name in scene.weights or (name.name in scene.outer and not scene.outer[name.name].given):
            raise RefusedError(catalogue.options.option_not_given(name.span, option, name.name))
