"""What the formulas of a limit do not say of symbols in them, as text and in LaTeX."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tpc.derive.formula import ZFormula, ZMatMul


@dataclass(frozen=True, slots=True)
class SymbolRemark:
    """One thing that is said of them."""

    text: str
    latex: str


DERIVATIVES = SymbolRemark(
    "each is 0 where its numerator is made first",
    "Each derivative is $0$ where its numerator is made first.",
)
COEFFICIENTS = SymbolRemark(
    """\
Where no derivative exists, Stein's lemma gives the coefficients a of Ż^h, h = W x, over the \
opposing products g_i = Wᵀ y_i:
a = C⁺b (times ρ for a product with the transpose, 1/ρ for one with W), C_ij = E[Z^{y_i}·Z^{y_j}], \
b_i = E[Ẑ^{g_i}·Z^x].""",
    r"""Where no derivative exists, Stein's lemma gives the coefficients $a$ of $\dot Z^h$,
$h = W x$, over the opposing products $g_i = {W}^{\top} y_i$: $a = C^+ b$ (times $\rho$ for a product with the
transpose, $1/\rho$ for one with $W$), $C_{ij} = \mathbb{E}[Z^{y_i} Z^{y_j}]$,
$b_i = \mathbb{E}[\hat Z^{g_i} Z^x]$.""",
)


def has_coefficients(formulas: Iterable[ZFormula]) -> bool:
    """Whether there is a Ż by Stein's lemma in them."""
    return any(isinstance(f, ZMatMul) and f.dot.form == "stein" and f.dot.terms for f in formulas)


def latex_remarks(formulas: Iterable[ZFormula], *, derivatives: bool) -> list[str]:
    """Remarks on what there is in formulas, as sentences. derivatives: whether there are such by symbol."""
    return [DERIVATIVES.latex] * derivatives + [COEFFICIENTS.latex] * has_coefficients(formulas)
