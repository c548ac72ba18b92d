"""What Python gives is taken for what it is or refused: dims, options, inputs, texts; results are as
mappings."""

import numpy as np
import pytest

import tpc
from tpc.scaling import classify

TEXT = """width n
dim k = 2, unused = 1
input y[k] = 1, s = 1
weight U : n x 2
weight V : 1 x n
network f(x) = V @ tanh(s*(U @ x))
vector v : n ~ N(0, 1)
output m = mean(tanh(y[0]*v)*exp(-v^2))
output l[i] = y[i]*mean(v^2) for i < k
"""
PROGRAM = tpc.parse(TEXT)


def refused(code, call):
    with pytest.raises(tpc.TpcError) as caught:
        call()
    assert caught.value.diagnostics[0].code == code
    return str(caught.value)


@pytest.mark.parametrize(
    ("code", "dims"),
    [
        ("TP504", {"zz": 3}),
        ("TP504", {3: 3}),
        ("TP507", {"k": "3"}),
        ("TP507", {"k": True}),
        ("TP507", {"k": None}),
        ("TP507", {"k": 2.5}),
        ("TP507", {"k": float("nan")}),
        ("TP507", {"k": float("inf")}),
        ("TP307", {"k": -1}),
        ("TP307", {"unused": -1}),
        ("TP308", {"unused": 10**9}),
    ],
)
def test_dims(code, dims):
    refused(code, lambda: tpc.parse(TEXT, dims=dims))


@pytest.mark.parametrize("three", [3, 3.0, np.int64(3), np.float32(3), np.array(3)])
def test_whole_numbers_are_dims(three):
    assert tpc.parse(TEXT, dims={"k": three}) == tpc.parse(TEXT, dims={"k": 3})


@pytest.mark.parametrize(
    "options",
    [
        {"samples": float("nan")},
        {"samples": 3.5},
        {"samples": "8"},
        {"samples": True},
        {"repeats": 2.0},
        {"repeats": 1},
        {"max_rank": 0},
        {"samples": 10**30},
    ],
)
def test_options_of_compile(options):
    refused("TP602", lambda: PROGRAM.compile(**options))


@pytest.mark.parametrize(
    "options",
    [{"seed": -1}, {"seed": 1.5}, {"seed": None}, {"devices": "2"}, {"devices": 0}, {"devices": 1.5}],
)
def test_options_of_a_run(options):
    refused("TP602", lambda: PROGRAM.compile(method="nodes", samples=8, repeats=2)(**options))


@pytest.mark.parametrize(
    "options",
    [
        {"width": 1.5},
        {"width": "64"},
        {"width": True},
        {"width": float("nan")},
        {"width": 0},
        {"seeds": 2.5},
        {"seeds": True},
        {"seeds": [0, 0.5]},
        {"dtype": "float16"},
        {"dtype": None},
    ],
)
def test_options_of_simulate(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        PROGRAM.simulate(**{"width": 8, "seeds": 2, **options})


@pytest.mark.parametrize(
    ("code", "inputs"),
    [
        ("TP508", {"y": [1j, 1]}),
        ("TP508", {"y": np.ma.array([1.0, 2.0], mask=[0, 1])}),
        ("TP508", {"y": None}),
        ("TP508", {"y": [[1], [2, 3]]}),
        ("TP504", {"zz": 1}),
        ("TP504", {"y": [1, 1], "ｙ": [2, 2]}),
        ("TP503", {"y": [1, float("inf")]}),
    ],
)
def test_inputs(code, inputs):
    refused(code, lambda: PROGRAM.simulate(inputs, width=8, seeds=2))


def test_inputs_that_are_numbers_all_the_same():
    same = [
        PROGRAM.simulate({"y": y}, width=8, seeds=2).outputs["l"]
        for y in ([2, 10**30], [2.0, 1e30], np.ma.array([2.0, 1e30]))
    ]
    np.testing.assert_array_equal(same[0], same[1])
    np.testing.assert_array_equal(same[0], same[2])


@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("TP504", {"inputs": {"zz": 1}}),
        ("TP508", {"inputs": {"s": "a"}}),
        ("TP502", {"inputs": {"y": 1}}),
        ("TP602", {"block": 1.5}),
        ("TP602", {"positions": (0.5,)}),
    ],
)
def test_options_of_kernels(code, options):
    refused(code, lambda: PROGRAM.kernels(**options))


def test_kernels_take_inputs_that_the_network_does_not_mention():
    kernel = PROGRAM.kernels(inputs={"y": [1, 2], "s": 2.0}).nngp
    np.testing.assert_array_equal(kernel(np.eye(2)), PROGRAM.kernels(inputs={"s": 2.0}).nngp(np.eye(2)))
    refused("TP508", lambda: kernel(np.ma.array(np.eye(2), mask=True)))
    refused("TP508", lambda: kernel([[1, 2], [3]]))


@pytest.mark.parametrize("text", [None, b"width n", 3, ["width n"]])
def test_texts(text):
    with pytest.raises(TypeError, match="the text of a program is a str"):
        tpc.parse(text)


def test_programs_and_mappings():
    with pytest.raises(TypeError, match="a program is what"):
        classify(None)
    with pytest.raises(TypeError, match="by name"):
        tpc.parse(TEXT, dims=[3])
    with pytest.raises(TypeError, match="by name"):
        PROGRAM.simulate([1.0], width=8, seeds=2)


def test_plans_name_outputs_that_are_expressions_by_their_names():
    product = "*".join(f"tanh(v[{k}]*v[0] + {k})" for k in range(5))
    plan = str(
        tpc.parse(f"width n\nvector v[k < 5] : n ~ N(0, 1)\noutput q = mean({product}) + 1\n")
        .compile(samples=8, repeats=2)
        .plan
    )
    assert "`q` (line 3) is a mean of more than" in plan


def test_points_without_use_are_told_and_results_are_mappings():
    program = tpc.parse("width n\nvector v : n ~ N(0, 1)\noutput q = mean(v^2)\noutput r = 2*mean(v^2)\n")
    result = program.compile(samples=64)()
    assert result.notes == ("samples=64 had no use: the limit is exact, without points",)
    assert program.compile()().notes == ()
    found = program.corrections(samples=64, repeats=2, signs=3)
    assert found.notes == (
        "samples=64, repeats=2 and signs=3 had no use: the limit is exact, without points",
    )
    assert program.corrections().notes == ()
    assert (list(result), "q" in result, "x" in result, len(result)) == (["q", "r"], True, False, 2)
