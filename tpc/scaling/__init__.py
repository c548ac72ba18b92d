"""Powers of n: the sizes of quantities and what they say of a training; every quantity as a series in them, and the program of the limit."""

from tpc.scaling.expand import Expansion, expand, random_in_the_limit
from tpc.scaling.symbolic import Conditions, conditions
from tpc.scaling.training import classify
from tpc.scaling.verdict import Verdict

__all__ = ["Conditions", "Expansion", "Verdict", "classify", "conditions", "expand", "random_in_the_limit"]
