"""What is told of powers of n: what names stand for, and where that which grows comes from."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tpc
from tpc.expand import expand
from tpc.expand.rename import PART, START, Meaning, TermName, notes_on

HEAD = "width n\nvector u : n ~ N(0, 1)\nvector v : n ~ N(0, 1)\n"
ZERO, HALF = Fraction(0), Fraction(1, 2)


@pytest.mark.parametrize(
    ("meanings", "said"),
    [
        ([Meaning("x", "y", ZERO, 0)], "x: the limit of y."),
        ([Meaning("x", "y", HALF, 0)], "x: the limit of n^(-1/2)·y."),
        ([Meaning("a", "b", HALF, 0), Meaning("x", "y", HALF, 0)], "a, x: the limit of n^(-1/2)·(b, y)."),
        ([Meaning("x", "y", -HALF, 1)], "x: the limit of n^(1/2)·(y - its first term)."),
        ([Meaning("x", "y", -HALF, 2)], "x: the limit of n^(1/2)·(y - its first 2 terms)."),
        (
            [Meaning("a", "b", ZERO, 1), Meaning("x", "y", ZERO, 1)],
            "a, x: the limit of (b, y - their first terms).",
        ),
        (
            [Meaning("x", "y", ZERO, 0, initial=True)],
            "x: what the start gives to y: Gaussian, and what the limit is conditioned on.",
        ),
    ],
)
def test_what_names_stand_for(meanings, said):
    assert notes_on(meanings) == (said,)


def test_names_of_different_kinds_are_told_apart():
    notes = notes_on([Meaning("x", "y", ZERO, 0), Meaning("a", "b", HALF, 0)])
    assert [note.split(":")[0] for note in notes] == ["x", "a"]


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        ("c = mean(u^2)\noutput d = n^(1/2)*c\n", 5),  # the mean is of order 1, and does not grow
        ("c = n^(1/2)*mean(u^2)\noutput d = 2*c\n", 4),
    ],
)
def test_the_line_that_grows_is_told(lines, line):
    with pytest.raises(tpc.TpcError) as caught:
        expand(tpc.parse(HEAD + lines))
    assert caught.value.diagnostics[0].at.span.line == line


def test_a_choice_is_as_large_as_the_larger_of_its_sides():
    text = HEAD + "x = u*where(v > 0, n^(-1/2)*u, n^(-1)*u)\noutput q = n^(1/2)*mean(x)\n"
    q = tpc.parse(text).compile(method="nodes", samples=512, repeats=4)({})["q"]
    assert abs(float(q.value) - 0.5) < 5 * float(q.stderr) + 1e-9


@given(
    st.text("hδ$1", min_size=1),
    st.builds(Fraction, st.integers(-99, 99), st.integers(1, 9)),
    st.sampled_from([("", None), (START, None), (PART, None), (PART, 0), (PART, 12)]),
)
def test_names_of_terms_come_apart_into_what_they_are_made_of(family, power, kind):
    name = TermName(family, power, *kind)
    assert TermName.is_one(str(name))
    assert TermName.of(str(name)) == name


SEVERAL = """width n
vector v : n ~ N(0, 1)
vector w : n ~ N(0, 1)
u = w + v/2
z = v + u/n
table A : n x n = tanh(outer(u, v))/n + sin(outer(u, v))/n^2
table B : n x n = tanh(outer(u, v))/n^2
h[1] = A @ z
h[2] = B @ z
f = n*mean(h[1]*u)
g = n^2*mean(h[2]*u)
output f
output g
"""


def test_products_of_several_terms_of_a_table_have_names():
    """h[1] has two products of order n^(-2), of which notes say nothing."""
    limit = expand(tpc.parse(SEVERAL)).limit
    assert "h$1 = A @ u" in str(limit)
    assert "h$2 = δA @ v" in str(limit)
    outputs = tpc.parse(SEVERAL).compile(samples=256)().outputs
    assert outputs["f"].value == pytest.approx(outputs["g"].value, rel=1e-12)
    assert "$" not in "".join(tpc.parse(SEVERAL).derive().notes)


def test_covariances_of_a_random_start_are_named_after_both():
    """Each pair is there once, of one width only; a name that is taken is another."""
    text = HEAD + "width m = 2*n\nvector w : m ~ N(0, 1)\nvector z : m ~ N(0, 1)\ncov_a0_b0 = mean(u^2)\n"
    means = "a = n^(1/2)*mean(u*v)\nb = n^(1/2)*mean(v)\nc = n^(1/2)*mean(w*z)\n"
    initial = expand(tpc.parse(f"{text}{means}output q = a*b + a^2 + c*cov_a0_b0\n")).initial
    names = {"a0 a0": "cov_a0_a0", "a0 b0": "cov_a0_b0_2", "b0 b0": "cov_b0_b0", "c0 c0": "cov_c0_c0"}
    assert {" ".join(pair): name for pair, name in initial.blocks.items()} == names
    assert [output.name for output in initial.covariances.outputs] == list(names.values())
