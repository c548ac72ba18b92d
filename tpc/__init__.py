"""tpc, a symbolic compiler for Tensor Programs: from a NETSOR⊤⁺ program to its infinite-width limit.

`load(path)` and `parse(text)` give a `Program`; `program.derive()` its `Limit`; `limit.compile()` an
evaluator, which called with inputs gives a `Result`; `program.simulate()` runs the program at finite width,
and `verify(result.limits, [samples, …])` compares.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tpc.core.program import Program
    from tpc.diagnostics.diagnostic import Diagnostic, TpcError
    from tpc.pipeline import load, parse
    from tpc.scaling import classify
    from tpc.simulate import verify

__all__ = ["Diagnostic", "Program", "TpcError", "classify", "load", "parse", "verify"]
_HOMES = {
    "classify": "tpc.scaling.classify",
    "Program": "tpc.core.program",
    "load": "tpc.pipeline",
    "parse": "tpc.pipeline",
    "verify": "tpc.simulate",
    "Diagnostic": "tpc.diagnostics.diagnostic",
    "TpcError": "tpc.diagnostics.diagnostic",
}


def __getattr__(name: str) -> Any:
    """Names are imported when asked for, so that the command line starts fast."""
    if name not in _HOMES:
        raise AttributeError(f"module tpc has no attribute {name}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
