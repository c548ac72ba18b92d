"""Networks and training written out in the core language, tree to tree.

Forward pass, reverse-mode differentiation, weights and their updates.
"""

from tpc.train.write_out import PASSES, open_out, write_out

__all__ = ["PASSES", "open_out", "write_out"]
