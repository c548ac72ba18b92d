"""The gradient of a loss at a point: found first, with the names of all that makes it, then written."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.tree import Range, Tree
from tpc.syntax.walk import names_in
from tpc.train import checks
from tpc.train.autodiff import Backward
from tpc.train.build import Maker
from tpc.train.descent import Descent
from tpc.train.forward import Forward
from tpc.train.forward_lines import lines_of_steps, pass_of
from tpc.train.gradient_paths import Paths
from tpc.train.losses import LabelledOutput, LossFunction, check_prediction
from tpc.train.records import ArrayExpr, Record, State, Var, without_one
from tpc.train.scene import Scene
from tpc.train.weights import Reader

NamedLoss = tuple[LossFunction, str, Span]


@dataclass(frozen=True, slots=True)
class Point:
    """Where a gradient is taken: a network in a state, on examples."""

    network: tree.Network
    state: State
    examples: tree.Examples
    # those of the examples' ranges that a loss is averaged over
    means: tuple[Range, ...]
    prefix: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LossGradient:
    """One pass forward and back, found.

    Its lines can be written once the descents that its weights have seen know their terms.
    """

    point: Point
    forward: Forward
    backward: Backward
    loss: list[tree.Define]  # the line of the loss's derivative
    total: Tree  # the loss of the batch

    @property
    def records(self) -> dict[str, list[Record]]:
        """The terms of the gradient of every weight."""
        return self.backward.records

    def forward_lines(self) -> list[tree.Define]:
        point = self.point
        return lines_of_steps(self.forward.steps, point.prefix, point.examples.clauses, self.backward.reader)

    def backward_lines(self) -> list[tree.Define]:
        return self.backward.lines()


def gradient_at(scene: Scene, point: Point, loss: NamedLoss, descent: Descent, m: Maker) -> LossGradient:
    """Finds the gradient of the loss at a point.

    Its terms are put where the descent keeps them: the pass itself needs those of earlier rounds.
    """
    examples = point.examples
    reader = Reader(scene.names, point.state, m, scene.weights)
    around = (*descent.outer, descent.time)
    checks.check_counts(scene, examples.clauses, around)
    checks.check_indices(scene, (*examples.inputs, examples.label), (*around, *examples.clauses))
    forward = Forward(scene, point.prefix, reader.entry)
    args = [forward.argument(x) for x in examples.inputs]
    with checks.called(examples):
        value = forward.run(point.network, args, examples)
    scene.made |= {var.name: var.width for var in forward.made.values() if var.width is not None}
    out = output_of(value, point.network)
    scene.passes.append(pass_of(scene, point.network.name.name, out.name, forward, training=True))
    prediction = prediction_of(scene, forward, value, out, examples)
    function, name, span = loss
    check_prediction(function, name, span, prediction)
    weight = m.div(m.number(1), m.mul(*(c.count for c in point.means)))
    chi, lines = slopes(scene, function, prediction, out, point, m)
    coefficient = weight if out.shape else m.mul(weight, m.member(chi, tuple(map(m.name, point.prefix))))
    paths = Paths(scene, forward.steps, forward.made, point.state)
    seed = chi if out.shape else ""
    backward = Backward(scene, point.prefix, examples.clauses, reader, paths, [out], seed, coefficient)
    for name in descent.records:
        descent.records[name] = tuple(
            replace(r, ranges=r.ranges[len(descent.tasks) :]) for r in backward.records.get(name, [])
        )
    total = m.mul(m.sum(examples.clauses, function.value(m, prediction)), weight)
    return LossGradient(point, forward, backward, lines, total)


def output_of(value: ArrayExpr, network: tree.Network) -> Var:
    if value.leaf is None or value.width is not None:
        raise RefusedError(catalogue.networks.network_output(network.result.span, network.name.name))
    if len(value.shape) > 1:
        raise RefusedError(catalogue.networks.network_output(network.result.span, network.name.name))
    return value.leaf


def prediction_of(
    scene: Scene, forward: Forward, value: ArrayExpr, out: Var, examples: tree.Examples
) -> LabelledOutput:
    """The network's output beside the example's label."""
    m, label = Maker(examples.label.span), forward.argument(examples.label)
    if len(label.shape) == len(out.shape) + 1:
        label = without_one(label)
    base = examples.label.base if isinstance(examples.label, tree.Indexed) else examples.label
    known = scene.outer.get(base.name) if isinstance(base, tree.Name) else None
    classes = known is not None and known.bound is not None
    units = out.shape[0] if out.shape else None
    if (
        classes
        and known is not None
        and units is not None
        and known.bound is not None
        and not scene.same(known.bound, units)
    ):
        raise RefusedError(
            catalogue.trainings.classes_differ(
                examples.label.span, forward.shown((known.bound,)), forward.shown((units,))
            )
        )
    if not classes and (
        len(label.shape) != len(out.shape) or not all(map(scene.same, label.shape, out.shape))
    ):
        raise RefusedError(
            catalogue.trainings.label_shape(
                examples.label.span,
                checks.described(label.width, forward.shown(label.shape)),
                checks.described(None, forward.shown(out.shape)),
            )
        )
    at = label.at(()) if classes or not label.shape else m.number(0)
    variable, other = scene.names.variables(2, forward.prefix)

    def entry(i: tuple[Tree, ...]) -> Tree:
        return m.equal(i[0], label.at(())) if classes and i else label.at(i)

    return LabelledOutput(
        units,
        value.at,
        entry,
        at,
        classes,
        variable,
        other if classes and units is not None and _indirect(scene, at) else "",
    )


def _indirect(scene: Scene, label: Tree) -> bool:
    """Whether a label is read at an index that is itself read from an input."""
    index = label.index if isinstance(label, tree.Indexed) else ()
    known = (scene.outer.get(name.name) for i in index for name in names_in(i))
    return any(outer is not None and outer.bound is not None for outer in known)


def slopes(
    scene: Scene, loss: LossFunction, prediction: LabelledOutput, out: Var, point: Point, m: Maker
) -> tuple[str, list[tree.Define]]:
    """The family χ = L'(f, y), and the line that makes it."""
    name = scene.names.fresh("chi")
    variables = scene.names.variables(
        len(out.shape), [*point.prefix, prediction.variable, prediction.searching]
    )
    index = tuple(map(m.name, variables))
    clauses = [
        *point.examples.clauses,
        *(m.range(v, count) for v, count in zip(variables, out.shape, strict=True)),
    ]
    target = m.member(name, (*map(m.name, point.prefix), *index))
    return name, [m.define(target, loss.slope(m, prediction, index), clauses, "derivative of the loss")]
