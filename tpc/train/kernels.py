"""Kernels of networks at initialisation, `nngp(f)(x, z)` and `ntk(f)(x, z)`, written out as moments of a forward and a backward pass.

All weights are in the NTK parametrization, `W = (std/√columns) w` with w ~ N(0, 1) trained: a product `h = W x` adds `std² E dh dh' E x x'`
to the NTK, where `f = Σ V₀ x/√n` and dh is `n ∂(f/√n)/∂h`, of order 1. The NNGP is the covariance of f given all but the readout: `std² E x x'`.
With dense matrices of finite width the sum is the empirical NTK itself, not only in the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, Protocol

from tpc.syntax import catalogue, catalogue_training, tree
from tpc.syntax.diagnostic import Diagnostic
from tpc.syntax.tree import Range, Tree
from tpc.train.autodiff import Backward
from tpc.train.checks import called, check_indices
from tpc.train.forward import Forward
from tpc.train.make import Maker, is_number, substituted
from tpc.train.readout import Reading, Readout, seeds
from tpc.train.scene import RefusedError, Scene
from tpc.train.steps import written
from tpc.train.values import Index, Record, Step, Value, read_by
from tpc.train.weights import Reader, Weight, same_member

KERNELS = ("nngp", "ntk")


class Place(Protocol):
    """Where a kernel is asked for: the list of lines, the loops around, and what names of passes end with."""

    out: list[tree.Statement]
    blocks: tuple[Range, ...]
    suffix: str

    def rewritten(self, node: Tree, loops: tuple[Range, ...]) -> Tree: ...
    def needed(self, loops: Sequence[Range], parts: Sequence[Tree]) -> tuple[Range, ...]: ...


@dataclass
class KernelPass:
    """A forward pass whose lines have been written, and the backward pass once a kernel needs it. used: its loops."""

    network: tree.Network
    used: tuple[Range, ...]
    prefix: tuple[str, ...]
    forward: Forward
    hidden: list[Step]
    readout: Readout
    records: dict[str, list[Record]] | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a weight in a pass, `Σ_ranges coefficient a bᵀ`, as a term of the gradient. member: which member of the weight, and a readout's row.

    a, b: entries on the two sides, by index of a finite side; None where there is nothing to multiply.
    """

    member: Index
    a: Callable[[Index], Tree] | None
    b: Callable[[Index], Tree] | None
    coefficient: Tree
    ranges: tuple[Range, ...]


