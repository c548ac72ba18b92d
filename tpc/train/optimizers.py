"""Which optimizer updates which weight of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from tpc.core.spectral import SPECTRAL
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Label, RefusedError
from tpc.syntax import tree
from tpc.syntax.tree import Tree
from tpc.train.build import Maker
from tpc.train.descent import SGD_OPTIONS, Descent, Sgd, sgd_of
from tpc.train.entrywise import Entrywise, entrywise_of
from tpc.train.matrix_aware import MATRIX_AWARE, of_matrices
from tpc.train.naming import Names
from tpc.train.optimizer_rules import OPTIMIZERS, named_rule
from tpc.train.scene import Scene
from tpc.train.weights import Weight

OF, OTHERWISE = "of", "otherwise"


def options_of_known() -> Mapping[str, tuple[str, ...]]:
    """The optimizers that have names of their own, each with the options that its `update` line may have."""
    known = {name: named_rule(name).options for name in OPTIMIZERS}
    return {"sgd": SGD_OPTIONS, **known, **{name: own.options for name, own in MATRIX_AWARE.items()}}


@dataclass(frozen=True, slots=True)
class Optimizers:
    """The optimizers of a training."""

    # of the weights that no entrywise one updates, those in `own_sgd` apart
    sgd: Sgd
    # by weight
    entrywise: Mapping[str, Entrywise] = field(default_factory=dict)
    # A of the output weights, None if there are none
    readout: Fraction | None = None
    own_sgd: Mapping[str, Sgd] = field(default_factory=dict)
    # bounds of norms, each with the weights whose gradients it is of together
    clips: Sequence[tuple[Tree, tuple[str, ...]]] = ()

    def name_bounds(self, descent: Descent, names: Names) -> None:
        """Names the factors that bound norms: histories need them before they are made."""
        for _, weights in self.clips:
            descent.clipping |= dict.fromkeys(weights, names.fresh("clip"))

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


def optimizers_of(scene: Scene, node: tree.Train, weights: Sequence[Weight]) -> Optimizers:
    """The optimizers of the `update` lines. Raises RefusedError."""
    trainable = [w for w in weights if not w.frozen]
    updates, lines = [i for i in node.items if isinstance(i, tree.Update)], lines_of(node, trainable)
    m, none = Maker(node.span), Maker(node.span).number(0)
    sgds = {k: sgd_of(scene, line, node.range) for k, line in enumerate(updates) if line.name.name == "sgd"}
    known = {k: entrywise_of(scene, line, node.range) for k, line in enumerate(updates) if k not in sgds}
    if known and any(w.matrix for w in trainable):
        for name in ("outer", *SPECTRAL):
            if name in (*scene.functions, *scene.outer):
                raise RefusedError(catalogue.optimizers.name_taken_by_tables(node.network.span, name))
    scene.entrywise |= {name for name, place in lines.items() if place in known}
    matrix_aware = {place for place in known if updates[place].name.name in MATRIX_AWARE}
    scene.spectral |= {name for name, place in lines.items() if place in matrix_aware}
    if scene.open and known:  # an update has the size of one by SGD, so that this is what is analysed
        rate = next(iter(known.values())).rate
        return Optimizers(Sgd(scene.learned(rate, m), none, none, None))
    entrywise = {name: known[place] for name, place in lines.items() if place in known}
    for weight in trainable:
        line = updates[lines[weight.name]]
        if line.name.name in MATRIX_AWARE:
            MATRIX_AWARE[line.name.name].check(weight, line)
    readout = readout_of(node, weights) if entrywise else None
    for weight in trainable:
        if weight.name in entrywise:
            check_faithful(weight, updates[lines[weight.name]], readout)
    by_place = {place: [name for name, own in lines.items() if own == place] for place in range(len(updates))}
    bounds = {place: own.clip for place, own in known.items()} | {k: own.clip for k, own in sgds.items()}
    return Optimizers(
        next(iter(sgds.values()), Sgd(none, none, none, None)),
        entrywise,
        readout,
        {name: sgds[place] for name, place in lines.items() if place in sgds},
        [(clip, tuple(by_place[k])) for k, clip in bounds.items() if clip is not None and by_place[k]],
    )


def readout_of(node: tree.Train, weights: Sequence[Weight]) -> Fraction | None:
    """A = a + b of the output weights, frozen or not: minus the power of n that they start with."""
    own = {w.name: w.scaling.abc.a + w.scaling.abc.b for w in weights if w.scaling.kind == "output"}
    sizes = {exponent.const for exponent in own.values()}
    if len(sizes) > 1:
        raise RefusedError(catalogue.optimizers.readouts_differ(node.network.span, list(own)))
    return next(iter(sizes), None)


def check_faithful(weight: Weight, at: tree.Update, readout: Fraction | None) -> None:
    """Whether a d of the weight's own makes what an optimizer takes of it of order 1 (TP4b Def 2.8.5).

    Raises RefusedError (TP733, TP737).
    """
    abc, name = weight.scaling.abc, at.name.name
    if abc.rate is None:
        return
    due = weight.scaling.exponent_d(readout, spectral=name in MATRIX_AWARE).const
    if abc.d is None:
        raise RefusedError(catalogue.parametrizations.rate_without_d(at.name.span, weight.name, name, due))
    if abc.d != due:
        place = None if abc.d_at is None else Label(abc.d_at)
        raise RefusedError(
            catalogue.parametrizations.unfaithful(at.name.span, weight.name, name, abc.d, due, place)
        )


def lines_of(node: tree.Train, trainable: Sequence[Weight]) -> dict[str, int]:
    """Which of the `update` lines updates each weight.

    Raises RefusedError for a weight in two lines, or in none.
    """
    updates = [item for item in node.items if isinstance(item, tree.Update)]
    names, found = [w.name for w in trainable], dict[str, int]()
    places: dict[str, tree.Name] = {}
    others: int | None = None
    matrices: int | None = None
    for place, update in enumerate(updates):
        word = update.word
        if word is not None and (word.name, bool(update.weights)) not in ((OF, True), (OTHERWISE, False)):
            raise RefusedError(catalogue.optimizers.which_weights(word.span, word.name))
        if of_matrices(update):
            if matrices is not None:
                first_line = updates[matrices].name
                raise RefusedError(catalogue.optimizers.matrices_twice(update.name.span, first_line.span))
            matrices = place
            continue
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
    if matrices is not None:
        between = [w.name for w in trainable if w.matrix and w.name not in found]
        if not between:
            raise RefusedError(catalogue.optimizers.matrices_idle(updates[matrices].name.span))
        found |= dict.fromkeys(between, matrices)
    left = [name for name in names if name not in found]
    word = None if others is None else updates[others].word
    if left and others is None:
        raise RefusedError(catalogue.optimizers.weight_without_update(node.span, left))
    if not left and word is not None:
        raise RefusedError(catalogue.optimizers.otherwise_idle(word.span))
    if others is not None:
        found |= dict.fromkeys(left, others)
    return {name: found[name] for name in names}
