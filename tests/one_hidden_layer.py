"""A program of one hidden layer of tanh, which several tests are about."""


def trained(steps: int, label: int, *, head: str = "", more: str = "") -> str:
    """Trained on one example at a time, all 1 with this label, at the rate 1/2.

    head: lines before the weights; more: lines after `output loss`.
    """
    return f"""width n
dim T = {steps}
input x[t < T] = 1, y[t < T] = {label}
{head}weight U : n x 1
weight V : 1 x n
network f(x) = V @ tanh(U @ x)
train f for t < T:
    batch (x[t], y[t])
    loss mse
    update sgd(lr = 1/2)
output loss
{more}"""
