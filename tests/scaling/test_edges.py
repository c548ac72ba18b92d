"""Conditions, jumps and kinks whose arguments have terms of lower order: what is given is what finite widths
tend to, all else is refused."""

import numpy as np
import pytest

import tpc

HEAD = "width n\n" + "".join(f"vector {v} : n ~ N(0, 1)\n" for v in "uvw")
DRIFT = "h = u + v/n^(1/2)\n"
REFUSED = {
    "a where that jumps at an edge that moves": "x = where(u + v/n^(1/2) > 0, 1 + u, u)",
    "an edge of another line": f"{DRIFT}x = where(h > 0, 1 + u, u)",
    "an edge and branches": f"{DRIFT}x = where(h > 0, 1 + h, h)",
    "between two": f"{DRIFT}x = where(h > w, u, w + 1)",
    "a step": "x = step(u + v/n^(1/2))",
    "a sign": "x = sign(u + v/n^(1/2))",
    "the derivative of a kink": "def f(s) = relu(s)\nx = f'(u + v/n^(1/2))",
    "a tie of two lines": f"{DRIFT}x = max(u, h)",
    "a step at a tie of two lines": f"{DRIFT}x = step(h - u)",
    "a where at a tie of two lines": f"{DRIFT}x = where(h > u, 1, 0)",
    "a step where a relu is 0": "x = step(relu(u) + v/n^(1/2))",
    "a step there that moves far below": "x = step(relu(u) + v/n^2)",
    "the same of two lines": "r = relu(u)\nx = step(r + v/n^(1/2))",
    "a where there": "x = where(relu(u) + v/n^2 > 0, 1, 0)",
    "a kink there": "x = relu(relu(u) + v/n^(1/2))",
    "a greater one there": "x = max(relu(u), v/n^(1/2))",
}
GIVEN = {
    "branches that meet": ("where(h > 0, u, 0)", 0),
    "branches that meet as they move": ("where(h > 0, h, 0)", 0.5),
    "branches that differ below only": ("where(h > 0, h, u)", 0.5),
    "a kink": ("relu(h)", 0.5),
    "a kink where it is 0 with what is below": ("relu(relu(h))", 0.5),
    "a greatest one of two": ("max(w, h)", 0.5),
    "a tie": ("max(u, u + v/n^(1/2))", 0.5),
    "a step of a scalar": ("step(s - 1/2)*h", 1),
    "a where of a scalar": ("where(s > 1/2, 1 + h, u)", 1),
    "a least one with a scalar": ("min(s, 1/2)*h", 0.5),
}


@pytest.mark.parametrize("line", REFUSED.values(), ids=REFUSED)
def test_edges_that_move_are_refused(line):
    program = tpc.parse(f"{HEAD}{line}\noutput q = n^(1/2)*mean(v*x)\n")
    with pytest.raises(tpc.TpcError, match="TP802"):
        program.derive()


@pytest.mark.parametrize(("x", "expected"), GIVEN.values(), ids=GIVEN)
def test_edges_that_do_not_matter_are_given(x, expected):
    """Given the scalars that are random in the limit, of mean 0, the rest is the mean; and so at finite
    width."""
    text = f"{HEAD}{DRIFT}s = mean(u^2) + mean(v^2)/n^(1/2)\nx = {x}\noutput q = n^(1/2)*mean(v*x)\n"
    program = tpc.parse(text)
    evaluator = program.compile(initial="zero")
    assert float(evaluator()["q"].value) == pytest.approx(expected, abs=1e-8)
    finite = program.simulate(width=4096, seeds=64)
    error = float(finite.std["q"]) / 8
    assert abs(float(finite.mean["q"]) - expected) < 5 * error + 0.02


def test_what_ties_is_decided_by_what_is_below():
    text = f"{HEAD}x = max(u, u + v/n^(1/2)) - u\ny = where(u + v/n^(1/2) > u, 1, 0)\nz = step(u + v/n - u)\n"
    outputs = "output p = n^(1/2)*mean(x)\noutput q = mean(v*y)\noutput r = mean(v*z)\n"
    program = tpc.parse(text + outputs)
    values = [float(v.value) for v in program.compile()().outputs.values()]
    assert np.allclose(values, 1 / np.sqrt(2 * np.pi), rtol=1e-6)
    finite = program.simulate(width=4096, seeds=16)
    assert np.allclose([float(finite.mean[k]) for k in "pqr"], values, atol=0.02)
