"""What notebooks show: short reprs of all that users hold, and HTML in which no text can do anything."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import tpc
from tpc.display.families import MOST_ENTRIES, family_row
from tpc.display.html_tables import facts, table
from tpc.display.markup import Markup, element, escaped
from tpc.display.sparkline import heat_map, sparkline
from tpc.simulate import verify
from tpc.simulate.samples import mean_with_spread

PROGRAMS = Path(__file__).parents[2] / "programs"
TEXT = """program shown   # <script>alert("1")</script> & <img src=x onerror=alert(1)>
width n
dim T = 30, K = 3
input eta = 0.5
vector v[j < K] : n ~ N(0, 1)
matrix W : n x n ~ N(0, 1/n)
x[0] = v[0]
for t < T:
    x[t+1] = W @ x[t]/2 + eta*v[0]
g[i, j] = mean(v[i]*v[j]) for i < K for j < K
output m[t] = mean(x[t]^2) for t < T
output g
output c = mean(tanh(v[0])^2)
"""
VOID = {"img", "br", "hr", "meta"}
HARMLESS = {"div", "b", "details", "summary", "table", "thead", "tbody", "tr", "th", "td", "span", "pre"}
HARMLESS |= {"svg", "polygon", "polyline", "circle", "rect", "g", "path", "defs", "style", "text", "use"}
HARMLESS |= {"clippath", "metadata", "rdf:rdf", "cc:work", "dc:type", "dc:format", "dc:creator", "cc:agent"}
HARMLESS |= {"dc:title", "i"}


class Checked(HTMLParser):
    """Fails unless every element is a harmless one, and closed where it should be."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        assert tag in HARMLESS, tag
        assert not [key for key, _ in attrs if key.startswith("on")], attrs
        assert not [v for k, v in attrs if k in ("href", "src", "xlink:href") and not v.startswith("#")], (
            attrs
        )
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def text_of(html):
    parser = Checked()
    parser.feed(html)
    parser.close()
    assert not parser.open
    return parser.text


@pytest.fixture(scope="module")
def held():
    """Everything of one program."""
    program = tpc.parse(TEXT)
    evaluator = program.compile()
    samples = [program.simulate(width=n, seeds=3) for n in (16, 32)]
    result = evaluator()
    limit = program.derive()
    kernels = tpc.load(PROGRAMS / "architectures/mlp_kernel.tp").kernels()
    return {
        "program": program,
        "core": program.unroll(),
        "graph": program.graph,
        "limit": limit,
        "formulas": limit["x"],
        "evaluator": evaluator,
        "plan": evaluator.plan,
        "result": result,
        "samples": samples[0],
        "report": verify(result.limits, samples),
        "kernels": kernels,
        "kernel": kernels.ntk,
        "outcome": result["m"],
        "sweep": evaluator.sweep({"eta": np.linspace(0.1, 0.5, 2)}),
        "corrections": program.corrections(samples=132, repeats=2),
        "verdict": tpc.load(PROGRAMS / "paper/thm_6_4_network.tp").scale(),
        "sampled": tpc.load(PROGRAMS / "paper/thm_6_4.tp").compile(samples=64).plan,
    }


KINDS = (
    "program core graph limit formulas evaluator plan result outcome samples report kernels kernel sampled "
    "sweep corrections verdict"
)


@pytest.mark.parametrize("kind", KINDS.split())
def test_what_users_hold_is_displayed(held, kind):
    shown = held[kind]
    if kind != "formulas":  # their text is what they are
        assert len(repr(shown)) < 250
        assert "\n" not in repr(shown)
    html = shown._repr_svg_() if kind == "graph" else shown._repr_html_()
    text = text_of(html)
    assert text
    if kind not in ("limit", "formulas", "core"):
        assert len(html) < 200_000


def test_a_program_is_its_text_and_its_graph(held):
    html = held["program"]._repr_html_()
    assert "<svg" in html
    assert TEXT.strip() in text_of(html)
    assert "<script" not in html
    assert 'font-weight:600">width</span>' in html
    assert "onerror=alert(1)" in text_of(html)
    assert "<svg" not in held["core"]._repr_html_()  # written out it has too many nodes
    assert "tpc.draw" in held["core"]._repr_html_()


def test_a_result_is_a_table_with_errors(held):
    result = held["result"]
    text = text_of(result._repr_html_())
    assert "shown at n = ∞" in text
    for name in ("m[30]", "g[3, 3]", "c"):
        assert name in text
    assert "m[29] = " in text
    assert result._repr_html_().count("<svg") == 2


def test_single_outputs_sweeps_and_corrections_show_their_numbers(held):
    result, sweep, corrections = held["result"], held["sweep"], held["corrections"]
    last = str(result).split("m[29] = ")[1].split("\n")[0]
    assert repr(result["m"]).endswith(f"{last}>")
    assert f"value[29] = {last}" in text_of(result["m"]._repr_html_())
    for line in str(sweep).splitlines()[2:]:
        assert all(cell.strip() in text_of(sweep._repr_html_()) for cell in line.split("  ")), line
    line = str(corrections).split("c = ")[1].split("\n")[0]
    assert line in text_of(corrections._repr_html_())
    assert "stable, feature learning" in repr(held["verdict"])


def test_numbers_are_written_alike(held):
    """In text, HTML, LaTeX, with the same figures."""
    result, samples = held["result"], held["samples"]
    line = str(result).split("c = ")[1].split("\n")[0]
    assert line in text_of(result._repr_html_())
    number = mean_with_spread(samples.mean["c"], samples.std["c"], ())
    assert "±" in number
    assert f"c = {number}" in str(samples).replace("  ", " ")
    assert number in text_of(samples._repr_html_())
    assert line.split(" ")[0] in result.to_latex()


def test_a_result_is_a_mapping(held):
    result = held["result"]
    assert list(result) == ["m", "g", "c"]
    assert dict(result.items())["c"] is result["c"]
    assert result.get("other") is None
    assert "m" in result
    assert len(result) == 3


def test_not_finite_and_empty_families():
    values = np.array([1.0, np.nan, np.inf, 2.0, 3.0, -np.inf])
    for array in (values, np.full(4, np.nan), np.array([1e308, -1e308, 0.0]), np.array([5.0]), np.zeros(2)):
        text_of(sparkline(array, np.abs(array)))
        assert "nan" not in sparkline(array, array)
        assert "inf" not in sparkline(array)
    text_of(heat_map(values.reshape(2, 3)))
    text_of(heat_map(np.arange(10_000.0).reshape(100, 100)))
    name, picture, numbers = family_row("a", np.zeros((0, 3)), None, lambda i: "")
    assert (name, picture, numbers) == ("a[0, 3]", "", "no entries")
    _, _, numbers = family_row("a", np.zeros(5000), None, lambda i: "0")
    assert numbers.count("<tr>") == MOST_ENTRIES + 1
    assert "4800 more" in numbers


def test_text_is_escaped_and_markup_is_not():
    assert escaped("<b>\x1b&\"'") == "&lt;b&gt;�&amp;&quot;&#x27;"
    assert element("td", "<", Markup("<b></b>"), class_='"') == '<td class="&quot;">&lt;<b></b></td>'
    assert "<i>" not in table(["<i>"], [["<i>", "a"]])
    assert "&lt;" in facts([("<", ">"), ("left out", "")])
    assert "left out" not in facts([("<", ">"), ("left out", "")])


def test_a_graph_of_ones_own_is_not_drawn(held):
    graph = held["graph"].copy()
    graph.add_node("own")
    assert graph._repr_svg_() is None
    assert "dependency graph" in repr(graph)
