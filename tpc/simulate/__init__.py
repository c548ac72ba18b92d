"""Programs at finite width, and the comparison of their limits with them."""

from tpc.simulate.samples import Samples
from tpc.simulate.seeds import draws, simulate
from tpc.simulate.verify import Report, verify

__all__ = ["Report", "Samples", "draws", "simulate", "verify"]
