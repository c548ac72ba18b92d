"""Optimizers at finite width, entry by entry, against their own definitions, and against optax's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import tpc
from tests.tables import finite
from tests.tables.finite import Chosen
from tests.tables.in_numpy import Run
from tpc.simulate.seeds import draws

STEPS, BATCH, DIM = 4, 3, 2
TEXT = """
width n
dim T = {steps}, B = 3, d = 2
input xi[T, B, d], y[T, B], xs[2, d]
weight U : n x d
weight W : n x n
weight V : 1 x n
bias b : n
network f(x) = V @ tanh(W @ tanh(U @ x + b))
train f for t < T:
    batch (xi[t, i], y[t, i]) for i < B
    loss mse
    {updates}
output loss
output g[i] = f(xs[i]) for i < 2
"""
# lines by the weights that they are of, and the same in NumPy
RULES: list[dict[tuple[str, ...], tuple[str, Chosen]]] = [
    {
        ("U", "W"): ("adam(lr = 0.1)", Chosen(finite.adam(), 0.1)),
        ("v",): ("adagrad(lr = 0.1, decay = 0.1)", Chosen(finite.adagrad(), 0.1, 0.1)),
        ("b",): ("nadam(lr = 0.1)", Chosen(finite.nadam(), 0.1)),
    },
    {
        ("W", "b"): (
            "adamw(lr = 0.1, beta1 = 0.8, eps = 1e-3, decay = 0.3)",
            Chosen(finite.adam(0.8, eps=1e-3), 0.1, 0.3),
        ),
        ("U", "v"): (
            "signsgd(lr = 0.05, momentum = 0.9, eps = 0.1)",
            Chosen(finite.signsgd(0.9, 0.1), 0.05),
        ),
    },
    {
        ("W",): ("lion(lr = 0.05, decay = 0.2)", Chosen(finite.lion(), 0.05, 0.2)),
        ("U",): ("adamax(lr = 0.1)", Chosen(finite.adamax(), 0.1)),
        ("v", "b"): (
            "rmsprop(lr = 0.05, eps = 1e-3, momentum = 1/2)",
            Chosen(finite.rmsprop(eps=1e-3, momentum=0.5), 0.05),
        ),
    },
    {
        ("W", "v"): ("signsgd(lr = 0.05)", Chosen(finite.signsgd(), 0.05)),
        ("U", "b"): (
            "adam(lr = 0.1, beta2 = 0.9, eps = 0.1, root = 1)",
            Chosen(finite.adam(0.9, 0.9, 0.1, root=True), 0.1),
        ),
    },
    {
        ("W", "b"): ("adadelta(lr = 1, decay = 0.1)", Chosen(finite.adadelta(), 1, 0.1)),
        ("U", "v"): ("adadelta(lr = 1/2, rho = 1/2, eps = 0.01)", Chosen(finite.adadelta(0.5, 0.01), 0.5)),
    },
    {
        ("W", "v"): ("rprop(lr = 0.05, decay = 0.1)", Chosen(finite.rprop(), 0.05, 0.1)),
        ("U", "b"): (
            "rprop(lr = 0.1, eta_minus = 0.3, eta_plus = 3/2, min_step = 1/2, max_step = 2)",
            Chosen(finite.rprop(0.3, 1.5, 0.5, 2.0), 0.1),
        ),
    },
]


def data(steps: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    shapes = {"xi": (steps, BATCH, DIM), "y": (steps, BATCH), "xs": (2, DIM)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def start_of(program: Any, inputs: dict[str, np.ndarray], width: int, dtype: Any) -> dict[str, np.ndarray]:
    given = draws(program, inputs, width=width, seed=1, dtype=dtype)
    return {"U": given["U0"].T, "W": given["W"], "v": given["V0"], "b": given["b0"]}


def check_by_definition(updates: str, steps: int, chosen: Mapping[str, Chosen], rtol: float) -> None:
    """That a training of finite width is that of the same weights by definitions of optimizers."""
    program, inputs = tpc.parse(TEXT.format(steps=steps, updates=updates)), data(steps)
    found = program.simulate(inputs, width=16, seeds=[1]).outputs
    weights = start_of(program, inputs, 16, "float64")
    losses, after = finite.trained(weights, inputs["xi"], inputs["y"], chosen)
    np.testing.assert_allclose(found["loss"][0], losses, rtol=rtol)
    np.testing.assert_allclose(found["g"][0], finite.Net().outputs(after, inputs["xs"]), rtol=rtol)


@pytest.mark.parametrize("rules", RULES)
def test_optimizers_at_finite_width(rules: dict[tuple[str, ...], tuple[str, Chosen]]) -> None:
    lines = [f"update {text} of {', '.join(w).replace('v', 'V')}" for w, (text, _) in rules.items()]
    chosen = {name: own for names, (_, own) in rules.items() for name in names}
    check_by_definition("\n    ".join(lines), STEPS, chosen, rtol=1e-9)


LINES: dict[tuple[str, ...], tuple[str, Chosen]] = {
    ("U",): ("sgd(lr = 0.3, momentum = 1/2)", Chosen(finite.sgd(0.5), 0.3)),
    ("W", "b"): ("sgd(lr = 0.5, momentum = 0.9, clip = 1/3)", Chosen(finite.sgd(0.9), 0.5)),
    ("v",): ("rmsprop(lr = 0.05, eps = 0.1, clip = 1/2)", Chosen(finite.rmsprop(eps=0.1), 0.05)),
}


def test_lines_of_sgd_and_bounds_of_lines() -> None:
    """Each line has its own momentum, and bounds the norm of the gradients of its own weights."""
    lines = [f"update {text} of {', '.join(w).replace('v', 'V')}" for w, (text, _) in LINES.items()]
    program, inputs = tpc.parse(TEXT.format(steps=STEPS, updates="\n    ".join(lines))), data(STEPS)
    run = Run(program, inputs, {"n": 8})
    made = run.made
    weights = {"W": made["W", ()], "v": made["V0", ()], "b": made["b0", ()]}
    weights["U"] = np.stack([made["U0", (j,)] for j in range(DIM)], axis=1)
    chosen = {name: own for names, (_, own) in LINES.items() for name in names}
    clips = {("W", "b"): 1 / 3, ("v",): 1 / 2}
    losses, after = finite.trained(weights, inputs["xi"], inputs["y"], chosen, clips)
    unbounded, _ = finite.trained(weights, inputs["xi"], inputs["y"], chosen)
    np.testing.assert_allclose(run.output("loss"), losses, rtol=1e-9)
    np.testing.assert_allclose(run.output("g"), finite.Net().outputs(after, inputs["xs"]), rtol=1e-9)
    assert abs(unbounded[-1] - losses[-1]) > 1e-3 * losses[-1]


def at_once(optax: Any, rprop: Any) -> Any:
    """Rprop with the steps that optax's makes and keeps: it takes those of the round before."""

    def update(g: Any, state: Any, w: Any) -> Any:
        _, state = rprop.update(g, state, w)
        return {name: -move for name, move in state[0].prev_updates.items()}, state

    return optax.GradientTransformation(rprop.init, update)


