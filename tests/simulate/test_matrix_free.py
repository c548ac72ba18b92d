"""Matrices that are not drawn: every product is that of one matrix, and this has the law of those that are
drawn."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import tpc
from tests.simulate.plain import run_plainly
from tests.simulate.programs import PROGRAMS
from tpc.cli.main import main
from tpc.simulate import machine
from tpc.simulate.initialisation import draw, laws, undrawn_keys, widths
from tpc.simulate.machine import Machine
from tpc.simulate.matrix_free import Asked, capacities, met_by, unasked
from tpc.simulate.standing import Bindings

SQUARE = """
width n
matrix A : n x n ~ N(0, 1/n)
vector v : n ~ N(0, 1)
x[0] = v
for k < 3:
    x[k+1] = A.T @ (A @ x[k])
output m[k] = mean(v*x[k+1]) for k < 3
"""
# learning by two layers of different width, one of them from both sides and twice a round
NET = """
width n
width m = n/2
dim T = 3
matrix W : n x m ~ N(0, 2/m)
matrix B : n x n ~ N(0, 1/n)
vector u : m ~ N(0, 1)
vector v : n ~ N(0, 1)
x[0] = tanh(u)
c[0] = mean(u^2)
for t < T:
    h[t] = W @ x[t]
    y[t] = tanh(B @ tanh(h[t]))
    c[t+1] = mean(v*y[t])
    d[t] = (B.T @ (v*(1 - y[t]^2)))*(1 - tanh(h[t])^2)
    x[t+1] = tanh(x[t] - c[t+1]*(W.T @ d[t]))
output c
output e = mean(x[T]^2)
output k = n^(1/2)*mean(v*y[0])
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


@pytest.mark.parametrize(
    ("name", "width", "how"),
    [
        ("two_hidden_layers", 20, "as it is"),
        ("everything", 2, "as it is"),
        ("everything", 20, "all loops in rounds"),
    ],
)
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
        np.testing.assert_allclose(outputs[output], value, rtol=1e-12, atol=1e-13, err_msg=output)


@pytest.mark.parametrize("width", [2, 7])
def test_moments_of_narrow_matrices_are_exact(width):
    """E tr (AᵀA)^k / n = 1, 2 + 1/n, 5 + 6/n + 4/n²: where three products from each side are more than there
    are directions, too."""
    n, seeds = width, 4000
    found = tpc.parse(SQUARE).simulate(width=n, seeds=seeds, matrices="free").outputs["m"]
    exact = np.array([1, 2 + 1 / n, 5 + 6 / n + 4 / n**2])
    assert np.all(np.abs(found.mean(axis=0) - exact) < 4 * found.std(axis=0) / seeds**0.5)


def test_the_law_is_that_of_drawn_matrices():
    """Every output of a training at width 6 and 3, where weights are asked more than they have directions."""
    program, seeds = tpc.parse(NET), 3000
    free, dense = (
        program.simulate(width=6, seeds=seeds, matrices=kind).outputs for kind in ("free", "dense")
    )
    for name in free:
        one, other = (outputs[name].reshape(seeds, -1) for outputs in (free, dense))
        assert not np.array_equal(one, other)
        for a, b in zip(one.T, other.T, strict=True):
            assert stats.ks_2samp(a, b).pvalue > 1e-4, name


def test_a_seed_gives_the_same_bits_in_any_company():
    program = tpc.parse(NET)
    together = program.simulate(width=20, seeds=range(30), matrices="free").outputs
    for name, value in program.simulate(width=20, seeds=[29, 3], matrices="free").outputs.items():
        assert np.array_equal(value, together[name][[29, 3]])


def test_huge_and_tiny_vectors():
    """Squares of 1e-30 are 0 in single precision, and those of 1e30 infinite."""
    program = tpc.parse(
        "width n\ninput s\nmatrix A : n x n ~ N(0, 1/n)\nvector v : n ~ N(0, 1)\nx = A @ (s*v)\n"
        "output a = mean(tanh(x/s)*tanh((A.T @ x)/s))\n"
    )
    one, *others = (
        program.simulate({"s": s}, width=30, seeds=3, dtype="float32", matrices="free").outputs["a"]
        for s in (1.0, 2.0**-100, 2.0**100)
    )
    for other in others:
        np.testing.assert_allclose(other, one, rtol=2e-6)  # 16 roundings of single precision


def test_what_is_faster_is_taken():
    """By matrix: a wide one is not drawn, unless it is asked for more directions than it has."""
    program = tpc.parse(
        "width n\nwidth m = 1/1000*n\nmatrix A : n x n ~ N(0, 1/n)\nmatrix B : m x m ~ N(0, 1/m)\n"
        "vector v : n ~ N(0, 1)\nvector u : m ~ N(0, 1)\ny[0] = u\nfor t < 50:\n    y[t+1] = tanh(B @ y[t])\n"
        "output a = mean(v*(A @ v))\noutput b = mean(y[50]^2)\n"
    )
    samples = program.simulate(width=10000, seeds=2)
    assert samples.matrices == {"A": "free", "B": "dense"}
    assert "not drawn, exact in law, with the directions that are asked: A (1 + 0)" in str(samples)
    assert set(program.simulate(width=1000, seeds=1, matrices="dense").matrices.values()) == {"dense"}
    with pytest.raises(ValueError, match="matrices must be auto, dense or free"):
        program.simulate(width=1000, seeds=1, matrices="sparse")


def test_from_the_command_line(tmp_path, capsys):
    path, saved = tmp_path / "net.tp", tmp_path / "run.npz"
    path.write_text(NET, encoding="utf-8")
    arguments = ["simulate", str(path), "--width", "16", "--seeds", "2", "--save", str(saved)]
    assert main([*arguments, "--matrices", "free", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["matrices"] == {"W": "free", "B": "free"}
    assert main([*arguments, "--matrices", "dense"]) == 2
    assert "another run" in capsys.readouterr().err
    assert main(["simulate", str(path), "--width", str(10**11), "--matrices", "free"]) == 2
    assert "error[TP604]" in capsys.readouterr().err
