"""Printing a core program and parsing it again gives the same program: examples of the language, shipped
programs, random ones, unrolled ones."""

from pathlib import Path

import numpy as np
import pytest

import tpc
from tpc.core.wellformed import verified

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "programs").rglob("*.tp"))
LANGUAGE = """
program wishart
width n
width m = 2*n
dim k = 3
input rho = 0.5
input xi[t < k]
matrix A : n x m ~ N(0, 1/m)
vector v : m ~ N(0, 1)
vector (a, b) : n ~ N([0, 0], [[1, rho], [rho, 1]])
vector u[j < k] : n ~ N(0, 1)
y = A @ v
z = A.T @ y
w = tanh(a)*b + rho*u[0]
c = mean(w*b)
d = c^2/(1 + c)
def phi(s) = s*tanh(s)
p = phi'(a)
s[t] = mean(u[t]*w) for t < k
q = sum(t < k: xi[t]*u[t])
output c
output m2 = mean(v*z)
output square = mean(v*z)^2
"""
TRAINING = """
width n
dim T = 4
input eta = 0.1, xi[t < T], y[t < T]
vector (U0, V0) : n ~ N([0, 0], [[1, 0], [0, 1]])
def phi(s) = relu(s)
V[0] = V0
U[0] = U0
for t < T:
    h[t] = xi[t]*U[t]
    f[t] = mean(V[t]*phi(h[t]))
    chi[t] = f[t] - y[t]
    V[t+1] = V[t] - eta*chi[t]*phi(h[t])
    U[t+1] = U[t] - eta*chi[t]*xi[t]*V[t]*phi'(h[t])
output f
"""
GATHERS = """
width n
width m = (1 + c)*n
dim d = 5, T = 3
input c = 1/2
input j[t < T] : index(d)
matrix W[i < 2] : n x m ~ N(0, (1 + i)/m)
matrix V : m x m ~ N(0, c^2/m)
vector r[i < d] : m ~ N(i/2, 1 + c)
vector (a[i < 2], b[i < 2]) : m ~ N([i, 0], [[2, 1/2], [1/2, 1]])
h[t] = W[1] @ (r[j[t]]*a[0]) + W[0] @ V.T @ b[1] for t < T
g[t] = mean(where(h[t] > c, h[t]^2, -1/3*h[t])*abs(h[t])^(3/2)) + t/2 + pi for t < T
output g
output k = sum(t < T: g[t]*(t - 1)^2)/T
"""
EXAMPLES = {"language": LANGUAGE, "training": TRAINING, "gathers": GATHERS}


def same(program):
    text = str(program)
    again = tpc.parse(text, name="again.tp")
    assert again == program
    assert str(again) == text


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name):
    same(tpc.parse(EXAMPLES[name]))


def test_variables_that_are_called_like_what_is_made():
    """An output's name is one of the core program, where a sum or a loop may have it as a variable."""
    text = (
        "width n\n"
        "dim t = 3\n"
        "matrix A : n x n ~ N(0, 1/n)\n"
        "vector v[q < t] : n ~ N(q, 1 + q)\n"
        "x[0] = v[0]\n"
        "for r < 3:\n"
        "    x[r+1] = A @ x[r] - sum(s < r: mean(x[s]*x[r])*x[s])/2 + sum(s < 2: s*v[s])\n"
        "output s[r] = mean(x[r]^2) for r < 3\n"
        "output q = mean(v[1]^2)\n"
        "output r[q] = sum(s < 2: (s + 1)*mean(v[s]*x[q])) for q < 2\n"
    )
    program = tpc.parse(text)
    again = tpc.parse(str(program), name="again.tp")
    assert str(again) == str(program)
    found, wanted = (p.compile()() for p in (again, program))
    for name in wanted:
        np.testing.assert_array_equal(found[name].value, wanted[name].value)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped(path):
    same(tpc.load(path))


@pytest.mark.parametrize("name", EXAMPLES)
def test_unrolled(name):
    """Families, which may be listed in another order or have members that nothing refers to, aside."""
    program = verified(tpc.parse(EXAMPLES[name]).unroll())
    assert tpc.parse(str(program)).body == program.body


@pytest.mark.parametrize("name", ["k", "t", "s", "i"])
def test_outputs_named_as_variables_and_numbers_of_many_digits(name):
    """An output's name may be that of a variable, of this line, a loop or a sum; numbers may have more digits
    than a file's."""
    text = (
        "width n\n"
        "vector v[i < 2] : n ~ N(0, 1e300)\n"
        "x[0] = v[0]\n"
        "for t < 3:\n"
        "    x[t+1] = sum(s < t + 1: x[s]/3^200)\n"
        f"output {name}[k] = 3^150*mean(x[k]*v[1]) for k < 3\n"
    )
    program = tpc.parse(text)
    again = tpc.parse(str(program))
    assert str(again) == str(program)
    assert [output.name for output in again.outputs] == [name]