def of_optax(optax: Any) -> dict[str, Any]:
    """Every optimizer that optax has, too, by its line here."""
    return {
        "adam(lr = 0.1)": optax.adam(0.1),
        "adamw(lr = 0.1, decay = 0.3)": optax.adamw(0.1, weight_decay=0.3),
        "signsgd(lr = 0.05)": optax.sign_sgd(0.05),
        "rmsprop(lr = 0.05, beta2 = 0.9, momentum = 1/2)": optax.rmsprop(
            0.05, decay=0.9, momentum=0.5, eps_in_sqrt=False
        ),
        "lion(lr = 0.05, decay = 0.1)": optax.lion(0.05, weight_decay=0.1),
        "adamax(lr = 0.1, decay = 0.1)": optax.adamaxw(0.1, weight_decay=0.1),
        "nadam(lr = 0.1, decay = 0.1)": optax.nadamw(0.1, weight_decay=0.1),
        "adadelta(lr = 1)": optax.adadelta(1.0),
        "adadelta(lr = 1/2, rho = 0.8, eps = 0.01)": optax.adadelta(0.5, rho=0.8, eps=0.01),
        "rprop(lr = 0.05)": at_once(optax, optax.rprop(0.05, min_step_size=0.05e-4, max_step_size=250)),
        "rprop(lr = 0.1, eta_minus = 0.3, eta_plus = 3/2, min_step = 1/2, max_step = 2)": at_once(
            optax, optax.rprop(0.1, 0.3, 1.5, min_step_size=0.05, max_step_size=0.2)
        ),
        "adagrad(lr = 0.1, eps = 0)": optax.adagrad(0.1, initial_accumulator_value=0.0, eps=0.0),
    }


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("width", [32, 64])
def test_optimizers_of_optax(width: int, dtype: str) -> None:
    """Losses before each of ten steps, and outputs after one step and after ten."""
    optax = pytest.importorskip("optax")
    import jax
    import jax.numpy as jnp

    net, inputs = finite.Net(), data(10)
    slopes_of = jax.jit(jax.value_and_grad(net.loss))
    xs = jnp.asarray(inputs["xs"], dtype)
    for text, optimizer in of_optax(optax).items():
        program = tpc.parse(
            TEXT.format(steps=10, updates=f"update {text}") + "output g1[i] = f[1](xs[i]) for i < 2\n"
        )
        found = program.simulate(inputs, width=width, seeds=[1], dtype=dtype).outputs
        w = {name: jnp.asarray(x, dtype) for name, x in start_of(program, inputs, width, dtype).items()}
        unit = {name: 1 / width if name == "W" else 1.0 for name in w}
        state, losses, outputs = optimizer.init({name: x / unit[name] for name, x in w.items()}), [], []
        for x, y in zip(inputs["xi"], inputs["y"], strict=True):
            value, slopes = slopes_of(w, jnp.asarray(x, dtype), jnp.asarray(y, dtype))
            given = {name: x / unit[name] for name, x in w.items()}
            moves, state = optimizer.update({name: width * g for name, g in slopes.items()}, state, given)
            w = {name: x + moves[name] * unit[name] for name, x in w.items()}
            losses.append(float(value))
            outputs.append(net.outputs(w, xs))
        wanted = {"loss": np.array(losses), "g1": outputs[0], "g": outputs[-1]}
        bound = 1e-10 if dtype == "float64" else 1e-5
        for name, values in wanted.items():
            apart = np.max(np.abs(found[name][0] - np.asarray(values)))
            assert apart <= bound * max(1.0, np.max(np.abs(values))), (text, name, apart)


