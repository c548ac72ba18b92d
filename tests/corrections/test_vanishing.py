"""Outputs of which the linear term is 0 in the limit, though not on finitely many points."""

from __future__ import annotations

import os
from random import Random

import numpy as np
import pytest

import tpc
from tests.corrections.expectations import expectation

COUNT = int(os.environ.get("TPC_VANISHING", "10"))
# odd functions of a Gaussian, of mean 0
ODD = {"x": lambda x: x, "tanh(2*x)": lambda x: np.tanh(2 * x), "sin(x)": np.sin, "x^3": lambda x: x**3}
VECTORS = ("u", "v", "w")
# factors that do not vanish, with their limits
OTHERS = {"1": 1.0, "(3 - mean(u^2))": 2.0, "exp(mean(cos(v)))": np.exp(np.exp(-0.5)), "20": 20.0}


def factor(rng):
    """A mean that tends to 0: as text, and the function of the vector that it is of."""
    vector, name = rng.choice(VECTORS), rng.choice(sorted(ODD))
    return f"mean({name.replace('x', vector)})", (vector, ODD[name])


def product(rng):
    """Two or three such means multiplied, and a constant, the limit, added: text, bias and size."""
    parts = [factor(rng) for _ in range(rng.choice((2, 2, 3)))]
    other, constant = rng.choice(sorted(OTHERS)), rng.choice((0, 0, 7))
    functions = [f for _, (_, f) in parts]
    alike = len(parts) == 2 and parts[0][1][0] == parts[1][1][0]
    bias = OTHERS[other] * expectation(*functions) if alike else 0.0
    size = OTHERS[other] * np.prod([expectation(f, f) ** 0.5 for f in functions])
    return f"{constant} + {other}*" + "*".join(text for text, _ in parts), bias, size


def program(seed):
    rng = Random(f"vanishing {seed}")
    outputs = [product(rng) for _ in range(COUNT)]
    lines = ["width n", *(f"vector {name} : n ~ N(0, 1)" for name in VECTORS)]
    lines += [f"output q{k} = {text}" for k, (text, _, _) in enumerate(outputs)]
    return "\n".join([*lines, ""]), outputs


@pytest.mark.parametrize("seed", [0, 1])
def test_products_of_what_vanishes(seed):
    """Their spread is of order 1/n, so the fluctuation is 0: in all errors, and none is claimed too small."""
    text, outputs = program(seed)
    found = tpc.parse(text).corrections(method="nodes", seed=seed, covariances=True)
    for k, (formula, bias, size) in enumerate(outputs):
        own = found[f"q{k}"]
        assert abs(own.variance) < 4 * own.variance_stderr, formula
        assert own.fluctuation < 4 * own.fluctuation_stderr, formula
        assert abs(own.bias - bias) < 4 * own.bias_stderr + 1e-12, formula
        assert own.fluctuation_stderr < 0.02 * size, formula
        table = found.covariances[f"q{k}", f"q{k}"]
        np.testing.assert_allclose(table, own.variance, rtol=1e-9)


EXACT = """
width n
vector u : n ~ N(0, 1)
vector v : n ~ N(0, 1)
matrix W : n x n ~ N(0, 1/n)
y = W @ u
output zero = mean(v)^2
output third = mean(v)^3
output both = mean(y*v)*mean(u)
output total = mean(v) + 30*mean(v)*mean(tanh(u))
output same = 3 + 0*mean(tanh(u))
"""


def test_zero_to_rounding_is_told_as_zero():
    found = tpc.parse(EXACT).corrections(method="nodes")
    assert found["zero"].variance == 0
    assert found["zero"].variance_stderr < 1e-20
    assert abs(found["zero"].bias - 1) < 1e-12
    assert found["third"].fluctuation < 4 * found["third"].fluctuation_stderr < 1e-4
    assert abs(found["both"].variance) < 4 * found["both"].variance_stderr
    assert abs(found["total"].variance - 1) < 4 * found["total"].variance_stderr < 0.1
    assert (found["same"].variance, found["same"].variance_stderr, found["same"].bias) == (0, 0, 0)
    assert "zero = 0, n·bias 1, √n·fluctuation 0" in " ".join(str(found).split())
