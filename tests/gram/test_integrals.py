"""Integrals over one and two Gaussians that are no closed forms: their claimed errors cover the truth, at all
scales.

`integrals.json` has random functions with their means: of one Gaussian from mpmath with 30 digits, of two
from Gauss–Legendre panels in NumPy, cut and graded at every kink (to 1e-14 of `size`, the mean of their
sizes). `TPC_INTEGRALS=500` takes all of them; `tests/bench/integrals.py` makes more.
"""

import json
import os
import re
from fractions import Fraction
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy.special import ndtr

import tpc
from tests.bench.kernel_norms import ACTIVATIONS, mean_of_product
from tpc.diagnostics.diagnostic import TpcError

CASES = json.loads(Path(__file__).with_name("integrals.json").read_text(encoding="utf-8"))
ONE, TWO = ([c for c in CASES if ("covariance" in c) == two] for two in (False, True))
COUNT = int(os.environ.get("TPC_INTEGRALS", "24"))


def outcome(source, **options):
    return tpc.parse(f"width n\nvector v : n ~ N(0, 1)\n{source}").compile(**options)({})


def numbered(f, k):
    """A function of u and v as one of `uk` and `vk`."""
    return re.sub(r"(?<![A-Za-z])([uv])(?![A-Za-z])", rf"\g<1>{k}", f)


def claims(source, wanted, sizes):
    """Claimed errors and errors, of outputs `o0`, `o1`, …; the wanted values are good to 1e-14 of their
    sizes."""
    result = outcome(source)
    assert result.plan.method == "gram"
    claimed = np.array(
        [0.0 if (e := result[f"o{k}"].stderr) is None else float(e) for k in range(len(wanted))]
    )
    errors = np.array([float(result[f"o{k}"].value) for k in range(len(wanted))]) - wanted
    allowed = claimed + 1e-14 * np.maximum(np.abs(wanted), sizes)
    assert not np.any(np.abs(errors) > allowed), [
        source.splitlines()[k] for k in np.flatnonzero(np.abs(errors) > allowed)
    ]
    return claimed / np.maximum(1, np.abs(wanted))


def in_programs(cases, size):
    """Cases in programs of so many, whose compiling grows with their number."""
    return [cases[k : k + size] for k in range(0, len(cases), size)]


def test_functions_of_one_gaussian():
    relative = []
    for taken in in_programs(ONE[:COUNT], 24):
        source = "".join(f"output o{k} = mean({c['f']})\n" for k, c in enumerate(taken))
        relative.append(claims(source, np.array([c["value"] for c in taken]), np.zeros(len(taken))))
    assert np.mean(np.concatenate(relative) < 1e-8) >= 0.95


