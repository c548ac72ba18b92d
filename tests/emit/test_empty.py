"""Loops of no rounds, outputs without entries, and what nobody reads."""

import functools
from pathlib import Path

import numpy as np
import pytest

import tpc
from tests.values import values_only
from tpc.cli.main import main

PAPER = Path(__file__).parents[2] / "programs" / "paper"
HEAD = "width n\nmatrix W : n x n ~ N(0, 1/n)\nvector v : n ~ N(0, 1)\nvector w : n ~ N(0, 1)\n"
EMPTY = {
    "block": ("for t < 0:\n    x[t] = mean(tanh(v))\noutput x\n", {"x": (0,)}),
    "negative": ("x[t] = W @ v for t < -3\noutput y[t] = mean(x[t]*v) for t < -3\n", {"y": (0,)}),
    "two axes": (
        "output c[i, j] = mean(v*w) for i < 3 for j < 0\noutput d = mean(v*(W.T @ tanh(W @ v)))\n",
        {"c": (3, 0), "d": ()},
    ),
    "inner": (
        "x[i] = v for i < 3\n"
        "for i < 3:\n"
        "    for j < i - 2:\n"
        "        y[i, j] = mean(x[i])\n"
        "output y\n"
        "output z = mean(v^2)\n",
        {"y": (0, 0), "z": ()},
    ),
    "sum": (
        "x[t] = W @ v for t < -3\ny = v + sum(t < -3: x[t]) + sum(t < 0: W @ v)\noutput z = mean(y*v)\n",
        {"z": ()},
    ),
    "sum in a loop": (
        "x[0] = v\nfor t < 3:\n    x[t+1] = tanh(W @ x[t]) + sum(s < t - 5: x[s])\noutput z = mean(x[3]^2)\n",
        {"z": ()},
    ),
    "first round": (
        "for t < 1:\n"
        "    c[t] = mean(sum(s < t: x[s]*v)) + sum(s < t: d[s])\n"
        "    x[t] = W @ (sum(s < t: d[s]*x[s]) + v)\n"
        "    for s < t:\n"
        "        r[t, s] = mean(x[s]*x[t])\n"
        "    d[t] = mean(x[t]^2) - sum(s < t: r[t, s])\n"
        "output c\n"
        "output d\n",
        {"c": (1,), "d": (1,)},
    ),
    "constant": ("for t < 0:\n    x[t] = mean(v)\noutput x\noutput one = 1\n", {"x": (0,), "one": ()}),
}


@pytest.mark.parametrize("name", EMPTY)
def test_what_is_empty_is_empty_by_every_route(name, tmp_path, capsys):
    text, shapes = EMPTY[name]
    program = tpc.parse(HEAD + text)
    assert tpc.parse(str(program)) == program
    assert program.derive().text()
    result, flat = (
        program.compile(samples=256, repeats=8)(),
        values_only(program.unroll().compile(samples=256, repeats=8))(),
    )
    samples = [program.simulate(width=width, seeds=4) for width in (64, 256)]
    for output, shape in shapes.items():
        assert (
            result[output].value.shape == flat[output].value.shape == samples[0].mean[output].shape == shape
        )
        errors = [0.0 if o.stderr is None else o.stderr for o in (result[output], flat[output])]
        assert np.all(np.abs(result[output].value - flat[output].value) <= 8 * np.hypot(*errors) + 1e-9)
    assert tpc.verify(result.limits, samples).agrees
    path = tmp_path / "empty.tp"
    path.write_text(HEAD + text)
    for command in (
        ["run", "--samples", "64", "--plot", str(tmp_path / "run.png"), "--save", str(tmp_path / "run.npz")],
        [
            "verify",
            "--samples",
            "64",
            "--widths",
            "16,32",
            "--seeds",
            "2",
            "--plot",
            str(tmp_path / "verify.png"),
        ],
        ["simulate", "--width", "16", "--seeds", "2"],
        ["graph", "-o", str(tmp_path / "graph.svg")],
        ["run", "--json", "--samples", "64"],
    ):
        assert main([command[0], str(path), *command[1:]]) in (0, 1), capsys.readouterr().err


@functools.cache
def three_steps(name):
    """The limit of training for three steps."""
    evaluator = values_only(tpc.load(PAPER / f"{name}.tp", dims={"T": 3}).compile(samples=256))
    return evaluator({"xi": np.ones(3), "y": -np.ones(3)})


@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("name", ["cor_6_2", "thm_6_1", "thm_6_3", "thm_6_4"])
def test_training_for_few_steps(name, steps):
    program = tpc.load(PAPER / f"{name}.tp", dims={"T": steps})
    inputs = {"xi": np.ones(steps), "y": -np.ones(steps)}
    result = values_only(program.compile(samples=256))(inputs)
    three = three_steps(name)
    samples = program.simulate(inputs, width=64, seeds=8)
    assert program.derive().text()
    assert result["f"].value.shape == samples.mean["f"].shape == (steps,)
    np.testing.assert_allclose(result["f"].value, three["f"].value[:steps], atol=0.02)
    assert np.all(np.abs(result["f"].value - samples.mean["f"]) < 0.5)


def test_what_nobody_reads_is_left_out():
    text = (
        "vector (p[k < 2], q[k < 2]) : n ~ N([k, 0], [[1 + k, 0.5], [0.5, 1]])\n"
        "m[k] = mean(p[k]*q[k]*q[1]) for k < 2\n"
        "for k < 2:\n"
        "    a[k] = W @ p[k]\n"
        "    b[k] = mean(W.T @ tanh(a[k]))\n"
        "x = W.T @ v\n"
        "output c = mean(tanh(v)*v^2)\n"
    )
    program = tpc.parse(HEAD + text)
    assert abs(program.compile()()["c"].value) < 0.05
    assert abs(program.simulate(width=256, seeds=4).mean["c"]) < 0.5
