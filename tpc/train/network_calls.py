"""Calls of networks in a user's own lines: `f(x)`, `f[t](x)`, `f.h(x)`.

Each becomes a forward pass before the line, once for equal calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NoReturn, cast

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic, RefusedError
from tpc.syntax import tree
from tpc.syntax.tree import Range, Tree
from tpc.syntax.walk import inner_fields, names_in, needed_ranges
from tpc.train.build import Maker
from tpc.train.checks import called, check_index, check_indices
from tpc.train.forward import Forward
from tpc.train.forward_lines import pass_of
from tpc.train.kernel_pairs import in_loops
from tpc.train.network_kernels import KERNELS, KernelCalls
from tpc.train.network_passes import (
    Passes,
    WrittenPass,
    call_key,
    substituted_outside,
    variables_here,
)
from tpc.train.records import ArrayExpr, Index, State
from tpc.train.scene import Outer, Scene
from tpc.train.trainings import Trainings
from tpc.train.user_expressions import Entries, name_of, name_of_call
from tpc.train.weights import Reader


@dataclass
class Calls:
    scene: Scene
    trainings: Trainings
    done: Passes[WrittenPass] = field(default_factory=Passes)
    kernels: KernelCalls = field(init=False)

    def __post_init__(self) -> None:
        self.kernels = KernelCalls(self.scene, self.trainings)

    def rewritten(
        self, s: tree.Define | tree.OutputStatement, out: list[tree.Statement], blocks: tuple[Range, ...]
    ) -> tree.Statement:
        """`s` with every call of a network replaced by what the pass makes; the passes go to `out`.

        The axes of an array that networks, kernels or trainings have made become the last axes of what `s`
        makes.
        """
        target = s.target.base if isinstance(s.target, tree.Indexed) else s.target
        place = _Place(self, out, blocks, f"_{target.name}" if isinstance(target, tree.Name) else "")
        if s.value is None:
            place.check_loss(s.target)
            # what its training makes
            whole = isinstance(s.target, tree.Name) and self.trainings.has_trained(s.target.name)
            return (
                replace(s, target=s.target if whole else place.entries(s.target, s.clauses).plain)
                if isinstance(s, tree.OutputStatement)
                else s
            )
        value = place.entries(s.value, s.clauses)
        # a family by its name, whole
        named = isinstance(s, tree.OutputStatement) and not s.clauses and isinstance(value.plain, tree.Name)
        made = self.with_axes(s, value, blocks) if value.made and not named else replace(s, value=value.plain)
        place.flush()
        return made

    def with_axes(
        self, s: tree.Define | tree.OutputStatement, value: Entries, blocks: Sequence[Range]
    ) -> tree.Define | tree.OutputStatement:
        """`s` with a line for every entry of the array `value`."""
        assert s.value is not None
        m, (base, index) = Maker(s.span), tree.base_and_index(s.target)
        counts = value.lengths(s.value)
        taken = [
            *(r.variable.name for r in (*blocks, *s.clauses)),
            *(name.name for name in names_in(value.probe(m))),
        ]
        variables = tuple(map(m.name, self.scene.names.variables(len(counts), taken)))
        if isinstance(s, tree.Define) and isinstance(base, tree.Name):
            known = self.scene.outer.get(base.name, Outer(None, ()))
            self.scene.outer[base.name] = replace(known, axes=(*known.axes[: len(index)], *counts))
            self.scene.arrays[base.name] = self.scene.outer[base.name].axes
        ranges = [m.range(v.name, count) for v, count in zip(variables, counts, strict=True)]
        target = tree.Indexed(s.target.span, base, (*index, *variables))
        return replace(s, target=target, value=value.at(variables), clauses=(*s.clauses, *ranges))


@dataclass
class _Place:
    """Where calls stand: the list of lines, the loops around, and what names of passes end with."""

    calls: Calls
    out: list[tree.Statement]
    blocks: tuple[Range, ...]
    suffix: str
    # the passes of calls here
    used: list[WrittenPass] = field(default_factory=list)

    def flush(self) -> None:
        """Writes what calls here have asked for since their passes were written."""
        for made in self.used:
            self.out += made.lines()
            self.calls.scene.made |= {
                var.name: var.width for var in made.forward.made.values() if var.width is not None
            }

    def rewritten(self, node: Tree, loops: tuple[Range, ...]) -> Tree:
        """`node`, which is no array. loops: clauses of the line, and ranges of the sums around `node`."""
        value = self.entries(node, loops)
        if value.made:
            self.refuse(catalogue.networks.network_entries(node.span, len(value.shape), 0))
        return value.plain

    def entries(self, node: Tree, loops: tuple[Range, ...]) -> Entries:
        """`node` with its calls replaced.

        It is an array if networks, kernels or trainings have made one in it.
        """
        named = self.training_value(node)
        if named is not None:
            return self.named(named, named, (), loops)
        self.check(node)
        if isinstance(node, tree.Indexed):
            base = self.training_value(node.base) or node.base
            value = self.call(base, loops)
            if value is not None or isinstance(base, tree.Name):
                self.check_loss(base)
                index = tuple(self.rewritten(i, loops) for i in node.index)
                return (
                    self.named(replace(node, base=base), base, index, loops)
                    if value is None
                    else self.picked(node, value, index, loops)
                )
        value = self.call(node, loops)
        if value is not None:
            return Entries(
                value.shape,
                lambda i: replace(value.at(i), span=node.span) if i or not value.shape else node,
                bool(value.shape),
                True,
            )
        if isinstance(node, tree.Name):
            return self.named(node, node, (), loops)
        inner = (*loops, *node.ranges) if isinstance(node, tree.Summation) else loops
        return self.parts(node, inner)

    def named(self, node: Tree, base: Tree, index: Index, loops: tuple[Range, ...]) -> Entries:
        """A name with some indices."""
        name, scene = name_of(base), self.calls.scene
        known = scene.outer.get(name)
        axes = scene.arrays.get(name, () if known is None else known.axes)
        shape, m = axes[len(index) :], Maker(node.span)
        made = name in scene.arrays and bool(shape)
        if made:
            self.check_inside(node, name, index, axes, loops)
        return Entries(
            shape,
            lambda i: (
                replace(node, index=(*index, *i)) if isinstance(node, tree.Indexed) else m.member(name, i)
            ),
            made,
        )

    def picked(self, node: tree.Indexed, value: ArrayExpr, index: Index, loops: tuple[Range, ...]) -> Entries:
        """An entry of what a network or a kernel gives, or a part of it."""
        if len(index) > len(value.shape):
            self.refuse(catalogue.networks.network_entries(node.span, len(value.shape), len(index)))
        self.check_inside(node, name_of_call(node.base), index, value.shape, loops)
        shape = value.shape[len(index) :]
        return Entries(
            shape,
            lambda i: replace(value.at((*index, *i)), span=node.span) if i or not shape else node,
            bool(shape),
            called=True,
        )

    def check_inside(
        self, node: Tree, name: str, index: Index, axes: Sequence[Tree | None], loops: tuple[Range, ...]
    ) -> None:
        scene = self.calls.scene
        for axis, (i, count) in enumerate(zip(index, axes, strict=False)):
            check_index(
                scene,
                node,
                name,
                axis,
                i,
                None if count is None else scene.integer(count),
                (*self.blocks, *loops),
            )

    def parts(self, node: Tree, loops: tuple[Range, ...]) -> Entries:
        """Something made of parts, entry by entry: those that are arrays have one shape."""
        own: dict[str, Entries | tuple[Any, ...]] = {}
        for name in inner_fields(node):
            value = getattr(node, name)
            if isinstance(node, tree.MatrixProduct) and name == "matrix":
                continue
            if isinstance(value, tree.Node):
                own[name] = self.entries(cast(Tree, value), loops)
            elif isinstance(value, tuple) and any(isinstance(item, tree.Node) for item in value):
                own[name] = tuple(
                    item if isinstance(item, Range) else self.entries(item, loops) for item in value
                )
        values = [
            x
            for part in own.values()
            for x in (part if isinstance(part, tuple) else (part,))
            if isinstance(x, Entries)
        ]
        made = any(v.made for v in values)
        shape: tuple[Tree | None, ...] = ()
        for value in values if made else ():
            shape = self.calls.scene.merged(shape, value.shape, node)

        def at(i: Index) -> Tree:
            def entry(x: Any) -> Any:
                return x.at(i if x.shape else ()) if isinstance(x, Entries) else x

            found: dict[str, Any] = {
                name: tuple(map(entry, x)) if isinstance(x, tuple) else entry(x) for name, x in own.items()
            }
            whole = replace(node, **found) if found else node
            return self.matmul(whole) if isinstance(whole, tree.MatrixProduct) else whole

        return Entries(shape, at, made, any(v.called for v in values))

    def argument(self, node: Tree, loops: tuple[Range, ...]) -> Tree:
        """What a network is applied to; what other networks have made of it gets a name."""
        value = self.entries(node, loops)
        if not value.called:
            return value.plain
        scene, m = self.calls.scene, Maker(node.span)
        counts, probe = value.lengths(node), value.probe(m)
        around = (*self.blocks, *needed_ranges(loops, [probe]))
        taken = [
            *(r.variable.name for r in (*self.blocks, *loops)),
            *(name.name for name in names_in(probe)),
        ]
        own = tuple(map(m.name, scene.names.variables(len(counts), taken)))
        name, index = scene.names.fresh(f"x{self.suffix}"), tuple(m.name(r.variable.name) for r in around)
        line = m.define(
            m.member(name, (*index, *own)),
            value.at(own),
            [m.range(v.name, count) for v, count in zip(own, counts, strict=True)],
            "what a network is applied to",
        )
        self.flush()
        scene.outer[name] = Outer(scene.width_in(probe), (*(r.count for r in around), *counts))
        self.out += in_loops([line], around[len(self.blocks) :])
        return m.member(name, index)

    def check(self, node: Tree) -> None:
        """Whether names of the training language stand where they mean something."""
        trainings, scene = self.calls.trainings, self.calls.scene
        match node:
            case tree.Name(name=name):
                self.check_loss(node)
                if name in scene.networks or name in trainings.adapted:
                    self.refuse(catalogue.names.function_as_value(node.span, name))
                if name in scene.weights:
                    self.refuse(catalogue.networks.weight_misplaced(node.span, name))
            case tree.Applied(function=tree.Name(name=name) as function) if name in scene.weights:
                self.refuse(catalogue.networks.weight_misplaced(function.span, name))
            case tree.Applied(function=tree.Name(name=name)) if name in KERNELS:
                self.refuse(catalogue.kernels.kernel_uncalled(node.span, name))
            case tree.Attribute(base=base, name=inside):
                shown = base.base if isinstance(base, tree.Indexed) else base
                named = shown.name if isinstance(shown, tree.Name) else ""
                known = named in scene.networks or named in trainings.adapted
                if known:
                    self.refuse(catalogue.networks.inside_uncalled(node.span, named, inside.name))
                self.refuse(catalogue.networks.no_attribute(base.span, named))
            case tree.MatrixProduct(matrix=matrix):
                base = matrix.base if isinstance(matrix, tree.Transposed) else matrix
                weight = scene.weights.get(name_of(base))
                if weight is not None and (not weight.matrix or trainings.touched(weight.name)):
                    self.refuse(catalogue.networks.weight_outside(base.span, weight.name))

    def matmul(self, node: tree.MatrixProduct) -> Tree:
        """A product in the user's own line; a weight is what its parametrization makes it."""
        base = node.matrix.base if isinstance(node.matrix, tree.Transposed) else node.matrix
        weight = self.calls.scene.weights.get(name_of(base))
        m = Maker(node.span)
        return node if weight is None else m.mul(weight.scaling.start(m), node)

    def check_loss(self, node: Tree) -> None:
        """Whether `loss` is one: that of a training with a name is not."""
        named = self.calls.trainings.named
        if (
            isinstance(node, tree.Name)
            and node.name == "loss"
            and named
            and "loss" not in self.calls.scene.names.taken
        ):
            self.refuse(catalogue.trainings.loss_unnamed(node.span, [*named]))

    def training_value(self, node: Tree) -> Tree | None:
        """`pre.loss`, or None."""
        if (
            not isinstance(node, tree.Attribute)
            or not isinstance(node.base, tree.Name)
            or node.base.name not in self.calls.trainings.named
        ):
            return None
        made = self.calls.trainings.named[node.base.name]
        if node.name.name not in made:
            self.refuse(catalogue.names.unknown_name(node.name.span, node.name.name, [*made]))
        return Maker(node.span).name(made[node.name.name])

    def call(self, node: Tree, loops: tuple[Range, ...]) -> ArrayExpr | None:
        """The value of a call of a network, None if `node` is none."""
        if not isinstance(node, tree.Applied):
            return None
        kernel = self.calls.kernels.value(node, self, loops)
        if kernel is not None:
            return kernel
        inside = node.function.name if isinstance(node.function, tree.Attribute) else None
        reference = node.function.base if isinstance(node.function, tree.Attribute) else node.function
        found = self.calls.trainings.network(reference, (*self.blocks, *loops))
        if found is None:
            if inside is not None:
                self.refuse(
                    catalogue.networks.not_a_network(
                        reference.span, name_of(reference), [*self.calls.scene.networks]
                    )
                )
            return None
        network, state = found
        values = self.pass_of_call(node, network, state, loops)
        if inside is None:
            return values[network.name.name]
        if inside.name not in values:
            self.refuse(
                catalogue.networks.unknown_inside(
                    inside.span, inside.name, network.name.name, [n for n in values if n != network.name.name]
                )
            )
        return values[inside.name]

    def pass_of_call(
        self, node: tree.Applied, network: tree.Network, state: State, loops: tuple[Range, ...]
    ) -> dict[str, ArrayExpr]:
        """The forward pass of a call, written now or before; what is named in it."""
        check_indices(self.calls.scene, node.args, (*self.blocks, *loops))
        args = tuple(self.argument(arg, loops) for arg in node.args)
        used = needed_ranges(
            loops, [*args, *(part for upto in state for part in (upto.time, *upto.outer, *upto.tasks))]
        )
        key = call_key(network, args, used, state)
        made = self.calls.done.written(self.out, key, lambda: self.write(node, network, state, args, used))
        self.used.append(made)
        stand = variables_here(made.used, used)
        here = {old: new for old, new in stand.items() if new != tree.Name(node.span, old)}
        return {
            name: replace(value, at=partial(substituted_outside, value, here))
            for name, value in made.values.items()
        }

    def write(
        self,
        node: tree.Applied,
        network: tree.Network,
        state: State,
        args: Sequence[Tree],
        used: tuple[Range, ...],
    ) -> WrittenPass:
        scene = self.calls.scene
        reader = Reader(scene.names, state, Maker(node.span), scene.weights)
        forward = Forward(
            scene,
            [*(b.variable.name for b in self.blocks), *(r.variable.name for r in used)],
            reader.entry,
            self.suffix,
        )
        forward.span = node.span
        with called(node):
            value = forward.run(network, [forward.argument(arg) for arg in args], node)
        output = value.leaf.name if value.leaf is not None else ""
        scene.passes.append(pass_of(scene, network.name.name, output, forward, training=False))
        scene.made |= {var.name: var.width for var in forward.made.values() if var.width is not None}
        made = WrittenPass(forward.locals, forward, reader, used)
        self.out += made.lines()
        return made

    def refuse(self, diagnostic: Diagnostic) -> NoReturn:
        raise RefusedError(diagnostic)
