"""`nngp(f)` and `ntk(f)`: at finite width the empirical kernels of dense networks, by `jax.jacobian`; in the
limit, neural-tangents' values.

Ten random networks in the suite; `TPC_NETWORKS=200 pytest tests/train/test_kernels.py` takes 200.
"""

import os
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tests.bench.kernels_monte_carlo import PROGRAMS, limit, monte_carlo
from tests.simulate.plain import run_plainly
from tests.train.random_networks import random_network
from tpc.core.inputs import bind_inputs

COUNT, WIDTH = int(os.environ.get("TPC_NETWORKS", "10")), 8
SIZES = {"n": WIDTH, "m": 2 * WIDTH, "r": WIDTH // 2, "N": 2, "P": 3, "d": 2, "k": 3}
HEAD = """width n
width m = 2*n
width r = n/2
dim N = 2, P = 3, d = 2, k = 3
input xs[N, P, d]
"""


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


@dataclass(frozen=True)
class Net:
    """body: of the network in the language. forward: the same on dense weights W and one input x [P, d]; of
    one unit, where outputs are alike.

    weights: sides by name, (rows, columns), columns None for a bias. attributes: std, scale, lr, "frozen" by
    weight. positions: axes of the output.
    """

    weights: dict[str, tuple[Any, Any]]
    body: str
    forward: Any
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)
    positions: int = 0
    families: dict[str, tuple[int, ...]] = field(default_factory=dict)
    before: str = ""

    def text(self):
        lines = []
        for name, (rows, columns) in self.weights.items():
            options = "".join(
                ", frozen" if k == "frozen" else f", {k} = {value}"
                for k, value in self.attributes.get(name, {}).items()
            )
            axes = f"[{', '.join(map(str, self.families[name]))}]" if name in self.families else ""
            lines.append(
                (
                    f"bias {name}{axes} : {rows}"
                    if columns is None
                    else f"weight {name}{axes} : {rows} x {columns}"
                )
                + options
            )
        body = "\n".join(f"    {line}" for line in self.body.strip().splitlines())
        own, loops = (", p, q", " for p < P for q < P") if self.positions else ("", "")
        at = "[p, q]" if self.positions else ""
        ends = [
            f"output {name}[i, j{own}] = {kernel}(f)(xs[i], xs[j]){at} for i < N for j < N{loops}\n"
            for name, kernel in (("S", "nngp"), ("T", "ntk"))
        ]
        return HEAD + "\n".join([*lines, f"{self.before}network f(x):", body, *ends])


def tanh(x):
    return jnp.tanh(x)


def relu(x):
    return jnp.maximum(x, 0)


def recurrent(W, x):
    h = tanh(W["U"] @ x[0] + W["b"])
    for p in (1, 2):
        h = tanh(W["W"] @ h + W["U"] @ x[p] + W["b"])
    return W["V"] @ h + W["c"]


def layer_norm(W, x):
    h = W["W"] @ relu(W["U"] @ x[0] + W["b"])
    z = (h - h.mean()) / jnp.sqrt(((h - h.mean()) ** 2).mean())
    return W["V"] @ tanh(z)


def attention(W, x):
    h = tanh(x @ W["U"].T)
    q, key, v = h @ W["Q"].T, h @ W["K"].T, h @ W["A"].T
    z = jax.nn.softmax((q @ key.T) / h.shape[1], axis=1) @ v
    return W["V"] @ jnp.mean(tanh(z + h), axis=0)


def padded(W, x):
    around = jnp.pad(x, ((1, 1), (0, 0)))
    h = jnp.pad(tanh(around[:3] @ W["U"][0].T) + tanh(around[2:] @ W["U"][1].T), ((1, 1), (0, 0)))
    z = tanh(sum(h[s : s + 3] @ W["W"][s].T for s in range(3)) + W["b"])
    return (W["V"] * z).sum() + W["c"][0] - W["c"][1]


