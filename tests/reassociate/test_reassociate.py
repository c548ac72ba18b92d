"""Reordering sums: the same numbers whichever vectors are written out, and the gain where there is one to be
had."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tpc
from tests.simulate.plain import run_plainly
from tests.values import values_only
from tpc.core.program import For, Moment, Nonlin, instructions
from tpc.core.wellformed import verified
from tpc.reassociate import reassociate
from tpc.reassociate.search import Search, written_cost

HEAD = """width n
dim T = 3, B = 3, K = 2, Q = 2, d = 4, c = 3, N = 5
input eta = 0.1, xs[N, d], j[T, K, B] : index(N), q[T, K, Q] : index(N), y[B] : index(c), z[Q] : index(c), r[T, B] = 1/2
weight U : n x d
weight V : c x n, std = 1/2
weight R : 1 x n
bias b : n
network f(x) = V @ (U @ x + b)
"""  # noqa: E501
MAML = """train f for t < T:
    g[k] = adapt(f, (xs[j[t, k, i]], y[i]) for i < B, loss = xent, lr = 0.4, steps = {steps}) for k < K
    gradient (g[k], xs[q[t, k, i]], z[i]) for i < Q for k < K
    loss xent
    update sgd(lr = eta, clip = 1/2)
output loss
output end[i, l] = f(xs[i])[l] for i < N for l < c
"""
PROGRAMS = {
    "one inner step": HEAD + MAML.format(steps=1),
    "three inner steps": HEAD + MAML.format(steps=3),
    "momentum and decay": HEAD
    + """train f for t < T:
    batch (xs[j[t, 0, i]], y[i]) for i < B
    loss xent
    update sgd(lr = eta, momentum = 1/2, decay = 1/10)
output loss
output start[i, l] = f[0](xs[i])[l] for i < N for l < c
output half[t, l] = f[t](xs[0])[l] for t < T for l < c
""",
    "a matrix in the middle": HEAD
    + """weight W : n x n
network g(x):
    h = U @ x + b
    z = W @ h
    return V @ z
train g for t < T:
    batch (xs[j[t, 1, i]], y[i]) for i < B
    loss mse
    update sgd(lr = eta)
output loss
output K[i] = mean(g.h(xs[i])*g.h(xs[0])) for i < N
""",
    "a function of some vectors": HEAD
    + """network g(x):
    h = U @ x
    return R @ tanh(h) + R @ h
train g for t < T:
    batch (xs[j[t, 1, i]], r[t, i]) for i < B
    loss mse
    update sgd(lr = eta)
output loss
output both[i] = mean(g.h(xs[i])^2) + mean((g.h(xs[i]) + g.h(xs[0]))*R0) for i < N
""",
    "written in the core": """width n
dim T = 3, B = 4, d = 5
input xi[B, d], a[T]
vector u[k < d] : n ~ N(0, 1)
vector v : n ~ N(0, 1)
matrix A : n x n ~ N(0, 1/n)
h[i] = sum(k < d: xi[i, k]*u[k]) + v for i < B
w[0] = v
for t < T:
    p[t, i] = h[i] - 2*sum(s < t: a[s]*w[s]) for i < B
    m[t, i, k] = mean(p[t, i]*u[k]) for i < B for k < d
    s2[t] = mean(sum(i < B: xi[i, 0]*p[t, i])^2)
    g[t] = sum(i < B: sum(k < d: m[t, i, k]*xi[i, k])*p[t, i])
    w[t+1] = w[t]/2 + 1/10*sum(i < B: xi[i, 1]*p[t, i]) + 1/100*g[t] + 1/10*(A @ w[t])
