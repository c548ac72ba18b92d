"""Class labels of minibatches, which are read at indices that are themselves inputs."""

import numpy as np
import pytest

import tpc

TEXT = """width n
dim N = 4, B = 2, T = 2, d = 2, k = 3
input x[N, d], y[N] : index(k), pick[T, B] : index(N), xs[T, B, d], ys[T, B] : index(k)
weight U : n x d
weight V : k x n
network f(x) = V @ (U @ x)
train f for t < T:
    batch ({batch}) for i < B
    loss {loss}
    update sgd(lr = 0.5)
output loss
output g[i, c] = f(x[i])[c] for i < N for c < k
"""


@pytest.mark.parametrize("loss", ["xent", "hinge", "mse"])
def test_picked_examples_train_as_the_same_ones_given(loss):
    random = np.random.default_rng(0)
    x, y, pick = random.standard_normal((4, 2)), np.array([2, 0, 1, 2]), np.array([[3, 1], [0, 2]])
    given = {"x": x, "y": y, "pick": pick, "xs": x[pick], "ys": y[pick]}
    found = [
        tpc.parse(TEXT.format(batch=batch, loss=loss)).compile()(given)
        for batch in ("x[pick[t, i]], y[pick[t, i]]", "xs[t, i], ys[t, i]")
    ]
    assert found[0].plan.exact
    for name in ("loss", "g"):
        np.testing.assert_allclose(found[0][name].value, found[1][name].value, rtol=1e-12, atol=1e-14)


def test_an_index_in_an_index_is_refused():
    text = "width n\ninput c[4] : index(3), d[2] : index(4)\nvector x[i < 3] : n ~ N(0, 1)\n"
    with pytest.raises(tpc.TpcError, match="TP301"):
        tpc.parse(text + "output q[i] = mean(x[c[d[i]]]^2) for i < 2\n")
    program = tpc.parse(text + "output q[i] = c[d[i]]*mean(x[0]^2) for i < 2\n")
    found = program.compile()({"c": [0, 2, 1, 1], "d": [1, 3]})
    assert found["q"].value.tolist() == [2.0, 1.0]
