"""The part of the catalogue on networks and training: TP7."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.diagnostics.catalogue import counted, either, quoted, similar
from tpc.diagnostics.diagnostic import Diagnostic, Label
from tpc.diagnostics.spans import Span


def unknown_word(at: Span, word: str, what: str, known: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "TP701",
        f"`{word}` is not {what}",
        Label(at),
        help=similar(word, known) or f"there is {either([f'`{k}`' for k in known])}",
    )


def option_value(at: Span, name: str, kind: str) -> Diagnostic:
    return Diagnostic("TP702", f"the option `{name}` needs {kind}", Label(at), help=f"write `{name} = …`")


def option_flag(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP702", f"the option `{name}` has no value", Label(at), help=f"write just `{name}`, or leave it out"
    )


def option_range(at: Span, name: str, wanted: str) -> Diagnostic:
    return Diagnostic("TP702", f"the option `{name}` must be {wanted}", Label(at))


def option_not_given(at: Span, name: str, what: str) -> Diagnostic:
    return Diagnostic(
        "TP702",
        f"the option `{name}` is made of inputs, dims and numbers, and `{what}` is none of them",
        Label(at),
        help="declare an input for it, as in `input s = 2`",
    )


def std_without_width(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP702",
        "a program without a width draws nothing, so a `std` has no meaning in it",
        Label(at),
        help="declare a width, `width n`, or leave the option out: then the weight starts at 0",
    )


def option_of_width(at: Span, name: str, width: str) -> Diagnostic:
    return Diagnostic(
        "TP404",
        f"the width `{width}` tends to infinity and cannot be used as a number here",
        Label(at),
        help=f"`{name}` is of order 1; powers of `{width}` are the parametrization's: `a = 1/2` puts "
        "n^(-1/2) "
        "in front of "
        "a weight, `b = 1/2` into what it is drawn with",
    )


def option_of_vector(at: Span, name: str, vector: str) -> Diagnostic:
    return Diagnostic(
        "TP702",
        f"the option `{name}` is a scalar, and `{vector}` is not",
        Label(at),
        help="a vector's mean is one, `mean(v)`",
    )


def schedule_length(at: Span, name: str, has: int, steps: int) -> Diagnostic:
    entries = counted(has, "entry", "entries")
    return Diagnostic(
        "TP702",
        f"the schedule `{name}` has {entries}, and the training {counted(steps, 'step', 'steps')}",
        Label(at),
        help="a schedule has an entry for every step",
    )


def option_missing(at: Span, what: str, name: str) -> Diagnostic:
    return Diagnostic(
        "TP702", f"`{what}` needs the option `{name}`", Label(at), help=f"write `{what}(…, {name} = …)`"
    )


def no_options(at: Span, word: str) -> Diagnostic:
    return Diagnostic("TP701", f"`{word}` has no options", Label(at), help=f"write just `{word}`")


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


def weight_sides(at: Span, side: str) -> Diagnostic:
    return Diagnostic(
        "TP705",
        f"`{side}` is neither a width nor a dim",
        Label(at),
        help="the sides of a weight are widths, dims and whole numbers, as in `weight W : n x n`",
    )


def weight_empty(at: Span) -> Diagnostic:
    return Diagnostic("TP705", "a side of a weight has at least one unit, and this has 0", Label(at))


def weight_family(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP705", "how many weights a family has is a whole number, made of dims and numbers", Label(at)
    )


def weight_misplaced(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP706",
        f"the weight `{name}` can only be multiplied to something",
        Label(at),
        help=f"write `{name} @ x` or `{name}.T @ x`",
    )


def bias_multiplied(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP706",
        f"`{name}` is a bias: it is added, not multiplied by `@`",
        Label(at),
        help=f"write `… + {name}`",
    )


def weight_outside(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP706",
        f"outside networks `{name}` is no matrix: only weights between two widths are, until they are "
        "trained",
        Label(at),
        help=f"use it through a network, as in `network g(x) = {name} @ x`",
    )


def weight_due(at: Span, known: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "TP706",
        "in a network, the left side of `@` must be a weight, or the transpose of one",
        Label(at),
        help=f"there is {either([f'`{k}`' for k in known])}" if known else "declare it by `weight W : n x n`",
    )


def weight_side(at: Span, name: str, takes: str, given: str, declared: Span) -> Diagnostic:
    return Diagnostic(
        "TP707",
        f"{name} takes {takes}, but this is {given}",
        Label(at, given),
        (Label(declared, "declared here"),),
    )


def readout_of_input(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP708",
        f"this blows up like n: `{name}` is an input weight with entries of order 1, and a sum over n of "
        "them "
        "is no readout",
        Label(at),
        help="use an output weight of its own, `weight V : 1 x n`; tied to the input weight, a mean is of "
        "order 1: "
        f"`o[k] = mean(({name} @ onehot(k))*x) for k < K`",
    )


def input_of_readout(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP708",
        f"this vanishes like 1/n: `{name}` is an output weight with entries of order 1/n, and makes no "
        "vector "
        "of order 1",
        Label(at),
        help="use an input weight of its own, `weight U : n x 1`",
    )


def decoupled_needs(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP708",
        f"only a weight between two widths can be decoupled, and `{name}` has a finite side",
        Label(at),
    )


def not_a_network(at: Span, name: str, known: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "TP709",
        f"{quoted(name)} is not a network",
        Label(at),
        help=similar(name, known) or "declare it by `network f(x) = …`",
    )


def no_such_network(name: str, known: Sequence[str]) -> Diagnostic:
    """For a network asked for from Python; `name` is empty where none was named."""
    if not known:
        return Diagnostic("TP709", "the program has no network", help="declare one by `network f(x) = …`")
    return Diagnostic(
        "TP709",
        f"{quoted(name)} is not a network of the program" if name else "the program has several networks",
        help=f"name one of {', '.join(known)}",
    )


def several_inputs(name: str, count: int) -> Diagnostic:
    """For kernels asked for from Python."""
    pair = ", ".join(f"x{k + 1}[{i}]" for i in "ij" for k in range(count))
    return Diagnostic(
        "TP709",
        f"`{name}` has {count} inputs, and kernels as functions of arrays are those of networks of one",
        help=f"put them together in one array, or write `output K[i, j] = ntk({name})({pair}) for i < N "
        "for j "
        "< N`",
    )


def kernel_positions(name: str, positions: tuple[int, ...]) -> Diagnostic:
    """For kernels asked for from Python."""
    return Diagnostic(
        "TP714",
        f"the axes of what `{name}` returns are not those of `positions`, {positions}",
        help="`positions` has the extent of each, as in `positions=(28, 28)` for a scalar at every pixel; it "
        "is () for one scalar",
    )


def each_input(name: str, shape: tuple[int, ...]) -> str:
    """Help, where arrays of inputs were given from Python."""
    return (
        f"an array of inputs has them along its first axis: here, those of `{name}` have the shape "
        f"{shape} "
        "each"
    )


def no_gram(kernel: str, network: str, why: str) -> Diagnostic:
    why = why.replace("_of_kernel", "")  # an end of the names that tpc.kernels makes
    return Diagnostic(
        "TP726",
        f"the {kernel} of `{network}` does not follow from covariances: {why}",
        help=f"`output K[i, j] = {kernel}({network})(x[i], x[j]) for i < N for j < N` gives it with standard "
        "errors, by another method",
    )


def adapted_again(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP709",
        f"`{name}` is an adapted network, which cannot be trained or adapted itself",
        Label(at),
        help="use the network it is made from; `steps = …` takes more steps",
    )


def adapted_outside(at: Span, name: str, made: Span) -> Diagnostic:
    return Diagnostic(
        "TP709",
        f"`{name}` is made anew in every step of a training, and means nothing outside it",
        Label(at),
        (Label(made, "made here"),),
        help="adapt again after the training: `g = adapt(f, …)`",
    )


def inside_uncalled(at: Span, network: str, name: str) -> Diagnostic:
    return Diagnostic(
        "TP709",
        f"what is inside the network `{network}` depends on what it is called with",
        Label(at),
        help="the loss of its training is `loss[t]`, or `pre.loss[t]` of `train f as pre for t < T:`"
        if name == "loss"
        else f"write `{network}.{name}(x)`",
    )


def no_attribute(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP709",
        f"{quoted(name)} is neither a network nor the name of a training",
        Label(at),
        help="`f.h(x)` is something inside a network, and `pre.loss` the loss of `train f as pre for t < T:`",
    )


def unknown_inside(at: Span, name: str, network: str, known: Sequence[str]) -> Diagnostic:
    remedy = (
        f"there is {either([f'`{k}`' for k in known])}"
        if known
        else "name it in the network's body, on a line of its own"
    )
    return Diagnostic(
        "TP709",
        f"nothing in the network `{network}` is called `{name}`",
        Label(at),
        help=similar(name, known) or remedy,
    )


def network_part(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP710",
        "this cannot be a part of a network",
        Label(at),
        help="its parts are numbers, inputs, weights times arrays or vectors, functions, `mean` and `sum`; "
        "what a network gives is one if it is named by a line of its own before, `a[t] = f[0](x[t])[t]`",
    )


def network_in_sum(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP710",
        "a product or a mean inside a sum is made for every term, and how many there are depends on a "
        "variable",
        Label(at),
        help="give the sum a count made of dims and numbers",
    )


def network_index(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP711",
        f"`{name}` is made member by member, and which one this is, is not known before the program runs",
        Label(at),
        help="its index is made of numbers, dims and variables of sums and of `for` around the line",
    )


def network_rounds(at: Span, limit: int) -> Diagnostic:
    return Diagnostic(
        "TP711",
        f"a family whose members are made one from another has at most {limit:,} of them, known before the "
        "program runs",
        Label(at),
    )


def network_time(at: Span, name: str, time: int, steps: int, rounds: str) -> Diagnostic:
    if not steps:
        return Diagnostic(
            "TP711",
            f"`{name}` has not been trained before this line, so there is no `{name}[{time}]`{rounds}",
            Label(at),
            help=f"`{name}[0]` is the network at initialisation",
        )
    return Diagnostic(
        "TP711",
        f"there is no `{name}[{time}]`{rounds}: the training of `{name}` has "
        f"{counted(steps, 'step', 'steps')}",
        Label(at),
        help=f"`{name}[0]` is the network before training, `{name}[{steps}]` after it",
    )


def network_extent(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP712",
        "the length of this array is not known here",
        Label(at),
        help="declare it as an input with its lengths, `input x[T, d]`",
    )


def network_ragged(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP712",
        f"the members of `{name}` are no array: some are missing, or they differ in shape or width",
        Label(at),
        help="name its members by numbers, or make one at every place, all alike",
    )


def shapes_differ(at: Span, shape: str, other: str) -> Diagnostic:
    return Diagnostic(
        "TP712",
        f"arrays of {other} and of {shape} entries meet in one elementwise expression",
        Label(at, f"{shape} entries"),
    )


def label_shape(at: Span, label: str, output: str) -> Diagnostic:
    return Diagnostic("TP713", f"the label is {label}, and the network's output {output}", Label(at))


def classes_differ(at: Span, classes: str, outputs: str) -> Diagnostic:
    return Diagnostic(
        "TP713", f"the labels are of {classes} classes, and the network has {outputs} outputs", Label(at)
    )


def no_examples(at: Span) -> Diagnostic:
    return Diagnostic("TP713", "there are no examples: the count is 0", Label(at))


def no_examples_at(at: Span, rounds: str) -> Diagnostic:
    return Diagnostic(
        "TP713", f"there are no examples{rounds}, and the mean of nothing has no value", Label(at)
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
        "TP713", "there are no steps: the count must be a whole number of at least 1", Label(at)
    )


def network_output(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP714",
        f"`{name}` can only be trained if what it returns is a scalar, or one array of scalars",
        Label(at),
        help="end it with an output weight, `V @ x`",
    )


def network_entries(at: Span, wanted: int, given: int) -> Diagnostic:
    return Diagnostic(
        "TP714",
        f"the value here has {wanted} ind{'ex' if wanted == 1 else 'ices'}, not {given}",
        Label(at),
        help="name the entry, as in `f(x)[k]`" if wanted else None,
    )


def nothing_to_train(at: Span, name: str) -> Diagnostic:
    return Diagnostic("TP715", f"`{name}` has no weight that can be trained", Label(at))


def training_lacks(at: Span, what: str, example: str) -> Diagnostic:
    return Diagnostic("TP716", f"the training has no `{what}`", Label(at), help=f"add a line like {example}")


def training_twice(at: Span, what: str, first: Span) -> Diagnostic:
    return Diagnostic(
        "TP716", f"the training has a second `{what}`", Label(at), (Label(first, "first here"),)
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
    return Diagnostic("TP717", f"the loss `{name}` needs {what}", Label(at))


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
        "TP719", "an update by `+=` belongs to a loop of the top level, `for t < T:`", Label(at)
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
        help="`W += c*outer(a, b)` adds c times the matrix that takes x to `a*mean(b*x)`",
    )


def onehot_needs(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP720",
        "`onehot` takes a whole number whose range is known: a member of an input declared as an index, or a "
        "loop variable",
        Label(at),
        help="declare `input j[t < T] : index(d)` and write `onehot(j[t])`, "
        "or say how many entries there are, `onehot(k, d)`",
    )


def pad_needs(at: Span, axes: int) -> Diagnostic:
    has = (
        f"this array has {counted(axes, 'axis', 'axes')}: {'write' if axes == 1 else 'for all of them'} "
        f"`pad(x{', 1' * axes})`"
    )
    return Diagnostic(
        "TP723",
        "`pad` takes an array, and for each of its first axes how many zeros stand before and after it",
        Label(at),
        help=has if axes else "this is no array",
    )


def pad_empty(at: Span, axis: int) -> Diagnostic:
    return Diagnostic(
        "TP723",
        f"there is nothing to put zeros around: axis {axis + 1} of this array has no entries",
        Label(at),
        help="the dims of what is padded are at least 1",
    )


def pad_amount(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP723",
        "how many zeros `pad` puts around an array is a whole number, made of numbers and dims",
        Label(at),
    )


def not_a_readout(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP721",
        f"`{name}` has no kernel: its output is not a readout",
        Label(at),
        help="end it with output weights, `V @ x`, added to each other or to biases, with factors that "
        "do not "
        "depend on them",
    )


def readout_too_long(at: Span, name: str, limit: int) -> Diagnostic:
    return Diagnostic(
        "TP721",
        f"`{name}` has no kernel: written as a sum of readouts, its output has more than {limit:,} parts",
        Label(at),
        help="add what is read out, `V @ (x + y)`, instead of the outputs",
    )


def kernel_of_random(at: Span, name: str, made: Span) -> Diagnostic:
    return Diagnostic(
        "TP721",
        f"`{name}` has no kernel: what is read out here depends on scalars that weights make, which stay "
        "random in the limit",
        Label(at),
        (Label(made, "made here"),) if made != at else (),
        help="let all weights before the readout have rows that grow, as `n x d` or `n x n`",
    )


def kernel_at_first(at: Span, kernel: str) -> Diagnostic:
    return Diagnostic(
        "TP722",
        "a kernel is that of a network at initialisation",
        Label(at),
        help=f"write `{kernel}(f)(x, z)`; with f[t], `mean(f[t].h(x)*f[t].h(z))` is a kernel of what is "
        "inside it",
    )


def kernel_uncalled(at: Span, kernel: str) -> Diagnostic:
    return Diagnostic(
        "TP722",
        f"`{kernel}` of a network is a function of two inputs",
        Label(at),
        help=f"write `{kernel}(f)(x, z)`",
    )


def width_in_network(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP404",
        f"the width `{name}` tends to infinity and cannot stand in a network",
        Label(at),
        help=f"its powers belong to the weights, `weight W : {name} x {name}, a = 1/2`, or around what a "
        "network gives",
    )


def irrational(at: Span, what: str) -> Diagnostic:
    return Diagnostic(
        "TP731",
        f"{what} is the power of a width, and must be an exact rational number",
        Label(at),
        help="write a number, a fraction as `1/2`, or such with dims in it",
    )


def exponents_form(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP702",
        f"the option `{name}` needs a list of rational numbers, one for each weight",
        Label(at),
        help=f"write `{name} = [0, 1/2]`",
    )


def second_parametrization(at: Span, first: Span) -> Diagnostic:
    return Diagnostic(
        "TP732",
        "the program has a second parametrization",
        Label(at),
        (Label(first, "first here"),),
        help="a file has one, for all its weights; a weight may have an `a` and a `b` of its own as "
        "attributes",
    )


def exponents_count(at: Span, name: str, has: int, weights: Sequence[str]) -> Diagnostic:
    due = counted(len(weights), "weight", "weights")
    return Diagnostic(
        "TP732",
        f"`{name}` has {counted(has, 'entry', 'entries')}, and the program {due}",
        Label(at),
        help=f"in the order in which they are declared: {', '.join(weights)}" if weights else None,
    )


def exponents_differ(at: Span, name: str, weight: str, own: str, listed: str, place: Span) -> Diagnostic:
    return Diagnostic(
        "TP732",
        f"{name} of `{weight}` is {own} here and {listed} in the parametrization",
        Label(at),
        (Label(place, listed),),
        help="leave one of the two out",
    )


def exponent_missing(at: Span, name: str, weight: str, place: Span) -> Diagnostic:
    return Diagnostic(
        "TP733",
        f"`{weight}` has no {name}",
        Label(at),
        (Label(place, "the parametrization gives no list of it"),),
        help=f"write `{name} = [..]` in the parametrization, or an attribute of the weight, `, {name} = 1/2`",
    )


def mean_field_depth(at: Span, weight: str, declared: Span) -> Diagnostic:
    return Diagnostic(
        "TP734",
        f"`mfp` is for networks with one hidden layer, and the weight `{weight}` makes another",
        Label(at),
        (Label(declared, "between two widths"),),
        help="`mup` is what it becomes for deeper ones",
    )


def nothing_to_scale() -> Diagnostic:
    return Diagnostic(
        "TP735",
        "there is no network in this program whose sizes could be told",
        None,
        help="declare weights and `network f(x) = …`, and train it or call it",
    )


def unknown_exponent(name: str, known: Sequence[str], weights: Sequence[str]) -> Diagnostic:
    order = ", ".join(f"{k}: {weight}" for k, weight in enumerate(weights, 1))
    return Diagnostic(
        "TP735",
        f"`{name}` is none of the exponents {', '.join(known)}",
        None,
        help=f"they are numbered by the weights in the order in which they are declared ({order})",
    )


def exponent_value(name: str, value: str) -> Diagnostic:
    return Diagnostic(
        "TP731",
        f"`{name}` is the power of a width, and must be an exact rational number, not `{value}`",
        None,
        help="write a number or a fraction, as `1/2`",
    )


def conditions_not_written() -> Diagnostic:
    return Diagnostic(
        "TP736",
        "the conditions of this program are not all bounds on sums of exponents",
        None,
        help="clipping and powers of what has several sizes make them so; leave --symbolic out, and give the "
        "exponents by --set a1=…",
    )
