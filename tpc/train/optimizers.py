"""Which optimizer updates which weight of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.train.build import Maker
from tpc.train.descent import SGD_OPTIONS, Descent, Sgd, sgd_of
from tpc.train.entrywise import Entrywise, entrywise_of
from tpc.train.naming import Names
from tpc.train.optimizer_rules import OPTIMIZERS, named_rule
from tpc.train.scene import Scene
from tpc.train.weights import Weight

OF, OTHERWISE = "of", "otherwise"


def options_of_known() -> Mapping[str, tuple[str, ...]]:
    """The optimizers that have names of their own, each with the options that its `update` line may have."""
    return {"sgd": SGD_OPTIONS, **{name: named_rule(name).options for name in OPTIMIZERS}}


@dataclass(frozen=True, slots=True)
class Optimizers:
    """The optimizers of a training."""

    # of the weights that no entrywise one updates
    sgd: Sgd
    # by weight
    entrywise: Mapping[str, Entrywise] = field(default_factory=dict)
    # A of the output weights, None if there are none
    readout: Fraction | None = None

    def name_tables(self, descent: Descent, weights: Sequence[Weight], names: Names) -> None:
        """Names the tables of weights between two widths: forward passes need them before they are made."""
        for weight in weights:
            own = self.entrywise.get(weight.name)
            if own is None or not weight.matrix:
                continue
            del descent.records[weight.name]
            descent.tables[weight.name] = names.fresh(f"{weight.name}_moved")
            if not (isinstance(own.decay, tree.Literal) and not own.decay.value):
                descent.shrinks[weight.name] = names.fresh(f"{weight.name}_kept")


def optimizers_of(scene: Scene, node: tree.Train, trainable: Sequence[Weight]) -> Optimizers:
    """The optimizers of the `update` lines. Raises RefusedError."""
    updates, lines = [i for i in node.items if isinstance(i, tree.Update)], lines_of(node, trainable)
    by_sgd = [line for line in updates if line.name.name == "sgd"]
    if len(by_sgd) > 1:
        raise RefusedError(catalogue.optimizers.sgd_of_two_lines(by_sgd[1].name.span, by_sgd[0].name.span))
    known = {
        place: entrywise_of(scene, line, node.range)
        for place, line in enumerate(updates)
        if line not in by_sgd
    }
    m, sgd = Maker(node.span), sgd_of(scene, by_sgd[0], node.range) if by_sgd else None
    if known and any(w.matrix for w in trainable) and "outer" in (*scene.functions, *scene.outer):
        raise RefusedError(catalogue.optimizers.outer_taken(node.network.span))
    scene.entrywise |= {name for name, place in lines.items() if place in known}
    if scene.open and known:  # an update has the size of one by SGD, so that this is what is analysed
        rate = next(iter(known.values())).rate
        return Optimizers(Sgd(scene.learned(rate, m), m.number(0), m.number(0), None))
    clips = [own.clip for own in known.values() if own.clip is not None]
    clips += [] if sgd is None or sgd.clip is None else [sgd.clip]
    if clips and len(updates) > 1:
        raise RefusedError(catalogue.optimizers.clip_of_one_line(node.span))
    entrywise = {name: known[place] for name, place in lines.items() if place in known}
    sgd = sgd or Sgd(m.number(0), m.number(0), m.number(0), clips[0] if clips else None)
    return Optimizers(sgd, entrywise, readout_of(node, trainable) if entrywise else None)


def readout_of(node: tree.Train, trainable: Sequence[Weight]) -> Fraction | None:
    """A = a + b of the output weights, which is minus the power of n that they start with."""
    own = {w.name: w.scaling.abc.a + w.scaling.abc.b for w in trainable if w.scaling.kind == "output"}
    sizes = {exponent.const for exponent in own.values()}
    if len(sizes) > 1:
        raise RefusedError(catalogue.optimizers.readouts_differ(node.network.span, list(own)))
    return next(iter(sizes), None)


def lines_of(node: tree.Train, trainable: Sequence[Weight]) -> dict[str, int]:
    """Which of the `update` lines updates each weight.

    Raises RefusedError for a weight in two lines, or in none.
    """
    updates = [item for item in node.items if isinstance(item, tree.Update)]
    names, found = [w.name for w in trainable], dict[str, int]()
    places: dict[str, tree.Name] = {}
    others: int | None = None
    for place, update in enumerate(updates):
        word = update.word
        if word is not None and (word.name, bool(update.weights)) not in ((OF, True), (OTHERWISE, False)):
            raise RefusedError(catalogue.optimizers.which_weights(word.span, word.name))
        if not update.weights:
            first = None if others is None else updates[others].word
            if first is not None and word is not None:
                raise RefusedError(catalogue.optimizers.otherwise_twice(word.span, first.span))
            others = place
        for weight in update.weights:
            if weight.name not in names:
                raise RefusedError(catalogue.optimizers.weight_unknown(weight.span, weight.name, names))
            if weight.name in found:
                at = places[weight.name].span
                raise RefusedError(catalogue.optimizers.weight_twice(weight.span, weight.name, at))
            found[weight.name], places[weight.name] = place, weight
    left = [name for name in names if name not in found]
    word = None if others is None else updates[others].word
    if left and others is None:
        raise RefusedError(catalogue.optimizers.weight_without_update(node.span, left))
    if not left and word is not None:
        raise RefusedError(catalogue.optimizers.otherwise_idle(word.span))
    if others is not None:
        found |= dict.fromkeys(left, others)
    return {name: found[name] for name in names}
