"""Kernels of networks at initialisation, `nngp(f)(x, z)` and `ntk(f)(x, z)`.

They are written out as moments of a forward and a backward pass.

All weights are in the NTK parametrization, `W = (scale/√columns) w` with w ~ N(0, std²) trained: a product
`h = W x` adds `scale² E dh dh' E x x'` to the NTK, where `f = Σ V₀ x/√n` and dh is `n ∂(f/√n)/∂h`, of order
1. So the NTK is that of the training of the same file in NTP. The NNGP is the covariance of f given all but
the readout, `scale² std² E x x'`, output biases being drawn as training draws them: not at all without a std.
With dense matrices of finite width the sum is the empirical NTK itself, not only in the limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn, Protocol

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic, RefusedError
from tpc.syntax import tree
from tpc.syntax.tree import Range, Tree
from tpc.syntax.walk import names_in, needed_ranges
from tpc.train.autodiff import Backward
from tpc.train.build import Maker
from tpc.train.checks import called, check_indices
from tpc.train.forward import Forward
from tpc.train.forward_lines import lines_of_steps
from tpc.train.gradient_paths import Paths
from tpc.train.kernel_pairs import KernelPass, Pairing, in_loops
from tpc.train.network_passes import Passes, call_key, variables_here
from tpc.train.readout import Reading, Readout, seeds
from tpc.train.records import ArrayExpr, Step, read_by
from tpc.train.scene import Scene
from tpc.train.trainings import Trainings
from tpc.train.weights import Reader, Weight

KERNELS = ("nngp", "ntk")


class CallPlace(Protocol):
    """Where a kernel is asked for: the list of lines, the loops around, and what names of passes end with."""

    out: list[tree.Statement]
    blocks: tuple[Range, ...]
    suffix: str

    def rewritten(self, node: Tree, loops: tuple[Range, ...]) -> Tree: ...


@dataclass
class KernelCalls:
    """The kernels of a file."""

    scene: Scene
    trainings: Trainings
    # the passes that have been written, by what they are of and where
    done: Passes[KernelPass] = field(default_factory=Passes)

    def value(self, node: tree.Applied, place: CallPlace, loops: tuple[Range, ...]) -> ArrayExpr | None:
        """The value of `nngp(f)(x, z)` or `ntk(f)(x, z)`, its indices those of outputs' positions.

        None if `node` is neither.
        """
        call = node.function
        if (
            not isinstance(call, tree.Applied)
            or not isinstance(call.function, tree.Name)
            or call.function.name not in KERNELS
        ):
            return None
        kind = call.function.name
        network = self.network(call, kind)
        arity = len(network.parameters)
        if len(node.args) != 2 * arity:
            self.refuse(
                catalogue.names.arguments(
                    node.span, f"{kind}({network.name.name})", 2 * arity, 2 * arity, len(node.args)
                )
            )
        sides = []
        for args in (node.args[:arity], node.args[arity:]):
            check_indices(self.scene, args, (*place.blocks, *loops))
            sides.append(self.pass_of_call(node, network, args, place, loops))
        if kind == "ntk":
            for made, _ in sides:
                self.backward(made, place)
        used = needed_ranges(loops, [here for _, env in sides for here in env.values()])
        prefix = tuple(r.variable.name for r in (*place.blocks, *used))
        name = place.suffix[1:] or kind
        return Pairing(
            self.scene, [s[0] for s in sides], [s[1] for s in sides], node, prefix, used, name
        ).value(kind, place.out)

    def network(self, call: tree.Applied, kind: str) -> tree.Network:
        if len(call.args) != 1:
            self.refuse(catalogue.names.arguments(call.span, kind, 1, 1, len(call.args)))
        base = call.args[0].base if isinstance(call.args[0], tree.Indexed) else call.args[0]
        name = base.name if isinstance(base, tree.Name) else ""
        if name in self.trainings.adapted or (base is not call.args[0] and name in self.scene.networks):
            self.refuse(catalogue.kernels.kernel_at_first(call.args[0].span, kind))
        if name not in self.scene.networks:
            self.refuse(catalogue.networks.not_a_network(call.args[0].span, name, [*self.scene.networks]))
        return self.scene.networks[name]

    def refuse(self, diagnostic: Diagnostic) -> NoReturn:
        raise RefusedError(diagnostic)

    # passes

    def pass_of_call(
        self,
        node: tree.Applied,
        network: tree.Network,
        inputs: Sequence[Tree],
        place: CallPlace,
        loops: tuple[Range, ...],
    ) -> tuple[KernelPass, dict[str, Tree]]:
        """The forward pass on one side, written now or before, and what its variables stand for here."""
        args = tuple(place.rewritten(arg, loops) for arg in inputs)
        used = needed_ranges(loops, args)
        key = call_key(network, args, used)
        made = self.done.written(place.out, key, lambda: self.write(node, network, args, used, place))
        return made, variables_here(made.used, used)

    def write(
        self,
        node: tree.Applied,
        network: tree.Network,
        args: Sequence[Tree],
        used: tuple[Range, ...],
        place: CallPlace,
    ) -> KernelPass:
        scene = self.scene
        prefix = (*(b.variable.name for b in place.blocks), *(r.variable.name for r in used))
        plain = replace(scene, weights=as_declared(scene.weights))
        reader = Reader(scene.names, (), Maker(node.span), plain.weights)
        forward = Forward(plain, prefix, reader.entry, place.suffix)
        forward.span = node.span
        with called(node):
            value = forward.run(network, [forward.argument(arg) for arg in args], node)
        steps = {step.out.name: step for step in forward.steps}
        taken = {*prefix, *(a.variable for step in forward.steps for a in step.axes)}
        readout = Reading(plain, network.name.name, steps, len(prefix), taken, network.result.span).readout(
            value
        )
        hidden = needed_steps(forward.steps, readout)
        scene.made |= {step.out.name: step.out.width for step in hidden if step.out.width is not None}
        place.out += in_loops(lines_of_steps(hidden, prefix, (), reader), used)
        return KernelPass(network, place.out, used, prefix, forward, hidden, readout)

    def backward(self, made: KernelPass, place: CallPlace) -> None:
        """Writes the backward pass from the readout, and keeps its terms."""
        if made.records is not None:
            return
        scene, m = self.scene, Maker(made.network.result.span)
        final = seeds(made.readout, lambda w, i: m.member(w.initial, i), made.network.name.name, m)
        readouts = {t.weight.name for t in made.readout.terms}
        hidden = replace(
            scene, weights={name: w for name, w in scene.weights.items() if name not in readouts}
        )
        prefix = (*made.prefix, *(r.variable.name for r in made.readout.positions))
        reader = Reader(scene.names, (), m, as_declared(hidden.weights))
        steps = [*made.hidden, *final]
        paths = Paths(hidden, steps, {**made.forward.made, **{s.out.name: s.out for s in final}}, ())
        backward = Backward(
            hidden,
            prefix,
            made.readout.positions,
            reader,
            paths,
            [step.out for step in final],
            "",
            m.number(1),
            own=len(made.prefix),
        )
        lines = backward.lines()
        scene.made |= {
            name: var.width
            for var in made.forward.made.values()
            if var.width is not None
            for name in [backward.cotangents.get(var.name, "")]
            if name
        }
        place.out += in_loops(lines, made.used)
        made.records = backward.records


def needed_steps(steps: Sequence[Step], readout: Readout) -> list[Step]:
    """The steps that a readout needs."""
    needed = {
        n.name
        for t in readout.terms
        for part in (t.coefficient, t.operand)
        if part is not None
        for n in names_in(part)
    }
    found: list[Step] = []
    for step in reversed(steps):
        if step.out.name in needed:
            found.insert(0, step)
            needed |= {n.name for n in names_in(read_by(step))}
    return found


def as_declared(weights: Mapping[str, Weight]) -> dict[str, Weight]:
    """The weights of a kernel: they start as they are declared, whatever the parametrization."""
    return {name: replace(w, scaling=w.scaling.as_declared()) for name, w in weights.items()}
