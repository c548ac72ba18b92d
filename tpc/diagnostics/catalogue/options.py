"""What is wrong with the words and options of the training language: TP701 and TP702."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.diagnostics.catalogue.words import counted, either, similar
from tpc.diagnostics.diagnostic import Diagnostic, Label
from tpc.diagnostics.spans import Span


def unknown_word(
    at: Span, word: str, what: str, known: Sequence[str], meant: str | None = None, unit: str = ""
) -> Diagnostic:
    """meant: which of the known ones is meant, if that is known, too; unit: if it is in another one here."""
    return Diagnostic(
        "TP701",
        f"`{word}` is not {what}",
        Label(at),
        help=f"that is `{meant}` here{unit}"
        if meant
        else similar(word, known) or f"there is {either([f'`{k}`' for k in known])}",
    )


def option_unnamed(at: Span, word: str, known: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "TP701",
        f"`{word}` is a value without the name of its option",
        Label(at),
        help=f"write `{known[0]} = {word}`, if it is that; there is {either([f'`{k}`' for k in known])}",
    )


def option_value(at: Span, name: str, kind: str) -> Diagnostic:
    return Diagnostic("TP702", f"the option `{name}` needs {kind}", Label(at), help=f"write `{name} = …`")


def option_flag(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP702", f"the option `{name}` has no value", Label(at), help=f"write just `{name}`, or leave it out"
    )


def option_range(at: Span, name: str, wanted: str) -> Diagnostic:
    return Diagnostic(
        "TP702",
        f"the option `{name}` must be {wanted}",
        Label(at),
        help=f"write another value, `{name} = …`",
    )


def option_value_range(at: Label | None, name: str, value: float, place: str, wanted: str) -> Diagnostic:
    """place: the round in which it has this value."""
    return Diagnostic(
        "TP702",
        f"the option `{name}` is {value:g}{place}, and must be {wanted}",
        at,
        help="change the inputs that it is made of",
    )


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


def exponents_form(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP702",
        f"the option `{name}` needs a list of rational numbers, one for each weight",
        Label(at),
        help=f"write `{name} = [0, 1/2]`",
    )
