"""`tpc scale`: what a parametrization makes of a network as n → ∞."""

from __future__ import annotations

import argparse
import re
from typing import Any

from tpc.cli.arguments import add_command
from tpc.cli.shared import OK, load, show, source_of

EXPONENT = re.compile(r"\s*([a-d][0-9]+|c)\s*=(.*)")
OF_A_RATE = re.compile("[cd][0-9]+")


def add_scale(commands: Any) -> None:
    made = add_command(
        commands,
        "scale",
        scale,
        "tell what the parametrization makes of the network as n → ∞: stable, feature learning, a kernel",
    )
    made.add_argument(
        "--symbolic", action="store_true", help="leave the exponents open: conditions on a1, b1, …, c"
    )
    made.epilog = (
        "--set a1=1/4 (b1, …, c) tries another exponent: exact, and numbered by the weights in "
        "the order in which they are declared; c1, d1, … where the file gives each weight its own."
    )


def scale(arguments: argparse.Namespace) -> int:
    """`--set a1=1/4` and the like are exponents, exact.

    The other settings are dims and inputs, as in every command.
    """
    found = _exponents(arguments)
    arguments.settings = [
        setting for setting, exponent in zip(arguments.settings, found, strict=True) if exponent is None
    ]
    program, _ = load(arguments)
    exponents = {match[1]: match[2].strip() for match in found if match is not None}
    if arguments.symbolic:
        if exponents:
            from tpc.diagnostics import catalogue
            from tpc.diagnostics.diagnostic import TpcError

            why = (
                f"leaves all exponents open, and {', '.join(f'`{name}`' for name in exponents)} cannot be "
                "set with it"
            )
            raise TpcError([catalogue.running.bad_option("--symbolic", why)], str(arguments.file))
        from tpc.scaling import conditions

        made = conditions(program)
        show(arguments, made, made.to_json())
        return OK
    from tpc.scaling import classify

    verdict = classify(program, **exponents)
    show(arguments, verdict, verdict.to_json())
    return OK


def _exponents(arguments: argparse.Namespace) -> list[re.Match[str] | None]:
    """For each setting what it says of an exponent: c1 and the like may be the file's own dims or inputs."""
    found = [EXPONENT.fullmatch(setting) for setting in arguments.settings]
    if not any(match and OF_A_RATE.fullmatch(match[1]) for match in found):
        return found
    from tpc.pipeline import dims_in, inputs_in

    text, name = source_of(arguments), str(arguments.file)
    own = dims_in(text, name) | inputs_in(text, name)
    return [None if match and OF_A_RATE.fullmatch(match[1]) and match[1] in own else match for match in found]
