"""What a limit looks like."""

import json

import pytest
import sympy

import tpc
from tpc.derive import Limit, derive, latex_blocks
from tpc.derive.latex import latex_name
from tpc.derive.mathml import mathml_formula

from .programs import two_layers, wishart

WISHART_TEXT = """\
The limit of the_program

Z^v ~ N(0, 1) (ZInit)
Z^{y0} = Ẑ^{y0} (ZMatMul)
Ẑ^{y0} ~ N(0, E[(Z^v)^2]) = N(0, 1) (ZHat)
Z^{z0} = Ẑ^{z0} + Ż^{z0} (ZMatMul)
Ẑ^{z0} ~ N(0, E[(Z^{y0})^2]) = N(0, 1) (ZHat)
Ż^{z0} = Z^v (ZDot)
m̊ = E[Z^v·Z^{z0}] = 1 (ZMoment)"""


def limit(text: str) -> Limit:
    return derive(tpc.parse(text))


def test_text_reads_like_a_paper() -> None:
    lines = [" ".join(line.split()) for line in str(limit(wishart(1))).strip().splitlines()]
    assert "\n".join(lines) == WISHART_TEXT


def test_constants_are_shown_as_one_writes_them() -> None:
    found = limit("width n\nvector u : n ~ N(0, 1)\nx = pi*u + e\noutput m = mean(x)\n")
    assert "Z^x = π·Z^u + e " in str(found)
    assert r"Z^{x} &= \pi \, Z^{u} + e" in found.latex()


@pytest.mark.parametrize(
    ("value", "text", "latex"),
    [
        ("u*sum(k < 2: v[k])", "Z^u·Σ_{k<2} Z^{v[k]}", r"Z^{u} \, \sum_{k < 2} Z^{v_{k}}"),
        (
            "sum(k < 2: v[k])*u/3",
            "1/3·Z^u·Σ_{k<2} Z^{v[k]}",
            r"\frac{1}{3} \, Z^{u} \, \sum_{k < 2} Z^{v_{k}}",
        ),
        (
            "sum(k < 2: v[k])*sum(k < 2: u*v[k])",
            "(Σ_{k<2} Z^{v[k]})·Σ_{k<2} Z^u·Z^{v[k]}",
            r"\left(\sum_{k < 2} Z^{v_{k}}\right) \, \sum_{k < 2} Z^{u} \, Z^{v_{k}}",
        ),
    ],
)
def test_of_the_factors_that_are_sums_the_last_has_no_parentheses(value: str, text: str, latex: str) -> None:
    found = limit(
        f"width n\nvector u : n ~ N(0, 1)\nvector v[k < 2] : n ~ N(0, 1)\nx = {value}\noutput m = mean(x)\n"
    )
    assert f"Z^x = {text}  " in str(found)
    assert f"Z^{{x}} &= {latex} &&" in found.latex()


@pytest.mark.parametrize(
    ("x", "text", "latex"),
    [
        ("(u + v)/2", "1/2·(Z^u + Z^v)", r"\frac{1}{2} \, \left(Z^{u} + Z^{v}\right)"),
        ("u*(u + v)/2", "1/2·(Z^u + Z^v)·Z^u", r"\frac{1}{2} \, \left(Z^{u} + Z^{v}\right) \, Z^{u}"),
        ("2/3*u", "2/3·Z^u", r"\frac{2}{3} \, Z^{u}"),
    ],
)
def test_fractions_stand_before_what_is_random(x: str, text: str, latex: str) -> None:
    head = "width n\nvector u : n ~ N(0, 1)\nvector v : n ~ N(0, 1)\n"
    found = limit(f"{head}x = {x}\noutput m = mean(x)\n")["x"]
    assert f"= {text} " in f"{found} "
    assert found.latex().endswith(f"= {latex}")


def test_parts_of_a_line_are_shown_as_what_they_are() -> None:
    found = limit(two_layers(3))
    assert "$" not in str(found)
    assert "$" not in found.latex()
    assert "$" not in str(found.unroll())
    assert r"\hat Z^{W x_{t}} + \dot Z^{W x_{t}}" in found.latex()
    update = (
        r"\sum_{s < t} \mathring{\chi}_{s} \, \mathbb{E}\left[Z^{x_{s}} \, Z^{x_{t}}\right] \, Z^{dh_{s}}"
    )
    assert rf"Z^{{h_{{t}}}} &= Z^{{W x_{{t}}}} - {update}" in found.latex()


