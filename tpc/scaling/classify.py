"""Classification of a training from the sizes of its quantities.

TP4 Thm 3.3 to 3.8, Prop 5.3 and 5.5, for any program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

from tpc.core.network import LEARNING, Networks, Pass, Source, WeightInfo, exponent_inputs
from tpc.core.program import Program
from tpc.core.wellformed import verified
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.lower import lower
from tpc.scaling.equations import Circuit, circuit
from tpc.scaling.faithful import faithful, gradient_of, outgrown, through_readout
from tpc.scaling.sizes import Numbers
from tpc.scaling.training_sizes import Found, TrainingRounds, by_features, by_update, trained
from tpc.scaling.verdict import BlowUp, LastLayer, Layer, Regime, Verdict
from tpc.syntax.layout import default_name
from tpc.syntax.parse import parse_file
from tpc.syntax.resolve import resolve
from tpc.syntax.tree import File
from tpc.train import open_out
from tpc.train.two_rounds import of_two_rounds

Values = Mapping[str, Fraction]


@dataclass(frozen=True)
class OpenTraining:
    """A program opened for the scaling analysis.

    It is ready to be classified in any parametrization of its weights.
    """

    name: str
    networks: Networks
    circuit: Circuit

    @cached_property
    def passes(self) -> tuple[Pass, ...]:
        """The forward passes that count: those that are trained, or all if there is no `train`."""
        own = tuple(p for p in self.networks.passes if p.training)
        return own or self.networks.passes

    @cached_property
    def forward(self) -> frozenset[str]:
        return frozenset(name for p in self.networks.passes for name in (*p.vectors, *p.scalars))

    @property
    def exponents(self) -> Values:
        """The file's own."""
        return self.networks.exponents()

    def classify(self, values: Values | None = None) -> Verdict:
        """The verdict with `values` in place of the file's exponents, by name: a1, b1, …, c."""
        own = self.exponents
        exponents = {**own, **(values or {})}
        numbers = Numbers(exponents)
        rounds = trained(self.circuit, numbers, lambda found: bool(self._violations(found)))
        found = rounds.sizes
        blows = self._blown(rounds) + self._unfaithful(exponents)
        layers = tuple(
            self._layer(k, weight, numbers, found, exponents, stable=not blows)
            for k, weight in enumerate(self.networks.weights, 1)
        )
        features = tuple(dict.fromkeys(name for p in self.passes for name in (p.features or p.vectors)))
        changes = [x for name in features if (x := found[name].change) is not None]
        r = -max(changes) if changes and not blows else None
        output = next((p.output for p in self.passes), "")
        trivial = not blows and not any(found[p.output].change == 0 for p in self.passes if p.output)
        regime: Regime | None = None if blows or trivial else "feature" if r == 0 else "kernel"
        last = self._last(numbers, found) if not blows else LastLayer(False, False)
        name = self.networks.parametrization if exponents == own else "abc"
        return Verdict(
            self.name, name, exponents, not blows, trivial, regime, r, layers, last, blows, features, output
        )

    # stability

    def _violations(self, found: Found) -> list[tuple[str, Fraction, bool]]:
        """What is not as stability asks for: name, power, and whether it is so at first."""
        out: list[tuple[str, Fraction, bool]] = []
        for p in self.passes:
            for name in (*p.vectors, *p.scalars):
                base, change, _ = found[name]
                vanishes = name in p.vectors and base is not None and base < 0
                if base is not None and (base > 0 or vanishes):
                    out.append((name, base, True))
                elif change is not None and change > 0:
                    out.append((name, change, False))
        return list(dict.fromkeys(out))

    def _blown(self, rounds: TrainingRounds) -> tuple[BlowUp, ...]:
        found = self._violations(rounds.sizes)
        if any(first for *_, first in found):
            found = [item for item in found if item[2]]
        when = "in the first step" if rounds.rounds <= 1 else f"by step {rounds.rounds}"
        blown = [BlowUp(name, power, "at initialisation" if first else when) for name, power, first in found]
        if not blown and not rounds.settled:  # still growing: past any bound in the end
            names = [p.output for p in self.passes if p.output]
            blown = [BlowUp(name, Fraction(0), "and goes on growing, step by step") for name in names[:1]]
        return tuple(blown)

    # weights

    def _layer(
        self, k: int, weight: WeightInfo, numbers: Numbers, found: Found, exponents: Values, *, stable: bool
    ) -> Layer:
        size: Any = None
        if stable and weight.bias:
            size = _largest([found[name].change for name in weight.own])
        elif stable:
            size = (
                _largest(
                    [
                        by_update(self.circuit, numbers, found, out, (*weight.own, LEARNING), self.forward)
                        for out in self._products(weight)
                    ]
                )
                if weight.trained
                else None
            )
        r, rate = None if size is None else -size, self._rate(k, weight, exponents)
        return Layer(weight.name, exponents[f"a{k}"], exponents[f"b{k}"], r, rate)

    def _rate(self, k: int, weight: WeightInfo, exponents: Values) -> tuple[Fraction, Fraction] | None:
        """c and d of a weight, if it has its own or its optimizer is another than SGD."""
        if weight.rate is not None:
            return exponents[f"c{k}"], exponents[f"d{k}"]
        if not weight.entrywise:
            return None
        d = faithful(self.networks, k).at(exponents)
        return exponents["c"] + d, d

    def _unfaithful(self, exponents: Values) -> tuple[BlowUp, ...]:
        """What optimizers other than SGD take of gradients, where it is not of order 1."""
        given = [k for k, w in enumerate(self.networks.weights, 1) if w.entrywise and w.rate is not None]
        off = {k: exponents[f"d{k}"] - faithful(self.networks, k).at(exponents) for k in given}
        blown = [(k, power, "at initialisation") for k, power in off.items() if power]
        if not blown:
            growth = max((form.at(exponents) for form in outgrown(self.networks)), default=Fraction(0))
            blown = [(k, growth, "in the first step") for k in through_readout(self.networks) if growth > 0]
        names = [w.name for w in self.networks.weights]
        return tuple(BlowUp(gradient_of(names[k - 1]), power, when) for k, power, when in blown)

    def _last(self, numbers: Numbers, found: Found) -> LastLayer:
        """What becomes of the output weights.

        Whether their updates, and the changes of what they are multiplied to, change outcomes by a constant.
        """
        updated, initialised = [], []
        for weight in self.networks.weights:
            for out in self._products(weight) if weight.kind == "output" else ():
                updated.append(
                    by_update(self.circuit, numbers, found, out, (*weight.own, LEARNING), self.forward)
                    if weight.trained
                    else None
                )
                initialised.append(by_features(self.circuit, numbers, found, out, weight.own, self.forward))
        return LastLayer(_largest(updated) == 0, _largest(initialised) == 0)

    def _products(self, weight: WeightInfo) -> list[str]:
        return list(
            dict.fromkeys(out for p in self.passes for out, name in p.products if name == weight.name)
        )


