"""What is written of covariances, to the letter: `recorded/NAME.txt`, or why they are refused.

`pytest tests/gram --update-golden` records them anew; other tests compare them with points and quadrature.
"""

import ast
import itertools
import re
from pathlib import Path

import pytest

import tpc

RECORDED = Path(__file__).parent / "recorded"
HEAD = """width n
dim T = 3, B = 2
input xi[t < T] = 0.6
input k[T] : index(B)
matrix W : n x n ~ N(0, 1/n)
vector u[i < B] : n ~ N(0, 1)
vector (v, w) : n ~ N([0, 1/3], [[1, 1/2], [1/2, 2]])
"""
LAYERS = """h[0, i] = u[i] for i < B
matrix A[T] : n x n ~ N(0, 1/n)
for t < T:
    h[t+1, i] = A[t] @ {f}(h[t, i]) for i < B
output m[i, j] = mean(h[T, i]*{f}(h[T, j])) for i < B for j < B
"""
PAIRS = "output m = mean({f}(2*v)*{g}(v - w))\noutput s = mean({f}(W @ u[0])*{g}(W @ v))\n"
FUNCTIONS = ("relu", "step", "erf", "sin", "cos", "exp", "tanh", "sigmoid", "abs", "sign")
OTHERS = """
== back_and_forth
h[0] = W @ u[0]
for t < T:
    h[t+1] = h[t] + W.T @ erf(W @ h[t])
output m[t] = mean(h[t]^2) for t < T + 1
== slopes
y = W @ u[0]
z = W.T @ tanh(y)
output m = mean(z^2)
== high_powers
output m = mean((v + w)^40)
== three_at_once
output m = mean(sin(exp(v)*w*u[0])*tanh(u[1] + v))
== sums
vector z[i < 4] : n ~ N(0, 1)
y[t] = W @ sum(j < 2: z[j + t]*(t + j + 1)) for t < T
output m[s, t] = mean(y[s]*y[t]) for s < T for t < T
output p[t] = mean(relu(sum(j < t + 1: z[j]))*relu(z[t])) for t < T
== shifted
y = relu(v - 1) + step(w + 1/2)
output m = mean(y*v)
output p = mean(where(v > 1, w, v)*w)
== clipped
y = max(min(v, 2), -1)
z = W @ y
output m = mean(z^2)
output p = mean(relu(z)*relu(W @ v))
== gathered
y[t] = W @ relu(xi[t]*u[k[t]]) for t < T
output m[s, t] = mean(relu(y[s])*relu(y[t])) for s < T for t < T
== moments
output m = mean(v^2*w^2*u[0]^4)
output p = mean((v + w)^3*w)
output q = mean(v*exp(w)*cos(u[0]))
== quotients
s = mean(relu(v)^2)
y = W @ (relu(v)/sqrt(s + 1))
output m = mean(relu(y)^2)/s
== signs
y = sign(v*tanh(w)*u[0])
z = W @ y
output m = mean(z*(W @ sign(v*u[0])))
output p = mean(abs(v*w))
== recurrent
h[0] = u[0]
for t < T:
    h[t+1] = W @ erf(h[t]) + xi[t]*u[1]
output m[s, t] = mean(h[s]*h[t]) for s < T + 1 for t < T + 1
== attention
a[i, j] = mean(u[i]*u[j])/2 for i < B for j < B
y[i] = sum(j < B: exp(a[i, j])*u[j])/sum(j < B: exp(a[i, j])) for i < B
z[i] = W @ relu(y[i]) for i < B
output m[i, j] = mean(z[i]*z[j]) for i < B for j < B
"""
TEXTS = {
    **{f"layers_{f}": LAYERS.format(f=f) for f in FUNCTIONS},
    **{f"pairs_{f}_{g}": PAIRS.format(f=f, g=g) for f, g in itertools.pairwise(FUNCTIONS)},
    **{f"pairs_{f}_line": PAIRS.format(f=f, g="(1 - v)*") for f in FUNCTIONS},
    **dict(part.split("\n", 1) for part in re.split(r"^== ", OTHERS, flags=re.MULTILINE)[1:]),
}


def function(name, source):
    (found,) = (node for node in ast.parse(source).body if getattr(node, "name", "") == name)
    return "\n".join(source.splitlines()[found.lineno - 1 : found.end_lineno])


@pytest.mark.parametrize("name", TEXTS)
def test_covariances_are_written_as_recorded(name, request):
    try:
        evaluator = tpc.parse(HEAD + TEXTS[name], name=name).compile(method="gram")
    except tpc.TpcError as refused:
        found = "\n".join(d.message for d in refused.diagnostics) + "\n"
    else:
        found = f"{evaluator.plan.why}\n\n{function('limit', evaluator.source)}\n"
    file = RECORDED / f"{name}.txt"
    if request.config.getoption("--update-golden"):
        file.write_text(found, encoding="utf-8")
    assert found == file.read_text(encoding="utf-8")
