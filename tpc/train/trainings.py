"""Trainings, written out as lines of the core language in a loop over time.

They are `train` blocks, and the inner steps of `adapt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic, RefusedError
from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.print_tree import print_tree
from tpc.syntax.tree import Range, Tree
from tpc.syntax.walk import names_in
from tpc.train import checks
from tpc.train.adaptations import Adaptation
from tpc.train.build import Maker
from tpc.train.descent import Descent, Sgd, Updates
from tpc.train.entrywise import EntrywiseUpdates
from tpc.train.gradients import LossGradient, NamedLoss, Point, gradient_at
from tpc.train.losses import loss_of
from tpc.train.matrix_aware import of_matrices
from tpc.train.optimizers import Optimizers, optimizers_of
from tpc.train.records import Index, State, Upto
from tpc.train.scene import Scene
from tpc.train.training_options import check_options, option_value, options_of
from tpc.train.weights import Reader, Weight

REDUCTIONS = ("mean", "sum")
ADAPT_OPTIONS = ("loss", "lr", "steps")


@dataclass
class Trainings:
    """All trainings of a file, in order."""

    scene: Scene
    # how many passes' lines are kept, less one
    shown: int
    # what has happened to the weights so far
    state: State = ()
    trained: dict[str, list[Descent]] = field(default_factory=dict)  # by network
    # what a named training makes: family by attribute
    named: dict[str, dict[str, str]] = field(default_factory=dict)
    adapted: dict[str, Adaptation] = field(default_factory=dict)
    # networks adapted in trainings that are over, and where
    closed: dict[str, Span] = field(default_factory=dict)

    # networks as values

    def network(self, node: Tree, ranges: Sequence[Range]) -> tuple[tree.Network, State] | None:
        """The network that a tree names, and its weights' state: `f`, `f[t]`, `g`, `g[k]`.

        None if it names none. ranges: the loops around.
        """
        base, index = tree.base_and_index(node)
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
        """Which of `state` is the last training of a network's weights.

        Its own, or that of a network which shares some.
        """
        names = {w.name for w in self.weights_of(network)}
        trained = [descent for descents in self.trained.values() for descent in descents]
        for k in reversed(range(len(self.state))):
            descent = self.state[k].descent
            if descent in trained and any(map(descent.changes, names)):
                return k
        return None

    def has_trained(self, name: str) -> bool:
        return name in self.trained

    def touched(self, weight: str) -> bool:
        """Whether a weight has been trained, or updated by hand."""
        return any(upto.descent.changes(weight) for upto in self.state)

    def weights_of(self, network: tree.Network) -> list[Weight]:
        """The weights that a network uses, itself or through others and layers."""
        seen: set[str] = set()
        found: dict[str, Weight] = {}
        todo: list[tree.Node] = [network]
        while todo:
            for name in names_in(todo.pop()):
                if name.name in self.scene.weights:
                    found[name.name] = self.scene.weights[name.name]
                elif name.name not in seen:
                    seen.add(name.name)
                    part = self.scene.network(name.name)
                    todo += [] if part is None else [part]
        return list(found.values())

    def refuse(self, diagnostic: Diagnostic) -> NoReturn:
        raise RefusedError(diagnostic)

    # train

    def train(self, node: tree.Train, out: list[tree.Statement]) -> None:
        m, scene = Maker(node.span), self.scene
        network = self.declared(node.network)
        self.check(node)
        trainable = self.trainable(network, node.network)
        chosen = optimizers_of(scene, node, self.weights_of(network))
        descent = Descent(node.range, (), (), chosen.sgd, own_sgd=dict(chosen.own_sgd))
        self.prepare(descent, trainable, carried=[w for w in trainable if not w.matrix])
        chosen.name_tables(descent, trainable, scene.names)
        chosen.name_bounds(descent, scene.names)
        descent.name_coefficients(
            [w for w in trainable if w.matrix and w.name not in descent.tables], scene.names
        )
        before = self.state
        self.state = (*before, Upto(descent, (), m.name(node.range.variable.name)))
        inner = [self.adapt(item, (node.range,)) for item in node.items if isinstance(item, tree.Adapted)]
        gradient = gradient_at(scene, self.point(node, network), self.loss_of(node), descent, m)
        body = [line for adaptation in inner for line in adaptation.lines(scene, self.shown)]
        backward = gradient.backward_lines()
        reader = Reader(scene.names, before, m, scene.weights)
        entrywise = EntrywiseUpdates(Updates(scene, descent, m), chosen.readout)
        updates = self.updates(trainable, entrywise, gradient, reader, chosen)
        body += [*gradient.forward_lines(), *gradient.loss, self.reported(node, gradient, m)]
        body += backward if self.shown > 0 else []
        if self.shown > 1:
            out += updates.before
            body += updates.lines
        out.append(tree.ForBlock(node.span, node.range, tuple(body)))
        out += entrywise.outputs() if self.shown > 1 else []
        out += self.scene.bounds
        self.scene.bounds.clear()
        self.state = (*before, Upto(descent, (), node.range.count))
        self.trained.setdefault(node.network.name, []).append(descent)
        for item in node.items:
            if isinstance(item, tree.Adapted):
                name = item.target.base if isinstance(item.target, tree.Indexed) else item.target
                if isinstance(name, tree.Name):
                    self.closed[name.name] = item.span

    def check(self, node: tree.Train) -> None:
        self.check_items(node)
        checks.check_variables(self.scene, [node.range])
        checks.check_steps(self.scene, node.range.count)
        if node.name is not None:
            checks.check_free(self.scene, node.name)

    def trainable(self, network: tree.Network, name: tree.Name) -> list[Weight]:
        """The weights of a network that are not frozen. Raises RefusedError if there is none."""
        trainable = [w for w in self.weights_of(network) if not w.frozen]
        if not trainable:
            self.refuse(catalogue.trainings.nothing_to_train(name.span, name.name))
        return trainable

    def updates(
        self,
        trainable: Sequence[Weight],
        entrywise: EntrywiseUpdates,
        gradient: LossGradient,
        start: Reader,
        chosen: Optimizers,
    ) -> Updates:
        """The updates at the end of a round. start: the weights before the training."""
        names, m, updates = self.scene.names, start.m, entrywise.updates
        for clip, bounded in chosen.clips:
            updates.clip(
                clip, [(w, gradient.records.get(w.name, [])) for w in trainable if w.name in bounded]
            )
        for weight in trainable:
            records = gradient.records.get(weight.name, [])
            if weight.name in chosen.entrywise:

                def at_first(index: Index, weight: Weight = weight) -> Tree:
                    scope = [n.name for i in index for n in names_in(i)]
                    return m.number(0) if weight.matrix else start.entry(weight, index, scope)

                entrywise.write(weight, chosen.entrywise[weight.name], records, at_first)
            elif weight.matrix:
                updates.history(weight)
            else:
                own = names.variables(len(weight.axes), [*updates.descent_scope(records)])
                updates.carry(weight, records, start.entry(weight, tuple(map(m.name, own)), own), own)
        return updates

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

    def reported(self, node: tree.Train, gradient: LossGradient, m: Maker) -> tree.Define:
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
            several = kinds == (tree.Update,) and all(
                isinstance(item, tree.Update) and (item.word is not None or of_matrices(item))
                for item in found
            )
            if len(found) > 1 and not several:
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
        named = {n.name for n in names_in(item.network)}
        means = tuple(
            c
            for c in examples.clauses
            if reductions["tasks" if c.variable.name in named else "queries"] == "mean"
        )
        return Point(found[0], found[1], examples, means, prefix)

    def loss_of(self, node: tree.Train) -> NamedLoss:
        loss = next(item for item in node.items if isinstance(item, tree.Loss))
        return loss_of(self.scene, loss, None), "" if loss.name is None else loss.name.name, loss.span

    # adapt

    def adapt(self, node: tree.Adapted, blocks: tuple[Range, ...]) -> Adaptation:
        """`g = adapt(f, …)`: finds its inner steps, and gives `g` its meaning."""
        m, scene = Maker(node.span), self.scene
        network = self.declared(node.network)
        name = checks.adapt_target(scene, node, self.adapted)
        loss, rate, steps = self.adapt_options(node)
        variables = [r.variable.name for r in (*blocks, *node.clauses, *node.examples.clauses)]
        time = m.range(scene.names.variables(1, variables, ("p", "q", "r", "p1", "p2", "p3", "p4"))[0], steps)
        sgd = Sgd(scene.learned(rate, m), m.number(0), m.number(0), None)
        descent = Descent(time, blocks, node.clauses, sgd)
        trainable = self.trainable(network, node.network)
        members = [
            w
            for w in trainable
            if w.scaling.kind == "finite" or (w.columns.width is None and w.columns.count is None)
        ]
        self.prepare(descent, trainable, members)
        outer = tuple(m.name(r.variable.name) for r in blocks)
        tasks = tuple(m.name(c.variable.name) for c in node.clauses)
        before = self.state
        state = (*before, Upto(descent, outer, m.name(time.variable.name), tasks))
        examples = replace(node.examples, clauses=(*node.clauses, *node.examples.clauses))
        prefix = (*descent.outer_variables, time.variable.name, *(c.variable.name for c in examples.clauses))
        point = Point(network, state, examples, node.examples.clauses, prefix)
        gradient = gradient_at(scene, point, loss, descent, m)
        adaptation = Adaptation(network, descent, before, outer, steps, gradient, members)
        self.adapted[name] = adaptation
        return adaptation

    def adapt_options(self, node: tree.Adapted) -> tuple[NamedLoss, Tree, Tree]:
        """The loss, the learning rate and the number of the inner steps."""
        check_options(node.options, ADAPT_OPTIONS, "`adapt`")
        options = options_of(node.options)
        for needed in ("loss", "lr"):
            if needed not in options:
                self.refuse(catalogue.options.option_missing(node.span, "adapt", needed))
        word = option_value(options["loss"], "the name of a loss")
        if not isinstance(word, tree.Name):
            self.refuse(catalogue.options.option_value(word.span, "loss", "the name of a loss"))
        steps = option_value(options["steps"]) if "steps" in options else Maker(node.span).number(1)
        checks.check_steps(self.scene, steps)
        rate = option_value(options["lr"])
        checks.check_scalar(self.scene, "lr", rate)
        return (loss_of(self.scene, None, word), word.name, word.span), rate, steps
