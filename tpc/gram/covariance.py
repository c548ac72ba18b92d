"""The pass from a program to its covariance program.

Expectations of products of vectors, from the outputs back to the inputs.

`E x·z` is asked for; x and z are replaced by what makes them until products with matrices and initial vectors
are all that is left, whose covariances are σ² E of what was multiplied, and so on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from tpc.core.affine import Affine
from tpc.core.brackets import as_delta
from tpc.core.expr import (
    ONE,
    ZERO,
    Add,
    Expr,
    Extent,
    Index,
    Mul,
    Number,
    Pow,
    Sum,
    Value,
    add,
    children,
    is_vector,
    mul,
    rebuild,
    replace,
    summed,
    walk,
)
from tpc.core.program import MatMul, Moment, Nonlin, Program
from tpc.core.spectral import SpectralEntry
from tpc.core.traverse import substitute
from tpc.gram.adjoint import Adjoints
from tpc.gram.axes import Axes
from tpc.gram.boxes import Box, Boxes, boxes, phi_of
from tpc.gram.covariance_arrays import CovarianceArrays
from tpc.gram.deltas import agreeing, without_deltas
from tpc.gram.gaussian_functions import NESTED, is_nested
from tpc.gram.groups import expectation_of_groups
from tpc.gram.ir import (
    CovarianceProgram,
    Formula,
    NotGramError,
    Piece,
    TooDearError,
    needed_definitions,
    total,
)
from tpc.gram.isserlis import isserlis
from tpc.gram.labels import comment_of, text_of
from tpc.gram.no_zdot import Dots
from tpc.gram.signs_of_products import signs_in_factors, with_signs_of_factors
from tpc.gram.singular import SpectralArrays
from tpc.gram.slopes import slopes_in
from tpc.gram.sources import Vectors, meet, vectors_in
from tpc.gram.zhat import expectation_of_atoms

# of a product of vectors that is looked at, and of every part of it
SECONDS_A_STEP, SECONDS_A_PART = 2e-4, 2e-5
MAX_BOXES = 4096  # parts of one array
DEEPEST = 8  # requests inside of each other, each of some thirty calls
MAX_POWER = 32  # of a vector in a polynomial


def covariance_program(program: Program, seconds: float | None = None) -> CovarianceProgram:
    """seconds: what finding the covariances may take, as it is predicted.

    Raises NotGramError where a covariance does not follow from others, TooDearError where that is not known
    because it takes longer.
    """
    return dataclasses.replace(
        Covariances(signs_in_factors(slopes_in(program)), seconds).run(), program=program
    )


class UnsettledError(Exception):
    """What has to be found before what was being looked at: the array of `key` over the axes."""

    def __init__(self, key: tuple[Expr, ...], axes: list[str]) -> None:
        super().__init__()
        self.key, self.axes = key, axes


class Covariances:
    """The state of the pass. Formulas are in variables that are unique, each with a fixed range (see `Axes`).

    Requests lead to others, as deep as the program is long. One that is too deep is put off
    (`UnsettledError`): `settled` finds it first, and begins what asked for it again, which then meets what is
    known already.
    """

    def __init__(self, program: Program, seconds: float | None = None) -> None:
        self.program = program
        self.seconds, self.spent = seconds, 0.0
        self.sites = Boxes(program)
        self.vectors = Vectors(self.sites)
        self.axes = Axes(
            {item.name: item.bound for item in program.inputs if item.bound is not None},
            self.sites.whole,
            self.sites.is_read_everywhere,
        )
        self.arrays = CovarianceArrays(self.axes, self.sites)
        self.matrices = {m.name: m for m in program.matrices}
        self.ratios = {w.name: w.ratio for w in program.widths}
        self.inputs = {item.name for item in program.inputs}
        self.known: dict[tuple[Expr, ...], Expr | None] = {}  # None while it is being found
        self.dots = Dots(self)
        self.adjoints = Adjoints(self)
        self.spectra = SpectralArrays(self)
        self.depth = 0

    def run(self) -> CovarianceProgram:
        outputs = {}
        for output in self.program.outputs:
            renamed = {v: Affine.var(self.axes.fresh(v, n)) for v, n in output.axes}
            asked = substitute(Value(output.ref, False), renamed)
            formula = self.settled(lambda asked=asked: self.scalar(asked))  # type: ignore[misc]
            outputs[output.name] = (
                tuple((next(iter(renamed[v].variables)), n) for v, n in output.axes),
                formula,
            )
        definitions, moved = tuple(self.arrays.definitions.values()), bool(self.adjoints.made)
        found = CovarianceProgram(self.program, definitions, outputs, self.axes.extents, moved)
        # those that told whether there is a Ż may be of many more members than any output takes
        return dataclasses.replace(found, definitions=needed_definitions(found)) if moved else found

    def settled(self, task: Callable[[], Expr]) -> Expr:
        """What `task` gives, however deep what it asks for lies."""
        waiting: dict[tuple[Expr, ...], list[str]] = {}
        while True:
            try:
                if not waiting:
                    return task()
                key, axes = next(reversed(waiting.items()))
                self._known(key, axes)
                del waiting[key]
            except UnsettledError as found:
                if found.key in waiting:
                    raise _circular(found.key, self.dots.reasons) from None
                waiting[found.key] = found.axes

    # expectations

    def mean(self, x: Expr) -> Expr:
        """`E x`."""
        return self.product([x])

    def product(self, factors: Sequence[Expr]) -> Expr:
        """`E Π factors`: multiplied out, sums and scalars in front."""
        self.spend(SECONDS_A_STEP)
        flat = [f for factor in factors for f in _flat(factor)]
        front = [self.scalar(f) for f in flat if not is_vector(f)]
        if ZERO in front:
            return ZERO
        vectors = [f for f in flat if is_vector(f)]
        for k, factor in enumerate(vectors):
            if isinstance(factor, Add):
                rest = vectors[k + 1 :]
                terms = [
                    self.product([*vectors[:k], term, *(agreeing(term, other) for other in rest)])
                    for term in factor.terms
                ]
                return mul(*front, add(*terms))
            if isinstance(factor, Sum):
                count = factor.count.const
                variable = self.axes.fresh(factor.variable, count)
                body = substitute(factor.body, {factor.variable: Affine.var(variable)})
                inner = self.product([*vectors[:k], body, *vectors[k + 1 :]])
                return mul(*front, total(variable, count, inner, self.axes.range_of))
        return mul(*front, self.request(vectors) if vectors else ONE)

    def why_dotted(self, site: Box) -> str | None:
        """Why what `site` makes has a Ż, None if that is 0."""
        return self.dots.why(site)

    def spend(self, seconds: float) -> None:
        """Counts what something is predicted to take. Raises TooDearError if that is too much in all."""
        self.spent += seconds
        if self.seconds is not None and self.spent > self.seconds:
            raise TooDearError(f"finding the covariances takes more than {self.seconds:.0f} s")

    def scalar(self, x: Expr, *, summed_over: bool = False) -> Expr:
        """An expression of scalars with the program's own replaced by their formulas.

        summed_over: inside of a sum, which is not cut in parts.
        """

        def leaf(node: Expr) -> Expr | None:
            if isinstance(node, Value):
                return (
                    node
                    if node.vector or node.ref.name in self.inputs or node.ref.name in self.arrays.definitions
                    else self.request([node])
                )
            if isinstance(node, SpectralEntry):
                return self.spectra.entry(node)
            if isinstance(node, Sum):
                found = total(
                    node.variable,
                    node.count.const,
                    self.scalar(node.body, summed_over=True),
                    self.axes.range_of,
                )
                return self.arrays.shared(found) if isinstance(found, Sum) and not summed_over else found
            return None

        return replace(x, leaf)

    def instantiated(self, x: Expr, at: Mapping[str, Index]) -> Expr:
        """`x` at these indices, the variables of its sums made unique."""
        if isinstance(x, Sum):
            affine = {v: i for v, i in at.items() if isinstance(i, Affine)}
            count = x.count.substitute(affine).constant
            if count is None:
                raise NotGramError("the length of a sum depends on an index")
            variable = self.axes.fresh(x.variable, max(count, 0))
            return summed(
                variable, Affine(count), self.instantiated(x.body, {**at, x.variable: Affine.var(variable)})
            )
        if isinstance(x, Extent):
            raise NotGramError("a power of its widths is left whose limit has not been taken")
        parts = children(x)
        return (
            as_delta(rebuild(x, [self.instantiated(part, at) for part in parts]))
            if parts
            else substitute(x, at)
        )

    # members, by the parts of arrays

    def request(self, factors: Sequence[Expr]) -> Expr:
        """`E Π factors` (or a scalar) from the array of all of its kind."""
        self.spend(SECONDS_A_PART * sum(1 for factor in factors for _ in walk(factor)))
        key, back = self.axes.canonical(factors)
        return substitute(self._known(key, list(back)), back)

    def _known(self, key: tuple[Expr, ...], axes: list[str]) -> Expr:
        if key not in self.known:
            if self.depth == DEEPEST:
                raise UnsettledError(key, axes)
            self.known[key] = None
            self.depth += 1
            try:
                self.known[key] = self._find(key, axes)
            except UnsettledError:
                del self.known[key]
                raise
            finally:
                self.depth -= 1
        found = self.known[key]
        if found is None:
            raise _circular(key, self.dots.reasons)
        return found

    def _find(self, key: tuple[Expr, ...], axes: list[str]) -> Expr:
        extents = [self.axes.extents[axis] for axis in axes]
        refs = self.axes.references(key)
        cuts = self.axes.cuts(axes, [(v.ref, self.sites.of(v.ref)) for v in refs])
        pieces = []
        for count, box in enumerate(boxes(cuts)):
            if count >= MAX_BOXES:
                raise TooDearError(f"`{comment_of(key)}` comes in more than {MAX_BOXES:,} parts")
            at = {
                axis: Affine.var(self.axes.axis(k, high - low)) + low
                for k, (axis, (low, high)) in enumerate(zip(axes, box, strict=True))
            }
            own = [substitute(factor, at) for factor in key]
            chosen = {}
            for value in refs:
                moved = substitute(value, at)
                assert isinstance(moved, Value)
                site = self.axes.site(moved.ref, self.sites.of(moved.ref))
                if site is None:
                    break
                chosen[moved] = site
            else:
                formula = self._part(own, chosen)
                if formula != ZERO:
                    names = tuple(self.axes.axis(k, high - low) for k, (low, high) in enumerate(box))
                    pieces.append(
                        Piece(
                            tuple(low for low, _ in box),
                            tuple(high - low for low, high in box),
                            names,
                            formula,
                        )
                    )
        if not pieces:
            return ZERO
        if len(pieces) == 1 and list(pieces[0].extent) == extents:
            return self.arrays.named(pieces[0].formula, axes, key)
        deltas, pieces, axes = without_deltas(pieces, axes)
        return mul(*deltas, self.arrays.array(tuple(pieces), axes, key))

    def _part(self, factors: list[Expr], chosen: Mapping[Value, Box]) -> Formula:
        """One part: every member in it is made by one site."""
        first = factors[0]
        if len(factors) == 1 and isinstance(first, Value) and not first.vector:
            site = chosen[first]
            phi = self.instantiated(phi_of(site), site.at(first.ref.index))
            return self.mean(phi) if isinstance(site.op, Moment) else self.scalar(phi)
        plain = all(isinstance(f, Value) for f in factors)
        if plain and len(factors) == 2 and self._apart([chosen[f] for f in factors if isinstance(f, Value)]):
            return ZERO
        opened = {
            v
            for v, site in chosen.items()
            if v.vector and not (self.vectors.linear(site) and self._random(site))
        }
        if not opened and plain and len(factors) <= 2:
            opened = {v for v, site in chosen.items() if isinstance(site.op, Nonlin)}
        if opened:
            return self.product([self._open(f, opened, chosen) for f in factors])
        for value, site in chosen.items():
            if (reason := self.why_dotted(site)) is not None:
                if isinstance(site.op, Nonlin):
                    return self.product([self._open(f, {value}, chosen) for f in factors])
                return self.adjoints.moved(factors, value, site, reason)
        if plain:
            members = [f for f in factors if isinstance(f, Value)]
            return (
                isserlis(self, members)
                if len(members) > 2
                else expectation_of_atoms(self, [(m.ref, chosen[m]) for m in members])
            )
        for factor in factors:
            for value in vectors_in(factor):
                for site in () if value in chosen else self.sites.of(value.ref):
                    if not self.vectors.linear(site):
                        raise NotGramError(
                            f"`{text_of(value)}` ({site.op.origin}) is not Gaussian, and in a sum inside "
                            "of a "
                            "function"
                        )
        return expectation_of_groups(self, factors)

    def _apart(self, sites: Sequence[Box]) -> bool:
        """Whether one of the two is a product with a matrix that the other has nothing of.

        The mean is 0 then. Without this, a sum of all layers would be looked into by each of them.
        """
        products = [isinstance(site.op, MatMul) for site in sites]
        if not any(products) or meet(*(self.vectors.sources(site) for site in sites)):
            return False
        return all(self.why_dotted(site) is None for site in sites)

    def _random(self, site: Box) -> bool:
        """Whether what the site makes has vectors in it."""
        return not isinstance(site.op, Nonlin) or is_vector(site.op.phi)

    def _open(self, x: Expr, opened: set[Value], chosen: Mapping[Value, Box]) -> Expr:
        """`x` with the members in `opened` replaced by what makes them."""

        def leaf(node: Expr) -> Expr | None:
            if isinstance(node, Value) and node in opened:
                site = chosen[node]
                return self.instantiated(phi_of(site), site.at(node.ref.index))
            return None

        found = with_signs_of_factors(replace(x, leaf))
        if is_nested(found):
            raise NotGramError(
                f"`{text_of(next(iter(opened)))}` and what it is made of are functions of functions, more "
                f"than {NESTED} of them"
            )
        return found


def _circular(key: Sequence[Expr], dotted: Mapping[str, str]) -> NotGramError:
    """dotted: why there are products with a Ż, which is why they are, if there are any."""
    told = f"`{comment_of(key)}` is made of other members of itself in a way that does not come apart"
    return NotGramError(next(iter(dotted.values()), told))


def _flat(x: Expr) -> list[Expr]:
    """The factors of a product, whole powers as factors."""
    if isinstance(x, Mul):
        return [f for factor in x.factors for f in _flat(factor)]
    if (
        isinstance(x, Pow)
        and isinstance(x.exponent, Number)
        and x.exponent.value.denominator == 1
        and x.exponent.value > 0
        and is_vector(x.base)
    ):
        if x.exponent.value > MAX_POWER:
            raise NotGramError(f"a power of order {x.exponent.value}")
        return _flat(x.base) * int(x.exponent.value)
    return [x]
