"""Means that are infinite, or whose errors are, seen from the expression.

Exp of a polynomial in the initial Gaussians that outgrows their density.

For g with covariance 1, E exp(gᵀQg) is infinite if an eigenvalue of Q is 1/2 or more, and so is E exp(2
gᵀQg), of which the error of a mean over points is made, from 1/4 on; a polynomial of a higher degree outgrows
g² wherever its leading part is positive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from scipy import special

from tpc.core.expr import Add, Call, Constant, Expr, Mul, Number, Pow, Ref, Value, walk
from tpc.core.functions import elementwise
from tpc.core.numeric import Namespace, evaluate
from tpc.core.printer import as_written
from tpc.core.program import Moment, Nonlin, Program, instructions
from tpc.core.traverse import used_refs
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError

Monomial = tuple[Ref, ...]  # sorted by name, with repetitions
Polynomial = dict[Monomial, float]
ONE: Polynomial = {(): 1.0}
DIRECTIONS = 400  # in which the leading part of a polynomial is tried
MOST_TERMS = 500
EDGE = 1e-9  # what rounding may make of 1/2


class NotPolynomialError(ValueError):
    """The exponent is something else, or not known before the inputs are."""


@dataclass(frozen=True)
class Exponents:
    """The exponents of an integrand's terms, as polynomials in the initial Gaussians."""

    program: Program
    definitions: Mapping[Ref, Expr] = field(default_factory=dict)

    @staticmethod
    def of(program: Program) -> Exponents:
        ops = list(instructions(program.body))
        made = Counter(op.out.name for op, _ in ops)
        plain = {
            op.out: op.phi
            for op, loops in ops
            if isinstance(op, Nonlin) and not loops and not op.out.index and made[op.out.name] == 1
        }
        return Exponents(program, plain)

    def growth(self, x: Expr) -> list[float]:
        """For every term of an integrand the greatest eigenvalue of its exponent's Q; 0 for others.

        inf if that has a degree above 2.
        """
        terms = x.terms if isinstance(x, Add) else (x,)
        found = []
        for term in terms:
            factors = term.factors if isinstance(term, Mul) else (term,)
            try:
                found.append(self._outgrows(_sum(map(self._exponent, factors))))
            except NotPolynomialError:
                found.append(0.0)
        return found

    def _exponent(self, factor: Expr) -> Polynomial:
        """The exponent of a factor of a product.

        Raises NotPolynomialError for one that may be 0, or fall fast, where the others grow.
        """
        match factor:
            case Call("exp", (exponent,)):
                return self.polynomial(exponent)
            case Pow(base, Number(power)):
                return {m: float(power) * c for m, c in self._exponent(base).items()}
            case Value(ref, True) if ref in self.definitions:
                inner = self.definitions[ref]
                return _sum(map(self._exponent, inner.factors if isinstance(inner, Mul) else (inner,)))
            case Number():
                return {}
            case Value(ref, True) if self._initial(ref):
                return {}
            case Call(function, (Value(ref, True),)) if (
                self._initial(ref) and not elementwise(function).fades
            ):
                return {}
            case _:
                raise NotPolynomialError

    def _initial(self, ref: Ref) -> bool:
        return any(ref.name in group.names for group in self.program.gaussians)

    def polynomial(self, x: Expr) -> Polynomial:
        """In the initial Gaussians. Raises NotPolynomialError."""
        match x:
            case Value(ref, True) if ref in self.definitions:
                return self.polynomial(self.definitions[ref])
            case Value(ref, True) if self._initial(ref):
                return {(ref,): 1.0}
            case Add(terms):
                return _sum(map(self.polynomial, terms))
            case Mul(factors):
                return reduce(_times, map(self.polynomial, factors), ONE)
            case Pow(base, Number(power)) if power.denominator == 1 and 0 < power <= 12:
                return reduce(_times, [self.polynomial(base)] * int(power), ONE)
            case _:
                return {(): _constant(x)}

    def _outgrows(self, exponent: Polynomial) -> float:
        refs = sorted({ref for m in exponent for ref in m}, key=str)
        degree = max((len(m) for m, c in exponent.items() if c), default=0)
        if degree < 2 or len(refs) > 12:
            return 0.0
        root = self._root(refs)
        if degree == 2:
            return float(np.linalg.eigvalsh(root.T @ _quadratic_form(exponent, refs) @ root).max())
        points = root @ np.random.default_rng(0).standard_normal((len(refs), DIRECTIONS))
        points /= np.linalg.norm(points, axis=0)
        leading = sum(
            c * np.prod([points[refs.index(ref)] for ref in m], axis=0)
            for m, c in exponent.items()
            if len(m) == degree
        )
        return np.inf if np.max(leading) > EDGE else 0.0

    def _root(self, refs: list[Ref]) -> np.ndarray:
        """A root of the covariance of some initial Gaussians.

        Raises NotPolynomialError if that depends on inputs.
        """
        covariance = np.zeros((len(refs), len(refs)))
        for i, a in enumerate(refs):
            for j, b in enumerate(refs):
                covariance[i, j] = self._covariance(a, b)
        values, vectors = np.linalg.eigh(covariance)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))

    def _covariance(self, a: Ref, b: Ref) -> float:
        group = next(g for g in self.program.gaussians if a.name in g.names)
        if b.name not in group.names or a.index != b.index:
            return 0.0
        return _constant(group.covariance[group.names.index(a.name)][group.names.index(b.name)])


