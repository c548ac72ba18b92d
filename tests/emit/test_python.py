"""The printer of emitted Python: what is printed means what was built, and is laid out within its margins."""

import ast
import builtins
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpc.core.affine import Affine
from tpc.core.expr import Gather
from tpc.emit import python as py
from tpc.emit.identifiers import TAKEN, Identifiers, chain_name, local_name
from tpc.emit.library import FILES, HELPERS, global_names, in_order, library, names_for_limit, reached
from tpc.emit.python import WIDEST, Assign, Def, Py, Return, print_statements
from tpc.emit.unused import names_read, without_unused

quick = settings(max_examples=80, deadline=None)
VALUES = {"a": 2.0, "b": -3.0, "c": 0.5}


@st.composite
def built(draw, depth=4):
    """An expression of numbers and names, with the value that it should have."""
    if not depth or (draw(st.booleans()) and depth < 3):
        number = draw(st.integers(-3, 3))
        named = draw(st.sampled_from(sorted(VALUES)))
        return draw(
            st.sampled_from(
                [
                    (py.integer(number), number),
                    (py.real(number / 4), number / 4),
                    (py.floating(float(number)), float(number)),
                    (py.name(named), VALUES[named]),
                    (py.ratio(3, 4), 0.75),
                ]
            )
        )
    kind = draw(st.sampled_from(["total", "product", "quotient", "power", "call", "subscript"]))
    parts = draw(st.lists(built(depth=depth - 1), min_size=1, max_size=3))
    texts, values = [t for t, _ in parts], [v for _, v in parts]
    if kind == "total":
        signs = draw(st.lists(st.booleans(), min_size=len(parts), max_size=len(parts)))
        terms = list(zip(signs, parts, strict=True))
        return py.total([(sign, t) for sign, (t, _) in terms]), sum(-v if s else v for s, (_, v) in terms)
    if kind == "product":
        return py.product(texts), math.prod(values)
    if kind == "quotient":
        divisors = [py.call("one_if_zero", t) for t in texts]
        return py.product([], divisors), 1 / math.prod(v or 1 for v in values)
    if kind == "power":
        return py.power(texts[0], py.integer(2)), values[0] ** 2
    if kind == "call":
        return py.formatted("max({}, 1)", texts[:1]), max(values[0], 1)
    return py.subscript(py.tuple_of(texts), [py.integer(0)]), values[0]


@pytest.mark.parametrize("more", [1, 2, py.LONGEST + 1])
def test_no_operand_of_a_long_chain_is_lost(more):
    numbers = range(1, py.LONGEST + more + 1)
    total = py.total([(k % 2 == 1, py.integer(k)) for k in numbers])
    assert eval(total.text) == sum(-k if k % 2 else k for k in numbers)
    halves = py.product([py.integer(2 - k % 2) for k in numbers], [py.integer(2 - k % 2) for k in numbers])
    assert eval(halves.text) == 1


@quick
@given(built())
def test_what_is_printed_is_worth_what_was_built(made):
    expression, value = made
    scope = {**VALUES, "one_if_zero": lambda x: x or 1, "max": max}
    assert eval(expression.text, scope) == pytest.approx(value, rel=1e-12)
    line = print_statements([Assign(("found",), expression)])
    exec("\n".join(line), scope)
    assert scope["found"] == pytest.approx(value, rel=1e-12)


