"""What is wrong with programs that have powers of n, and with their limits: TP8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType

from tpc.diagnostics.catalogue.words import power_of_n
from tpc.diagnostics.diagnostic import Diagnostic, Label


def unstable(
    at: Label | None, what: str, power: Fraction, function: str, rounds: bool, again: Sequence[str] = ()
) -> Diagnostic:
    where = (
        "at least, and more from round to round"
        if rounds
        else "and an output with it"
        if function == "output"
        else "and a step is made of it"
        if function == "check"
        else f"and {function} of it has no limit"
        if function
        else "and is an output"
    )
    if again and power == Fraction(1, 2) and not rounds:
        names, are = ", ".join(f"`{name}`" for name in again), "is" if len(again) == 1 else "are"
        unless = "unless a mean in it is 0 in the limit, which tpc does not see"
        return Diagnostic(
            "TP801",
            f"`{what}` grows like {power_of_n(power)} as n → ∞ {unless}, {where}",
            at,
            help="a mean of (Q @ x)*y is seen to be 0 where x, y and all else that Q is multiplied to are "
            "made without Q, "
            f"and Q.T is not used: here {names} {are} used otherwise, too",
        )
    return Diagnostic(
        "TP801",
        f"`{what}` grows like {power_of_n(power)} as n → ∞, {where}",
        at,
        help="the program is not stable: scale it down, or train at a lower rate",
    )


def powers_far_apart(at: Label | None, large: Fraction, small: Fraction, most: int) -> Diagnostic:
    return Diagnostic(
        "TP808",
        f"the program has {power_of_n(large)} and {power_of_n(small)}: too many terms of a series may lie "
        "between them",
        at,
        help=f"take powers of which none is more than {most} times another",
    )


def tends_to_zero(at: Label | None, what: str, function: str) -> Diagnostic:
    return Diagnostic(
        "TP802",
        f"in `{what}`, {function} of something that tends to 0 as n → ∞ has no limit",
        at,
        help="put a power of n in front of it that makes it of order 1",
    )


def rough_series(at: Label | None, what: str, function: str) -> Diagnostic:
    return Diagnostic(
        "TP802",
        f"the limit depends on how `{what}` changes at an order below its first one, and {function} has no "
        "derivative there",
        at,
        help="take a function that is smooth, or is applied to what has no powers of n"
        if function != "where"
        else "its two values differ at the edge of its condition, by numbers: they were compared where "
        "random lines meet it",
    )


def jump_at_nothing(
    at: Label | None, what: str, function: str, place: Mapping[str, int] = MappingProxyType({})
) -> Diagnostic:
    """place: the round in which it is so."""
    where = " for " + ", ".join(f"{v} = {k}" for v, k in place.items()) if place else ""
    of = "a condition compares" if function == "where" else f"`{function}` is taken of"
    return Diagnostic(
        "TP809",
        f"`{what}` has no limit{where}: {of} what tends to 0 as n → ∞, or is not told from 0, and is a "
        "fluctuation of either sign at width n",
        at,
        help="what is smooth there has a limit, as x/sqrt(x^2 + eps) in place of a sign; so has the sign of "
        "n^(1/2)*mean(v*x), v Gaussian and not in x, given the start; more `--samples` tell smaller "
        "quantities from 0",
    )


def not_gaussian(at: Label | None, what: str) -> Diagnostic:
    return Diagnostic(
        "TP803",
        f"`{what}` is random in the limit, and need not be Gaussian given the rest, which tpc cannot "
        "condition on",
        at,
        help="where such a scalar is a mean v·x, v must be an initial vector of mean 0, or a product with a "
        "matrix "
        "that is used in no other way, and no x and no other v may be made of it",
    )


def missing_start(names: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "TP804",
        f"no value is given for {', '.join(f'`{n}`' for n in names)}, random in the limit",
        help="give arrays by these names in a file by `--initial F.npz` (or F.json), or draw them by "
        "`--initial seed=0`",
    )


def unknown_start(name: str, known: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "TP805", f"nothing that is random in the limit is named `{name}`", help=f"there is {', '.join(known)}"
    )


def infinite_mean(at: Label | None, what: str) -> Diagnostic:
    return Diagnostic(
        "TP806",
        f"`{what}` is infinite in the limit: its integrand grows faster than the density of the Gaussians in "
        "it falls",
        at,
        help="E exp(c s²) is finite for c < 1/2, E exp(c s t) of two independent vectors for c < 1",
    )


def no_corrections(random: Sequence[str]) -> Diagnostic:
    """random: scalars that are random in the limit and integrated over, if there are any."""
    if random:
        names, are = ", ".join(f"`{name}`" for name in random), "is" if len(random) == 1 else "are"
        return Diagnostic(
            "TP807",
            f"{names} {are} random in the limit: corrections in 1/n are of limits that are numbers, given "
            "what that is",
            help="`tpc corrections --initial seed=N`, zero or a data file give it, `tpc run --initial "
            "integrate` gives means and deviations over the start, `tpc simulate` finite width",
        )
    return Diagnostic(
        "TP807",
        "the program has powers of n that grow, or are none of n^(-1/2): its limit leaves terms of lower "
        "order out, which they make as large as its corrections in 1/n",
        help="`tpc simulate` runs it at finite width; corrections are of programs with n^(-1/2), 1/n, … "
        "alone; in `parametrization mup` there are no powers of n",
    )
