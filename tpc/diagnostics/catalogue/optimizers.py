"""What is wrong with optimizers other than SGD, and with rules of one's own: TP741 to TP749."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.diagnostics.catalogue.words import either, similar
from tpc.diagnostics.diagnostic import Diagnostic, Label
from tpc.diagnostics.spans import Span


def _the_first(at: Span) -> tuple[Label, ...]:
    """The place beside that of what is there a second time."""
    return (Label(at, "the first one"),)


def coupled_decay(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP741",
        f"`{name}` has no decay: inside its rule, entries of the initial matrix would go through a nonlinear "
        "function, which has no limit",
        Label(at),
        help="`adamw` decays the weights beside its rule, by the factor 1 - lr*decay",
    )


def weight_twice(at: Span, weight: str, first: Span) -> Diagnostic:
    return Diagnostic(
        "TP742",
        f"`{weight}` has two updates",
        Label(at),
        _the_first(first),
        "each weight stands in exactly one line",
    )


def weight_unknown(at: Span, name: str, known: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "TP742",
        f"`{name}` is no weight that this training changes",
        Label(at),
        help=similar(name, known) or f"it changes {either([f'`{k}`' for k in known])}",
    )


def weight_without_update(at: Span, weights: Sequence[str]) -> Diagnostic:
    shown = ", ".join(f"`{w}`" for w in weights)
    return Diagnostic(
        "TP742",
        f"no line updates {shown}",
        Label(at),
        help="add `update … otherwise`, or declare the weights `frozen`",
    )


def which_weights(at: Span, word: str) -> Diagnostic:
    return Diagnostic(
        "TP743",
        f"`{word}` says nothing here",
        Label(at),
        help="write `update adam(…) of W, R`, or `update adam(…) otherwise`",
    )


def otherwise_twice(at: Span, first: Span) -> Diagnostic:
    return Diagnostic(
        "TP743",
        "a second line is for all other weights",
        Label(at),
        _the_first(first),
        "name the weights of one of them, `update adam(…) of W, R`",
    )


def matrices_twice(at: Span, first: Span) -> Diagnostic:
    return Diagnostic(
        "TP743",
        "a second line is for all other weights between two widths",
        Label(at),
        _the_first(first),
        "name the weights of one of them, `update muon(…) of W, R`",
    )


def matrices_idle(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP743",
        "no weight between two widths is left for this line, so that it changes none",
        Label(at),
        help="name its weights, as in `update muon(…) of U, V`, or leave it out",
    )


def otherwise_idle(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP743",
        "all weights have updates of their own, so that this line changes none",
        Label(at),
        help="leave it out, or take weights out of other lines",
    )


def rule_part(at: Span, what: str) -> Diagnostic:
    return Diagnostic(
        "TP745",
        f"{what} cannot stand in the rule of an optimizer, which acts on each entry by itself",
        Label(at),
        help="a rule is made of the gradient `g`, the step `t`, its parameters, and functions",
    )


def weight_in_rule(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP745",
        f"the weight `{name}` cannot stand in the rule of an optimizer, which sees the gradient `g`, the "
        "step `t` and its parameters",
        Label(at),
        help="`decay = …` in the `update` line shrinks weights beside the rule, by the factor 1 - lr*decay",
    )


def option_in_rule(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP745",
        f"`{name}` is of the `update` line, and cannot stand in the rule",
        Label(at),
        help="what the rule returns is multiplied by `lr`; `clip` bounds gradients before it, and `limit` "
        "steps after it",
    )


def rule_name(at: Span, name: str, why: str) -> Diagnostic:
    return Diagnostic("TP746", f"`{name}` {why}", Label(at), help="give it another name")


def own_first_step(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP746",
        f"`{name}` is given a value by two lines of the rule",
        Label(at),
        help="what is read before its line is the value after the last step, and 0 at first",
    )


def readouts_differ(at: Span, weights: Sequence[str]) -> Diagnostic:
    shown = ", ".join(f"`{w}`" for w in weights)
    return Diagnostic(
        "TP747",
        f"the output weights {shown} start at different powers of n, so that gradients have no common size",
        Label(at),
        help="give them the same a + b, or train with `sgd`",
    )


def vanishing(weight: str, step: int) -> Diagnostic:
    return Diagnostic(
        "TP748",
        f"in step {step} the update of `{weight}` is the sign, or direction, of what tends to 0, or is not "
        "told from 0: at width n that is the sign of a fluctuation, which has no limit",
        help="an `eps` above 0 makes the step continuous; more `--samples` tell smaller quantities from 0",
    )


def divided_by_nothing(weight: str, step: int) -> Diagnostic:
    return Diagnostic(
        "TP748",
        f"in step {step} the update of `{weight}` is divided by what tends to 0, or is not told from 0, and "
        "lies above its `eps` at the points: so it does at width n, where it is a fluctuation, if n is below "
        "1/eps^2",
        help="with a larger `eps` there is a limit that widths are near; more `--samples` tell smaller "
        "quantities from 0",
    )


def name_taken_by_tables(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP746",
        f"`{name}` has a meaning of its own where an optimizer's steps are tables",
        Label(at),
        help=f"give what the file calls `{name}` another name",
    )


def no_matrix(at: Span, name: str, weight: str) -> Diagnostic:
    return Diagnostic(
        "TP749",
        f"`{name}` updates weights as matrices, and `{weight}` is none",
        Label(at),
        help=f"give it a line of its own, `update adam(lr = 0.01) of {weight}`",
    )


def not_hidden(at: Span, name: str, weight: str) -> Diagnostic:
    return Diagnostic(
        "TP749",
        f"`{name}` updates weights between two widths, and `{weight}` is none",
        Label(at),
        help=f"give it a line of its own, `update adam(lr = 0.01) of {weight}`",
    )


def no_soap(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP749",
        "`soap` has no limit as n → ∞: it acts on entries in a basis that past gradients tell in few "
        "directions only, and what is new in a gradient lies in the others",
        Label(at),
        help="`update shampoo(lr = 0.1)` is made of the same squares of gradients, and has one",
    )


def steps_of_muon(at: Span, most: int) -> Diagnostic:
    return Diagnostic(
        "TP749",
        f"`steps` is a whole number from 1 to {most}, or `exact`",
        Label(at),
        help="`steps = exact` takes the polar factor",
    )


def coefficients_of_muon(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP749",
        "`coefficients` are three numbers a, b, c, of a Newton–Schulz step aY + bYYᵀY + cYYᵀYYᵀY",
        Label(at),
        help="`coefficients = [3.4445, -4.775, 2.0315]` is what muon has without being told",
    )


def exact_coefficients(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP749",
        "`steps = exact` takes the polar factor, without coefficients",
        Label(at),
        help="leave the coefficients out, or give a number of steps",
    )
