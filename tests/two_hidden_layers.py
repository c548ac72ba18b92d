"""A program that several tests and benchmarks are about."""


def trained(head: str, update: str, *, loss: str = "mse", more: str = "") -> str:
    """Two hidden layers of tanh, trained on batches.

    head: its dims and inputs, with `T`, `B`, `d`, `xi[T, B, d]`, `y[T, B]`; more: lines after `output loss`.
    """
    return f"""width n
{head}
weight U : n x d
weight W : n x n
weight V : 1 x n
network f(x) = V @ tanh(W @ tanh(U @ x))
train f for t < T:
    batch (xi[t, i], y[t, i]) for i < B
    loss {loss}
    update {update}
output loss
{more}"""
