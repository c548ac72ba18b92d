"""Programs that are as deep as asked for, of every kind that a front end goes through line by line."""


def lines(*parts: str) -> str:
    return "\n".join(parts) + "\n"


def chain(length: int, *, step: str = "tanh(W @ {x})") -> str:
    """Vectors made one from another by one matrix."""
    made = [f"x{k + 1} = {step.format(x=f'x{k}')}" for k in range(length)]
    return lines(
        "width n",
        "matrix W : n x n ~ N(0, 1/n)",
        "vector x0 : n ~ N(0, 1)",
        *made,
        f"output q = mean(x{length}^2)",
    )


def there_and_back(length: int) -> str:
    """A product with the transpose after each with the matrix, so that every Ż has terms."""
    made = [f"x{k + 1} = tanh(W{'.T' * (k % 2)} @ x{k})" for k in range(length)]
    return lines(
        "width n",
        "matrix W : n x n ~ N(0, 1/n)",
        "vector x0 : n ~ N(0, 1)",
        *made,
        f"output q = mean(x{length}^2)",
    )


def outputs(count: int) -> str:
    return lines(
        "width n", "vector v : n ~ N(0, 1)", *(f"output q{k} = mean(v^2) + {k}" for k in range(count))
    )


def network(body: list[str], uses: list[str], *, weights: tuple[str, ...] = ()) -> str:
    declared = ("width n", "dim T = 2", "weight U : n x 1", *weights, "weight V : 1 x n")
    return lines(*declared, "network f(ξ):", *(f"    {line}" for line in body), *uses)


TRAINED = [
    "train f for t < T:",
    "    batch (1, 1)",
    "    loss mse",
    "    update sgd(lr = 1/2)",
    "output loss",
]
KERNEL = ["output S = nngp(f)(1, 1)", "output K = ntk(f)(1, 1)"]


def plain(depth: int, uses: list[str]) -> str:
    body = [
        "h[0] = U @ ξ",
        f"for l < {depth}:",
        "    h[l+1] = W[l] @ tanh(h[l])",
        f"return V @ tanh(h[{depth}])",
    ]
    return network(body, uses, weights=(f"weight W[l < {depth}] : n x n",))


def separate(depth: int, uses: list[str]) -> str:
    """The same with a line and a weight for every layer."""
    body = [
        "x0 = tanh(U @ ξ)",
        *(f"x{k + 1} = tanh(W{k} @ x{k})" for k in range(depth)),
        f"return V @ x{depth}",
    ]
    return network(body, uses, weights=tuple(f"weight W{k} : n x n" for k in range(depth)))


def residual(depth: int, uses: list[str]) -> str:
    body = [
        "h[0] = U @ ξ",
        f"for l < {depth}:",
        "    h[l+1] = h[l] + A[l] @ tanh(B[l] @ h[l])",
        f"return V @ tanh(h[{depth}])",
    ]
    return network(
        body, uses, weights=(f"weight A[l < {depth}] : n x n, std = 1/8", f"weight B[l < {depth}] : n x n")
    )


def recurrent(depth: int, uses: list[str]) -> str:
    """One matrix at all times, and a gate."""
    body = [
        "s[0] = tanh(U @ ξ)",
        f"for l < {depth}:",
        "    z[l] = sigmoid(G @ s[l])",
        "    s[l+1] = z[l]*s[l] + (1 - z[l])*tanh(R @ s[l])",
        f"return V @ s[{depth}]",
    ]
    return network(body, uses, weights=("weight R : n x n", "weight G : n x n"))


def normalised(depth: int, uses: list[str]) -> str:
    """Batch normalisation over four positions in every layer."""
    body = [
        "y[0, i] = (U @ ξ)*(i + 1) for i < 4",
        f"for l < {depth}:",
        "    m[l] = sum(i < 4: y[l, i])/4",
        "    v[l] = sum(i < 4: (y[l, i] - m[l])^2)/4",
        "    y[l+1, i] = W[l] @ ((y[l, i] - m[l])/sqrt(v[l] + 1)) for i < 4",
        f"return V @ y[{depth}, 0]",
    ]
    return network(body, uses, weights=(f"weight W[l < {depth}] : n x n",))


def attentive(depth: int, uses: list[str]) -> str:
    """Scores that are means of products, and sums over positions."""
    body = [
        "x[0, p] = (U @ ξ)*(p + 1) for p < 2",
        f"for l < {depth}:",
        "    q[l, p] = Q[l] @ x[l, p] for p < 2",
        "    c[l, p, r] = mean(q[l, p]*(K[l] @ x[l, r])) for p < 2 for r < 2",
        "    x[l+1, p] = x[l, p] + sum(r < 2: tanh(c[l, p, r])*x[l, r])/2 for p < 2",
        f"return V @ x[{depth}, 0]",
    ]
    return network(body, uses, weights=(f"weight Q[l < {depth}] : n x n", f"weight K[l < {depth}] : n x n"))


def read_along(depth: int, uses: list[str]) -> str:
    """Readouts added up from line to line."""
    body = [
        "x = tanh(U @ ξ)",
        "y[0] = V @ x",
        f"for l < {depth}:",
        "    y[l+1] = y[l]/2 + V @ x",
        f"return y[{depth}]",
    ]
    return network(body, uses)


NETWORKS = (plain, separate, residual, recurrent, normalised, attentive, read_along)
