"""Trainings in the kernel regime follow from covariances: by definitions on small matrices, and nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tpc
from tests.tables.test_muon import QUINTIC, iterated
from tests.values import values_only
from tpc.expand import expand

Array = np.ndarray
TEXT = """
width n
dim T = {steps}, B = {batch}, N = 2, d = 2
input xi[T, B, d], y[T, B], xs[N, d]
activation phi = {phi}
weight U : n x d
weight W : n x n
weight V : 1 x n
parametrization {parametrization}
network f(x) = V @ phi(W @ phi(U @ x))
train f for t < T:
    batch (xi[t, i], y[t, i]) for i < B
    loss mse
    update {update}
output g[t, i] = f[t](xs[i]) for t < T + 1 for i < N
"""


def program(update: str, steps: int, batch: int, phi: str = "erf", parametrization: str = "ntp") -> Any:
    text = TEXT.format(update=update, steps=steps, batch=batch, phi=phi, parametrization=parametrization)
    return tpc.parse(text)


def data(steps: int, batch: int) -> dict[str, Array]:
    rng = np.random.default_rng(7)
    return {
        "xi": rng.normal(size=(steps, batch, 2)),
        "y": rng.normal(size=(steps, batch)),
        "xs": rng.normal(size=(2, 2)),
    }


def exact(of: Any, given: dict[str, Array]) -> Array:
    """The outputs at `xs` from f_0 = 0, which are exact."""
    random = "f0" in str(expand(of).limit)
    evaluator = of.compile(initial="zero") if random else of.compile()
    assert evaluator.plan.method == "gram"
    assert evaluator.plan.exact
    found = evaluator(given)["g"]
    assert found.stderr is None
    return np.asarray(found.value)


class Kernels:
    """Of the net of erf at the start, at all inputs of a training and those of its outputs."""

    def __init__(self, given: dict[str, Array]) -> None:
        self.inputs = np.concatenate([given["xi"].reshape(-1, 2), given["xs"]])
        self.forward = [self.inputs @ self.inputs.T]  # ⟨x, x⟩ of what each weight is multiplied to
        slopes = []
        for _ in range(2):
            q = 1 + 2 * np.diag(self.forward[-1])
            c, norms = self.forward[-1], np.sqrt(np.multiply.outer(q, q))
            self.forward.append(2 / np.pi * np.arcsin(2 * c / norms))
            slopes.append(4 / np.pi / np.sqrt(norms**2 - 4 * c**2))
        # ⟨dh, dh⟩ of what it makes
        self.backward = [slopes[0] * slopes[1], slopes[1], np.ones_like(slopes[1])]


def root(k: Array) -> Array:
    """Vectors with these inner products, as rows: none of rounding, which a polar factor makes large."""
    values, vectors = np.linalg.eigh(k)
    return np.asarray(vectors * np.sqrt(np.where(values > 1e-12 * values[-1], values, 0)))


def trained(given: dict[str, Array], step: Callable[[int, Array], Array]) -> Array:
    """f_t at the last two inputs, f_{t+1} being f_t less `step(t, χ_t)`."""
    steps, batch = given["y"].shape
    f, out = np.zeros(steps * batch + 2), []
    for t in range(steps):
        out.append(f[-2:])
        chi = (f[t * batch : (t + 1) * batch] - given["y"][t]) / batch
        f = f - step(t, chi)
    return np.array([*out, f[-2:]])


@pytest.mark.parametrize("parametrization", ["ntp", "uniform(r = 1/4)"])
def test_sgd_follows_the_tangent_kernel(parametrization: str) -> None:
    given, batch = data(2, 2), 2
    kernels = Kernels(given)
    kernel = sum(a * x for a, x in zip(kernels.backward, kernels.forward, strict=True))

    def step(t: int, chi: Array) -> Array:
        return np.asarray(0.3 * kernel[:, t * batch : (t + 1) * batch] @ chi)

    wanted = trained(given, step)
    own = program("sgd(lr = 0.3)", 2, batch, parametrization=parametrization)
    np.testing.assert_allclose(exact(own, given), wanted, rtol=1e-11)


@pytest.mark.parametrize("exactly", [False, True])
def test_muon_follows_from_kernels(exactly: bool) -> None:
    """By its definition on matrices with the inner products that the kernels say."""
    count, batch, momentum = 2 if exactly else 3, 2, 0.9
    given = data(count, batch)
    own, met = Kernels(given), given["y"].size
    sides = [list(map(root, kernels)) for kernels in (own.backward, own.forward)]
    m = [np.zeros((met + 2, met + 2)) for _ in range(3)]

    def step(t: int, chi: Array) -> Array:
        total, at = np.zeros(met + 2), slice(t * batch, (t + 1) * batch)
        for layer, (a, x) in enumerate(zip(*sides, strict=True)):
            gradient = (a[at].T * chi) @ x[at]
            m[layer] = momentum * m[layer] + gradient
            u = momentum * m[layer] + gradient
            moved = iterated(u, None if exactly else 5, QUINTIC)
            total += np.einsum("ka,ab,kb->k", a, moved, x)
        return 0.2 * total

    wanted = trained(given, step)
    steps = ", steps = exact" * exactly
    update = f"muon(lr = 0.2, momentum = {momentum}{steps}) of U, W, V"
    np.testing.assert_allclose(exact(program(update, count, batch), given), wanted, rtol=1e-11)


def test_signs_of_one_example_follow_from_kernels() -> None:
    given, rate = data(3, 1), 0.2
    own = Kernels(given)
    x, h1, h2 = own.inputs, *own.forward[:2]
    steps = [2 / np.sqrt(np.pi) / np.sqrt(1 + 2 * np.diag(k)) for k in (h1, h2)]  # E φ'

    def of_sign(k: Array) -> Array:
        """E erf(u) sign(v)."""
        q = np.diag(k)
        return np.asarray(2 / np.pi * np.arcsin(np.sqrt(2) * k / np.sqrt(np.multiply.outer(1 + 2 * q, q))))

    def step(t: int, chi: Array) -> Array:
        through = own.backward[1]  # ⟨dx, dx⟩ of the first layer
        inputs = np.sqrt(2 / np.pi) * through[:, t] / np.sqrt(through[t, t]) * steps[0]
        hidden = np.sqrt(2 / np.pi) * steps[1] * of_sign(h1)[:, t]
        moved = inputs * (x @ np.sign(x[t])) + hidden + of_sign(h2)[:, t]
        return np.asarray(rate * np.sign(chi[0]) * moved)

    update = f"signsgd(lr = {rate})"
    np.testing.assert_allclose(exact(program(update, 3, 1), given), trained(given, step), rtol=1e-11)


def test_signs_of_gradients_that_rest_at_0() -> None:
    """Gradients of relu are 0 at half of the coordinates, where lower orders do not move them either."""
    given = data(3, 1)
    own = program("signsgd(lr = 0.2)", 3, 1, phi="relu")
    nodes = values_only(own.compile(initial="zero", method="nodes", samples=4096, repeats=16))(given)["g"]
    found = exact(own, given)
    assert np.all(np.abs(found[1:] - nodes.value[1:]) < 4 * nodes.stderr[1:])


def test_a_matrix_is_moved_to_the_other_side() -> None:
    """E v·(Aᵀ A v) is |A v|², with unequal widths, too; E ψ·(Bᵀ B w) beside E ψ·(B Bᵀ w)."""
    text = """
