"""What to take for scalars that are random in the limit: drawn, given, 0, or integrated over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tpc.diagnostics import catalogue_run
from tpc.diagnostics.diagnostic import TpcError
from tpc.show.entries import plain


@dataclass(frozen=True)
class Choice:
    """What to take. seed: for "drawn". values: for "given", arrays by name."""

    how: Literal["drawn", "given", "zero", "integrated"] = "drawn"
    seed: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"drawn by seed {self.seed}"
            if self.how == "drawn"
            else {"given": "as given", "zero": "0", "integrated": "integrated over"}[self.how]
        )


def chosen(initial: Any, program: str) -> Choice:
    """The choice that `initial` stands for: None (seed 0), a seed, "zero", "integrate", or arrays by name.
    Raises TpcError (TP602)."""
    if initial is None:
        return Choice()
    if isinstance(initial, Mapping):
        return Choice("given", values=initial)
    if isinstance(initial, int) and not isinstance(initial, bool) and 0 <= initial < 2**32:
        return Choice(seed=initial)
    if initial in ("zero", "integrate"):
        return Choice("zero" if initial == "zero" else "integrated")
    why = f"must be seed=N, zero, integrate or a data file, not {initial}"
    raise TpcError([catalogue_run.bad_option("--initial", why)], program, of_program=True)


@dataclass(frozen=True)
class Started:
    """What a result is conditioned on."""

    choice: Choice
    scalars: Mapping[str, np.ndarray]

    def __str__(self) -> str:
        return f"{', '.join(self.scalars)}, random in the limit: {self.choice}"

    def to_json(self) -> dict[str, Any]:
        seed = {"seed": self.choice.seed} if self.choice.how == "drawn" else {}
        return {
            "how": self.choice.how,
            **seed,
            "scalars": {name: plain(value) for name, value in self.scalars.items()},
        }
