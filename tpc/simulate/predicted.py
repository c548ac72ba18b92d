"""What is predicted of an output at finite width, as `verify` needs it."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Predicted(Protocol):
    """Bias and variance of an output at width n, times n; errors are None where exact, NaN where unknown."""

    @property
    def bias(self) -> np.ndarray: ...

    @property
    def bias_stderr(self) -> np.ndarray | None: ...

    @property
    def variance(self) -> np.ndarray: ...

    @property
    def variance_stderr(self) -> np.ndarray | None: ...

    @property
    def first_order_from(self) -> np.ndarray | None:
        """The width from which this holds, to a quarter; NaN where it is unknown, None if it is for all."""

    @property
    def order(self) -> np.ndarray | None:
        """p of entries of which means may be off by powers of n^(-p); None where all p are 1."""


def error_of(value: np.ndarray, stderr: np.ndarray | None) -> np.ndarray:
    """Its standard error, 0 where it is exact."""
    return np.zeros_like(value) if stderr is None else stderr
