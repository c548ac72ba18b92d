"""What is wrong with kinds (scalars, vectors, widths, matrices) and with numbers: TP2."""

from __future__ import annotations

from tpc.diagnostics.diagnostic import Diagnostic, Label
from tpc.diagnostics.spans import Span


def mixed_widths(at: Span, width: str, other: Span, other_width: str) -> Diagnostic:
    return Diagnostic(
        "TP201",
        f"vectors of widths {other_width} and {width} meet in one elementwise expression",
        Label(at, f"width {width}"),
        (Label(other, f"width {other_width}"),),
        "a matrix takes vectors from one width to another",
    )


def wrong_side(
    at: Span, matrix: str, takes: str, width: str, matrix_at: Span, remedy: str | None
) -> Diagnostic:
    return Diagnostic(
        "TP203",
        f"{matrix} takes vectors of width {takes}, but this has width {width}",
        Label(at, f"width {width}"),
        (Label(matrix_at, "declared here"),),
        remedy,
    )


def matrix_misplaced(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP204",
        f"the matrix `{name}` can only be multiplied to a vector",
        Label(at),
        help=f"write `{name} @ x` or `{name}.T @ x`",
    )


def not_a_matrix(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP205",
        "the left side of `@` must be a matrix, or the transpose of one",
        Label(at),
        help="for the inner product of two vectors, write `mean(x*y)`",
    )


def vector_due(at: Span, what: str) -> Diagnostic:
    return Diagnostic(
        "TP206",
        f"{what} must be a vector, and this is a scalar",
        Label(at),
        help="an initial vector is `vector v : n ~ N(0, 1)`, and functions of vectors are vectors",
    )


def kind_unknown(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP207",
        f"`{name}` is only defined by means of itself",
        Label(at),
        help=f"give it a first member, as in `{name}[0] = …`",
    )


def condition_misplaced(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP208",
        "a comparison can only be the first argument of `where(condition, x, y)`",
        Label(at),
        help="as a number it is `where(condition, 1, 0)`",
    )


def condition_due(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP209",
        "the first argument of `where` must be a comparison, as in `where(x > 0, x, y)`",
        Label(at),
        help="compare it with a number; of two conditions one `where` stands in the other",
    )


def no_derivative(at: Span, function: str) -> Diagnostic:
    return Diagnostic(
        "TP210",
        f"this derivative does not exist: `{function}` jumps, and a product with its derivative has no "
        "pseudo-Lipschitz limit",
        Label(at),
        help="a derivative of `step` or `sign` is never needed for a limit: ZDot goes through them by "
        "Stein's "
        "lemma",
    )


def which_derivative(at: Span, name: str, count: int) -> Diagnostic:
    return Diagnostic(
        "TP211",
        f"`{name}` has {count} arguments: `'` is the derivative in the only one",
        Label(at),
        help=f"write `D({name}, i)(…)` for the derivative in argument i = 0 … {count - 1}",
    )


def derivative_of_program(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP212",
        f"`{name}` is not elementwise (it has a product or a mean), so it has no derivative as a function",
        Label(at),
        help="take the derivative of an elementwise function, made by `def`, and write the rest out",
    )


def kind_differs(at: Span, name: str, kind: str, first: Span, first_kind: str) -> Diagnostic:
    return Diagnostic(
        "TP213",
        f"`{name}` is {kind} here and {first_kind} before",
        Label(at, kind),
        (Label(first, first_kind),),
        "give one of the two another name",
    )


def output_of_vector(at: Span, name: str, named: bool) -> Diagnostic:
    return Diagnostic(
        "TP214",
        f"`{name}` is a vector: at infinite width only scalars have a value",
        Label(at),
        help=f"for example `output m = mean({name}^2)`"
        if named
        else f"for example `output {name} = mean((…)^2)`",
    )


def division_by_zero(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP215",
        "division by zero",
        Label(at),
        help="change the numbers or dims that the denominator is made of",
    )


def overflow(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP216", "this number is too large", Label(at), help="take other units, or an input for a part of it"
    )


def underflow(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP216",
        "this number is too near to 0: the least that can be told from it here is 1e-300",
        Label(at),
        help="take other units, or an input for a part of it",
    )


def no_value(at: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "TP218",
        f"`{text}` is no real number",
        Label(at),
        help="logarithms are of what is above 0, and roots, powers with a fraction, of what is not below it",
    )


def too_many_digits(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP216",
        "this number has too many digits: exact fractions are at most 300 long",
        Label(at),
        help="round its factors",
    )


def output_unnamed(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP217", "an output that is an expression needs a name", Label(at), help="write `output name = …`"
    )
