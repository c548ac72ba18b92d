"""`tpc report`: one page with everything on it, and nothing in it that runs but its own script."""

import json
import re
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from xml.dom.minidom import parseString

import pytest

import tpc
from tpc.cli.main import main
from tpc.derive.mathml import mathml_formula

PROGRAMS = Path(__file__).parents[2] / "programs"
HOSTILE = """program hostile   # </script><script>alert(1)</script> <img src=x onerror="alert(1)">--><b>
width n
input eta = 0.5   # ]]> <!-- '"&lt;
vector v : n ~ N(0, 1)
matrix W : n x n ~ N(0, 1/n)
h = W @ v
output c = mean(h*h)*eta
"""
SECTIONS = ["program", "graph", "limit", "widths", "formulas", "plan", "time"]
VOID = {"meta"}


class Page(HTMLParser):
    """What is on a page, by the way browsers take scripts and attributes."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.ids, self.tags, self.attributes, self.scripts, self.text, self.open = {}, [], [], [], "", []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids |= {value: tag for key, value in attrs if key == "id"}
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        else:
            self.text += data


def write(tmp_path, file, *options, status=0):
    out = tmp_path / "report.html"
    assert main(["report", str(file), "-o", str(out), *map(str, options)]) == status
    return Page(out.read_text(encoding="utf-8")) if out.exists() else None


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Of a training, with everything on it."""
    options = ["--set", "T=2", "--samples", 64, "--repeats", 2, "--widths", "8,16", "--seeds", 2]
    return write(tmp_path_factory.mktemp("report"), PROGRAMS / "paper/thm_6_4_network.tp", *options)


def test_everything_is_on_the_page(page):
    assert [name for name in page.ids if name in SECTIONS] == SECTIONS
    assert page.tags.count("math") > 30
    assert page.tags.count("svg") >= 4
    for words in ("loss[0]", "scrambled Sobol", "by tpc", "with T = 2", "(ZHat)", "numbers, compiling them"):
        assert words in page.text, words
    assert "train f for t < T:" in page.text
    assert re.search(r"width 16\s*\d+\.\d\d", page.text)


def test_nothing_comes_from_elsewhere(page):
    for key, value in page.attributes:
        if key in ("src", "href", "xlink:href", "data", "action", "style"):
            assert "//" not in value, value
            assert key == "style" or value.startswith("#")
        assert not key.startswith("on")
    assert not {"link", "iframe", "object", "img", "base"} & set(page.tags)


def test_a_click_finds_formula_and_line(page):
    places = json.loads(page.scripts[0])
    assert len(places) > 15
    nodes = [name for name in page.ids if re.fullmatch(r"node-\d+", name)]
    assert len(nodes) == len(places)
    lines = {place["line"] for place in places if place["line"]}
    assert len(lines) > 5
    for place in places:
        assert place["label"]
        assert not place["formula"] or place["formula"] in page.ids
        assert not place["line"] or f"line-{place['line']}" in page.ids
    made = [place for place in places if "tanh" in place["label"]]
    assert all(place["formula"] and place["line"] for place in made)


def test_the_only_script_is_the_one_that_the_page_allows(page, tmp_path):
    file = tmp_path / "hostile.tp"
    file.write_text(HOSTILE, encoding="utf-8")
    hostile = write(tmp_path, file, "--widths", "none")
    for found in (page, hostile):
        assert found.tags.count("script") == 2
        (policy,) = (v for k, v in found.attributes if k == "content" and "script-src" in v)
        digest = b64encode(sha256(found.scripts[1].encode()).digest()).decode()
        assert policy.split("; ")[0] == "default-src 'none'"
        assert f"script-src 'sha256-{digest}'" in policy
        assert not [key for key, _ in found.attributes if key.startswith("on")]
    assert '</script><script>alert(1)</script> <img src=x onerror="alert(1)">--><b>' in hostile.text
    assert "img" not in hostile.tags
    assert json.loads(hostile.scripts[0])
    assert "widths" not in hostile.ids


