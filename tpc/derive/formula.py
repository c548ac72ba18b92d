"""Formulas of a limit: one class for each rule of TP4 Def 7.3.

They are data; the rules that make them are in `rules.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

from tpc.core.expr import ZERO, Expr, Ref, Value, add
from tpc.core.places import IndexRange
from tpc.core.program import MatMul, Origin
from tpc.core.traverse import substitute_ref
from tpc.derive.nodes import Covariance, Dot, Env, Hat, Normal, OfMember, Partial, Ring, TableKernel, Z, at
from tpc.derive.sites import FormulaScope


@dataclass(frozen=True, slots=True)
class Equation:
    """`left relation right`, for all values of the variables of `ranges`."""

    left: Expr
    relation: Literal["=", "~"]
    right: Expr
    # what it is by
    rule: str
    ranges: tuple[IndexRange, ...] = ()


@dataclass(frozen=True, repr=False)
class ZFormula(ABC):
    """What is known of the limit of one vector or scalar: `equations`, the first of them its definition."""

    rule: ClassVar[str]
    # the vector or scalar
    of: Ref
    # the regions around its instruction, whose variables are free in the equations
    loops: tuple[IndexRange, ...] = field(default=(), kw_only=True)
    # its place in the program
    path: tuple[int, ...] = field(default=(), kw_only=True, compare=False)
    origin: Origin = field(default=Origin(), kw_only=True, compare=False)
    # what fresh names in it stand for
    scope: FormulaScope = field(default=FormulaScope(), kw_only=True, compare=False)

    @property
    @abstractmethod
    def equations(self) -> tuple[Equation, ...]: ...

    @property
    def left(self) -> Expr:
        return self.equations[0].left

    @property
    def right(self) -> Expr:
        return self.equations[0].right

    @abstractmethod
    def at(self, env: Env) -> Self:
        """The formula with loop variables replaced by indices."""

    def _where(self, env: Env) -> dict[str, Any]:
        loops = tuple(
            IndexRange(loop.variable, loop.count.substitute(env))
            for loop in self.loops
            if loop.variable not in env
        )
        return {"of": substitute_ref(self.of, env), "loops": loops}

    def closed(self, equation: Equation) -> Expr | None:
        """The right side of one of the equations with closed forms in it.

        None if it has none that is new, or the formula is not from a limit.
        """
        return None if self.loops or self.scope.closed is None else self.scope.closed(equation)

    @property
    def sympy(self) -> Any:
        """The definition as a sympy equation.

        It is the law, as a function `N` of mean and variance, for what is only known by that.
        """
        from tpc.derive.to_sympy import to_equation

        return to_equation(self.equations[0])

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        from tpc.derive.text import print_formula

        return print_formula(self)

    def latex(self) -> str:
        from tpc.derive.latex import latex_formula

        return latex_formula(self)

    def _repr_latex_(self) -> str:
        from tpc.derive.latex_blocks import MOST_CHARACTERS, SCREEN, blocks, rows_of_formulas

        text = self.latex()
        if len(text) <= MOST_CHARACTERS and len(self.equations) < 2:
            return f"$\\displaystyle {text}$"
        rows = rows_of_formulas([self], {}, SCREEN)
        return "\n\n".join(f"$\\displaystyle {block}$" for block in blocks(rows))


@dataclass(frozen=True, repr=False)
class ZInput(ZFormula):
    """A run-time scalar: given."""

    rule: ClassVar[str] = "input"

    @property
    def equations(self) -> tuple[Equation, ...]:
        return ()

    @property
    def left(self) -> Expr:
        return Value(self.of, False)

    @property
    def right(self) -> Expr:
        return self.left

    def at(self, env: Env) -> Self:
        return replace(self, **self._where(env))


@dataclass(frozen=True, repr=False)
class ZInit(ZFormula):
    """An initial vector: its law, and its covariances with those of its group before it.

    It is independent of the others.
    """

    mean: Expr
    variance: Expr
    covariances: tuple[tuple[Ref, Expr], ...] = ()
    rule: ClassVar[str] = "ZInit"

    @property
    def equations(self) -> tuple[Equation, ...]:
        z = Z(self.of)
        law = Equation(z, "~", Normal(self.mean, self.variance), self.rule, self.loops)
        return (
            law,
            *(
                Equation(Covariance(Z(other), z), "=", value, self.rule, self.loops)
                for other, value in self.covariances
            ),
        )

    def at(self, env: Env) -> Self:
        covariances = tuple((substitute_ref(other, env), at(value, env)) for other, value in self.covariances)
        return replace(
            self,
            mean=at(self.mean, env),
            variance=at(self.variance, env),
            covariances=covariances,
            **self._where(env),
        )


@dataclass(frozen=True, repr=False)
class ZByValue(ZFormula):
    """What is known by one equation, a value of what was made before."""

    value: Expr
    # the left side
    known: ClassVar[type[OfMember]] = Z

    @property
    def equations(self) -> tuple[Equation, ...]:
        return (Equation(self.known(self.of), "=", self.value, self.rule, self.loops),)

    def at(self, env: Env) -> Self:
        return replace(self, value=at(self.value, env), **self._where(env))


@dataclass(frozen=True, repr=False)
class ZNonlin(ZByValue):
    """`Z^{φ(x..;θ..)} = φ(Z^x..; θ̊..)`."""

    rule: ClassVar[str] = "ZNonlin"


@dataclass(frozen=True, repr=False)
class ZScalar(ZByValue):
    """`θ̊ = φ(θ̊..)`, a scalar from scalars."""

    rule: ClassVar[str] = "ZScalar"
    known: ClassVar[type[OfMember]] = Ring


@dataclass(frozen=True, repr=False)
class ZMoment(ZByValue):
    """`θ̊ = E φ(Z^x..; θ̊..)`."""

    rule: ClassVar[str] = "ZMoment"
    known: ClassVar[type[OfMember]] = Ring


@dataclass(frozen=True, repr=False)
class ZOuter(ZByValue):
    """`A(·, ·′) = ψ(Z^x.., Z^y′..; θ̊..)`, the kernel of a table (arXiv 2308.01814, Def 2.6.5)."""

    rule: ClassVar[str] = "ZOuter"
    known: ClassVar[type[OfMember]] = TableKernel


@dataclass(frozen=True, repr=False)
class ZOuterMul(ZByValue):
    """`Z^{Ax} = E′ A(·, ·′) Z^x′`: the mean over the independent copy."""

    rule: ClassVar[str] = "ZOuterMul"


@dataclass(frozen=True, slots=True)
class HatCovariance:
    """`Cov(Ẑ^of, Ẑ^other) = value` for the values of `ranges`."""

    # a product with the same matrix at or before `of`
    other: Ref
    value: Expr
    ranges: tuple[IndexRange, ...]
    # in words, which products `other` stands for, if it stands for all before `of`
    of_all: str = ""


@dataclass(frozen=True, repr=False)
class ZHat(ZFormula):
    """`Ẑ^h`: Gaussian, mean 0, with its covariances.

    Independent of the families of other matrices and of the initial vectors.
    """

    variance: Expr
    covariances: tuple[HatCovariance, ...] = ()
    rule: ClassVar[str] = "ZHat"

    @property
    def equations(self) -> tuple[Equation, ...]:
        hat = Hat(self.of)
        law = Equation(hat, "~", Normal(ZERO, self.variance), self.rule, self.loops)
        return (
            law,
            *(
                Equation(
                    Covariance(Hat(c.other), hat),
                    "=",
                    c.value,
                    self.rule + c.of_all,
                    (*self.loops, *c.ranges),
                )
                for c in self.covariances
            ),
        )

    def at(self, env: Env) -> Self:
        covariances = tuple(
            HatCovariance(
                substitute_ref(c.other, env),
                at(c.value, env),
                tuple(IndexRange(r.variable, r.count.substitute(env)) for r in c.ranges),
                c.of_all,
            )
            for c in self.covariances
        )
        return replace(self, variance=at(self.variance, env), covariances=covariances, **self._where(env))


@dataclass(frozen=True, slots=True)
class Opposing:
    """The products `g` with the transpose in some rounds (`ranges`) before h.

    A term `Σ coefficient·Z^y` of `Ż^h`, y the operand of g.
    """

    g: Ref
    y: Ref
    ranges: tuple[IndexRange, ...]
    # [the two matrices of a family are one], 1 for plain ones, a factor of the coefficient
    same: Expr
    coefficient: Expr
    # of the site of g
    number: int = field(compare=False)

    def at(self, env: Env) -> Opposing:
        ranges = tuple(IndexRange(r.variable, r.count.substitute(env)) for r in self.ranges)
        return replace(
            self,
            g=substitute_ref(self.g, env),
            y=substitute_ref(self.y, env),
            ranges=ranges,
            same=at(self.same, env),
            coefficient=at(self.coefficient, env),
        )


@dataclass(frozen=True, repr=False)
class ZDot(ZFormula):
    """`Ż^h = value`, a sum over `terms`."""

    value: Expr
    terms: tuple[Opposing, ...]
    # how the coefficients are defined, by derivatives (Def 7.3) or by Stein's lemma (Remark F.2)
    form: Literal["derivative", "stein"]
    operand: Ref
    # σ² of the matrix for Wx, ρσ² for Wᵀy
    scale: Expr
    # the factor of C⁺b, 1/ρ for Wx and ρ for Wᵀy
    stein: Expr
    rule: ClassVar[str] = "ZDot"

    @property
    def equations(self) -> tuple[Equation, ...]:
        return (Equation(Dot(self.of), "=", self.value, self.rule, self.loops),)

    def at(self, env: Env) -> Self:
        terms = tuple(term.at(env) for term in self.terms)
        return replace(
            self,
            value=at(self.value, env),
            terms=terms,
            operand=substitute_ref(self.operand, env),
            scale=at(self.scale, env),
            stein=at(self.stein, env),
            **self._where(env),
        )


@dataclass(frozen=True, repr=False)
class ZMatMul(ZFormula):
    """`Z^{Wx} = Ẑ^{Wx} + Ż^{Wx}`."""

    product: MatMul
    hat: ZHat
    dot: ZDot
    rule: ClassVar[str] = "ZMatMul"

    @property
    def equations(self) -> tuple[Equation, ...]:
        total = add(Hat(self.of), Dot(self.of)) if self.dot.terms else Hat(self.of)
        own = Equation(Z(self.of), "=", total, self.rule, self.loops)
        return (own, *self.hat.equations, *(self.dot.equations if self.dot.terms else ()))

    def at(self, env: Env) -> Self:
        product = replace(
            self.product,
            out=substitute_ref(self.product.out, env),
            matrix=substitute_ref(self.product.matrix, env),
            operand=substitute_ref(self.product.operand, env),
        )
        return replace(self, product=product, hat=self.hat.at(env), dot=self.dot.at(env), **self._where(env))


@dataclass(frozen=True, repr=False)
class ZPartial(ZFormula):
    """`∂Z^of/∂Ẑ^by`, for a round of `of` (loops) and one of `by` (ranges); zero where `of` comes first."""

    by: Ref
    ranges: tuple[IndexRange, ...]
    value: Expr
    # the place of g
    by_path: tuple[int, ...] = field(default=(), kw_only=True, compare=False)
    rule: ClassVar[str] = "chain rule"

    @property
    def equations(self) -> tuple[Equation, ...]:
        return (Equation(Partial(self.of, self.by), "=", self.value, self.rule, (*self.loops, *self.ranges)),)

    def at(self, env: Env) -> Self:
        ranges = tuple(
            IndexRange(r.variable, r.count.substitute(env)) for r in self.ranges if r.variable not in env
        )
        return replace(
            self,
            by=substitute_ref(self.by, env),
            ranges=ranges,
            value=at(self.value, env),
            **self._where(env),
        )
