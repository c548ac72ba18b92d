"""tpc, a symbolic compiler for Tensor Programs: from a NETSOR⊤⁺ program to its infinite-width limit.

`load(path)` and `parse(text)` give a `Program`; `program.derive()` its `Limit`, formulas; `program.compile()`
an `Evaluator`, which called with inputs gives a `Result`; `program.simulate()` runs the program at finite
width, and `verify(result.limits, [samples, …])` compares; `program.kernels()` are those of its network.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from tpc.api import Limit, Program, load, parse
    from tpc.diagnostics.diagnostic import Diagnostic, TpcError
    from tpc.evaluate.evaluator import Evaluator
    from tpc.evaluate.result import Result
    from tpc.gram import register
    from tpc.kernels.accuracy import KernelWarning
    from tpc.kernels.flow import after_flow, after_steps
    from tpc.kernels.interop import GaussianProcessKernel
    from tpc.kernels.kernels import Kernels
    from tpc.kernels.regression import posterior
    from tpc.scaling import Verdict, classify, conditions
    from tpc.show.draw import draw
    from tpc.simulate import Samples, verify

__all__ = [
    "Diagnostic",
    "Evaluator",
    "GaussianProcessKernel",
    "KernelWarning",
    "Kernels",
    "Limit",
    "Program",
    "Result",
    "Samples",
    "TpcError",
    "Verdict",
    "after_flow",
    "after_steps",
    "classify",
    "conditions",
    "draw",
    "load",
    "parse",
    "posterior",
    "register",
    "verify",
]
_HOMES = {
    "tpc.api": ("Limit", "Program", "load", "parse"),
    "tpc.diagnostics.diagnostic": ("Diagnostic", "TpcError"),
    "tpc.evaluate.evaluator": ("Evaluator",),
    "tpc.evaluate.result": ("Result",),
    "tpc.gram": ("register",),
    "tpc.kernels.accuracy": ("KernelWarning",),
    "tpc.kernels.flow": ("after_flow", "after_steps"),
    "tpc.kernels.interop": ("GaussianProcessKernel",),
    "tpc.kernels.kernels": ("Kernels",),
    "tpc.kernels.regression": ("posterior",),
    "tpc.scaling": ("Verdict", "classify", "conditions"),
    "tpc.show.draw": ("draw",),
    "tpc.simulate": ("Samples", "verify"),
}


def __getattr__(name: str) -> Any:
    """Names are imported when asked for, so that the command line starts fast."""
    if name == "__version__":
        from importlib.metadata import version

        return version("tpc")
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module tpc has no attribute {name}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(shell: Any) -> None:
    """Called by `%load_ext tpc`: `%%tp` begins a cell that is a program."""
    import_module("tpc.editors.cell_magic").register(shell)
