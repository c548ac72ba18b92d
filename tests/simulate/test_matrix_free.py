"""Matrices that are not drawn: every product is that of one matrix, and this has the law of those that are
drawn."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import tpc
from tests.simulate.plain import run_plainly
from tests.simulate.programs import PROGRAMS
from tpc.simulate import machine
from tpc.simulate.initialisation import draw, laws, undrawn_keys, widths
from tpc.simulate.machine import Machine
from tpc.simulate.matrix_free import Asked, capacities, met_by, unasked
from tpc.simulate.standing import Bindings

WISHART = """
width n
width m = 2*n
matrix A : n x m ~ N(0, 1/m)
matrix B : n x n ~ N(0, 1/n)
vector v : n ~ N(0, 1)
vector w : m ~ N(0, 1)
x[0] = v
for k < 3:
    x[k+1] = B.T @ (B @ x[k])
y = A @ w
output b[k] = mean(v*x[k+1]) for k < 3
output a = mean(y*(A @ (A.T @ y)))
"""


def asked(program, inputs, width, seed):
    """A run without matrices: its outputs, its vectors, and the matrices that it was of.

    What a matrix was not asked is 0.
    """
    sizes = widths(program, inputs, width)
    law, names = laws(program, inputs, sizes), [m.name for m in program.matrices]
    known, start = {}, {}
    for name, (matrix, key) in undrawn_keys(program, seed, names).items():
        sigma = law.deviations[name] * sizes[matrix.columns] ** 0.5
        known[name] = Asked(matrix, sigma, sizes[matrix.rows], sizes[matrix.columns], 1e-12)
        start |= unasked(key, matrix, capacities(program, sizes, names), sizes, jnp.float64)
    own = Machine(sizes, known, {f.name: f for f in program.families}, jnp.float64)

    def run(inputs, start):
        _, vectors = draw(program, sizes, law, seed, jnp.float64, names)
        env = own.run(program.body, {**inputs, **vectors, **start}, Bindings())
        return (
            {o.name: own.output(o, env) for o in program.outputs},
            vectors,
            {side: env[side] for side in start},
        )

    outputs, vectors, met = jax.jit(run)(inputs, start)
    matrices = {
        name: completed(a, *(met[met_by(name, t)] for t in (False, True))) for name, a in known.items()
    }
    return outputs, {**vectors, **matrices}


def completed(known, near, far):
    """The matrix [*axes, rows, columns] that sends p to a and whose transpose sends q to c."""
    axes, ratio = known.sigma.shape, known.rows / known.columns
    p, a = parts(near, axes, known.columns, known.rows)
    q, c = parts(far, axes, known.rows, known.columns)
    beyond = c - c @ np.swapaxes(p, -1, -2) @ p / known.columns
    entries = np.swapaxes(a, -1, -2) @ p + np.swapaxes(q, -1, -2) @ beyond / ratio**0.5
    return known.sigma[..., None, None] * entries / known.columns


def parts(chain, axes, into, out):
    if not chain:
        return np.zeros((*axes, 0, into)), np.zeros((*axes, 0, out))
    p, g = (np.concatenate([np.asarray(b) for b in blocks], axis=-2) for blocks in chain[0][:2])
    return p, g * (np.arange(p.shape[-2]) < np.asarray(chain[0].count)[..., None])[..., None]


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("width", [2, 20])
@pytest.mark.parametrize("how", ["as it is", "all loops in rounds"])
def test_every_product_is_that_of_one_matrix(name, width, how, monkeypatch):
    """Families, both sides, two widths, triangular loops; and at width 2 more products than directions."""
    if how != "as it is":
        monkeypatch.setattr(machine, "is_parallel", lambda loop, outer: False)
    text, inputs = PROGRAMS[name]
    program = tpc.parse(text)
    with jax.enable_x64(True):
        outputs, matrices = asked(program, inputs, width, 1)
    plain = run_plainly(program, inputs, matrices)
    for output, value in plain.items():
        np.testing.assert_allclose(outputs[output], value, rtol=1e-9, atol=1e-10, err_msg=output)
