"""The options of compiling, checked where they are made."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Any, Literal, get_args

Method = Literal["auto", "linear", "gram", "chaos", "nodes"]
DType = Literal["float64", "float32"]
# of finite width: drawn, asked only, or whichever takes less time
Matrices = Literal["auto", "dense", "free"]
MATRICES: tuple[str, ...] = get_args(Matrices)
METHODS: tuple[str, ...] = get_args(Method)
DTYPES = (*get_args(DType), "bfloat16")
MOST = 2**62  # of samples and repeats: far beyond what any memory holds


@dataclass(frozen=True)
class Options:
    """How a limit is to be evaluated. Raises TpcError (TP602) for options out of range."""

    # "auto" is the cheapest exact one, else nodes
    method: str = "auto"
    # points of a repeat (nodes), at least 2; None for what the plan takes
    samples: int | None = None
    # independent randomisations, at least 2; None for what the plan takes
    repeats: int | None = None
    # "bfloat16" is for coefficients: float32, but for what loops carry, which is rounded at random
    dtype: str = "float64"
    # the most directions kept for one side of a matrix
    max_rank: int | None = None
    # what to take for scalars that are random in the limit: None (drawn by seed 0), a seed, "zero",
    # "integrate", or arrays by name; what there are is known once the program is expanded
    initial: Any = None
    # whether outputs have their joint law on a sample of points, those of rounds side by side, too
    joint: bool = False
    # the program's name, which messages show
    program: InitVar[str] = "options"

    def __post_init__(self, program: str) -> None:
        from tpc.core.given import require_whole

        for option, name, least in (
            ("--samples", "samples", 2),
            ("--repeats", "repeats", 2),
            ("--max-rank", "max_rank", 1),
        ):
            value = getattr(self, name)
            if value is not None:  # NumPy's whole numbers become Python's
                object.__setattr__(self, name, require_whole(option, value, least, program, MOST))
        _require_choice("--dtype", self.dtype, DTYPES, program)
        _require_choice("--method", self.method, METHODS, program)

    @property
    def precision(self) -> DType:
        """The dtype of points and values."""
        return "float64" if self.dtype == "float64" else "float32"

    @property
    def packed(self) -> bool:
        """Whether loops carry vectors as bfloat16."""
        return self.dtype == "bfloat16"


def _require_choice(option: str, value: str, choices: tuple[str, ...], program: str) -> None:
    if value not in choices:
        from tpc.diagnostics.catalogue.running import bad_option
        from tpc.diagnostics.diagnostic import TpcError

        known = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise TpcError([bad_option(option, f"must be {known}, not {value}")], program, of_program=True)