def test_without_outputs_there_are_no_numbers(tmp_path, capsys):
    file = tmp_path / "empty.tp"
    file.write_text("width n\nvector v : n ~ N(0, 1)\nx = v*v\n", encoding="utf-8")
    page = write(tmp_path, file, "--json")
    assert json.loads(capsys.readouterr().out)["program"] == "empty"
    assert "The program has no output." in page.text
    assert "plan" not in page.ids


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["-o", "report.txt"], "TP606"),
        (["-o", "no/such/folder/r.html"], "TP606"),
        (["--seeds", "1"], "TP602"),
        (["--method", "gram"], "TP601"),
        (["--set", "y=[1]"], "TP50"),
    ],
)
def test_what_is_refused_is_refused_before_a_page_is_written(tmp_path, capsys, options, code, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["report", str(PROGRAMS / "paper/thm_6_4.tp"), "-o", "r.html", "--set", "T=2", *options]
    assert main(arguments) == 2
    assert f"error[{code}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["experiments/maml", "experiments/transfer", "paper/ntp", "matrices/amp"])
def test_formulas_in_mathml_are_well_formed(name):
    limit = tpc.load(PROGRAMS / f"{name}.tp").derive()
    for formula in limit:
        for text, _ in mathml_formula(formula):
            element = parseString(text).documentElement
            assert element.tagName == "math"
            assert "�" not in unescape(text)
            bare = [
                node
                for node in walk(element)
                if node.nodeType == node.TEXT_NODE
                and node.parentNode.tagName not in ("mi", "mn", "mo", "mtext")
            ]
            assert not [node for node in bare if node.data.strip()]
            shape = {"mfrac": 2, "msup": 2, "msub": 2, "munder": 2, "mover": 2, "msubsup": 3}
            for node in walk(element):
                if getattr(node, "tagName", "") in shape:
                    assert len(node.childNodes) == shape[node.tagName], node.toxml()


def walk(node):
    yield node
    for child in node.childNodes:
        yield from walk(child)


def test_formulas_in_mathml_say_what_they_say_as_text():
    limit = tpc.parse(
        "width n\ninput a\nvector v : n ~ N(0, 1)\nx = where(v > 0, sqrt(abs(v)), -2*v^2)\n"
        "output c = mean(x*tanh(v))/(3*a) - 1/2\n"
    ).derive()
    ((x, rule),) = mathml_formula(limit["x"])
    assert rule == "ZNonlin"
    assert [tag for tag in ("msqrt", "mtable", "msup") if f"<{tag}" in x] == ["msqrt", "mtable", "msup"]
    ((c, _),) = mathml_formula(limit["c"])
    assert "<mfrac" in c
    assert '<mo stretchy="false">˚</mo>' in c
    assert "<mi>𝔼</mi>" in c
    plain = re.sub(r"<[^>]*>", "", c)
    assert plain.endswith("−12")


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium")
def test_the_graph_fits_the_page_and_zooms(tmp_path):
    """In a browser: the graph is no wider than the page, a button zooms, and a click on a node shows it."""
    out = tmp_path / "report.html"
    file = PROGRAMS / "architectures/residual.tp"
    options = ["--widths", "none", "--set", "T=2", "--samples", "64", "--repeats", "2"]
    assert main(["report", str(file), "-o", str(out), *options]) == 0
    act = """<script>
      const box = () => document.querySelector(".graph svg").getAttribute("viewBox").split(" ").map(Number);
      const seen = [document.documentElement.scrollWidth <= document.documentElement.clientWidth, box()];
      const [nearer, farther, fit] = document.querySelectorAll(".graph button");
      nearer.click(); nearer.click(); seen.push(box());
      farther.click(); seen.push(box());
      fit.click(); seen.push(box());
      document.getElementById("node-3").dispatchEvent(new Event("click"));
      seen.push(document.getElementById("shown").hidden);
      document.title = JSON.stringify(seen);
    </script></body>"""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", out.read_text(encoding="utf-8"))
    out.write_text(text.replace("</body>", act), encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", out.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    fits, whole, near, far, again, hidden = json.loads(re.search("<title>(.*)</title>", done.stdout)[1])
    assert fits
    assert near[2] == pytest.approx(whole[2] / 1.5**2)
    assert far[2] == pytest.approx(whole[2] / 1.5)
    assert again == pytest.approx(whole)
    assert not hidden
