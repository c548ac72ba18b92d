"""Muon: exact values, and finite width by its own definition on matrices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import tpc
from tests.tables import finite
from tests.tables.finite import Chosen, Step
from tests.tables.test_optimizers import check_by_definition
from tests.values import values_only
from tpc.emit.helpers import singular_values

PROGRAMS = Path(__file__).parents[2] / "programs" / "optimisers"
QUINTIC = (3.4445, -4.775, 2.0315)
LINEAR = """
width n
dim T = {steps}, B = {batch}, d = {d}
input xi[T, B, d], y[T, B], xs[d, d]
weight U : n x d
weight W : n x n
weight V : 1 x n
network f(x) = V @ (W @ (U @ x))
train f for t < T:
    batch (xi[t, i], y[t, i]) for i < B
    loss mse
    update {update}
output g[t, i] = f[t](xs[i]) for t < T + 1 for i < d
"""


def of_all(options: str) -> str:
    return f"muon(lr = 0.1, {options}) of W, U, V"


def linear(update: str, xi: Any, y: Any) -> np.ndarray:
    """f at the unit vectors before each step and at the end, exact."""
    steps, batch, d = np.shape(xi)
    text = LINEAR.format(steps=steps, batch=batch, d=d, update=update)
    evaluator = values_only(tpc.parse(text).compile())
    assert evaluator.plan.method == "linear"
    found = evaluator({"xi": xi, "y": y, "xs": np.eye(d)})["g"]
    assert found.stderr is None
    return np.asarray(found.value)


def test_the_polar_factor_in_a_linear_net() -> None:
    found = linear(of_all("momentum = 0, steps = exact"), np.ones((4, 1, 1)), [[1], [-1], [1], [1]])
    wanted = [0, 0.3, 0.00558390044146, 0.294167899267, 0.600902706786]
    np.testing.assert_allclose(found[:, 0], wanted, rtol=3e-12, atol=1e-14)


def test_five_steps_with_momentum_in_a_linear_net() -> None:
    evaluator = values_only(tpc.load(PROGRAMS / "muon_linear.tp").compile())
    found = evaluator({"y": [1, -1, 1, 1]})["g"].value
    wanted = [0, 0.208930939086, 0.00579370520077, 0.202992969524, 0.404330919367]
    np.testing.assert_allclose(found, wanted, rtol=2e-11, atol=1e-14)


def test_batches_of_two_dimensions_in_a_linear_net() -> None:
    xi = [[[1, 0], [0.5, 1]], [[0, 1], [1, -1]], [[1, 0], [0.5, 1]]]
    found = linear(of_all("momentum = 0.9"), xi, [[1, -1], [0.5, 1], [1, -1]])
    wanted = [
        [0.0934367622111, -0.186873524422],
        [0.29269704028, -0.26207916071],
        [0.399624541887, -0.445963129771],
    ]
    np.testing.assert_allclose(found[1:], wanted, rtol=3e-11)


def iterated(u: np.ndarray, steps: int | None, coefficients: tuple[float, ...]) -> np.ndarray:
    """The iteration on a matrix, or its polar factor."""
    if steps is None:
        left, s, right = np.linalg.svd(u, full_matrices=False)
        kept = s > 1e-10 * s[0]
        return np.asarray(left[:, kept] @ right[kept])
    a, b, c = coefficients
    x = u / (np.linalg.norm(u) + 1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x


def muon(
    momentum: float, nesterov: bool, steps: int | None, coefficients: tuple[float, ...] = QUINTIC
) -> Step:
    def step(state: finite.State, g: np.ndarray, t: int) -> tuple[finite.State, np.ndarray]:
        m = momentum * state[0] + g
        u = momentum * m + g if nesterov else m
        n = len(u)
        scale = n if u.shape == (n, n) else np.sqrt(n)  # g is n times the slope, and so is the step of W
        matrix = u.reshape(1, -1) if u.ndim == 1 else u
        return (m, m), scale * iterated(matrix / scale, steps, coefficients).reshape(u.shape)

    return step


CASES: list[dict[str, tuple[str, Chosen]]] = [
    {
        "W": ("muon(lr = 0.2, decay = 0.3)", Chosen(muon(0.95, True, 5), 0.2, 0.3)),
        "U": ("muon(lr = 0.1, momentum = 0, steps = exact)", Chosen(muon(0, False, None), 0.1)),
        "v": (
            "muon(lr = 0.1, nesterov = 0, steps = 3, coefficients = [1.5, -0.5, 0])",
            Chosen(muon(0.95, False, 3, (1.5, -0.5, 0)), 0.1),
        ),
    },
    {
        "W": (
            "muon(lr = 0.1, momentum = 0.5, nesterov = 0, steps = exact)",
            Chosen(muon(0.5, False, None), 0.1),
        ),
        "U": ("muon(lr = 0.1, momentum = 1/2, steps = 2)", Chosen(muon(0.5, True, 2), 0.1)),
        "v": ("muon(lr = 0.1, steps = exact)", Chosen(muon(0.95, True, None), 0.1)),
    },
]


@pytest.mark.parametrize("case", CASES)
def test_finite_width_by_its_definition_on_matrices(case: dict[str, tuple[str, Chosen]]) -> None:
    lines = {name.replace("v", "V"): text for name, (text, _) in case.items()}
    updates = [f"update {text} of {name}" for name, text in lines.items()]
    updates.append("update adam(lr = 0.1) of b")
    chosen = {name: own for name, (_, own) in case.items()} | {"b": Chosen(finite.adam(), 0.1)}
    check_by_definition("\n    ".join(updates), 2, chosen, rtol=1e-9)


def dependent(degenerate: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors of rows and of columns, of which some are combinations of others if so, and coefficients."""
    rng = np.random.default_rng(0)
    rows, columns = rng.normal(size=(5, 30)), rng.normal(size=(4, 40))
    if degenerate:
        rows[3], rows[4], columns[2] = rows[0] + rows[1], 0, (1 + 1e-9) * columns[0]
    return rows, columns, rng.normal(size=(5, 4))


