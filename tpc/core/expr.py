"""Elementwise expressions: the φ of Nonlin and Moment, and the arithmetic of scalars.

Expressions are built by `add`, `mul`, `power`, `call`, which keep them in one canonical form (flat sums and
products, numbers folded and first), so that what is printed is parsed as the same again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tpc.core.affine import Affine
from tpc.core.comparisons import COMPARISONS


@dataclass(frozen=True, slots=True)
class Gather:
    """An index read from an input declared `: index(d)`."""

    input: str
    index: tuple[Affine, ...]

    def __str__(self) -> str:
        return f"{self.input}{brackets(self.index)}"


Index = Affine | Gather


@dataclass(frozen=True, slots=True)
class Ref:
    """A member of a family, `x[t+1]`; without indices, a plain value."""

    name: str
    index: tuple[Index, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}{brackets(self.index)}"


def brackets(index: Sequence[object]) -> str:
    return f"[{', '.join(map(str, index))}]" if index else ""


class Expr:
    """An elementwise expression over vectors of one width and scalars.

    A node says itself what it consists of, and is made anew of other parts in canonical form.
    """

    __slots__ = ()

    @property
    def parts(self) -> tuple[Expr, ...]:
        """The expressions that it is made of."""
        return ()

    @property
    def indices(self) -> tuple[Index, ...]:
        """The indices that stand in it itself: of references, as numbers, and the count of a sum."""
        return ()

    def with_parts(self, parts: Sequence[Expr]) -> Expr:
        return self

    def with_indices(self, indices: Sequence[Index]) -> Expr:
        return self


@dataclass(frozen=True, slots=True)
class Number(Expr):
    value: Fraction


@dataclass(frozen=True, slots=True)
class Constant(Expr):
    """`pi` or `e`."""

    name: str


@dataclass(frozen=True, slots=True)
class Extent(Expr):
    """A width as a number, n.

    It stands in powers, `n^(-1/4)`, whose limits `tpc.scaling` finds; derive meets none.
    """

    width: str


@dataclass(frozen=True, slots=True)
class Position(Expr):
    """A loop variable (or an affine combination) used as a number."""

    index: Affine

    @property
    def indices(self) -> tuple[Index, ...]:
        return (self.index,)

    def with_indices(self, indices: Sequence[Index]) -> Expr:
        (index,) = indices
        return (
            Value(Ref(index.input, index.index), False) if isinstance(index, Gather) else new_position(index)
        )


@dataclass(frozen=True, slots=True)
class Value(Expr):
    """A vector or a scalar of the program; a table counts as a vector, being no number."""

    ref: Ref
    vector: bool

    @property
    def indices(self) -> tuple[Index, ...]:
        return self.ref.index

    def with_indices(self, indices: Sequence[Index]) -> Expr:
        return Value(Ref(self.ref.name, tuple(indices)), self.vector)


@dataclass(frozen=True, slots=True)
class Add(Expr):
    terms: tuple[Expr, ...]

    @property
    def parts(self) -> tuple[Expr, ...]:
        return self.terms

    def with_parts(self, parts: Sequence[Expr]) -> Expr:
        return add(*parts)


@dataclass(frozen=True, slots=True)
class Mul(Expr):
    factors: tuple[Expr, ...]

    @property
    def parts(self) -> tuple[Expr, ...]:
        return self.factors

    def with_parts(self, parts: Sequence[Expr]) -> Expr:
        return mul(*parts)


@dataclass(frozen=True, slots=True)
class Pow(Expr):
    base: Expr
    exponent: Expr

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (self.base, self.exponent)

    def with_parts(self, parts: Sequence[Expr]) -> Expr:
        return power(*parts)


@dataclass(frozen=True, slots=True)
class Call(Expr):
    """A function of the table in `functions.py`; `where` takes a Compare first."""

    function: str
    args: tuple[Expr, ...]

    @property
    def parts(self) -> tuple[Expr, ...]:
        return self.args

    def with_parts(self, parts: Sequence[Expr]) -> Expr:
        return call(self.function, *parts)


@dataclass(frozen=True, slots=True)
class Compare(Expr):
    """`left op right`, op one of `< <= > >=`; only the condition of a `where`."""

    op: str
    left: Expr
    right: Expr

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (self.left, self.right)

    def with_parts(self, parts: Sequence[Expr]) -> Expr:
        return Compare(self.op, *parts)


@dataclass(frozen=True, slots=True)
class OuterProduct(Expr):
    """The table `rows_α columns_β`: each of the two a vector of its side, or a scalar."""

    rows: Expr
    columns: Expr

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (self.rows, self.columns)

    def with_parts(self, parts: Sequence[Expr]) -> Expr:
        return outer_product(*parts)


@dataclass(frozen=True, slots=True)
class Sum(Expr):
    """`Σ_{variable < count} body`."""

    variable: str
    count: Affine
    body: Expr

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (self.body,)

    @property
    def indices(self) -> tuple[Index, ...]:
        return (self.count,)

    def with_parts(self, parts: Sequence[Expr]) -> Expr:
        return summed(self.variable, self.count, *parts)


@dataclass(frozen=True, slots=True)
class Delta(Expr):
    """Iverson's bracket `[left = right]` of two indices."""

    left: Index
    right: Index

    @property
    def indices(self) -> tuple[Index, ...]:
        return (self.left, self.right)

    def with_indices(self, indices: Sequence[Index]) -> Expr:
        return delta(*indices)


