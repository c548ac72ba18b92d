"""Which optimizer updates which weight of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.train.build import Maker
from tpc.train.descent import Descent, Sgd, sgd_of
from tpc.train.entrywise import Entrywise, entrywise_of
from tpc.train.naming import Names
from tpc.train.scene import Scene
from tpc.train.weights import Weight

OF, OTHERWISE = "of", "otherwise"


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
    lines = lines_of(node, trainable)
    sgd_lines = list({id(line): line for line in lines.values() if line.name.name == "sgd"}.values())
    if len(sgd_lines) > 1:
        raise RefusedError(
            catalogue.optimizers.sgd_of_two_lines(sgd_lines[1].name.span, sgd_lines[0].name.span)
        )
    m, clip = Maker(node.span), None
    known = {
        id(line): entrywise_of(scene, line, node.range) for line in lines.values() if line not in sgd_lines
    }
    if scene.open and known:  # an update has the size of one by SGD, so that this is what is analysed
        rate = next(iter(known.values())).rate
        return Optimizers(Sgd(scene.learned(rate, m), m.number(0), m.number(0), None))
    clips = [own.clip for own in known.values() if own.clip is not None]
    sgd = sgd_of(scene, sgd_lines[0], node.range) if sgd_lines else None
    if clips or (sgd is not None and sgd.clip is not None):
        if len({id(line) for line in lines.values()}) > 1:
            raise RefusedError(catalogue.optimizers.clip_of_one_line(node.span))
        clip = clips[0] if clips else None
    entrywise = {name: known[id(line)] for name, line in lines.items() if id(line) in known}
    sgd = sgd or Sgd(m.number(0), m.number(0), m.number(0), clip)
    return Optimizers(sgd, entrywise, readout_of(node, trainable) if entrywise else None)


def readout_of(node: tree.Train, trainable: Sequence[Weight]) -> Fraction | None:
    """A = a + b of the output weights, which is minus the power of n that they start with."""
    own = {w.name: w.scaling.abc.a + w.scaling.abc.b for w in trainable if w.scaling.kind == "output"}
    sizes = {exponent.const for exponent in own.values()}
    if len(sizes) > 1:
        raise RefusedError(catalogue.optimizers.readouts_differ(node.network.span, list(own)))
    return next(iter(sizes), None)


def lines_of(node: tree.Train, trainable: Sequence[Weight]) -> dict[str, tree.Update]:
    """The line that updates each weight. Raises RefusedError for a weight in two lines, or in none."""
    updates = [item for item in node.items if isinstance(item, tree.Update)]
    names, found = [w.name for w in trainable], dict[str, tree.Update]()
    places: dict[str, tree.Name] = {}
    rest: tree.Update | None = None
    for update in updates:
        word = update.word
        if word is not None and (word.name, bool(update.weights)) not in ((OF, True), (OTHERWISE, False)):
            raise RefusedError(catalogue.optimizers.which_weights(word.span, word.name))
        if not update.weights:
            if rest is not None and rest.word is not None and word is not None:
                raise RefusedError(catalogue.optimizers.otherwise_twice(word.span, rest.word.span))
            rest = update
        for weight in update.weights:
            if weight.name not in names:
                raise RefusedError(catalogue.optimizers.weight_unknown(weight.span, weight.name, names))
            if weight.name in found:
                first = places[weight.name].span
                raise RefusedError(catalogue.optimizers.weight_twice(weight.span, weight.name, first))
            found[weight.name], places[weight.name] = update, weight
    left = [name for name in names if name not in found]
    if left and rest is None:
        raise RefusedError(catalogue.optimizers.weight_without_update(node.span, left))
    if not left and rest is not None and rest.word is not None:
        raise RefusedError(catalogue.optimizers.otherwise_idle(rest.word.span))
    if rest is not None:
        found |= dict.fromkeys(left, rest)
    return {name: found[name] for name in names}
