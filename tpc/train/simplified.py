"""Arithmetic of numbers done in a tree, and what it makes superfluous left out."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from tpc.syntax import tree
from tpc.syntax.tree import Tree
from tpc.train.build import Maker, replaced

MOST_DIGITS = 60  # of a number that a file may have


def simplified(node: Tree) -> Tree:
    """`node` with sums, products and powers of numbers worked out, without factors 1 and terms 0."""
    m = Maker(node.span)
    match node:
        case tree.Chain(operands=operands, operators=operators):
            parts = [simplified(part) for part in operands]
            return _sum(m, parts, operators) if operators[0] in "+-" else _product(m, parts, operators)
        case tree.Negated(operand=operand):
            return m.neg(simplified(operand))
        case tree.Power(base=base, exponent=exponent):
            x, k = simplified(base), simplified(exponent)
            value, power = number_in(x), number_in(k)
            if power == 1:
                return x
            if value is not None and power is not None and power.denominator == 1 and 0 <= power <= 4:
                return _number(m, value ** int(power)) or replace(node, base=x, exponent=k)
            return replace(node, base=x, exponent=k)
        case tree.Literal() | tree.Name():
            return node

    def inner(part: Tree) -> Tree | None:
        return None if part is node else simplified(part)

    return replaced(node, inner)


def number_in(x: Tree) -> Fraction | None:
    """The value of a number as it is written."""
    if isinstance(x, tree.Negated):
        value = number_in(x.operand)
        return None if value is None else -value
    return x.value if isinstance(x, tree.Literal) else None


def quotient_in(x: Tree) -> Fraction | None:
    """The value of a number, or of a quotient of two, as which a number with digits after the point is
    printed."""
    match x:
        case tree.Chain(operands=(over, under), operators=("/",)):
            a, b = number_in(over), number_in(under)
            return a / b if a is not None and b else None
    return number_in(x)


def _number(m: Maker, value: Fraction) -> Tree | None:
    """A number, if it is one that a file may have."""
    shown = f"{value.numerator}{value.denominator}"
    return m.number(value) if len(shown) <= MOST_DIGITS else None


def _sum(m: Maker, parts: list[Tree], operators: tuple[str, ...]) -> Tree:
    signed = [parts[0], *(x if op == "+" else m.neg(x) for op, x in zip(operators, parts[1:], strict=True))]
    values = [number_in(x) for x in signed]
    total = sum((v for v in values if v is not None), start=Fraction(0))
    rest = [x for x, v in zip(signed, values, strict=True) if v is None]
    known = _number(m, total)
    if known is None:
        return m.add(*signed)
    first = isinstance(parts[0], tree.Literal | tree.Negated) and values[0] is not None
    return m.add(known, *rest) if first else m.add(*rest, known)


def _product(m: Maker, parts: list[Tree], operators: tuple[str, ...]) -> Tree:
    signed = list(zip(("*", *operators), parts, strict=True))
    value, rest = Fraction(1), list[tuple[str, Tree]]()
    for op, x in signed:
        known = number_in(x)
        if known is None or (op == "/" and not known):
            rest.append((op, x))
        else:
            value = value * known if op == "*" else value / known
    front = _number(m, value)
    rest = signed if front is None else [("*", front), *rest]
    out = m.mul(*(x for op, x in rest if op == "*"))
    for x in (x for op, x in rest if op == "/"):
        out = m.div(out, x)
    return out
