"""Expressions as JAX: the text that is emitted, evaluated, is worth what the expression is; also in branches
that are excluded, with its derivatives."""

import itertools
import re
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tpc
from tpc.core.affine import Affine
from tpc.core.expr import (
    ZERO,
    Compare,
    Constant,
    Number,
    Position,
    Ref,
    Sum,
    Value,
    add,
    call,
    divide,
    mul,
    number,
    power,
    walk,
)
from tpc.core.functions import FUNCTIONS
from tpc.core.numeric import Namespace, evaluate
from tpc.core.program import MatMul, Nonlin, Origin
from tpc.emit.comments import LONGEST, Comments, plain
from tpc.emit.docstring import MOST_LINES, docstring
from tpc.emit.excluded import doubtful_families, finite_branches
from tpc.emit.formulas import Expressions
from tpc.emit.identifiers import Identifiers
from tpc.emit.scopes import Frame, MemberArray
from tpc.plan.space import Linear, Nodes, degree

NUMPY = Namespace(np, scipy.special)
X, Y = Value(Ref("x"), True), Value(Ref("y"), True)
C, K = Value(Ref("c"), False), Value(Ref("k"), False)
T = Affine.var("t")
POINTS = {"x": np.array([-1.5, 0.25, 2.0]), "y": np.array([0.5, -0.75, 1.0])}
SCALARS = {"c": 0.7, "k": 2}
RANGES = (("t", Affine(3)),)
quick = settings(max_examples=60, deadline=None)


def written(x, space=None):
    """The emitted text of an expression of the vectors x and y, the scalars c and k, and the variable t."""
    frame = Frame(variables={"t": "t"})
    for name in (*POINTS, *SCALARS):
        frame.hold(MemberArray(name, name, name in POINTS, {}, (), (), frame))
    emit = Expressions(space or Nodes(), Identifiers())
    return (emit.vector if space is None and has_vector(x) else emit.value)(x, frame, RANGES).text


def has_vector(x):
    return any(isinstance(node, Value) and node.vector for node in walk(x))


def scope(t=2):
    return {
        **{name: jnp.asarray(v) for name, v in POINTS.items()},
        **SCALARS,
        "t": t,
        "dtype": jnp.float64,
        "jnp": jnp,
        "jax": jax,
        "erf": jax.scipy.special.erf,
        "root": lambda v, p=0.5: v**p,
    }


def expected(x, t=2):
    def leaf(node):
        match node:
            case Value(ref, _):
                return {**POINTS, **SCALARS}[ref.name]
            case Position(index):
                return index.at({"t": t})
        return None

    with np.errstate(all="ignore"):
        return evaluate(x, leaf, NUMPY)


@st.composite
def expressions(draw, depth=3):
    leaves = [X, Y, C, Position(T + 1), Constant("pi"), number(3), number(Fraction(-2, 3))]
    if not depth or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(leaves))
    inner = expressions(depth=depth - 1)
    match draw(st.sampled_from(["add", "mul", "divide", "power", "where", "call"])):
        case "add":
            return add(draw(inner), draw(inner))
        case "mul":
            return mul(draw(inner), draw(inner))
        case "divide":
            below = draw(inner)
            assume(below != ZERO)
            return divide(draw(inner), add(power(below, number(2)), number(1)))
        case "power":
            return power(draw(inner), number(draw(st.integers(1, 3))))
        case "where":
            a, b, c = (draw(inner) for _ in range(3))
            return call("where", Compare(draw(st.sampled_from(["<", "<=", ">", ">="])), a, ZERO), b, c)
    smooth = [name for name, f in FUNCTIONS.items() if f.arguments == 1 and f.bounded]
    return call(draw(st.sampled_from(sorted(smooth))), draw(inner))


@quick
@given(expressions())
def test_emitted_text_is_worth_the_expression(x):
    value = expected(x)
    assume(np.all(np.isfinite(value)))
    found = np.asarray(eval(written(x), scope()), dtype=float)
    np.testing.assert_allclose(found, np.broadcast_to(value, found.shape), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", sorted(name for name, f in FUNCTIONS.items() if f.arguments == 1))
def test_every_function_is_emitted(name):
    """In its domain, and with the derivative that is told of it."""
    x = call(name, add(power(X, number(2)), number(Fraction(1, 2))))
    text = written(x)
    found = np.asarray(eval(text, scope()))
    np.testing.assert_allclose(found, expected(x), rtol=1e-14)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (add(X, mul(number(-1), Y)), "x - y"),
        (divide(X, C), "x/c"),
        (power(X, number(3)), "x**3"),
        (power(X, number(-2)), "1/x**2"),
        (mul(number(Fraction(1, 2)), X), "1/2*x"),
        (power(C, number(Fraction(1, 2))), "jnp.sqrt(c)"),
        (Position(T.scaled(2) - 1), "jnp.asarray(2*t - 1, dtype)"),
    ],
)
def test_formulas_are_written_as_by_hand(x, text):
    assert written(x) == text


def test_a_linear_space_writes_products_of_coefficients():
    """In coefficients a number stands for a multiple of the constant function."""
    frame = Frame()
    for n in ("x", "y", "c"):
        frame.hold(MemberArray(n, n, n != "c", {}, (), (), frame))
    emit = Expressions(Linear(), Identifiers())
    assert emit.vector(add(X, number(2)), frame, ()).text.replace(" ", "") in ("2*one+x", "x+2*one")
    assert emit.vector(mul(C, X), frame, ()).text == "c*x"
    assert emit.moment(mul(X, Y), frame, ()).text == "inner(x, y)"
    assert emit.moment(X, frame, ()).text == "inner(one, x)"
    assert emit.moment(power(X, number(2)), frame, ()).text == "inner(x, x)"
    assert emit.moment(C, frame, ()).text == "c"


