"""Families of matrices: every member has room for what it meets, and a member that is named by numbers is a
matrix of its own."""

from collections import Counter
from itertools import product

import numpy as np
import pytest

import tpc
from tests.values import values_only
from tpc.core.expr import Gather
from tpc.core.program import For, MatMul
from tpc.plan.gaussians import lay_out
from tpc.plan.matrix_members import taken_apart
from tpc.plan.structure import structure


def net(depth, *, family, residual=False, rounds=2, square=False):
    """A network of so many layers, its weights a family or each of its own name."""
    weights = (
        [f"weight W[l < {depth}] : n x n"] if family else [f"weight W_{k} : n x n" for k in range(depth)]
    )
    layers = []
    for k in range(depth):
        weight = f"W[{k}]" if family else f"W_{k}"
        layers.append(f"    h{k + 1} = " + f"h{k} + " * residual + f"({weight} @ tanh(h{k}))/2")
    return "\n".join(
        [
            "width n",
            f"dim T = {rounds}",
            "input x[T] = 1/2, y[T] = 1, eta = 0.5",
            "weight U : n x 1",
            *weights,
            "weight V : 1 x n",
            "network f(x):",
            "    h0 = U @ x",
            *layers,
            f"    return V @ h{depth}",
            "train f for t < T:",
            "    batch (x[t], y[t])",
            "    loss mse",
            "    update sgd(lr = eta)",
            "output loss",
            "output g = f(x[0])",
        ]
    )


def met(program, data=()):
    """How often each member of each side is multiplied, by running all loops. data: of inputs that are used
    as indices."""
    found, data = Counter(), dict(data)

    def run(body, at):
        for op in body:
            if isinstance(op, For):
                for k in range(op.count.at(at)):
                    run(op.body, {**at, op.variable: k})
            elif isinstance(op, MatMul):
                index = [
                    int(data[i.input][tuple(j.at(at) for j in i.index)])
                    if isinstance(i, Gather)
                    else i.at(at)
                    for i in op.matrix.index
                ]
                found[op.matrix.name, op.transposed, *index] += 1

    run(program.body, {})
    return found


def capacity(program):
    return lay_out(program, {}, None).capacity


@pytest.mark.parametrize(("depth", "residual"), [(2, False), (3, True)])
def test_a_family_has_the_gaussians_of_separate_weights_and_their_numbers(depth, residual):
    one, other = (
        values_only(
            tpc.parse(net(depth, family=family, residual=residual)).compile(
                method="nodes", samples=256, repeats=2
            )
        )
        for family in (True, False)
    )
    # U, V; for each layer T + 1 products, T with its transpose
    assert one.plan.gaussians == other.plan.gaussians == 2 + depth * (2 + 1 + 2)
    assert one.plan.memory == other.plan.memory
    a, b = one({}), other({})
    for name in ("loss", "g"):
        assert np.array_equal(a[name].value, b[name].value)
        assert np.array_equal(a[name].stderr, b[name].stderr)


def test_a_network_that_loops_over_its_layers():
    """The loop of a `network` over the members of a family is written out, so that each member is a matrix of
    its own."""
    text = """width n
dim T = 3, L = 7
input x[T] = 1, y[T] = 1
weight U : n x 1
weight W[l < L] : n x n
weight V : 1 x n
network f(x):
    h[0] = U @ x
    for l < L:
        h[l+1] = h[l] + (W[l] @ tanh(h[l]))/L^(1/2)
    return V @ h[L]
train f for t < T:
    batch (x[t], y[t])
    loss mse
    update sgd(lr = 1)
output loss
output g = f(x[0])"""
    plan = tpc.parse(text).compile(method="nodes").plan
    assert list(plan.layout.members.values()) == [1] * 7
    assert plan.gaussians == 2 + 7 * 7


