"""Text to tree: the grammar, spans, names, and the layout of lines."""

from importlib.resources import files
from pathlib import Path

import pytest
from lark import Lark

import tpc
from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.layout import LayoutLexer, normalise
from tpc.syntax.parse import parse_file

HEAD = "width n\nvector v : n ~ N(0, 1)\n"
_ = Span(1, 1, 1, 1)  # spans do not count in comparisons


def only(text):
    """The one statement of `text`."""
    (statement,) = parse_file(text, "t.tp").statements
    return statement


def value(text):
    return only(f"x = {text}\n").value


def name(text):
    return tree.Name(_, text)


def number(k):
    return tree.Literal(_, k)


def source(node, text):
    """What the span of `node` covers, on one line."""
    line = text.split("\n")[node.span.line - 1]
    assert node.span.line == node.span.end_line
    return line[node.span.column - 1 : node.span.end_column - 1]


def test_grammar_has_no_conflicts():
    """With `strict` lark refuses every shift/reduce conflict and every two terminals that match the same
    text."""
    grammar = files("tpc.syntax").joinpath("grammar.lark").read_text(encoding="utf-8")
    Lark(grammar, parser="lalr", lexer="basic", postlex=LayoutLexer(), maybe_placeholders=True, strict=True)


def test_chains_are_flat_and_left_to_right():
    a, b, c = map(name, "abc")
    assert value("a - b - c") == tree.Chain(_, (a, b, c), ("-", "-"))
    assert value("a*b/c") == tree.Chain(_, (a, b, c), ("*", "/"))
    assert value("a·b − c") == tree.Chain(_, (tree.Chain(_, (a, b), ("*",)), c), ("-",))
    assert value("a - (b - c)") == tree.Chain(_, (a, tree.Chain(_, (b, c), ("-",))), ("-",))


def test_binding_strengths():
    assert value("-a^2") == tree.Negated(_, tree.Power(_, name("a"), number(2)))
    assert value("a^-b^c") == tree.Power(_, name("a"), tree.Negated(_, tree.Power(_, name("b"), name("c"))))
    assert value("a**b") == tree.Power(_, name("a"), name("b"))
    assert value("W.T @ W @ v") == tree.MatrixProduct(
        _, tree.Transposed(_, name("W")), tree.MatrixProduct(_, name("W"), name("v"))
    )
    assert value("2*W @ v") == tree.Chain(_, (number(2), tree.MatrixProduct(_, name("W"), name("v"))), ("*",))
    assert value("Wᵀ @ v") == value("W⊤ @ v") == value("W.T @ v")
    assert value("a²") == value("a^2")
    assert value("f''(a)") == tree.Applied(_, tree.Primed(_, name("f"), 2), (name("a"),))
    assert value("x[t+1, 0]") == tree.Indexed(
        _, name("x"), (tree.Chain(_, (name("t"), number(1)), ("+",)), number(0))
    )


def test_spans_cover_what_was_written():
    text = "xs[t+1] = tanh(a  + b[3]) * (c - 1) for t < T"
    statement = only(text + "\n")
    assert source(statement, text) == text
    assert source(statement.target, text) == "xs[t+1]"
    call, bracket = statement.value.operands
    assert source(call, text) == "tanh(a  + b[3])"
    assert source(call.args[0], text) == "a  + b[3]"
    assert source(call.args[0].operands[1].index[0], text) == "3"
    assert source(bracket, text) == "(c - 1)"
    assert source(statement.clauses[0], text) == "for t < T"


def test_spans_after_greek_and_wide_letters():
    text = "θ = η + λ_1"
    assert source(only(text + "\n").value.operands[1], text) == "λ_1"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("η", "eta"),
        ("eta", "eta"),
        ("Γ", "Gamma"),
        ("λ", "lambda"),
        ("ς", "sigma"),
        ("ϕ", "phi"),
        ("𝜂", "eta"),
        ("ﬁt", "fit"),
        ("x𝟏", "x1"),
        ("é", "é"),
    ],
)
def test_names_are_normalised(written, meant):
    assert normalise(written) == meant
    assert only(f"{written} = 1\n").target == name(meant)


