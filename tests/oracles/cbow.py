"""CBOW with negative sampling (TP4 Sec 9.1), transcribed by hand in NumPy: of a net of finite width, or, φ
being the identity, of its limit (Algorithm 3 for two input layers, of which V starts at 0), where rows are
coefficients on U's initial ones.

Every window and every negative is gone through by itself.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cbow(words, others, near, weight, rates, decay, U, width=1, phi=lambda h: h, slope=np.ones_like):
    """U and V after all steps, of which each takes its gradients at once, from the first U [words, …].

    words: [steps, batch + 2·window]. near: what each of these has in each mean. width: what inner products
    are divided by. slope: φ'.
    """
    V = np.zeros_like(U)
    for stretch, negatives, means, weights, rate in zip(words, others, near, weight, rates, strict=True):
        dU, dV = np.zeros_like(U), np.zeros_like(V)
        window = (len(stretch) - len(means)) // 2
        for i, mean in enumerate(means):
            around = np.flatnonzero(mean)
            h = sum((mean[p] * U[stretch[p]] for p in around), np.zeros(U.shape[1]))
            back = np.zeros(U.shape[1])
            own = stretch[window + i]
            for word, label, times in (
                (own, 1, 1.0),
                *((k, 0, float(m)) for k, m in zip(negatives, weights[i], strict=True)),
            ):
                chi = times * (label - sigmoid(V[word] @ phi(h) / width))
                back += chi * V[word] * slope(h)
                dV[word] += chi * phi(h) - decay * times * V[word]
            for p in around:
                dU[stretch[p]] += mean[p] * back - decay * U[stretch[p]]
        U, V = U + rate * dU, V + rate * dV
    return U, V
