"""Where powers of n and ratios of widths enter: the only place that writes the factors of a parametrization.

A weight is `W = scale n^{−a} w` with `w ~ N(0, n^{−2b} std²)` coordinates, and SGD on w has the rate
`η n^{−c}` (TP4 Sec 3), n being the first width. In the program a weight with a growing side of inputs only is
`U` itself, an output weight is `nV`, a matrix is declared with entries N(0, scale² std²/columns), and a
cotangent of a vector of width m is `m ∂L/∂h`. So there stand powers of n in front of what a weight is at
first and of its updates, all 0 in μP; r below is the ratio of a width to the first.

The tables extend TP4's, of MLPs, to biases: a hidden bias is an input weight (its input is the number 1). An
output bias, or any weight without a growing side, starts at 0, unless it has a std, and has a = 0; in mean
field, where c = −1, it has a = 1/2, and so moves as in μP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

from tpc.core.exponent import Exponent
from tpc.core.network import C as OPEN_C
from tpc.core.network import exponent_input, faithful_d
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.print_tree import print_tree
from tpc.syntax.scope import NotANumberError, fraction
from tpc.syntax.tree import Tree
from tpc.train.build import Maker, substituted
from tpc.train.training_options import check_options, option_value, options_of

Kind = Literal["matrix", "input", "output", "finite"]
HALF = Fraction(1, 2)
OPTIONS: Mapping[str, tuple[str, ...]] = {"sp": ("c",), "uniform": ("r",), "abc": ("a", "b", "c", "d")}
NEEDED: Mapping[str, str] = {"uniform": "r", "abc": "c"}
AB = tuple[Fraction, Fraction]  # a and b of one weight
NAMES = ("mup", "sp", "ntp", "mfp", "uniform", "abc")
C = {"mup": Fraction(0), "sp": Fraction(1), "ntp": Fraction(0), "mfp": Fraction(-1), "uniform": Fraction(0)}
_0, _1 = Fraction(0), Fraction(1)
# a + b of what is declared
DECLARED: Mapping[Kind, Fraction] = {"matrix": HALF, "input": _0, "output": _1, "finite": _0}


def _mup(kind: Kind) -> AB:
    """TP4 App C.1: a = −1 + p/2, p the number of growing sides.

    1/2 for output weights and 0 for output biases.
    """
    return {"matrix": _0, "input": -HALF, "output": HALF, "finite": _0}[kind], HALF


def _sp(kind: Kind) -> AB:
    """The usual one: variance 1/fan-in where that grows."""
    return _0, HALF if kind in ("matrix", "output") else _0


def _ntp(kind: Kind) -> AB:
    return HALF if kind in ("matrix", "output") else _0, _0


def _mfp(kind: Kind) -> AB:
    """Mean field, for one hidden layer: μP's a, b, c moved by θ = 1/2, −1/2, −1, which changes nothing."""
    a, b = _mup(kind)
    return a + HALF, b - HALF


def uniform(r: Fraction) -> Callable[[Kind], AB]:
    """UP_r, from μP (r = 0) to NTP (r = 1/2)."""

    def table(kind: Kind) -> AB:
        return {"matrix": r, "input": r - HALF, "output": HALF, "finite": _0}[kind], HALF - r

    return table


TABLES: Mapping[str, Callable[[Kind], AB]] = {"mup": _mup, "sp": _sp, "ntp": _ntp, "mfp": _mfp}


@dataclass(frozen=True, slots=True)
class Abc:
    """The exponents of one weight: a, b, and the c that SGD has where updates have this size."""

    a: Exponent
    b: Exponent
    c: Exponent
    # c and d of its own, as far as the file gives them: w moves by η n^−c Q(n^d ∂L/∂w)
    rate: Fraction | None = None
    d: Fraction | None = None
    # where this d is written
    d_at: Span | None = field(default=None, compare=False)


def kind_of(rows: bool, columns: bool) -> Kind:
    """The kind of a weight, by which sides grow."""
    return "matrix" if rows and columns else "input" if rows else "output" if columns else "finite"