@dataclass
class Kernels:
    scene: Scene
    done: dict[Any, KernelPass] = field(default_factory=dict)

    def value(self, node: tree.Applied, place: Place, loops: tuple[Range, ...]) -> Value | None:
        """The value of `nngp(f)(x, z)` or `ntk(f)(x, z)`, its indices those of outputs' positions; None if `node` is neither."""
        call = node.function
        if not isinstance(call, tree.Applied) or not isinstance(call.function, tree.Name) or call.function.name not in KERNELS:
            return None
        kind = call.function.name
        network = self.network(call, kind)
        arity = len(network.parameters)
        if len(node.args) != 2 * arity:
            self.refuse(catalogue.arguments(node.span, f"{kind}({network.name.name})", 2 * arity, 2 * arity, len(node.args)))
        sides = []
        for args in (node.args[:arity], node.args[arity:]):
            check_indices(self.scene, args, (*place.blocks, *loops))
            sides.append(self.passed(node, network, args, place, loops))
        if kind == "ntk":
            for made, _ in sides:
                self.backward(made, place, node)
        return Pairing(self.scene, [s[0] for s in sides], [s[1] for s in sides], node, (*place.blocks, *loops)).value(kind)

    def network(self, call: tree.Applied, kind: str) -> tree.Network:
        if len(call.args) != 1:
            self.refuse(catalogue.arguments(call.span, kind, 1, 1, len(call.args)))
        name = call.args[0].name if isinstance(call.args[0], tree.Name) else ""
        if name not in self.scene.networks:
            self.refuse(catalogue_training.not_a_network(call.args[0].span, name, [*self.scene.networks]))
        return self.scene.networks[name]

    def refuse(self, diagnostic: Diagnostic) -> NoReturn:
        raise RefusedError(diagnostic)

    # passes

    def passed(self, node: tree.Applied, network: tree.Network, inputs: Sequence[Tree], place: Place,
               loops: tuple[Range, ...]) -> tuple[KernelPass, dict[str, Tree]]:
        """The forward pass on one side, written now or before, and what its variables stand for here."""
        args = tuple(place.rewritten(arg, loops) for arg in inputs)
        used = place.needed(loops, args)
        m = Maker(node.span)
        marks: dict[str, Tree] = {r.variable.name: m.name(f"#{k}") for k, r in enumerate(used)}
        key = (id(place.out), network.name.name, tuple(substituted(a, marks) for a in args), tuple(substituted(r.count, marks) for r in used))
        if key not in self.done:
            self.done[key] = self.write(node, network, args, used, place)
        made = self.done[key]
        return made, {old.variable.name: m.name(new.variable.name) for old, new in zip(made.used, used, strict=True)}

    def write(self, node: tree.Applied, network: tree.Network, args: Sequence[Tree], used: tuple[Range, ...], place: Place) -> KernelPass:
        scene = self.scene
        prefix = (*(b.variable.name for b in place.blocks), *(r.variable.name for r in used))
        plain = replace(scene, weights=as_declared(scene.weights))
        reader = Reader(scene.names, (), Maker(node.span), plain.weights)
        forward = Forward(plain, prefix, reader.entry, place.suffix)
        forward.span = node.span
        with called(node):
            value = forward.run(network, [forward.expr(arg, {}) for arg in args], node)
        steps = {step.out.name: step for step in forward.steps}
        readout = Reading(plain, network.name.name, steps, len(prefix), [*prefix], network.result.span).readout(value)
        hidden = self.hidden(forward.steps, readout, network)
        scene.made |= {step.out.name: step.out.width for step in hidden if step.out.width is not None}
        place.out += looped(written(hidden, prefix, (), reader), used)
        return KernelPass(network, used, prefix, forward, hidden, readout)

    def hidden(self, steps: Sequence[Step], readout: Readout, network: tree.Network) -> list[Step]:
        """The steps that a readout needs; these have no weights that are random of order 1 in the limit, or that have none."""
        needed = {n.name for t in readout.terms for part in (t.coefficient, t.operand) if part is not None for n in tree.names(part)}
        found: list[Step] = []
        for step in reversed(steps):
            if step.out.name in needed:
                found.insert(0, step)
                needed |= {n.name for n in tree.names(read_by(step))}
        return found

    def backward(self, made: KernelPass, place: Place, node: tree.Applied) -> None:
        """Writes the backward pass from the readout, and keeps its terms."""
        if made.records is not None:
            return
        scene, m = self.scene, Maker(made.network.result.span)
        final = seeds(made.readout, lambda w, i: m.member(w.initial, i), made.network.name.name, m)
        readouts = {t.weight.name for t in made.readout.terms}
        hidden = replace(scene, weights={name: w for name, w in scene.weights.items() if name not in readouts})
        prefix = (*made.prefix, *(r.variable.name for r in made.readout.positions))
        reader = Reader(scene.names, (), m, as_declared(hidden.weights))
        backward = Backward(hidden, prefix, made.readout.positions, reader, {**made.forward.made, **{s.out.name: s.out for s in final}},
                            own=len(made.prefix))
        backward.prepare([*made.hidden, *final], [step.out for step in final], "", m.number(1))
        backward.run()
        scene.made |= {name: var.width for var in made.forward.made.values() if var.width is not None
                       for name in [backward.cotangents.get(var.name, "")] if name}
        place.out += looped(backward.defined, made.used)
        made.records = backward.records


def looped(lines: Sequence[tree.Statement], loops: Sequence[Range]) -> list[tree.Statement]:
    body = tuple(lines)
    for loop in reversed(loops):
        body = (tree.ForBlock(loop.span, loop, body),)
    return list(body) if lines else []


