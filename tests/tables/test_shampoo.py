"""Shampoo: exact values, points against eigendecompositions, finite width by its definition on matrices."""

from __future__ import annotations

import random
import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tests.tables import finite
from tests.tables.finite import Chosen, Step
from tests.tables.test_muon import PROGRAMS, dependent, linear
from tests.tables.test_optimizers import TEXT, check_by_definition
from tests.values import values_only
from tpc.core.expr import ZERO
from tpc.core.spectral import SpectralMap, mapped
from tpc.emit.helpers import preconditioners
from tpc.simulate.one_by_one import one_by_one
from tpc.simulate.seeds import draws


def power(matrix: np.ndarray, eps: float, p: float) -> np.ndarray:
    """(ε + L)^(−p) by the eigendecomposition of a matrix, 0 where it is below 0."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * (eps + np.maximum(values, 0)) ** -p) @ vectors.T)


# exact values


def test_batches_of_two_dimensions_in_a_linear_net() -> None:
    """By coefficients on Gaussians, as Ω = (ε + C S_A)^(−1/4) D ((ε + E S_X)^(−1/4))ᵀ, written by hand."""
    xi = [[[1, 0], [0.5, 1]], [[0, 1], [1, -1]], [[1, 0], [0.5, 1]]]
    update = "shampoo(lr = 0.1, eps = 1e-2)\n    update sgd(lr = 0.2) otherwise"
    found = linear(update, xi, [[1, -1], [0.5, 1], [1, -1]])
    wanted = [
        [0.14402254531628125, -0.2880450906325625],
        [0.32430935411232586, -0.2161753178065513],
        [0.3874355706818581, -0.4891617952694341],
    ]
    np.testing.assert_allclose(found[1:], wanted, rtol=1e-13)


@pytest.mark.parametrize("beta", [None, 0.9])
def test_one_input_makes_it_adagrad_or_an_average_of_squares(beta: float | None) -> None:
    """Of W alone all gradients are χ v⊗u, and f moves by −η χ/√(ε + Σ χ²), or the average in its place."""
    y, text = [1.0, -1.0, 1.0, 1.0], (PROGRAMS / "shampoo_linear.tp").read_text(encoding="utf-8")
    text = text if beta is None else text.replace("eps = 0.01", f"eps = 0.01, beta = {beta}")
    found = values_only(tpc.parse(text).compile())({"y": y})["g"].value
    f, total, wanted = 0.0, 0.0, [0.0]
    for t, label in enumerate(y):
        chi = f - label
        total = total + chi**2 if beta is None else beta * total + (1 - beta) * chi**2
        f -= 0.1 * chi / np.sqrt(0.01 + total / (1 if beta is None else 1 - beta ** (t + 1)))
        wanted.append(f)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert all(f"{value:.12f}" in text for value in found[1:]) or beta


def test_two_vectors_of_known_angles() -> None:
    """Ω of S_A = [[1, r], [r, 1]], S_B = [[1, q], [q, 1]] for ε → 0, and at any ε."""
    r, q = 0.3, -0.5
    rows, columns = (np.array([[1, x], [x, 1]]) for x in (r, q))
    with jax.enable_x64(True):
        for eps in (1e-12, 0.1):
            squares = (1 + r) * (1 + q), (1 - r) * (1 - q)
            found = preconditioners.preconditioned_in_factors(
                jnp.eye(2), columns, rows, rows, columns, eps, 1 / 4
            )
            a, b = ((eps + square) ** -0.5 for square in squares)
            wanted = np.array([[a + b, a - b], [a - b, a + b]]) / 2
            np.testing.assert_allclose(found, wanted, rtol=1e-11)
            if eps < 1e-9:
                np.testing.assert_allclose(found[0], [1.1081237094, 0.1322236365], rtol=0, atol=6e-11)


def test_its_first_step_is_the_polar_factor_as_eps_vanishes() -> None:
    lines = {
        "shampoo": "update shampoo(lr = 0.3, eps = 1e-13)",
        "muon": "update muon(lr = 0.3, steps = exact)",
    }
    rng = np.random.default_rng(1)
    given = {"xi": rng.normal(size=(1, 3, 2)), "y": rng.normal(size=(1, 3)), "xs": rng.normal(size=(2, 2))}
    found = {}
    for name, line in lines.items():
        text = TEXT.format(steps=1, updates=f"{line}\n    update adam(lr = 0.1) otherwise")
        found[name] = values_only(tpc.parse(text).compile(samples=512, repeats=2))(given)["g"].value
    np.testing.assert_allclose(found["shampoo"], found["muon"], rtol=1e-9)


# tables in factors and dense ones


@pytest.mark.parametrize(("eps", "p"), [(1e-6, 1 / 4), (1e-2, 1 / 2), (0.1, 3 / 2), (3.0, 1 / 4)])
@pytest.mark.parametrize("degenerate", [False, True])
def test_functions_in_factors_are_those_of_the_matrix(eps: float, p: float, degenerate: bool) -> None:
    (rows, columns, own), n, m = dependent(degenerate), 30, 40
    rng = np.random.default_rng(1)
    matrix = rows.T @ own @ columns / np.sqrt(n * m)
    with jax.enable_x64(True):
        of_rows, of_columns = rows @ rows.T / n, columns @ columns.T / m
        left = preconditioners.gram_in_factors(own, of_columns)
        right = preconditioners.gram_in_factors(own.T, of_rows)
        np.testing.assert_allclose(rows.T @ left @ rows / n, matrix @ matrix.T, atol=1e-12)
        other = rng.normal(size=(5, 5))  # neither symmetric nor nowhere below 0
        for near in (np.asarray(left), other):
            found = preconditioners.preconditioned_in_factors(own, near, right, of_rows, of_columns, eps, p)
            operator = rows.T @ near @ rows / n
            wanted = power(operator, eps, p) @ matrix @ power(matrix.T @ matrix, eps, p)
            error = rows.T @ found @ columns / np.sqrt(n * m) - wanted
            least = 1e-10 * np.abs(wanted).max()
            assert np.abs(error).max() < least
            dense = preconditioners.preconditioned(
                matrix * np.sqrt(n * m),
                operator * n,
                matrix.T @ matrix * m,
                np.full(n, 1 / n),
                np.full(m, 1 / m),
                eps,
                p,
            )
            assert np.abs(dense / np.sqrt(n * m) - wanted).max() < least


def test_slopes_where_eigenvalues_meet() -> None:
    """Against differences: of an array of rank 2 of 4 vectors, of which two are one; both kinds of tables."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(4, 9))
    x[3] = x[2]
    factor, moves = rng.normal(size=(4, 2)), (rng.normal(size=(4, 2)), rng.normal(size=(4, 9)))

    def operator(s: Any, eps: Any, power: Any, *, factors: bool) -> Any:
        near, vectors = factor + s * moves[0], x + s * moves[1]
        table, gram = near @ near.T, vectors @ vectors.T / 9
        if not factors:
            return preconditioners.power_of_symmetric(vectors.T @ table @ vectors / 9, eps, power) @ vectors.T
        return vectors.T @ preconditioners.power_in_factors(table, gram, eps, power)

    with jax.enable_x64(True):
        for factors in (False, True):
            function = jax.jit(partial(operator, factors=factors))
            at, h = (0.0, 0.05, 1 / 3), 1e-5
            for k in range(3):
                found = jax.jacfwd(function, k)(*at)
                up, down = (
                    function(*(z + sign * h * (i == k) for i, z in enumerate(at))) for sign in (1, -1)
                )
                np.testing.assert_allclose(found, (up - down) / (2 * h), rtol=1e-6, atol=1e-6)