@dataclass(frozen=True, slots=True)
class Scaling:
    """Factors of one weight."""

    kind: Kind
    # `rows`, `columns`: the ratios of its growing sides to the first width (None: 1, or a finite side)
    rows: Tree | None
    columns: Tree | None
    # the first
    width: str
    abc: Abc

    def start(self, m: Maker) -> Tree:
        """The factor of what the weight is at first, as it is declared.

        That has N(0, σ²/columns) entries, or is vectors of N(0, σ²) coordinates, σ = scale·std.
        """
        return m.width_power(self.width, Exponent(DECLARED[self.kind]) - self.abc.a - self.abc.b)

    def as_declared(self) -> Scaling:
        """The scaling of a weight which is at first just what is declared.

        Kernels have it whatever the parametrization.
        """
        return replace(self, abc=replace(self.abc, a=Exponent(DECLARED[self.kind]), b=Exponent(_0)))

    def forward(self, m: Maker) -> Tree:
        """The factor of `E nV x`: (1/n) Σ over a width rn is r times a mean."""
        return self.columns or m.number(1) if self.kind == "output" else m.number(1)

    def backward(self, m: Maker, transposed: bool = True) -> Tree:
        """The factor of a product in a backward pass.

        It is of `Wᵀ dh` (n_C ∂L/∂x = (n_C/n_R) Wᵀ dh), of `W dh` where `Wᵀ` was used (n_R ∂L/∂x =
        (n_R/n_C) W dh), or of `nV df`.
        """
        if self.kind == "matrix":
            return self._quotient(m) if transposed else self.record(m, transposed=True)
        return self.forward(m)

    def record(self, m: Maker, transposed: bool) -> Tree:
        """The factor of a term of the gradient, beside that of a product with the weight as it stands.

        From `h = Wᵀ x` comes ∂L/∂W = x dhᵀ/n_C, and from `h = W x` dh xᵀ/n_R.
        """
        return self._inverse(m) if self.kind == "matrix" and transposed else m.number(1)

    def update(self, m: Maker, transposed: bool = False) -> Tree:
        """The factor of an update's term in a product, but for a power of n.

        It is of `dh E x_s x` (transposed: of `x E dh_s y`), or of `dh ξ`.
        """
        if self.kind == "matrix":
            return m.number(1) if transposed else self._quotient(m)
        return (
            m.div(m.number(1), self.rows) if self.kind == "input" and self.rows is not None else m.number(1)
        )

    def power(self, m: Maker, *, rated: bool) -> Tree:
        """The power of n in front of an update.

        ΔW = n^{−a} Δw = −η n^{−c−2a} ∂L/∂W, what is kept being W, or nV. rated: with that of the rate.
        """
        return m.width_power(self.width, self._squared - self.abc.c if rated else self._squared)

    def rate(self, m: Maker) -> Tree:
        """The power of n in the learning rate on w."""
        return m.width_power(self.width, self.abc.c.scaled(-1))

    def of_rows(self, m: Maker) -> Tree:
        """The factor of a gradient `Σ χ dh x` as one of n ∂L/∂W, n being the first width."""
        if self.kind in ("matrix", "input") and self.rows is not None:
            return m.div(m.number(1), self.rows)
        return m.number(1)

    def table(self, m: Maker, transposed: bool) -> Tree:
        """The factor of a mean over a side with entries of a table of n ΔW."""
        return (self.rows if transposed else self.columns) or m.number(1)

    def gradient_power(self, m: Maker, readout: Fraction | None) -> Tree:
        """The power of n that makes `Σ χ dh x` of order 1: cotangents start at n^{1−A}.

        A, `readout`, is a + b of the output weights, None if there are none.
        """
        if self.kind in ("output", "finite") or readout is None:
            return m.number(1)
        return m.width_power(self.width, Exponent(readout - 1))

    def entry_power(self, m: Maker, readout: Fraction | None) -> Tree:
        """The power of n in front of an update of what is kept, that of the gradient being taken out.

        ΔW = n^{−a} Δw = −η n^{−a−c} Q, c = c_SGD + d, so that it is of the size of an update of SGD.
        """
        own = {"matrix": _1, "input": _0, "output": _1, "finite": _0}[self.kind]
        return m.width_power(self.width, Exponent(own) - self.abc.a - self.exponent_c(readout))

    def exponent_d(self, readout: Fraction | None, *, spectral: bool = False) -> Exponent:
        """d: minus the power of n of ∂L/∂w at the start (TP4b Def 2.8.5: faithful)."""
        own = None if readout is None else Exponent(readout)
        return faithful_d(self.kind, self.abc.a, own, spectral=spectral)

    def exponent_c(self, readout: Fraction | None) -> Exponent:
        """c of an entrywise optimizer, with the update size of SGD at its c."""
        return self.abc.c + self.exponent_d(readout)

    def norm(self, m: Maker) -> Tree:
        """The factor of the gradient's squared norm, in the weights w, as a moment of its parts."""
        ratio = (
            self._quotient(m)
            if self.kind == "matrix"
            else self.update(m)
            if self.kind == "input"
            else self.forward(m)
        )
        return m.mul(m.width_power(self.width, self._squared), ratio)

    @property
    def _squared(self) -> Exponent:
        """The exponent of `n^{−2a}`, times what the sum over a growing side has beside a mean."""
        own = {"matrix": _0, "input": -_1, "output": _1, "finite": _0}[self.kind]
        return Exponent(own) - self.abc.a.scaled(2)

    def _inverse(self, m: Maker) -> Tree:
        over, under = self.rows or m.number(1), self.columns or m.number(1)
        return m.number(1) if over == under else m.div(over, under)

    def _quotient(self, m: Maker) -> Tree:
        over, under = self.columns or m.number(1), self.rows or m.number(1)
        return m.number(1) if over == under else m.div(over, under)


