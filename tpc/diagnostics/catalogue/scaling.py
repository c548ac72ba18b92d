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


def start_without_corrections(random: Sequence[str]) -> Diagnostic:
    """random: scalars that are random in the limit and integrated over."""
    names, are = ", ".join(f"`{name}`" for name in random), "is" if len(random) == 1 else "are"
    return Diagnostic(
        "TP807",
        f"{names} {are} random in the limit, and integrated over: outputs then have a spread of order 1 and "
        "none of order n^(-1/2), and a mean at width n that takes the law of the start there, too. "
        "Corrections in 1/n are given what it is",
        help="`tpc corrections --initial seed=N`, zero or a data file give it, `tpc run --initial "
        "integrate` gives means and deviations over the start, `tpc simulate` finite width",
    )


def powers_without_corrections(
    at: Label | None, what: str, power: Fraction, near: Mapping[str, Fraction]
) -> Diagnostic:
    """near: of outputs, the power of n that they are off their limits by, if it is not n^(-1/2) or less."""
    has = f"`{what}` has {power_of_n(power)}, "
    if (2 * power).denominator == 1:
        return Diagnostic(
            "TP807",
            f"{has}which grows: it enlarges what is 0 in the limit, and not at width n, to the size of "
            "corrections in 1/n",
            at,
            help="`tpc simulate` runs it at finite width; corrections are of programs with n^(-1/2), 1/n, … "
            "alone; in `parametrization mup` there are no powers of n",
        )
    grouped = [
        f"{', '.join(f'`{name}`' for name, own in near.items() if own == p)} may be off by {power_of_n(p)}"
        for p in sorted(set(near.values()), reverse=True)
    ]
    told = ", ".join(grouped) or f"means may be off by {power_of_n(Fraction(-1, power.denominator))}"
    return Diagnostic(
        "TP807",
        f"{has}which is no power of n^(-1/2): at width n {told}, and corrections are a bias of order 1/n and "
        "a spread of order n^(-1/2)",
        at,
        help="`tpc simulate` runs it at finite width, and `tpc verify` extrapolates by such powers; in "
        "`parametrization mup` there are none, and `ntp` is corrected given its start",
    )
