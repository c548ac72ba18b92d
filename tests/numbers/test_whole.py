"""Arithmetic of loop variables and index inputs against exact fractions: in every representation and
precision, formulas, laws, finite width.

Some 200 expressions in the suite. `TPC_INDICES=10000 pytest tests/numbers/test_whole.py` tests as many.
"""

import os

import numpy as np
import pytest

import tpc
from tests.numbers.whole import C, Case, T, cases
from tpc.core.expr import Ref, Value, add, mul, number
from tpc.emit.whole import whole_bounds

# of JAX's integers in single precision
LARGEST = 2**31 - 1
TOGETHER = 40  # expressions in a program at most
HEAD = f"width n\ndim T = {T}\ninput c[T] : index(T)\nmatrix A : n x n ~ N(0, 1/n)\nvector v : n ~ N(0, 1)\n"
VECTORS = {"linear": "A @ v", "gram": "relu(A @ v)", "chaos": "(A @ v)^2", "nodes": "tanh(v)"}
EPS = {"float64": np.finfo(np.float64).eps, "float32": np.finfo(np.float32).eps}
ROUTES = [
    *((route, dtype) for route in (*VECTORS, "laws", "finite width") for dtype in EPS),
    ("formulas", "float64"),
    ("laws at finite width", "float64"),
]
COUNT = int(os.environ.get("TPC_INDICES", "200")) // len(ROUTES)


def program(own: list[Case], vector: str) -> tpc.Program:
    """Each expression times a mean, or every third one times a vector."""
    lines = [f"w = {vector}", "m = mean(w*w)", "output m"]
    for k, case in enumerate(own):
        if k % 3:
            lines.append(f"output a{k}[t] = ({case.text})*m for t < T")
        else:
            lines += [f"y{k}[t] = ({case.text})*w for t < T", f"output a{k}[t] = mean(y{k}[t]*w) for t < T"]
    return tpc.parse(HEAD + "\n".join(lines))


def of_laws(own: list[Case]) -> tpc.Program:
    """Each expression as the mean of a vector."""
    lines = [
        f"vector u{k}[t < T] : n ~ N({case.text}, 0)\noutput a{k}[t] = mean(u{k}[t]) for t < T"
        for k, case in enumerate(own)
    ]
    return tpc.parse(HEAD + "\n".join(lines))


def evaluated(own: list[Case], route: str, dtype: str) -> dict[str, np.ndarray]:
    """What a route makes of the expressions, times `m`; where one has no value it may make anything of it."""
    inputs = {"c": list(C)}
    made = of_laws(own) if route.startswith("laws") else program(own, VECTORS.get(route, "v"))
    with np.errstate(all="ignore"):
        if route.endswith("finite width"):
            return dict(made.simulate(inputs, width=4, seeds=1, dtype=dtype).mean)
        if route == "formulas":
            return made.derive().evaluate(inputs, samples=8)
        try:
            # the same ones for every output
            points = {"samples": 256, "repeats": 2} if route == "nodes" else {}
            result = made.compile(method="linear" if route == "laws" else route, dtype=dtype, **points)(
                inputs
            )
        except tpc.TpcError as error:
            result = error.partial
    return {name: outcome.value for name, outcome in result.outputs.items()}


@pytest.mark.parametrize(("route", "dtype"), ROUTES)
def test_indices_are_exact_numbers(route, dtype):
    wrong = []
    for start in range(0, COUNT, TOGETHER):
        own = cases(10**6 * ROUTES.index((route, dtype)) + start, min(TOGETHER, COUNT - start))
        if route.startswith("laws"):  # those without a value are refused (TP409)
            own = [case for case in own if None not in case.values]
        found = evaluated(own, route, dtype)
        m = float(found.get("m", 1.0))
        for k, case in enumerate(own):
            for t, exact in enumerate(case.values):
                if exact is not None:
                    got, wanted, room = (
                        float(found[f"a{k}"][t]) / m,
                        float(exact.value),
                        EPS[dtype] * float(exact.error + 2 * abs(exact.value)),
                    )
                    if not abs(got - wanted) <= 4 * room:
                        wrong.append((case.text, t, wanted, got))
    assert not wrong


@pytest.mark.parametrize("route", VECTORS)
@pytest.mark.parametrize(
    ("exponent", "of"),
    [
        ("t/2", lambda t, c, a: t / 2),
        ("t - 1/3", lambda t, c, a: t - 1 / 3),
        ("c[t]/2", lambda t, c, a: c / 2),
        ("a*t", lambda t, c, a: a * t),
        ("a + c[t]", lambda t, c, a: a + c),
    ],
)
def test_exponents_of_indices_and_of_more_need_not_be_whole(route, exponent, of):
    a, factor = 0.3, f"(3/2 + t)^({exponent})"
    text = HEAD + f"input a\nw = {VECTORS[route]}\nm = mean(w*w)\noutput m\ny[t] = {factor}*w for t < T\n"
    text += f"output x[t] = mean(y[t]*w) for t < T\noutput z[t] = {factor}*m for t < T\n"
    options = {"samples": 256, "repeats": 2} if route == "nodes" else {}
    found = tpc.parse(text).compile(method=route, **options)({"c": list(C), "a": a})
    wanted = [float(found["m"].value) * (1.5 + t) ** of(t, C[t], a) for t in range(T)]
    for name in "xz":
        np.testing.assert_allclose(found[name].value, wanted, rtol=1e-12)


def test_integers_go_as_far_as_those_of_single_precision():
    x = Value(Ref("x"), False)

    def found(expr, bound):
        return whole_bounds(expr, (), {"x": bound}.get)

    half = (LARGEST - 1) // 2
    assert found(add(mul(number(2), x), number(1)), half + 1) == (1, LARGEST)
    assert found(add(mul(number(2), x), number(2)), half + 1) is None
    assert found(mul(number(-1), x), LARGEST + 1) == (-LARGEST, 0)
    assert found(mul(number(-1), x), LARGEST + 2) is None
