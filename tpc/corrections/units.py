"""Outputs in units of their own: squares of what is tiny or huge are beyond the range of floats."""

from __future__ import annotations

import numpy as np

# standard errors of a variance, as far as the error of its root reaches in as many of its own
REACHES = (-3, -2, -1, 1, 2, 3)


def unit_of(sizes: np.ndarray) -> np.ndarray:
    """Powers of two as large as numbers that are not negative, which divide without an error."""
    _, exponents = np.frexp(sizes)
    there = np.isfinite(sizes) & (sizes > 0)
    found: np.ndarray = np.where(there, np.ldexp(1.0, np.where(there, exponents - 1, 0)), 1.0)
    return found


def root_of(variance: np.ndarray, stderr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The root of a variance, and its error."""
    own = np.sqrt(np.maximum(variance, 0))
    ends = [np.abs(np.sqrt(np.maximum(variance + k * stderr, 0)) - own) / abs(k) for k in REACHES]
    return own, np.maximum.reduce(ends)
