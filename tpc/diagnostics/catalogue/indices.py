"""What is wrong with indices and loops: TP3."""

from __future__ import annotations

from tpc.diagnostics.catalogue.words import quoted
from tpc.diagnostics.diagnostic import Diagnostic, Label
from tpc.diagnostics.spans import Span


def not_affine(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP301",
        "an index must be a whole multiple of loop variables plus a whole number",
        Label(at),
        help="for example `t`, `t+1`, `2*t`, `T-1-t`, or a member of an input declared `: index(d)`",
    )


def index_in_index(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP301",
        "an index that is read from an input is read at loop variables, not at another such index",
        Label(at),
        help="give as an input what the two together are, `input both[T] : index(d)` for `c[d[t]]`",
    )


def index_count(at: Span, name: str, wanted: int, given: int) -> Diagnostic:
    return Diagnostic(
        "TP302",
        f"{quoted(name)} has {wanted} ind{'ex' if wanted == 1 else 'ices'}, not {given}",
        Label(at),
        help="write one for each of its axes, in their order" if wanted else f"write just {quoted(name)}",
    )


def out_of_range(at: Span, name: str, axis: int, value: int, extent: int, rounds: str) -> Diagnostic:
    return Diagnostic(
        "TP303",
        f"index {value} is outside 0 … {extent - 1} of axis {axis + 1} of `{name}`{rounds}",
        Label(at),
        help="indices start at 0: change the index, the count of a loop, or the length of the axis",
    )


def made_twice(at: Span, member: str, first: Span, rounds: str) -> Diagnostic:
    also = () if first == at else (Label(first, "made here as well"),)
    return Diagnostic(
        "TP304",
        f"`{member}` is made twice{rounds}",
        Label(at),
        also,
        "each index of a family is defined once; give the family one more index",
    )


def from_the_future(at: Span, member: str, rounds: str, made: Span) -> Diagnostic:
    return Diagnostic(
        "TP305",
        f"`{member}` is used before it is made{rounds}",
        Label(at),
        (Label(made, "made here"),),
        "an expression may only refer to what an earlier round, or an earlier line, has made",
    )


def never_made(at: Span, member: str, rounds: str) -> Diagnostic:
    return Diagnostic(
        "TP306",
        f"`{member}` is never made{rounds}",
        Label(at),
        help="make it on an earlier line, or change the index",
    )


def output_extent(at: Span, variable: str) -> Diagnostic:
    return Diagnostic(
        "TP307",
        f"an output is a whole array: how many {quoted(variable)} there are depends on no other variable",
        Label(at),
        help="take the greatest count, and 0 for the rest: `where(j < i, …, 0)`",
    )


def dim_value(at: Span, why: str) -> Diagnostic:
    return Diagnostic(
        "TP307",
        f"this must be a whole number that is known before the program runs: {why}",
        Label(at),
        help="write a number, or a dim, which `dim T = 4` declares",
    )


def dim_size(at: Span, value: int, limit: int) -> Diagnostic:
    shown = f"{value:,}" if value < 10**18 else "more than 10^18"
    return Diagnostic(
        "TP308",
        f"{shown} is too many: the limit here is {limit:,}",
        Label(at),
        help="take a smaller number, or smaller dims",
    )


def bad_target(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP309",
        "the left side of `=` must be a name or a member of a family, as in `x[t+1]`",
        Label(at),
        help="give what is on the right a name of its own; a function is made by `def f(x) = …`",
    )


def negative_target(at: Span, name: str, value: int, rounds: str) -> Diagnostic:
    return Diagnostic(
        "TP310",
        f"`{name}` gets the index {value}{rounds}: indices start at 0",
        Label(at),
        help="shift it, as in `x[t+1] = …`",
    )


def target_is_given(at: Span, name: str, first: Span, what: str) -> Diagnostic:
    return Diagnostic(
        "TP311",
        f"`{name}` is {what} and cannot be made again",
        Label(at),
        (Label(first, "declared here"),),
        "give what is made here another name",
    )


def target_gather(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP312",
        "what is made must have an index known before the program runs, not one from an input",
        Label(at),
        help="index it by the variable of a loop; entries of inputs may be indices of what is read",
    )


def too_many_rounds(at: Span, rounds: int, limit: int) -> Diagnostic:
    return Diagnostic(
        "TP313",
        f"whether these indices are made in time takes {rounds:,} rounds to find out, and {limit:,} is the "
        "limit",
        Label(at),
        help="indices that are a loop variable plus a whole number, as in `x[t+1]`, are found out at once",
    )