def test_no_batch_of_decompositions_waits_for_threads() -> None:
    """As many batches at once as there are threads wait for ever: whatever the axes, none is made."""
    node = SpectralMap("preconditioned", 1, (ZERO, ZERO, ZERO))
    finite_width = jax.vmap(one_by_one(lambda *x: mapped(jnp, node, x[:3], x[3:])))
    module = jax.vmap(jax.vmap(preconditioners.power_in_factors, (0, 0, None, None)), (0, 0, None, None))
    square, scalar = jnp.ones((2, 3, 4, 4)), jnp.ones((2, 1, 1, 1))
    for function, arguments in (
        (module, (square, square, 0.1, 0.25)),
        (finite_width, (square, square, square, scalar, scalar)),
    ):
        text = str(jax.make_jaxpr(function)(*arguments))
        made = re.findall(r":f\d+\[([\d,]+)\] \w+:f\d+\[[\d,]+\] = eigh\[", text)
        assert made
        assert all(shape == "4,4" for shape in made)


@pytest.mark.parametrize("p", [0.25, 0.5, 1.0])
def test_at_finite_width_it_is_its_definition_in_stacks_of_any_matrices(p: float) -> None:
    """The symmetric part of what is not symmetric, 0 where that is below 0."""
    rng, node = np.random.default_rng(0), SpectralMap("preconditioned", 1, (ZERO, ZERO, ZERO))
    x, left, right = (rng.normal(size=(3, *shape)) for shape in ((4, 5), (4, 4), (5, 5)))
    found = mapped(np, node, (x, left, right), (0.1, p))
    for own, a, b, c in zip(found, x, left, right, strict=True):
        np.testing.assert_allclose(own, power(b, 0.1, p) @ a @ power(c, 0.1, p), atol=1e-11)


