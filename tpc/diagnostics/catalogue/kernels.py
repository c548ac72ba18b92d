"""What is wrong with kernels: TP72 in a program, TP63 the arrays and numbers that they are used with."""

from __future__ import annotations

from tpc.diagnostics.diagnostic import Diagnostic, Label
from tpc.diagnostics.spans import Span


def no_gram(kernel: str, network: str, why: str) -> Diagnostic:
    why = why.replace("_of_kernel", "")  # an end of the names that tpc.kernels makes
    return Diagnostic(
        "TP726",
        f"the {kernel} of `{network}` does not follow from covariances: {why}",
        help=f"`output K[i, j] = {kernel}({network})(x[i], x[j]) for i < N for j < N` gives it with standard "
        "errors, by another method",
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


def values_shape(what: str, count: int, shape: tuple[int, ...]) -> Diagnostic:
    return Diagnostic(
        "TP631",
        f"there {_are(count)}, and {what} has the shape {shape}",
        help="one value is due for each input, or one row of values, an output each",
    )


def initial_shape(
    at_inputs: tuple[int, ...], at_points: tuple[int, ...], values: tuple[int, ...]
) -> Diagnostic:
    return Diagnostic(
        "TP631",
        f"the initial function has the shapes {at_inputs} and {at_points}, and the values {values}",
        help="give it as a pair, f at the inputs and at the points, with as many outputs as there are values "
        "for each input",
    )


def not_rows(what: str) -> Diagnostic:
    return Diagnostic(
        "TP631",
        f"{what} must be an array of inputs along its first axis, and is a single number",
        help=f"give one input as `{what}[None]`",
    )


def values_finite(what: str) -> Diagnostic:
    return Diagnostic(
        "TP632", f"{what} has entries that are not finite real numbers", help="leave these inputs out"
    )


def kernel_shape(shape: tuple[int, ...], wanted: tuple[int, ...]) -> Diagnostic:
    return Diagnostic(
        "TP633",
        f"the kernel gives an array of shape {shape} where one of {wanted} is due",
        help="it must give one number for each pair of inputs; of a network with positions, take one of them",
    )


def kernel_finite() -> Diagnostic:
    return Diagnostic(
        "TP633",
        "the kernel has values that are not finite",
        help="in float32 it may have overflowed: scale the inputs, or take float64",
    )


def entry_finite(kind: str, row: int, column: int, norms: tuple[float, float]) -> Diagnostic:
    zero = 0 in norms
    return Diagnostic(
        "TP639",
        f"the {kind} of the inputs {row} and {column}, of norms {norms[0]:.3g} and {norms[1]:.3g}, is not "
        "finite",
        help="a net that divides by a norm has no tangent kernel at 0: leave the input out"
        if zero
        else "in float32 it may have overflowed: scale the inputs, or take float64",
    )


def entries_inaccurate(kind: str, count: int, relative: float, row: int, column: int) -> Diagnostic:
    size = f"{relative:.1e}" if relative < 1 else f"{relative:.3g}"
    many = "an entry has" if count == 1 else f"{count:,} entries have"
    return Diagnostic(
        "TP640",
        f"in the {kind} {many} an estimated error of more than 1e-6 of √(K(x, x)·K(z, z)), the largest one, "
        f"{size} of it, at [{row}, {column}]",
        help="integrals are off by that much: scale inputs or weights down; `with_error` of the kernel in "
        "Python has the error "
        "of every entry",
    )


def not_definite(count: int) -> Diagnostic:
    return Diagnostic(
        "TP634",
        f"the kernel matrix of the {count} inputs is not positive definite: two of them are equal, or there "
        "are more than it "
        "tells apart",
        help="a little noise helps, such as a millionth of the matrix's entries",
    )


def not_semidefinite() -> Diagnostic:
    return Diagnostic(
        "TP634",
        "the NTK's matrix is not positive semidefinite",
        help="give the kernel of one network, made in float64",
    )


def out_of_range(what: str, value: object, wanted: str) -> Diagnostic:
    return Diagnostic("TP635", f"{what} must be {wanted}, and is {value}")


def unstable_rate(rate: float, greatest: float) -> Diagnostic:
    return Diagnostic(
        "TP636",
        f"at the rate {rate:g} gradient descent diverges",
        help=f"the largest stable rate is {greatest:.6g}",
    )


def no_covariance() -> Diagnostic:
    return Diagnostic(
        "TP637",
        "the prediction has no covariance: the initial function was given",
        help="leave `initial` out to average over it",
    )


def rows_shape(shape: tuple[int, ...], row: int) -> Diagnostic:
    return Diagnostic(
        "TP638",
        f"rows of {row} entries cannot be shaped to {shape}",
        help="`shape` is that of one input, whose entries are its row",
    )


def _are(count: int) -> str:
    return "is 1 input" if count == 1 else f"are {count} inputs"
