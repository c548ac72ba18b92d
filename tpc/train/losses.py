"""Losses: their value and their derivative in the prediction, for one example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.tree import Tree
from tpc.syntax.walk import walk
from tpc.train.build import Maker, is_number, substituted
from tpc.train.checks import check_application
from tpc.train.derivative import derivative, jump_in
from tpc.train.scene import Scene

Entry = Callable[[tuple[Tree, ...]], Tree]


@dataclass(frozen=True, slots=True)
class LabelledOutput:
    """A network's output for one example, and its label."""

    # the number of outputs, None for a scalar network
    units: Tree | None
    # `f`, `y`: the prediction and the label, by index of the output
    f: Entry
    y: Entry
    # the output that a label names
    at: Tree
    # whether the label is declared as an index
    classes: bool
    # a bound variable for sums over outputs
    variable: str
    # one more, where the label is no index itself, being read at what is read from an index; else ""
    searching: str = ""

    def chosen(self, m: Maker) -> Tree:
        """The prediction at the output that the label names."""
        if not self.searching or self.units is None:
            return self.f((self.at,))
        k = m.name(self.searching)
        return m.sum([m.range(self.searching, self.units)], m.mul(m.equal(k, self.at), self.f((k,))))


Value = Callable[[Maker, LabelledOutput], Tree]
Slope = Callable[[Maker, LabelledOutput, tuple[Tree, ...]], Tree]
Lack = Callable[[LabelledOutput], str]


def _nothing(p: LabelledOutput) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class LossFunction:
    """A loss: all that is known of it."""

    # of one example
    value: Value
    # its derivative in the output at an index (the empty one for a scalar network)
    slope: Slope
    # what it is, as a formula
    meaning: str = ""
    # what it needs that a prediction does not have, in words; empty if there is nothing
    lack: Lack = _nothing


def loss_of(scene: Scene, node: tree.Loss | None, name: tree.Name | None) -> LossFunction:
    """The loss of a `loss` line, or one given by name."""
    if node is not None and node.value is not None:
        return own_loss(scene, node, node.value)
    word = name if node is None else node.name
    assert word is not None
    if word.name not in LOSSES:
        raise RefusedError(catalogue.trainings.unknown_loss(word.span, word.name, tuple(LOSSES)))
    if node is not None and node.options:
        raise RefusedError(catalogue.options.no_options(node.options[0].span, word.name))
    return LOSSES[word.name]


def check_prediction(loss: LossFunction, name: str, at: Span, p: LabelledOutput) -> None:
    """Whether a loss fits what is predicted. Raises RefusedError."""
    lack = loss.lack(p)
    if lack:
        raise RefusedError(catalogue.trainings.loss_needs(at, name, lack))


def check_loss(scene: Scene, value: Tree, parameters: set[str]) -> None:
    """Whether a loss of the user's own is made of scalars only."""
    for node in walk(value):
        base = node.base if isinstance(node, tree.Indexed | tree.Attribute) else node
        name = base.name if isinstance(base, tree.Name) else ""
        if isinstance(node, tree.Applied) and (
            not isinstance(node.function, tree.Name) or scene.is_elementwise(node.function.name)
        ):
            check_application(scene, node)
        if name in parameters and not isinstance(node, tree.Indexed):
            continue
        known = scene.outer.get(name)
        strange = (
            isinstance(node, tree.Mean | tree.MatrixProduct | tree.Transposed | tree.Attribute)
            or name in scene.weights
            or name in scene.networks
        )
        if (
            strange
            or (known is not None and known.width is not None)
            or (isinstance(node, tree.Indexed) and name in parameters)
        ):
            raise RefusedError(catalogue.trainings.loss_part(node.span))


def own_loss(scene: Scene, node: tree.Loss, value: Tree) -> LossFunction:
    """`loss(f, y) = …`, summed over outputs if there are several."""
    f, y = node.parameters
    if f.name == y.name:
        raise RefusedError(catalogue.names.defined_twice(y.span, y.name, f.span))
    check_loss(scene, value, {f.name, y.name})
    slope = derivative(value, f)
    if is_number(slope, 0) or jump_in(slope, scene.functions):
        raise RefusedError(catalogue.trainings.loss_derivative(value.span, f.name))

    def put(x: Tree, p: LabelledOutput, i: tuple[Tree, ...]) -> Tree:
        return substituted(x, {f.name: p.f(i), y.name: p.y(i)})

    return LossFunction(
        *summed_over_outputs(lambda m, p, i: put(value, p, i), lambda m, p, i: put(slope, p, i))
    )


def summed_over_outputs(value: Slope, slope: Slope) -> tuple[Value, Slope]:
    """The sum over outputs of a loss of each, and its derivative."""

    def total(m: Maker, p: LabelledOutput) -> Tree:
        if p.units is None:
            return value(m, p, ())
        return m.sum([m.range(p.variable, p.units)], value(m, p, (m.name(p.variable),)))

    return total, slope


def _mse(m: Maker, p: LabelledOutput, i: tuple[Tree, ...]) -> Tree:
    return m.div(m.power(m.sub(p.f(i), p.y(i)), 2), m.number(2))