width n
width m = 3*n
matrix A : n x m ~ N(0, 4/m)
vector v : m ~ N(0, 1)
vector u : m ~ N(0, 1)
h = A @ v
g = A.T @ h
output s = mean(g*v)
output r = mean(g*tanh(v))
output q = mean(g*u)
matrix B : n x n ~ N(0, 4/n)
vector w : n ~ N(0, 1)
x = B @ w
y = B.T @ w
y2 = B.T @ x
x2 = B @ y
output a = mean(y2*tanh(w))
output b = mean(x2*tanh(w))
"""
    found = values_only(tpc.parse(text).compile(method="gram"))()
    slope = np.polynomial.hermite_e.hermegauss(64)
    mean = np.sum(slope[1] * slope[0] * np.tanh(slope[0])) / np.sqrt(2 * np.pi)
    for name, wanted in {"s": 4 / 3, "r": 4 / 3 * mean, "q": 0, "a": 4 * mean, "b": 4 * mean}.items():
        np.testing.assert_allclose(found[name].value, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("other", ["", " + outer(w, v[3])", " + outer(u[3], w)"])
def test_functions_of_singular_values_by_covariances(other: str) -> None:
    """Tables of several families of vectors, that are in order or not."""
    text = f"""
width n
vector u[i < 4] : n ~ N(0, 1)
vector v[i < 4] : n ~ N(0, 1)
vector w : n ~ N(0, 1)
for i < 4:
    a[i] = relu(u[i])
table A : n x n = sum(i < 3: (i + 1)*outer(a[i], v[i])){other}
table P : n x n = newton_schulz(A, 3, 2, -3/2, 1/2)
y[i] = P @ v[i] for i < 3
z[i] = P.T @ a[i] for i < 3
output s[i] = mean(a[i]*y[i]) for i < 3
output q[i] = mean(w*y[i]) for i < 3
output r[i] = mean(z[i]*v[0]) for i < 3
"""
    own = tpc.parse(text)
    found, nodes = (values_only(own.compile(method=m))() for m in ("gram", "nodes"))
    for name in "sqr":
        assert np.all(np.abs(found[name].value - nodes[name].value) <= 4 * nodes[name].stderr + 1e-9)


def test_functions_of_one_table_are_told_apart() -> None:
    """By their names, steps and coefficients, in order: they are those of a matrix with the same products."""
    options = [(1, 2, -1.5, 0.5), (2, 2, -1.5, 0.5), (2, 0.5, 2, -1.5), (2, 2, 0.5, -1.5)]
    functions = ["polar(A)", *(f"newton_schulz(A, {', '.join(map(str, own))})" for own in options)]
    lines = [
        f"table P{k} : n x n = {function}\ny{k}[i] = P{k} @ v[i] for i < 2\n"
        f"output s{k}[i, j] = mean(u[i]*y{k}[j]) for i < 2 for j < 2\n"
        for k, function in enumerate(functions)
    ]
    text = """
width n
vector u[i < 2] : n ~ N(0, 1)
vector v[i < 2] : n ~ N(0, 1)
table A : n x n = 2*outer(u[0] + u[1], v[0]) + outer(u[1], v[1])
"""
    found = values_only(tpc.parse(text + "".join(lines)).compile(method="gram"))()
    matrix = np.array([[2, 0], [2, 1]])
    wanted = [iterated(matrix, None, QUINTIC), *(iterated(matrix, own[0], own[1:]) for own in options)]
    for k, own in enumerate(wanted):
        np.testing.assert_allclose(found[f"s{k}"].value, own, rtol=1e-11)
