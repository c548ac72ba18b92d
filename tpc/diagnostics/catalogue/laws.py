"""What is wrong with widths and with the laws of what is random: TP4."""

from __future__ import annotations

from tpc.diagnostics.diagnostic import Diagnostic, Label
from tpc.diagnostics.spans import Span


def width_ratio(at: Span, first: str) -> Diagnostic:
    return Diagnostic(
        "TP401",
        f"a further width is a multiple of the first, as in `width m = 2*{first}`",
        Label(at),
        help=f"put a number or an input in front, as in `width m = r*{first}`; what does not grow is a `dim`",
    )


def not_a_width(at: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "TP402",
        f"`{text}` is not a width",
        Label(at),
        help="here a side of a matrix, or the width of a vector, is one declared by `width`; "
        "for a finite side use a family of vectors, `vector u[j < d] : n`",
    )


def variance_power(at: Span, power: str, columns: str) -> Diagnostic:
    return Diagnostic(
        "TP403",
        f"the variance of a matrix must be of order 1/{columns}; this is of order {power}",
        Label(at),
        help=f"write `N(0, σ²/{columns})`: entries of another size make its products tend to 0 or ∞",
    )


def width_misplaced(at: Span, name: str, law: bool = False) -> Diagnostic:
    """law: of a vector."""
    factors = f"rational powers of it may be factors: `{name}^(-1/2)*x`, `x/{name}`"
    return Diagnostic(
        "TP404",
        f"the width `{name}` tends to infinity and cannot be used as a number here",
        Label(at),
        help=f"draw the vector without it; {factors}" if law else factors,
    )


def law_shape(at: Span, what: str) -> Diagnostic:
    return Diagnostic(
        "TP405",
        f"the law does not fit: {what}",
        Label(at),
        help="k jointly Gaussian vectors have a mean [m1, …, mk] and a covariance [[…], …] of k rows of k; "
        "a single one has two numbers",
    )


def not_psd(at: Label | None, what: str, detail: str) -> Diagnostic:
    return Diagnostic(
        "TP406",
        f"the covariance of {what} is not symmetric and positive semidefinite: {detail}",
        at,
        help="covariances are at most as large as the variances allow, |c| ≤ sqrt(a*b) for two vectors",
    )


def not_given(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP407",
        f"a law, a ratio or a default may only use inputs and numbers, and `{name}` is computed",
        Label(at),
        help="compute the vector from a standard one instead, as in `x = sqrt(c)*v`",
    )


def matrix_mean(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP408",
        "the entries of an initial matrix have mean 0",
        Label(at),
        help="add a rank-one term, `y = A @ x + m*mean(x)`",
    )


def impossible_law(at: Label | None, what: str, value: float, wanted: str) -> Diagnostic:
    return Diagnostic(
        "TP409",
        f"{what} is {value:g}, and must be {wanted}",
        at,
        help="change the number, or the inputs that it is made of",
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


def width_in_network(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP404",
        f"the width `{name}` tends to infinity and cannot stand in a network",
        Label(at),
        help=f"its powers belong to the weights, `weight W : {name} x {name}, a = 1/2`, or around what a "
        "network gives",
    )
