"""Series in powers of n.

`x = Σ_p n^p x_p`, as far down as is asked for, of expressions over families that are such series themselves.

A *cut* is the least power that is wanted. What has no power at or above it is left out, so that a series
without terms means "nothing that matters".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import factorial

from tpc.core.calculus import NotDifferentiableError, differentiate
from tpc.core.expr import (
    ONE,
    ZERO,
    Add,
    Call,
    Compare,
    Expr,
    Extent,
    Mul,
    Number,
    Pow,
    Ref,
    Sum,
    Value,
    add,
    call,
    children,
    coefficient,
    is_vector,
    mul,
    neg,
    number,
    power,
    rebuild,
    replace,
    summed,
    values,
    walk,
)
from tpc.core.functions import elementwise
from tpc.core.program import Instruction
from tpc.expand.edges import jumps

Series = Mapping[Fraction, Expr]
NONE: Series = {}
F0 = Fraction(0)


class GrowsError(Exception):
    """A quantity that grows with n meets a function, of which there is no limit then.

    value: the quantity, if it has a name.
    """

    def __init__(self, function: str, value: Ref | None, at: Fraction) -> None:
        super().__init__(function)
        self.function, self.value, self.power = function, value, at


class SmallError(Exception):
    """A quantity that tends to 0 meets a function that is not finite there, in `op`."""

    def __init__(self, function: str, op: Instruction | None = None) -> None:
        super().__init__(function)
        self.function, self.op = function, op


@dataclass(frozen=True)
class Expander:
    """Makes series."""

    # the terms of a family's member from a cut on
    members: Callable[[Value, Fraction], Series]
    # those that it may have
    powers: Callable[[Ref], Collection[Fraction]]
    # of widths, to the first one
    ratios: Mapping[str, Expr]
    # what to put for a term that needs a derivative that does not exist (it may raise)
    rough: Callable[[str], Expr]
    # whether what has no powers is 0, not unknown
    settled: bool = False

    def series(self, x: Expr, cut: Fraction) -> Series:
        """The terms of `x` whose power is `cut` or more."""
        if isinstance(x, Value):
            return self.members(x, cut)
        if isinstance(x, Extent):
            return {Fraction(1): self.ratios[x.width]} if cut <= 1 else NONE
        if not children(x):
            return {F0: x} if cut <= 0 and x != ZERO else NONE
        if self._plain(x):
            own = {v: self.members(v, cut) for v in values(x)}
            return (
                {F0: replace(x, lambda node: own[node][F0] if isinstance(node, Value) else None)}
                if cut <= 0
                else NONE
            )
        match x:
            case Add(terms):
                return collected((p, e) for term in terms for p, e in self.series(term, cut).items())
            case Mul(factors):
                return self._product(factors, cut)
            case Pow(Extent(width), Number(exponent)):
                ratio = self.ratios[width]
                return (
                    {exponent: ONE if ratio == ONE else power(ratio, Number(exponent))}
                    if exponent >= cut
                    else NONE
                )
            case Pow(base, Number(exponent)):
                return self._power(base, exponent, cut)
            case Pow(base, exponent):
                return self._smooth(lambda a, b: power(a, b), "^", (base, exponent), cut)
            case Sum(variable, count, body):
                return {p: summed(variable, count, e) for p, e in self.series(body, cut).items()}
            case Call("where", (condition, left, right)):
                return self._where(condition, left, right, cut)
            case Call(function, args) if (degree := elementwise(function).degree) is not None:
                return self._homogeneous(function, args, degree, cut)
            case Call(function, args):
                return self._smooth(lambda *a: call(function, *a), function, args, cut)
        raise TypeError(f"no series for {type(x).__name__}")

    def _plain(self, x: Expr) -> bool:
        """Whether everything in `x` is of order 1 at most, and nothing has terms below that.

        Then it is its own series.
        """
        return all(set(self.powers(v.ref)) == {F0} for v in values(x)) and not any(
            isinstance(node, Extent) for node in walk(x)
        )

    def top(self, ref: Ref) -> Fraction | None:
        """The greatest power of a member."""
        return max(self.powers(ref), default=None)

    def power_of(self, x: Expr) -> Fraction | None:
        """A power that no term of `x` exceeds; None if it has no terms."""
        match x:
            case Value(ref, _):
                return self.top(ref)
            case Extent():
                return Fraction(1)
            case Add(terms):
                return max((p for term in terms if (p := self.power_of(term)) is not None), default=None)
            case Mul(factors):
                powers = [self.power_of(factor) for factor in factors]
                return None if None in powers else sum((p for p in powers if p is not None), F0)
            case Pow(base, Number(exponent)):
                own = self.power_of(base)
                return None if own is None else own * exponent
            case Sum(_, _, body):
                return self.power_of(body)
            case Call("where", (_, left, right)):
                return max(
                    (p for part in (left, right) if (p := self.power_of(part)) is not None), default=None
                )
            case Call(function, args) if (degree := elementwise(function).degree) is not None:
                own = max((p for a in args if (p := self.power_of(a)) is not None), default=None)
                return None if own is None else own * degree
            case _:
                return None if x == ZERO else F0

    # rules

    def _product(self, factors: Sequence[Expr], cut: Fraction) -> Series:
        """Each factor is wanted as far down as the others are large.

        One without terms so far counts as of order 1, so that they are looked for.
        """
        powers = [self.power_of(factor) for factor in factors]
        if self.settled and None in powers:
            return NONE
        total = sum((p for p in powers if p is not None), F0)
        parts = []
        for factor, own in zip(factors, powers, strict=True):
            rest = total - (own or F0)
            parts.append(self.series(factor, cut - rest if None not in powers else min(cut - rest, F0)))
        out: Series = {F0: ONE}
        for part in parts:
            out = collected((p + q, mul(a, b)) for p, a in out.items() for q, b in part.items())
        return {p: e for p, e in out.items() if p >= cut}

    def _power(self, base: Expr, exponent: Fraction, cut: Fraction) -> Series:
        """`(n^p (b + …))^q = n^{pq} (b + …)^q`, expanded at b."""
        top = self.power_of(base)
        if top is None:
            if not self.settled:
                self.series(base, min(cut, F0))
            return NONE
        terms = self.series(base, min(cut - top * (exponent - 1), top))
        return self._scaled(lambda b: power(b, Number(exponent)), "^", [terms], exponent, cut)

    def _homogeneous(self, function: str, args: Sequence[Expr], degree: Fraction, cut: Fraction) -> Series:
        tops = [p for a in args if (p := self.power_of(a)) is not None]
        top = max(tops, default=F0)
        if top > 0 and any(map(is_vector, args)):
            raise GrowsError(function, *self._largest(args))
        terms = [self.series(a, min(cut - top * (degree - 1), top)) for a in args]
        return self._scaled(lambda *a: folded(call(function, *a)), function, terms, degree, cut)

    def _scaled(
        self,
        build: Callable[..., Expr],
        function: str,
        args: Sequence[Series],
        degree: Fraction,
        cut: Fraction,
    ) -> Series:
        """A homogeneous function of series.

        Their greatest power taken out, to the degree, the rest expanded at what is left.
        """
        top = max((p for terms in args for p in terms), default=None)
        if top is None:
            return NONE
        shifted = [{p - top: e for p, e in terms.items()} for terms in args]
        found = self._taylor(build, function, shifted, cut - top * degree)
        return {p + top * degree: e for p, e in found.items()}

    def _smooth(
        self, build: Callable[..., Expr], function: str, args: Sequence[Expr], cut: Fraction
    ) -> Series:
        """A function of what is of order 1, expanded at the terms of order 1."""
        if max((p for a in args if (p := self.power_of(a)) is not None), default=F0) > 0:
            raise GrowsError(function, *self._largest(args))
        terms = [self.series(a, min(cut, F0)) for a in args]
        if function != "^" and elementwise(function).growth == "local" and any(F0 not in t for t in terms):
            if self.settled:
                raise SmallError(function)
            return NONE
        return self._taylor(lambda *a: folded(build(*a)), function, terms, cut)

    def _where(self, condition: Expr, left: Expr, right: Expr, cut: Fraction) -> Series:
        """Term by term, where the condition holds in the limit.

        Below the first that is right only if both are equal where the condition changes.
        """
        assert isinstance(condition, Compare)
        sides = add(condition.left, neg(condition.right))
        top = self.power_of(sides)
        terms = self.series(sides, min(F0, F0 if top is None else top))
        first = max(terms, default=None)
        decided = Compare(condition.op, ZERO if first is None else terms[first], ZERO)
        if first == 0:
            both = [self.series(side, F0).get(F0, ZERO) for side in (condition.left, condition.right)]
            decided = Compare(condition.op, both[0], both[1])
        one, other = self.series(left, cut), self.series(right, cut)
        out = {
            p: call("where", decided, one.get(p, ZERO), other.get(p, ZERO))
            for p in sorted({*one, *other}, reverse=True)
        }
        moves = not self._plain(sides)
        if moves and out and min(out) < max(out) and jumps(condition, left, right):
            out = {p: e if p == max(out) else self.rough("where") for p, e in out.items()}
        return out

    def _taylor(
        self, build: Callable[..., Expr], function: str, args: Sequence[Series], cut: Fraction
    ) -> Series:
        """`φ(a + δ)` at the terms of order 1.

        Σ over multisets of lower terms of a derivative of φ times their product.
        """
        if cut > 0:
            return NONE
        slots = [Value(Ref(f"·{k}"), True) for k in range(len(args))]
        base = dict(zip(slots, (terms.get(F0, ZERO) for terms in args), strict=True))
        known: dict[tuple[int, ...], Expr] = {(): build(*slots)}

        def derivative(by: tuple[int, ...]) -> Expr:
            if by not in known:
                known[by] = self._slope(derivative(by[:-1]), slots[by[-1]])
            return known[by]

        lower = [(k, p, e) for k, terms in enumerate(args) for p, e in terms.items() if p < 0]
        found = []
        for chosen in multisets(lower, cut):
            weight = Fraction(1)
            for item in dict.fromkeys(chosen):
                weight /= factorial(chosen.count(item))
            slope = derivative(tuple(sorted(k for k, _, _ in chosen)))
            there = folded(replace(slope, lambda node: base.get(node) if isinstance(node, Value) else None))
            total = sum((p for _, p, _ in chosen), F0)
            found.append((total, mul(number(weight), there, *(e for _, _, e in chosen))))
        return collected(found)

    def _slope(self, x: Expr, slot: Value) -> Expr:
        try:
            return differentiate(
                x, lambda node: (ONE if node == slot else ZERO) if isinstance(node, Value) else None
            )
        except NotDifferentiableError as error:
            return self.rough(error.function)

    def _largest(self, args: Sequence[Expr]) -> tuple[Ref | None, Fraction]:
        """What grows fastest among a function's arguments: its name if it has one, and its power."""
        worst = max((a for a in args if self.power_of(a) is not None), key=lambda a: self.power_of(a) or F0)
        named = [(v.ref, p) for v in values(worst) if (p := self.top(v.ref)) is not None and p > 0]
        ref = max(named, key=lambda pair: pair[1])[0] if named else None
        return ref, self.power_of(worst) or F0


