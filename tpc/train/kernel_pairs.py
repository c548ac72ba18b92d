"""The kernel of two passes over a network.

Moments of what stands on the two sides of its weights, over all pairs of uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tpc.syntax import tree
from tpc.syntax.tree import Range, Tree
from tpc.syntax.walk import names_in
from tpc.train.build import Maker, is_number, substituted
from tpc.train.forward import Forward
from tpc.train.readout import Readout
from tpc.train.records import ArrayExpr, Index, Record, Step
from tpc.train.scene import Scene
from tpc.train.weight_members import ByMember
from tpc.train.weights import Weight, same_member, squared


@dataclass
class KernelPass:
    """A forward pass whose lines have been written, and the backward pass once a kernel needs it."""

    network: tree.Network
    # the lines it is among
    out: list[tree.Statement]
    # its loops
    used: tuple[Range, ...]
    prefix: tuple[str, ...]
    forward: Forward
    hidden: list[Step]
    readout: Readout
    records: dict[str, list[Record]] | None = None


@dataclass(frozen=True, slots=True)
class WeightUse:
    """One use of a weight in a pass, `Σ_ranges coefficient a bᵀ`, as a term of the gradient."""

    # which member of the weight, and a readout's row
    member: Index
    # `a`, `b`: entries on the two sides, by index of a finite side; None where there is nothing to multiply
    a: Callable[[Index], Tree] | None
    b: Callable[[Index], Tree] | None
    coefficient: Tree
    ranges: tuple[Range, ...]


@dataclass
class Pairing:
    """The kernel of two passes."""

    scene: Scene
    passes: Sequence[KernelPass]
    # what the variables of their loops stand for
    here: Sequence[dict[str, Tree]]
    node: tree.Applied
    # the variables of the loops around the kernel, of which those of `loops` are its own
    prefix: Sequence[str]
    loops: Sequence[Range]
    # what names of its parts begin with
    name: str
    positions: list[Range] = field(default_factory=list)
    # those that make the parts
    lines: list[tree.Define] = field(default_factory=list)

    @property
    def m(self) -> Maker:
        return Maker(self.node.span)

    @property
    def scope(self) -> list[str]:
        """The variables that mean something in every part."""
        return [*self.prefix, *(r.variable.name for r in self.positions)]

    def value(self, kind: str, out: list[tree.Statement]) -> ArrayExpr:
        """The kernel, of the outputs' positions. Lines go to `out`."""
        m, counts = self.m, [r.count for made in self.passes for r in made.readout.positions]
        self.positions = [
            m.range(v, count)
            for v, count in zip(self.scene.names.variables(len(counts), self.prefix), counts, strict=True)
        ]
        own, split = (
            tuple(m.name(r.variable.name) for r in self.positions),
            len(self.passes[0].readout.positions),
        )
        sides = [
            {**here, **{r.variable.name: i for r, i in zip(made.readout.positions, index, strict=True)}}
            for made, here, index in zip(self.passes, self.here, (own[:split], own[split:]), strict=True)
        ]
        terms = [
            part for w in self.scene.weights.values() if not is_number(part := self.part(w, kind, sides), 0)
        ]
        if len(self.lines) == 1 and not self.positions:
            return ArrayExpr(None, (), lambda _: self.lines[0].value)
        out += in_loops(self.lines, self.loops)
        total = m.add(*terms)
        return ArrayExpr(
            None,
            tuple(counts),
            lambda i: substituted(
                total, dict(zip((r.variable.name for r in self.positions), i, strict=True))
            ),
        )

    def named(self, wish: str, x: Tree, weight: Weight, ranges: Sequence[Range] = ()) -> Tree:
        """A part by a name of its own, for every index of `ranges`."""
        m = self.m
        target = m.member(
            self.scene.names.fresh(f"{self.name}_{wish}"),
            tuple(map(m.name, (*self.scope, *(r.variable.name for r in ranges)))),
        )
        self.lines.append(m.define(target, x, [*self.positions, *ranges], f"kernel, part of {weight.name}"))
        return target

    def part(self, weight: Weight, kind: str, sides: Sequence[dict[str, Tree]]) -> Tree:
        """What a weight adds, `Σ c E a a' E b b'` over pairs of its uses.

        It is added to the NNGP with c = scale² std², to the NTK with c = lr scale² if it is trained.
        """
        m = self.m
        own = squared(weight.std, m) if kind == "nngp" else m.number(0) if weight.frozen else weight.rate
        factor = m.product(own, squared(weight.scale, m))
        if is_number(factor, 0):
            return factor
        first, second = (uses_of(made, weight, kind, m) for made in self.passes)
        inner, outer = (factor, m.number(1)) if weight.differs(factor) else (m.number(1), factor)
        paired = ByMember(second, lambda use: use.member)
        rows = [
            [
                term
                for b in paired.of(a.member)
                if not is_number(term := self.pair(weight, inner, (a, sides[0]), (b, sides[1])), 0)
            ]
            for a in first
        ]
        rows = [row for row in rows if row]
        several = [
            m.add(*row)
            if len(rows) == 1 or len(row) == 1
            else self.named(f"{weight.name}_{k}", m.add(*row), weight)
            for k, row in enumerate(rows)
        ]
        return (
            self.named(weight.name, m.mul(outer, shrinking(weight, m), m.add(*several)), weight)
            if rows
            else m.number(0)
        )

    def pair(
        self,
        weight: Weight,
        factor: Tree,
        first: tuple[WeightUse, dict[str, Tree]],
        second: tuple[WeightUse, dict[str, Tree]],
    ) -> Tree:
        """The term of two uses.

        With each comes what its variables stand for. factor: of a member, in front.
        """
        m = self.m
        taken = [
            *self.scope,
            *(
                name
                for _, env in (first, second)
                for name in (*env, *(n.name for t in env.values() for n in names_in(t)))
            ),
        ]
        ranges: list[Range] = []
        uses = []
        for use, env in (first, second):
            env = dict(env)
            for r, variable in zip(
                use.ranges, self.scene.names.variables(len(use.ranges), taken), strict=True
            ):
                ranges.append(m.range(variable, substituted(r.count, env)))
                env[r.variable.name] = m.name(variable)
                taken.append(variable)
            uses.append((use, env))
        (u, here), (v, there) = uses
        wanted = tuple(substituted(i, here) for i in u.member)
        counts = weight.axes if len(wanted) == len(weight.axes) else weight.family
        ranges, there, same = same_member(v.member, wanted, counts, ranges, there, m)
        own = weight.of(factor, wanted)
        coefficient = m.mul(own, substituted(u.coefficient, here), substituted(v.coefficient, there), *same)
        a, b = (
            self.side(width, count, (f, here), (g, there), taken)
            for width, count, f, g in (
                (weight.rows.width, weight.rows.count, u.a, v.a),
                (weight.columns.width, weight.columns.count, u.b, v.b),
            )
        )
        return self.summed(weight, ranges, coefficient, a, b)

    def summed(self, weight: Weight, ranges: Sequence[Range], coefficient: Tree, a: Tree, b: Tree) -> Tree:
        """`Σ coefficient a b`, where b may be a sum by itself.

        That is so over the taps of a convolution, on which only what it is multiplied to depends.
        """
        m = self.m
        used = {n.name for x in (coefficient, a, *(r.count for r in ranges)) for n in names_in(x)}
        inner = [r for r in ranges if r.variable.name not in used]
        rest = [r for r in ranges if r.variable.name in used]
        inside = {n.name for n in names_in(b)}
        shared = [r for r in rest if r.variable.name in inside]
        if rest and (inner or isinstance(b, tree.Summation)):
            b = self.named(f"{weight.name}_in", m.sum(inner, b), weight, shared)
            inner = []
        return m.sum(rest, m.mul(coefficient, a, m.sum(inner, b)))

    def side(
        self,
        width: str | None,
        count: Tree | None,
        first: tuple[Callable[[Index], Tree] | None, dict[str, Tree]],
        second: tuple[Callable[[Index], Tree] | None, dict[str, Tree]],
        taken: Sequence[str],
    ) -> Tree:
        """The inner product of what stands on one side of a weight: a mean over a width, a sum over units."""
        m, (f, here), (g, there) = self.m, first, second
        if f is None or g is None:
            return m.number(1)
        if width or count is None:
            product = m.mul(substituted(f(()), here), substituted(g(()), there))
            return m.mean(product) if width else product
        (variable,) = self.scene.names.variables(1, taken)
        own = (m.name(variable),)
        return m.sum([m.range(variable, count)], m.mul(substituted(f(own), here), substituted(g(own), there)))


