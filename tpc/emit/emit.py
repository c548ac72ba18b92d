"""From a plan to the source of the module that evaluates it."""

from __future__ import annotations

from tpc.emit.module import emit_vectors
from tpc.gram.write import emit_gram
from tpc.plan.plan import CovariancesPlan, Plan, VectorsPlan


def emit(plan: Plan) -> str:
    """The source of a module that stands alone, by the representation that is planned."""
    match plan:
        case CovariancesPlan():
            return emit_gram(plan)
        case VectorsPlan():
            return emit_vectors(plan)
    raise TypeError(f"no module for {type(plan).__name__}")
