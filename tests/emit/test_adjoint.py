"""On every sample of points Wᵀ is the transpose of W, ⟨y, Wx⟩ = ⟨Wᵀy, x⟩, to rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tests.derive.random_programs import JUMPS, SMOOTH, random_program
from tpc.emit.helpers import bases, batches

INPUTS = {"c": np.array([0.7, -0.4, 0.9])}
PAIRS = """p1 = A @ tanh(z[T])
p2 = A.T @ tanh(x[T])
output a = mean(p1*tanh(x[T]))
output a_adjoint = mean(p2*tanh(z[T]))
p3 = B @ tanh(x[T])
p4 = B.T @ tanh(x[1])
output b = mean(p3*tanh(x[1]))
output b_adjoint = mean(p4*tanh(x[T]))
"""
SAMPLES, RATIO = 512, 0.5


def test_the_transpose_is_the_adjoint_in_a_random_program():
    """Two widths, loops in loops, jumps; few points, so that inner products are off by a few hundredths.

    What is multiplied is less than 1 everywhere, and so are the norms of the products.
    """
    seed = 2004
    program = tpc.parse(random_program(seed, JUMPS + SMOOTH) + PAIRS)
    with jax.enable_x64(True):
        module = program.compile(method="nodes", samples=SAMPLES, repeats=2).module
        done = module.evaluations(INPUTS, lambda k: module.draw(seed, k), 2)
    ratio = {"a": RATIO, "b": 1}
    # in float64, which is float32 where JAX computes with it now
    found = [{name: np.asarray(value) for name, value in outputs.items()} for outputs, _ in done]
    for name, rho in ratio.items():
        for outputs in found:
            assert abs(rho * outputs[name] - outputs[f"{name}_adjoint"]) < 1e-14
        assert np.ptp([outputs[name] for outputs in found]) > 1e-9


@pytest.mark.parametrize("batch", [None, 3])
def test_all_products_with_one_matrix_fit_together(batch):
    """Products from both sides in turn, of functions of what came before, by points of two sizes, until every
    direction of the smaller side is met: then there is nothing by chance any more."""
    rows, columns, random = 10, 14, np.random.default_rng(0)
    root = (rows / columns) ** 0.5
    of_rows, of_columns = jnp.full(rows, 1 / rows), jnp.full(columns, 1 / columns)
    product = bases.multiply if batch is None else batches.multiply_all
    with jax.enable_x64(True):
        near, far = (
            (bases.basis(jnp.asarray(random.standard_normal((20, out))), size=size),)
            for out, size in ((rows, columns), (columns, rows))
        )
        forwards = jax.jit(lambda *a: product(*a, 0.8, 1 / root, of_columns, 1e-10, of_rows))
        backwards = jax.jit(lambda *a: product(*a, 0.8 * root, root, of_rows, 1e-10, of_columns))
        shape = (columns,) if batch is None else (batch, columns)
        x, pairs = jnp.asarray(random.standard_normal(shape)), []
        for turn in range(16):
            y, near = forwards(near, far, x)
            z = jnp.tanh(2 * y + turn)
            u, far = backwards(far, near, z)
            pairs.append([jnp.atleast_2d(a) for a in (x, y, z, u)])
            x = jnp.sin(3 * u) + x
    x, y, z, u = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    np.testing.assert_allclose(root**2 * (z * of_rows) @ y.T, (u * of_columns) @ x.T, atol=1e-12)
    assert int(far[0].count) == rows
