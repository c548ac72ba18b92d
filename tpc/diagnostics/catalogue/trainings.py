"""What is wrong with trainings, losses and updates: TP704, TP713 and TP715 to TP719."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.diagnostics.catalogue.words import either, similar
from tpc.diagnostics.diagnostic import Diagnostic, Label
from tpc.diagnostics.spans import Span


def name_taken(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP704", f"`{name}` already means something in this program", Label(at), help="choose another name"
    )


def loss_taken(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP704",
        f"the training makes `{name}[t]`, but `{name}` means something else in this program",
        Label(at),
        help="call the other another name, or this training, `train f as pre for t < T:`, whose loss is "
        "`pre.loss[t]`",
    )


def loss_unnamed(at: Span, trainings: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "TP704",
        "the trainings of this program have names, and so have their losses",
        Label(at),
        help=f"write {either([f'`{t}.loss`' for t in trainings])}",
    )


def hidden(at: Span, name: str, what: str) -> Diagnostic:
    return Diagnostic(
        "TP704", f"`{name}` is {what}, and would be hidden here", Label(at), help="choose another name"
    )


def second_training(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP704",
        "a second training makes a second `loss`",
        Label(at),
        help="name the first, `train f as pre for t < T:`, and read `pre.loss[t]`",
    )


def label_shape(at: Span, label: str, output: str) -> Diagnostic:
    return Diagnostic(
        "TP713",
        f"the label is {label}, and the network's output {output}",
        Label(at),
        help="declare the label in the shape of the output, or change the rows of the output weight",
    )


def classes_differ(at: Span, classes: str, outputs: str) -> Diagnostic:
    return Diagnostic(
        "TP713",
        f"the labels are of {classes} classes, and the network has {outputs} outputs",
        Label(at),
        help=f"declare `input y[…] : index({outputs})`, or an output weight with {classes} rows",
    )


def no_examples(at: Span) -> Diagnostic:
    return Diagnostic("TP713", "there are no examples: the count is 0", Label(at), help="make it at least 1")


def no_examples_at(at: Span, rounds: str) -> Diagnostic:
    return Diagnostic(
        "TP713",
        f"there are no examples{rounds}, and the mean of nothing has no value",
        Label(at),
        help="make the count at least 1 in every step",
    )


def ragged_examples(at: Span, variable: str) -> Diagnostic:
    return Diagnostic(
        "TP713",
        f"how many examples there are cannot depend on the example's own `{variable}`",
        Label(at),
        help="a count is made of dims, numbers and the loop of the training",
    )


def no_steps(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP713",
        "there are no steps: the count must be a whole number of at least 1",
        Label(at),
        help="change the number, or the dim that it is made of; `f[0]` is the network without training",
    )


def nothing_to_train(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP715",
        f"`{name}` has no weight that can be trained",
        Label(at),
        help="leave the attribute `frozen` of one of its weights out, or give it a weight",
    )


def training_lacks(at: Span, what: str, example: str) -> Diagnostic:
    return Diagnostic("TP716", f"the training has no `{what}`", Label(at), help=f"add a line like {example}")


def training_twice(at: Span, what: str, first: Span) -> Diagnostic:
    return Diagnostic(
        "TP716",
        f"the training has a second `{what}`",
        Label(at),
        (Label(first, "first here"),),
        "leave one of them out, or say which weights each is for, `update adam(…) of W` and "
        "`update sgd(…) otherwise`"
        if what == "update"
        else "leave one of them out",
    )


def adapt_target(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP716",
        "an adapted network is a name, indexed by just the variables of its clauses",
        Label(at),
        help="write `g[k] = adapt(f, …) for k < K`",
    )


def update_side(at: Span, weight: str, entries: str) -> Diagnostic:
    return Diagnostic(
        "TP719",
        f"this side of `{weight}` is finite: here must stand an array of {entries} by its name, as an "
        "input's "
        "row",
        Label(at),
        help="put factors in front, `c*outer(a, x[t])`",
    )


def unknown_loss(at: Span, name: str, known: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "TP717",
        f"`{name}` is not a loss",
        Label(at),
        help=similar(name, known)
        or f"there is {either([f'`{k}`' for k in known])}, or your own: `loss(f, y) = …`",
    )


def loss_needs(at: Span, name: str, what: str) -> Diagnostic:
    return Diagnostic(
        "TP717",
        f"the loss `{name}` needs {what}",
        Label(at),
        help="change these, or take another loss: `mse` fits any network",
    )


def loss_part(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP717",
        "this cannot be a part of a loss",
        Label(at),
        help="a loss is an expression of a prediction, a label and other scalars, `loss(f, y) = (f - y)^2`",
    )


def no_gradient(at: Span, function: str) -> Diagnostic:
    return Diagnostic(
        "TP718",
        f"no gradient goes through `{function}`: its slope is 0 where it does not jump",
        Label(at),
        help="train something smoother, as `tanh`, or `relu`; or give `frozen` to the weights before it",
    )


def loss_derivative(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP718",
        f"this loss has no useful derivative in `{name}`: it does not depend on it, or jumps",
        Label(at),
        help="a step or sign has slope 0 almost everywhere; use `hinge` or `logistic`",
    )


def update_place(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP719",
        "an update by `+=` belongs to a loop of the top level, `for t < T:`",
        Label(at),
        help="indent it below such a line; for a single update that is `for t < 1:`",
    )


def update_target(at: Span, known: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "TP719",
        "only a weight can be updated by `+=`",
        Label(at),
        help=f"there is {either([f'`{k}`' for k in known])}" if known else "declare it by `weight W : n x n`",
    )


def update_family(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP719",
        f"`{name}` is a family of weights, whose members cannot be updated by `+=`",
        Label(at),
        help="declare weights of their own, `weight W1 : n x n`",
    )


def update_term(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP719",
        "every term of this update must have one factor `outer(a, b)`",
        Label(at),
        help="`W += c*outer(a, b)` adds c times the matrix that takes x to `a*mean(b*x)`; between two widths "
        "any table may stand, `sign(outer(a, b))`",
    )