HEAD = """width n
dim L = 3
vector a : n ~ N(0, 1)
vector c[i < 4] : n ~ N(0, 1)
input j[4] : index(L)
matrix A[l < L] : n x n ~ N(0, 1/n)
matrix B[l < L, k < 2] : n x n ~ N(0, 1/n)
"""
BODIES = {
    "a loop over members": "h[0] = a\nfor l < L:\n    h[l+1] = tanh(A[l] @ h[l])\noutput m = mean(h[L]^2)",
    "a loop over some, and one by name": "h[0] = a\n"
    "for l < 2:\n"
    "    h[l+1] = tanh(A[l+1] @ h[l])\n"
    "g = A[0] @ h[2]\n"
    "output m = mean(g^2)",
    "more of one": "h[0] = a\n"
    "for l < L:\n"
    "    h[l+1] = tanh(A[l] @ h[l])\n"
    "for i < 4:\n"
    "    g[i] = A[1] @ c[i]\n"
    "output m = mean(h[L]^2)\n"
    "output o[i] = mean(g[i]^2) for i < 4",
    "more of the first": "h[0] = a\n"
    "for l < L:\n"
    "    h[l+1] = tanh(A[l] @ h[l])\n"
    "for i < 4:\n"
    "    g[i] = A[0] @ c[i]\n"
    "output m = mean(h[L]^2)\n"
    "output o[i] = mean(g[i]^2) for i < 4",
    "in reverse, transposed": "h[0] = a\n"
    "for l < L:\n"
    "    h[l+1] = tanh(A[l] @ h[l])\n"
    "g[0] = h[L]\n"
    "for l < L:\n"
    "    g[l+1] = tanh(A[L-1-l].T @ g[l])\n"
    "output m = mean(g[L]^2)",
    "members of two indices": "for l < L:\n"
    "    for i < 4:\n"
    "        for k < 2:\n"
    "            h[l, i, k] = tanh(B[l, k] @ c[i])\n"
    "output m[l, i, k] = mean(h[l, i, k]^2) for l < L for i < 4 for k < 2",
    "one index by number": "for l < L:\n"
    "    h[l] = tanh(B[l, 0] @ a)\n"
    "    g[l] = B[l, 1] @ h[l]\n"
    "    q[l] = B[l, 1].T @ g[l]\n"
    "output m[l] = mean(q[l]^2) for l < L",
    "sums of variables": "for l < 2:\n    for i < 2:\n        h[l, i] = tanh(A[l+i] @ c[2*l+i])\n"
    "output m[l, i] = mean(h[l, i]^2) for l < 2 for i < 2",
    "recurrent": "h[0] = a\nfor t < 5:\n    h[t+1] = tanh(A[2] @ h[t])\noutput m = mean(h[5]^2)",
    "picked by data": "h[0] = a\nfor t < 4:\n    h[t+1] = tanh(A[j[t]] @ h[t])\noutput m = mean(h[4]^2)",
    "picked by data and by a loop": "for l < 4:\n    for k < 2:\n        h[l, k] = tanh(B[j[l], k] @ c[l])\n"
    "output m[l, k] = mean(h[l, k]^2) for l < 4 for k < 2",
}


@pytest.mark.parametrize("body", BODIES)
def test_room_is_for_what_the_one_that_is_multiplied_most_often_meets(body):
    program = tpc.parse(HEAD + BODIES[body])
    for own in (program, taken_apart(program)):
        room = capacity(own)
        if "data" in body:  # there are data that fill it
            runs = [met(own, {"j": np.array(j)}) for j in product(range(3), repeat=4)]
        else:
            runs = [met(own)]
        for side in room:
            assert room[side] == max(n for found in runs for key, n in found.items() if key[:2] == side), side


def test_only_what_is_named_by_numbers_is_taken_apart():
    def names(body):
        return [m.name for m in taken_apart(tpc.parse(HEAD + BODIES[body])).matrices]

    assert names("a loop over members") == ["A", "B"]
    assert names("one index by number") == ["A", "B[*,0]", "B[*,1]"]
    assert names("recurrent") == ["A[2]", "B"]
    assert names("more of one") == ["A", "B"]


def test_a_variance_that_depends_on_the_member():
    text = (
        "width n\n"
        "vector a : n ~ N(0, 1)\n"
        "matrix A[l < 3] : n x n ~ N(0, (l+1)/n)\n"
        "x = A[2] @ a\n"
        "y = A[0] @ tanh(x)\n"
        "output m = mean(x^2)\n"
        "output o = mean(y^2)"
    )
    other = text.replace(
        "matrix A[l < 3] : n x n ~ N(0, (l+1)/n)",
        "matrix C : n x n ~ N(0, 3/n)\nmatrix D : n x n ~ N(0, 1/n)",
    )
    other = other.replace("A[2]", "C").replace("A[0]", "D")
    one, two = (
        values_only(tpc.parse(t).compile(method="nodes", samples=512, repeats=2))({}) for t in (text, other)
    )
    assert one["m"].value == two["m"].value == pytest.approx(3, abs=0.3)
    assert one["o"].value == two["o"].value


def test_rounds_that_do_not_meet_share_room():
    """Products in a round of a loop that is run at once: what one round meets of one member, not what all
    rounds do."""
    text = (
        "width n\n"
        "dim L = 3, N = 5\n"
        "vector a[i < N] : n ~ N(0, 1)\n"
        "matrix A[l < L] : n x n ~ N(0, 1/n)\n"
        "for i < N:\n"
        "    h[i, 0] = a[i]\n"
        "    for l < L:\n"
        "        h[i, l+1] = tanh(A[l] @ h[i, l])\n"
        "output m[i] = mean(h[i, L]^2) for i < N"
    )
    program = tpc.parse(text)
    parts = structure(program)
    layout = lay_out(program, parts.confined, None)
    assert {**layout.capacity, **layout.extra} == {("A", False): 1 if layout.extra else 5}
