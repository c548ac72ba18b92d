"""Training in the kernel regime.

What a wide net predicts after some time of gradient flow, or some steps of gradient descent, on squared loss.

On L = (1/N) Σ (f(x_i) − y_i)²/2 the outputs follow df/dt = −(η/N) Θ(·, X)(f(X) − y), Θ the NTK (TP4 Sec 3;
Lee et al. 2019), so that f_t(x) = f_0(x) + Θ(x, X) g(Θ) (y − f_0(X)) with g(λ) = (1 − e^{−ηλt/N})/λ, and (1 −
(1 − ηλ/N)^t)/λ for t steps. f_0 is a Gaussian process of
covariance the NNGP kernel: the prediction's mean and covariance are over it, unless it is given.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.linalg import eigh

from tpc.diagnostics import catalogue
from tpc.kernels.regression import Kernel, Prediction, at_least_0, matrices, refused, rows, targets

RANK = 1e-12  # relative size below which an eigenvalue is 0: its direction is not learned


def after_flow(
    ntk: Kernel,
    nngp: Kernel,
    x: Any,
    y: Any,
    points: Any,
    *,
    time: float,
    rate: float = 1.0,
    initial: tuple[Any, Any] | None = None,
) -> Prediction:
    """The prediction at `points` after gradient flow for `time` (`math.inf` for its end).

    rate: the learning rate η.

    y: [N] or [N, k]. initial: f_0 at `x` and at `points`, in the shapes of y; the prediction then has no
    covariance. Raises TpcError: arrays that do not fit or are not finite (TP631 to TP634), a time or rate
    below 0 (TP635).
    """
    time, rate = at_least_0(time, "the time", infinite=True), at_least_0(rate, "the rate")
    pace = 0.0 if not (time and rate and rows(x, "x")) else time * rate / len(x)

    def learned(eigenvalues: np.ndarray) -> np.ndarray:
        return np.asarray(-np.expm1(-pace * eigenvalues))

    return _predicted(ntk, nngp, x, y, points, learned, pace, initial)


def after_steps(
    ntk: Kernel,
    nngp: Kernel,
    x: Any,
    y: Any,
    points: Any,
    *,
    steps: int,
    rate: float,
    initial: tuple[Any, Any] | None = None,
) -> Prediction:
    """The same after so many steps of full-batch gradient descent.

    Raises TpcError also for a rate at which it diverges (TP636).
    """
    if at_least_0(steps, "the number of steps") != int(steps):
        raise refused(catalogue.kernels.out_of_range("the number of steps", steps, "a whole number"))
    rate = at_least_0(rate, "the rate")
    pace = rate / max(1, rows(x, "x"))

    def learned(eigenvalues: np.ndarray) -> np.ndarray:
        greatest = float(eigenvalues.max(initial=0.0))
        if pace * greatest > 2:
            raise refused(catalogue.kernels.unstable_rate(rate, 2 * len(x) / greatest))
        return np.asarray(1 - (1 - pace * eigenvalues) ** steps)

    return _predicted(ntk, nngp, x, y, points, learned, pace * steps, initial)


def _predicted(
    ntk: Kernel,
    nngp: Kernel,
    x: Any,
    y: Any,
    points: Any,
    learned: Any,
    slope: float,
    initial: tuple[Any, Any] | None,
) -> Prediction:
    """learned: how much of a direction is, by its eigenvalue λ; slope: the limit of learned(λ)/λ as λ → 0."""
    y = targets(y, rows(x, "x"))
    own, cross = matrices(ntk, x, points)
    eigenvalues, directions = eigh((own + own.T) / 2)
    least = RANK * max(float(eigenvalues.max(initial=0.0)), 0.0)
    if float(eigenvalues.min(initial=0.0)) < -1e4 * least:
        raise refused(catalogue.kernels.not_semidefinite())
    real = eigenvalues > least
    share = np.full(len(eigenvalues), 0.0 if math.isinf(slope) else slope)
    share[real] = learned(eigenvalues[real]) / eigenvalues[real]
    weights = (cross.T @ directions) * share @ directions.T  # Θ(x, X) g(Θ), [M, N]
    if initial is not None:
        at_inputs, at_points = (
            targets(initial[0], len(x), "f_0 at x"),
            targets(initial[1], len(points), "f_0 at the points"),
        )
        if at_inputs.shape != y.shape or at_points.shape[1:] != y.shape[1:]:
            raise refused(catalogue.kernels.initial_shape(at_inputs.shape, at_points.shape, y.shape))
        return Prediction(at_points + weights @ (y - at_inputs))
    before, mixed, there = matrices(nngp, x, points, own=True)
    half = weights @ mixed
    return Prediction(weights @ y, there - half - half.T + weights @ before @ weights.T)
