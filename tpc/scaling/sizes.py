"""How large quantities are, as powers of n.

The rules are those by which sizes pass through the expressions of a program.

A size e means Θ(n^e); None is the size of 0. Sizes of sums are the larger, of products the sum (max-plus
algebra): nothing is assumed to cancel but what must, the means that `parity` shows to vanish. A quantity has
three: untouched by training (where learning rates are 0), its change by training, and itself. A product with
the learning rate is all change, and is made of what the round before has left.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple, Protocol

from tpc.core import expr
from tpc.core.exponent import Exponent
from tpc.core.functions import elementwise

HALF = Fraction(1, 2)


class Algebra(Protocol):
    """Sizes: numbers (`Numbers`), or expressions in open exponents."""

    def const(self, form: Exponent) -> Any: ...
    def plus(self, x: Any, y: Any) -> Any: ...
    def join(self, x: Any, y: Any) -> Any: ...
    def least(self, x: Any, y: Any) -> Any: ...
    def smaller(self, x: Any, y: Any) -> Any: ...
    def scaled(self, x: Any, factor: Fraction) -> Any: ...


class Numbers:
    """Sizes as fractions, where the exponents have values."""

    def __init__(self, values: Mapping[str, Fraction]) -> None:
        self.values = values
        self.known: dict[Exponent, Fraction] = {}

    def const(self, form: Exponent) -> Fraction:
        found = self.known.get(form)
        if found is None:
            found = self.known[form] = form.at(self.values)
        return found

    def plus(self, x: Fraction | None, y: Fraction | None) -> Fraction | None:
        return None if x is None or y is None else x + y

    def join(self, x: Fraction | None, y: Fraction | None) -> Fraction | None:
        return y if x is None else x if y is None or x >= y else y

    def least(self, x: Fraction | None, y: Fraction | None) -> Fraction | None:
        return None if x is None or y is None else x if x <= y else y

    smaller = least

    def scaled(self, x: Fraction | None, factor: Fraction) -> Fraction | None:
        return None if x is None else x * factor


class Sizes(NamedTuple):
    """The sizes of a quantity: untouched by training, of its change, and of itself."""

    base: Any
    change: Any
    full: Any


NIL = Sizes(None, None, None)


@dataclass
class Env:
    """What expressions are sized in."""

    algebra: Algebra
    # `now`, `past`: sizes of families, in this round and after the last one
    now: dict[str, Sizes]
    past: Mapping[str, Sizes]
    # whether anything is learned
    learning: bool = True
    zero: Any = field(init=False)

    def __post_init__(self) -> None:
        self.zero = self.algebra.const(ZERO)


ZERO = Exponent()


class SizeNode(ABC):
    """A part of an expression, ready to be sized."""

    __slots__ = ()

    @abstractmethod
    def sizes(self, env: Env) -> Sizes: ...


@dataclass(frozen=True, slots=True)
class Const(SizeNode):
    """A number, or a power of n."""

    form: Exponent

    def sizes(self, env: Env) -> Sizes:
        size = env.algebra.const(self.form)
        return Sizes(size, None, size)


@dataclass(frozen=True, slots=True)
class Zero(SizeNode):
    def sizes(self, env: Env) -> Sizes:
        return NIL


@dataclass(frozen=True, slots=True)
class RefSize(SizeNode):
    family: str

    def sizes(self, env: Env) -> Sizes:
        return env.now[self.family]


@dataclass(frozen=True, slots=True)
class Join(SizeNode):
    """A sum, or cases."""

    parts: tuple[SizeNode, ...]

    def sizes(self, env: Env) -> Sizes:
        return join_sizes(env.algebra, [part.sizes(env) for part in self.parts])


@dataclass(frozen=True, slots=True)
class ProductSize(SizeNode):
    parts: tuple[SizeNode, ...]

    def sizes(self, env: Env) -> Sizes:
        return product_sizes(env.algebra, [part.sizes(env) for part in self.parts])


@dataclass(frozen=True, slots=True)
class Learned(SizeNode):
    """A product with the learning rate: of what the last round has left, and a change as a whole."""

    parts: tuple[SizeNode, ...]

    def sizes(self, env: Env) -> Sizes:
        if not env.learning:
            return NIL
        before = Env(env.algebra, dict(env.past), env.past)
        size = product_sizes(env.algebra, [part.sizes(before) for part in self.parts]).full
        return Sizes(None, size, size)


@dataclass(frozen=True, slots=True)
class PowerSize(SizeNode):
    """x^k. Its slope times the change of x, while that is smaller than x."""

    part: SizeNode
    k: Fraction

    def sizes(self, env: Env) -> Sizes:
        algebra, (base, change, full) = env.algebra, self.part.sizes(env)
        if self.k < 0:
            near = algebra.least(change, base) if base is not None else change
            moved = algebra.plus(near, algebra.scaled(base if base is not None else change, self.k - 1))
        else:
            moved = algebra.plus(change, algebra.scaled(full, self.k - 1))
        untouched = algebra.scaled(base, self.k)
        return Sizes(
            untouched, moved, algebra.join(untouched, moved) if self.k < 0 else algebra.scaled(full, self.k)
        )


@dataclass(frozen=True, slots=True)
class FunctionSize(SizeNode):
    """φ(x) of a function of the table.

    The size depends on whether x is small or large; for a small change it is Taylor's.
    """

    name: str
    part: SizeNode

    def sizes(self, env: Env) -> Sizes:
        algebra, zero, (base, change, full) = env.algebra, env.zero, self.part.sizes(env)
        entry = elementwise(self.name)
        if entry.shape == "jump":  # how many of its entries jump
            moved = algebra.plus(change, algebra.scaled(base, Fraction(-1))) if base is not None else change
            return Sizes(zero, algebra.least(moved, zero), zero)
        if entry.bounded and entry.at_zero == expr.ZERO:
            return Sizes(*(algebra.least(x, zero) for x in (base, change, full)))
        if entry.bounded:  # of order 1 everywhere, as exp(−x²)
            return Sizes(zero, algebra.least(change, zero), zero)
        if entry.at_zero == expr.ZERO:
            return Sizes(base, change, full)
        if entry.growth == "local":
            return Sizes(zero, algebra.plus(change, algebra.scaled(full, Fraction(-1))), zero)
        # exp, softplus, …: of order 1 at 0
        return Sizes(algebra.join(base, zero), change, algebra.join(full, zero))


@dataclass(frozen=True, slots=True)
class Cases(SizeNode):
    """`where`: the larger of the two; where the condition's sides change, so many entries change place."""

    sides: tuple[SizeNode, ...]
    parts: tuple[SizeNode, ...]

    def sizes(self, env: Env) -> Sizes:
        algebra = env.algebra
        sides, whole = (
            join_sizes(algebra, [x.sizes(env) for x in group]) for group in (self.sides, self.parts)
        )
        if sides.change is None:
            return whole
        flips = (
            algebra.plus(sides.change, algebra.scaled(sides.base, Fraction(-1)))
            if sides.base is not None
            else sides.change
        )
        moved = algebra.join(whole.change, algebra.plus(algebra.least(flips, env.zero), whole.full))
        return Sizes(whole.base, moved, whole.full)