def infinite_means(program: Program) -> tuple[list[Moment], list[Moment]]:
    """The means that are infinite for certain, and those that are not but whose errors are.

    E f² is infinite.
    """
    exponents, infinite, wild = Exponents.of(program), [], []
    for op, _ in instructions(program.body):
        if isinstance(op, Moment):
            growth = exponents.growth(op.phi)
            if sum(g >= 0.5 - EDGE for g in growth) == 1:  # two may cancel
                infinite.append(op)
            elif max(growth, default=0.0) >= 0.25 - EDGE:
                wild.append(op)
    return infinite, wild


def with_finite_means(program: Program) -> Program:
    """The program. Raises TpcError (TP806) if some of its means are infinite for certain."""
    infinite, _ = infinite_means(program)
    if infinite:
        errors = [catalogue.scaling.infinite_mean(op.origin.label, as_written(op.out)) for op in infinite]
        raise TpcError(errors, program.name, of_program=True)
    return program


def without_error(program: Program) -> tuple[str, ...]:
    """The outputs that depend on a mean whose error is infinite."""
    tainted = {op.out.name for op in infinite_means(program)[1]}
    ops = [op for op, _ in instructions(program.body)]
    before = -1
    while tainted and len(tainted) != before:
        before = len(tainted)
        tainted |= {op.out.name for op in ops if any(ref.name in tainted for ref in used_refs(op))}
    return tuple(output.name for output in program.outputs if output.ref.name in tainted)


def _constant(x: Expr) -> float:
    """The value of an expression without vectors and inputs. Raises NotPolynomialError for another one."""
    if not all(isinstance(node, Number | Constant | Add | Mul | Pow | Call) for node in walk(x)):
        raise NotPolynomialError
    return float(evaluate(x, lambda _: None, Namespace(np, special)))


def _quadratic_form(polynomial: Polynomial, refs: list[Ref]) -> np.ndarray:
    form = np.zeros((len(refs), len(refs)))
    for monomial, c in polynomial.items():
        if len(monomial) == 2:
            i, j = (refs.index(ref) for ref in monomial)
            form[i, j] += c / 2
            form[j, i] += c / 2
    return form


def _sum(polynomials: Iterable[Polynomial]) -> Polynomial:
    out: Polynomial = {}
    for polynomial in polynomials:
        for monomial, c in polynomial.items():
            out[monomial] = out.get(monomial, 0.0) + c
    return out


def _times(a: Polynomial, b: Polynomial) -> Polynomial:
    if len(a) * len(b) > MOST_TERMS:
        raise NotPolynomialError
    out: Polynomial = {}
    for m, c in a.items():
        for k, d in b.items():
            key = tuple(sorted((*m, *k), key=str))
            out[key] = out.get(key, 0.0) + c * d
    return out
