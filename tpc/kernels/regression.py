"""Regression with a kernel.

The ridge estimate, and the posterior of a Gaussian process, of which it is the mean (TP1; Lee et al. 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic, TpcError

Kernel = Callable[..., Any]  # kernel(x, z) is [N, M], kernel(x) is kernel(x, x)


@dataclass(frozen=True, repr=False)
class Prediction:
    """What is predicted at M inputs."""

    # [M], or [M, k] for k outputs
    mean: np.ndarray
    # [M, M], of each output; None if the prediction is not a Gaussian process's
    covariance: np.ndarray | None = None

    def __repr__(self) -> str:
        given = "mean, covariance, std" if self.covariance is not None else "mean"
        return f"<a prediction at {len(self.mean)} inputs: {given}>"

    def _repr_html_(self) -> str:
        from tpc.display.families import family_row
        from tpc.display.html_tables import table, titled

        spread = None if self.covariance is None else self.std

        def number(at: tuple[int, ...]) -> str:
            value = f"{self.mean[at]:.5g}"
            return value if spread is None else f"{value}, std {spread[at[0]]:.2g}"

        rows = [family_row("mean", self.mean, spread if self.mean.ndim == 1 else None, number)]
        return titled(f"Prediction at {len(self.mean)} inputs", "", table((), rows))

    @property
    def std(self) -> np.ndarray:
        """Standard deviations [M]. Raises TpcError if there is no covariance (TP637)."""
        if self.covariance is None:
            raise refused(catalogue.kernels.no_covariance())
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))


def posterior(kernel: Kernel, x: Any, y: Any, points: Any, *, noise: float = 0.0) -> Prediction:
    """The Gaussian process of covariance `kernel` given values, at `points`.

    y: its values at `x`, observed with noise.

    y: [N] or [N, k], outputs being independent. noise: the variance of what is added to each value, ≥ 0.
    Raises TpcError: arrays that do not fit (TP631, TP633), that are not finite (TP632, TP633), and a kernel
    matrix that is not positive definite (TP634).
    """
    y = targets(y, rows(x, "x"))
    noise = at_least_0(noise, "the noise, a variance,")
    own, cross, there = matrices(kernel, x, points, own=True)
    own[np.diag_indices(len(own))] += noise
    try:
        root = cholesky(own, lower=True)
    except LinAlgError:
        raise refused(catalogue.kernels.not_definite(len(own))) from None
    solved = np.asarray(cho_solve((root, True), cross))  # type: ignore[no-untyped-call]
    return Prediction(solved.T @ y, there - cross.T @ solved)


def matrices(kernel: Kernel, x: Any, points: Any, *, own: bool = False) -> list[np.ndarray]:
    """The kernel of the inputs with each other [N, N], and with the points [N, M], in float64.

    own: and of the points with each other [M, M].
    """
    n, m = rows(x, "x"), rows(points, "points")
    found = []
    for given, shape in (((x,), (n, n)), ((x, points), (n, m)), *([((points,), (m, m))] if own else [])):
        matrix = np.array(kernel(*given), np.float64)
        if matrix.shape != shape:
            raise refused(catalogue.kernels.kernel_shape(matrix.shape, shape))
        if not np.isfinite(matrix).all():
            raise refused(catalogue.kernels.kernel_finite())
        found.append(matrix)
    return found


def targets(y: Any, count: int, what: str = "y") -> np.ndarray:
    """Values as [N] or [N, k] in float64."""
    try:
        out = np.asarray(y, np.float64)
    except (TypeError, ValueError):
        raise refused(catalogue.kernels.values_finite(what)) from None
    if out.ndim not in (1, 2) or len(out) != count:
        raise refused(catalogue.kernels.values_shape(what, count, out.shape))
    if not np.isfinite(out).all():
        raise refused(catalogue.kernels.values_finite(what))
    return out


def rows(x: Any, what: str) -> int:
    """How many inputs there are."""
    try:
        return len(x)
    except TypeError:
        raise refused(catalogue.kernels.not_rows(what)) from None


def at_least_0(value: Any, what: str, *, infinite: bool = False) -> float:
    """A number that may be 0, and, if so said, infinite."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not number >= 0 or (math.isinf(number) and not infinite):
        raise refused(catalogue.kernels.out_of_range(what, value, "a number of at least 0"))
    return number


def refused(what: Diagnostic) -> TpcError:
    return TpcError([what], "tpc.kernels")
