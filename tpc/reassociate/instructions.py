"""Instructions for the products that terms are taken apart into.

Each a family of its own, made once for all that use it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tpc.core.affine import Affine, bounds
from tpc.core.expr import ONE, Expr, Gather, Number, Ref, Value, add, mul, summed, values
from tpc.core.names import SplitName, part
from tpc.core.printer import print_expr
from tpc.core.program import Family, For, Instruction, Moment, Nonlin, Program, Scalar
from tpc.core.traverse import free_variables, substitute
from tpc.reassociate.contraction import Node, Pair, TermFactor
from tpc.reassociate.levels import Item, Level, Nested
from tpc.reassociate.products import Term

Counts = Mapping[str, Affine]
# a term, its factors without axes, and the order for the others
Taken = tuple[Term, tuple[Expr, ...], "Node | None"]


def canonical(node: Node, counts: Counts) -> tuple[str, tuple[str, ...]]:
    """What tells a product apart, whatever its axes are called.

    The second value has the names of the axes in the order in which they occur.
    """
    order: list[str] = []

    def text(node: Node) -> str:
        if isinstance(node, Pair):
            first, second = sorted((node.left, node.right), key=lambda part: part.skeleton)
            of_first, of_second = text(first), text(second)  # in this order: they number the variables
            moving = sorted(str(order.index(v)) for v in node.moving)
            return f"({of_first}|{of_second})[{','.join(moving)}]"
        order.extend(v for v in _in_order(node) if v not in order)
        return print_expr(substitute(node.x, {v: Affine.var(f"_{order.index(v)}") for v in node.moving}))

    shown = text(node)
    return f"{shown} {';'.join(str(counts[v]) for v in order)}", tuple(order)


def _in_order(leaf: TermFactor) -> list[str]:
    if isinstance(leaf.x, Value):
        found = [
            v
            for i in leaf.x.ref.index
            for j in (i.index if isinstance(i, Gather) else (i,))
            for v in sorted(j.variables)
        ]
        return [v for v in dict.fromkeys(found) if v in leaf.moving]
    return sorted(leaf.moving)


def leaves(node: Node) -> list[TermFactor]:
    return [node] if isinstance(node, TermFactor) else [*leaves(node.left), *leaves(node.right)]


class Placing:
    """Where in a program's levels a product can be made."""

    def __init__(self, written: Mapping[str, frozenset[Level]]) -> None:
        self.written = written  # the levels in which a family is made

    def level(self, node: Node, counts: Counts, site: Nested) -> Level:
        """The outermost one around `site` at which all that it is made of is there."""
        variables, families = set[str](), set[str]()
        for leaf in leaves(node):
            variables |= free_variables(leaf.x) | {v for axis in leaf.moving for v in counts[axis].variables}
            families |= {value.ref.name for value in values(leaf.x)}
        around = site.level.levels
        needed = [
            k
            for k, level in enumerate(around)
            if level.loop is not None
            and (
                level.loop.variable in variables
                or any(level in self.written.get(name, ()) for name in families)
            )
        ]
        return around[max(needed, default=0)]


