"""Kernels in scikit-learn.

`SVC(kernel=k)` and the like take a kernel as it is; Gaussian processes want an object of their own kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.diagnostics import catalogue
from tpc.kernels.regression import refused

if TYPE_CHECKING:
    Base = object
else:
    try:
        from sklearn.gaussian_process.kernels import Kernel as Base
    except ImportError:
        Base = object


class GaussianProcessKernel(Base):
    """A kernel of tpc as one of scikit-learn's.

    `GaussianProcessRegressor(kernel=GaussianProcessKernel(kernels.nngp))`.

    Inputs are rows; those of images and sequences are flattened, `shape` being what each is shaped to again.
    It has no hyperparameters. Raises ImportError where there is no scikit-learn.
    """

    def __init__(self, kernel: Callable[..., Any], shape: tuple[int, ...] | None = None) -> None:
        if Base is object:
            raise ImportError("tpc.GaussianProcessKernel needs scikit-learn: pip install scikit-learn")
        self.kernel = kernel
        self.shape = shape

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        found = np.asarray(
            self.kernel(self._shaped(X)) if Y is None else self.kernel(self._shaped(X), self._shaped(Y)),
            np.float64,
        )
        return (found, np.empty((*found.shape, 0))) if eval_gradient else found

    def diag(self, X: Any) -> np.ndarray:
        own = getattr(self.kernel, "diagonal", None)
        rows = self._shaped(X)
        return np.asarray(
            own(rows) if own is not None else [self.kernel(row[None])[0, 0] for row in rows], np.float64
        )

    def is_stationary(self) -> bool:
        return False

    def _shaped(self, rows: Any) -> np.ndarray:
        array = np.asarray(rows)
        if self.shape is None:
            return array
        if math.prod(array.shape[1:]) != math.prod(self.shape):
            raise refused(catalogue.kernels.rows_shape(self.shape, math.prod(array.shape[1:])))
        return array.reshape(len(array), *self.shape)
