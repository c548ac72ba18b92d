"""Partial derivatives of elementwise expressions of the tree."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from tpc.core.functions import FUNCTIONS
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.tree import Tree
from tpc.syntax.walk import names_in, walk
from tpc.train.build import Maker, is_number


def derivative(x: Tree, leaf: Tree, resting: Container[str] = ()) -> Tree:
    """`∂x/∂leaf`, the number 0 where `leaf` does not occur.

    Derivatives of functions are written `φ'(…)` and `D(φ, i)(…)`, as a user would.

    A leaf whose index is the variable of a sum is an entry: the derivative is in that entry, the variable
    free in it.
    resting: variables that may stay at 0, having been made by a function with a kink.
    """
    m = Maker(x.span)
    if x == leaf:
        return m.number(1)
    match x:
        case tree.Chain(operands=operands, operators=operators):
            return _chain(m, operands, operators, leaf, resting)
        case tree.Negated(operand=operand):
            return m.neg(derivative(operand, leaf, resting))
        case tree.Power(base=base, exponent=exponent):
            slope = _power_base(m, base, exponent, derivative(base, leaf, resting))
            return m.add(
                _at_rest(m, base, slope, resting) if _is_root(exponent) else slope,
                _power_exponent(m, x, base, derivative(exponent, leaf, resting)),
            )
        case tree.Applied():
            return _applied(m, x, leaf, resting)
        case tree.Summation(ranges=ranges, body=body):
            fixed = {name.name for name in names_in(leaf)}  # the one term that the leaf is in
            return m.sum([r for r in ranges if r.variable.name not in fixed], derivative(body, leaf, resting))
    return m.number(0)


def jump_in(slope: Tree, functions: Mapping[str, tree.Function]) -> str:
    """The function whose derivative is asked for in `slope` and is 0 wherever it does not jump.

    "" if there is none.
    """
    for node in walk(slope):
        base, order = (node.base, node.order) if isinstance(node, tree.Primed) else (None, 1)
        if (
            isinstance(node, tree.Applied)
            and isinstance(node.function, tree.Name)
            and node.function.name == "D"
        ):
            base = node.args[0]
        if isinstance(base, tree.Name) and _jumps(base.name, order, functions):
            return base.name
    return ""


def _jumps(name: str, order: int, functions: Mapping[str, tree.Function]) -> bool:
    """Whether the derivative of order `order` - 1 of a function jumps."""
    if name not in functions:
        entry = FUNCTIONS.get(name)
        return (
            entry is not None
            and entry.rests
            and entry.arguments == 1
            and (order > 1 or entry.shape == "jump")
        )
    for node in walk(functions[name]):
        match node:
            case tree.Applied(function=tree.Name(name=inner)) if inner != name:
                if _jumps(inner, order, functions):
                    return True
            case tree.Primed(base=tree.Name(name=inner), order=more):
                if _jumps(inner, order + more, functions):
                    return True
    return False


def _chain(
    m: Maker, operands: Sequence[Tree], operators: Sequence[str], leaf: Tree, resting: Container[str]
) -> Tree:
    slopes = [derivative(operand, leaf, resting) for operand in operands]
    if operators[0] in "+-":
        return m.add(
            slopes[0], *(d if op == "+" else m.neg(d) for op, d in zip(operators, slopes[1:], strict=True))
        )
    value, slope = operands[0], slopes[0]
    for op, operand, d in zip(operators, operands[1:], slopes[1:], strict=True):
        if op == "*":
            value, slope = m.mul(value, operand), m.add(m.mul(slope, operand), m.mul(value, d))
        else:
            slope = m.sub(m.div(slope, operand), m.div(m.mul(value, d), m.power(operand, 2)))
            value = m.div(value, operand)
    return slope


def _power_base(m: Maker, base: Tree, exponent: Tree, slope: Tree) -> Tree:
    if is_number(slope, 0):
        return slope
    if isinstance(exponent, tree.Literal) and exponent.value == 2:
        return m.mul(exponent, base, slope)
    lower = (
        m.number(exponent.value - 1) if isinstance(exponent, tree.Literal) else m.sub(exponent, m.number(1))
    )
    return m.mul(exponent, tree.Power(m.span, base, lower), slope)


def has_kinks(x: tree.Node, resting: Container[str] = ()) -> bool:
    """Whether there is a function with a kink or a jump in `x`, or a variable made by one."""
    return any(
        isinstance(node, tree.Name)
        and (node.name in resting or (node.name in FUNCTIONS and FUNCTIONS[node.name].rests))
        for node in walk(x)
    )


def _is_root(exponent: Tree) -> bool:
    """Whether a power is known to have an infinite derivative at 0, and a value."""
    match exponent:
        case tree.Literal(value=value):
            return 0 < value < 1
        case tree.Chain(operands=(tree.Literal(value=over), tree.Literal(value=under)), operators=("/",)):
            return 0 < over < under
    return False


def _at_rest(m: Maker, base: Tree, slope: Tree, resting: Container[str]) -> Tree:
    """The derivative of a root of `base`.

    0, not infinity times 0, where `base` is 0 and, its function having a kink, may stay there.
    """
    if is_number(slope, 0) or not has_kinks(base, resting):
        return slope
    zero = m.number(0)
    above = m.call("where", tree.Comparison(m.span, ">=", base, zero), zero, slope)
    return m.call("where", tree.Comparison(m.span, "<=", base, zero), above, slope)


def _power_exponent(m: Maker, x: Tree, base: Tree, slope: Tree) -> Tree:
    return slope if is_number(slope, 0) else m.mul(x, m.call("log", base), slope)


def _applied(m: Maker, x: tree.Applied, leaf: Tree, resting: Container[str]) -> Tree:
    function, args = x.function, x.args
    if isinstance(function, tree.Name) and function.name == "where":
        slopes = [derivative(arg, leaf, resting) for arg in args[1:]]
        return slopes[0] if all(is_number(d, 0) for d in slopes) else replace(x, args=(args[0], *slopes))
    if isinstance(function, tree.Name) and function.name in ("max", "min") and len(args) > 2:
        first = replace(x, args=args[:-1])
        return derivative(replace(x, args=(first, args[-1])), leaf, resting)
    terms = []
    for i, arg in enumerate(args):
        slope = derivative(arg, leaf, resting)
        if not is_number(slope, 0):
            out = m.mul(slope, tree.Applied(x.span, _slope_of(m, function, i, len(args)), args))
            own = FUNCTIONS.get(function.name) if isinstance(function, tree.Name) else None
            terms.append(_at_rest(m, arg, out, resting) if own is not None and own.is_root else out)
    return m.add(*terms)


def _slope_of(m: Maker, function: Tree, position: int, count: int) -> Tree:
    """The function that is the derivative of `function` in argument `position`."""
    match function:
        case tree.Name() if count == 1:
            return tree.Primed(m.span, function, 1)
        case tree.Primed(base=base, order=order):
            return tree.Primed(m.span, base, order + 1)
        case tree.Name():
            return tree.Applied(m.span, m.name("D"), (function, m.number(Fraction(position))))
    raise RefusedError(catalogue.networks.network_part(function.span))
