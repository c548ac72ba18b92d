"""Formulas that fit: blocks that MathJax 2 takes, lines that fit a page, names of one's own."""

import re
from html import unescape
from pathlib import Path

import pytest

import tpc
from tpc.derive import latex_blocks
from tpc.derive.latex import latex_name
from tpc.derive.latex_blocks import PAGE, SCREEN, Row, blocks, html_blocks
from tpc.derive.limit_blocks import rows_of_limit
from tpc.derive.line_breaks import FACTOR, TERM, broken, measured, unmarked
from tpc.derive.mathml import mathml_formula

PROGRAMS = sorted((Path(__file__).parents[2] / "programs").rglob("*.tp"))
MATHJAX_2 = 5 * 1024  # characters of a formula, its MAXBUFFER
DELIMITER = re.compile(r"\\(left|right)(?![a-z])")


def well_formed(latex):
    depth = 0
    for token in re.findall(r"\\[{}]|[{}]", latex):
        depth += {"{": 1, "}": -1}.get(token, 0)
        assert depth >= 0
    kinds = [m[1] for m in DELIMITER.finditer(latex)]
    return depth == 0 and kinds.count("left") == kinds.count("right")


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_limits_of_shipped_programs_fit(path):
    limit = tpc.load(path).derive()
    formulas = re.findall(r"<div[^>]*>\$(.*?)\$</div>", limit._repr_html_(), re.DOTALL)
    assert formulas
    for text in map(unescape, formulas):
        assert len(text) < MATHJAX_2
        assert "$" not in text
        assert text.isascii()
        for row in text.split("\\\\\n"):
            assert well_formed(row.replace(r"\begin{aligned}", "").replace(r"\end{aligned}", ""))
    assert "too long" not in limit._repr_html_()
    assert "\x1e" not in limit.to_latex()
    assert "\x1f" not in limit.to_latex()
    widths = [measured(row.text)[0] + row.depth for row in rows_of_limit(limit, {}, PAGE)]
    assert max(widths) < 1.3 * PAGE  # what cannot be broken, a fraction or a name


def test_loops_are_indented_under_their_heads():
    limit = tpc.load(Path(__file__).parents[2] / "programs/paper/thm_6_4.tp").derive()
    rows = [*rows_of_limit(limit, {}, SCREEN)]
    heads = [k for k, row in enumerate(rows) if r"\textbf{for }" in row.text]
    assert heads
    assert all(rows[k + 1].depth > rows[k].depth for k in heads)


def test_names_of_ones_own():
    limit = tpc.parse(
        "width n\nmatrix W : n x n ~ N(0, 1/n)\nvector v : n ~ N(0, 1)\nh = W @ v\noutput loss = mean(h^2)\n"
    ).derive()
    latex = limit.to_latex({"h": "h^{(1)}", "loss": r"\mathcal{L}"})
    assert r"\mathring{{\mathcal{L}}}" in latex
    assert "Z^{{h^{(1)}}}" in latex
    assert "loss" not in latex
    assert latex.startswith("{\\allowdisplaybreaks\n\\begin{align*}")


def test_what_formulas_do_not_say_is_said_below_them():
    """What the coefficients of Ż are where there is no derivative, and where derivatives are 0."""
    text = "width n\nmatrix W : n x n ~ N(0, 1/n)\nvector v : n ~ N(0, 1)\ny = {}(W @ v)\nx = W.T @ y\n"
    kinked, smooth = (
        tpc.parse(text.format(name) + "z = relu(W @ x)\n").derive() for name in ("step", "tanh")
    )
    assert "Stein's lemma" in kinked.text()
    for shown in (kinked.to_latex(), kinked._repr_latex_(), kinked._repr_html_()):
        assert "$a = C^+ b$" in shown
    assert "Stein" not in smooth.text() + smooth.to_latex() + smooth._repr_latex_() + smooth._repr_html_()
    paper = tpc.load(Path(__file__).parents[2] / "programs/paper/thm_6_4.tp").derive()
    assert ("numerator is made first" in paper.text()) == ("numerator is made first" in paper.to_latex())
    assert "numerator is made first" in paper.to_latex()


def test_formulas_in_latex_to_the_letter():
    """On a page as in a cell, where rules stand beside them; symbols of closed forms as elsewhere."""
    limit = tpc.parse(
        "width n\ninput c[2] = 1\ninput rho = 2\nvector u[i < 2] : n ~ N(rho, c[i])\n"
        "output s = mean(u[1]^2)*rho\n"
    ).derive()
    mean = r"\mathbb{E}\left[\left(Z^{u_{1}}\right)^{2}\right]"
    rows = (
        (r"Z^{u_{i}} \sim \mathcal{N}\left(\rho,\, c_{i}\right) \qquad (i < 2)", "ZInit"),
        (rf"\mathring{{s}} = {mean} \, \rho = c_{{1}} \rho + \rho^{{3}}", "ZScalar"),
    )
    page = " \\\\\n".join(f"&{row}" for row, _ in rows)
    cell = " \\\\\n".join(rf"&{row} && \text{{{rule}}}" for row, rule in rows)
    assert limit.to_latex() == f"{{\\allowdisplaybreaks\n\\begin{{align*}}\n{page}\n\\end{{align*}}}}"
    assert limit._repr_latex_() == f"$$\n\\begin{{aligned}}\n{cell}\n\\end{{aligned}}\n$$"


