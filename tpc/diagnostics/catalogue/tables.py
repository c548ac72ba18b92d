"""What is wrong with tables, whose entries lie over the coordinates of two widths: TP22."""

from __future__ import annotations

from tpc.diagnostics.diagnostic import Diagnostic, Label
from tpc.diagnostics.spans import Span

EXAMPLE = "newton_schulz(A, 5, 3.4445, -4.775, 2.0315)"


def table_sides(at: Span, kind: str, other: Span, other_kind: str) -> Diagnostic:
    return Diagnostic(
        "TP221",
        f"{other_kind} and {kind} meet in one table",
        Label(at, kind),
        (Label(other, other_kind),),
        "`outer(a, b)` has the width of a for its rows, and that of b for its columns",
    )


def argument_sides(at: Span, function: str, kind: str, due: str) -> Diagnostic:
    return Diagnostic(
        "TP221",
        f"`{function}` takes {due} here, and this is {kind}",
        Label(at),
        help="of a table A the rows are both sides of `left_gram(A)`, the columns those of `right_gram(A)`",
    )


def table_undeclared(at: Span, name: str, rows: str, columns: str) -> Diagnostic:
    return Diagnostic(
        "TP222",
        f"`{name}` is a table, which has to be declared with its sides",
        Label(at),
        help=f"write `table {name} : {rows} x {columns} = …`",
    )


def not_in_a_table(at: Span, kind: str) -> Diagnostic:
    return Diagnostic(
        "TP223",
        f"{kind} cannot stand in a table as it is: its entries belong to one side only",
        Label(at),
        help="write `outer(x, 1)` for what is the same in every column, `outer(1, x)` for every row",
    )


def matrix_in_a_table(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP224",
        f"entries of the matrix `{name}` cannot enter a table: a function of them is no operator that has a "
        "limit",
        Label(at),
        help="a table is made of outer products of vectors; what decays a weight belongs outside the rule",
    )


def table_misplaced(at: Span, what: str) -> Diagnostic:
    return Diagnostic(
        "TP225",
        f"{what} must be a vector or a scalar, and this is a table",
        Label(at),
        help="of a table A, `A @ x` is a vector and `mean(A^2)` a scalar",
    )


def transposed_alone(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP225",
        f"`{name}.T` is multiplied to a vector, and is no table by itself",
        Label(at),
        help=f"write `{name}.T @ x`; a table with the sides exchanged is made as `{name}` is, "
        "of `outer(b, a)` in place of `outer(a, b)`",
    )


def product_of_tables(at: Span, left: str, right: str, gram: str) -> Diagnostic:
    """gram: the function that is the product of a table and its transpose, if it is one."""
    return Diagnostic(
        "TP225",
        f"the tables `{left}` and `{right}` are multiplied, and `@` multiplies a table to a vector",
        Label(at),
        help=f"this product is `{gram}({left})`"
        if gram
        else f"one is multiplied after the other: `y = {right} @ x`, and then `{left} @ y`",
    )


def output_of_table(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP226",
        f"`{name}` is a table: at infinite width only scalars have a value",
        Label(at),
        help="for example `output m = mean(A^2)`, a mean over all entries",
    )


def table_due(at: Span, function: str) -> Diagnostic:
    return Diagnostic(
        "TP227",
        f"`{function}` is a function of tables as a whole, and this is none",
        Label(at),
        help="a table is declared with its sides, `table G : n x m = outer(a, b)`",
    )


def scalar_due(at: Span, function: str, tables: int) -> Diagnostic:
    first = "the first" if tables == 1 else f"the first {tables}"
    example = "preconditioned(A, L, R, 1e-6, 1/4)" if tables > 1 else EXAMPLE
    return Diagnostic(
        "TP227",
        f"all arguments of `{function}` but {first} are scalars",
        Label(at),
        help=f"write numbers or inputs, as in `{example}`",
    )


def steps_due(at: Span, function: str, most: int) -> Diagnostic:
    return Diagnostic(
        "TP227",
        f"`{function}` takes a whole number of steps from 1 to {most}",
        Label(at),
        help="write a number or a dim; `polar(A)` is what many steps tend to, of coefficients 3/2, -1/2, 0",
    )
