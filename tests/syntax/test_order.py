"""Each index made once, nothing used before it is made: by reasoning and by going through the rounds, and
fast where loops are long."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tpc
from tpc.core.affine import Affine
from tpc.diagnostics.spans import Span
from tpc.syntax import certain as symbolic
from tpc.syntax import order
from tpc.syntax.order import Making, Order, Reference
from tpc.syntax.scope import Loop

HERE = Span(1, 1, 1, 2)
LONG = """
width n
dim T = {T}
matrix W : n x n ~ N(0, 1/n)
vector v : n ~ N(0, 1)
x[0] = v
for t < T:
    h[t] = W @ x[t] - sum(s < t: c[s]*mean(x[s]*x[t])*d[s])
    c[t] = mean(h[t]*x[t])
    d[t] = W.T @ tanh(h[t]) - sum(s < t: c[s]*mean(d[s]*h[t])*x[s])
    x[t+1] = tanh(d[t]) + {use}
    for k < {inner}:
        y[t, k] = x[t-k]*c[k]
output c
"""


@st.composite
def affines(draw, variables, steep=1):
    terms = {v: draw(st.integers(-steep, steep)) for v in variables}
    return Affine.of(draw(st.integers(-2, 3)), terms)


@st.composite
def loops(draw, prefix):
    made = []
    for k in range(draw(st.integers(0, 2))):
        count = draw(affines([loop.variable for loop in made])) if made else Affine(draw(st.integers(0, 5)))
        made.append(Loop(f"{prefix}{k}", count))
    return tuple(made)


@st.composite
def events(draw, kind, axes):
    around = draw(loops("t"))
    variables = [loop.variable for loop in around]
    index = tuple(draw(affines(variables, steep=2)) for _ in range(axes))
    return kind("x", index, around, draw(affines(variables, steep=5)), HERE)


@st.composite
def families(draw):
    axes = draw(st.integers(0, 2))
    return draw(st.lists(events(Making, axes), min_size=1, max_size=3)), draw(events(Reference, axes))


@settings(max_examples=600, deadline=None)
@given(families())
def test_reasoning_is_never_wrong(family):
    makings, use = family
    errors = []
    checked = Order(errors)
    checked.make("x", makings)
    shape = symbolic.extents(makings)
    if shape is not None:
        assert not errors
        assert checked.made["x"].shape == shape
    if not errors:
        certain, inside = symbolic.made_before(use, makings), symbolic.within(use, checked.made["x"].shape)
        checked.use(use)
        if certain:
            assert not errors
            assert inside or not list(order._grids(use.loops))
        checked.errors.clear()
        checked.given(use, checked.made["x"].shape)
        if inside:
            assert not errors


@pytest.mark.parametrize("rounds", [3, 10_000])
def test_long_loops_are_settled_at_once(rounds):
    start = time.perf_counter()
    tpc.parse(LONG.format(T=rounds, use="x[0]", inner="2*t - t - t + 1"))
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("rounds", [3, 10_000])
@pytest.mark.parametrize(
    ("use", "inner", "message"),
    [
        ("x[t+1]", "t", "`x[1]` is used before it is made, at t = 0"),
        ("sum(s < t+2: x[s])", "t", "`x[1]` is used before it is made, at t = 0, s = 1"),
        ("h[t+1]", "1", "index {T} is outside 0 … {last} of axis 1 of `h`, at t = {last}"),
        ("x[t-1]", "1", "index -1 is outside 0 … {T} of axis 1 of `x`, at t = 0"),
        ("x[0]", "t+2", "index -1 is outside 0 … {T} of axis 1 of `x`, at t = 0, k = 1"),
    ],
)
def test_what_is_wrong_in_long_loops_is_named(rounds, use, inner, message):
    with pytest.raises(tpc.TpcError) as error:
        tpc.parse(LONG.format(T=rounds, use=use, inner=inner))
    assert message.format(T=rounds, last=rounds - 1) in [d.message for d in error.value.diagnostics]


def test_holes_and_overlaps():
    head = "width n\nvector v : n ~ N(0, 1)\n"
    for rounds in (4, 9000):
        with pytest.raises(tpc.TpcError, match="`c\\[1\\]` is never made"):
            tpc.parse(f"{head}for t < {rounds}:\n    c[2*t] = mean(v*v)\noutput c\n")
        with pytest.raises(tpc.TpcError, match="`c\\[3\\]` is made twice, at t = 3"):
            tpc.parse(f"{head}c[3] = mean(v)\nfor t < {rounds}:\n    c[t] = mean(v*v)\noutput c\n")
        tpc.parse(f"{head}for t < {rounds}:\n    c[2*t] = mean(v*v)\n    c[2*t+1] = c[2*t]\noutput c\n")
