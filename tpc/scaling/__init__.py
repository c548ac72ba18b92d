"""Powers of n: every quantity of a program as a series in them, and the program of its limit."""

from tpc.scaling.expand import Expansion, expand

__all__ = ["Expansion", "expand"]
