"""Programs with powers of n.

Every quantity as a series in them, and the program of the limit, which has none (TP4 App H.3–H.5).
"""

from tpc.expand.expand import Expansion, expand, random_in_the_limit

__all__ = ["Expansion", "expand", "random_in_the_limit"]
