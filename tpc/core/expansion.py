"""Outputs at width n as expansions in 1/n around their limits: what is meant where one is said to hold."""

from __future__ import annotations

import numpy as np

SHARE = 0.25  # of bias and spread, that is beyond their first order at the width from which this holds
ZERO = 5.0  # standard errors within which a limit is 0
KNOWN = 3.0  # standard errors from 0 that a bias or a variance is, to be what others are compared with
# n·bias and √n·fluctuation as multiples of the limit and of each other: as large as they are taken to be
# possible where nothing is known of them
ASSUMED = 10.0
# what rounding leaves of a zero, relative to the other entries of an output, or to 1 if all are 0
REST = 4e-15
OF_ROOTS = 0.5  # p of means off by powers of n^(-p) that have no expansion in 1/n


def tells_nothing(value: np.ndarray, stderr: np.ndarray, assumed: np.ndarray) -> np.ndarray:
    """Whether a number is not known to be other than 0, nor to be less than what is assumed of it anyway."""
    found: np.ndarray = (np.abs(value) <= KNOWN * stderr) & (stderr > assumed) & np.isfinite(value)
    return found


def size_of(limit: np.ndarray, stderr: np.ndarray) -> np.ndarray:
    """The sizes of a limit's entries; of those that are 0 within their errors the largest one's, or 1."""
    own = np.where(np.abs(limit) > ZERO * stderr, np.abs(limit), 0)
    return np.where(own > 0, own, float(np.max(own, initial=0)) or 1.0)