def batch_norm(W, x):
    h = relu(x @ W["U"].T) @ W["W"].T
    c = h - h.mean(axis=0)
    return tanh(c / jnp.sqrt((c**2).mean(axis=0) + 0.5)) @ W["V"] + W["c"]


NETS = {
    "deep": Net(
        {"U": ("n", "d"), "b": ("n", None), "W": ("n", "n"), "R": ("n", "n"), "c": (1, None), "V": (1, "n")},
        "return V @ tanh(R @ relu(W @ tanh(U @ x[0] + b))) + c",
        lambda W, x: W["V"] @ tanh(W["R"] @ relu(W["W"] @ tanh(W["U"] @ x[0] + W["b"]))) + W["c"],
        {
            "W": {"std": "3/2", "lr": 2},
            "R": {"scale": "1/2"},
            "U": {"lr": "1/2", "scale": 3},
            "b": {"std": 2, "lr": 3, "scale": "4/3"},
            "c": {"std": "1/2", "lr": "1/4", "scale": "3/2"},
            "V": {"std": "5/4", "lr": "3/2", "scale": "7/4"},
        },
    ),
    "frozen": Net(
        {"U": ("n", "d"), "b": ("n", None), "W": ("n", "n"), "R": ("n", "n"), "V": (1, "n")},
        "return V @ tanh(R @ relu(W @ tanh(U @ x[0] + b)))",
        lambda W, x: W["V"] @ tanh(W["R"] @ relu(W["W"] @ tanh(W["U"] @ x[0] + W["b"]))),
        {
            "W": {"frozen": True, "scale": 2},
            "b": {"frozen": True},
            "V": {"frozen": True, "std": 2, "scale": 3},
        },
    ),
    "unequal widths": Net(
        {"U": ("m", "d"), "b": ("r", None), "W": ("r", "m"), "R": ("n", "r"), "V": (1, "r"), "Y": (1, "m")},
        "h = W @ tanh(U @ x[0]) + b\n"
        "g = tanh(W.T @ tanh(R.T @ tanh(R @ tanh(h))))\n"
        "return V @ tanh(h) - (Y @ g)/2",
        lambda W, x: (
            lambda h: W["V"] @ tanh(h) - W["Y"] @ tanh(W["W"].T @ tanh(W["R"].T @ tanh(W["R"] @ tanh(h)))) / 2
        )(W["W"] @ tanh(W["U"] @ x[0]) + W["b"]),
        {"W": {"scale": 2}, "R": {"scale": "3/2"}, "V": {"std": "1/2", "scale": "1/3"}},
    ),
    "recurrent": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "b": ("n", None), "V": ("k", "n"), "c": ("k", None)},
        "h[0] = tanh(U @ x[0] + b)\n"
        "h[s+1] = tanh(W @ h[s] + U @ x[s+1] + b) for s < P - 1\n"
        "return V @ h[P-1] + c",
        recurrent,
    ),
    "readout used twice": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "V": (1, "n")},
        "h[p] = tanh(U @ x[p]) for p < P\ny[p] = tanh(W @ h[p]) for p < P\n"
        "return sum(p < P: (V @ y[p])*p) + V @ h[1]/3",
        lambda W, x: (lambda h: sum(p * W["V"] @ tanh(W["W"] @ h[p]) for p in range(3)) + W["V"] @ h[1] / 3)(
            tanh(x @ W["U"].T)
        ),
    ),
    "layer norm": Net(
        {"U": ("n", "d"), "b": ("n", None), "W": ("m", "n"), "V": (1, "m")},
        "h = W @ relu(U @ x[0] + b)\nc = h - mean(h)\nreturn V @ tanh(c/sqrt(mean(c^2)))",
        layer_norm,
    ),
    "factor of the readout": Net(
        {"U": ("n", "d"), "W": ("m", "n"), "V": (1, "m")},
        "h = tanh(U @ x[0])\nreturn -(V @ tanh(W @ h))/sqrt(1 + mean(h^2))",
        lambda W, x: (lambda h: -W["V"] @ tanh(W["W"] @ h) / jnp.sqrt(1 + (h**2).mean()))(
            tanh(W["U"] @ x[0])
        ),
    ),
    "attention": Net(
        {"U": ("n", "d"), "Q": ("n", "n"), "K": ("n", "n"), "A": ("n", "n"), "V": (1, "n")},
        "h[p] = tanh(U @ x[p]) for p < P\n"
        "a[p] = Q @ h[p] for p < P\n"
        "b[p] = K @ h[p] for p < P\n"
        "v[p] = A @ h[p] for p < P\n"
        "w[p, q] = exp(mean(a[p]*b[q])) for p < P for q < P\n"
        "s[p] = sum(q < P: w[p, q]) for p < P\n"
        "z[p] = tanh(sum(q < P: w[p, q]*v[q])/s[p] + h[p]) for p < P\n"
        "return V @ (sum(p < P: z[p])/P)",
        attention,
    ),
    "convolution": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "R": ("n", "n"), "V": (1, "n")},
        "h[p] = tanh(U @ x[p]) for p < P\n"
        "z[p] = tanh(W @ h[p] + R @ h[p+1]) for p < P - 1\n"
        "return V @ (z[0]*z[1])",
        lambda W, x: (lambda h: W["V"] @ jnp.prod(tanh(h[:-1] @ W["W"].T + h[1:] @ W["R"].T), axis=0))(
            tanh(x @ W["U"].T)
        ),
    ),
    "its own variables": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "V": (1, "n")},
        "h[i] = tanh(U @ sum(j < P: x[j]*(i - j))) for i < P\nreturn V @ sum(j < P: tanh(W @ h[j])*j)",
        lambda W, x: (lambda h: W["V"] @ sum(j * tanh(W["W"] @ h[j]) for j in range(3)))(
            [tanh(W["U"] @ sum(x[j] * (i - j) for j in range(3))) for i in range(3)]
        ),
    ),
    "networks in sums": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "V": (1, "n")},
        "h[i] = tanh(U @ x[i]) for i < P\nreturn V @ sum(j < P: layer(h, j)*j)",
        lambda W, x: (
            lambda h: W["V"] @ sum(j * tanh(W["W"] @ h[1] * i + h[i] * j) for i in range(3) for j in range(3))
        )(tanh(x @ W["U"].T)),
        before="network layer(h, j):\n"
        "    y[i] = W @ h[1]*i + h[i]*j for i < P\n"
        "    return sum(i < P: tanh(y[i]))\n",
    ),
    "padded": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "b": ("n", None), "V": (1, "n"), "c": (1, None)},
        "xp = pad(x, 1)\n"
        "h[p] = sum(s < 2: tanh(U[s] @ xp[p+2*s])) for p < P\n"
        "y = pad(h, 1)\n"
        "z[p] = tanh(sum(s < 3: W[s] @ y[p+s]) + b[p]) for p < P\n"
        "return sum(p < P: V[p] @ z[p]) + c[0] - c[1]",
        padded,
        {
            "W": {"scale": "3/2"},
            "b": {"scale": "1/2", "lr": 2},
            "V": {"std": "1/2"},
            "c": {"std": 1, "scale": "1/5"},
        },
        families={"U": (2,), "W": (3,), "b": (3,), "V": (3,), "c": (2,)},
    ),
    "batch norm without indices": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "V": (1, "n"), "c": (1, None)},
        "h = relu(U @ x)\ny = W @ h\ns = sum(p < P: y[p])/P\nv = sum(p < P: (y[p] - s)^2)/P\n"
        "z[p] = tanh((y[p] - s)/sqrt(v + 0.5)) for p < P\nreturn V @ z + c",
        batch_norm,
        positions=1,
    ),
    "batch norm": Net(
        {"U": ("n", "d"), "W": ("n", "n"), "V": (1, "n"), "c": (1, None)},
        "h[p] = U @ x[p] for p < P\n"
        "y[p] = W @ relu(h[p]) for p < P\n"
        "s = sum(p < P: y[p])/P\n"
        "c1[p] = y[p] - s for p < P\n"
        "v = sum(p < P: c1[p]^2)/P\n"
        "z[p] = tanh(c1[p]/sqrt(v + 0.5)) for p < P\n"
        "o[p] = V @ z[p] + c for p < P\n"
        "return o",
        batch_norm,
        positions=1,
    ),
}


