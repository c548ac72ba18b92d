"""What is wrong with weights and networks: TP705 to TP712, TP714, TP720 and TP723."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.diagnostics.catalogue.words import counted, either, quoted, similar
from tpc.diagnostics.diagnostic import Diagnostic, Label
from tpc.diagnostics.spans import Span


def weight_sides(at: Span, side: str) -> Diagnostic:
    return Diagnostic(
        "TP705",
        f"`{side}` is neither a width nor a dim",
        Label(at),
        help="the sides of a weight are widths, dims and whole numbers, as in `weight W : n x n`",
    )


def weight_empty(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP705",
        "a side of a weight has at least one unit, and this has 0",
        Label(at),
        help="take dims of at least 1",
    )


def weight_family(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP705",
        "how many weights a family has is a whole number, made of dims and numbers",
        Label(at),
        help="as in `dim K = 3` and `weight W[k < K] : n x n`",
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
        "`W : rows x columns` takes what has the length or width `columns`, and `W.T` what has `rows`",
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
        help="leave the attribute out",
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
    alone = (
        "; an input alone is `x[None]`; where scikit-learn calls a kernel with two such, as in KernelRidge, "
        "take `tpc.GaussianProcessKernel(kernel)`"
    )
    return (
        f"an array of inputs has them along its first axis: here, those of `{name}` have the shape "
        f"{shape} each{'' if shape else alone}"
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
        help="take fewer, of a count that is made of dims and numbers",
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
        help="pick entries, as in `x[p]`, or give the arrays the same axes",
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
        help="name the entry, as in `f(x)[k]`" if wanted else "leave the index out",
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
        help="as in `pad(x, 1)`, or `dim r = 2` and `pad(x, r)`",
    )