@quick
@given(built(), built())
def test_parentheses_stand_where_they_must(one, other):
    """Whatever is an operand of something stronger."""
    for sign, value in ((False, one[1] + other[1]), (True, one[1] - other[1])):
        total = py.total([(False, one[0]), (sign, other[0])])
        scope = {**VALUES, "one_if_zero": lambda x: x or 1, "max": max}
        assert eval(py.product([py.integer(2), total]).text, scope) == pytest.approx(2 * value, rel=1e-12)
        assert eval(py.compare("<", total, total).text, scope) is False
        assert eval(py.power(total, py.integer(2)).text, scope) == pytest.approx(value**2, rel=1e-12)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (py.floating(math.inf), "jnp.inf"),
        (py.floating(-math.inf), "-jnp.inf"),
        (py.floating(math.nan), "jnp.nan"),
        (py.floating(2), "2.0"),
        (py.real(2.0), "2"),
        (py.real(1e300), "1e+300"),
        (py.matmul(py.name("A"), py.total([(False, Py("x")), (True, Py("y"))])), "A @ (x - y)"),
        (py.subscript(Py("x"), [Py("i"), py.FULL, py.FULL]), "x[i]"),
        (py.subscript(Py("x"), [py.FULL, Py("i")]), "x[:, i]"),
        (py.subscript(Py("x"), [py.FULL]), "x"),
        (py.subscript(py.total([(True, Py("x"))]), [Py("i")]), "(-x)[i]"),
        (py.part(0, 5, 5), ":"),
        (py.part(0, 3, 5), ":3"),
        (py.part(2, 3, 5), "2:"),
        (py.part(1, 3, 5), "1:4"),
        (py.tuple_of([Py("x")]), "(x,)"),
        (py.row_of([Py("x")]), "x"),
        (py.lambda_of("x", Py("x")), "lambda x: x"),
        (py.product([]), "1"),
    ],
)
def test_forms(made, text):
    assert made.text == text


@pytest.mark.parametrize("count", [199, 201, 5000, 50_000])
def test_long_sums_and_products_compile(count):
    """Python's own compiler fails at some thousands of operands in a row."""
    ones = [py.integer(1)] * count
    assert eval(py.total([(k % 2 == 1, one) for k, one in enumerate(ones)]).text) == count % 2
    assert eval(py.product(ones, ones).text) == 1


names = st.sampled_from(["alpha", "beta_long_name", "gamma", "x_t1_i", "W_met"])


@quick
@given(st.lists(names, min_size=1, max_size=40), st.integers(0, 3), st.text(max_size=150))
def test_lines_keep_their_margins_and_their_meaning(words, indent, comment):
    rows = [py.total([(False, Py(w)), (True, Py(w))]) for w in words]
    value = py.call("jnp.concatenate", py.tuple_of(rows))
    body = (
        Assign(("left", "right"), value, comment),
        Assign(("one",), Py("left"), comment),
        Return(Py("(left, one)")),
    )
    function = Def("f", tuple(dict.fromkeys(words)), body, doc=f"What it is: {' '.join(words)}.")
    lines = print_statements([function], " " * 4 * indent)
    assert max(map(len, lines)) <= WIDEST
    tree = ast.parse("\n".join(line[4 * indent :] for line in lines))
    (function,) = tree.body
    assert [ast.unparse(n) for n in function.body[1:]] == [
        f"left, right = {ast.unparse(ast.parse(value.text))}",
        "one = left",
        "return (left, one)",
    ]


def test_functions_stand_between_blank_lines():
    inner = Def("g", ("x",), (Return(Py("x")),))
    lines = print_statements([Assign(("a",), Py("1")), inner, inner, Return(Py("a"))])
    assert lines == [
        "a = 1",
        "",
        "def g(x):",
        "    return x",
        "",
        "def g(x):",
        "    return x",
        "",
        "return a",
    ]


# names


@quick
@given(st.lists(st.text(min_size=1, max_size=8), max_size=20))
def test_identifiers_are_of_one_name_each(wishes):
    table = Identifiers(reserved=["limit"])
    given_out = {wish: table[wish] for wish in wishes}
    for identifier in given_out.values():
        assert identifier.isidentifier()
        assert identifier.isascii()
        assert not identifier.endswith("_")
        assert identifier not in TAKEN | {"limit"}
    assert len(set(given_out.values())) == len(given_out)
    assert all(table[wish] == identifier for wish, identifier in given_out.items())
    assert table.fresh("h") not in given_out.values()


@pytest.mark.parametrize(
    ("wish", "identifier"),
    [("h$1", "h_1"), ("lambda", "lambda_2"), ("jnp", "jnp_2"), ("φx", "u3c6x"), ("1a", "x1a"), ("h_", "h")],
)
def test_identifiers_are_like_the_names(wish, identifier):
    assert Identifiers()[wish] == identifier


