"""Exponents as a user gives them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from tpc.scaling.classify import Training
from tpc.scaling.verdict import Verdict
from tpc.syntax import catalogue_training
from tpc.syntax.diagnostic import TpcError


def checked(training: Training | None, name: str, exponents: Mapping[str, Fraction | int | str]) -> Verdict:
    """The verdict, the exponents being looked at first. Raises TpcError."""
    if training is None or not training.networks.passes:
        raise TpcError([catalogue_training.nothing_to_scale()], name)
    known = training.exponents
    values: dict[str, Fraction] = {}
    for key, value in exponents.items():
        if key not in known:
            raise TpcError([catalogue_training.unknown_exponent(key, list(known), [w.name for w in training.networks.weights])], name)
        try:
            values[key] = Fraction(value)
        except (ValueError, ZeroDivisionError, TypeError):
            raise TpcError([catalogue_training.exponent_value(key, str(value))], name) from None
    return training.classify(values)
