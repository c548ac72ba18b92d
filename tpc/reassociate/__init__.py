"""The order in which sums and products of a program are taken.

The pass from a program to one that computes the same with fewer operations.
"""

from tpc.reassociate.search import reassociate

__all__ = ["reassociate"]
