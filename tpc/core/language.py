"""Which of the papers' languages a program is in, by the instructions that it uses."""

from __future__ import annotations

from enum import StrEnum

from tpc.core.expr import Expr, values
from tpc.core.program import MatMul, Moment, Nonlin, OuterMul, OuterNonlin, Program, Scalar, instructions


class Language(StrEnum):
    """Languages of Tensor Programs; what is in one of them is in those below it, too.

    Without tables the sign ⊤ stands for products with a matrix and with its transpose, and ⁺ for means that
    go on into functions of vectors (Def 7.1).
    """

    # TP1, arXiv 1910.12478
    NETSOR = "NETSOR"
    NETSOR_PLUS = "NETSOR⁺"
    # TP2, arXiv 2006.14548, and TP3, arXiv 2009.10685
    NETSOR_T = "NETSOR⊤"
    NETSOR_T_PLUS = "NETSOR⊤⁺"
    # Yang and Littwin, arXiv 2308.01814, Def 2.6.1
    NEXORT = "NE⊗OR⊤"


def language_of(program: Program) -> Language:
    """The language of a program: the smallest one that has all that its instructions do."""
    made = [op for op, _ in instructions(program.body)]
    if any(isinstance(op, OuterNonlin | OuterMul) for op in made):
        return Language.NEXORT
    sides = {(op.matrix.name, op.transposed) for op in made if isinstance(op, MatMul)}
    both = len({name for name, _ in sides}) < len(sides)
    means = _means(program)
    plus = any(isinstance(op, Nonlin | Moment) and _reads(op.phi, means) for op in made)
    return {
        (False, False): Language.NETSOR,
        (False, True): Language.NETSOR_PLUS,
        (True, False): Language.NETSOR_T,
        (True, True): Language.NETSOR_T_PLUS,
    }[both, plus]


def _means(program: Program) -> set[str]:
    """The families of scalars that are means, or are made of some."""
    made = [op for op, _ in instructions(program.body)]
    found = {op.out.name for op in made if isinstance(op, Moment)}
    scalars = [op for op in made if isinstance(op, Scalar)]
    before = 0
    while before < len(found):
        before = len(found)
        found |= {op.out.name for op in scalars if _reads(op.phi, found)}
    return found


def _reads(x: Expr, names: set[str]) -> bool:
    return any(value.ref.name in names for value in values(x))