@dataclass
class Pairing:
    """The kernel of two passes. here: what the variables of their loops stand for; around: the loops around the call."""

    scene: Scene
    passes: Sequence[KernelPass]
    here: Sequence[dict[str, Tree]]
    node: tree.Applied
    around: Sequence[Range]

    @property
    def m(self) -> Maker:
        return Maker(self.node.span)

    def value(self, kind: str) -> Value:
        counts = [r.count for made in self.passes for r in made.readout.positions]
        return Value(None, tuple(counts), lambda index: self.entry(kind, index))

    def entry(self, kind: str, index: Index) -> Tree:
        """`Σ std² E a a' E b b'` over pairs of uses of every weight. NTK: times the weight's learning rate, frozen weights left out."""
        m, split = self.m, len(self.passes[0].readout.positions)
        sides = []
        for made, here, own in zip(self.passes, self.here, (index[:split], index[split:]), strict=True):
            sides.append({**here, **{r.variable.name: i for r, i in zip(made.readout.positions, own, strict=True)}})
        scope = [*(r.variable.name for r in self.around), *(n.name for i in index for n in tree.names(i))]
        terms = []
        for weight in self.scene.weights.values():
            rate = m.number(1) if kind == "nngp" else m.number(0) if weight.frozen else weight.rate
            if is_number(rate, 0):
                continue
            first, second = (uses_of(made, weight, kind, m) for made in self.passes)
            pairs = [self.pair(weight, (a, sides[0]), (b, sides[1]), scope) for a in first for b in second]
            terms.append(m.mul(rate, squared(weight.std, m), shrinking(weight, m), m.add(*pairs)))
        return m.add(*terms)

    def pair(self, weight: Weight, first: tuple[Use, dict[str, Tree]], second: tuple[Use, dict[str, Tree]], scope: Sequence[str]) -> Tree:
        """The term of two uses. With each comes what its variables stand for."""
        m = self.m
        taken = [*scope, *(name for _, env in (first, second) for name in (*env, *(n.name for t in env.values() for n in tree.names(t))))]
        ranges: list[Range] = []
        uses = []
        for use, env in (first, second):
            env = dict(env)
            for r, variable in zip(use.ranges, self.scene.names.variables(len(use.ranges), taken), strict=True):
                ranges.append(m.range(variable, substituted(r.count, env)))
                env[r.variable.name] = m.name(variable)
                taken.append(variable)
            uses.append((use, env))
        (u, here), (v, there) = uses
        wanted = tuple(substituted(i, here) for i in u.member)
        counts = weight.axes if len(wanted) == len(weight.axes) else weight.family
        ranges, there, same = same_member(v.member, wanted, counts, ranges, there, m)
        parts = [self.side(width, count, (f, here), (g, there), taken) for width, count, f, g in
                 ((weight.rows.width, weight.rows.count, u.a, v.a), (weight.columns.width, weight.columns.count, u.b, v.b))]
        return m.sum(ranges, m.mul(substituted(u.coefficient, here), substituted(v.coefficient, there), *same, *parts))

    def side(self, width: str | None, count: Tree | None, first: tuple[Callable[[Index], Tree] | None, dict[str, Tree]],
             second: tuple[Callable[[Index], Tree] | None, dict[str, Tree]], taken: Sequence[str]) -> Tree:
        """The inner product of what stands on one side of a weight: a mean over a width, a sum over units."""
        m, (f, here), (g, there) = self.m, first, second
        if f is None or g is None:
            return m.number(1)
        if width or count is None:
            product = m.mul(substituted(f(()), here), substituted(g(()), there))
            return m.mean(product) if width else product
        variable, = self.scene.names.variables(1, taken)
        own = (m.name(variable),)
        return m.sum([m.range(variable, count)], m.mul(substituted(f(own), here), substituted(g(own), there)))


def uses_of(made: KernelPass, weight: Weight, kind: str, m: Maker) -> list[Use]:
    """The uses of a weight that a kernel takes pairs of: readouts, and for the NTK the terms of the gradients of the others."""
    uses = [Use(t.member, None, None if t.operand is None else constant(t.operand), t.coefficient, t.ranges)
            for t in made.readout.terms if t.weight.name == weight.name]
    positions = len(made.readout.positions)
    for record in (made.records or {}).get(weight.name, []) if kind == "ntk" else []:
        uses.append(Use(record.member, record.a, record.b, record.coefficient, record.ranges[positions:]))
    return uses


def as_declared(weights: Mapping[str, Weight]) -> dict[str, Weight]:
    return {name: replace(w, scaling=w.scaling.as_declared()) for name, w in weights.items()}


def constant(x: Tree) -> Callable[[Index], Tree]:
    return lambda _: x


def squared(std: Tree, m: Maker) -> Tree:
    return m.number(std.value**2) if isinstance(std, tree.Number) else m.power(std, 2)


def shrinking(weight: Weight, m: Maker) -> Tree:
    """`n/n_R` for a weight whose rows are n_R units that grow: dh is `n_R ∂(f/√n)/∂h`."""
    return m.number(1) if weight.scaling.rows is None else m.div(m.number(1), weight.scaling.rows)
