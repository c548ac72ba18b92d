"""Series in powers of n.

`x = Σ_p n^p x_p`, as far down as is asked for, of expressions over families that are such series themselves.

A *cut* is the least power that is wanted. What has no power at or above it is left out, so that a series
without terms means "nothing that matters".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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
    OuterProduct,
    Pow,
    Ref,
    Sum,
    Value,
    add,
    call,
    children,
    is_vector,
    mul,
    neg,
    number,
    outer_product,
    power,
    replace,
    summed,
    values,
    walk,
)
from tpc.core.functions import elementwise
from tpc.core.spectral import SpectralMap
from tpc.expand.edges import contact_at, rests
from tpc.expand.growth import GrowsError, SmallError
from tpc.expand.of_spectra import spectral_power, spectral_series
from tpc.expand.terms import F0, NONE, Series, collected, folded, jumps_of, multisets, same_first

LOOKS = 4  # how many halves below the first power that is possible the first term is looked for


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
    # an expression of terms with what they are made of
    unfolded: Callable[[Expr], Expr]
    # whether all has been looked at: what has no terms so far has none of order 1
    seen: Callable[[], bool]
    # whether what has no powers is 0, not unknown
    settled: bool = False
    # for terms that are only looked at: none is wanted for that, and what jumps is constant beside its jumps
    beside: Expander | None = None

    def series(self, x: Expr, cut: Fraction) -> Series:
        """The terms of `x` whose power is `cut` or more."""
        if isinstance(x, Value):
            return self.members(x, cut)
        if isinstance(x, Extent):
            return {Fraction(1): self.ratios[x.width]} if cut <= 1 else NONE
        if not children(x):
            return {F0: x} if cut <= 0 and x != ZERO else NONE
        if self._plain(x):
            for v in values(x):
                self.members(v, cut)
            first = self._first_terms(x) if cut <= 0 else ZERO
            return {F0: first} if first != ZERO else NONE
        match x:
            case Add(terms):
                return collected((p, e) for term in terms for p, e in self.series(term, cut).items())
            case Mul(factors):
                return self._product(factors, cut)
            case OuterProduct(rows, columns):
                return self._product((rows, columns), cut, outer_product)
            case Pow(Extent(width), Number(exponent)):
                return {exponent: power(self.ratios[width], Number(exponent))} if exponent >= cut else NONE
            case Pow(base, Number(exponent)):
                return self._power(base, exponent, cut)
            case Pow(base, exponent):
                return self._smooth(lambda a, b: power(a, b), "^", (base, exponent), cut)
            case Sum(variable, count, body):
                return {p: summed(variable, count, e) for p, e in self.series(body, cut).items()}
            case SpectralMap():
                return spectral_series(self, x, cut)
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
        return (
            all(set(self.powers(v.ref)) == {F0} for v in values(x))
            and not any(isinstance(node, Extent) for node in walk(x))
            and not any(rests(self.unfolded(self._first_terms(place)), ONE) for place in jumps_of(x))
        )

    def _first_terms(self, x: Expr) -> Expr:
        """`x` of values of order 1 by their names as terms, or the numbers that these are."""
        first = {v: self.members(v, F0)[F0] for v in values(x)}
        found = replace(x, lambda node: first[node] if isinstance(node, Value) else None)
        return folded(found) if any(isinstance(term, Number) for term in first.values()) else found

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
                return self.greatest(terms)
            case SpectralMap(_, _, tables):
                return spectral_power(x, self.power_of(tables[0]))
            case Mul() | OuterProduct():
                powers = [self.power_of(factor) for factor in x.parts]
                return None if None in powers else sum((p for p in powers if p is not None), F0)
            case Pow(base, Number(exponent)):
                own = self.power_of(base)
                return None if own is None else own * exponent
            case Sum(_, _, body):
                return self.power_of(body)
            case Call("where", (_, left, right)):
                return self.greatest((left, right))
            case Call(function, args) if (degree := elementwise(function).degree) is not None:
                own = self.greatest(args)
                return None if own is None else own * degree
            case _:
                return None if x == ZERO else F0

    def greatest(self, parts: Sequence[Expr]) -> Fraction | None:
        """The greatest power that some of the parts may have; None if none has terms."""
        return max((p for part in parts if (p := self.power_of(part)) is not None), default=None)

    # rules

    def _product(
        self, factors: Sequence[Expr], cut: Fraction, combined: Callable[[Expr, Expr], Expr] = mul
    ) -> Series:
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
        out = parts[0]
        for part in parts[1:]:
            out = collected((p + q, combined(a, b)) for p, a in out.items() for q, b in part.items())
        return {p: e for p, e in out.items() if p >= cut}

    def _power(self, base: Expr, exponent: Fraction, cut: Fraction) -> Series:
        """`(n^p (b + …))^q = n^{pq} (b + …)^q`, expanded at b."""
        top = self.power_of(base)
        if top is None:
            self.look_for([base], exponent, cut)
            return NONE
        terms = self.series(base, min(cut - top * (exponent - 1), top))
        return self._scaled(lambda b: power(b, Number(exponent)), "^", [terms], exponent, cut)

    def _homogeneous(self, function: str, args: Sequence[Expr], degree: Fraction, cut: Fraction) -> Series:
        top = self.greatest(args)
        if top is None:
            self.look_for(args, degree, cut)
            top = F0
        if top > 0 and any(map(is_vector, args)):
            raise GrowsError(function, *self.largest(args))
        top = self._first(args, top, lambda p: p * degree >= cut) or top
        terms = [self.series(a, min(cut - top * (degree - 1), top)) for a in args]
        if len(terms) > 1 and same_first(*terms) and (simpler := elementwise(function).simpler):
            return self.series(simpler(*args), cut)  # what is below decides
        found = self._scaled(lambda *a: folded(call(function, *a)), function, terms, degree, cut)
        shape = elementwise(function).shape
        if shape == "smooth" or not found:
            return found
        place = args[0] if len(args) == 1 else add(args[0], neg(args[1]))
        moves = self._moves_at_rest(place, top if shape == "jump" else min(top, cut - top * (degree - 1)))
        if moves is None:
            return found
        return self._roughened(found, top * degree if shape == "jump" else top * degree + moves, function)

    def look_for(self, args: Sequence[Expr], degree: Fraction, cut: Fraction) -> None:
        """Has the first terms of what has none so far looked for: its root is larger, its sign may be 1."""
        least = cut / degree if degree > 0 else Fraction(-LOOKS, 2) if self.seen() else F0
        for a in () if self.settled else args:
            self.series(a, min(F0, cut, least))

    def _first(
        self, args: Sequence[Expr], top: Fraction, wanted: Callable[[Fraction], bool]
    ) -> Fraction | None:
        """The greatest power that is there, `top` being possible; None if there is none that is wanted."""
        if not all(self.powers(v.ref) for a in args for v in values(a)):
            return None
        for k in range(LOOKS + 1):
            p = top - Fraction(k, 2)
            if not wanted(p):
                break
            if there := [q for a in args for q in self.series(a, p)]:
                return max(there)
        return None

    def _moves_at_rest(self, place: Expr, cut: Fraction) -> Fraction | None:
        """The power, relative to its first one, of what moves `place` where its first term is 0, if that is
        at more than single points.

        cut: how far down to look; if it is the first power, until something is found.
        """
        if not is_vector(place):
            return None
        look = self.beside or self
        terms = look.series(place, cut)
        first = max(terms, default=None)
        if first is None or not rests(self.unfolded(terms[first]), ONE):
            return None
        if cut == first:
            deeper = (look.series(place, cut - Fraction(k, 2)) for k in range(1, LOOKS + 1))
            terms = next((t for t in deeper if len(t) > 1), NONE)
        lower = max((p for p in terms if p < first), default=None)
        if lower is None or not rests(self.unfolded(terms[first]), self.unfolded(terms[lower])):
            return None
        return lower - first

    def _roughened(self, found: Series, worst: Fraction, function: str) -> Series:
        """Without the terms of the power `worst` and below, which need a derivative that does not exist."""
        kept = {p: e for p, e in found.items() if p > worst}
        return {**kept, worst: self.rough(function)}

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
            raise GrowsError(function, *self.largest(args))
        terms = [self.series(a, min(cut, F0)) for a in args]
        if function != "^" and elementwise(function).growth == "local" and any(F0 not in t for t in terms):
            if self.settled:
                raise SmallError(function)
            return NONE
        return self._taylor(lambda *a: folded(build(*a)), function, terms, cut)

    def _where(self, condition: Expr, left: Expr, right: Expr, cut: Fraction) -> Series:
        """Term by term, where the condition holds in the limit, as far down as moves of its edge allow."""
        assert isinstance(condition, Compare)
        sides = add(condition.left, neg(condition.right))
        top = self.power_of(sides)
        if top is None:
            self.look_for([sides], F0, cut)
        start = min(F0, F0 if top is None else top)
        found = self._first([sides], start, lambda p: True)
        terms = self.series(sides, start if found is None else min(start, found))
        first = max(terms, default=None)
        decided = Compare(condition.op, ZERO if first is None else terms[first], ZERO)
        if first == 0:
            both = [self.series(side, F0).get(F0, ZERO) for side in (condition.left, condition.right)]
            decided = Compare(condition.op, both[0], both[1])
        one, other = self.series(left, cut), self.series(right, cut)
        out = {p: call("where", decided, one.get(p, ZERO), other.get(p, ZERO)) for p in {*one, *other}}
        out = {p: out[p] for p in sorted(out, reverse=True)}
        if first is None or not is_vector(sides):
            return out
        apart = [p for p in out if one.get(p) != other.get(p)]
        moved = [
            self._moved(sides, first, decided, (p, one.get(p, ZERO), other.get(p, ZERO)), cut) for p in apart
        ]
        if apart and self._moves_at_rest(sides, first) is not None:
            moved.append(max(apart))
        worst = max((p for p in moved if p is not None), default=None)
        return out if worst is None else self._roughened(out, worst, "where")

    def _moved(
        self,
        sides: Expr,
        first: Fraction,
        decided: Compare,
        branches: tuple[Fraction, Expr, Expr],
        cut: Fraction,
    ) -> Fraction | None:
        """The power, if it is `cut` or more, of what terms of the branches give where the edge moves.

        sides: what is compared with 0. first: its greatest power; an edge moves by n^d if the next one is d
        less. branches: terms of the power p. If all their derivatives before the k-th agree at the edge, they
        are as much as n^{kd} apart where only one of them should be, which is so at n^d of the coordinates:
        that is of order n^{p + (k+1)d} in a mean.
        """
        p, left, right = branches
        edge = self.unfolded(decided)
        assert isinstance(edge, Compare)
        contact = contact_at(edge, self.unfolded(left), self.unfolded(right)) if p > cut else None
        if contact is not None:
            lower = self.series(sides, first + (cut - p) / (contact + 1))
            if power := max((q for q in lower if q < first), default=None):
                return p + (contact + 1) * (power - first)
        return None

    def _taylor(
        self, build: Callable[..., Expr], function: str, args: Sequence[Series], cut: Fraction
    ) -> Series:
        """`φ(a + δ)` at the terms of order 1: Σ over multisets of lower terms of φ's derivatives by them."""
        if cut > 0:
            return NONE
        slots = [
            Value(Ref(f"·{k}"), any(is_vector(e) for e in terms.values())) for k, terms in enumerate(args)
        ]
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
        """The derivative. A scalar is where a function jumps by chance only: there its derivative is 0."""

        def seed(node: Expr) -> Expr | None:
            if isinstance(node, Value):
                return ONE if node == slot else ZERO
            jumps = isinstance(node, Call) and not any(elementwise(node.function).derivatives)
            return ZERO if jumps and not is_vector(node) else None

        try:
            return differentiate(x, seed)
        except NotDifferentiableError as error:
            return self.rough(error.function)

    def largest(self, args: Sequence[Expr]) -> tuple[Ref | None, Fraction]:
        """What grows fastest among a function's arguments: its name if it has one, and its power."""
        worst = max((a for a in args if self.power_of(a) is not None), key=lambda a: self.power_of(a) or F0)
        named = [(v.ref, p) for v in values(worst) if (p := self.top(v.ref)) is not None and p > 0]
        ref = max(named, key=lambda pair: pair[1])[0] if named else None
        return ref, self.power_of(worst) or F0
