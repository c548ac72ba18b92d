"""Powers of n: the size of every quantity of a program, and what they say of its training."""

from tpc.scaling.symbolic import Conditions, conditions
from tpc.scaling.training import classify
from tpc.scaling.verdict import Verdict

__all__ = ["Conditions", "Verdict", "classify", "conditions"]
