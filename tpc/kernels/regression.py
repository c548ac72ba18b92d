"""Regression with a kernel: the ridge estimate, and the posterior of a Gaussian process, of which it is the mean (TP1; Lee et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky

Kernel = Callable[..., Any]                            # kernel(x, z) is [N, M], kernel(x) is kernel(x, x)


@dataclass(frozen=True)
class Prediction:
    """mean: [M], or [M, k] for k outputs. covariance: [M, M], of each output; None if the prediction is not a Gaussian process's."""

    mean: np.ndarray
    covariance: np.ndarray | None = None

    @property
    def std(self) -> np.ndarray:
        """Standard deviations [M]. Raises ValueError if there is no covariance."""
        if self.covariance is None:
            raise ValueError("the prediction has no covariance")
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))


def posterior(kernel: Kernel, x: Any, y: Any, points: Any, *, noise: float = 0.0) -> Prediction:
    """The Gaussian process of covariance `kernel` given its values `y` at `x`, observed with noise, at `points`.

    y: [N] or [N, k], outputs being independent. noise: the variance of what is added to each value, ≥ 0. Raises ValueError: arrays that do not fit,
    that are not finite, and a kernel matrix that is not positive definite.
    """
    y = targets(y, len(x))
    if not noise >= 0:
        raise ValueError(f"noise is a variance, at least 0, not {noise}")
    own, cross, there = matrices(kernel, x, points)
    own[np.diag_indices(len(own))] += noise
    try:
        root = cholesky(own, lower=True)
    except LinAlgError:
        raise ValueError(f"the kernel matrix of the {len(own)} inputs is not positive definite: are two of them equal, or are there more than the "
                         "kernel tells apart? A little noise helps, such as a millionth of the matrix's entries") from None
    solved = np.asarray(cho_solve((root, True), cross))  # type: ignore[no-untyped-call]
    return Prediction(solved.T @ y, there - cross.T @ solved)


def matrices(kernel: Kernel, x: Any, points: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The kernel of the inputs with each other [N, N], with the points [N, M], and of these with each other [M, M], in float64."""
    found = tuple(np.array(k, np.float64) for k in (kernel(x), kernel(x, points), kernel(points)))
    n, m = len(x), len(points)
    for matrix, shape in zip(found, ((n, n), (n, m), (m, m)), strict=True):
        if matrix.shape != shape:
            raise ValueError(f"the kernel gives an array of shape {matrix.shape} where one of {shape} is due: one number for each pair of inputs")
        if not np.isfinite(matrix).all():
            raise ValueError("the kernel has values that are not finite")
    return found[0], found[1], found[2]


def targets(y: Any, count: int) -> np.ndarray:
    """Values as [N] or [N, k] in float64."""
    out = np.asarray(y, np.float64)
    if out.ndim not in (1, 2) or len(out) != count:
        raise ValueError(f"there are {count} inputs, and values of shape {out.shape}: one value, or one row of values, is due for each input")
    if not np.isfinite(out).all():
        raise ValueError("there are values that are not finite")
    return out