def random_text(seed: int, dense: bool) -> str:
    """A program with a weight of unequal sides, or not, by hand. dense: what keeps tables from factors."""
    r = random.Random(seed)
    f, g = r.choice(["tanh", "erf", "sin"]), r.choice(["tanh", "relu", "cos"])
    eps, p = r.choice(["1e-6", "1e-3", "1/10", "2"]), r.choice(["1/4", "1/2", "1/3"])
    m = r.choice(["n", "m"])
    return f"""
width n
width m = {r.choice(["2*n", "3*n/4"])}
dim B = {r.choice([1, 2, 3])}, T = {r.choice([1, 2, 3])}
vector u[i < B] : n ~ N(0, 1)
vector v[i < B] : {m} ~ N(0, 1)
vector a : n ~ N(0, 1)
table L[0] : n x n = 0
table R[0] : {m} x {m} = 0
table A[0] : n x {m} = 0
for t < T:
    y[t, i] = A[t] @ v[i] for i < B
    x[t, i] = {f}(u[i] + y[t, i] + a) for i < B
    w[t, i] = A[t].T @ x[t, i] for i < B
    z[t, i] = {g}(v[i] + w[t, i]) for i < B
    table G[t] : n x {m} = sum(i < B: (i + 1)/(t + 2)*outer(x[t, i], z[t, i]))
    table L[t+1] : n x n = {r.choice(["", "9/10*"])}L[t] + {r.choice(["", "1/3*"])}left_gram(G[t])
    table R[t+1] : {m} x {m} = R[t] + right_gram(G[t])
    table A[t+1] : n x {m} = A[t] + 1/2*preconditioned(G[t], L[t+1], R[t+1], {eps}, {p})
o = A[T] @ v[0]
output s[t, i] = mean(x[t, i]^2) for t < T for i < B
output r = mean(u[0]*o)
{"output q = mean(A[T]^2)" if dense else ""}
"""


@pytest.mark.parametrize("seed", [1, 5])
def test_tables_in_factors_are_dense_ones_at_the_same_points(seed: int) -> None:
    found = {}
    for dense in (False, True):
        evaluator = values_only(tpc.parse(random_text(seed, dense)).compile(samples=128, repeats=2))
        assert bool(evaluator.plan.program.factored) is not dense
        found[dense] = evaluator()
    for name in ("s", "r"):
        np.testing.assert_allclose(found[False][name].value, found[True][name].value, rtol=1e-9)


# finite width


def shampoo(eps: float, beta: float | None = None, p: float = 1 / 4) -> Step:
    def step(state: finite.State, g: np.ndarray, t: int) -> tuple[finite.State, np.ndarray]:
        n, slope = len(g), g / len(g)
        kept, new = (1.0, 1.0) if beta is None else (beta, 1 - beta)
        left, right = kept * state[0] + new * slope @ slope.T, kept * state[1] + new * slope.T @ slope
        whole = 1 if beta is None else 1 - beta ** (t + 1)
        return (left, right), n * power(left / whole, eps, p) @ slope @ power(right / whole, eps, p)

    return step


