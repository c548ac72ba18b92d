"""Program to Limit: the Z-recursion of TP4 Def 7.3."""

from tpc.derive.formula import (
    Equation,
    ZDot,
    ZFormula,
    ZHat,
    ZInit,
    ZInput,
    ZMatMul,
    ZMoment,
    ZNonlin,
    ZOuter,
    ZOuterMul,
    ZPartial,
    ZScalar,
)
from tpc.derive.limit import Formulas, Limit, derive
from tpc.derive.told import require_jumps_told

__all__ = [
    "Equation",
    "Formulas",
    "Limit",
    "ZDot",
    "ZFormula",
    "ZHat",
    "ZInit",
    "ZInput",
    "ZMatMul",
    "ZMoment",
    "ZNonlin",
    "ZOuter",
    "ZOuterMul",
    "ZPartial",
    "ZScalar",
    "derive",
    "require_jumps_told",
]
