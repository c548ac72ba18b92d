"""The parametrization that a file chooses, and with it a, b and c of every weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tpc.core.exponent import Exponent
from tpc.core.network import C as C_OPEN
from tpc.core.network import exponent_input
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.print_tree import print_tree
from tpc.syntax.scope import NotANumberError, fraction
from tpc.syntax.tree import Tree
from tpc.train.descent import check_options, option_value
from tpc.train.parametrization import NAMES, TABLES, C, Kind, uniform
from tpc.train.parametrization import Abc as AbcOf
from tpc.train.scene import options_of

OPTIONS: Mapping[str, tuple[str, ...]] = {"sp": ("c",), "uniform": ("r",), "abc": ("a", "b", "c")}
NEEDED: Mapping[str, str] = {"uniform": "r", "abc": "c"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A parametrization by name. lists: a and b by weight, in the order of declaration, as far as they are
    given so."""

    name: str
    constants: Mapping[str, int]
    c: Fraction = C["mup"]
    r: Fraction = Fraction(0)
    lists: Mapping[str, tuple[Fraction, ...]] | None = None
    line: tree.Parametrization | None = None

    def open(self, place: int) -> AbcOf:
        """The exponents as names, for the scaling analysis."""
        a, b = (Exponent.var(exponent_input(letter, place)) for letter in ("a", "b"))
        return AbcOf(a, b, Exponent.var(C_OPEN))

    def of(self, place: int, weight: tree.Weight, kind: Kind) -> AbcOf:
        """a, b and c of a weight, the so-many-th of the file; its own attributes come before what the
        parametrization gives by name."""
        a, b = (Exponent(self._one(name, place, weight, kind)) for name in ("a", "b"))
        return AbcOf(a, b, Exponent(self.c))

    def _one(self, name: str, place: int, weight: tree.Weight, kind: Kind) -> Fraction:
        options = options_of(weight.options)
        own = (
            rational(option_value(options[name], "a rational number"), f"`{name}`", self.constants)
            if name in options
            else None
        )
        listed = self.lists[name][place] if self.lists and name in self.lists else None
        if own is not None and listed is not None and own != listed and self.line is not None:
            span = options_of(self.line.options)[name].span
            raise RefusedError(
                catalogue.parametrizations.exponents_differ(
                    options[name].span, name, weight.name.name, str(own), str(listed), span
                )
            )
        known = own if own is not None else listed
        if known is not None:
            return known
        if self.name == "abc" and self.line is not None:
            raise RefusedError(
                catalogue.parametrizations.exponent_missing(
                    weight.name.span, name, weight.name.name, self.line.span
                )
            )
        if self.name == "mfp" and kind == "matrix" and self.line is not None:
            raise RefusedError(
                catalogue.parametrizations.mean_field_depth(
                    self.line.name.span, weight.name.name, weight.span
                )
            )
        table = uniform(self.r) if self.name == "uniform" else TABLES[self.name]
        return table(kind)["ab".index(name)]


def chosen(
    line: tree.Parametrization, weights: Sequence[tree.Weight], constants: Mapping[str, int]
) -> Chosen:
    """What a `parametrization` line chooses. Raises RefusedError."""
    name = line.name.name
    if name not in NAMES:
        raise RefusedError(catalogue.options.unknown_word(line.name.span, name, "a parametrization", NAMES))
    if name not in OPTIONS and line.options:
        raise RefusedError(catalogue.options.no_options(line.options[0].span, name))
    check_options(line.options, OPTIONS.get(name, ()), f"the parametrization `{name}`")
    options = options_of(line.options)
    needed = NEEDED.get(name)
    if needed is not None and needed not in options:
        raise RefusedError(catalogue.options.option_missing(line.span, name, needed))
    numbers = {
        key: rational(option_value(options[key], "a rational number"), f"`{key}`", constants)
        for key in ("c", "r")
        if key in options
    }
    lists: dict[str, tuple[Fraction, ...]] = {
        key: listed(options[key], weights, constants) for key in ("a", "b") if key in options
    }
    return Chosen(
        name,
        constants,
        numbers.get("c", C.get(name, Fraction(0))),
        numbers.get("r", Fraction(0)),
        lists,
        line,
    )


def listed(
    option: tree.Option, weights: Sequence[tree.Weight], constants: Mapping[str, int]
) -> tuple[Fraction, ...]:
    """A list of exponents, one for each weight."""
    name, value = option.name.name, option.value
    if not isinstance(value, tree.ListOf):
        raise RefusedError(catalogue.options.exponents_form(option.span, name))
    found = []
    for item in value.items:
        if isinstance(item, tree.ListOf):
            raise RefusedError(catalogue.options.exponents_form(item.span, name))
        found.append(rational(item, f"every entry of `{name}`", constants))
    if len(found) != len(weights):
        raise RefusedError(
            catalogue.parametrizations.exponents_count(
                value.span, name, len(found), [w.name.name for w in weights]
            )
        )
    return tuple(found)


def rational(node: Tree, what: str, constants: Mapping[str, int]) -> Fraction:
    """The exact value of an exponent."""
    try:
        return fraction(node, constants)
    except (NotANumberError, OverflowError):
        raise RefusedError(
            catalogue.parametrizations.irrational(node.span, f"{what}, {print_tree(node)},")
        ) from None