def number(text):
    a, _, b = str(text).partition("/")
    return float(a) / float(b or 1)


def any_draws(program):
    """Matrices [*axes, rows, columns] and vectors [*axes, n]: what is tested holds for all of them."""
    r = np.random.default_rng(1)
    drawn = {
        m.name: r.standard_normal((*(count for _, count in m.axes), SIZES[m.rows], SIZES[m.columns]))
        / WIDTH**0.5
        for m in program.matrices
    }
    return drawn | {
        name: r.standard_normal((*(count for _, count in g.axes), SIZES[g.width]))
        for g in program.gaussians
        for name in g.names
    }


def dense_weights(net, drawn):
    """The dense weights, from tpc's draws: `matrix W`, `vector U0[j]` (columns of U), `vector V0[k]` (rows of
    √m V); one row of the readout."""
    out = {}
    for name, (rows, columns) in net.weights.items():
        grow = rows in ("n", "m", "r"), columns in ("n", "m", "r")
        if all(grow):
            out[name] = drawn[name]
        elif grow[0]:
            out[name] = np.moveaxis(drawn[f"{name}0"], -1, len(net.families.get(name, ())))
        elif grow[1]:
            row = drawn[f"{name}0"] if rows == 1 else drawn[f"{name}0"][0]
            out[name] = row / SIZES[columns] ** 0.5
        else:
            out[name] = np.zeros(net.families.get(name, ()))
    return {name: jnp.asarray(w) for name, w in out.items()}


