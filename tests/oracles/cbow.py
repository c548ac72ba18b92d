"""CBOW with negative sampling at infinite width (Algorithm 3 of TP4 for two input layers, of which V starts at 0), transcribed by hand in NumPy.

U and V are arrays of coefficients on U's initial rows; every window and every negative is gone through by itself.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cbow(words, others, near, weight, rates, decay, size):
    """U and V [size, size] after all steps, of which each takes its gradients at once. words: [steps, batch + 2·window]; near: what each has in each mean."""
    U, V = np.eye(size), np.zeros((size, size))
    for stretch, negatives, means, weights, rate in zip(words, others, near, weight, rates, strict=True):
        dU, dV = np.zeros_like(U), np.zeros_like(V)
        window = (len(stretch) - len(means)) // 2
        for i, mean in enumerate(means):
            around = np.flatnonzero(mean)
            h = sum((mean[p] * U[stretch[p]] for p in around), np.zeros(size))
            back = np.zeros(size)
            own = stretch[window + i]
            for word, label, times in ((own, 1, 1.0), *((k, 0, float(m)) for k, m in zip(negatives, weights[i], strict=True))):
                chi = times * (label - sigmoid(V[word] @ h))
                back += chi * V[word]
                dV[word] += chi * h - decay * times * V[word]
            for p in around:
                dU[stretch[p]] += mean[p] * back - decay * U[stretch[p]]
        U, V = U + rate * dU, V + rate * dV
    return U, V