def _largest(sizes: list[Fraction | None]) -> Fraction | None:
    return max((x for x in sizes if x is not None), default=None)


@lru_cache(maxsize=64)
def training_of(source: Source) -> OpenTraining:
    """The training in a file, the exponents of its weights left open. Raises TpcError as parsing does."""
    file = parse_file(source.text, source.name)
    longer = of_two_rounds(file, dict(source.dims))
    try:
        return _opened(longer, source)
    except TpcError:
        if longer == file:
            raise
        return _opened(file, source)  # where something has an entry for the one round


def _opened(file: File, source: Source) -> OpenTraining:
    text, name, dims = source.text, source.name, dict(source.dims)
    tree, networks = open_out(file, name, text, dims)
    exponents = frozenset(exponent_inputs(len(networks.weights)))
    checked = resolve(tree, name, text, dims, default_name(name), exponents)
    program = verified(lower(checked, text, name))
    return OpenTraining(program.name, networks, circuit(program))


def opened_training(program: Program) -> OpenTraining:
    """The training in `program`, of which there must be something to scale. Raises TpcError (TP735)."""
    training = training_of(program.source) if program.source is not None else None
    if training is None or not training.networks.passes:
        raise TpcError([catalogue.parametrizations.nothing_to_scale()], program.name, of_program=True)
    return training


def classify(program: Program, **exponents: Fraction | int | str) -> Verdict:
    """What becomes of the training in `program` as n → ∞.

    exponents: a1=…, b1=…, c=… in place of the file's, exact rationals or their text.

    Raises TypeError for what is no program, TpcError if it has no network, a name is none of its exponents
    (TP735), or a value is no rational number (TP731).
    """
    if not isinstance(program, Program):
        raise TypeError(f"a program is what `tpc.parse` or `tpc.load` gives, not {type(program).__name__}")
    training = opened_training(program)
    known = training.exponents
    values: dict[str, Fraction] = {}
    for key, value in exponents.items():
        if key not in known:
            raise TpcError(
                [
                    catalogue.parametrizations.unknown_exponent(
                        key, list(known), [w.name for w in training.networks.weights]
                    )
                ],
                program.name,
            )
        try:
            values[key] = exact(value)
        except (ValueError, ZeroDivisionError, TypeError):
            raise TpcError(
                [catalogue.parametrizations.exponent_value(key, str(value))], program.name
            ) from None
    return training.classify(values)


def exact(value: Fraction | int | str) -> Fraction:
    """A rational number. Raises ValueError for a float, which seldom is what it was meant to be."""
    if isinstance(value, float):
        raise ValueError
    return Fraction(value)
