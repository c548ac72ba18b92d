"""Sizes of quantities as powers of n, and what they say of a training (TP4 section 3)."""

from tpc.scaling.classify import classify
from tpc.scaling.conditions import Conditions, conditions
from tpc.scaling.verdict import Verdict

__all__ = ["Conditions", "Verdict", "classify", "conditions"]
