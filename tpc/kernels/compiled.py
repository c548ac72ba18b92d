"""One block of kernels, compiled."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tpc.machine.memory import account
from tpc.machine.precision import precision

# values, and estimates of their errors; None where they are exact
Pair = tuple[np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class Compiled:
    """A module's evaluation of a block of every kernel."""

    module: types.ModuleType
    # a rule for its integrals, and others to compare it with if not all is in closed form
    rules: Sequence[tuple[Any, Any]]
    others: Mapping[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def exact(self) -> bool:
        return len(self.rules) == 1

    def memory(self, first: np.ndarray, second: np.ndarray) -> float:
        """Bytes that an evaluation takes, by the compiler's account. It is not compiled again for that."""
        given = self._given(first, second)
        with precision(self.module.DTYPE):
            return account(self.module.compiled.lower(given, *self.rules[0]).compile())

    def _given(self, *arrays: np.ndarray) -> dict[str, Any]:
        return {**self.others, **dict(zip(self.inputs, arrays, strict=False))}

    def __call__(self, *arrays: np.ndarray) -> list[Pair]:
        given = self._given(*arrays)
        with precision(self.module.DTYPE):
            found = self.module.summary([self.module.compiled(given, *rule) for rule in self.rules])
        values = [found[name] for name in self.outputs]
        return [(np.asarray(value), None if error is None else np.asarray(error)) for value, error in values]
