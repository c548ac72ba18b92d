"""The kernel regime written out in NumPy: NNGP and NTK of MLPs by quadrature, and SGD on single examples in
function space (TP4 App H.4).

f(x) = V φ(W_L … φ(U x)), every weight of standard deviation 1 in NTP. Θ(x, z) = E φ(h)φ(h') + E
φ'(h)φ'(h')·Θ_{below}, from Θ_0 = Σ_0 = x·z.
"""

import numpy as np

import tpc

TEXT = """width n
dim T = 3, d = 2, N = 2
input eta = 0.4
input xi[T, d], y[T], xs[N, d]
def id(s) = s
activation phi = PHI
weight U : n x d
WEIGHTS
weight V : 1 x n
parametrization NAME
network f(x) = V @ phi(BODY)
train f for t < T:
    batch (xi[t], y[t])
    loss mse
    update sgd(lr = eta)
output loss
output first[t] = f[0](xi[t]) for t < T
output start[i] = f[0](xs[i]) for i < N
output end[i] = f(xs[i]) for i < N
"""


def program(layers, phi, name="ntp", **dims):
    """An MLP and its training, in a parametrization; with the initial function at the data and after
    training."""
    body, weights = "U @ x", []
    for k in range(1, layers):
        body = f"W{k} @ phi({body})"
        weights.append(f"weight W{k} : n x n")
    text = (
        TEXT.replace("PHI", phi)
        .replace("WEIGHTS\n", "".join(f"{w}\n" for w in weights))
        .replace("BODY", body)
        .replace("NAME", name)
    )
    return tpc.parse(text, dims=dims)


def expectations(phi, dphi, table, nodes):
    """E φ(u)φ(v) and E φ'(u)φ'(v) for the Gaussians of covariance `table`, [N, N] each, by Gauss–Hermite in
    two dimensions."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    w = w / w.sum()
    a, b = np.meshgrid(x, x, indexing="ij")
    weights = np.outer(w, w)
    out = np.empty((2, *table.shape))
    for i in range(len(table)):
        for j in range(len(table)):
            s, t = np.sqrt(table[i, i]), np.sqrt(table[j, j])
            rho = np.clip(table[i, j] / (s * t), -1, 1)
            u, v = s * a, t * (rho * a + np.sqrt(1 - rho**2) * b)
            out[:, i, j] = (weights * phi(u) * phi(v)).sum(), (weights * dphi(u) * dphi(v)).sum()
    return out


def arccosine(table):
    """The same for relu, in closed form."""
    s = np.sqrt(np.diag(table))
    norms = np.outer(s, s)
    angle = np.arccos(np.clip(table / norms, -1, 1))
    return norms * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi), (np.pi - angle) / (
        2 * np.pi
    )


def kernels(x, layers, activation, nodes=200):
    """NNGP and NTK of the inputs `x` [N, d]. activation: "relu", or a function and its derivative."""
    sigma = theta = x @ x.T
    for _ in range(layers):
        sigma, slope = arccosine(sigma) if activation == "relu" else expectations(*activation, sigma, nodes)
        theta = sigma + slope * theta
    return sigma, theta


def descent(theta, f0, train, y, eta):
    """SGD on squared loss, one example a step: f before every step and at the end, [T + 1, N]. train: which
    of the N inputs a step takes."""
    f = [np.array(f0, dtype=float)]
    for t, i in enumerate(train):
        f.append(f[-1] - eta * (f[-1][i] - y[t]) * theta[:, i])
    return np.array(f)
