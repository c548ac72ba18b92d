"""Programs to classify."""

from functools import cache

import tpc
from tpc.scaling.classify import training_of

TRAIN = "train f for t < T:\n    batch (xi[t], y[t])\n    loss mse\n    update sgd(lr = eta)\noutput loss\n"
HEAD = "width n\ndim T = 3, d = 2\ninput eta = 0.5, xi[t < T, d] = 1, y[t < T] = -1\n"


def mlp(depth, activation="tanh"):
    """An MLP with `depth` hidden layers."""
    weights = [
        "weight W1 : n x d",
        *(f"weight W{k} : n x n" for k in range(2, depth + 1)),
        f"weight W{depth + 1} : 1 x n",
    ]
    body = ["    x0 = xi"]
    for k in range(1, depth + 1):
        body += [f"    h{k} = W{k} @ x{k - 1}", f"    x{k} = {activation}(h{k})"]
    return (
        HEAD
        + "\n".join([*weights, "network f(xi):", *body, f"    return W{depth + 1} @ x{depth}"])
        + "\n"
        + TRAIN
    )


@cache
def training(text):
    return training_of(tpc.parse(text).source)