@pytest.mark.parametrize("degenerate", [False, True])
def test_functions_in_factors_are_those_of_the_matrix(degenerate: bool) -> None:
    rows, columns, own = dependent(degenerate)
    with jax.enable_x64(True):
        grams = rows @ rows.T / 30, columns @ columns.T / 40
        matrix = rows.T @ own @ columns / np.sqrt(30 * 40)
        found = singular_values.newton_schulz_in_factors(own, *grams, 5, *QUINTIC)
        exact = singular_values.polar_in_factors(own, *grams)
        for factors, wanted in ((found, iterated(matrix, 5, QUINTIC)), (exact, iterated(matrix, None, ()))):
            product = rows.T @ factors @ columns / np.sqrt(30 * 40)
            np.testing.assert_allclose(product, wanted, atol=1e-10)


@pytest.mark.parametrize("steps", ["exact", "5"])
def test_a_direction_that_is_nowhere_is_an_error(steps: str) -> None:
    text = LINEAR.format(steps=1, batch=1, d=1, update=of_all(f"momentum = 0, steps = {steps}"))
    with pytest.raises(tpc.TpcError, match="TP748") as found:
        tpc.parse(text).compile()({"xi": [[[1]]], "y": [[0]], "xs": [[1]]})
    assert "step 0" in str(found.value)


TABLES = """
width n
vector u[i < 4] : n ~ N(0, 1)
vector v[i < 4] : n ~ N(0, 1)
vector w : n ~ N(0, 1)
{tables}
"""


def test_tables_of_vectors_that_others_have_too() -> None:
    """Each has places of its own: a row for u's and one for w, or for u's alone."""
    more = ["", " + outer(w, v[3])", " + outer(u[3], w)", " + outer(w, w)"]
    lines = [
        f"table A{k} : n x n = sum(i < 3: (i + 1)*outer(u[i], v[i])){other}\n"
        f"table P{k} : n x n = polar(A{k})\ny{k}[i] = P{k} @ v[i] for i < 3\n"
        f"output s{k}[i] = mean(u[i]*y{k}[i]) for i < 3"
        for k, other in enumerate(more)
    ]
    found = values_only(tpc.parse(TABLES.format(tables="\n".join(lines))).compile())()
    for k in range(len(more)):
        np.testing.assert_allclose(found[f"s{k}"].value, 1, rtol=1e-12)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_table_that_is_not_there_yet(steps: int) -> None:
    """What is read of one step before any vector is made that it is of: 0, as at finite width."""
    text = f"""
width n
dim T = {steps}
vector v : n ~ N(0, 1)
vector x : n ~ N(0, 1)
table A[0] : n x n = 0
for t < T:
    table P[t] : n x n = polar(A[t])
    y[t] = A[t] @ x + P[t] @ x
    a[t] = v + y[t]
    table A[t+1] : n x n = A[t] + outer(a[t], x)
output s[t] = mean(v*y[t]) for t < T
"""
    found = values_only(tpc.parse(text).compile())()["s"].value
    np.testing.assert_allclose(found, [0, 2][:steps], atol=1e-12)


