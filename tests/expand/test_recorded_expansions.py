"""Limits of programs with powers of n, to the letter: `recorded/NAME.txt`, or why there is none.

`pytest tests/expand --update-golden` records them anew; other tests compare them with finite widths.
"""

import re
from pathlib import Path

import pytest

import tpc
from tpc.expand import expand
from tpc.expand.watch import with_jumps_watched
from tpc.pipeline import print_expansion

RECORDED = Path(__file__).parent / "recorded"
HEAD = """width n
dim T = 2
input eta = 0.5, xi[t < T] = 1
matrix W : n x n ~ N(0, 1/n)
vector u : n ~ N(0, 1)
vector v : n ~ N(0, 1)
"""
NET = """width n
dim T = 2, d = 2
input eta = 0.5, xi[t < T, d] = 1, y[t < T] = -1
weight U : n x d
{weight}weight V : 1 x n
parametrization {name}
network f(xi):
    x = {phi}(U @ xi)
    return V @ {inner}
train f for t < T:
    batch (xi[t], y[t])
    loss mse
    update {update}
output loss
"""
LAYERS = {"one": ("", "x"), "two": ("weight W : n x n\n", "{phi}(W @ x)")}
PARAMETRIZATIONS = {"ntp": "ntp", "sp": "sp", "quarter": "uniform(r = 1/4)", "large": "sp(c = 0)"}
UPDATES = {
    "sgd": "sgd(lr = eta)",
    "momentum": "sgd(lr = eta, momentum = 1/2)",
    "adam": "adam(lr = eta, eps = 1/100)",
    "signsgd": "signsgd(lr = eta)",
}


def net(layers, name, update, phi):
    weight, inner = LAYERS[layers]
    return NET.format(
        weight=weight,
        name=PARAMETRIZATIONS[name],
        update=UPDATES[update],
        phi=phi,
        inner=inner.format(phi=phi),
    )


OTHERS = """
== means
c = mean(u)
d = n^(1/2)*c
a = mean(u*v)
f = n*c*a
output d
output f
output g = mean((u + n^(-1/2)*v)^2)
== products
x = W @ u + n^(-1/2)*v
y = W.T @ tanh(x)
z = y + n^(-1/2)*(W @ y)
output m = n^(1/2)*mean(u*v)
output p = mean(z^2)
== ratios
x = n^(-1/2)*u
a = mean(x^2)
y = x/sqrt(a + n^(-1))
r = n*a/(1 + n^(-1/2))
output m = mean(y^2)
output r
== roots
x = n^(-1)*u
y = sqrt(abs(x))
output m = n^(1/2)*mean(y)
output p = n*mean(relu(x + x^2))
== loops
x[0] = u
for t < T:
    x[t+1] = x[t] + n^(-1/2)*tanh(W @ x[t])*xi[t]
    c[t] = n^(1/2)*mean((x[t+1] - x[t])*x[t])
output c
== taylor
x = u + n^(-1/2)*v
y = tanh(x) - tanh(u)
output m = n^(1/2)*mean(y*v)
== second_order
z = exp(u + n^(-1/2)*v) - exp(u) - n^(-1/2)*v*exp(u)
output p = n*mean(z)
== choices
x = n^(-1/2)*u
y = where(x > 0, x, n^(-1)*v)
s = sign(mean(u^2) - 2)
output m = n*mean(y^2)
output s
== jumps
x = u + n^(-1/2)*v
output m = n^(1/2)*mean(step(x) - step(u))
== jumps_of_scalars
c = mean(u)
output s = sign(c)
output m = mean(where(c > 0, u, v)^2)
== tables
table A : n x n = outer(u, v)/n + outer(v, v)/n^2
y = A @ v
z = n*(A.T @ u)
output m = mean(y*u)
output p = n^(-1)*mean(z*v)
== polar
table A : n x n = outer(u, v) + n^(-1/2)*outer(v, u)
table P : n x n = polar(A)
y = P @ v
output m = mean(y^2)
== homogeneous
c = 1 + n^(-1/2)*mean(u^2)
table A : n x n = n^(-1/2)*outer(u, v) + n^(-1)*outer(v, u)
table L : n x n = left_gram(A)
table M : n x n = n*L
table P : n x n = preconditioned(A, M, M, c, 1/4)
y = P @ v
output m = n^(1/2)*mean(y*u)
== grows_beside_a_table
c = n^(1/2)*mean(u^2)
table A : n x n = outer(u, v)
table L : n x n = left_gram(A)
table P : n x n = preconditioned(A, L, L, c, 1/4)
output m = mean((P @ v)*u)
== grows_in_polar
table A : n x n = n^(1/2)*outer(u, v)
table P : n x n = polar(A)
output m = mean((P @ v)*u)
== vanishes_in_polar
table A : n x n = n^(-1/2)*outer(u, v)
table P : n x n = polar(A)
output m = mean((P @ v)*u)
== grows
x = n^(1/2)*u
output m = mean(x^2)
== grows_in_a_function
x = tanh(n^(1/2)*u)
output m = mean(x*u)
== two_starts
m = n^(1/2)*mean(u*v)
x = m*u
y = W @ x
output m
output p = mean(y^2)
== constants
a = n^(-1/2)
b = (1 + a)^2 - 1
output c = n^(1/2)*b
output m = mean(u^2)*a
"""
TEXTS = {
    **{
        f"{layers}_{name}_{update}_{phi}": net(layers, name, update, phi)
        for layers, name, update, phi in [
            ("one", "ntp", "sgd", "tanh"),
            ("one", "sp", "sgd", "relu"),
            ("one", "quarter", "momentum", "tanh"),
            ("one", "large", "sgd", "tanh"),
            ("one", "ntp", "adam", "tanh"),
            ("one", "ntp", "signsgd", "tanh"),
            ("two", "ntp", "sgd", "tanh"),
            ("two", "quarter", "sgd", "relu"),
            ("two", "sp", "momentum", "tanh"),
        ]
    },
    **{
        name: HEAD + text
        for name, text in (part.split("\n", 1) for part in re.split(r"^== ", OTHERS, flags=re.MULTILINE)[1:])
    },
}


def watched(program):
    """What is looked at besides, to see whether something jumps."""
    return str(with_jumps_watched(expand(program).limit))


@pytest.mark.parametrize("name", TEXTS)
def test_a_limit_is_expanded_as_recorded(name, request):
    found = []
    for what in (print_expansion, watched):
        try:
            found.append(what(tpc.parse(TEXTS[name], name=name)))
        except tpc.TpcError as refused:
            found.append("\n".join(d.message for d in refused.diagnostics) + "\n")
    text = found[0] if found[0].startswith(found[1]) else "\n".join(found)
    file = RECORDED / f"{name}.txt"
    if request.config.getoption("--update-golden"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