def test_a_greek_letter_and_its_name_are_one_identifier():
    assert tpc.parse(HEAD + "η = 2\noutput m = eta*mean(v)\n") == tpc.parse(
        HEAD + "eta = 2\noutput m = eta*mean(v)\n"
    )
    with pytest.raises(tpc.TpcError, match=r"defined twice|made twice"):
        tpc.parse(HEAD + "η = 2\neta = 3\n")


def test_a_reserved_word_inside_a_name_is_a_name():
    assert only("format = sum_of\n").value == name("sum_of")
    assert only("xd = dimension\n").value == name("dimension")


@pytest.mark.parametrize(
    "text",
    [
        "x = v  # said of x\n",
        "# before\n\n   # indented, and alone\nx = v\n\n\n",
        "x = v",
        "x = v\r\n",
        "\n\nx = (v)\n   \n",
        "x = (\n    v   # inside brackets lines go on\n      )\n",
    ],
)
def test_comments_blank_lines_and_brackets(text):
    assert only(text).value == name("v")


@pytest.mark.parametrize(
    "block",
    [
        "for t < 3:\n  x[t] = v\n  y[t] = v\n",
        "for t < 3:\n\tx[t] = v\n\ty[t] = v\n",
        "for t < 3:   # head\n\n      x[t] = v\n  # a comment is no dedent\n      y[t] = v",
        "for t < 3:\n  x[t] = max(v,\nv)\n  y[t] = v\n",
    ],
)
def test_blocks(block):
    statement = only(block)
    assert isinstance(statement, tree.ForBlock)
    assert [s.target.base.name for s in statement.body] == ["x", "y"]


def test_nested_blocks_end_together():
    outer, after = parse_file("for t < 3:\n  for s < t:\n    x[t, s] = v\ny = v\n", "t.tp").statements
    assert isinstance(outer.body[0], tree.ForBlock)
    assert after.target == name("y")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("  x = v\n", "TP007"),
        ("for t < 3:\n    x[t] = v\n  y = v\n", "TP007"),
        ("for t < 3:\n \tx[t] = v\n", "TP007"),
        ("for t < 3:\nx = v\n", "TP005"),
        ("x = v\n    y = v\n", "TP005"),
        ("x = (v\n", "TP005"),
        ("x = " + "(" * 10_000 + "v", "TP006"),
        ("x = " + "-" * 10_000 + "v\n", "TP006"),
        ("x = v $ 2\n", "TP004"),
        ("x = 1e999\n", "TP008"),
        ("x" * (1 << 19), "TP003"),
    ],
)
def test_what_does_not_parse(text, code):
    with pytest.raises(tpc.TpcError) as error:
        parse_file(text, "t.tp")
    assert error.value.diagnostics[0].code == code


def test_every_bad_line_is_reported():
    with pytest.raises(tpc.TpcError) as error:
        parse_file("x = = 1\ny = 2\nz = ) 3\n", "t.tp")
    assert [d.at.span.line for d in error.value.diagnostics] == [1, 3]


PROGRAMS = Path(__file__).parents[2] / "programs"
RETURNING = [
    (path, number)
    for path in sorted(PROGRAMS.rglob("*.tp"))
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines())
    if line.startswith("    return ")
]


@pytest.mark.parametrize(("path", "number"), RETURNING, ids=lambda part: getattr(part, "stem", None))
def test_a_block_without_return_is_told_once(path, number):
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[number] = ""
    with pytest.raises(tpc.TpcError) as caught:
        parse_file("\n".join(lines), "f.tp")
    (found,) = caught.value.diagnostics
    assert "gives nothing" in found.message
    assert found.at.span.line <= number
    assert lines[found.also[0].span.line - 1].split()[0] in ("def", "network", "optimizer")