@pytest.mark.parametrize(("samples", "looked_at"), [(256, False), (2048, True)])
def test_tables_are_looked_at_on_no_more_points_than_they_have(samples: int, looked_at: bool) -> None:
    """Adadelta's integrands are not seen to have short tails; a look takes the square of its points."""
    program = tpc.parse(TEXT.format(steps=2, updates="update adadelta(lr = 1)"))
    module = program.compile(samples=samples, repeats=4).module
    assert "loss" in module.HEAVY
    assert (0 < module.PULLED <= samples / 4) is looked_at


def losses_of(rule: str, head: str = "") -> np.ndarray:
    """At width 16, of training by a rule of one's own."""
    text = TEXT.format(steps=2, updates="update own(lr = 0.1)").replace("network", f"{head}{rule}network")
    losses: np.ndarray = tpc.parse(text).simulate(data(2), width=16, seeds=[1]).outputs["loss"][0]
    return losses


SAME_RULES = [
    (
        "own(a = 0.12345678901234567890123456789012345):\n    return a*g\n",
        "own():\n    return g/8.1000000737\n",
    ),
    ("own():\n    return over(g, -g)\n", "own():\n    return 0*g - 1\n"),
    ("own():\n    return over(g, g - 1)*(g - 1)\n", "own():\n    return g\n"),
]


@pytest.mark.parametrize(("rule", "same"), SAME_RULES)
def test_rules_mean_what_they_say(rule: str, same: str) -> None:
    """Long numbers stay, and divisors may be negative."""
    np.testing.assert_allclose(losses_of(f"optimizer {rule}"), losses_of(f"optimizer {same}"), rtol=1e-9)


REFUSED_RULES = [
    ("", "over(g)", "TP106"),
    ("def over(a, b) = a*b\n", "over(g, g)", "TP746"),
]


@pytest.mark.parametrize(("head", "result", "code"), REFUSED_RULES)
def test_rules_that_are_refused(head: str, result: str, code: str) -> None:
    with pytest.raises(tpc.TpcError, match=code):
        losses_of(f"optimizer own():\n    return {result}\n", head)
