"""Options of the training language: `name = value` in a declaration or a line of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.tree import Tree

FLAG = "frozen"  # of weights, the only option without a value
# what options of optimizers are called elsewhere
ELSEWHERE: Mapping[str, Sequence[str]] = {
    "lr": ("learning_rate", "rate", "step_size"),
    "decay": ("weight_decay", "wd"),
    "beta1": ("b1", "betas"),
    "beta2": ("b2", "rho"),
    "eta_minus": ("etas",),
    "eta_plus": ("etas",),
    "min_step": ("min_step_size", "step_sizes"),
    "max_step": ("max_step_size", "step_sizes"),
    "rho": ("beta", "beta2"),
    "steps": ("ns_steps",),
    "coefficients": ("ns_coefficients", "ns_coeffs"),
    "clip": ("clip_norm", "max_norm"),
}
# those that are of another unit here
UNITS = dict.fromkeys(("min_step", "max_step"), ", a multiple of `lr`")


def options_of(options: tuple[tree.Option, ...]) -> dict[str, tree.Option]:
    return {option.name.name: option for option in options}


def option_value(option: tree.Option, kind: str = "a number or a scalar") -> Tree:
    if option.value is None or isinstance(option.value, tree.ListOf):
        raise RefusedError(catalogue.options.option_value(option.span, option.name.name, kind))
    return option.value


def check_options(options: Sequence[tree.Option], known: Sequence[str], what: str) -> None:
    seen: dict[str, tree.Option] = {}
    for option in options:
        name = option.name.name
        if name not in known and option.value is None and known and FLAG not in known:
            raise RefusedError(catalogue.options.option_unnamed(option.span, name, known))
        if name not in known:
            own = f"an option of {what}"
            meant = next((k for k in known if name in ELSEWHERE.get(k, ())), None)
            at, unit = option.name.span, UNITS.get(meant or "", "")
            raise RefusedError(catalogue.options.unknown_word(at, name, own, known, meant, unit))
        if name in seen:
            raise RefusedError(catalogue.names.defined_twice(option.name.span, name, seen[name].name.span))
        seen[name] = option
