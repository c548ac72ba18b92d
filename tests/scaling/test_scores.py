"""Scores over √n: √n times means of products with matrices, whose law given all else is Gaussian as long as
nothing else is made of a matrix.

Four random programs in the suite; `TPC_RANDOM=50 pytest tests/scaling/test_scores.py` takes 50.
"""

import os

import numpy as np
import pytest

import tpc

COUNT, WIDTH, SEEDS = int(os.environ.get("TPC_RANDOM", "4")), 96, 1500
PHI = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0), "sin": np.sin}
HEAD = """width n
dim s = 3
input w[s]
vector x[i < s] : n ~ N(0, 1)
vector c : n ~ N(0, 1)
matrix Q : n x n ~ N(0, 1/n)
matrix K : n x n ~ N(0, 2/n)
y[i] = x[i] + w[i]*c for i < s
"""


def random_scores(seed):
    """Scores between tokens that are correlated, maybe of nonlinear keys, beside others with the same
    queries; and what they are, in NumPy."""
    r = np.random.default_rng(seed)
    key, side = str(r.choice(list(PHI))), str(r.choice(["", ".T"]))
    w, first = r.standard_normal(3), bool(r.random() < 0.5)
    product = f"(Q{side} @ y[i])*(K @ {key}(y[j]))" if first else f"(K @ {key}(y[j]))*(Q{side} @ y[i])"
    text = HEAD + (
        f"p[i, j] = n^(1/2)*mean({product}) for i < s for j < s\n"
        f"q[i] = n^(1/2)*mean((Q{side} @ y[i])*x[0]) for i < s\n"
        "output p\n"
        "output q\n"
        "output pq = p[0, 1]*q[1]\n"
        "output pp = p[0, 1]*p[2, 1]\n"
    )

    def at_width(generator):
        n = WIDTH
        x, c = generator.standard_normal((n, 3)), generator.standard_normal((n, 1))
        Q, K = generator.standard_normal((2, n, n)) / n**0.5 * np.array([1, 2**0.5])[:, None, None]
        y = x + w * c
        queries, keys = (Q.T if side else Q) @ y, K @ PHI[key](y)
        p, q = queries.T @ keys / n**0.5, queries.T @ x[:, 0] / n**0.5
        return {"p": p, "q": q, "pq": p[0, 1] * q[1], "pp": p[0, 1] * p[2, 1]}

    return text, w, at_width


@pytest.mark.parametrize("seed", range(COUNT))
def test_scores_are_gaussian_with_the_covariance_of_what_is_multiplied(seed):
    text, w, at_width = random_scores(seed)
    found = tpc.parse(text).derive().compile(initial="integrate")({"w": w})
    generator = np.random.default_rng(seed)
    drawn = [at_width(generator) for _ in range(SEEDS)]
    for name in ("p", "q", "pq", "pp"):
        values = np.stack([d[name] for d in drawn])
        error = values.std(axis=0) / SEEDS**0.5
        assert np.all(np.abs(values.mean(axis=0) - found[name].value) < 5 * error + 3 / WIDTH), (text, name)
    p, spread = np.stack([d["p"] for d in drawn]), np.asarray(found["p"].std)
    assert np.all(np.abs(p.std(axis=0) / spread - 1) < 5 / (2 * SEEDS) ** 0.5 + 3 / WIDTH), text


def test_attention_with_scores_over_the_root_of_n():
    """The mean over the start is that of a computation by hand: scores that are independent N(0, 1)."""
    text = (
        "width n\n"
        "dim s = 4\n"
        "vector x[i < s] : n ~ N(0, 1)\n"
        "matrix Q : n x n ~ N(0, 1/n)\n"
        "matrix K : n x n ~ N(0, 1/n)\n"
        "matrix V : n x n ~ N(0, 1/n)\n"
        "p[j] = n^(1/2)*mean((Q @ x[0])*(K @ x[j])) for j < s\n"
        "Z = sum(j < s: exp(p[j]))\n"
        "y = V @ (sum(j < s: exp(p[j])*x[j])/Z)\n"
        "output second = mean(y^2)\n"
    )
    found = tpc.parse(text).derive().compile(initial="integrate")({})
    scores = np.exp(np.random.default_rng(0).standard_normal((400_000, 4)))
    wanted = np.mean(np.sum(scores**2, axis=1) / np.sum(scores, axis=1) ** 2)
    assert abs(found["second"].value - wanted) < 5 * found["second"].stderr
    given = tpc.parse(text).derive().compile(initial={"p0": np.array([0.0, 1.0, -1.0, 0.5])})({})
    own = np.exp([0.0, 1.0, -1.0, 0.5])
    assert found["second"].stderr < 0.01
    assert given["second"].value == pytest.approx(np.sum(own**2) / np.sum(own) ** 2, rel=1e-12)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("p = n^(1/2)*mean((Q @ y[0])*(Q @ y[1]))", "TP801", "grows like"),  # its mean is E y y'
        ("p = n^(1/2)*mean((Q @ y[0])*(Q.T @ y[1]))", "TP801", "`Q` is used otherwise"),
        ("p = n^(1/2)*mean((Q @ tanh(Q @ y[0]))*x[0])", "TP801", "`Q` is used otherwise"),
        (
            "p = n^(1/2)*mean((Q @ (K @ y[0]))*(K.T @ y[1])) + n^(1/2)*mean((K @ x[0])*tanh(c))",
            "TP801",
            "`K` is used otherwise",
        ),
        (
            "q = n^(1/2)*mean((Q @ y[0])*x[0])\np = n^(1/2)*mean((Q @ (q*x[1]))*x[0])",
            "TP803",
            "need not be Gaussian",
        ),
        (
            "p = n^(1/2)*mean((Q @ y[0])*(K @ y[1]) + (K @ y[0])*tanh(c) + (Q @ y[0])*tanh(c))",
            "TP803",
            "a matrix that is used in no other way",
        ),
    ],
)
def test_a_matrix_that_is_used_again_is_refused(line, code, said):
    with pytest.raises(tpc.TpcError) as error:
        tpc.parse(f"{HEAD}{line}\noutput p\n").derive()
    assert error.value.diagnostics[0].code == code
    assert said in str(error.value)


def test_a_matrix_whose_transpose_others_use_leaves_the_other_one_free():
    text = HEAD + "p = n^(1/2)*mean((Q @ y[0])*(K @ x[1]))\nz = K.T @ c\noutput m = mean(z^2)\noutput p\n"
    found = tpc.parse(text).derive().compile(initial="integrate")({"w": np.zeros(3)})
    assert found["p"].std == pytest.approx(2**0.5, rel=1e-9)
    assert found["m"].value == pytest.approx(2, rel=1e-9)