@dataclass(frozen=True, slots=True)
class Capped(SizeNode):
    """`min(1, q/p)`, as clipping writes it: `where(p > q, q/p, 1)`."""

    p: SizeNode
    q: SizeNode

    def sizes(self, env: Env) -> Sizes:
        algebra, p, q = env.algebra, self.p.sizes(env), self.q.sizes(env)

        def cap(over: Any, under: Any) -> Any:
            return (
                env.zero
                if under is None
                else algebra.smaller(env.zero, algebra.plus(over, algebra.scaled(under, Fraction(-1))))
            )

        base, full = cap(q.base, p.base), cap(q.full, p.full)
        return Sizes(
            base,
            None if p.change is None and q.change is None else algebra.join(base, full),
            algebra.join(base, full),
        )


@dataclass(frozen=True, slots=True)
class MeanSize(SizeNode):
    """`scalar · (1/n) Σ vector`.

    It has the vector's size, or n^(-1/2) of that where its mean is 0 by symmetry (odd), as it is at
    initialisation only.
    """

    scalar: SizeNode
    vector: SizeNode
    odd: bool

    def sizes(self, env: Env) -> Sizes:
        algebra, vector = env.algebra, self.vector.sizes(env)
        if self.odd:
            base = algebra.plus(vector.base, algebra.const(CENTRED))
            vector = Sizes(base, vector.change, algebra.join(base, vector.change))
        return product_sizes(algebra, [self.scalar.sizes(env), vector])


CENTRED = Exponent(-HALF)


def join_sizes(algebra: Algebra, parts: Sequence[Sizes]) -> Sizes:
    base, change, full = parts[0]
    join = algebra.join
    for b, c, f in parts[1:]:
        base, change, full = join(base, b), join(change, c), join(full, f)
    return Sizes(base, change, full)


def product_sizes(algebra: Algebra, parts: Sequence[Sizes]) -> Sizes:
    """(x + Δx)(y + Δy) − xy = Δx·(y + Δy) + x·Δy, and so on."""
    base, change, full = parts[0]
    join, plus = algebra.join, algebra.plus
    for b, c, f in parts[1:]:
        base, change, full = plus(base, b), join(plus(change, f), plus(full, c)), plus(full, f)
    return Sizes(base, change, full)