output s2
output m
output last = mean(w[T]*h[1])
""",
}


@functools.cache
def parsed(name):
    jax.config.update("jax_enable_x64", True)
    return tpc.parse(PROGRAMS[name])


@functools.cache
def given_to(name):
    rng = np.random.default_rng(0)
    made = {}
    for item in parsed(name).inputs:
        made[item.name] = (
            rng.integers(0, item.bound, item.shape) if item.bound else rng.standard_normal(item.shape) / 2
        )
    return made


def numbers(program, name, width=4):
    """The outputs at one draw, the same for all programs of a name."""
    rng = np.random.default_rng(1)
    drawn = {}
    for group in program.gaussians:
        for vector in group.names:
            drawn[vector] = rng.standard_normal((*(n for _, n in group.axes), width))
    for matrix in program.matrices:
        drawn[matrix.name] = rng.standard_normal((*(n for _, n in matrix.axes), width, width)) / 2
    return run_plainly(program, given_to(name), drawn)


@functools.cache
def as_written(name):
    return numbers(parsed(name), name)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_whatever_is_written_out_the_numbers_are_the_same(data):
    name = data.draw(st.sampled_from(sorted(PROGRAMS.keys() - {"a function of some vectors"})))
    search = Search(parsed(name), 50)
    search.written = frozenset(data.draw(st.sets(st.sampled_from(sorted(search.candidates)))))
    if search.cost(search.written) == float("inf"):
        return
    found = numbers(verified(search.program()), name)
    for output, expected in as_written(name).items():
        np.testing.assert_allclose(found[output], expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["three inner steps", "a matrix in the middle", "written in the core"])
def test_the_limit_is_the_same(name):
    program = parsed(name)
    reordered = reassociate(program, 1000, small=0, worthwhile=float("inf"))
    assert reordered != program
    options = {} if program.compile().plan.exact else {"samples": 512, "repeats": 2}
    here, there = (values_only(p.compile(**options))(given_to(name)) for p in (program, reordered))
    for output, found in here.outputs.items():
        np.testing.assert_allclose(there.outputs[output].value, found.value, rtol=1e-9, atol=1e-11)


def cost(program, size):
    return sum(
        written_cost(op, tuple((r.variable, r.count) for r in around), size)
        for op, around in instructions(program.body)
    )


def test_a_batch_of_more_examples_than_pixels_makes_no_hidden_vectors():
    program = tpc.parse(
        HEAD
        + """train f for t < T:
    batch (xs[j[t, 0, i]], y[i]) for i < B
    loss xent
    update sgd(lr = eta)
output loss
""",
        dims={"B": 300, "N": 400, "d": 8, "T": 50},
    )
    reordered = reassociate(program, 1000)
    assert cost(reordered, 1000) < cost(program, 1000) / 5
    for op, around in instructions(reordered.body):
        if isinstance(op, Nonlin):
            assert not any(loop.count.constant == 300 for loop in around), op
        if isinstance(op, Moment):
            assert {loop.count.constant for loop in around} <= {50, 3, 8}
    assert sum(isinstance(op, For) and op.variable == "t" for op in reordered.body) == 1  # loops stay loops


def test_vectors_that_a_function_takes_are_made():
    assert not Search(parsed("a function of some vectors"), 1000).candidates


@pytest.mark.parametrize("method", ["auto", "nodes"])
def test_the_plan_of_a_reordered_program_says_why_it_is_one(method, monkeypatch):
    program = tpc.parse(
        HEAD.replace("width n\n", "width n\nvector u : n ~ N(0, 1)\nmatrix A : n x n ~ N(0, 1/n)\n")
        + """train f for t < T:
    batch (xs[j[t, 0, i]], y[i]) for i < B
    loss xent
    update sgd(lr = eta)
output loss
there = A @ tanh(u)
back = A.T @ tanh(there)
output m = mean(u*back)
""",
        dims={"B": 300, "N": 400, "T": 300},
    )  # of more rounds than covariances are tried on
    assert reassociate(program, 4096) != program
    reordered = program.compile(method=method)
    monkeypatch.setattr("tpc.plan.make_plan.reassociate", lambda program, size: program)
    written = program.compile(method=method)
    assert reordered.source != written.source
    assert reordered.plan.why == written.plan.why
    assert ("asked for" in reordered.plan.why) == (method == "nodes")


def test_a_program_that_gains_nothing_is_the_same_object():
    program = tpc.load("programs/architectures/mlp2.tp", dims={"T": 50, "d": 64})
    assert reassociate(program, 4096) is program


def test_one_hot_inputs_are_not_multiplied_out():
    program = tpc.parse("""width n
dim T = 30, B = 64, d = 500, k = 500
input eta = 0.1, j[T, B] : index(d), y[T, B] : index(k)
weight U : n x d
weight V : k x n
network f(x) = V @ (U @ x)
train f for t < T:
    batch (onehot(j[t, i]), y[t, i]) for i < B
    loss xent
    update sgd(lr = eta)
output loss
""")
    source = program.compile(method="linear").source
    assert ".at[j[t]].add(" in source
