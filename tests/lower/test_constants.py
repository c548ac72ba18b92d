"""Constants that have no value, and inputs that leave a part of a program none."""

import pytest

import tpc
from tpc.diagnostics.diagnostic import TpcError

HEAD = "width n\ndim T = 3\ninput r = 1\ninput s[T] = 0\nvector u : n ~ N(0, 1)\n"


def message(text: str, **inputs: object) -> str:
    with pytest.raises(TpcError) as stop:
        tpc.parse(f"{HEAD}{text}\n").compile()(inputs)
    (found,) = stop.value.diagnostics
    assert found.at is not None
    return f"{found.code} line {found.at.span.line}: {found.message}"


@pytest.mark.parametrize(
    "constant",
    [
        "log(0)",
        "log(-1)",
        "(-1)^(1/2)",
        "(-8)^(1/3)",
        "sqrt(-1)",
        "1/log(2 - 2)",
        "0*log(0)",
        "max(log(0), 1)",
    ],
)
@pytest.mark.parametrize("line", ["output a = mean(u^2)*({})", "output a = mean(tanh(u*({})))"])
def test_constants_without_a_value_are_refused_where_they_stand(constant, line):
    """Though 1/log(0) would be 0 in floating point, and max(−∞, 1) would be 1."""
    assert message(line.format(constant)).startswith("TP218 line 6: ")


@pytest.mark.parametrize(
    "constant", ["exp(1000)", "cosh(-1000)", "tanh(exp(1000))", "(exp(700)*exp(700)*pi)"]
)
def test_constants_that_overflow_are_too_large(constant):
    assert message(f"output a = mean(u^2)*{constant}").startswith("TP216 line 6: ")


def test_what_where_does_not_choose_need_have_no_value():
    text = "x = where(T > 3, 1/(T - 3), u)\noutput a = mean(x^2) + where(T > 3, log(3 - T), 2)"
    assert tpc.parse(f"{HEAD}{text}\n").compile()()["a"].value == 3


def test_an_odd_zero_has_no_sign():
    assert " a = 0\n" in f"{tpc.parse(f'{HEAD}output a = mean(u^2)/log(r)').compile()({'r': 0})}\n"


@pytest.mark.parametrize(
    ("line", "inputs", "told"),
    [
        ("output a = mean(u^2)/log(r)", {}, "division by `log(r)`, which is 0 at r = 1"),
        ("output a = mean(tanh(u)^2/log(r))", {}, "division by `log(r)`, which is 0 at r = 1"),
        ("output a = mean(u^2)*log(r - 2)", {}, "`log(-2 + r)` is no real number at r = 1"),
        ("output a = mean(u^2)*exp(r)", {"r": 1000}, "`exp(r)` is infinite at r = 1000"),
        (
            "output a[t] = mean(u^2)/s[t] for t < T",
            {"s": [1, 0, 2]},
            "division by `s[1]`, which is 0 at t = 1",
        ),
        ("x[t] = u/t for t < T\noutput a[t] = mean(x[t]*u) for t < T", {}, "division by 0 at t = 0"),
        (
            "q = r - 1\noutput a = where(r > 1, log(1 - r), 2)*mean(u^2)/q",
            {},
            "division by `q`, which is 0",
        ),
        ("output a = mean(u^2)*sum(t < T: 1/s[t])", {"s": [1, 2, 0]}, "division by `s[2]`, which is 0"),
    ],
)
def test_what_inputs_make_infinite_is_told_with_its_place(line, inputs, told):
    count = 6 + line.count("\n")
    assert message(line, **inputs) in {
        f"TP603 line {k}: `a` is not finite{own}: {told}"
        for k in (6, count)
        for own in ("", " at `a[0]`", " at `a[1]`", " from `a[0]` on")
    }


@pytest.mark.parametrize(
    ("law", "code", "told"),
    [
        ("log(r), 1", "TP409", "the mean of `v` is -inf"),
        ("1/r, 1", "TP409", "the mean of `v` is inf"),
        ("0, 1/r", "TP406", "the covariance of `v` .*: it has entries that are not finite"),
    ],
)
def test_laws_that_inputs_leave_no_value(law, code, told):
    text = f"width n\ninput r = 0\nvector v : n ~ N({law})\noutput a = mean(v^2)\n"
    with pytest.raises(TpcError, match=f"{code}.*{told}"):
        tpc.parse(text).compile()()


def test_what_training_makes_infinite_is_told_at_the_output():
    lines = "w[0] = u\nfor t < T:\n    w[t+1] = exp(100*r*mean(w[t]^2))*w[t]\noutput a = mean(w[T]^2)"
    assert message(lines) == "TP603 line 9: `a` is not finite"
