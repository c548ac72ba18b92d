"""TP4 Thm 6.1 with other activations than the one shipped: the limit is an integral over a plane, done here
by hand."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.special import erf

import tpc

TEXT = (Path(__file__).parents[2] / "programs" / "paper" / "thm_6_1.tp").read_text(encoding="utf-8")
CHOICES = {  # φ as a program has it, φ, φ', and how far tpc may be from the integral
    "erf(s/3)": (lambda s: erf(s / 3), lambda s: 2 / (3 * np.sqrt(np.pi)) * np.exp(-s * s / 9), 1e-10),
    "sin(s)": (np.sin, np.cos, 1e-10),
    "s": (lambda s: s, np.ones_like, 1e-12),
    "tanh(s)": (np.tanh, lambda s: 1 / np.cosh(s) ** 2, 1e-10),
}


def outputs(xi, y, phi, slope, width=9.0, points=1201):
    """f_0, f_1, f_2 by the trapezoidal rule, whose error for a smooth integrand that vanishes at the ends is
    below rounding."""
    axis = np.linspace(-width, width, points)
    density = np.exp(-(axis**2) / 2)
    density = density / density.sum()
    u, v = np.meshgrid(axis, axis, indexing="ij")
    weights = np.multiply.outer(density, density)
    f = []
    for t in range(3):
        z = phi(xi[t] * u)
        f.append((weights * v * z).sum())
        u, v = u - (f[t] - y[t]) * xi[t] * v * slope(xi[t] * u), v - (f[t] - y[t]) * z
    return np.array(f)


@pytest.mark.parametrize("choice", CHOICES)
def test_tp4_thm_6_1_for_a_choice_of_phi(choice):
    phi, slope, tolerance = CHOICES[choice]
    text, count = re.subn(r"def φ\(s\) = \S+", f"def φ(s) = {choice}", TEXT)
    assert count == 1
    xi, y = np.array([0.6, -0.5, 0.4]), np.array([0.5, 0.3, -0.2])
    result = tpc.parse(text).compile()({"xi": xi, "y": y, "xi_test": 1.0})
    expected = outputs(xi, y, phi, slope)
    error = np.abs(result["f"].value - expected).max()
    assert error < tolerance, error
    assert np.abs(outputs(xi, y, phi, slope, points=601) - expected).max() < 1e-12


@pytest.mark.parametrize("choice", ["tanh(s)", "sin(s)"])
def test_the_error_of_a_grid_is_claimed_where_it_is_not_small(choice):
    """Inputs of length 1 and of alternating sign make steep functions: tanh is then 1.3e-7 off at t = 2, and
    says 6e-7."""
    phi, slope, _ = CHOICES[choice]
    xi, y = np.array([1.0, -1.0, 1.0]), np.array([0.5, 0.3, -0.2])
    found = tpc.parse(re.sub(r"def φ\(s\) = \S+", f"def φ(s) = {choice}", TEXT)).compile()(
        {"xi": xi, "y": y, "xi_test": 1.0}
    )["f"]
    assert np.all(np.abs(found.value - outputs(xi, y, phi, slope)) < 4 * found.stderr + 1e-13)
    assert found.stderr.max() < 1e-6
