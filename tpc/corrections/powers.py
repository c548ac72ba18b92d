"""Powers of n as powers of one number, t = n^(-1/2), which is 0 in the limit.

A program with none but negative powers of n is a functional of its points and of t. A width n moves both: the
mean at width n is off by t ∂F/∂t + t² (½ ∂²F/∂t² + ½ E F''[δ − μ, δ − μ]), and the spread is to first order
that of the limit. So n times the bias has a limit if ∂F/∂t is 0. To both sides, ± t and ± t d, all of these
are differences as without powers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace as changed
from fractions import Fraction
from math import lcm

from tpc.core.expr import Call, Expr, Extent, Mul, Number, Pow, Ref, Value, call, mul, power, replace
from tpc.core.functions import elementwise
from tpc.core.names import part
from tpc.core.passes import Body, rewrite
from tpc.core.program import Input, Instruction, Program, all_families
from tpc.core.traverse import map_phi


@dataclass(frozen=True, slots=True)
class Rooted:
    """A program without powers of n, and the input that is n^(-1/2); None if there were none."""

    program: Program
    root: str | None


def rooted(program: Program, *, growing: bool = False) -> Rooted | None:
    """The program with powers of one input for those of its widths; None if a power is none of n^(-1/2).

    growing: whether others than negative powers are allowed, so that the input must not be 0.
    """
    root, body, found = _with_root(program)
    if any(_hinders(p, growing) for p in found):
        return None
    made = Input(root, default=Fraction(1 if growing else 0))
    return Rooted(changed(program, inputs=(*program.inputs, made), body=body), root)


def hindrance(program: Program, *, growing: bool = False) -> tuple[Fraction, Instruction]:
    """Of a program that is not `rooted` a power because of which it is not, and what has it.

    One that is none of n^(-1/2), if there is one.
    """
    _, _, found = _with_root(program)
    there = {p: op for p, op in found.items() if _hinders(p, growing)}
    worst = max(there, key=lambda p: ((2 * p).denominator, p))
    return worst, there[worst]


def _hinders(p: Fraction, growing: bool) -> bool:
    return (p > 0 and not growing) or (2 * p).denominator > 1


def order_of(program: Program) -> float:
    """The p of n^(-p), in powers of which outputs come near to their limits: 1, or 1/4 where n^(1/4) occurs.

    Of n^(1/2) odd powers are taken to cancel, as they do in the parametrizations.
    """
    _, _, found = _with_root(program)
    finest = lcm(*(p.denominator for p in found))
    return 1.0 if finest <= 2 else 1 / finest


def _with_root(program: Program) -> tuple[str, Body, dict[Fraction, Instruction]]:
    """An input that is n^(-1/2), the instructions with it for widths, and the powers of n that they had.

    With each power the first instruction that has it.
    """
    root = part("n", {item.name for item in program.inputs} | set(all_families(program)))
    ratios = {width.name: width.ratio for width in program.widths}
    found: dict[Fraction, Instruction] = {}

    def without_powers(op: Instruction) -> Instruction:
        def of_root(node: Expr) -> Expr | None:
            rest, exponent = _apart(node, ratios)
            if not exponent:
                return None if rest is node else replace(rest, of_root)
            found.setdefault(exponent, op)
            return mul(power(Value(Ref(root), False), Number(-2 * exponent)), replace(rest, of_root))

        return map_phi(op, lambda x: replace(x, of_root))

    return root, rewrite(program.body, without_powers), found


def _apart(x: Expr, ratios: Mapping[str, Expr]) -> tuple[Expr, Fraction]:
    """What is left of x without the power of n that it is multiplied by, and that power."""
    match x:
        case Extent(width):
            return ratios[width], Fraction(1)
        case Pow(base, Number(exponent)):
            rest, own = _apart(base, ratios)
            return (x, own) if rest is base else (power(rest, Number(exponent)), own * exponent)
        case Call(function, (argument,)) if (degree := elementwise(function).degree) is not None:
            rest, own = _apart(argument, ratios)
            return (x, own) if rest is argument else (call(function, rest), own * degree)
        case Mul(factors):
            parts = [_apart(factor, ratios) for factor in factors]
            if all(rest is factor for (rest, _), factor in zip(parts, factors, strict=True)):
                return x, Fraction(0)
            return mul(*(rest for rest, _ in parts)), sum((own for _, own in parts), start=Fraction(0))
    return x, Fraction(0)
