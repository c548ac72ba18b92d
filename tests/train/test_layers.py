"""A `def` with means and products in it is a part of networks, as another network is."""

import tpc

HEAD = """width n
dim N = 3, T = 2
input x[N, 2], y[N]
weight U : n x 2
weight W : n x n
weight V : 1 x n
bias b : n
"""
LAYERS = """{word} norm(z):
    c = z - mean(z)
    return c/sqrt(mean(c^2) + 0.01)
{word} block(z) = z + W @ tanh(norm(z) + b)
"""
TRAINED = """network f(x) = V @ norm(block(block(U @ x)))
train f for t < T:
    batch (x[i], y[i]) for i < N
    loss mse
    update sgd(lr = 0.2)
output loss
output K[i] = ntk(f)(x[i], x[i]) for i < N
"""


def lines(text: str) -> list[str]:
    """The formulas of the limit."""
    return [str(line) for line in tpc.parse(text).derive().formulas]


def test_a_def_is_a_layer() -> None:
    network, defined = (lines(HEAD + LAYERS.format(word=word) + TRAINED) for word in ("network", "def"))
    assert network == defined
    assert any("∂" in line for line in defined)


def test_of_an_activation_and_outside_of_networks() -> None:
    made = HEAD + LAYERS.format(word="def") + "activation φ = norm\nvector v : n ~ N(0, 1)\n"
    named = lines(made + TRAINED.replace("norm(b", "φ(b") + "output m = mean(v*norm(v))\n")
    assert named[-1].startswith("m̊ = E[")
    assert len(named) > 20


def test_a_parameter_that_is_called_like_a_weight_is_none() -> None:
    text = HEAD + "{}network f(x) = V @ act(U @ x)\noutput k = ntk(f)(x[0], x[1])\n"
    assert lines(text.format("def act(W) = tanh(W)\n")) == lines(text.format("def act(s) = tanh(s)\n"))