def collected(terms: Iterable[tuple[Fraction, Expr]]) -> Series:
    """Like powers put together, greatest first, zeros left out."""
    found: dict[Fraction, list[Expr]] = {}
    for p, e in terms:
        found.setdefault(p, []).append(e)
    return {p: total for p in sorted(found, reverse=True) if (total := cancelled(found[p])) != ZERO}


def cancelled(terms: Sequence[Expr]) -> Expr:
    """The sum, with what occurs in it with coefficients that add up to 0 left out."""
    flat = [part for term in terms for part in (term.terms if isinstance(term, Add) else (term,))]
    if len(flat) > 1:
        totals: dict[Expr, Fraction] = {}
        for part in flat:
            totals[monomial(part)] = totals.get(monomial(part), F0) + coefficient(part).value
        flat = [part for part in flat if totals[monomial(part)]]
    return add(*flat)


def monomial(x: Expr) -> Expr:
    """A product without the number in front."""
    return (
        mul(*(f for f in x.factors if not isinstance(f, Number)))
        if isinstance(x, Mul)
        else ONE
        if isinstance(x, Number)
        else x
    )


Lower = tuple[int, Fraction, Expr]


def multisets(items: Sequence[Lower], cut: Fraction) -> Iterator[tuple[Lower, ...]]:
    """All multisets of terms whose powers add up to `cut` or more, the empty one first."""
    yield ()
    for i, item in enumerate(items):
        if item[1] >= cut:
            for rest in multisets(items[i:], cut - item[1]):
                yield (item, *rest)


def folded(x: Expr) -> Expr:
    """`x` with functions of 0 worked out."""
    parts = [folded(part) for part in children(x)]
    if isinstance(x, Call) and all(part == ZERO for part in parts):
        value = elementwise(x.function).at_zero
        if value is not None:
            return value
    return rebuild(x, parts)
