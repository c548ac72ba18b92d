"""Small programs with what the shipped ones have little of: trainings by every optimizer, rules of one's own,
tables, checks; and the examples of the documents."""

from __future__ import annotations

from tests.documents.test_examples import BLOCK, ROOT

TRAINED = """width n
dim T = 2, B = 2, d = 2
input xi[T, B, d] = 1, y[T, B] = 1, eta[T] = 1/2
weight U : n x d
weight W : n x n, std = 3/2
weight V : 1 x n
bias b : n
{rule}network f(x) = V @ tanh(W @ tanh(U @ x + b))
train f for t < T:
    batch (xi[t, i], y[t, i]) for i < B
    loss {loss}
{updates}output loss
output after[t] = f[t](xi[0, 0]) for t < T + 1
"""
RULE = """optimizer mine(beta = 0.9, eps = 1e-3):
    m = beta*m + (1 - beta)*g
    v = max(beta*v, abs(g))
    return over(m, v + eps)/(t + 1)
"""
UPDATES = (
    ("mse", ("adam(lr = eta, beta1 = 0.5, beta2 = 0.9, eps = 0.1)",)),
    ("huber", ("adam(lr = 0.1, eps = 0.1, root = 1, clip = 1)",)),
    (
        "logistic",
        ("adamw(lr = eta, decay = 0.1, limit = 1) of W", "lion(lr = 0.1) of U, b", "sgd(lr = 1) otherwise"),
    ),
    (
        "mse",
        (
            "nadam(lr = 0.1, eps = 0.1) of W",
            "adamax(lr = 0.1, eps = 0.1) of b",
            "adagrad(lr = 0.1, eps = 1) otherwise",
        ),
    ),
    ("mse", ("adadelta(lr = eta, rho = 0.5, eps = 0.1) of W, V", "rprop(lr = 0.1, max_step = 2) otherwise")),
    ("mse", ("rmsprop(lr = 0.1, eps = 0.1, momentum = 0.5)",)),
    ("huber", ("signsgd(lr = eta, momentum = 0.9, eps = 0.5, limit = 1/2)",)),
    ("mse", ("mine(lr = 0.1, limit = 1) of W", "mine(lr = eta, beta = 1/2) otherwise")),
    ("mse", ("shampoo(lr = eta, eps = 0.1, beta = 0.9)", "adam(lr = 0.1, eps = 0.1) otherwise")),
    ("mse", ("muon(lr = eta, decay = 0.1, clip = 1)", "adam(lr = 0.1, eps = 0.1) otherwise")),
    (
        "huber",
        ("muon(lr = 0.1, momentum = 0, steps = exact) of U, W, V", "sgd(lr = 1) of b"),
    ),
    (
        "mse",
        (
            "muon(lr = 0.1, nesterov = 0, steps = 2, coefficients = [3/2, -1/2, 1/8]) of W",
            "sgd(lr = 1) otherwise",
        ),
    ),
    ("(f, y) = log(cosh(f - y))", ("sgd(lr = eta, momentum = 0.9, decay = 0.1, clip = 1)",)),
)
TABLES = """width n
width m = 2*n
dim T = 2
input chi[T] = 1, eps = 0.1
matrix W : n x m ~ N(0, 1/m)
vector x : m ~ N(0, 1)
vector v : n ~ N(0, 1)
table A[0] : n x m = 0
for t < T:
    h[t] = W @ x - A[t] @ x
    d[t] = v*tanh'(h[t])
    table G[t] : n x m = chi[t]*outer(d[t], x) + eps*outer(h[t], 1)
    table A[t+1] : n x m = 0.9*A[t] + G[t]/(abs(G[t]) + eps)
    s[t] = mean(A[t+1]^2)
    s2[t] = mean(d[t]^2)
    p[t] = mean((A[t+1].T @ d[t])*x)
    table P[t] : n x m = polar(outer(d[t], x)) + newton_schulz(outer(h[t], x), 3, 1.5, -0.5, eps)
    q[t] = mean((P[t] @ x)^2)
output s
output p
output q
output k = mean(tanh(A[T] @ x)^2)
check W : s2[t] for t < T
"""


WITHOUT = {
    "anything": "",
    "outputs": "width n\nvector v : n ~ N(0, 1)\n",
    "widths": "dim T = 2\ninput a = 1, b[3] = 2\nx[0] = a\nx[t+1] = x[t]/2 for t < T\n"
    "output x\noutput o[i] = b[i] for i < 3\n",
    "entries": "width n\ndim T = 0\ninput a = 1\nvector v : n ~ N(0, 1)\n"
    "output s[t] = a*mean(v^2) for t < T\n",
    "vectors": "width n\ninput a = 1\noutput b = a\n",
    # but such that a run only looks at
    "told": "width n\nweight U : n x 1\nweight V : 1 x n\nnetwork f(x) = V @ tanh(U @ x)\n"
    "train f for t < 2:\n    batch (1, 1)\n    loss mse\n    update signsgd(lr = 0.1)\n",
}


def written() -> list[str]:
    """The programs of this file."""
    trained = [
        TRAINED.format(
            rule=RULE * any(line.startswith("mine") for line in lines),
            loss=loss,
            updates="".join(f"    update {line}\n" for line in lines),
        )
        for loss, lines in UPDATES
    ]
    return [*trained, TABLES, *WITHOUT.values()]


def documented() -> list[str]:
    """The examples of README.md, of the language's reference and of the pages."""
    pages = [
        ROOT / "README.md",
        ROOT / "programs" / "README.md",
        *sorted((ROOT / "tpc" / "docs").glob("*.md")),
    ]
    return [text for page in pages for text in BLOCK.findall(page.read_text(encoding="utf-8"))]
