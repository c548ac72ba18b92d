"""tpc, a symbolic compiler for Tensor Programs: from a NETSOR⊤⁺ program to its infinite-width limit.

`load(path)` and `parse(text)` give a `Program`; `program.derive()` its `Limit`; `limit.compile()` an evaluator; `program.simulate()` runs it at finite width.
"""

from tpc.core.program import Program
from tpc.pipeline import load, parse
from tpc.syntax.diagnostic import Diagnostic, TpcError

__all__ = ["Diagnostic", "Program", "TpcError", "load", "parse"]
