"""Random networks with their training, as a `.tp` file and as a function of dense weights in JAX."""

from dataclasses import dataclass

import jax.numpy as jnp
import jax.scipy.special
import numpy as np

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "relu": lambda x: jnp.maximum(x, 0),
    "erf": jax.scipy.special.erf,
    "sigmoid": jax.nn.sigmoid,
    "softplus": jax.nn.softplus,
    "sin": jnp.sin,
    "square": lambda x: x**2 / 4,
}


@dataclass
class Case:
    text: str
    weights: dict
    frozen: set
    multipliers: dict
    stds: dict
    scales: dict
    forward: object
    loss: str
    options: dict
    steps: int
    batch: int
    inputs: dict
    outputs: int


def random_network(seed):
    """A case of random shape: widths n and m, biases, shared and transposed weights, residual parts,
    normalisation, several outputs, any loss."""
    r = np.random.default_rng(seed)
    steps, batch, d = int(r.integers(2, 5)), int(r.integers(1, 4)), int(r.integers(1, 4))
    k = int(r.choice([1, 1, 3]))
    lines, body, run = [], [], []
    weights, frozen, multipliers, stds, scales = {}, set(), {}, {}, {}

    def weight(name, rows, columns, bias=False):
        extra = ""
        if r.random() < 0.3:
            extra, stds[name] = extra + ", std = 3/2", 1.5
        if r.random() < 0.4:
            shown = str(r.choice(["1/2", "4/3", "2^(1/2)", "sqrt(eta)"]))
            extra, scales[name] = (
                f"{extra}, scale = {shown}",
                {"1/2": 1 / 2, "4/3": 4 / 3, "2^(1/2)": 2**0.5, "sqrt(eta)": 0.3**0.5}[shown],
            )
        if r.random() < 0.3:
            extra, multipliers[name] = extra + ", lr = 2", 2.0
        if r.random() < 0.15 and name != "V":
            extra, _ = extra + ", frozen", frozen.add(name)
        weights[name] = (rows, columns)
        lines.append(f"bias {name} : {rows}{extra}" if bias else f"weight {name} : {rows} x {columns}{extra}")
        return name

    def step(name, text, function):
        body.append(f"    {name} = {text}")
        run.append((name, function))
        return name

    def activated(x, name):
        key = str(r.choice(list(ACTIVATIONS)))
        text = f"square({x})/4" if key == "square" else f"{key}({x})"
        return step(name, text, lambda W, e, x=x, f=ACTIVATIONS[key]: f(e[x]))

    weight("U", "n", "d")
    h = step("h0", "U @ xi", lambda W, e: W["U"] @ e["xi"])
    if r.random() < 0.5:
        weight("b", "n", None, bias=True)
        h = step("hb", f"{h} + b", lambda W, e, h=h: e[h] + W["b"])
    x, width = activated(h, "x0"), "n"
    for layer in range(1, int(r.integers(1, 4))):
        choice = int(r.integers(6))
        if choice == 0 and width == "n":  # a wider layer
            name = weight(f"W{layer}", "m", "n")
            h, width = step(f"h{layer}", f"{name} @ {x}", lambda W, e, x=x, w=name: W[w] @ e[x]), "m"
        elif choice == 1 and width == "n":  # shared, and transposed
            name = weight(f"W{layer}", "n", "n")
            y = activated(
                step(f"g{layer}", f"{name} @ {x}", lambda W, e, x=x, w=name: W[w] @ e[x]), f"y{layer}"
            )
            h = step(
                f"h{layer}",
                f"{name}.T @ {y} + {x}/2",
                lambda W, e, x=x, y=y, w=name: W[w].T @ e[y] + e[x] / 2,
            )
        elif choice == 2 and width == "n":  # recurrent
            name = weight(f"W{layer}", "n", "n")
            body.append(f"    z{layer}[0] = {x}")
            body.append(f"    z{layer}[s+1] = tanh({name} @ z{layer}[s] + {h}) for s < 3")

            def recurrent(W, e, x=x, h=h, w=name):
                z = e[x]
                for _ in range(3):
                    z = jnp.tanh(W[w] @ z + e[h])
                return z

            run.append((f"r{layer}", recurrent))
            body.append(f"    r{layer} = z{layer}[3]")
            h = f"r{layer}"
        elif choice == 3:  # normalised
            name = weight(f"W{layer}", width, width)
            g = step(f"g{layer}", f"{name} @ {x}", lambda W, e, x=x, w=name: W[w] @ e[x])
            h = step(
                f"h{layer}",
                f"({g} - mean({g}))/sqrt(1 + mean({g}^2))",
                lambda W, e, g=g: (e[g] - e[g].mean()) / jnp.sqrt(1 + (e[g] ** 2).mean()),
            )
        elif choice == 4:  # a finite layer between
            a, c = weight(f"A{layer}", "q", width), weight(f"B{layer}", width, "q")
            g = step(f"g{layer}", f"{a} @ {x}", lambda W, e, x=x, w=a: W[w] @ e[x])
            h = step(
                f"h{layer}",
                f"{c} @ tanh({g}) + {x}",
                lambda W, e, g=g, x=x, w=c: W[w] @ jnp.tanh(e[g]) + e[x],
            )
        else:
            name = weight(f"W{layer}", width, width)
            h = step(f"h{layer}", f"{name} @ {x}", lambda W, e, x=x, w=name: W[w] @ e[x])
        x = activated(h, f"x{layer}")
    weight("V", "k" if k > 1 else 1, width)
    out, last = f"V @ {x}", (lambda W, e, x=x: W["V"] @ e[x])
    if r.random() < 0.4:
        weight("c", "k" if k > 1 else 1, None, bias=True)
        out, last = f"{out} + c", (lambda W, e, x=x: W["V"] @ e[x] + W["c"])
    loss = str(
        r.choice(["mse", "huber", "xent", "hinge", "own"] if k > 1 else ["mse", "huber", "logistic", "own"])
    )
    options = {}
    if r.random() < 0.4:
        options["momentum"] = 0.5
    if r.random() < 0.4:
        options["decay"] = 0.25
    if r.random() < 0.4:
        options["clip"] = 0.25
    label = (
        "input y[T, B] : index(k)"
        if loss in ("xent", "hinge")
        else "input y[T, B, k]"
        if k > 1
        else "input y[T, B]"
    )
    shown = "loss(f, y) = log(cosh(f - y))" if loss == "own" else f"loss {loss}"
    update = ", ".join(["lr = eta", *(f"{name} = {value}" for name, value in options.items())])
    text = (
        "\n".join(
            [
                f"width n\nwidth m = 2*n\ndim T = {steps}, B = {batch}, d = {d}, k = {k}, q = 2",
                "input eta = 0.3",
                "input xi[T, B, d], xs[3, d]",
                label,
                *lines,
                "network f(xi):",
                *body,
                f"    return {out}",
                "train f for t < T:",
                "    batch (xi[t, i], y[t, i]) for i < B",
                f"    {shown}",
                f"    update sgd({update})",
                "output loss",
                "output g[i, j] = f(xs[i])[j] for i < 3 for j < k"
                if k > 1
                else "output g[i] = f(xs[i]) for i < 3",
            ]
        )
        + "\n"
    )
    y = (
        r.integers(0, k, (steps, batch))
        if loss in ("xent", "hinge")
        else r.choice([-1.0, 1.0], (steps, batch, k) if k > 1 else (steps, batch))
    )
    inputs = {"xi": r.standard_normal((steps, batch, d)), "xs": r.standard_normal((3, d)), "y": y, "eta": 0.3}

    def forward(W, xi):
        env = {"xi": xi}
        for name, function in run:
            env[name] = function(W, env)
        value = last(W, env)
        return value if k > 1 else jnp.reshape(value, ())

    return Case(
        text, weights, frozen, multipliers, stds, scales, forward, loss, options, steps, batch, inputs, k
    )