def _mse_slope(m: Maker, p: LabelledOutput, i: tuple[Tree, ...]) -> Tree:
    return m.sub(p.f(i), p.y(i))


def _huber(m: Maker, p: LabelledOutput, i: tuple[Tree, ...]) -> Tree:
    """`e²/2` for |e| ≤ 1, `|e| − 1/2` beyond, e = f − y."""
    error = m.sub(p.f(i), p.y(i))
    size = m.call("abs", error)
    inside = tree.Comparison(m.span, "<=", size, m.number(1))
    return m.call(
        "where", inside, m.div(m.power(error, 2), m.number(2)), m.sub(size, m.number(Fraction(1, 2)))
    )


def _huber_slope(m: Maker, p: LabelledOutput, i: tuple[Tree, ...]) -> Tree:
    return m.call("max", m.neg(m.number(1)), m.call("min", m.number(1), m.sub(p.f(i), p.y(i))))


def _sign(m: Maker, p: LabelledOutput) -> Tree:
    """The label of a scalar network as ±1: it is that, or 0 and 1 if it is declared as an index."""
    return m.sub(m.mul(m.number(2), p.at), m.number(1)) if p.classes else p.y(())


def _logistic(m: Maker, p: LabelledOutput) -> Tree:
    """`log(1 + e^{−yf})`."""
    return m.call("softplus", m.neg(m.mul(_sign(m, p), p.f(()))))


def _logistic_slope(m: Maker, p: LabelledOutput, i: tuple[Tree, ...]) -> Tree:
    y = _sign(m, p)
    return m.neg(m.mul(y, m.call("sigmoid", m.neg(m.mul(y, p.f(()))))))


def _hinge(m: Maker, p: LabelledOutput) -> Tree:
    """`max(0, 1 − yf)`; with several outputs `Σ_{k≠y} max(0, 1 + f_k − f_y)` (Weston and Watkins)."""
    if p.units is None:
        return m.call("relu", m.sub(m.number(1), m.mul(_sign(m, p), p.f(()))))
    k = m.name(p.variable)
    # k = y gives the 1
    return m.sub(m.sum([m.range(p.variable, p.units)], m.call("relu", _margin(m, p, k))), m.number(1))


def _hinge_slope(m: Maker, p: LabelledOutput, i: tuple[Tree, ...]) -> Tree:
    if p.units is None:
        y = _sign(m, p)
        return m.neg(m.mul(y, m.call("step", m.sub(m.number(1), m.mul(y, p.f(()))))))
    k = m.name(p.variable)
    active = m.sum([m.range(p.variable, p.units)], m.call("step", _margin(m, p, k)))
    return m.sub(m.call("step", _margin(m, p, i[0])), m.mul(m.equal(i[0], p.at), active))


def _margin(m: Maker, p: LabelledOutput, k: Tree) -> Tree:
    return m.add(m.number(1), p.f((k,)), m.neg(p.chosen(m)))


def _xent(m: Maker, p: LabelledOutput) -> Tree:
    """`log Σ_k e^{f_k} − f_y`, the exponents taken relative to `f_y`."""
    return m.call("log", _partition(m, p, p.chosen(m)))


def _partition(m: Maker, p: LabelledOutput, one: Tree) -> Tree:
    """`Σ_k e^{f_k − one}`, for one of the f."""
    assert p.units is not None
    return m.sum([m.range(p.variable, p.units)], m.call("exp", m.sub(p.f((m.name(p.variable),)), one)))


def _xent_slope(m: Maker, p: LabelledOutput, i: tuple[Tree, ...]) -> Tree:
    # not e^{f_i - f_y} over the sum: both may overflow
    share = m.div(m.number(1), _partition(m, p, p.f((i[0],))))
    return m.sub(share, m.equal(i[0], p.at))


def _classes_of_several(p: LabelledOutput) -> str:
    fits = p.units is not None and p.classes
    return "" if fits else "a network of several outputs, and labels declared `input y[…] : index(k)`"


def _classes(p: LabelledOutput) -> str:
    return "" if p.classes else "labels declared `input y[…] : index(k)` (of a scalar network, 0 or 1)"


def _scalar(p: LabelledOutput) -> str:
    return "" if p.units is None else "a scalar network; `xent` takes several outputs"


# by name; whatever is added is a loss as these are
LOSSES: dict[str, LossFunction] = {
    "mse": LossFunction(*summed_over_outputs(_mse, _mse_slope), "(f − y)²/2, summed over outputs"),
    "xent": LossFunction(_xent, _xent_slope, "log Σ exp(f_k) − f_y, of class labels", _classes_of_several),
    "logistic": LossFunction(_logistic, _logistic_slope, "log(1 + exp(−y·f))", _scalar),
    "hinge": LossFunction(_hinge, _hinge_slope, "max(0, 1 − y·f)", _classes),
    "huber": LossFunction(
        *summed_over_outputs(_huber, _huber_slope), "e²/2 for |e| ≤ 1, and |e| − 1/2 beyond, e = f − y"
    ),
}
