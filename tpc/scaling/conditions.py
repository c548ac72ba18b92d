"""Conditions on a, b and c: what stability asks for, and what r is, for any values of the exponents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tpc.core.exponent import Exponent
from tpc.core.network import LEARNING
from tpc.core.program import Program
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.scaling.classify import OpenTraining, opened_training
from tpc.scaling.faithful import faithful, gradient_of, outgrown, through_readout
from tpc.scaling.open_exponents import Forms, NotWrittenError, Open, implied, solve
from tpc.scaling.sizes import Sizes
from tpc.scaling.training_sizes import Found, at_first, by_update, trained

ROUNDS = 3
ZERO: Forms = frozenset({Exponent()})


@dataclass(frozen=True, slots=True)
class Least:
    """The smallest of some forms; of none, infinite."""

    forms: tuple[Exponent, ...]

    def at(self, values: Mapping[str, Fraction]) -> Fraction | None:
        return min((form.at(values) for form in self.forms), default=None)

    def __str__(self) -> str:
        if not self.forms:
            return "∞"
        return str(self.forms[0]) if len(self.forms) == 1 else f"min({', '.join(map(str, self.forms))})"


@dataclass(frozen=True, slots=True)
class Conditions:
    """A training is stable if all `equal` are 0 and `least` at least 0.

    Then features change by n^−r, the output by n^−moved, by a weight's updates what it makes by
    n^−layers[weight]. It is nontrivial if moved = 0, and learns features if r = 0. The exponents are numbered
    by `weights`.
    """

    program: str
    weights: tuple[str, ...]
    equal: tuple[tuple[str, Exponent], ...]
    least: tuple[tuple[str, Least], ...]
    features: tuple[str, ...]
    output: str
    r: Least
    moved: Least
    layers: tuple[tuple[str, Least], ...]

    def stable(self, values: Mapping[str, Fraction]) -> bool:
        """Whether it is with these exponents."""
        bounds = [x.at(values) for _, x in self.least]
        return all(form.at(values) == 0 for _, form in self.equal) and all(
            x is None or x >= 0 for x in bounds
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "program": self.program,
            "weights": list(self.weights),
            "equal": {name: str(form) for name, form in self.equal},
            "least": {name: [str(f) for f in x.forms] for name, x in self.least},
            "r": [str(f) for f in self.r.forms],
            "moved": [str(f) for f in self.moved.forms],
            "layers": {name: [str(f) for f in x.forms] for name, x in self.layers},
        }

    def __str__(self) -> str:
        order = ", ".join(f"{k}: {name}" for k, name in enumerate(self.weights, 1))
        lines = [f"{self.program} ({order})", "stable if"]
        lines += [f"  {_equation(form)}{'':4}({name} is of order 1 at first)" for name, form in self.equal]
        lines += [f"  {x} >= 0{'':4}({name})" for name, x in self.least]
        features = ", ".join(self.features)
        change = "change" if len(self.features) > 1 else "changes"
        lines += [
            f"and then {features} {change} by n^(-r) and {self.output} by n^(-q),",
            f"  r = {self.r}",
            f"  q = {self.moved}",
            "nontrivial if q = 0, and then feature learning if r = 0, a kernel if r > 0; W x changes by "
            "updates of W by n^(-r_W),",
        ]
        lines += [f"  r_{name} = {x}" for name, x in self.layers]
        return "\n".join(lines)


def _equation(form: Exponent) -> str:
    """`form = 0`, its number on the other side."""
    left = form if form.terms and form.terms[0][1] > 0 else form.scaled(-1)
    return f"{Exponent(Fraction(0), left.terms)} = {-left.const}"


def conditions(program: Program) -> Conditions:
    """The conditions under which the training in `program` is stable, and its r, in terms of a1, b1, …, c.

    Raises TpcError (TP735, TP736).
    """
    training = opened_training(program)
    try:
        return _ConditionWriter(training).conditions()
    except NotWrittenError:
        raise TpcError(
            [catalogue.parametrizations.conditions_not_written()], program.name, of_program=True
        ) from None


class _ConditionWriter:
    """First what initialisation asks for, which solves for some exponents.

    Then what training does, all of the forward pass being of order 1.
    """

    def __init__(self, training: OpenTraining) -> None:
        self.training = training
        self.vectors = frozenset(name for p in training.passes for name in p.vectors)
        self.scalars = frozenset(name for p in training.passes for name in p.scalars)
        self.bases: dict[str, Forms] = {}
        self.algebra = Open()

    def kept(self, name: str, sizes: Sizes) -> Sizes:
        """What the forward pass makes is of order 1, whatever its forms say; these are remembered."""
        if name not in self.vectors and name not in self.scalars:
            return sizes
        if sizes.base is not None:
            self.bases[name] = (
                sizes.base if name not in self.bases else self.algebra.reduced(self.bases[name] | sizes.base)
            )
        if sizes.change is not None:
            self.algebra.facts |= {form for form in sizes.change if form.terms}
        if name in self.vectors:
            return Sizes(
                None if sizes.base is None else ZERO, sizes.change, None if sizes.full is None else ZERO
            )
        return Sizes(sizes.base, sizes.change, None if sizes.full is None else ZERO)

    def conditions(self) -> Conditions:
        training = self.training
        at_first(training.circuit, self.algebra, self.kept)
        equal = [
            (name, form)
            for name in self._in_order(self.vectors)
            for form in self.bases.get(name, ())
            if len(self.bases[name]) == 1 and form.terms
        ]
        self.algebra, self.bases = Open(solve(form for _, form in equal)), {}
        at_first(training.circuit, self.algebra, self.kept)
        least = [
            (f"{name} at first", self._least(self.bases[name]))
            for name in self._in_order(self.vectors | self.scalars)
            if self.bases.get(name, ZERO) != ZERO and (name in self.scalars or len(self.bases[name]) > 1)
        ]
        self.algebra.facts |= {form.scaled(-1) for _, x in least for form in x.forms}
        found = trained(training.circuit, self.algebra, lambda _: False, self.kept, ROUNDS).sizes
        features = tuple(dict.fromkeys(name for p in training.passes for name in (p.features or p.vectors)))
        output = next((p.output for p in training.passes), "")
        changes = self._changes(found, least)
        weights = training.networks.weights
        return Conditions(
            training.name,
            tuple(w.name for w in weights),
            (*equal, *self._faithful()),
            (*least, *changes, *self._still_faithful()),
            features,
            output,
            self._largest([found[name].change for name in features]),
            self._largest([found[output].change]),
            tuple((w.name, self._layer(w.name, found)) for w in weights if w.trained),
        )

    def _faithful(self) -> list[tuple[str, Exponent]]:
        """That gradients are of order 1 at first for other optimizers than SGD, where d is given."""
        networks = self.training.networks
        return [
            (gradient_of(w.name), Exponent.var(f"d{k}") - faithful(networks, k))
            for k, w in enumerate(networks.weights, 1)
            if w.entrywise and w.rate is not None
        ]

    def _still_faithful(self) -> list[tuple[str, Least]]:
        """That output weights do not grow beyond their size at first, and these gradients with them."""
        networks = self.training.networks
        names = ", ".join(networks.weights[k - 1].name for k in through_readout(networks))
        return [(f"growth of {gradient_of(names)}", Least((form.scaled(-1),))) for form in outgrown(networks)]

    def _changes(self, found: Found, least: Sequence[tuple[str, Least]]) -> list[tuple[str, Least]]:
        """The conditions that changes are O(1), as far as one does not follow from the others.

        Output and later vectors come first.
        """
        known = {form.scaled(-1) for _, x in least for form in x.forms}
        out: list[tuple[str, Least]] = []
        for name in reversed(self._in_order(self.vectors | self.scalars)):
            forms = [form for form in found[name].change or () if not implied(form, [Exponent()], known)]
            if forms:
                known |= set(forms)
                out.insert(0, (f"change of {name}", self._least(frozenset(forms))))
        return out

    def _layer(self, name: str, found: Found) -> Least:
        weight = next(w for w in self.training.networks.weights if w.name == name)
        if weight.bias:
            return self._largest([found[own].change for own in weight.own])
        outs = dict.fromkeys(out for p in self.training.passes for out, own in p.products if own == name)
        return self._largest(
            [
                by_update(
                    self.training.circuit,
                    self.algebra,
                    found,
                    out,
                    (*weight.own, LEARNING),
                    self.training.forward,
                )
                for out in outs
            ]
        )

    def _largest(self, sizes: Sequence[Forms | None]) -> Least:
        forms = {form for size in sizes if size is not None for form in size}
        return self._least(self.algebra.reduced(forms)) if forms else Least(())

    def _least(self, forms: Forms) -> Least:
        return Least(tuple(sorted((form.scaled(-1) for form in forms), key=str)))

    def _in_order(self, names: frozenset[str]) -> list[str]:
        return list(
            dict.fromkeys(
                name for p in self.training.passes for name in (*p.vectors, *p.scalars) if name in names
            )
        )