@pytest.mark.parametrize("made", ["2*u[0] - 3*w", "relu(w)"])
def test_vectors_that_are_made_after_others_of_a_table(made: str) -> None:
    """Inner products are kept from where the first ones are made."""
    tables = f"""
table A : n x n = outer(u[0], v[0])
x = {made}
table B : n x n = A + outer(x, v[1])
table P : n x n = polar(B)
y[i] = P @ v[i] for i < 2
output s = mean(u[0]*y[0])
output q = mean(x*y[1])
"""
    inner, square = (0, 1 / 2) if "relu" in made else (2, 13)  # E u x and E x²
    values, vectors = np.linalg.eigh([[1, inner], [inner, square]])
    wanted = np.diag((vectors * np.sqrt(values)) @ vectors.T)
    for method in ("auto", "nodes"):
        found = values_only(tpc.parse(TABLES.format(tables=tables)).compile(samples=1024, method=method))()
        for one, exact in zip((found["s"], found["q"]), wanted, strict=True):
            assert abs(one.value - exact) < 1e-12 + 5 * (one.stderr or 0)


BESIDE = """
width n
vector u[i < 2] : n ~ N(0, 1)
vector v[i < 2] : n ~ N(0, 1)
table A : n x n = sum(i < 2: (i + 1)*outer(u[i], v[i]))
table P : n x n = polar(A)
y[i] = P @ v[i] for i < 2
table B : n x n = {other}
z = B @ v[0]
output s[i] = mean(u[i]*y[i]) for i < 2
output q = mean(u[0]*z)
"""


@pytest.mark.parametrize(
    ("other", "q"),
    [
        ("max(outer(u[0], v[0]) + outer(u[1], v[1]), outer(u[1], v[1]) - outer(u[0], v[0]))", 0),
        ("outer(u[0], v[0]) + max(outer(u[0], v[0]), 0*outer(u[1], v[1]) - outer(u[0], v[0]))", 1),
    ],
)
def test_tables_beside_those_that_are_not_linear(other: str, q: float) -> None:
    """A function of singular values is one in factors, whatever another table is."""
    evaluator = values_only(tpc.parse(BESIDE.format(other=other)).compile(samples=512, repeats=4))
    assert evaluator.plan.program.tables == {"B"}
    assert evaluator.plan.program.factored == {"A", "P"}
    assert "polar_in_factors" in evaluator.source
    found = evaluator()
    np.testing.assert_allclose(found["s"].value, 1, atol=0.05)
    assert abs(found["q"].value - q) < 5 * found["q"].stderr + 0.01


@pytest.mark.parametrize(
    "reader", ["output r = mean(P^2)", "table C : n x n = max(P, A)\noutput r = mean(C @ v[0])"]
)
def test_tables_of_one_another_are_all_dense(reader: str) -> None:
    text = BESIDE.format(other="outer(u[0], v[1])") + reader
    assert not tpc.parse(text).compile(samples=512, repeats=2).plan.program.factored


MIDDLE = """
for t < 2:
    for s < 2:
        h[t, s] = tanh(u[s]) + t*v[s]
        table D[t, s] : n x n = outer(h[t, s], v[s])
        table E[t, s] : n x n = polar(D[t, s])
        c[t, s] = E[t, s] @ v[s]
output e = mean(c[1, 1]*h[1, 1])
"""


def test_only_what_is_made_in_the_middle_of_two_loops_is_dense() -> None:
    text = BESIDE.format(other="outer(u[0], v[1])") + MIDDLE
    program = tpc.parse(text).compile(samples=512, repeats=2).plan.program
    assert program.tables == {"D", "E"}
    assert program.factored == {"A", "P"}