def uses_of(made: KernelPass, weight: Weight, kind: str, m: Maker) -> list[WeightUse]:
    """The uses of a weight that a kernel takes pairs of.

    They are readouts, and for the NTK the terms of the gradients of the others.
    """
    uses = [
        WeightUse(t.member, None, None if t.operand is None else constant(t.operand), t.coefficient, t.ranges)
        for t in made.readout.terms
        if t.weight.name == weight.name
    ]
    positions = len(made.readout.positions)
    for record in (made.records or {}).get(weight.name, []) if kind == "ntk" else []:
        uses.append(
            WeightUse(record.member, record.a, record.b, record.coefficient, record.ranges[positions:])
        )
    return uses


def constant(x: Tree) -> Callable[[Index], Tree]:
    return lambda _: x


def shrinking(weight: Weight, m: Maker) -> Tree:
    """`n/n_R` for a weight whose rows are n_R units that grow: dh is `n_R ∂(f/√n)/∂h`."""
    return m.number(1) if weight.scaling.rows is None else m.div(m.number(1), weight.scaling.rows)


def in_loops(lines: Sequence[tree.Statement], loops: Sequence[Range]) -> list[tree.Statement]:
    body = tuple(lines)
    for loop in reversed(loops):
        body = (tree.ForBlock(loop.span, loop, body),)
    return list(body) if lines else []
