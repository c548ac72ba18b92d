"""Small helpers of the core: numbers, what is given from Python, Greek letters, deep recursion, names."""

import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

import tpc
from tpc.core.affine import Affine
from tpc.core.apart import variables_apart
from tpc.core.deep import unwound
from tpc.core.expr import Call, Compare, Number, Pow, Ref, Value, add, mul, number, power
from tpc.core.given import MaskedError, checked_dims, numbers, require_text, require_whole, whole_number
from tpc.core.greek import LETTERS, normalise, spelled
from tpc.core.names import Together, numbered
from tpc.core.numeric import Namespace, evaluate, real_power
from tpc.core.passes import part_for, rewrite
from tpc.core.printer import as_written, print_fraction
from tpc.core.program import For, MatMul, instructions
from tpc.core.wellformed import verified

NUMPY = Namespace(np, scipy.special)
rational = st.fractions(-50, 50, max_denominator=40)
quick = settings(max_examples=80, deadline=None)


# numbers


@quick
@given(rational, st.integers(-6, 6))
def test_powers_of_rationals_are_rounded_once(value, k):
    if value:
        assert real_power(value, k) == pytest.approx(float(value**k), rel=1e-15)
    else:
        assert real_power(value, k) == (1.0 if k == 0 else 0.0 if k > 0 else math.inf)


def test_numbers_beyond_any_float_are_infinite():
    assert real_power(Fraction(10**400), 1) == math.inf
    assert real_power(Fraction(-(10**400)), 1) == -math.inf
    assert real_power(Fraction(10), 400) == math.inf
    assert real_power(Fraction(10), -400) == 0
    assert real_power(Fraction(1, 10**400), 1) == 0


@quick
@given(st.lists(rational, min_size=1, max_size=4), st.integers(1, 3))
def test_expressions_on_arrays_are_arithmetic(values, k):
    x = Value(Ref("x"), True)
    terms = [mul(number(v), power(x, number(k + i))) for i, v in enumerate(values)]
    points = np.linspace(-2, 2, 5)
    found = evaluate(add(*terms), lambda node: points if node == x else None, NUMPY)
    expected = sum(float(v) * points ** (k + i) for i, v in enumerate(values))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("op", ["<", "<=", ">", ">="])
def test_conditions_choose_entry_by_entry(op):
    x = Value(Ref("x"), True)
    points = np.array([-1.0, 0.0, 1.0])
    chosen = Call("where", (Compare(op, x, number(0)), number(7), x))
    found = evaluate(chosen, lambda node: points if node == x else None, NUMPY)
    holds = eval(f"points {op} 0", {}, {"points": points})
    np.testing.assert_array_equal(found, np.where(holds, 7, points))


def test_inverses_of_zero_are_infinite_as_in_arrays():
    zero = Value(Ref("z"), False)
    assert evaluate(Pow(zero, Number(Fraction(-1))), lambda n: 0 if n == zero else None, NUMPY) == math.inf
    assert evaluate(power(zero, number(2)), lambda n: -1e300 if n == zero else None, NUMPY) == math.inf
    assert evaluate(power(zero, number(3)), lambda n: -1e300 if n == zero else None, NUMPY) == -math.inf
    assert evaluate(power(zero, number(-3)), lambda n: 1e300 if n == zero else None, NUMPY) == 0.0


@quick
@given(st.integers(-(10**140), 10**140), st.integers(1, 10**70))
def test_fractions_are_printed_so_that_files_may_have_them(p, q):
    """As sums of numbers of at most 60 digits."""
    text = print_fraction(Fraction(p, q))
    assert all(len(word) <= 60 for word in text.replace("e", " ").replace("(", " ").replace("/", " ").split())
    numerator, _, denominator = text.partition("/")
    exact = [_exact(side) for side in (numerator, denominator or "1")]
    assert exact[0] / exact[1] == Fraction(p, q)


def _exact(text):
    sign, text = (-1, text[1:]) if text.startswith("-") else (1, text)
    return sign * sum(Fraction(part) for part in text.strip("()").split(" + "))


# what is given


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        (3, 3),
        (np.int8(3), 3),
        (np.array(3), 3),
        (True, None),
        (np.True_, None),
        (3.0, None),
        ("3", None),
        (None, None),
    ],
)
def test_whole_numbers(value, whole):
    found = whole_number(value)
    assert found == whole
    assert whole is None or type(found) is int


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1, "must be at least 2, not 1"),
        (10, "must be at most 9, not 10"),
        (2.0, "must be a whole number, not 2.0"),
        (False, "must be a whole number, not False"),
    ],
)
def test_options_out_of_range_are_refused(value, said):
    with pytest.raises(tpc.TpcError) as caught:
        require_whole("--repeats", value, 2, "program", 9)
    assert caught.value.diagnostics[0].code == "TP602"
    assert said in str(caught.value)
    assert require_whole("--repeats", np.int64(9), 2, "program", 9) == 9


