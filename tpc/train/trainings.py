"""Trainings: a `train` block, and the inner steps of `adapt`, written out as lines of the core language in a
loop over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

from tpc.core.network import Pass
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic, RefusedError
from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.print_tree import print_tree
from tpc.syntax.tree import Range, Tree
from tpc.train import checks
from tpc.train.autodiff import Backward
from tpc.train.build import Maker
from tpc.train.descent import Descent, Sgd, Updates, check_options, option_value, sgd_of
from tpc.train.forward import Forward
from tpc.train.forward_lines import written
from tpc.train.losses import LossFunction, Prediction, check_prediction, loss_of
from tpc.train.records import Product, Record, State, Upto, Value, Var, without_one
from tpc.train.scene import Scene, options_of
from tpc.train.weights import Reader, Weight

REDUCTIONS = ("mean", "sum")


@dataclass(frozen=True, slots=True)
class Adaptation:
    """A network after inner steps. tasks: how many indices tell its tasks apart."""

    network: tree.Network
    descent: Descent
    before: State
    outer: tuple[Tree, ...]
    steps: Tree


@dataclass(frozen=True, slots=True)
class Point:
    """Where a gradient is taken: a network in a state, on examples. means: those of the examples' ranges that
    a loss is averaged over."""

    network: tree.Network
    state: State
    examples: tree.Examples
    means: tuple[Range, ...]
    prefix: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gradient:
    """What one pass forward and back gives: lines by pass, the loss of an example, and the terms of the
    gradients."""

    forward: list[tree.Define]
    loss: list[tree.Define]
    backward: list[tree.Define]
    total: Tree
    records: dict[str, list[Record]]


@dataclass
class Trainings:
    """All trainings of a file, in order. state: what has happened to the weights so far. shown: how many
    passes' lines are kept, less one."""

    scene: Scene
    shown: int
    state: State = ()
    trained: dict[str, list[Descent]] = field(default_factory=dict)  # by network
    # what a named training makes: family by attribute
    named: dict[str, dict[str, str]] = field(default_factory=dict)
    adapted: dict[str, Adaptation] = field(default_factory=dict)
    # networks adapted in trainings that are over, and where
    closed: dict[str, Span] = field(default_factory=dict)

    # networks as values

    def network(self, node: Tree, ranges: Sequence[Range]) -> tuple[tree.Network, State] | None:
        """The network that a tree names, and its weights' state: `f`, `f[t]`, `g`, `g[k]`. None if it names
        none. ranges: the loops around."""
        base, index = (node.base, node.index) if isinstance(node, tree.Indexed) else (node, ())
        if not isinstance(base, tree.Name):
            return None
        if base.name in self.closed:
            self.refuse(catalogue.networks.adapted_outside(base.span, base.name, self.closed[base.name]))
        if base.name in self.adapted:
            found = self.adapted[base.name]
            for axis, (i, task) in enumerate(zip(index, found.descent.tasks, strict=False)):
                checks.check_index(
                    self.scene, node, base.name, axis, i, self.scene.integer(task.count), ranges
                )
            if len(index) != len(found.descent.tasks):
                self.refuse(
                    catalogue.indices.index_count(node.span, base.name, len(found.descent.tasks), len(index))
                )
            return found.network, (*found.before, Upto(found.descent, found.outer, found.steps, tuple(index)))
        if base.name not in self.scene.networks:
            return None
        network = self.scene.networks[base.name]
        if not index:
            return network, self.state
        if len(index) != 1:
            self.refuse(catalogue.indices.index_count(node.span, base.name, 1, len(index)))
        k = self.last_training(network)
        steps = None if k is None else self.scene.integer(self.state[k].descent.time.count)
        checks.check_time(self.scene, node, base.name, index[0], steps or 0, ranges)
        return network, () if k is None else (*self.state[:k], replace(self.state[k], time=index[0]))

    def last_training(self, network: tree.Network) -> int | None:
        """Which of `state` is the last training of a network's weights: its own, or that of a network which
        shares some."""
        names = {w.name for w in self.weights_of(network)}
        trained = [descent for descents in self.trained.values() for descent in descents]
        for k in reversed(range(len(self.state))):
            descent = self.state[k].descent
            if descent in trained and names & {*descent.carried, *descent.records}:
                return k
        return None

    def has_trained(self, name: str) -> bool:
        return name in self.trained

    def touched(self, weight: str) -> bool:
        """Whether a weight has been trained, or updated by hand."""
        return any(weight in upto.descent.carried or weight in upto.descent.records for upto in self.state)

    def weights_of(self, network: tree.Network) -> list[Weight]:
        """The weights that a network uses, itself or through others."""
        seen: set[str] = set()
        found: dict[str, Weight] = {}
        todo: list[tree.Node] = [network]
        while todo:
            for name in tree.names(todo.pop()):
                if name.name in self.scene.weights:
                    found[name.name] = self.scene.weights[name.name]
                elif name.name in self.scene.networks and name.name not in seen:
                    seen.add(name.name)
                    todo.append(self.scene.networks[name.name])
        return list(found.values())

    def refuse(self, diagnostic: Diagnostic) -> NoReturn:
        raise RefusedError(diagnostic)

    # train

    def train(self, node: tree.Train, out: list[tree.Statement]) -> None:
        m, scene = Maker(node.span), self.scene
        network = self.declared(node.network)
        self.check_items(node)
        checks.check_variables(scene, [node.range])
        checks.check_steps(scene, node.range.count)
        if node.name is not None:
            checks.check_free(scene, node.name)
        update = next(item for item in node.items if isinstance(item, tree.Update))
        descent = Descent(node.range, (), (), sgd_of(scene, update, node.range))
        trainable = [w for w in self.weights_of(network) if not w.frozen]
        if not trainable:
            self.refuse(catalogue.trainings.nothing_to_train(node.network.span, node.network.name))
        self.prepare(descent, trainable, carried=[w for w in trainable if not w.matrix])
        descent.name_coefficients([w for w in trainable if w.matrix], scene.names)
        before, now = self.state, m.name(node.range.variable.name)
        self.state = (*before, Upto(descent, (), now))
        if any(isinstance(item, tree.Adapted) for item in node.items):
            self.rehearse(node, network, descent)
        body: list[tree.Statement] = []
        gradient = self.one_round(node, network, descent, body)
        updates = Updates(scene, descent, m)
        if descent.sgd.clip is not None:
            updates.clip([(w, gradient.records.get(w.name, [])) for w in trainable])
        start = Reader(scene.names, before, m, scene.weights)
        for weight in trainable:
            records = gradient.records.get(weight.name, [])
            if weight.matrix:
                updates.history(weight)
            else:
                variables = scene.names.variables(len(weight.axes), [*updates.descent_scope(records)])
                updates.carry(
                    weight, records, start.entry(weight, tuple(map(m.name, variables)), variables), variables
                )
        body += [*gradient.forward, *gradient.loss, self.reported(node, gradient, m)]
        body += gradient.backward if self.shown > 0 else []
        if self.shown > 1:
            out += updates.before
            body += updates.lines
        out.append(tree.ForBlock(node.span, node.range, tuple(body)))
        self.state = (*before, Upto(descent, (), node.range.count))
        self.trained.setdefault(node.network.name, []).append(descent)
        for item in node.items:
            if isinstance(item, tree.Adapted):
                self.closed |= {
                    name.name: item.span
                    for name in [item.target.base if isinstance(item.target, tree.Indexed) else item.target]
                    if isinstance(name, tree.Name)
                }

    def one_round(
        self, node: tree.Train, network: tree.Network, descent: Descent, body: list[tree.Statement]
    ) -> Gradient:
        """The inner steps of a round, whose lines go to `body`, and then its gradient."""
        for item in node.items:
            if isinstance(item, tree.Adapted):
                self.adapt(item, body, (node.range,))
        return self.gradient(self.point(node, network), self.loss_of(node), descent, Maker(node.span))

    def rehearse(self, node: tree.Train, network: tree.Network, descent: Descent) -> None:
        """Finds the terms of the gradient before a round with inner steps is written: these steps see the
        weights that the rounds before have made.

        What is named on the way is forgotten, so that the round itself gets the same names.
        """
        names, adapted, made = self.scene.names, dict(self.adapted), dict(self.scene.made)
        taken, passes = set(names.taken), list(self.scene.passes)
        self.one_round(node, network, descent, [])
        names.taken, self.adapted, self.scene.made, self.scene.passes = taken, adapted, made, passes

    def declared(self, name: tree.Name) -> tree.Network:
        """The network of a name, which is to be trained or adapted."""
        network = self.scene.networks.get(name.name)
        if network is None and name.name in self.adapted:
            self.refuse(catalogue.networks.adapted_again(name.span, name.name))
        if network is None:
            self.refuse(catalogue.networks.not_a_network(name.span, name.name, [*self.scene.networks]))
        return network

    def prepare(self, descent: Descent, weights: Sequence[Weight], carried: Sequence[Weight]) -> None:
        for weight in weights:
            descent.multipliers[weight.name] = weight.rate
            descent.records[weight.name] = ()
        for weight in carried:
            descent.carried[weight.name] = self.scene.names.fresh(weight.name)
            del descent.records[weight.name]

    def reported(self, node: tree.Train, gradient: Gradient, m: Maker) -> tree.Define:
        """The line `loss[t] = …`, under the training's name."""
        wish = "loss" if node.name is None else f"{node.name.name}_loss"
        if wish in self.scene.outer:
            self.refuse(catalogue.trainings.loss_taken(node.span, wish))
        name = self.scene.names.fresh(wish)
        if node.name is not None:
            if node.name.name in self.named:
                self.refuse(catalogue.trainings.name_taken(node.name.span, node.name.name))
            self.named[node.name.name] = {"loss": name}
        elif name != wish:
            self.refuse(catalogue.trainings.second_training(node.span))
        self.scene.arrays[name] = (node.range.count,)
        return m.define(
            m.member(name, (m.name(node.range.variable.name),)), gradient.total, (), "the loss of the batch"
        )

    def check_items(self, node: tree.Train) -> None:
        for kinds, what, example in (
            ((tree.Examples, tree.Gradient), "batch", "`batch (x[t], y[t])`"),
            ((tree.Loss,), "loss", "`loss mse`"),
            ((tree.Update,), "update", "`update sgd(lr = 0.1)`"),
        ):
            found = [item for item in node.items if isinstance(item, kinds)]
            if not found:
                self.refuse(catalogue.trainings.training_lacks(node.span, what, example))
            if len(found) > 1:
                self.refuse(catalogue.trainings.training_twice(found[1].span, what, found[0].span))

    def point(self, node: tree.Train, network: tree.Network) -> Point:
        item = next(i for i in node.items if isinstance(i, tree.Examples | tree.Gradient))
        examples = item if isinstance(item, tree.Examples) else item.examples
        prefix = (node.range.variable.name, *(c.variable.name for c in examples.clauses))
        if isinstance(item, tree.Examples):
            return Point(network, self.state, examples, examples.clauses, prefix)
        found = self.network(item.network, (node.range, *examples.clauses))
        if found is None:
            base = item.network.base if isinstance(item.network, tree.Indexed) else item.network
            shown = base.name if isinstance(base, tree.Name) else ""
            self.refuse(
                catalogue.networks.not_a_network(
                    item.network.span, shown, [*self.scene.networks, *self.adapted]
                )
            )
        check_options(item.options, ("queries", "tasks"), "`gradient`")
        reductions = {"queries": "mean", "tasks": "sum"}
        for option in item.options:
            value = option_value(option, "`mean` or `sum`")
            if not isinstance(value, tree.Name) or value.name not in REDUCTIONS:
                self.refuse(
                    catalogue.options.unknown_word(
                        value.span, print_tree(value), f"a reduction over {option.name.name}", REDUCTIONS
                    )
                )
            reductions[option.name.name] = value.name
        named = {n.name for n in tree.names(item.network)}
        means = tuple(
            c
            for c in examples.clauses
            if reductions["tasks" if c.variable.name in named else "queries"] == "mean"
        )
        return Point(found[0], found[1], examples, means, prefix)

    def loss_of(self, node: tree.Train) -> tuple[LossFunction, str, Span]:
        loss = next(item for item in node.items if isinstance(item, tree.Loss))
        return loss_of(self.scene, loss, None), "" if loss.name is None else loss.name.name, loss.span

    # one gradient

    def gradient(
        self, point: Point, loss: tuple[LossFunction, str, Span], descent: Descent, m: Maker
    ) -> Gradient:
        """The gradient of the loss at a point. Its terms are put where the descent keeps them: the pass
        itself needs those of earlier rounds."""
        scene, examples = self.scene, point.examples
        reader = Reader(scene.names, point.state, m, scene.weights)
        around = (*descent.outer, descent.time)
        checks.check_counts(scene, examples.clauses, around)
        checks.check_indices(scene, (*examples.inputs, examples.label), (*around, *examples.clauses))
        forward = Forward(scene, point.prefix, reader.entry)
        args = [forward.argument(x) for x in examples.inputs]
        with checks.called(examples):
            value = forward.run(point.network, args, examples)
        scene.made |= {var.name: var.width for var in forward.made.values() if var.width is not None}
        out = self.output_of(value, point.network)
        scene.passes.append(pass_of(scene, point.network.name.name, out.name, forward, training=True))
        prediction = self.prediction(forward, value, out, examples)
        function, name, span = loss
        check_prediction(name, span, prediction)
        weight = self.share(point.means, m)
        chi, lines = self.slopes(function, prediction, out, point, m)
        prefix = tuple(map(m.name, point.prefix))
        coefficient = m.mul(weight, m.member(chi, prefix)) if not out.shape else weight
        backward = Backward(scene, point.prefix, examples.clauses, reader, forward.made)
        backward.prepare(forward.steps, [out], chi if out.shape else "", coefficient)
        for name in descent.records:
            descent.records[name] = tuple(
                replace(r, ranges=r.ranges[len(descent.tasks) :]) for r in backward.records.get(name, [])
            )
        backward.run()
        total = m.mul(m.sum(examples.clauses, function.value(m, prediction)), weight)
        return Gradient(
            written(forward.steps, point.prefix, examples.clauses, reader),
            lines,
            backward.defined,
            total,
            backward.records,
        )

    def output_of(self, value: Value, network: tree.Network) -> Var:
        if value.leaf is None or value.width is not None:
            self.refuse(catalogue.networks.network_output(network.result.span, network.name.name))
        if len(value.shape) > 1:
            self.refuse(catalogue.networks.network_output(network.result.span, network.name.name))
        return value.leaf

    def prediction(self, forward: Forward, value: Value, out: Var, examples: tree.Examples) -> Prediction:
        """The network's output beside the example's label."""
        m, label = Maker(examples.label.span), forward.argument(examples.label)
        if len(label.shape) == len(out.shape) + 1:
            label = without_one(label)
        base = examples.label.base if isinstance(examples.label, tree.Indexed) else examples.label
        known = self.scene.outer.get(base.name) if isinstance(base, tree.Name) else None
        classes = known is not None and known.bound is not None
        units = out.shape[0] if out.shape else None
        if (
            classes
            and known is not None
            and units is not None
            and known.bound is not None
            and not self.scene.same(known.bound, units)
        ):
            self.refuse(
                catalogue.trainings.classes_differ(
                    examples.label.span, forward.shown((known.bound,)), forward.shown((units,))
                )
            )
        if not classes and (
            len(label.shape) != len(out.shape) or not all(map(self.scene.same, label.shape, out.shape))
        ):
            self.refuse(
                catalogue.trainings.label_shape(
                    examples.label.span,
                    checks.described(label.width, forward.shown(label.shape)),
                    checks.described(None, forward.shown(out.shape)),
                )
            )
        variable = next(iter(self.scene.names.variables(1, forward.prefix)))

        def entry(i: tuple[Tree, ...]) -> Tree:
            return m.equal(i[0], label.at(())) if classes and i else label.at(i)

        return Prediction(
            units,
            value.at,
            entry,
            label.at(()) if classes or not label.shape else m.number(0),
            classes,
            variable,
        )

    def share(self, means: Sequence[Range], m: Maker) -> Tree:
        counts = m.mul(*(c.count for c in means))
        return m.div(m.number(1), counts)

    def slopes(
        self, loss: LossFunction, prediction: Prediction, out: Var, point: Point, m: Maker
    ) -> tuple[str, list[tree.Define]]:
        """The family χ = L'(f, y), and the line that makes it."""
        name = self.scene.names.fresh("chi")
        variables = self.scene.names.variables(len(out.shape), [*point.prefix, prediction.variable])
        index = tuple(map(m.name, variables))
        clauses = [
            *point.examples.clauses,
            *(m.range(v, count) for v, count in zip(variables, out.shape, strict=True)),
        ]
        target = m.member(name, (*map(m.name, point.prefix), *index))
        return name, [m.define(target, loss.slope(m, prediction, index), clauses, "derivative of the loss")]

    # adapt

    def adapt(self, node: tree.Adapted, out: list[tree.Statement], blocks: tuple[Range, ...]) -> None:
        """`g = adapt(f, …)`: inner steps on weights that are kept as histories, so that nothing of a task's
        own is formed but its hidden vectors."""
        m, scene = Maker(node.span), self.scene
        network = self.declared(node.network)
        name = checks.adapt_target(scene, node, self.adapted)
        check_options(node.options, ("loss", "lr", "steps"), "`adapt`")
        options = options_of(node.options)
        for needed in ("loss", "lr"):
            if needed not in options:
                self.refuse(catalogue.options.option_missing(node.span, "adapt", needed))
        word = option_value(options["loss"], "the name of a loss")
        if not isinstance(word, tree.Name):
            self.refuse(catalogue.options.option_value(word.span, "loss", "the name of a loss"))
        steps = option_value(options["steps"]) if "steps" in options else m.number(1)
        checks.check_steps(scene, steps)
        checks.check_scalar(scene, "lr", option_value(options["lr"]))
        variables = [r.variable.name for r in (*blocks, *node.clauses, *node.examples.clauses)]
        time = m.range(scene.names.variables(1, variables, ("p", "q", "r", "p1", "p2", "p3", "p4"))[0], steps)
        rate = scene.learned(option_value(options["lr"]), m)
        descent = Descent(time, blocks, node.clauses, Sgd(rate, m.number(0), m.number(0), None))
        trainable = [w for w in self.weights_of(network) if not w.frozen]
        if not trainable:
            self.refuse(catalogue.trainings.nothing_to_train(node.network.span, node.network.name))
        members = [
            w
            for w in trainable
            if w.scaling.kind == "finite" or (w.columns.width is None and w.columns.count is None)
        ]
        self.prepare(descent, trainable, members)
        outer, tasks = (
            tuple(m.name(r.variable.name) for r in blocks),
            tuple(m.name(c.variable.name) for c in node.clauses),
        )
        before = self.state
        state = (*before, Upto(descent, outer, m.name(time.variable.name), tasks))
        examples = replace(node.examples, clauses=(*node.clauses, *node.examples.clauses))
        prefix = (*descent.outer_variables, time.variable.name, *(c.variable.name for c in examples.clauses))
        point = Point(network, state, examples, node.examples.clauses, prefix)
        gradient = self.gradient(point, (loss_of(scene, None, word), word.name, word.span), descent, m)
        updates = Updates(scene, descent, m)
        start = Reader(scene.names, before, m, scene.weights)
        for weight in members:
            records = [
                replace(r, ranges=r.ranges[len(node.clauses) :])
                for r in gradient.records.get(weight.name, [])
            ]
            own = scene.names.variables(len(weight.axes), updates.descent_scope(records))
            updates.carry(
                weight, records, start.entry(weight, tuple(map(m.name, own)), [*variables, *own]), own
            )
        lines = [
            *gradient.forward,
            *gradient.loss,
            *(gradient.backward if self.shown > 0 else []),
            *(updates.lines if self.shown > 1 else []),
        ]
        out += updates.before if self.shown > 1 else []
        out.append(tree.ForBlock(node.span, time, tuple(lines)))
        self.adapted[name] = Adaptation(network, descent, before, outer, steps)


def pass_of(scene: Scene, network: str, output: str, forward: Forward, *, training: bool) -> Pass:
    """What the scaling analysis needs of a forward pass."""
    products = [step for step in forward.steps if isinstance(step, Product)]
    features: dict[str, None] = {}
    for step in products:
        if scene.weights[step.weight].scaling.kind == "output":
            probe = step.operand.at(tuple(Maker(step.span).name("_") for _ in step.operand.shape))
            features |= dict.fromkeys(name.name for name in tree.names(probe) if name.name in forward.made)
    vectors, scalars = (
        tuple(name for name, var in forward.made.items() if (var.width is None) == scalar)
        for scalar in (False, True)
    )
    return Pass(
        network,
        output,
        vectors,
        scalars,
        tuple(features),
        tuple((step.out.name, step.weight) for step in products),
        training,
    )