def test_numbers_that_follow_factors_are_set_off():
    """3·2^a without a dot is a power of 32."""
    head = "width n\ninput a\nvector u : n ~ N(0, 1)\n"
    limit = tpc.parse(f"{head}x = 3*2^a*u\ny = 3*a*u\nz = a*2^a*u\noutput c = mean(x*y*z)\n").derive()
    for latex in (limit.to_latex(), limit.latex()):
        assert r"3 \cdot {2}^{a} \cdot Z^{u}" in latex
        assert r"3 \, a \, Z^{u}" in latex
        assert r"a \cdot {2}^{a} \cdot Z^{u}" in latex
    dots = [mathml_formula(limit[name])[0][0].count("·") for name in "xyz"]
    assert dots == [2, 0, 2]


def test_names_that_latex_does_not_have_are_spelled():
    assert latex_name("δU") == r"\mathit{\delta U}"
    assert latex_name("h$1$2") == "h^{(1.2)}"


def test_a_line_is_broken_where_it_is_marked_and_delimiters_go_on():
    text = rf"a = \left(b {TERM}+ c\right) \, {FACTOR}d {TERM}+ \frac{{e {TERM}+ f}}{{g}}"
    whole = unmarked(text)
    assert broken(text, 1000) == [whole]
    for width in range(3, 40):
        lines = broken(text, width)
        assert all(map(well_formed, lines))
        letters = "".join(lines).replace(r"\left.", "").replace(r"\right.", "").replace(" ", "")
        assert letters == whole.replace(" ", "")
        assert not any("frac" in line and "g" not in line for line in lines)  # nothing breaks in braces
    assert broken(text, 12)[0] == r"a = \left(b + c\right) \, d"
    assert broken(text, 8)[0] == r"a = \left(b \right."


def test_a_fraction_is_as_wide_as_its_wider_part():
    def width(text):
        return measured(text)[0]

    small, large = "a + b", "abcdefg + h"
    assert width(rf"\frac{{{small}}}{{{large}}}") == width(rf"\frac{{{large}}}{{{small}}}")
    bar = width(r"\frac{a}{a}") - width("a")
    assert 0 < bar < width("a")
    assert width(rf"\frac{{{small}}}{{{large}}}") == pytest.approx(width(large) + bar)
    assert width(rf"x + \frac{{{small}}}{{{large}}} + y") == pytest.approx(width(f"x + {large} + y") + bar)


def test_what_is_much_wider_than_a_line_is_one_all_the_same():
    latex = "+".join(["x"] * 10_000)
    assert broken(latex, 50) == [latex]
    (block,) = blocks([Row(0, latex)])
    assert "too long" in block
    assert "<b>" not in html_blocks([Row(0, "a <b> c")])


def test_nothing_stands_after_a_denominator_on_the_line():
    """Of a/b·c, c would seem to be below the stroke, too; what is as wide as a line is written with one."""
    names = [f"coefficient{k}" for k in range(5)]
    inputs = "".join(f"input {name} = 1\n" for name in names)
    below = "*".join(f"(1 + {name}^2*v^2)" for name in names)
    head = "width n\ninput r = 2\nvector u : n ~ N(0, 1)\nvector v : n ~ N(0, 1)\n"
    latex = tpc.parse(f"{head}{inputs}x = r*u/({below})\noutput a = mean(x^2)\n").derive().to_latex()
    assert r"Z^{x} = \left(r \, Z^{u}\right) / \left(" in latex
    assert latex.count("Z^{u}") == 2  # with its law


def test_blocks_are_as_long_as_may_be(monkeypatch):
    """Up to the last character: ` \\\\`, a new line, after every row."""
    monkeypatch.setattr(latex_blocks, "MOST_CHARACTERS", 100)
    row = "x" * 15  # 20 with `&` and what separates rows
    filled = [Row(0, row), Row(0, row), Row(0, row), Row(0, row), Row(0, row + "yyyy")]
    inside = "\\begin{{aligned}}\n{}\n\\end{{aligned}}".format
    assert blocks(filled) == [inside(" \\\\\n".join(map(str, filled)))]
    longer = [*filled[:4], Row(0, row + "yyyyy")]
    assert blocks(longer) == [inside(" \\\\\n".join(map(str, longer[:4]))), inside(str(longer[4]))]
    assert blocks([]) == []
    assert blocks([Row(0, "x" * 99)]) == [inside("&" + "x" * 99)]
    assert "too long" in blocks([Row(0, "x" * 100)])[0]