@pytest.mark.parametrize("count", [1, 9, 40])
def test_steps_that_are_not_there_are_left_out(count: int) -> None:
    """Of a table of 40 steps, two rows and three columns each, whose parts end where they may."""
    rng, steps = np.random.default_rng(1), 40
    rows, columns = rng.normal(size=(2 * steps, 30)), rng.normal(size=(3 * steps, 40))
    own = np.zeros((2 * steps, 3 * steps))
    own[: 2 * count, : 3 * count] = rng.normal(size=(2 * count, 3 * count))
    given = own, rows @ rows.T / 30, columns @ columns.T / 40
    with jax.enable_x64(True):
        for function, options in (
            (singular_values.newton_schulz_in_factors, (5, *QUINTIC)),
            (singular_values.polar_in_factors, ()),
        ):
            found = singular_values.so_far(function, count, steps, *given, *options)
            np.testing.assert_allclose(found, function(*given, *options), atol=1e-9)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("close", [1, 0.1, 1e-2, 1e-3, 1e-4])
def test_small_singular_values_are_as_good_as_inner_products_allow(dtype: str, close: float) -> None:
    """Of vectors that are nearly the same, as those of steps one after the other are."""
    rng, eps, least = np.random.default_rng(0), np.finfo(dtype).eps, 1e-6 if dtype == "float64" else 1e-3
    rows = np.repeat(rng.normal(size=(3, 60)), 4, axis=0) + close * rng.normal(size=(12, 60))
    columns, own = rng.normal(size=(12, 50)), np.diag(rng.normal(size=12))
    with jax.enable_x64(dtype == "float64"):
        given = [a.astype(dtype) for a in (own, rows, columns)]
        found = singular_values.polar_in_factors(given[0], *(a @ a.T for a in given[1:]))
    own, rows, columns = (a.astype(float) for a in given)
    u, s, v = np.linalg.svd(rows.T @ own @ columns, full_matrices=False)
    u, s, v = u[:, :12], s[:12], v[:12]
    kept = s > least * s[0]
    # of a matrix, and of inner products
    lost = min(30 * eps * s[0] / s[kept].min() / close, 2e-3)
    np.testing.assert_allclose(rows.T @ np.asarray(found, float) @ columns, (u * kept) @ v, atol=lost)


def test_coefficients_may_be_schedules() -> None:
    """By the name of an input with an entry for each step, as of a rate; each is its own."""
    text = LINEAR.replace("y[T, B]", "y[T, B], a[T] = 3")
    texts = [
        text.format(steps=2, batch=1, d=1, update=of_all(f"steps = 2, coefficients = [{a}, -4, 2]"))
        for a in ("a", "a[t]", "3")
    ]
    given = {"xi": [[[1]], [[1]]], "y": [[1], [-1]], "xs": [[1]]}
    found = [tpc.parse(own).simulate(given, width=8, seeds=[0]).outputs["g"] for own in texts]
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)
    changed = tpc.parse(texts[0]).simulate({**given, "a": [3, 2]}, width=8, seeds=[0]).outputs["g"]
    assert np.array_equal(changed[:, :2], found[0][:, :2])
    assert not np.array_equal(changed[:, 2], found[0][:, 2])


POWERS = """width n
vector u : n ~ N(0, 1)
vector v : n ~ N(0, 1)
vector w : n ~ N(0, 1)
x = {x}
table P : n x n = polar(outer(x, v))
y = P @ v
output q = {q}
"""


@pytest.mark.parametrize(
    ("x", "q", "found"),
    [
        ("u + w/n^(1/2)", "mean(u*y)", 1),
        ("u + w/n^(1/2)", "n^(1/2)*mean(w*y)", "TP802"),
        ("n^(1/2)*u", "mean(u*y)", 1),
    ],
)
def test_polar_factors_beside_powers_of_n(x, q, found):
    """Of the first terms, of any order; what is below takes a derivative that is none."""
    program = tpc.parse(POWERS.format(x=x, q=q))
    if found == 1:
        assert float(program.compile()()["q"].value) == pytest.approx(1)
        return
    with pytest.raises(tpc.TpcError, match=found):
        program.compile()
