"""Where members of families are made.

The program with its sequential loops written out, every instruction over a box of indices.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge
from operator import attrgetter

from tpc.core.affine import Affine
from tpc.core.dependence import is_parallel
from tpc.core.expr import Expr, Gather, Index, Ref, Sum, walk
from tpc.core.places import rounds
from tpc.core.printer import as_written
from tpc.core.program import For, Gaussians, Instruction, MatMul, Op, Product, Program
from tpc.core.spectral import SpectralEntry
from tpc.core.traverse import at_round, free_variables, union, used_refs
from tpc.gram.fission import in_parts
from tpc.gram.ir import NotGramError, TooDearError

MAX_SITES = 4000  # instructions, after sequential loops are written out


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """An instruction, or one of a group of initial vectors, over a box of indices of what it makes."""

    op: Instruction | Gaussians
    # its place in the program
    number: int
    family: str
    # of every axis the loop variable, None where there is one index only
    variables: tuple[str | None, ...]
    # of every axis the first index, and how many there are
    starts: tuple[int, ...]
    counts: tuple[int, ...]
    # of the vector in its group
    position: int = 0

    def at(self, index: tuple[Index, ...]) -> dict[str, Index]:
        """The loop variables for the member at `index`."""
        found: dict[str, Index] = {}
        for variable, start, i in zip(self.variables, self.starts, index, strict=True):
            if variable is not None:
                found[variable] = i if isinstance(i, Gather) else i - start
        return found


class Boxes:
    """All sites of a program, by family."""

    def __init__(self, program: Program) -> None:
        self.every: list[Box] = []
        self.by_family: dict[str, list[Box]] = {}
        # of a family and an axis: the sites by the one index that they are at, those of several under None
        self.by_index: dict[tuple[str, int], dict[int | None, list[Box]]] = {}
        self.ranges: dict[tuple[str, int], set[tuple[int, int]]] = {}
        self.products: dict[tuple[str, bool], list[Box]] = {}
        self.count = 0
        self.added: set[str] = set()  # families that the pass has added to the program
        for group in program.gaussians:
            variables, counts = tuple(v for v, _ in group.axes), tuple(n for _, n in group.axes)
            for k, name in enumerate(group.names):
                self.add(Box(group, self.count, name, variables, (0,) * len(counts), counts, k))
        self.rounds: dict[tuple[str, int], set[int]] = {}
        for op, loops, round_of in _written_out(program.body, {}, (), round_of=False):
            self._instruction(op, loops)
            if round_of:
                self._note(op)

    def add(self, site: Box) -> None:
        if self.count >= MAX_SITES:
            raise TooDearError(f"its loops come to more than {MAX_SITES:,} instructions")
        self.every.append(site)
        self.by_family.setdefault(site.family, []).append(site)
        for axis, (start, count) in enumerate(zip(site.starts, site.counts, strict=True)):
            self.ranges.setdefault((site.family, axis), set()).add((start, count))
            at = self.by_index.setdefault((site.family, axis), {})
            at.setdefault(start if count == 1 else None, []).append(site)
        if isinstance(site.op, MatMul):
            self.products.setdefault((site.op.matrix.name, site.op.transposed), []).append(site)
        self.count += 1

    def _instruction(self, op: Instruction, loops: tuple[For, ...]) -> None:
        """A site, or several.

        Loops over variables that are not an index of what is made by themselves are written out.
        """
        plain = {
            i.terms[0][0]
            for i in op.out.index
            if isinstance(i, Affine) and len(i.terms) == 1 and i.terms[0][1] == 1
        }
        mentions = [v for i in op.out.index for v in (i.variables if isinstance(i, Affine) else ())]
        sums = (
            [] if isinstance(op, Product) else [node.count for node in walk(op.phi) if isinstance(node, Sum)]
        )
        counted = {v for count in (*sums, *(loop.count for loop in loops)) for v in count.variables}
        whole = [] if isinstance(op, Product) else [n for n in walk(op.phi) if isinstance(n, SpectralEntry)]
        counted |= union(free_variables(part) for node in whole for part in node.whole)
        kept = [
            loop.variable
            for loop in loops
            if loop.variable in plain - counted and mentions.count(loop.variable) == 1
        ]
        for values in rounds([loop for loop in loops if loop.variable not in kept], {}):
            at = {v: Affine(k) for v, k in values.items()}
            counts = {
                loop.variable: loop.count.substitute(at).const for loop in loops if loop.variable in kept
            }
            if 0 in counts.values() or min(counts.values(), default=1) < 0:
                continue
            own = at_round(op, at)
            index = []
            for i in own.out.index:
                if isinstance(i, Gather):
                    raise NotGramError(
                        f"`{as_written(op.out)}` ({op.origin}) is made at an index read from data"
                    )
                index.append(i)
            self.add(
                Box(
                    own,
                    self.count,
                    op.out.name,
                    tuple(next(iter(i.variables), None) for i in index),
                    tuple(i.const for i in index),
                    tuple(counts[next(iter(i.variables))] if i.terms else 1 for i in index),
                )
            )

    def _note(self, op: Instruction) -> None:
        """Notes at which indices an instruction of a loop that is written out reads families."""
        for ref in used_refs(op):
            for axis, index in enumerate(ref.index):
                if isinstance(index, Affine) and index.constant is not None:
                    self.rounds.setdefault((ref.name, axis), set()).add(index.const)

    def is_read_everywhere(self, family: str, axis: int) -> bool:
        """Whether all members along an axis are made at once, and each is read by a round of its own."""
        count = self.whole(family, axis)
        if count in (None, 1) or isinstance(self.by_family[family][0].op, Gaussians):
            return False
        read = self.rounds.get((family, axis), frozenset[int]())
        return family in self.added or all(k in read for k in range(count or 0))

    def whole(self, family: str, axis: int) -> int | None:
        """How many indices the axis has, if every site makes members at all of them."""
        ranges = self.ranges.get((family, axis), ())
        if len(ranges) != 1:
            return None
        ((start, count),) = ranges
        return count if start == 0 else None

    def of(self, ref: Ref, before: int | None = None) -> list[Box]:
        """The sites that may make the member, told apart by constant indices.

        before: only those before this one in the program.
        """
        return [
            site
            for site in self._near(ref)
            if (before is None or site.number < before) and may_hold(site, ref.index)
        ]

    def _near(self, ref: Ref) -> Iterable[Box]:
        """The sites of a family, in order, without those that are at other constant indices of one axis.

        Of the axis that leaves the fewest.
        """
        found: list[tuple[list[Box], list[Box]]] = []
        for axis, i in enumerate(ref.index):
            if isinstance(i, Affine) and not i.terms and (ref.name, axis) in self.by_index:
                at = self.by_index[ref.name, axis]
                found.append((at.get(None, []), at.get(i.const, [])))
        if not found:
            return self.by_family.get(ref.name, ())
        many, here = min(found, key=lambda two: len(two[0]) + len(two[1]))
        return merge(many, here, key=attrgetter("number")) if many and here else many or here


def may_hold(site: Box, index: tuple[Index, ...]) -> bool:
    for i, start, count in zip(index, site.starts, site.counts, strict=True):
        if isinstance(i, Affine) and not i.terms and not start <= i.const < start + count:
            return False
    return True


def _written_out(
    body: tuple[Op, ...], at: Mapping[str, Affine], loops: tuple[For, ...], *, round_of: bool
) -> Iterator[tuple[Instruction, tuple[For, ...], bool]]:
    """Every instruction with the parallel loops around it; the others are written out.

    And whether it is in a round of such a one.
    """
    for op in body:
        if not isinstance(op, For):
            yield at_round(op, at), loops, round_of
            continue
        own, outer = at_round(op, at), tuple((loop.variable, loop.count) for loop in loops)
        if is_parallel(own, outer):
            yield from _written_out(own.body, {}, (*loops, own), round_of=round_of)
            continue
        parts = in_parts(own, outer)
        if len(parts) > 1:
            yield from _written_out(parts, {}, loops, round_of=round_of)
        elif own.count.constant is None:
            raise NotGramError(
                f"the rounds of the loop in line {op.origin.line} depend on each other, and their number on "
                "an outer loop"
            )
        elif own.count.const > MAX_SITES:
            raise TooDearError(
                f"the {own.count} rounds of the loop in line {op.origin.line} depend on each other"
            )
        else:
            for k in range(own.count.const):
                yield from _written_out(own.body, {own.variable: Affine(k)}, loops, round_of=True)


def boxes(cuts: list[list[int]]) -> Iterator[tuple[tuple[int, int], ...]]:
    """The boxes that cuts of every axis make: (low, high) on each."""
    yield from itertools.product(*(list(itertools.pairwise(c)) for c in cuts))


def phi_of(site: Box) -> Expr:
    assert not isinstance(site.op, Product | Gaussians)
    return site.op.phi
