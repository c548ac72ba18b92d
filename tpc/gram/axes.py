"""Index variables of the pass.

Each has one range 0 … extent − 1, and arrays have axes of their own, so that equal requests find each other.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence

from tpc.core.affine import Affine, bounds
from tpc.core.expr import (
    Delta,
    Expr,
    Gather,
    Index,
    Position,
    Ref,
    Sum,
    Value,
    children,
    delta,
    new_position,
    number,
    rebuild,
    replace,
    summed,
    values,
    walk,
)
from tpc.core.printer import print_expr
from tpc.core.traverse import index_variables, ref_variables
from tpc.gram.boxes import Box
from tpc.gram.ir import NotGramError
from tpc.gram.marked_variables import axis_variable, bound_variable, numbered_variable, without_marks


class Axes:
    """Hands out variables.

    extents: of all of them. bounds_of: of inputs that are used as indices. whole: the extent of an axis of a
    family, if all members along it are made together, else None. in_rounds: whether each is then read by a
    round of its own of a loop that is written out, so that one array has them all.
    """

    def __init__(
        self,
        bounds_of: Mapping[str, int],
        whole: Callable[[str, int], int | None],
        in_rounds: Callable[[str, int], bool],
    ) -> None:
        self.extents: dict[str, int] = {}
        self.whole, self.in_rounds = whole, in_rounds
        self.bounds_of = bounds_of
        self.count = 0

    def fresh(self, wish: str, extent: int) -> str:
        self.count += 1
        name = numbered_variable(wish, self.count)
        self.extents[name] = extent
        return name

    def axis(self, k: int, extent: int) -> str:
        """The variable of the k-th axis of an array, where that is so long."""
        name = axis_variable(k, extent)
        self.extents[name] = extent
        return name

    def bound(self, k: int, extent: int) -> str:
        name = bound_variable(k, extent)
        self.extents[name] = extent
        return name

    def range_of(self, index: Index) -> tuple[int, int]:
        """Its least and greatest value."""
        if isinstance(index, Gather):
            return 0, self.bounds_of[index.input] - 1
        return bounds(index, [(v, Affine(self.extents[v])) for v in sorted(index.variables)])

    def canonical(self, factors: Sequence[Expr]) -> tuple[tuple[Expr, ...], dict[str, Index]]:
        """The factors in variables of an array of their own, and what those are here.

        Where several variables are in one index (`p + a`), the array has an axis for what they come to.
        """
        ordered = sorted(factors, key=skeleton)
        renaming = _Renaming(self, ordered)
        return tuple(renaming.of(x, {}) for x in ordered), renaming.back

    def references(self, key: Sequence[Expr]) -> list[Value]:
        """The members that are vectors (or the one scalar asked for) at indices that no sum runs over."""
        bound = {node.variable for x in key for node in walk(x) if isinstance(node, Sum)}
        found = {
            v: None
            for x in key
            for v in values(x)
            if v.vector or (len(key) == 1 == len(values(x)) and isinstance(x, Value))
        }
        return [v for v in found if not any(index_variables(i) & bound for i in v.ref.index)]

    def cuts(self, axes: Sequence[str], members: Sequence[tuple[Ref, list[Box]]]) -> list[list[int]]:
        """Where to cut every axis so that each part of each member is made by one site."""
        found = {axis: {0, self.extents[axis]} for axis in axes}
        for ref, sites in members:
            for position, index in enumerate(ref.index):
                if isinstance(index, Gather) or len(index.terms) != 1:
                    continue
                ((axis, k),) = index.terms
                for site in sites:
                    start, stop = site.starts[position], site.starts[position] + site.counts[position]
                    # the first u with k·u + c at or beyond it
                    for value in (start, stop) if k > 0 else (start - 1, stop - 1):
                        cut = -((index.const - value) // k) if k > 0 else -((value - index.const) // -k)
                        if 0 < cut < self.extents[axis]:
                            found[axis].add(cut)
        return [sorted(found[axis]) if self.extents[axis] else [] for axis in axes]

    def site(self, ref: Ref, sites: Sequence[Box]) -> Box | None:
        """The one that makes all these members; None if nothing makes them."""
        met = False
        for site in sites:
            inside, apart = True, False
            for index, start, count in zip(ref.index, site.starts, site.counts, strict=True):
                low, high = self.range_of(index)
                inside &= start <= low and high < start + count
                apart |= high < start or low >= start + count
            if inside:
                return site
            met |= not apart
        if met:
            raise NotGramError(
                f"`{without_marks(str(ref))}` is made by several instructions whose indices do not come apart"
            )
        return None


class _Renaming:
    """Variables to axes, in the order in which they are met.

    An axis is what one variable, or what several in one index, come to. Where all that is asked for has the
    same offset, and exists over the whole of its axis, the array has it all, so that `x[p]` and `x[p+1]` are
    read from one.
    """

    def __init__(self, axes: Axes, factors: Sequence[Expr]) -> None:
        self.axes = axes
        self.table: dict[object, str] = {}  # a variable, a part of an index, or a Gather: its axis
        self.back: dict[str, Index] = {}
        self.sums = 0
        self.tied: set[str] = set()  # variables of members that are made one by one
        self.offsets: dict[object, set[tuple[int, int | None]]] = {}
        for x in factors:
            self._note(x, frozenset())

    def _note(self, x: Expr, bound: frozenset[str]) -> None:
        """Collects the offsets at which each part of an index stands, and the extent of the axis there.

        None if not all of it exists.
        """
        match x:
            case Value(ref, vector):
                whole = [self.axes.whole(ref.name, k) for k in range(len(ref.index))]
                if vector and None in whole:
                    self.tied |= ref_variables(ref)
                for k, index in enumerate(ref.index):
                    if isinstance(index, Affine):
                        self._noted(index, bound, whole[k])
            case Position(index):
                self._noted(index, bound, None)
            case Delta(left, right):
                for index in (left, right):
                    if isinstance(index, Affine):
                        self._noted(index, bound, None)
            case Sum(variable, _, body):
                self._note(body, bound | {variable})
            case _:
                for part in children(x):
                    self._note(part, bound)

    def _noted(self, index: Affine, bound: frozenset[str], extent: int | None) -> None:
        key = _key(index, bound)
        if key is not None:
            alone = index.variables.isdisjoint(bound) and all(k == 1 for _, k in index.terms)
            self.offsets.setdefault(key, set()).add((index.const, extent if alone else None))

    def of(self, x: Expr, bound: Mapping[str, str]) -> Expr:
        match x:
            case Value(ref, vector):
                return Value(Ref(ref.name, self.of_member(ref, bound, vector=vector)), vector)
            case Position(index):
                moved = self.index(index, bound)
                assert isinstance(moved, Affine)
                return new_position(moved)
            case Delta(left, right):
                return delta(self.index(left, bound), self.index(right, bound))
            case Sum(variable, count, body):
                name = self.axes.bound(self.sums, count.const)
                self.sums += 1
                return summed(name, count, self.of(body, {**bound, variable: name}))
        parts = children(x)
        return rebuild(x, [self.of(part, bound) for part in parts]) if parts else x

    def of_member(self, ref: Ref, bound: Mapping[str, str], *, vector: bool) -> tuple[Index, ...]:
        """The index of a member.

        That of a round is an axis, unless others are of that round only and have a variable in common.
        """
        loose = vector and ref_variables(ref).isdisjoint(self.tied)
        out = list[Index]()
        for k, index in enumerate(ref.index):
            if (
                loose
                and isinstance(index, Affine)
                and index.constant is not None
                and self.axes.in_rounds(ref.name, k)
            ):
                extent = self.axes.whole(ref.name, k)
                assert extent is not None
                out.append(Affine.var(self._axis((index.const, extent), index, extent)))
            else:
                out.append(self.index(index, bound))
        return tuple(out)

    def index(self, index: Index, bound: Mapping[str, str]) -> Index:
        if isinstance(index, Gather):
            if index_variables(index) & bound.keys():
                inner = [self.index(i, bound) for i in index.index]
                assert all(isinstance(i, Affine) for i in inner)
                return Gather(index.input, tuple(i for i in inner if isinstance(i, Affine)))
            return Affine.var(self._axis(index, index, self.axes.bounds_of[index.input]))
        single = {v for v, _ in index.terms if v not in bound and self.axes.extents[v] == 1}
        index = index.substitute({v: Affine() for v in single}) if single else index
        rest = Affine.of(index.const, {bound[v]: k for v, k in index.terms if v in bound})
        free = {v: k for v, k in index.terms if v not in bound}
        key = _key(index, bound)
        if key is None:
            return rest
        places = self.offsets.get(key, set())
        if len(places) == 1:
            ((offset, extent),) = places
            if extent is not None and (offset, extent) != (
                0,
                self.axes.extents.get(key if isinstance(key, str) else "", 0),
            ):
                return Affine.var(self._axis(key, Affine.of(offset, free), extent))
        if isinstance(key, str):
            return rest + Affine.var(self._axis(key, Affine.var(key), self.axes.extents[key])).scaled(
                free[key]
            )
        low, high = self.axes.range_of(key)
        return rest + Affine.var(self._axis(key, key - low, high - low + 1)) + low

    def _axis(self, key: object, meaning: Index, extent: int) -> str:
        if key not in self.table:
            self.table[key] = self.axes.axis(len(self.table), extent)
            self.back[self.table[key]] = meaning
        return self.table[key]


def _key(index: Affine, bound: Container[str]) -> str | Affine | None:
    """The part of an index that an axis is for: its free variable, or the combination of several.

    None if there is none.
    """
    free = {v: k for v, k in index.terms if v not in bound}
    return None if not free else next(iter(free)) if len(free) == 1 else Affine.of(0, free)


def skeleton(x: Expr) -> str:
    """`x` without its indices, to sort by."""

    def leaf(node: Expr) -> Expr | None:
        match node:
            case Value(ref, vector):
                return Value(Ref(ref.name), vector)
            case Position() | Delta():
                return number(1)
            case Sum(_, count, body):
                return Sum("_", count, replace(body, leaf))
        return None

    return print_expr(replace(x, leaf))