ZERO, ONE, MINUS_ONE = Number(Fraction(0)), Number(Fraction(1)), Number(Fraction(-1))
HALF = Number(Fraction(1, 2))
MAX_BITS = 1000  # folding of exact powers stops here; double precision ends at 2^1024


def number(value: int | Fraction) -> Number:
    return Number(Fraction(value))


def add(*terms: Expr) -> Expr:
    """The sum, flat, with like numbers folded into one, which comes first."""
    flat: list[Expr] = []
    total = Fraction(0)
    for term in terms:
        for part in term.terms if isinstance(term, Add) else (term,):
            if isinstance(part, Number):
                total += part.value
            else:
                flat.append(part)
    if total:
        flat.insert(0, Number(total))
    return ZERO if not flat else flat[0] if len(flat) == 1 else Add(tuple(flat))


def mul(*factors: Expr) -> Expr:
    """The product, flat, with numbers folded into one, which comes first."""
    flat: list[Expr] = []
    total = Fraction(1)
    for factor in factors:
        for part in factor.factors if isinstance(factor, Mul) else (factor,):
            if isinstance(part, Number):
                total *= part.value
            else:
                flat.append(part)
    if not total:
        return ZERO
    if total != 1:
        flat.insert(0, Number(total))
    return ONE if not flat else flat[0] if len(flat) == 1 else Mul(tuple(flat))


def coefficient(x: Expr) -> Number:
    """The number in front of a product."""
    first = x.factors[0] if isinstance(x, Mul) else x
    return first if isinstance(first, Number) else ONE


def neg(x: Expr) -> Expr:
    return mul(MINUS_ONE, x)


def power(base: Expr, exponent: Expr) -> Expr:
    """`base^exponent`; exact where both are numbers, the exponent an integer and the result of sane size."""
    if isinstance(exponent, Number):
        k = exponent.value
        if k == 1:
            return base
        if k == 0:
            return ONE
        if isinstance(base, Number) and k.denominator == 1 and (base.value or k > 0):
            size = max(base.value.numerator.bit_length(), base.value.denominator.bit_length())
            if size * abs(k) <= MAX_BITS:
                return Number(base.value ** int(k))
        if (
            isinstance(base, Pow)
            and isinstance(base.exponent, Number)
            and k.denominator == 1 == base.exponent.value.denominator
            and base.exponent.value * k < MAX_BITS
        ):
            return power(base.base, Number(base.exponent.value * k))
    return Pow(base, exponent)


def divide(a: Expr, b: Expr) -> Expr:
    return mul(a, power(b, MINUS_ONE))


def call(function: str, *args: Expr) -> Expr:
    match function, args:
        case "square", (x,):
            return power(x, number(2))
        case "where", (Compare(op, Number(left), Number(right)), first, second):
            return first if COMPARISONS[op](left, right) else second
    return Call(function, args)


def outer_product(rows: Expr, columns: Expr) -> Expr:
    """`rows_α columns_β`; of two scalars their product, and 0 if one of them is."""
    if not is_vector(rows) and not is_vector(columns):
        return mul(rows, columns)
    return ZERO if ZERO in (rows, columns) else OuterProduct(rows, columns)


def summed(variable: str, count: Affine, body: Expr) -> Expr:
    empty = count.constant is not None and count.constant <= 0
    return ZERO if empty or body == ZERO else Sum(variable, count, body)


def delta(left: Index, right: Index) -> Expr:
    """`[left = right]`, a number if that can be told.

    Combinations of variables are written so that none is subtracted.
    """
    if left == right:
        return ONE
    if not (isinstance(left, Affine) and isinstance(right, Affine)):
        return Delta(left, right)
    difference = left - right
    if difference.constant is not None:
        return ZERO
    return Delta(_positive(difference), _positive(difference.scaled(-1)))


def _positive(index: Affine) -> Affine:
    return Affine.of(max(index.const, 0), {v: max(k, 0) for v, k in index.terms})


def new_position(index: Affine) -> Expr:
    return Position(index) if index.terms else number(index.const)


def children(x: Expr) -> tuple[Expr, ...]:
    return x.parts


def rebuild(x: Expr, parts: Sequence[Expr]) -> Expr:
    """`x` with other children, in canonical form."""
    return x.with_parts(parts)


def walk(x: Expr) -> Iterator[Expr]:
    """Every node, parents first."""
    stack = [x]
    while stack:
        node = stack.pop()
        yield node
        stack += node.parts[::-1]


def values(x: Expr) -> list[Value]:
    """The vectors and scalars that occur, each once, in order of first occurrence."""
    return list(dict.fromkeys(node for node in walk(x) if isinstance(node, Value)))


def is_vector(x: Expr) -> bool:
    return any(isinstance(node, Value) and node.vector for node in walk(x))


def replace(x: Expr, leaf: Callable[[Expr], Expr | None]) -> Expr:
    """`x` with every node for which `leaf` gives an expression replaced by it."""
    new = leaf(x)
    if new is not None:
        return new
    parts = children(x)
    if not parts:
        return x
    changed = [replace(part, leaf) for part in parts]
    return x if all(a is b for a, b in zip(parts, changed, strict=True)) else rebuild(x, changed)
