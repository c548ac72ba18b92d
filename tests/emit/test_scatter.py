"""One-hot inputs: an update touches the members of the batch, in place, and is the same as that of dense
inputs."""

import re

import numpy as np
import pytest

import tpc

TEXT = """width n
dim T = 6, d = 5, B = 4
{inputs}
input q[t < T, B] : index(3)
input eta = 0.5
weight U : n x d
weight V : 3 x n
parametrization mup
network f(x) = V @ {features}
train f for t < T:
    batch ({x}, q[t, i]) for i < B
    loss xent
    update sgd(lr = eta{options})
output loss[t] for t < T
"""
SPARSE, DENSE = ("input j[t < T, B] : index(d)", "onehot(j[t, i])"), ("input x[t < T, B, d]", "x[t, i]")


@pytest.mark.parametrize("features", ["(U @ x)", "tanh(U @ x)"])
@pytest.mark.parametrize("options", ["", ", decay = 0.1", ", momentum = 0.9", ", clip = 0.1, decay = 0.1"])
def test_equals_dense_inputs(options: str, features: str) -> None:
    """Members that a batch has twice get both updates."""
    sparse, dense = (
        tpc.parse(TEXT.format(inputs=inputs, x=x, options=options, features=features))
        for inputs, x in (SPARSE, DENSE)
    )
    rng = np.random.default_rng(0)
    j, q = rng.integers(0, 5, (6, 4)), rng.integers(0, 3, (6, 4))
    j[2] = [1, 1, 1, 3]
    given = {} if features == "(U @ x)" else {"samples": 256, "repeats": 2}
    a = sparse.compile(**given)({"j": j, "q": q})["loss"].value
    b = dense.compile(**given)({"x": np.eye(5)[j], "q": q})["loss"].value
    assert np.abs(a - b).max() < 1e-12


def test_no_array_over_members_is_made_to_update_a_few() -> None:
    text = TEXT.format(inputs=SPARSE[0], x=SPARSE[1], options="", features="(U @ x)")
    module = tpc.parse(text).compile().source
    round_t = module[module.index("def round_t") : module.index("lax.fori_loop", module.index("def round_t"))]
    assert "U_t1 = U_t1.at[j[t]].add(" in round_t
    assert "arange(5)" not in round_t


def test_only_indices_are_scattered() -> None:
    """The same `where` of an input that need not be an integer stays as it is written."""
    text = """width n
dim d = 4
input j, k[1] : index(d)
vector u[a < d] : n ~ N(0, 1)
x[a] = u[a] + where(a <= {0}, where(a >= {0}, 1, 0), 0)*u[0] for a < d
output m[a] = mean(x[a]*u[0]) for a < d
"""
    real, index = (tpc.parse(text.format(name)) for name in ("j", "k[0]"))
    assert not re.search(r"\.add\(", real.compile().source)
    assert re.search(r"\.add\(", index.compile().source)
    assert np.abs(real.compile()({"j": 2.5, "k": [2]})["m"].value - [1, 0, 0, 0]).max() < 1e-12
    assert np.abs(index.compile()({"j": 2.5, "k": [2]})["m"].value - [1, 0, 1, 0]).max() < 1e-12