def ratios(widths: Mapping[str, Tree | None], first: str, m: Maker) -> dict[str, Tree | None]:
    """Ratios of widths to the first, from how they are declared (`width m = 2*n`)."""
    return {
        name: None if name == first or ratio is None else substituted(ratio, {first: m.number(1)})
        for name, ratio in widths.items()
    }


@dataclass(frozen=True, slots=True)
class WeightExponents:
    """A parametrization by name."""

    name: str
    constants: Mapping[str, int]
    c: Fraction = C["mup"]
    r: Fraction = Fraction(0)
    # a, b, c and d by weight, in the order of declaration, as far as they are given so
    lists: Mapping[str, tuple[Fraction, ...]] = field(default_factory=dict)
    line: tree.Parametrization | None = None

    def open_exponents(self, place: int) -> Abc:
        """The exponents as names, for the scaling analysis."""
        a, b, c, d = (Exponent.var(exponent_input(letter, place)) for letter in "abcd")
        return Abc(a, b, c - d if self.by_weight else Exponent.var(OPEN_C))

    @property
    def by_weight(self) -> bool:
        """Whether each weight has a c of its own, and a d."""
        return "c" in self.lists

    def rate(self, place: int) -> tuple[Fraction, Fraction] | None:
        """c and d of a weight, if each has its own: w moves by η n^−c Q(n^d ∂L/∂w) (TP4b Def 2.2.1)."""
        c, d = self._listed("c", place), self._listed("d", place)
        return None if c is None else (c, d or Fraction(0))

    def exponents(self, place: int, weight: tree.WeightStatement, kind: Kind) -> Abc:
        """a, b and c of a weight, the so-many-th of the file.

        Its own attributes come before what the parametrization gives by name.
        """
        a, b = (Exponent(self._one(name, place, weight, kind)) for name in ("a", "b"))
        c, d = self._listed("c", place), self._listed("d", place)
        return Abc(a, b, Exponent(self.c if c is None else c - (d or 0)), c, d, self._place_of_d(place))

    def _place_of_d(self, place: int) -> Span | None:
        if self.line is None or "d" not in self.lists:
            return None
        listed = options_of(self.line.options)["d"].value
        assert isinstance(listed, tree.ListOf)
        return listed.items[place].span

    def _listed(self, name: str, place: int) -> Fraction | None:
        return self.lists[name][place] if name in self.lists else None

    def _one(self, name: str, place: int, weight: tree.WeightStatement, kind: Kind) -> Fraction:
        options = options_of(weight.options)
        own = (
            rational(option_value(options[name], "a rational number"), f"`{name}`", self.constants)
            if name in options
            else None
        )
        listed = self._listed(name, place)
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


def parametrization_of(
    line: tree.Parametrization, weights: Sequence[tree.WeightStatement], constants: Mapping[str, int]
) -> WeightExponents:
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
        if key in options and not (name == "abc" and isinstance(options[key].value, tree.ListOf))
    }
    lists: dict[str, tuple[Fraction, ...]] = {
        key: exponent_list(options[key], weights, constants)
        for key in "abcd"
        if key in options and key not in numbers
    }
    if "d" in lists and "c" not in lists:
        raise RefusedError(catalogue.parametrizations.lone_d(options["d"].span))
    return WeightExponents(
        name,
        constants,
        numbers.get("c", C.get(name, Fraction(0))),
        numbers.get("r", Fraction(0)),
        lists,
        line,
    )


def exponent_list(
    option: tree.Option, weights: Sequence[tree.WeightStatement], constants: Mapping[str, int]
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
