"""What in a program depends on means over coordinates, and may be 0 in the limit because these are.

At width n such a quantity is a fluctuation of order n^{-1/2}: of either sign, and not 0.
"""

from __future__ import annotations

from enum import IntEnum
from fractions import Fraction

from tpc.core.affine import Ranges
from tpc.core.expr import (
    ZERO,
    Add,
    Call,
    Expr,
    Gather,
    Index,
    Mul,
    Number,
    OuterProduct,
    Pow,
    Ref,
    Sum,
    Value,
    add,
    is_vector,
    mul,
    replace,
    values,
)
from tpc.core.functions import elementwise
from tpc.core.places import Site, by_family, may_make, sites_of
from tpc.core.program import Instruction, MatMul, Moment, Nonlin, OuterMul, OuterNonlin, Program, Scalar
from tpc.core.signs import positive
from tpc.core.spectral import SpectralMap
from tpc.core.traverse import substitute
from tpc.expand.terms import folded

SMALL = Number(Fraction(1, 10**9))
DEEPEST = 6  # lines that are looked through for what a quantity is made of


class Nullity(IntEnum):
    """How an expression may be 0."""

    THERE = 0  # at single points alone, or not by chance
    NOTHING = 1  # always
    CHANCE = 2  # where a scalar that depends on means is


class Vanishing:
    """Which scalars depend on means, and which vectors and tables are 0 where such scalars are."""

    def __init__(self, program: Program) -> None:
        self.sites = sites_of(program.body)
        self.made = by_family(self.sites)
        self.random = self._random()
        self.signs: dict[Expr, bool] = {}
        self.means: dict[tuple[Expr, tuple[Index, ...]], str] = {}
        self.sizes: dict[int, Nullity] = {}  # of what instructions make, by the numbers of their sites
        changed = True
        while changed:
            changed = False
            for site in self.sites:
                size = self._made(site)
                if size > self.sizes.get(site.number, Nullity.THERE):
                    self.sizes[site.number], changed = size, True

    def _random(self) -> set[str]:
        """The scalars that depend on means over coordinates."""
        found = set[str]()

        def depends(op: Instruction) -> bool:
            if not isinstance(op, Moment | Scalar):
                return False
            return (isinstance(op, Moment) and is_vector(op.phi)) or any(
                v.ref.name in found for v in values(op.phi)
            )

        ops = [site.op for site in self.sites]
        while new := {op.out.name for op in ops if op.out.name not in found and depends(op)}:
            found |= new
        return found

    def one_name(self, x: Expr) -> Expr:
        """`x` with one name for all means of the same, which each place has of its own."""

        def name(node: Expr) -> Expr | None:
            sites = self.made.get(node.ref.name, ()) if isinstance(node, Value) else ()
            if len(sites) != 1 or not isinstance(op := sites[0].op, Moment):
                return None
            assert isinstance(node, Value)
            first = self.means.setdefault((op.phi, op.out.index), op.out.name)
            return Value(Ref(first, node.ref.index), node.vector)

        return replace(x, name)

    def _made(self, site: Site) -> Nullity:
        op, loops = site.op, site.loops
        if isinstance(op, MatMul):
            return self.member(op.operand, loops)
        if isinstance(op, OuterMul):
            return max(self.member(op.table, loops), self.member(op.operand, loops))
        return self.size(op.phi, loops)

    def member(self, ref: Ref, ranges: Ranges) -> Nullity:
        """Of a vector or table: the most that is so of what may make it."""
        return max(
            (
                self.sizes.get(site.number, Nullity.THERE)
                for site in self.made.get(ref.name, ())
                if may_make(site, ref, ranges)
            ),
            default=Nullity.THERE,
        )

    def by_chance(self, x: Expr) -> bool:
        """Whether a scalar that depends on means is in `x`."""
        return any(v.ref.name in self.random for v in values(x))

    def size(self, x: Expr, ranges: Ranges) -> Nullity:
        if not is_vector(x):
            return self._of_scalar(x)
        match x:
            case Value(ref):
                return self.member(ref, ranges)
            case Add(terms):
                return self._of_all(terms, ranges)
            case Mul() | OuterProduct():
                return max(self.size(part, ranges) for part in x.parts)
            case Sum(variable, count, body):
                return self.size(body, (*ranges, (variable, count)))
            case Pow(base, Number(k)) if k > 0:
                return self.size(base, ranges)
            case SpectralMap(_, _, tables):
                return self.size(tables[0], ranges)
            case Call("where", (_, one, other)):
                return self._of_all((one, other), ranges)
            case Call(function, args) if elementwise(function).at_zero == ZERO:
                return self._of_all(args, ranges)
        return Nullity.THERE

    def _of_all(self, parts: tuple[Expr, ...], ranges: Ranges) -> Nullity:
        sizes = [self.size(part, ranges) for part in parts]
        return Nullity.THERE if Nullity.THERE in sizes else max(sizes)

    def _of_scalar(self, x: Expr) -> Nullity:
        if x == ZERO:
            return Nullity.NOTHING
        if not self.by_chance(x) or self.positive(x):
            return Nullity.THERE
        match x:
            case Mul(factors):
                return max(map(self._of_scalar, factors))
            case Pow(base, Number(k)):
                return self._of_scalar(base) if k > 0 else Nullity.THERE
        return Nullity.CHANCE

    def positive(self, x: Expr) -> bool:
        """Whether a scalar is above 0 for what it is made of."""
        if x not in self.signs:
            self.signs[x] = positive(self.unfolded(x))
        return self.signs[x]

    def without(self, x: Expr, ranges: Ranges) -> Expr:
        """`x` where all scalars that depend on means, and multiply something in it, are 0."""

        return folded(replace(x, lambda node: ZERO if self.size(node, ranges) == Nullity.CHANCE else None))

    def nearly_without(self, x: Expr, ranges: Ranges) -> Expr:
        """The same where they are very small."""

        def leaf(node: Expr) -> Expr | None:
            return mul(SMALL, node) if self.size(node, ranges) == Nullity.CHANCE else None

        return replace(x, leaf)

    def unfolded(self, x: Expr, depth: int = DEEPEST) -> Expr:
        """`x` with what its values are made of, where one line makes them without a mean or product."""

        def made_of(node: Expr) -> Expr | None:
            sites = self.made.get(node.ref.name, ()) if isinstance(node, Value) and depth else ()
            if len(sites) != 1 or not isinstance(op := sites[0].op, Nonlin | Scalar | OuterNonlin):
                return None
            assert isinstance(node, Value)
            own = [(i, j) for i, j in zip(op.out.index, node.ref.index, strict=True) if i != j]
            named = {str(i): j for i, j in own}
            whole = named.keys() <= sites[0].variables and not any(isinstance(j, Gather) for _, j in own)
            if not whole:
                return None
            return self.unfolded(substitute(op.phi, named), depth - 1)

        return replace(x, made_of)


def collected(x: Expr) -> Expr:
    """A sum of vectors with the scalars in front of each added up."""
    terms = [split(term) for term in (x.terms if isinstance(x, Add) else (x,))]
    found: dict[Expr, list[Expr]] = {}
    for scalar, vector in terms:
        found.setdefault(vector, []).append(scalar)
    return add(*(mul(add(*scalars), vector) for vector, scalars in found.items()))


def split(term: Expr) -> tuple[Expr, Expr]:
    """The scalar in front of a product, and the rest of it."""
    factors = term.factors if isinstance(term, Mul) else (term,)
    return mul(*(f for f in factors if not is_vector(f))), mul(*(f for f in factors if is_vector(f)))
