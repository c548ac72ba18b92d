"""What is wrong with names and functions: TP1."""

from __future__ import annotations

from collections.abc import Iterable

from tpc.diagnostics.catalogue.words import quoted, similar
from tpc.diagnostics.diagnostic import Diagnostic, Label
from tpc.diagnostics.spans import Span


def unknown_name(at: Span, name: str, known: Iterable[str]) -> Diagnostic:
    return Diagnostic(
        "TP101",
        f"unknown name `{name}`",
        Label(at),
        help=similar(name, known) or "declare it, or make it on an earlier line",
    )


def defined_twice(at: Span, name: str, first: Span) -> Diagnostic:
    return Diagnostic(
        "TP102",
        f"`{name}` is defined twice",
        Label(at),
        (Label(first, "first here"),),
        "a value is made once; give the second another name, or an index",
    )


def built_in(at: Span, name: str) -> Diagnostic:
    number = {"e": ", the number 2.718…,", "pi": ", the number 3.141…,"}.get(name, "")
    return Diagnostic(
        "TP103",
        f"`{name}`{number} is part of the language and cannot be defined",
        Label(at),
        help="choose another name",
    )


def shadows(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP104",
        f"the variable `{name}` already means something here",
        Label(at),
        help="choose another variable",
    )


def unknown_function(at: Span, name: str, known: Iterable[str]) -> Diagnostic:
    """known: the functions that there are."""
    remedy = (
        similar(name, known) or "functions are the elementwise ones of the language and those made by `def`"
    )
    return Diagnostic("TP105", f"{quoted(name)} is not a function", Label(at), help=remedy)


def arguments(at: Span, name: str, least: int, most: int, given: int) -> Diagnostic:
    wanted = str(least) if least == most else f"{least} to {most}"
    return Diagnostic(
        "TP106",
        f"`{name}` takes {wanted} argument{'' if wanted == '1' else 's'}, not {given}",
        Label(at),
        help=f"write `{name}({', '.join(['…'] * least)})`",
    )


def no_such_argument(at: Span, name: str, count: int, given: int) -> Diagnostic:
    return Diagnostic(
        "TP106",
        f"`{name}` has no argument {given}: its {count} are counted from 0"
        if count > 1
        else f"`{name}` has no argument {given}: its only one is 0",
        Label(at),
        help=f"write `D({name}, i)(…)` with i = 0" + (f" … {count - 1}" if count > 1 else ""),
    )


def recursive(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP107",
        f"`{name}` uses itself: functions are expanded where they are used, so they cannot be recursive",
        Label(at),
        help="write a loop, as in `x[t+1] = f(x[t]) for t < T`",
    )


def function_as_value(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP108",
        f"`{name}` is a function, and stands here without arguments",
        Label(at),
        help=f"write `{name}(…)`",
    )


def expands_too_far(at: Span, limit: int) -> Diagnostic:
    return Diagnostic(
        "TP109",
        f"with its functions expanded the program has more than {limit:,} parts",
        Label(at),
        help="give names to intermediate vectors instead of nesting functions",
    )


def too_many_factors(at: Span, limit: int) -> Diagnostic:
    return Diagnostic(
        "TP109",
        f"with its functions expanded this product has more than {limit:,} factors",
        Label(at),
        help="give a name to a part of it",
    )