def empirical(net, W, xs):
    """(NNGP given all but the readout, NTK), [N, N, *positions, *positions], in the NTK parametrization:
    `W = (scale/√columns) w`, w of standard deviation std at first, and that of an output bias 0 unless it has
    one."""
    both = jax.jit(jax.vmap(jax.jacobian(net.forward), in_axes=(None, 0)))(W, xs)
    gradients = [{name: g[i] for name, g in both.items()} for i in range(len(xs))]
    axes = [net.positions] * len(xs)
    kernels = []
    for kind in ("nngp", "ntk"):
        total = 0.0
        for name, (rows, columns) in net.weights.items():
            attributes = net.attributes.get(name, {})
            last = rows not in ("n", "m", "r")
            scale = number(attributes.get("scale", 1)) ** 2 / (
                SIZES[columns] if columns in ("n", "m", "r") else 1
            )
            rate = 0.0 if "frozen" in attributes else number(attributes.get("lr", 1))
            std = number(attributes.get("std", int(columns in ("n", "m", "r"))))
            scale *= float(last) * std**2 if kind == "nngp" else rate
            flat = [
                jnp.reshape(g[name], (*jnp.shape(g[name])[:a], -1))
                for g, a in zip(gradients, axes, strict=True)
            ]
            total += scale * jnp.array([[jnp.tensordot(a, b, ((-1,), (-1,))) for b in flat] for a in flat])
        kernels.append(total)
    return kernels


@pytest.mark.parametrize("name", NETS)
def test_at_finite_width_they_are_the_empirical_kernels(name):
    net = NETS[name]
    xs = np.random.default_rng(0).standard_normal((2, 3, 2))
    program = tpc.parse(net.text())
    inputs = bind_inputs(program, {"xs": xs})
    drawn = any_draws(program)
    found = run_plainly(program, inputs, drawn)
    nngp, ntk = empirical(net, dense_weights(net, drawn), xs)
    np.testing.assert_allclose(found["S"], nngp, rtol=1e-10)
    np.testing.assert_allclose(found["T"], ntk, rtol=1e-10)


