"""Expectations over a Gaussian, by Gauss and Hermite's rule."""

import numpy as np

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(120)


def expectation(*functions, scale=1.0):
    """E of a product of functions of one Gaussian of this standard deviation."""
    values = np.prod([f(scale * NODES) for f in functions], axis=0)
    return float(values @ WEIGHTS / WEIGHTS.sum())
