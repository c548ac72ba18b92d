"""Powers of n: every quantity of a program as a series in them, and the program of its limit."""

from tpc.scaling.expand import Expansion, expand, random_in_the_limit

__all__ = ["Expansion", "expand", "random_in_the_limit"]