def test_products_with_tables_in_a_line_are_shown_as_what_they_are() -> None:
    text = (
        "width n\nvector u[i < 2] : n ~ N(0, 1)\ntable A : n x n = abs(outer(u[0], u[1]))\n"
        "y[i] = u[0] - A @ u[i] for i < 2\nz[i] = u[0] - A.T @ u[i] for i < 2\noutput a = mean(y[1]*z[1])\n"
    )
    found = limit(text)
    assert "Z^{y[i]} = Z^{u[0]} - Z^{A u[i]}" in str(found)
    assert r"Z^{u_{0}} - Z^{{A}^{\top} u_{i}}" in found.latex()


def test_ranges_are_shown_in_mathml_but_for_those_that_are_known() -> None:
    (formula,) = (x for x in limit(two_layers(3)).formulas if x.of.name == "chi")
    shown, inside = (str(mathml_formula(formula, known)[0][0]) for known in (0, 1))
    assert 'width="2em"' in shown
    assert 'width="2em"' not in inside


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("xi", r"\xi"),
        ("h", "h"),
        ("dh", "dh"),
        ("dphi", r"d\phi"),
        ("loss", r"\mathit{loss}"),
        ("x_bar", r"\mathit{x\_bar}"),
        ("Alpha", r"\mathrm{A}"),
        ("omicron", "o"),
        ("Omega", r"\Omega"),
    ],
)
def test_names_in_latex(name: str, expected: str) -> None:
    assert latex_name(name) == expected


@pytest.mark.parametrize("text", [wishart(2), two_layers(3), two_layers(3, "gelu(x)")])
def test_latex_is_balanced(text: str) -> None:
    latex = limit(text).latex()
    assert latex.count("{") == latex.count("}")
    assert latex.count(r"\left") == latex.count(r"\right")
    assert latex.count(r"\begin{aligned}") == latex.count(r"\end{aligned}") == 1


def test_notebooks_display_limits_and_formulas() -> None:
    found = limit(wishart(2))
    assert found._repr_latex_().startswith("$$\n\\begin{aligned}")
    assert (
        found["m"]._repr_latex_()
        == r"$\displaystyle \mathring{m} = \mathbb{E}\left[Z^{v} \, Z^{\mathit{z1}}\right] = 2$"
    )


def test_json_is_plain_data() -> None:
    data = json.loads(json.dumps(limit(two_layers(2)).to_json()))
    by_name = {f["of"]: f for f in data["formulas"]}
    assert by_name["h[t]"]["rule"] == "ZNonlin"
    assert by_name["h[t]"]["loops"] == [{"variable": "t", "count": "2"}]
    assert [e["rule"] for e in by_name["h$1[t]"]["equations"]] == ["ZMatMul", "ZHat", "ZHat", "ZDot"]
    assert {"of": "U[t+1]", "by": "dx$1[s]"}.items() <= next(
        d for d in data["derivatives"] if d["of"] == "U[t+1]"
    ).items()
    assert limit(wishart(2)).to_json()["formulas"][-1]["equations"][0]["closed"] == "2"


def test_formulas_are_sympy_equations_when_wanted() -> None:
    equation = limit(two_layers(2)).dot("h$1").sympy
    assert isinstance(equation, sympy.Eq)
    assert isinstance(equation.rhs, sympy.Sum)
    assert limit(wishart(1))["m"].sympy.rhs == sympy.Function("E")(
        sympy.Symbol("Z^v", real=True) * sympy.Symbol("Z^z0", real=True)
    )


def test_formulas_are_the_same_wherever_their_lines_stand() -> None:
    """And whatever else there is: a place is not what a formula says."""
    text = two_layers(2)
    one, other = limit(text), limit(text.replace("width n\n", "width n\n\n# a remark\n\n"))
    assert one.formulas == other.formulas
    assert [f.origin for f in one.formulas] != [f.origin for f in other.formulas]
    later = limit(text.replace("def phi", "vector q : n ~ N(0, 1)\ndef phi").replace("U[0]", "p = q^2\nU[0]"))
    both = [f for f in later.formulas if f.of.name not in ("p", "q")]
    assert both == list(one.formulas)
    assert later.partials == other.partials == one.partials
    assert limit(text) == one != later


def test_a_formula_is_one_line_as_long_as_mathjax_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    formula = limit(wishart(2))["m"]
    length = len(formula.latex())
    for most, is_one in ((length, True), (length - 1, False)):
        monkeypatch.setattr(latex_blocks, "MOST_CHARACTERS", most)
        assert formula._repr_latex_().startswith("$\\displaystyle \\begin{aligned}") != is_one
