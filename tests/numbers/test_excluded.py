"""Derivatives through branches that are excluded and roots of what stays at 0: of emitted code, and of
training.

Every function in one of its forms in the suite, in all of them with `TPC_DERIVATIVES=all
pytest tests/numbers/test_excluded.py`.
"""

import os
import types
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tests.values import values_only

STEP, AT = 1e-5, 1.3
BASES = ("y*v", "v - y", "y - v^2/2")
LOCAL = (
    "sqrt({})",
    "log({})",
    "1/{}",
    "({})^(-1/2)",
    "({})^(3/2)",
    "({})^y",
    "v*sqrt({})/(1 + {})",
    "exp(1/{} - 900*{})",
)
FORMS = (
    "where({b} > 1/8, {f}, v)",
    "where({b} <= 1/8, y^2, {f})",
    "where({n} < -1/8, where(v < 1, {f}, y*v), 0)",
    "max(where({b} > 1/8, {f}, y), v)",
)
RESTING = (
    "sqrt(relu({}))",
    "relu({})^(1/3)",
    "min(sqrt(max({}, 0)), 2*y)",
    "sqrt(where({} > 0, v^2*y, 0))",
    "abs(min({}, 0))^(1/2)",
    "sqrt(relu({})*v^2)",
)


def expressions():
    """Functions of a vector v and an input y, which have derivatives in y at almost all v."""
    cases = list(product(BASES, LOCAL, FORMS))
    for base, local, form in (
        cases if os.environ.get("TPC_DERIVATIVES") == "all" else cases[:: len(FORMS) + 1]
    ):
        yield form.format(b=f"({base})", n=f"-({base})", f=local.replace("{}", f"({base})"))
    for base, form in product(BASES, RESTING):
        yield form.replace("{}", f"({base})")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("lines", [False, True])
def test_emitted_code_has_the_derivatives_of_its_numbers(dtype, lines):
    """lines: what stays at 0, or is not defined everywhere, is a vector of its own."""
    every, head = list(expressions()), list[str]()
    if lines:
        every = [
            x
            for k, base in enumerate(BASES)
            for x in (
                f"sqrt(r{k})",
                f"where({base} > 0, v*s{k} + l{k}, y)",
                f"where({base} <= 0, y, 1/(1 + s{k}))",
            )
        ]
        head = [
            line
            for k, base in enumerate(BASES)
            for line in (f"r{k} = relu({base})", f"s{k} = sqrt({base})", f"l{k} = (v + 1)*log({base})")
        ]
    text = "\n".join(
        [
            "width n",
            f"input y = {AT}",
            "vector v : n ~ N(0, 1)",
            *head,
            *(f"output k{i} = mean({x})" for i, x in enumerate(every)),
        ]
    )
    made = types.ModuleType("limit")
    jax.config.update("jax_enable_x64", True)
    exec(tpc.parse(text).compile(samples=128, repeats=2, dtype=dtype, method="nodes").source, made.__dict__)
    points, weights = made.draw(0, 0)

    def values(y, kind=dtype):
        out, _ = made.limit({"y": y}, jnp.asarray(points, kind), jnp.asarray(weights, kind))
        return jnp.stack([out[f"k{i}"] for i in range(len(every))])

    at = jnp.asarray(AT, dtype)
    backwards, forwards = jax.jit(jax.jacrev(values))(at), jax.jit(jax.jacfwd(values))(at)
    shifted = [jax.jit(lambda y: values(y, "float64"))(AT + step) for step in (-STEP, STEP)]
    difference = (shifted[1] - shifted[0]) / (2 * STEP)
    room = {"float64": 1e-5, "float32": 2e-4}[dtype]
    for slopes in (backwards, forwards):
        bad = [
            (every[i], float(slopes[i]), float(difference[i]))
            for i in range(len(every))
            if not abs(slopes[i] - difference[i]) <= room * (1 + abs(difference[i]))
        ]
        assert not bad


def test_the_example_of_a_root_in_a_branch():
    program = tpc.parse(
        "width n\ninput y = 1\nvector v : n ~ N(0, 1)\noutput k = mean(where(y*v > 0, sqrt(y*v), 0))\n"
    )
    k = program.compile(samples=256, repeats=2).function("k")
    value, slope = jax.value_and_grad(lambda y: k({"y": y}))(1.0)
    np.testing.assert_allclose(slope, value / 2, rtol=1e-12)


NET = """
width n
input x = 1, y[2] = 1
weight U : n x 1
weight V : 1 x n
network f(ξ){body}
train f for t < 2:
    batch (x, y[t])
    loss mse
    update sgd(lr = 0.1)
output loss
"""
BODIES = (
    " = V @ sqrt(relu(U @ ξ))",
    " = V @ max(U @ ξ, 0)^(1/2)",
    ":\n    r = relu(U @ ξ)\n    s = 2*r\n    return V @ (s/2)^(1/2)",
    " = V @ φ(U @ ξ)\ndef φ(s) = sqrt(relu(s))",
    " = V @ where(U @ ξ > 0, sqrt(U @ ξ), 0)",
)


def test_training_through_a_root_that_stays_at_0():
    """All ways to write it give one loss."""
    losses = [
        values_only(tpc.parse(NET.replace("{body}", body)).compile(samples=512, repeats=2))()["loss"].value
        for body in BODIES
    ]
    for loss in losses:
        np.testing.assert_allclose(loss, losses[0], rtol=1e-9)
