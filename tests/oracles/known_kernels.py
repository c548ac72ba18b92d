"""Networks whose NNGP and NTK are known, in the language: those of `nt_values.npz` (neural-tangents 0.6.5,
and checked in NumPy)."""

from dataclasses import dataclass

import numpy as np

OUTPUTS = """output S[i, j] = nngp(f)(X[i], X[j]) for i < N for j < N
output T[i, j] = ntk(f)(X[i], X[j]) for i < N for j < N
output Sxz[i, j] = nngp(f)(X[i], Z[j]) for i < N for j < M
output Txz[i, j] = ntk(f)(X[i], Z[j]) for i < N for j < M
"""
NAMES = {"nngp_xx": "S", "ntk_xx": "T", "nngp_xy": "Sxz", "ntk_xy": "Txz"}


@dataclass(frozen=True)
class Net:
    """text: without its outputs. inputs: the arrays A and B of `nt_values.npz`, padded as the text wants
    them."""

    text: str
    inputs: str = "vectors"

    @property
    def data(self):
        return {name: array.astype(float) for name, array in ARRAYS[self.inputs].items()}


def arrays():
    x, z = (np.random.default_rng(seed).standard_normal((n, 20)) for seed, n in ((0, 12), (1, 7)))
    images, tokens = (
        np.random.default_rng(2).standard_normal((6, 8, 8, 3)),
        np.random.default_rng(3).standard_normal((5, 6, 4)),
    )
    return {
        "vectors": {"X": x, "Z": z},
        "unit": {"X": x / 20**0.5, "Z": z / 20**0.5},
        "images": {"X": images[:4], "Z": images[4:]},
        "tokens": {"X": tokens[:3], "Z": tokens[3:]},
    }


ARRAYS = arrays()


def perceptron(phi, depth, *, scale="1", bias=False, last=True, norm=False, inputs="vectors"):
    """depth hidden layers; a bias of scale 1/2 everywhere, on the readout too if `last`; layernorm before
    every function if `norm`."""
    lines = [
        "width n",
        "dim N = 12, M = 7, d = 20",
        "input X[N, d], Z[M, d]",
        f"activation phi = {phi}",
        "weight U : n x d",
    ]
    lines += [f"weight W{k} : n x n, scale = {scale}" for k in range(2, depth + 1)] + [
        "weight V : 1 x n",
        "parametrization ntp",
    ]
    lines += [f"bias b{k} : n, scale = 1/2" for k in range(1, depth + 1) if bias] + [
        "bias c : 1, std = 1, scale = 1/2"
    ] * (bias and last)
    body, x = [], "x"
    for k in range(1, depth + 1):
        body.append(f"    h{k} = {'U' if k == 1 else f'W{k}'} @ {x}" + f" + b{k}" * bias)
        body += [f"    c{k} = h{k} - mean(h{k})", f"    g{k} = c{k}/sqrt(mean(c{k}^2))"] * norm
        body.append(f"    x{k} = phi({'g' if norm else 'h'}{k})")
        x = f"x{k}"
    return Net(
        "\n".join([*lines, "network f(x):", *body, f"    return V @ {x}" + " + c" * (bias and last)]) + "\n",
        inputs,
    )


def convolution(first, second, readout):
    """Two layers of 3 x 3 taps with zeros around, of scales `first` and `second`."""
    weight, end = {
        "gap": ("weight V : 1 x n", "V @ (sum(p < P, q < P: x2[p, q])/P^2)"),
        "flat": ("weight V[P, P] : 1 x n, scale = 1/8", "sum(p < P, q < P: V[p, q] @ x2[p, q])"),
    }[readout]
    return Net(
        f"""width n
dim N = 4, M = 2, P = 8, d = 3
input X[N, P, P, d], Z[M, P, P, d]
weight U[3, 3] : n x d, scale = {first}
weight W[3, 3] : n x n, scale = {second}
{weight}
parametrization ntp
network f(x):
    y = pad(x, 1, 1)
    h1[p, q] = sum(a < 3, b < 3: U[a, b] @ y[p+a, q+b]) for p < P for q < P
    x1 = pad(relu(h1), 1, 1)
    h2[p, q] = sum(a < 3, b < 3: W[a, b] @ x1[p+a, q+b]) for p < P for q < P
    x2 = relu(h2)
    return {end}
""",
        "images",
    )


ATTENTION = Net(
    """width n
dim N = 3, M = 2, P = 6, d = 4
input X[N, P, d], Z[M, P, d]
weight U : n x d
weight A : n x n
weight B : n x n
weight V : 1 x n
network f(x):
    h[p] = U @ x[p] for p < P
    v[p] = A @ h[p] for p < P
    w[p, q] = exp(mean(h[p]*h[q])) for p < P for q < P
    s[p] = sum(q < P: w[p, q]) for p < P
    o[p] = sum(q < P: w[p, q]*v[q])/s[p] for p < P
    z[p] = relu(B @ o[p]) for p < P
    return V @ (sum(p < P: z[p])/P)
""",
    "tokens",
)

NETS = {
    **{f"{phi}_h{depth}": perceptron(phi, depth) for phi in ("relu", "erf") for depth in (2, 3, 10)},
    **{f"relu_s2_h{depth}": perceptron("relu", depth, scale="2^(1/2)") for depth in (2, 3, 10)},
    **{f"{phi}_b05_h3": perceptron(phi, 3, bias=True) for phi in ("relu", "erf")},
    "relu_b05nolast_h3": perceptron("relu", 3, bias=True, last=False),
    **{f"{phi}_ln_h2": perceptron(phi, 2, norm=True) for phi in ("relu", "erf")},
    **{f"{phi}_h2": perceptron(phi, 2) for phi in ("gelu", "sin", "cos")},
    **{f"{phi}_h2_unit": perceptron(phi, 2, inputs="unit") for phi in ("gelu", "sin", "cos")},
    "erf_h3_unit": perceptron("erf", 3, inputs="unit"),
    "conv2_gap": convolution("1/27^(1/2)", "1/3", "gap"),
    "conv2_gap_taps": convolution("1", "1", "gap"),
    "conv2_flat": convolution("1/27^(1/2)", "1/3", "flat"),
    "conv2_flat_taps": convolution("1", "1", "flat"),
    "attn": ATTENTION,
}
