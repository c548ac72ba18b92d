"""What to take for scalars that are random in the limit: drawn, given, 0, or integrated over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tpc.show.entries import plain


@dataclass(frozen=True)
class Choice:
    """What to take."""

    how: Literal["drawn", "given", "zero", "integrated"] = "drawn"
    # for "drawn"
    seed: int = 0
    # for "given", arrays by name
    values: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"drawn by seed {self.seed}"
            if self.how == "drawn"
            else {"given": "as given", "zero": "0", "integrated": "integrated over"}[self.how]
        )

    def is_as(self, other: Choice) -> bool:
        """Whether both take the same."""
        return (self.how, self.seed, set(self.values)) == (other.how, other.seed, set(other.values)) and all(
            np.array_equal(value, other.values[name]) for name, value in self.values.items()
        )


@dataclass(frozen=True)
class Started:
    """What a result is conditioned on."""

    choice: Choice
    scalars: Mapping[str, np.ndarray]
    # those that were among the inputs, where others are as chosen
    given: tuple[str, ...] = ()

    def __str__(self) -> str:
        among = f", {', '.join(self.given)} as given" if self.given else ""
        return f"{', '.join(self.scalars)}, random in the limit: {self.choice}{among}"

    def to_json(self) -> dict[str, Any]:
        seed = {"seed": self.choice.seed} if self.choice.how == "drawn" else {}
        return {
            "how": self.choice.how,
            **seed,
            **({"given": list(self.given)} if self.given else {}),
            "scalars": {name: plain(value) for name, value in self.scalars.items()},
        }