@pytest.mark.parametrize(
    ("x", "of"),
    [
        (number(3), 0),
        (C, 0),
        (X, 1),
        (mul(C, X, Y), 2),
        (add(power(X, number(3)), Y), 3),
        (power(add(X, Y), number(2)), 2),
        (call("tanh", X), np.inf),
        (call("tanh", C), 0),
        (power(X, number(-1)), np.inf),
        (Sum("s", Affine(3), mul(X, Position(Affine.var("s")))), 1),
    ],
)
def test_degrees(x, of):
    assert degree(x) == of


# branches that are excluded


BRANCHES = [
    call("where", Compare(">", X, ZERO), call("sqrt", X), ZERO),
    call("where", Compare(">", X, ZERO), call("log", X), X),
    call("where", Compare("<=", X, ZERO), Y, power(X, number(-1))),
    call("where", Compare(">", X, ZERO), power(X, number(Fraction(1, 3))), Y),
    call("where", Compare(">", C, ZERO), Y, call("log", mul(number(-1), C))),
    call("where", Compare(">", X, ZERO), call("where", Compare("<", X, number(1)), X, call("log", X)), Y),
]


@pytest.mark.parametrize("x", BRANCHES, ids=range(len(BRANCHES)))
def test_excluded_branches_are_finite_with_their_derivatives(x):
    """The value is that of the branch that is taken, everywhere."""
    finite = finite_branches(x)

    def at(x1, y1):
        def leaf(node):
            return {"x": x1, "y": y1, "c": 0.5}[node.ref.name] if isinstance(node, Value) else None

        return evaluate(finite, leaf, Namespace(jnp, jax.scipy.special))

    for x1, y1 in itertools.product((-2.0, -0.5, 0.5, 2.0), (0.3,)):
        with np.errstate(all="ignore"):
            leaves = {"x": np.float64(x1), "y": np.float64(y1), "c": np.float64(0.5)}
            plain_value = evaluate(x, lambda n: leaves[n.ref.name] if isinstance(n, Value) else None, NUMPY)  # noqa: B023
        assert float(at(x1, y1)) == pytest.approx(float(plain_value), rel=1e-12)
        assert np.all(np.isfinite(jax.grad(at, (0, 1))(x1, y1)))


def test_what_is_defined_everywhere_stays_as_it_is():
    for x in (call("tanh", X), call("where", Compare(">", X, ZERO), X, power(Y, number(2))), call("log", X)):
        assert finite_branches(x) == x


def test_families_that_may_be_no_numbers_are_followed():
    program = tpc.parse(
        "width n\nvector u : n ~ N(0, 1)\na = log(u)\nb = 2*a\nd = tanh(u)\nc = mean(d)\n"
        "f = log(c)\ng = f*d\noutput c\n"
    )
    assert doubtful_families(program.body) == {"a", "b", "f", "g"}


# what is said around the code


def test_docstrings_end_where_they_should_and_hold_the_program():
    text = (
        'width n  # """ and \\ \x07\nvector u : n ~ N(0, 1)\noutput m = mean(u^2)  # ' + "long " * 60 + "\n"
    )
    program = tpc.parse(text)
    shown = docstring(program, "How.")
    assert all(len(line) <= 120 for line in shown.splitlines())
    told = eval(shown)
    assert "How." in told
    lines = [" ".join(line.split()) for line in told.splitlines()]
    assert '"""' in told
    assert "vector u : n ~ N(0, 1)" in lines
    assert any(line.count("long") == 60 for line in lines)


def test_docstrings_of_long_programs_say_what_is_left_out():
    lines = "".join(f"x{k} = tanh(u)\n" for k in range(MOST_LINES + 50))
    program = tpc.parse(f"width n\nvector u : n ~ N(0, 1)\n{lines}output m = mean(u^2)\n")
    told = eval(docstring(program, ""))
    assert "… and 53 more lines" in told
    assert f"x{MOST_LINES - 3} = tanh(u)" in told
    assert f"x{MOST_LINES} = tanh(u)" not in told


def test_comments_name_a_line_once():
    program = tpc.parse("width n\nvector u : n ~ N(0, 1)\nx = tanh(u)   # why\noutput m = mean(x^2)\n")
    comments = Comments(program)
    line = Nonlin(Ref("x"), X, origin=Origin(3, 1))
    assert comments.of(line) == "line 3: x = tanh(u)"
    assert comments.of(line) == ""
    product = MatMul(Ref("h$1"), Ref("W"), Ref("x"), origin=Origin(3, 1))
    assert comments.of(product) == "Z^h_1 = Ẑ^h_1 + Ż^h_1"
    assert comments.of(product, dot=False) == "Z^h_1 = Ẑ^h_1"
    summed = Nonlin(Ref("y"), Sum("s", T, X), origin=Origin(999, 1))
    assert comments.of(summed) == "sum over s < t"
    assert plain("h$1$2") == "h_1_2"


def test_long_lines_of_a_user_are_cut():
    text = f"width n\nvector u : n ~ N(0, 1)\nx = {' + '.join(['u'] * 80)}\noutput m = mean(x^2)\n"
    said = Comments(tpc.parse(text)).of(Nonlin(Ref("x"), X, origin=Origin(3, 1)))
    assert re.fullmatch(rf"line 3: .{{{LONGEST}}}…", said)


def test_numbers_are_written_exactly():
    for value in (Fraction(1, 3), Fraction(10**30), Fraction(-7, 2), Fraction(1, 10**20)):
        x = mul(Number(value), X)
        np.testing.assert_allclose(eval(written(x), scope()), float(value) * POINTS["x"], rtol=1e-15)
