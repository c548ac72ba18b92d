"""Powers of n: the size of every quantity of a program and what they say of its training; every quantity as a series in them, and the limit's program."""

from tpc.scaling.expand import Expansion, expand, random_in_the_limit
from tpc.scaling.training import classify
from tpc.scaling.verdict import Verdict

__all__ = ["Expansion", "Verdict", "classify", "expand", "random_in_the_limit"]
