"""The pass: which vectors are made, and which are written out where they are used.

So sums can be taken in another order:

    h[i] = sum(k < d: xi[i, k]*U[k]) for i < B           VU[l, k] = mean(V[l]*U[k]) for l < m for k < d
    f[i, l] = mean(V[l]*h[i]) for i < B for l < m   →    f[i, l] = sum(k < d: xi[i, k]*VU[l, k]) for i < B for
    l < m

It is exact algebra, at any width. A vector costs as many operations as it has numbers, a scalar one: hence
the gain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from tpc.core.affine import Affine, Ranges, bounds
from tpc.core.expr import Add, Call, Expr, Mul, Pow, Ref, Sum, children, is_vector
from tpc.core.passes import without_unused
from tpc.core.program import Instruction, MatMul, Moment, Nonlin, Op, Product, Program, instructions
from tpc.core.traverse import ref_variables, used_refs
from tpc.core.wellformed import verified
from tpc.reassociate.contraction import WRITE, Node, Pair, cheapest, pair_cost
from tpc.reassociate.gather import gather
from tpc.reassociate.instructions import Builder, Placing, Taken, canonical
from tpc.reassociate.levels import Level, Nested, opaque, put_before, sites
from tpc.reassociate.prepare import prepare
from tpc.reassociate.products import (
    MultilinearExpansion,
    NotMultilinearError,
    Term,
    indices_of_onehots,
    meaning_at,
)

WORTHWHILE = 0.5  # a program is left as it is unless it comes to so much of its operations
SMALL = 2e6  # operations that are not worth the trouble
MOST_INSTRUCTIONS = 400


def reassociate(
    program: Program, size: int, *, small: float = SMALL, worthwhile: float = WORTHWHILE
) -> Program:
    """`program`, or one that computes the same numbers with fewer operations if one is found.

    size: numbers in a vector: a width, points or coefficients. small, worthwhile: it must take more
    operations than that, and save so much.
    """
    found = list(instructions(program.body))
    before = sum(written_cost(op, tuple((r.variable, r.count) for r in around), size) for op, around in found)
    if (
        before <= small
        or len(found) > MOST_INSTRUCTIONS
        or not any(isinstance(op, Nonlin) and _combines(op.phi) for op, _ in found)
    ):
        return program
    search = Search(program, size)
    if not search.candidates or search.best() > worthwhile * before:
        return program
    return verified(search.program())


def _combines(x: Expr) -> bool:
    """Whether there is a sum of vectors in an expression."""
    return (isinstance(x, Sum) and is_vector(x)) or any(_combines(part) for part in children(x))


def extents(ranges: Ranges) -> dict[str, int]:
    return {v: max(0, bounds(count, ranges[:k])[1]) for k, (v, count) in enumerate(ranges)}


def written_cost(op: Instruction, ranges: Ranges, size: int) -> float:
    """Operations of an instruction as it is written, in all rounds.

    Products with matrices, which stay, count nothing.
    """
    if isinstance(op, Product):
        return 0.0
    rounds = math.prod(extents(ranges).values())

    def cost(x: Expr, times: float, around: Ranges) -> float:
        long = times * (size if is_vector(x) else 1)
        match x:
            case Sum(variable, count, body):
                inner = (*around, (variable, count))
                n = max(0, bounds(count, around)[1])
                return cost(body, times * n, inner) + (0 if isinstance(body, Mul) else n * long)
            case Add(parts) | Mul(parts):
                return (len(parts) - 1) * long + sum(cost(part, times, around) for part in parts)
            case Pow() | Call():
                return long + sum(cost(part, times, around) for part in children(x))
        return sum(cost(part, times, around) for part in children(x))

    return cost(op.phi, rounds, ranges) + WRITE * rounds * (size if isinstance(op, Nonlin) else 1)


class Search:
    """Looks for the vectors that need not be made."""

    def __init__(self, program: Program, size: int) -> None:
        self.size = size
        self.prepared, self.top = prepare(program)
        self.sites = list(sites(self.top))
        self.placing = Placing(_where_made(self.top, self.sites))
        self.candidates = self._candidates()
        self.written: frozenset[str] = frozenset()  # the families that are written out where they are used
        self.memo: dict[
            tuple[Nested, frozenset[str]], tuple[float, list[Taken], dict[object, float]] | None
        ] = {}
        self.reach = {site: self._reached(site) for site in self.sites}

    # what may be written out

    def _candidates(self) -> dict[str, Nested]:
        """Vectors made by one instruction as combinations of others that may take their place.

        They take it in all their uses.
        """
        found = self._combinations()
        for site in self.sites:
            op = site.op
            if isinstance(op, MatMul) or not self._multilinear(site):
                for ref in used_refs(op):
                    found.pop(ref.name, None)
        for site in self.sites:
            for ref in used_refs(site.op):
                if ref.name in found and not self._replaceable(found[ref.name], ref, site):
                    del found[ref.name]
        return found

    def _combinations(self) -> dict[str, Nested]:
        """Vectors made by one instruction as combinations of others, and not needed as they are."""
        made: dict[str, list[Nested]] = {}
        for site in self.sites:
            made.setdefault(site.op.out.name, []).append(site)
        fixed = {ref.name for loop in opaque(self.top) for ref in _all_refs(loop.op)} | {
            o.ref.name for o in self.prepared.outputs
        }
        return {
            name: own[0]
            for name, own in made.items()
            if len(own) == 1 and name not in fixed and self._defines(own[0])
        }

    def _defines(self, site: Nested) -> bool:
        op = site.op
        if not isinstance(op, Nonlin) or not self._multilinear(site):
            return False
        own = [next(iter(i.variables)) for i in op.out.index if isinstance(i, Affine) and i.variables]
        single = all(
            isinstance(i, Affine) and (not i.variables or i == Affine.var(next(iter(i.variables))))
            for i in op.out.index
        )
        return single and len(set(own)) == len(own) and {loop.variable for loop in site.nest} <= set(own)

    def _multilinear(self, site: Nested) -> bool:
        """Whether the instruction is a combination of vectors, or a mean of products of two."""
        op = site.op
        assert not isinstance(op, MatMul)
        if not isinstance(op, Nonlin | Moment):
            return True  # there are no vectors in it
        nest = {loop.variable for loop in site.nest}
        if any(loop.count.variables & nest for loop in site.nest):
            return False
        try:
            terms = MultilinearExpansion(lambda _: None).terms(op.phi)
        except NotMultilinearError:
            return False
        return all(self._fits(term, op, nest) for term in terms)

    def _fits(self, term: Term, op: Instruction, nest: set[str]) -> bool:
        moving = frozenset(nest | {v for v, _ in term.sums})
        return (
            len(term.vectors) == (1 if isinstance(op, Nonlin) else 2)
            and not indices_of_onehots(term, moving)
            and not any(count.variables & nest for _, count in term.sums)
        )

    def _replaceable(self, definition: Nested, ref: Ref, site: Nested) -> bool:
        """Whether what `ref` stands for is at hand where it is used.

        Vectors of earlier rounds may be gone.
        """
        op = definition.op
        assert isinstance(op, Nonlin)
        if meaning_at(op.out, op.phi, ref) is None:
            return False
        at_hand = {
            level.loop.variable
            for level in definition.level.levels
            if level.loop is not None and level in site.level.levels
        }
        past = {
            next(iter(own.variables))
            for own, index in zip(op.out.index, ref.index, strict=True)
            if isinstance(own, Affine)
            and own.variables
            and (own != index or next(iter(own.variables)) not in at_hand)
        }
        rounds = {level.loop.variable for level in definition.level.levels if level.loop is not None} & past
        return not rounds or not any(
            r.name in self._vectors() and ref_variables(r) & rounds for r in used_refs(op)
        )

    def _vectors(self) -> frozenset[str]:
        return frozenset(f.name for f in self.prepared.families if f.kind == "vector") | {
            n for g in self.prepared.gaussians for n in g.names
        }

    def _reached(self, site: Nested) -> frozenset[str]:
        """The candidates that an instruction is made of, those in the meaning of others included."""
        found: set[str] = set()
        queue = [ref.name for ref in used_refs(site.op)] if isinstance(site.op, Nonlin | Moment) else []
        while queue:
            name = queue.pop()
            if name in self.candidates and name not in found:
                found.add(name)
                queue += [ref.name for ref in used_refs(self.candidates[name].op)]
        return frozenset(found)

    # costs

    def best(self) -> float:
        """Writes out whatever makes the program cheaper, one family after the other, last ones first.

        Returns what it then costs.
        """
        cost, changed = self.cost(self.written), True
        while changed:
            changed = False
            for name in reversed(self.candidates):
                other = self.written ^ {name}
                new = self.cost(other)
                if new < cost * (1 - 1e-6):
                    self.written, cost, changed = other, new, True
        return cost

    def cost(self, written: frozenset[str]) -> float:
        total, products = 0.0, dict[object, float]()
        for site in self.sites:
            if site.op.out.name in written:
                continue
            taken = self._cost(site, written)
            if taken is None:
                return math.inf
            total += taken[0]
            products.update(taken[2])
        return total + sum(products.values())

    def _cost(
        self, site: Nested, written: frozenset[str]
    ) -> tuple[float, list[Taken], dict[object, float]] | None:
        """What an instruction costs but for shared products, its terms, and what these products cost.

        They are those that others may use as well.
        """
        key = site, written & self.reach[site]
        if key not in self.memo:
            self.memo[key] = self._take(site, key[1])
        return self.memo[key]

    def _take(
        self, site: Nested, written: frozenset[str]
    ) -> tuple[float, list[Taken], dict[object, float]] | None:
        op = site.op
        if not self._changes(site, written):
            return written_cost(op, site.ranges, self.size), [], {}
        assert isinstance(op, Nonlin | Moment)
        lengths, counts = extents(site.ranges), {loop.variable: loop.count for loop in site.nest}
        rounds = math.prod(
            lengths[level.loop.variable] for level in site.level.levels if level.loop is not None
        )
        out = frozenset(counts)
        taken: list[Taken] = []
        products: dict[object, float] = {}
        long = self.size if isinstance(op, Nonlin) else 1
        made = math.prod(lengths[v] for v in out) * long
        cost = float(WRITE * rounds * made)
        try:
            for term in MultilinearExpansion(lambda ref: self._meaning(ref, written)).terms(op.phi):
                if not self._fits(term, op, set(out)):
                    return None
                inner = {**lengths, **extents((*site.ranges, *term.sums))}
                still, node = cheapest(term, out, inner, self.size)
                taken.append((term, still, node))
                cost += rounds * made
                if node is not None:
                    cost += self._shared(
                        node, {**counts, **dict(term.sums)}, inner, site, products, root=True
                    )
        except NotMultilinearError:
            return None
        return cost, taken, products

    def _shared(
        self,
        node: Node,
        counts: Mapping[str, Affine],
        lengths: Mapping[str, int],
        site: Nested,
        products: dict[object, float],
        *,
        root: bool = False,
    ) -> float:
        """Adds what the products in a term cost to `products`.

        Returns what the last one does, which is the instruction's own.
        """
        if not isinstance(node, Pair):
            return 0.0
        for part in (node.left, node.right):
            self._shared(part, counts, lengths, site, products)
        level = self.placing.level(node, counts, site)
        rounds = math.prod(lengths[outer.loop.variable] for outer in level.levels if outer.loop is not None)
        cost = rounds * pair_cost(node, lengths, self.size)
        if root and not node.inner and level is site.level:
            own = (
                rounds
                * WRITE
                * math.prod(lengths[v] for v in node.moving)
                * (self.size if node.vector else 1)
            )
            return cost - own
        products[level, canonical(node, counts)[0]] = cost
        return 0.0

    def _changes(self, site: Nested, written: frozenset[str]) -> bool:
        return isinstance(site.op, Nonlin | Moment) and any(ref.name in written for ref in used_refs(site.op))

    def _meaning(self, ref: Ref, written: frozenset[str]) -> Expr | None:
        if ref.name not in written:
            return None
        op = self.candidates[ref.name].op
        assert isinstance(op, Nonlin)
        return meaning_at(op.out, op.phi, ref)

    # the program

    def program(self) -> Program:
        builder = Builder(self.prepared, self.placing)
        for site in self.sites:
            if site.op.out.name not in self.written and self._changes(site, self.written):
                taken = self._cost(site, self.written)
                assert taken is not None
                site.op = builder.site(site, taken[1])
        put_before(self.top, builder.before)
        program = gather(
            replace(self.prepared, families=(*self.prepared.families, *builder.families)), self.top
        )
        return without_unused(program)


def _where_made(top: Level, found: list[Nested]) -> dict[str, frozenset[Level]]:
    """The levels in which each family is made."""
    out: dict[str, frozenset[Level]] = {}
    for site in found:
        out[site.op.out.name] = out.get(site.op.out.name, frozenset()) | set(site.level.levels)
    for loop in opaque(top):
        for op, _ in instructions((loop.op,)):
            out[op.out.name] = out.get(op.out.name, frozenset()) | set(loop.level.levels)
    return out


def _all_refs(loop: Op) -> list[Ref]:
    return [ref for op, _ in instructions((loop,)) for ref in (op.out, *used_refs(op))]