def test_names_of_members_can_be_read():
    t = Affine.var("t")
    assert local_name("x", [t + 1]) == "x_t1"
    assert local_name("x", [t - 1, t.scaled(2)]) == "x_tm1_2t"
    assert local_name("x", [Gather("j", (t,))]) == "x_at"
    assert (chain_name(("W", True)), chain_name(("W", False))) == ("WT", "W")


# what is read, and what is not


def test_names_that_code_reads():
    assert global_names("x = f(a, lambda b: b + c)") >= {"f", "a", "c"}
    assert "b" not in global_names("lambda b: b + c")
    assert global_names("[k for k in range(n)]") >= {"range", "n"}
    assert "y" not in global_names("def f(x):\n    y = x\n    return y")


def test_what_nothing_reads_is_left_out():
    body = (
        Assign(("a", "b"), Py("f(x)")),
        Assign(("c",), Py("a + 1")),
        Assign(("d",), Py("c")),
        Def("g", ("y",), (Assign(("e",), Py("y")), Return(Py("c")))),
        Def("h", ("y",), (Return(Py("y")),)),
        Return(Py("g(a)")),
    )
    lines = print_statements(without_unused(body))
    assert lines == ["a, _ = f(x)", "c = a + 1", "", "def g(y):", "    return c", "", "return g(a)"]
    assert names_read(body) >= {"f", "x", "a", "c", "y", "g"}
    assert not names_read(body) & {"b", "d", "e"}


def test_a_value_that_is_overwritten_unread_is_left_out():
    body = (Assign(("a",), Py("1")), Assign(("a",), Py("2")), Assign(("a",), Py("a + 1")), Return(Py("a")))
    assert print_statements(without_unused(body)) == ["a = 2", "a = a + 1", "return a"]


@quick
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["1", "a", "b + a", "c", "d*d"])), max_size=12
    )
)
def test_leaving_out_changes_no_value(lines):
    start = [Assign((name,), Py(str(k))) for k, name in enumerate("abcd")]
    body = (*start, *(Assign((target,), Py(value)) for target, value in lines), Return(Py("a + b")))
    found = []
    for statements in (body, without_unused(body)):
        scope = {}
        exec("\n".join(print_statements([Def("f", (), tuple(statements))])), scope)
        found.append(scope["f"]())
    assert found[0] == found[1]
    assert without_unused(without_unused(body)) == without_unused(body)


# helpers


def test_helpers_are_found_with_all_that_they_need():
    helpers, imports = reached(["root"], [], [])
    text = "\n".join([*imports, *(h.text for h in helpers)])
    scope = {}
    exec(compile(text, "module", "exec"), scope)
    assert float(scope["root"](4.0)) == 2.0


ANNOTATED = {"name", "value", "stderr"}  # fields, which a class has in its body


def test_every_helper_is_complete():
    """Each name that one reads is a helper, an import, Python's own, or what a module defines itself."""
    found = library()
    known = {name for h in found.helpers for name in h.names} | found.imports.keys() | set(dir(builtins))
    free = {name for h in found.helpers for name in h.needs} - known
    assert {name for name in free if not name.isupper()} <= {"limit", *ANNOTATED}, free
    assert {file.stem for file in HELPERS.glob("*.py")} - {"__init__"} == set(FILES)


def test_what_is_given_is_not_taken_from_the_library():
    helpers, _ = reached(["root"], ["root"], [])
    assert helpers == []
    assert "root" in names_for_limit()
    assert {"jnp", "lax"} <= set(names_for_limit())


def test_imports_are_in_order():
    members = ["import numpy as np", "from jax import lax", "from jax import numpy", "import jax"]
    lines = in_order([*members, "import math", "from typing import Any"])
    assert lines == [
        "import math",
        "from typing import Any",
        "",
        "import jax",
        "import numpy as np",
        "from jax import lax, numpy",
    ]