class Builder:
    """Builds the instructions of a program whose terms are taken apart."""

    def __init__(self, program: Program, placing: Placing) -> None:
        self.placing = placing
        self.taken = set(program.names)
        self.widths = {f.name: f.width for f in program.families} | {
            n: g.width for g in program.gaussians for n in g.names
        }
        self.families: list[Family] = []
        self.made: dict[tuple[Level, str], tuple[str, tuple[int, ...]]] = {}
        self.before: dict[Item, list[Nested]] = {}  # what is made before an item

    def site(self, site: Nested, terms: Sequence[Taken]) -> Instruction:
        """The instruction of a site as a sum of terms."""
        op = site.op
        assert isinstance(op, Nonlin | Moment)
        counts = {loop.variable: loop.count for loop in site.nest}
        out = tuple(counts)
        term, still, pair = terms[0]
        if (
            isinstance(op, Moment)
            and len(terms) == 1
            and isinstance(pair, Pair)
            and pair.inner
            and not pair.summed
        ):
            vectors = [
                self.operand(part, out, {**counts, **dict(term.sums)}, site)
                for part in (pair.left, pair.right)
            ]
            return replace(op, phi=mul(Number(term.number), *still, *vectors))
        total = add(
            *(
                mul(
                    Number(term.number),
                    *still,
                    self._last(node, out, {**counts, **dict(term.sums)}, site) if node else ONE,
                )
                for term, still, node in terms
            )
        )
        return replace(op, phi=total) if isinstance(op, Nonlin) else Scalar(op.out, total, origin=op.origin)

    def _last(self, node: Node, out: Sequence[str], counts: Counts, site: Nested) -> Expr:
        """The product that a term comes to: made once, before the loops that it does not depend on."""
        once = (
            isinstance(node, Pair)
            and not node.inner
            and self.placing.level(node, counts, site) is not site.level
        )
        return self.named(node, out, counts, site) if once else self.expression(node, out, counts, site)

    def expression(self, node: Node, out: Sequence[str], counts: Counts, site: Nested) -> Expr:
        """A product as an expression, summed over the axes that are not among `out`."""
        if isinstance(node, TermFactor):
            return self._sum(node.x, [v for v in _in_order(node) if v not in out], counts)
        if node.inner:
            whole = Pair(node.left, node.right, node.left.moving | node.right.moving)
            return self._sum(
                self.named(whole, out, counts, site), [v for v in _axes(whole, out) if v not in out], counts
            )
        sums = _summing_order(node)
        axes = [*out, *sums]
        left, right = (self.operand(part, axes, counts, site) for part in (node.left, node.right))
        return self._sum(mul(right, left) if node.left.vector else mul(left, right), sums, counts)

    def operand(self, node: Node, axes: Sequence[str], counts: Counts, site: Nested) -> Expr:
        return node.x if isinstance(node, TermFactor) else self.named(node, axes, counts, site)

    def named(self, node: Node, axes: Sequence[str], counts: Counts, site: Nested) -> Expr:
        """A member of the family that a product is made as.

        Its axes are in the order of `axes` if it is not there yet.
        """
        level = self.placing.level(node, counts, site)
        text, order = canonical(node, counts)
        around = tuple(Affine.var(outer.loop.variable) for outer in level.levels if outer.loop is not None)
        if (level, text) not in self.made:
            self._make(node, axes, counts, site, level, text, order)
        name, places = self.made[level, text]
        return Value(Ref(name, (*around, *(Affine.var(order[k]) for k in places))), node.vector)

    def _make(
        self,
        node: Node,
        axes: Sequence[str],
        counts: Counts,
        site: Nested,
        level: Level,
        text: str,
        order: Sequence[str],
    ) -> None:
        assert isinstance(node, Pair)
        own = _axes(node, axes)
        phi: Expr
        if node.inner and not node.summed:
            first, second = sorted((node.left, node.right), key=lambda part: -_size(part, counts))
            phi = mul(*(self.operand(part, own, counts, site) for part in (first, second)))
        else:
            phi = self.expression(node, own, counts, site)
        name = part(_name(node), self.taken)
        nest = tuple(For(v, counts[v], (), origin=site.op.origin) for v in own)
        ranges = (*level.ranges, *((v, counts[v]) for v in own))
        width = (
            next(
                self.widths[leaf.x.ref.name]
                for leaf in leaves(node)
                if isinstance(leaf.x, Value) and leaf.vector
            )
            if node.vector
            else None
        )
        shape = tuple(bounds(n, ranges[:k])[1] for k, (_, n) in enumerate(ranges))
        self.families.append(Family(name, "vector" if node.vector else "scalar", width, shape))
        self.widths[name] = width
        out = Ref(name, tuple(Affine.var(v) for v, _ in ranges))
        kind = Nonlin if node.vector else Moment if node.inner and not node.summed else Scalar
        self.before.setdefault(_anchor(site, level), []).append(
            Nested(kind(out, phi, origin=site.op.origin), nest, level)
        )
        self.made[level, text] = name, tuple(order.index(v) for v in own)

    def _sum(self, x: Expr, variables: Sequence[str], counts: Counts) -> Expr:
        for v in reversed(variables):
            x = summed(v, counts[v], x)
        return x


def _axes(node: Node, order: Sequence[str]) -> list[str]:
    """The axes of a product: those in `order` first, in that order."""
    return [v for v in order if v in node.moving] + sorted(v for v in node.moving if v not in order)


def _summing_order(node: Pair) -> list[str]:
    """The axes that a product is summed over.

    They are in the order in which they lie in a factor that is there already, the vector if there is one.
    """
    known = sorted(
        (part for part in (node.left, node.right) if isinstance(part, TermFactor)),
        key=lambda part: not part.vector,
    )
    order = [v for part in known for v in _in_order(part) if v in node.summed]
    return list(dict.fromkeys([*order, *sorted(node.summed)]))


def _size(node: Node, counts: Counts) -> int:
    size = 1
    for v in node.moving:
        size *= max(1, counts[v].const)
    return size


def _name(node: Pair) -> str:
    """A name that says what was multiplied, if that is short."""
    factors = [leaf.x for leaf in leaves(node) if leaf.x != ONE]
    parts = [SplitName.of(x.ref.name).base for x in factors if isinstance(x, Value)]
    name = "_".join(dict.fromkeys(parts)) if len(parts) == len(factors) else "product"
    return name if len(name) <= 16 else "product"


def _anchor(site: Nested, level: Level) -> Nested | Level:
    """The item of `level` that has the site in it."""
    return site if site.level is level else site.level.levels[site.level.levels.index(level) + 1]
