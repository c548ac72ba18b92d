"""Where an integrand bends, jumps or is narrow.

What its line is cut at for a quadrature (`integral` in emit/helpers/integrals.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from tpc.core.expr import (
    ONE,
    ZERO,
    Add,
    Call,
    Compare,
    Expr,
    Mul,
    Number,
    Pow,
    Value,
    add,
    children,
    divide,
    is_vector,
    mul,
    neg,
    values,
)
from tpc.core.functions import elementwise
from tpc.gram.basis import multiple_of, total_of
from tpc.gram.ir import CovarianceProgram, Integral

Kind = Literal["line", "curve", "turn"]
Affine = dict[str, Expr]  # coefficients by variable, what is left under ""
ROOTS = 4  # that are looked for of what is no line
# seconds that XLA takes to compile one, and a cut of it, in each dimension
AN_INTEGRAL, A_LINE, A_CURVE = 0.15, 0.15, 0.7


@dataclass(frozen=True, slots=True)
class Cut:
    """Cuts of one coordinate.

    They are at the zero of `at`, if that is affine in it, at its zeros, or where it turns round.
    """

    kind: Kind
    at: Expr


def cuts_of(x: Integral) -> list[list[Cut]]:
    """The cuts of every coordinate.

    Coordinates that are not drawn yet stand at their means, given those that are.
    """
    found = list(dict.fromkeys(place for factor in x.factors for place in _places(factor, inside=False)))
    centred = all(mean == ZERO for mean in x.mean)
    out = []
    for k in range(len(x.variables)):
        later = set(x.variables[k:])
        cuts: dict[Cut, None] = {}
        for kind, at in found:
            if not later & _variables(at):
                continue
            line = affine(at, later)
            if line is None or kind == "line":
                cuts[Cut("curve" if kind == "line" and line is None else kind, at)] = None
        if k == len(x.variables) - 2:
            lines = [
                line
                for kind, at in found
                if kind == "line" and (line := affine(at, set(x.variables[k:]))) is not None
            ]
            cuts.update({Cut("line", at): None for at in crossings(lines, *x.variables[k:])})
        if k == 0 and centred:
            cuts = _without_the_mean(cuts, x.variables)
        out.append(list(cuts))
    return out


def _without_the_mean(cuts: dict[Cut, None], names: Sequence[str]) -> dict[Cut, None]:
    """One cut only at the mean, where all multiples of Gaussians are 0.

    None if it is the only one, where lines are cut anyway.
    """
    at_mean = [
        cut
        for cut in cuts
        if cut.kind == "line" and (line := affine(cut.at, set(names))) is not None and "" not in line
    ]
    return {} if len(at_mean) == len(cuts) else {cut: None for cut in cuts if cut not in at_mean[1:]}


def crossings(lines: Sequence[Affine], u: str, v: str) -> Iterator[Expr]:
    """What is 0 at the u where two cuts of v are one: the line of u is cut there, too."""
    for one, other in combinations([line for line in lines if v in line], 2):
        if u in one or u in other or "" in one or "" in other:
            combined = {
                key: add(mul(other[v], one.get(key, ZERO)), neg(mul(one[v], other.get(key, ZERO))))
                for key in (u, "")
            }
            if combined[u] != ZERO:
                yield add(mul(combined[u], _coordinate(u)), combined[""])


def _coordinate(name: str) -> Expr:
    from tpc.core.expr import Ref

    return Value(Ref(name), True)


def _places(x: Expr, *, inside: bool) -> Iterator[tuple[Kind, Expr]]:
    """The cuts that the functions in `x` ask for, those of arguments first.

    inside: of a function, of which what a polynomial does shows more.
    """
    if not is_vector(x):
        return
    deeper = inside or isinstance(x, Call | Compare)
    for part in children(x):
        yield from _places(part, inside=deeper or (isinstance(x, Pow) and not _is_whole(x.exponent)))
    match x:
        case Compare(_, left, right):
            yield from _zeros(add(left, neg(right)))
        case Call(_, (left, right)):
            yield from _zeros(add(left, neg(right)))
        case Call(function, (argument,)) if elementwise(function).bends:
            if (
                elementwise(function).growth != "exponential"
                or affine(argument, _variables(argument)) is not None
            ):
                yield from _zeros(argument)
            if elementwise(function).growth != "polynomial":
                yield from _turns(argument)
        case Pow(base, exponent) if is_vector(base) and (inside or not _is_whole(exponent)):
            yield from _zeros(base)
            if not _is_whole(exponent):
                yield from _turns(base)
        case Pow(_, exponent) if is_vector(exponent):
            yield from _turns(exponent)


def _is_whole(exponent: Expr) -> bool:
    return isinstance(exponent, Number) and exponent.value.denominator == 1 and exponent.value > 0


def _zeros(x: Expr) -> Iterator[tuple[Kind, Expr]]:
    """The zeros of `x`, but for a number in front."""
    if isinstance(x, Mul):
        x = mul(*(f for f in x.factors if is_vector(f)))
    line = affine(x, _variables(x))
    if line and len(line) == 1 + ("" in line):  # of one coordinate
        ((name, slope),) = ((name, slope) for name, slope in line.items() if name)
        x = add(_coordinate(name), divide(line.get("", ZERO), slope)) if isinstance(slope, Number) else x
    if is_vector(x) and not _is_positive(x):
        yield "line", x


def _turns(x: Expr) -> Iterator[tuple[Kind, Expr]]:
    """Where `x` is largest or least, if no function of a line is so there, whose cuts are known, as are those
    where what is made of lines bends."""
    while True:
        match x:
            case Mul(parts) | Add(parts) if sum(map(is_vector, parts)) == 1:
                x = next(part for part in parts if is_vector(part))
            case Pow(base, exponent) if _is_whole(exponent):
                x = base
            case Call(function, (argument,)) if elementwise(function).bends:
                x = argument
            case _:
                break
    if is_vector(x) and not _is_made_of_lines(x):
        yield "turn", x


def _is_made_of_lines(x: Expr) -> bool:
    """Whether `x` is affine between places where one of its functions bends (`relu`, `abs`, `max`, `min`)."""
    match x:
        case Add(terms):
            return all(map(_is_made_of_lines, terms))
        case Mul(factors):
            moving = [f for f in factors if is_vector(f)]
            return len(moving) < 2 and all(map(_is_made_of_lines, moving))
        case Call(function, args) if elementwise(function).shape == "kink":
            return elementwise(function).degree == 1 and all(map(_is_made_of_lines, args))
    return isinstance(x, Value) or not is_vector(x)


def _is_positive(x: Expr, *, strictly: bool = True) -> bool:
    """Whether `x` is certainly positive, or not negative."""
    match x:
        case Number(value):
            return value > 0 if strictly else value >= 0
        case Add(terms):
            return all(_is_positive(t, strictly=False) for t in terms) and (
                not strictly or any(_is_positive(t) for t in terms)
            )
        case Mul(factors):
            return all(_is_positive(f, strictly=strictly) for f in factors)
        case Pow(base, Number(k)):
            return _is_positive(base, strictly=strictly) or (
                not strictly and k.denominator == 1 and k % 2 == 0
            )
        case Call(function):
            sign = elementwise(function).sign
            return sign == "positive" or (sign == "not negative" and not strictly)
    return False


def affine(x: Expr, names: set[str]) -> Affine | None:
    """`x` as a combination of these coordinates with coefficients that have none of them.

    None if it is none.
    """
    if not _variables(x) & names:
        return {} if x == ZERO else {"": x}
    match x:
        case Value(ref, True):
            return {ref.name: ONE}
        case Add(terms):
            return total_of(affine(term, names) for term in terms)
        case Mul(factors):
            moving = [f for f in factors if _variables(f) & names]
            still = [f for f in factors if not _variables(f) & names]
            return multiple_of(affine(moving[0], names), still) if len(moving) == 1 else None
    return None


def _variables(x: Expr) -> set[str]:
    return {v.ref.name for v in values(x) if v.vector}


def nodes_of(x: Integral, points: int) -> float:
    """How many nodes the rule of an integral has, of so many on each part of a line.

    Roots that are looked for count by what they take.
    """
    share = points * (8, 7, 4, 2)[len(x.variables) - 1] // 8
    out = 1.0
    for cuts in cuts_of(x):
        parts = sum(1 if cut.kind == "line" else ROOTS for cut in cuts)
        out *= max(2, parts + 1) * share
    return out


def quadrature_entries(covariances: CovarianceProgram, points: int) -> float:
    """How often integrands are evaluated, all entries of arrays counted."""
    total = 0.0
    for definition in covariances.definitions:
        for piece in definition.pieces:
            if isinstance(piece.formula, Integral):
                entries = 1
                for count in piece.extent:
                    entries *= count
                total += entries * nodes_of(piece.formula, points)
    return total


def seconds_of_compiling(covariances: CovarianceProgram) -> float:
    """What XLA is predicted to take for all integrals."""
    integrals = [
        piece.formula
        for d in covariances.definitions
        for piece in d.pieces
        if isinstance(piece.formula, Integral)
    ]
    total = 0.0
    for integral in integrals:
        kinds = [cut.kind for cuts in cuts_of(integral) for cut in cuts]
        lines = kinds.count("line")
        total += len(integral.variables) * (AN_INTEGRAL + A_LINE * lines + A_CURVE * (len(kinds) - lines))
    return total