CASES = [
    ("shampoo(lr = 0.2, decay = 0.3)", Chosen(shampoo(1e-6), 0.2, 0.3)),
    ("shampoo(lr = 0.1, eps = 1e-2, beta = 0.9)", Chosen(shampoo(1e-2, 0.9), 0.1)),
    ("shampoo(lr = 0.1, eps = 0.1, beta = none, power = 1/2)", Chosen(shampoo(0.1, None, 0.5), 0.1)),
]


@pytest.mark.parametrize(("line", "own"), CASES)
def test_finite_width_by_its_definition_on_matrices(line: str, own: Chosen) -> None:
    chosen = {"W": own} | {name: Chosen(finite.adam(), 0.1) for name in ("U", "v", "b")}
    check_by_definition(f"update {line}\n    update adam(lr = 0.1) otherwise", 3, chosen, rtol=1e-8)


SIDES = """
width n
width m = 2*n
width k = n/2
dim T = 3
input xi[T], y[T]
weight U : m x 1, frozen
weight W[l < 2] : k x m, scale = l + 1
weight V : 1 x k, frozen
network f(x) = V @ tanh(W[0] @ tanh(U @ x) + W[1] @ sin(U @ x))
train f for t < T:
    batch (xi[t], y[t])
    loss mse
    update shampoo(lr = 0.2, eps = 0.03, beta = 1/2, power = 1/3)
output loss
"""


def test_sides_of_other_widths_by_its_definition_on_matrices() -> None:
    """Of w = W/scale, of which the gradient is scale·∂L/∂W; widths n = 16, m = 32, k = 8."""
    program, n = tpc.parse(SIDES), 16
    given = {"xi": [1.0, 0.5, -1.0], "y": [1.0, -1.0, 0.5]}
    found = program.simulate(given, width=n, seeds=[5]).outputs["loss"][0]
    drawn = draws(program, given, width=n, seed=5)
    u, v = np.ravel(drawn["U0"]), np.ravel(drawn["V0"])
    scales = np.array([1.0, 2.0])
    w = [np.asarray(own) / scale for own, scale in zip(drawn["W"], scales, strict=True)]

    def loss(w: Any, x: float, y: float) -> Any:
        z = scales[0] * w[0] @ jnp.tanh(u * x) + scales[1] * w[1] @ jnp.sin(u * x)
        return (jnp.sum(v * jnp.tanh(z)) / n - y) ** 2 / 2

    states, losses = [(0.0, 0.0), (0.0, 0.0)], []
    with jax.enable_x64(True):
        for t, (x, y) in enumerate(zip(given["xi"], given["y"], strict=True)):
            value, slopes = jax.value_and_grad(loss)(w, x, y)
            losses.append(float(value))
            for k, slope in enumerate(map(np.asarray, slopes)):
                left, right = states[k]
                left, right = (left + slope @ slope.T) / 2, (right + slope.T @ slope) / 2
                whole = 1 - 0.5 ** (t + 1)
                step = power(left / whole, 0.03, 1 / 3) @ slope @ power(right / whole, 0.03, 1 / 3)
                w[k] = w[k] - 0.2 * np.sqrt(8 / 32) * step
                states[k] = left, right
    np.testing.assert_allclose(found, losses, rtol=1e-9)


def test_widths_tend_to_the_exact_limit() -> None:
    """Means at two widths, extrapolated in 1/n, are the exact values within their errors."""
    program, y = tpc.load(PROGRAMS / "shampoo_linear.tp"), {"y": [1.0, -1.0, 1.0, 1.0]}
    exact = np.array([0.099503719021, 0.025691712268, 0.080429989578, 0.126329415716])
    means, errors, widths = [], [], (24, 72)
    for width, seeds in zip(widths, (400, 200), strict=True):
        found = program.simulate(y, width=width, seeds=range(seeds)).outputs["g"]
        found = found[:, 1:] - found[:, :1]  # what varies at the start has the mean 0
        means.append(found.mean(axis=0))
        errors.append(found.std(axis=0, ddof=1) / np.sqrt(seeds))
    shares = np.array([-widths[0], widths[1]]) / (widths[1] - widths[0])
    error = np.hypot(shares[0] * errors[0], shares[1] * errors[1])
    assert np.all(np.abs(shares @ np.array(means) - exact) < 4 * error)
    assert error.max() < 0.01
