"""First-order MAML in the kernel regime, transcribed by hand: Algorithm 4 of TP4, with a kernel and a growing
list of drawings and coefficients, and for a linear kernel the same in its weights."""

import numpy as np


def relu_kernels(x, z, scales, stds=(1, 1, 1)):
    """What training follows of `f = V relu(U x + b)` in the NTK parametrization: of the readout alone, and of
    all weights. scales: in front of U, V and b; stds: of what these are drawn with."""
    (s, out, bias), (u, v, b) = scales, stds
    size, own_bias = (s * u) ** 2, (bias * b) ** 2
    norms = np.sqrt(np.outer(size * (x * x).sum(1) + own_bias, size * (z * z).sum(1) + own_bias))
    angle = np.arccos(np.clip((size * x @ z.T + own_bias) / norms, -1, 1))
    last = out**2 * norms * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    return last, last + (out * v) ** 2 * (s**2 * x @ z.T + bias**2) * (np.pi - angle) / (2 * np.pi)


def softmax(f):
    e = np.exp(f - f.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class Algorithm4:
    """kernel: of two arrays of drawings. y, z: the classes of those of a task to adapt to, and of its
    others."""

    def __init__(self, kernel, y, z, lr, eps, ways):
        self.kernel, self.lr, self.eps = kernel, lr, eps
        self.y, self.z = np.eye(ways)[y], np.eye(ways)[z]
        self.drawings, self.coefficients = [], []

    def f(self, x):
        if not self.drawings:
            return np.zeros((len(x), self.y.shape[1]))
        return self.kernel(x, np.concatenate(self.drawings)) @ np.concatenate(self.coefficients)

    def adapted(self, shown, x, steps):
        """The values at x of the net that has adapted to the drawings `shown`."""
        moved = np.zeros_like(self.y)
        for _ in range(steps):
            moved -= (
                self.eps * (softmax(self.f(shown) + self.kernel(shown, shown) @ moved) - self.y) / len(shown)
            )
        return self.f(x) + self.kernel(x, shown) @ moved

    def step(self, tasks):
        """tasks: pairs of drawings to adapt to and of others."""
        x = np.concatenate([query for _, query in tasks])
        chi = np.concatenate(
            [(softmax(self.adapted(shown, query, 1)) - self.z) / len(query) for shown, query in tasks]
        )
        norm = np.sqrt(np.sum(chi * (self.kernel(x, x) @ chi)))
        self.drawings.append(x)
        self.coefficients.append(-self.lr * min(1, 0.5 / norm) * chi)


class LinearClassifier:
    """f = W √c (ξ, b), the weights W trained: in weights what Algorithm 4 is with the kernel c (ξ·ξ' + b²). A
    task's weights are made as they are."""

    def __init__(self, c, b, y, z, lr, eps, ways, pixels):
        self.c, self.b, self.lr, self.eps = c, b, lr, eps
        self.y, self.z = np.eye(ways)[y], np.eye(ways)[z]
        self.weights = np.zeros((ways, pixels + 1))

    def features(self, x):
        return self.c**0.5 * np.concatenate([x, np.full((len(x), 1), self.b)], axis=1)

    def f(self, x):
        return self.features(x) @ self.weights.T

    def gradient(self, weights, x, labels):
        """Of the mean cross-entropy."""
        inputs = self.features(x)
        return (softmax(inputs @ weights.T) - labels).T @ inputs / len(x)

    def adapted(self, shown, x, steps):
        weights = self.weights
        for _ in range(steps):
            weights = weights - self.eps * self.gradient(weights, shown, self.y)
        return self.features(x) @ weights.T

    def step(self, tasks):
        total = 0
        for shown, query in tasks:
            own = self.weights - self.eps * self.gradient(self.weights, shown, self.y)
            total = total + self.gradient(own, query, self.z)
        self.weights = self.weights - self.lr * min(1, 0.5 / np.linalg.norm(total)) * total
