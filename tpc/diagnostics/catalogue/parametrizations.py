"""What is wrong with parametrizations and their exponents: TP73."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from tpc.diagnostics.catalogue.words import as_n_grows, counted
from tpc.diagnostics.diagnostic import Diagnostic, Label
from tpc.diagnostics.spans import Span


def irrational(at: Span, what: str) -> Diagnostic:
    return Diagnostic(
        "TP731",
        f"{what} is the power of a width, and must be an exact rational number",
        Label(at),
        help="write a number, a fraction as `1/2`, or such with dims in it",
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


def lone_d(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP733",
        "`d` is given by weight, and c is not",
        Label(at),
        help="write `c = [..]`, too: w moves by the rate times n^(-c)*Q(n^d*∂L/∂w)",
    )


def rate_without_d(at: Span, weight: str, optimizer: str, due: Fraction) -> Diagnostic:
    return Diagnostic(
        "TP733",
        f"`{weight}` has a c of its own, and no d, which `{optimizer}` needs",
        Label(at),
        help=f"write `d = [..]` in the parametrization, {due} for `{weight}`: n^d*∂L/∂w is to be of order 1",
    )


def unfaithful(
    at: Span, weight: str, optimizer: str, own: Fraction, due: Fraction, d: Label | None
) -> Diagnostic:
    """at: the optimizer's place. d: that of the exponent."""
    return Diagnostic(
        "TP737",
        f"with d = {own} for `{weight}` what `{optimizer}` takes of it, n^d*∂L/∂w, {as_n_grows(own - due)} "
        "at initialisation: it is unfaithful",
        d or Label(at),
        (Label(at),) if d else (),
        help=f"d = {due} makes it of order 1",
    )