@pytest.mark.parametrize("seed", range(COUNT))
def test_at_finite_width_they_are_the_empirical_kernels_of_random_networks(seed):
    """Networks with a layer of a few units inside have no kernel: these units would be random in the
    limit."""
    case = random_network(seed)
    given = {
        "lr": case.multipliers,
        "std": case.stds,
        "scale": case.scales,
        "frozen": dict.fromkeys(case.frozen, True),
    }
    attributes = {
        name: {attribute: values[name] for attribute, values in given.items() if name in values}
        for name in case.weights
    }
    net = Net(case.weights, "", case.forward, attributes)
    ends = "".join(
        f"output {name}[i, j] = {kernel}(f)(xs[i], xs[j]) for i < 3 for j < 3\n"
        for name, kernel in (("S", "nngp"), ("T", "ntk"))
    )
    text = case.text[: case.text.index("train f")] + ends
    if "q" in {side for pair in case.weights.values() for side in pair}:
        with pytest.raises(tpc.TpcError, match="TP721"):
            tpc.parse(text)
        return
    program = tpc.parse(text)
    drawn = any_draws(program)
    found = run_plainly(program, bind_inputs(program, case.inputs), drawn)
    nngp, ntk = empirical(net, dense_weights(net, drawn), case.inputs["xs"])
    np.testing.assert_allclose(found["S"], nngp, rtol=1e-9, atol=1e-12, err_msg=text)
    np.testing.assert_allclose(found["T"], ntk, rtol=1e-9, atol=1e-12, err_msg=text)


@pytest.mark.parametrize("name", ["rnn", "conv_gap", "batchnorm", "attention"])
def test_dense_networks_have_the_limit(name):
    """`tests/bench/kernels_monte_carlo.py` is the full size, of all architectures; at this one the bias of
    order 1/n is below the error, too."""
    mean, error = monte_carlo(name, 128, seeds=24, at_once=24)
    for kernel, (value, stderr), m, e in zip(
        ("nngp", "ntk"), limit(name, samples=1024), mean, error, strict=True
    ):
        told = np.isfinite(stderr)
        assert (np.abs(m - value) / np.hypot(e, np.where(told, stderr, 0))).max() < 4
        assert np.hypot(e, stderr)[told].max() < 0.15 * np.abs(value).max()
        # E 1/σ⁴ of 4 examples is finite by ε only, which so few points do not see
        assert told.all() or (name, kernel) == ("batchnorm", "ntk")


PERCEPTRON = """width n
dim N = 2, d = 20
input xs[N, d]
activation phi = {phi}
weight U : n x d
weight W[l < {hidden} - 1] : n x n, scale = {scale}
weight V : 1 x n
{biases}
def same(h) = h
network normal(h):
    s = h - mean(h)
    return s/sqrt(mean(s^2))
network f(x):
    h[0] = phi({between}(U @ x{add}))
    for l < {hidden} - 1:
        h[l+1] = phi({between}(W[l] @ h[l]{add_next}))
    return V @ h[{hidden} - 1]{last}
output S[i, j] = nngp(f)(xs[i], xs[j]) for i < N for j < N
output Theta[i, j] = ntk(f)(xs[i], xs[j]) for i < N for j < N
"""
NO_BIAS = {"biases": "", "add": "", "add_next": "", "last": ""}
BIASES = {
    "biases": "bias b[l < 3] : n, scale = 1/2\nbias c : 1, std = 1, scale = 1/2",
    "add": " + b[0]",
    "add_next": " + b[l+1]",
    "last": " + c",
}
PERCEPTRONS = {
    "relu_s2_h3": {"phi": "relu", "hidden": 3, "scale": "2^(1/2)", "between": "same", **NO_BIAS},
    "erf_b05_h3": {"phi": "erf", "hidden": 3, "scale": 1, "between": "same", **BIASES},
    "erf_ln_h2": {"phi": "erf", "hidden": 2, "scale": 1, "between": "normal", **NO_BIAS},
}
# K(x, x), K(x, z), K(z, z) of neural-tangents' conventions (float64, checked by a transcription of the
# recursions in NumPy); NNGP, then NTK
ORACLES = {
    "relu_s2_h3": ([7.5754374, 3.6595991, 4.8889075], [30.3017494, 6.3570244, 19.55563]),
    "erf_b05_h3": ([0.6547276, 0.4353893, 0.6530214], [2.3859779, 0.6825539, 2.2151962]),
    "erf_ln_h2": ([0.4645591, -0.0068007, 0.4645591], [1.731895, -0.0204028, 1.731895]),
    "attn": ([1.4986688, 1.0036657, 1.2627283], [4.3245336, 1.9594091, 4.0222454]),
}