@pytest.mark.parametrize(("text", "remedy"), [(b"width n", "decode"), (12, "tpc.load"), (None, "tpc.load")])
def test_the_text_of_a_program_is_a_str(text, remedy):
    with pytest.raises(TypeError, match=remedy):
        require_text(text)


def test_dims_are_whole_however_they_are_written():
    given = {"T": 4.0, "B": np.int32(3), "λ": np.array(2.0)}
    assert checked_dims(given, {"T", "B", "lambda"}, "p") == {"T": 4, "B": 3, "lambda": 2}
    assert checked_dims(None, {"T"}, "p") == {}
    with pytest.raises(TypeError, match="by name"):
        checked_dims([4], {"T"}, "p")


def test_all_wrong_dims_are_told_together():
    with pytest.raises(tpc.TpcError) as caught:
        checked_dims({"T": 1.5, "X": 3, "B": True}, {"T", "B"}, "p")
    assert sorted(d.code for d in caught.value.diagnostics) == ["TP504", "TP507", "TP507"]


def test_arrays_of_numbers():
    assert numbers([[1, 2], [3, 4]]).shape == (2, 2)
    assert numbers(10**30) == 1e30
    assert numbers(np.ma.array([1.0, 2.0], mask=[False, False])).tolist() == [1, 2]
    for bad in ("x", [1, "x"], [[1], [2, 3]], 1j, [None], 10**400):
        with pytest.raises(ValueError):
            numbers(bad)
    with pytest.raises(MaskedError):
        numbers(np.ma.array([1.0, 2.0], mask=[False, True]))


# names


def test_each_greek_letter_has_one_spelling():
    assert len(LETTERS) == 48
    for name, letter in LETTERS.items():
        assert normalise(letter) == spelled(letter) == name
        assert normalise(name) == name
    variants = {"ϕ": "phi", "ϵ": "epsilon", "ς": "sigma", "ϑ": "theta", "ϱ": "rho", "µ": "mu"}
    assert {normalise(letter) for letter in variants} == set(variants.values())
    assert normalise("φx") == "φx"
    assert normalise("ﬁt") == "fit"


def test_names_in_several_collections():
    both = Together(({"h1", "h2"}, {"h3": 0}))
    assert [name in both for name in ("h1", "h3", "h4")] == [True, True, False]
    assert numbered("h", both) == "h4"


def test_parts_are_shown_by_what_they_are_a_part_of():
    assert as_written(Ref("h$2", (Affine.var("t"),))) == "h[t]"
    assert as_written(Ref("$1")) == "$1"


def test_variables_that_are_called_like_outputs_get_other_names():
    program = tpc.parse(
        "width n\nvector u : n ~ N(0, 1)\nfor t < 3:\n    c[t] = mean(sum(s < t + 1: s*u^2))\n"
        "output s = c[0]\noutput t = c[1]\n"
    )
    apart = variables_apart(program)
    loops = {loop.variable for _, around in instructions(apart.body) for loop in around}
    assert not loops & apart.names
    assert variables_apart(apart) is apart
    assert {name: o.value for name, o in apart.compile()().outputs.items()} == {
        name: o.value for name, o in program.compile()().outputs.items()
    }


# deep recursion


def test_calls_of_any_depth():
    def depth(n):
        return 0 if n == 0 else 1 + (yield depth(n - 1))

    def fibonacci(n):
        return n if n < 2 else (yield fibonacci(n - 1)) + (yield fibonacci(n - 2))

    assert unwound(depth(100_000)) == 100_000
    assert unwound(fibonacci(15)) == 610


def test_errors_of_deep_calls_come_out():
    def fails(n):
        if n == 0:
            raise ValueError("at the bottom")
        yield fails(n - 1)

    with pytest.raises(ValueError, match="at the bottom"):
        unwound(fails(5000))


# passes


def test_rewriting_leaves_no_empty_loops():
    program = tpc.parse(
        "width n\nvector u : n ~ N(0, 1)\nmatrix W : n x n ~ N(0, 1/n)\nfor t < 2:\n    for s < 2:\n"
        "        h[t, s] = W @ u\n    c[t] = mean(u^2)\noutput c\n"
    )
    lean = rewrite(program.body, lambda op: None if isinstance(op, MatMul) else op)
    assert [op.out.name for op, _ in instructions(lean)] == ["c"]
    assert not any(isinstance(inner, For) for op in lean if isinstance(op, For) for inner in op.body)
    assert rewrite(program.body, lambda op: op) == program.body
    assert rewrite(program.body, lambda op: None) == ()


def test_what_makes_a_family_runs_alone():
    program = tpc.parse(
        "width n\nvector u : n ~ N(0, 1)\nx = tanh(u)\ny = x + u\nz = 2*u\nc = mean(z*u)\nd = mean(y*x)\n"
        "output c\noutput d\n"
    )
    assert [op.out.name for op, _ in instructions(part_for(program.body, {"c"}))] == ["z", "c"]
    assert [op.out.name for op, _ in instructions(part_for(program.body, {"y"}))] == ["x", "y"]
    assert verified(program) is program
