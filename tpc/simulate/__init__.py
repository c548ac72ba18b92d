"""Programs at finite width, and the comparison of their limits with them."""

from tpc.simulate.run import draws, simulate
from tpc.simulate.samples import Samples

__all__ = ["Samples", "draws", "simulate"]