@pytest.mark.parametrize("name", ORACLES)
def test_limits_are_those_of_neural_tangents(name):
    if name == "attn":
        program = tpc.load(PROGRAMS / "attention.tp", dims={"T": 6, "d": 4})
        inputs = {"xi": np.random.default_rng(3).standard_normal((5, 6, 4))[:2]}
    else:
        program = tpc.parse(PERCEPTRON.format(**PERCEPTRONS[name]))
        inputs = {"xs": np.random.default_rng(0).standard_normal((12, 20))[:2]}
    found = program.compile(samples=2048, repeats=12)(inputs)
    for output, wanted in zip(("S", "Theta"), ORACLES[name], strict=True):
        value, error = found[output].value, found[output].stderr
        off, error = (
            np.abs(value[np.triu_indices(2)] - wanted),
            0.0 if error is None else error[np.triu_indices(2)],
        )
        assert (off < 5 * error + 1e-7).all()
        assert np.max(error) < 0.01 * np.max(wanted)


LINEAR = """width n
width m = 2*n
dim N = 2, T = 2
input s = 2, r = 3, j[N] : index(3) = 1, y[T] = 1
vector v[i < N] : n ~ N(0, 1)
weight U : n x 3, scale = s
weight W : m x n, scale = s/2, lr = r
weight V : 1 x n
weight Y : 4 x m, scale = 1/2
network f(x) = Y @ (W @ x)
network g(x, z) = V @ (x + U @ z)
train g for t < T:
    batch ((v[0], onehot(j[t])), y[t])
    loss mse
    update sgd(lr = 1)
output a[i, l] = nngp(f)(v[i], v[l]) for i < N for l < N
output b[i, l] = ntk(f)(v[i], v[l]) for i < N for l < N
for i < N:
    c[i] = ntk(g)(v[i], onehot(j[0]), v[i], onehot(j[i])) - nngp(g)(v[i], onehot(j[0]), v[0], onehot(j[i]))
output c
output e = sum(i < N, l < N: ntk(f)(v[i], v[l]))
"""


def test_linear_networks_have_their_kernels_exactly():
    """NNGP = scale²-products times v·v/n; the NTK has them once for each weight, times its rate; training
    changes none."""
    found = tpc.parse(LINEAR).compile()({"j": [1, 1], "s": 2, "r": 3})
    np.testing.assert_allclose(found["a"].value, np.eye(2) / 4, atol=1e-12)
    np.testing.assert_allclose(found["b"].value, (3 + 1) * np.eye(2) / 4, atol=1e-12)
    np.testing.assert_allclose(found["e"].value, 2, atol=1e-12)
    np.testing.assert_allclose(found["c"].value, [4 + 5 - 5, 4 + 5 - 4], atol=1e-12)
    np.testing.assert_allclose(
        tpc.parse(LINEAR).compile()({"j": [1, 2], "s": 2, "r": 3})["c"].value, [4, 1 - 0], atol=1e-12
    )


@pytest.mark.parametrize("name", ["deep", "recurrent"])
def test_they_are_those_of_the_ntk_parametrization_whatever_the_program_trains_in(name):
    text = NETS[name].text()
    first = str(tpc.parse(text))
    for chosen in ("sp", "ntp", "uniform(r = 1/4)"):
        assert str(tpc.parse(text.replace("network", f"parametrization {chosen}\nnetwork", 1))) == first
