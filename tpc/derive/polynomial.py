"""Polynomials in Gaussian variables and in functions of linear forms of them, with exact coefficients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tpc.core.expr import Expr, Ref
from tpc.derive.gaussian import Matrix, NotClosed, Wave, engine, tidy

MAX_TERMS = 400
MAX_DEGREE = 200  # of a monomial, and of a power


@dataclass(frozen=True, slots=True)
class GaussianFactor:
    """A centred Gaussian of the program: the Ẑ of a product, or an initial vector less its mean."""

    ref: Ref


@dataclass(frozen=True, slots=True)
class FunctionFactor:
    """`name(Σ coefficient·Gaussian)`."""

    name: str
    form: tuple[tuple[GaussianFactor, Any], ...]


Generator = GaussianFactor | FunctionFactor
Monomial = tuple[tuple[Generator, int], ...]


class Polynomial:
    """`terms`: monomials, in a fixed order, with their coefficients, none of them 0."""

    __slots__ = ("terms",)

    def __init__(self, terms: Iterable[tuple[Monomial, Any]] = ()) -> None:
        total: dict[Monomial, Any] = {}
        for monomial, coefficient in terms:
            total[monomial] = total[monomial] + coefficient if monomial in total else coefficient
        kept = [(monomial, tidy(coefficient)) for monomial, coefficient in total.items()]
        self.terms = tuple((monomial, coefficient) for monomial, coefficient in kept if coefficient != 0)
        if len(self.terms) > MAX_TERMS:
            raise NotClosed

    @staticmethod
    def of(value: Any) -> Polynomial:
        return Polynomial([((), value)])

    @staticmethod
    def sum(items: Iterable[Polynomial]) -> Polynomial:
        return Polynomial(term for item in items for term in item.terms)

    @property
    def is_constant(self) -> bool:
        return all(not monomial for monomial, _ in self.terms)


def constant(x: Polynomial) -> Any:
    """The value of a polynomial without variables."""
    if not x.is_constant:
        raise NotClosed
    return x.terms[0][1] if x.terms else engine().Integer(0)


def generator(g: Generator) -> Polynomial:
    return Polynomial([(((g, 1),), engine().Integer(1))])


def scaled(x: Polynomial, factor: Any) -> Polynomial:
    return Polynomial((monomial, factor * c) for monomial, c in x.terms)


def times(*factors: Polynomial) -> Polynomial:
    out = Polynomial.of(engine().Integer(1))
    for factor in factors:
        if len(out.terms) * len(factor.terms) > MAX_TERMS**2 // 4:
            raise NotClosed
        out = Polynomial((merged(m, k), a * b) for m, a in out.terms for k, b in factor.terms)
    return out


def merged(a: Monomial, b: Monomial) -> Monomial:
    """The product of two monomials; the square of a sign is 1. Raises NotClosed if its degree is too high."""
    powers = dict(a)
    for g, k in b:
        powers[g] = powers.get(g, 0) + k
    kept = [
        (g, k % 2 if isinstance(g, FunctionFactor) and g.name == "sign" else k) for g, k in powers.items()
    ]
    if sum(k for _, k in kept) > MAX_DEGREE:
        raise NotClosed
    return tuple(sorted(((g, k) for g, k in kept if k), key=lambda item: str(item[0])))


def linear_form(x: Polynomial) -> tuple[tuple[tuple[GaussianFactor, Any], ...], Any]:
    """`x` as a linear form of Gaussians and a constant. Raises NotClosed if it is none."""
    form, shift = [], engine().Integer(0)
    for monomial, c in x.terms:
        if not monomial:
            shift = c
        elif len(monomial) == 1 and monomial[0][1] == 1 and isinstance(monomial[0][0], GaussianFactor):
            form.append((monomial[0][0], c))
        else:
            raise NotClosed
    return tuple(sorted(form, key=lambda item: str(item[0].ref))), shift


@dataclass(frozen=True, slots=True)
class Argument(Expr):
    """What stands for an argument in the expression of a function by others."""

    value: Polynomial


def wave(function: str, x: Polynomial) -> Polynomial:
    """A function whose expectations are known. Raises NotClosed for another one."""
    sy = engine()
    match function:
        case "step":
            return scaled(Polynomial.sum([Polynomial.of(sy.Integer(1)), sign(x)]), sy.Rational(1, 2))
        case "sign":
            return sign(x)
        case "erf" | "tanh":
            return centred(function, x)
        case "exp" | "sin" | "cos":
            return shifted(function, x)
    raise NotClosed


def sign(x: Polynomial) -> Polynomial:
    """`sign(x)`, the same for all positive multiples of x."""
    form, shift = linear_form(x)
    if shift != 0:
        raise NotClosed
    if not form:
        return Polynomial()
    lead, factor = form[0][1], engine().Integer(1)
    if lead.is_negative:
        lead, factor = -lead, -factor
        form = tuple((g, -c) for g, c in form)
    if lead.is_positive:
        form = tuple((g, tidy(c / lead)) for g, c in form)
    return scaled(generator(FunctionFactor("sign", form)), factor)


def centred(function: str, x: Polynomial) -> Polynomial:
    form, shift = linear_form(x)
    if shift != 0:
        raise NotClosed
    return generator(FunctionFactor(function, form)) if form else Polynomial()


def shifted(function: str, x: Polynomial) -> Polynomial:
    """A wave or an exponential of a form plus a constant, by the addition theorems."""
    sy = engine()
    form, c = linear_form(x)
    if function == "exp":
        return scaled(generator(FunctionFactor("exp", form)), sy.exp(c))
    sin, cos = generator(FunctionFactor("sin", form)), generator(FunctionFactor("cos", form))
    if function == "sin":
        return Polynomial.sum([scaled(sin, sy.cos(c)), scaled(cos, sy.sin(c))])
    return Polynomial.sum([scaled(cos, sy.cos(c)), scaled(sin, -sy.sin(c))])


def components(
    monomial: Monomial, covariance: Callable[[GaussianFactor, GaussianFactor], Any]
) -> Iterator[tuple[Matrix, tuple[int, ...], tuple[Wave, ...]]]:
    """The independent factors of a monomial.

    For each the law of its Gaussians, their powers, and the functions with their forms.
    """
    groups: list[list[GaussianFactor]] = []
    for g, _ in monomial:
        new = [g] if isinstance(g, GaussianFactor) else [v for v, _ in g.form]
        joined = [
            group for group in groups if any(v in group or covariance(u, v) != 0 for u in group for v in new)
        ]
        groups = [group for group in groups if group not in joined]
        groups.append(list(dict.fromkeys([*(v for group in joined for v in group), *new])))
    for group in groups:
        members = [
            (g, k) for g, k in monomial if (g if isinstance(g, GaussianFactor) else g.form[0][0]) in group
        ]
        law = tuple(tuple(covariance(u, v) for v in group) for u in group)
        powers = tuple(next((k for g, k in members if g == v), 0) for v in group)
        functions = tuple(
            (g.name, direction(g, group))
            for g, k in members
            if isinstance(g, FunctionFactor)
            for _ in range(k)
        )
        yield law, powers, functions


def direction(f: FunctionFactor, group: list[GaussianFactor]) -> tuple[Any, ...]:
    form = dict(f.form)
    return tuple(form.get(v, engine().Integer(0)) for v in group)