def test_functions_of_two_gaussians():
    relative = []
    for taken in in_programs(TWO[: max(6, COUNT // 4)], 6):
        source = ""
        for k, c in enumerate(taken):
            q, c_uv, r = (str(Fraction(x)) for x in c["covariance"])
            source += f"vector (u{k}, v{k}) : n ~ N([0, 0], [[{q}, {c_uv}], [{c_uv}, {r}]])\n"
            source += f"output o{k} = mean({numbered(c['f'], k)})\n"
        values, sizes = (np.array([c[key] for c in taken]) for key in ("value", "size"))
        relative.append(claims(source, values, sizes))
    assert np.mean(np.concatenate(relative) < 1e-6) >= 0.95


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_tails_and_what_overflows_in_them(dtype):
    source = (
        "output a = mean(exp(2*v)*tanh(0*v + 1))\n"
        "output b = mean(v^24*exp(-v^2))\n"
        "output c = mean(exp(v^2/4))\n"
        "output d = mean(exp(v)/(1 + exp(v)))\n"
        "output e = mean(exp(v^2/2.0001))\n"
        "output f = mean(step(v)*exp(2*v)*tanh(0*v + 1))\n"
    )
    result = outcome(source, dtype=dtype)
    wanted = [
        np.exp(2) * np.tanh(1),
        343552.469074999,
        2**0.5,
        0.5,
        141.424891727,
        np.exp(2) * ndtr(2) * np.tanh(1),
    ]
    np.testing.assert_allclose(
        [float(result[x].value) for x in "abcdef"], wanted, rtol=3e-9 if dtype == "float64" else 1e-4
    )


def test_what_has_no_mean_has_no_number():
    functions = ["exp(exp(v))", "tanh(v)/v^3", "1/abs(v - 1)"]
    with pytest.raises(TpcError, match="not finite") as error:
        outcome("".join(f"output o{k} = mean({f})\n" for k, f in enumerate(functions)))
    assert all(not np.isfinite(error.value.partial[f"o{k}"].value) for k in range(len(functions)))
    certain = ["exp(v^2)", "exp(0.6*v^2)*v^2", "exp(v^2)*tanh(v)^2", "exp(v^2/2)*tanh(v)^2"]
    with pytest.raises(TpcError, match="infinite in the limit") as error:
        outcome("".join(f"output o{k} = mean({f})\n" for k, f in enumerate(certain)))
    assert [d.code for d in error.value.diagnostics] == ["TP806"] * len(certain)


def test_what_cancels_is_in_the_claim():
    """E (tanh z − tanh y)²/r² for z = v, y = v + r·w: E tanh'² in the limit of small r; and what is narrower
    than numbers are dense."""
    source = "vector w : n ~ N(0, 1)\n" + "".join(
        f"output t{k} = mean((tanh(v + {r}*w) - tanh(v))^2)/({r})^2\n"
        for k, r in enumerate(("1e-3", "1e-6", "1e-9", "1e-11"))
    )
    source += "output s = mean(1e20*exp(-(1e20*(v - 1))^2))\n"
    result = outcome(source)
    for k in range(4):
        assert abs(float(result[f"t{k}"].value) - 0.4644) < float(result[f"t{k}"].stderr) + 1e-4
    assert float(result["s"].stderr) > 1


def test_gelu_of_width_zero_is_relu():
    source = (
        "input s = 0\n"
        "output a = mean(gelu(v, 0))\n"
        "output b = mean(gelu(0*v, 0))\n"
        "output c = mean(gelu(v - v, s))\n"
        "output d = mean(gelu(v, s))\n"
        "output e = mean(gelu(v - 1, s)^2)\n"
        "output f = mean(gelu(v, s)^2)\n"
    )
    relu = outcome("output d = mean(relu(v))\noutput e = mean(relu(v - 1)^2)\n")
    for dtype in ("float64", "float32"):
        result = outcome(source, dtype=dtype)
        wanted = [float(relu["d"].value), 0, 0, float(relu["d"].value), float(relu["e"].value), 0.5]
        np.testing.assert_allclose(
            [float(result[x].value) for x in "abcdef"], wanted, rtol=1e-11 if dtype == "float64" else 1e-5
        )


def test_numbers_inside_count_once():
    result = outcome("output a = mean(sigmoid(v + 5/2))\noutput b = mean(1/(1 + exp(-v - 5/2)))\n")
    np.testing.assert_allclose(float(result["a"].value), 0.894638, atol=1e-6)
    np.testing.assert_allclose(float(result["b"].value), 0.894638, atol=1e-6)


def test_kernels_of_large_inputs():
    """The NTK of a tanh net of one hidden layer at norms 1 to 1000, where tanh' is narrow, and how it depends
    on them."""
    program = tpc.parse(
        "width n\ninput x[4]\nweight U : n x 1\nweight V : 1 x n\nnetwork f(x) = V @ tanh(U @ x)\n"
        "output k[i] = ntk(f)(x[i], x[i]) for i < 4\n"
    )
    evaluator = program.compile()
    at = np.array([1.0, 20, 50, 1000])
    result = evaluator({"x": at})
    v = np.logspace(-9, np.log10(40), 20001)  # a trapezium rule in log v
    tanh = np.tanh(v * at[:, None])
    wanted = 2 * np.trapezoid(
        (tanh**2 + (at[:, None] * (1 - tanh**2)) ** 2) * np.exp(-(v**2) / 2) / (2 * np.pi) ** 0.5 * v,
        np.log(v),
        axis=1,
    )
    np.testing.assert_allclose(result["k"].value, wanted, rtol=1e-5)
    assert evaluator.plan.exact
    kernel = evaluator.function("k")
    slopes = np.diag(jax.jacfwd(lambda x: kernel({"x": x}))(at))
    differences = evaluator({"x": at * 1.0001})["k"].value - evaluator({"x": at / 1.0001})["k"].value
    np.testing.assert_allclose(slopes, differences / (at * (1.0001 - 1 / 1.0001)), rtol=1e-6)


def test_kinks_move_with_what_is_differentiated():
    """d/dt E step(v − t) is the density, which no node sees but through the cut."""
    evaluator = tpc.parse(
        "width n\ninput t = 0.7\nvector v : n ~ N(0, 1)\noutput a = mean(step(v - t))\n"
    ).compile()
    at = evaluator.function("a")
    np.testing.assert_allclose(
        jax.grad(lambda t: at({"t": t}))(0.7), -np.exp(-0.245) / (2 * np.pi) ** 0.5, rtol=1e-10
    )
    np.testing.assert_allclose(
        jax.vmap(lambda t: at({"t": t}))(np.array([0.0, 0.7])), [0.5, 0.2419636522], rtol=1e-9
    )


def test_roots_of_what_is_no_line_are_found():
    """tanh(1e4·(tanh v − 0.3)) changes its sign at atanh(0.3)."""
    result = outcome("output a = mean(step(tanh(v) - 0.3))\noutput b = mean(tanh(10000*(tanh(v) - 0.3)))\n")
    assert abs(float(result["a"].value) - ndtr(-np.arctanh(0.3))) < 1e-12
    assert abs(float(result["b"].value) - (1 - 2 * ndtr(np.arctanh(0.3)))) < 1e-7


def test_what_is_made_of_lines_turns_where_it_bends():
    """exp(min(u, 0)) is cut where it bends, and no place is looked for where it is steep, at all scales."""
    text = (
        "width n\ninput s\nvector (u, v) : n ~ N([0, 0], [[1, 3/5], [3/5, 1]])\n"
        "output k = mean(elu(s*u)*elu(s*v))\n"
    )
    evaluator = tpc.parse(text).compile(method="gram")
    assert "('turn'" not in evaluator.source
    one = ACTIVATIONS["elu"]
    for s in (1e-3, 1.0, 300.0):
        found = evaluator({"s": s})["k"]
        wanted = mean_of_product(one.value, one.places, s**2 * np.array([[1, 0.6], [0.6, 1]]), 12)
        assert abs(float(found.value) - wanted) <= float(found.stderr) + 1e-13 * s**2
        assert float(found.stderr) < 1e-9 * max(1, s**2)
