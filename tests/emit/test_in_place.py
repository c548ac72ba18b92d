"""What a loop carries, the directions that matrices have met, and histories, is written where it is."""

import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tests.two_hidden_layers import trained
from tpc.emit.helpers import bases, batches

SAMPLES = 1024  # fewer are copied together with what they are used for
ONE = """
width n
dim T = 200
matrix W : n x n ~ N(0, 1/n)
vector u : n ~ N(0, 1)
x[0] = u
for t < T:
    h[t] = W @ x[t] + sum(s < t: mean(x[s]*x[t])*x[s])/100
    b[t] = W.T @ tanh(h[t])
    x[t+1] = tanh(x[t] + b[t])
output m = mean(x[T]^2)
"""
FAMILY = """
width n
dim T = 200, L = 2
matrix W[l < L] : n x n ~ N(0, 1/n)
vector u : n ~ N(0, 1)
x[0, 0] = u
for t < T:
    for l < L:
        h[t, l] = W[l] @ x[t, l]
        x[t, l+1] = tanh(h[t, l] + x[t, l])
    for l < L:
        b[t, l] = W[l].T @ (h[t, l]*x[t, l])
    x[t+1, 0] = tanh(x[t, 0] + b[t, 0] + b[t, 1])
output m = mean(x[T, 0]^2)
"""
BATCHES = trained("dim T = 60, B = 4, d = 3\ninput xi[T, B, d], y[T, B], eta", "sgd(lr = eta)")


@pytest.mark.parametrize("text", [ONE, FAMILY, BATCHES], ids=["one", "family", "batches"])
def test_nothing_that_a_loop_carries_is_copied(text: str) -> None:
    """Of arrays with many vectors at all points none is copied in a round, which took half of its time."""
    module = types.ModuleType("made")
    exec(tpc.parse(text).compile(method="nodes", samples=SAMPLES, repeats=2).source, module.__dict__)
    inputs = {name: np.ones(shape) for name, (shape, _) in module.INPUTS.items()}
    points = [jnp.asarray(a) for a in module.draw(0, 0, SAMPLES)]
    compiled = jax.jit(module.limit).lower(inputs, *points).compile().as_text()
    assert "dynamic-update-slice" in compiled
    copied = rf"f64\[(?:\d+,)*\d\d+,{SAMPLES}\]\S* copy\(%get-tuple-element\S*\)"
    assert not re.findall(copied, compiled)


def shapes(jaxpr):
    """Of all that is computed, in loops and branches, too."""
    for equation in jaxpr.eqns:
        yield from (out.aval.shape for out in equation.outvars)
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "jaxpr")):
            inner = getattr(inner, "jaxpr", inner)
            yield from shapes(inner) if hasattr(inner, "eqns") else ()


@pytest.mark.parametrize("rows", [None, 2])
def test_rounds_side_by_side_share_what_was_met_before_them(rows):
    """Each meets directions of its own besides, and none has a copy of those that are there."""
    rounds, points = 7, 16
    random = np.random.default_rng(0)
    weights = jnp.full(points, 1 / points)
    shared = bases.basis(jnp.asarray(random.standard_normal((150, points))))

    def turn(x, gaussians):
        chain = (shared, bases.basis(gaussians))
        product = bases.multiply if rows is None else batches.multiply_all
        return product(chain, (), x, 1, 1, weights, 1e-8)[0]

    x = jnp.asarray(random.standard_normal((rounds, *([] if rows is None else [rows]), points)))
    found = jax.make_jaxpr(jax.vmap(turn))(x, jnp.asarray(random.standard_normal((rounds, 4, points))))
    copied = {(rounds, *block.shape) for block in shared.p}
    assert not copied & set(shapes(found.jaxpr))
