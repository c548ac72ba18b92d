"""Colours in editors: what the files for VS Code, Vim and Pygments know is what the language has."""

import json
import re
import tomllib
from importlib.metadata import EntryPoint
from importlib.resources import files
from pathlib import Path

import pytest
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.token import Error, Keyword

from tpc.editors.pygments_lexer import TOKENS, TensorProgramLexer
from tpc.syntax.highlight import CONSTANTS, NAME, PIECES, WORDS_OF_FUNCTIONS, TextKind
from tpc.syntax.layout import IN_TRAINING, RESERVED, STARTING

ROOT = Path(__file__).parents[2]
EDITORS = ROOT / "tpc/editors"
PROGRAMS = sorted((ROOT / "programs").rglob("*.tp"))
GRAMMAR = (ROOT / "tpc/syntax/grammar.lark").read_text(encoding="utf-8")
DECLARED = {
    word.lower()
    for line in re.findall(r"^%declare (.*)$", GRAMMAR, re.MULTILINE)
    for word in line.split()
    if not word.startswith("_")
}
ALL_WORDS = {"reserved": RESERVED, "starting": STARTING, "training": IN_TRAINING, "adapt": ("adapt",)}
TERMINALS = dict(re.findall(r"^(\w+): /(.*)/$", GRAMMAR, re.MULTILINE))


def words_of_vs_code():
    grammar = json.loads((EDITORS / "vscode/syntaxes/tp.tmLanguage.json").read_text(encoding="utf-8"))
    line, expression = (grammar["repository"][part]["patterns"] for part in ("line", "expression"))
    by_name = {p["name"]: p["match"] for p in expression if "name" in p}
    return {
        "starting": alternatives(line[0]["match"]),
        "training": alternatives(line[1]["match"]),
        "adapt": alternatives(line[2]["match"]),
        "reserved": alternatives(by_name["keyword.control.tp"]),
        "functions": alternatives(by_name["support.function.tp"]),
        "constants": alternatives(by_name["constant.language.tp"]),
    }


def words_of_vim():
    text = (EDITORS / "vim/syntax/tp.vim").read_text(encoding="utf-8").replace(r"\|", "|")
    keywords = dict(re.findall(r"^syntax keyword (\w+) (.*)$", text, re.MULTILINE))
    matches = re.findall(r'^syntax match (\w+) "(.*)"$', text, re.MULTILINE)
    of = {name: pattern.replace(r"\%(", "(").replace(r"\)", ")") for name, pattern in reversed(matches)}
    return {
        "starting": alternatives(of["tpStatement"]),
        "training": alternatives(of["tpTraining"]),
        "adapt": {word for name, p in matches if name == "tpTraining" and "adapt" in p for word in ["adapt"]},
        "reserved": set(keywords["tpWord"].split()),
        "functions": alternatives(of["tpFunction"]),
        "constants": set(keywords["tpConstant"].split()),
    }


def alternatives(pattern):
    """The words of the first group of a pattern."""
    return set(re.search(r"\(([^\W\d][\w|]*)\)", pattern)[1].split("|"))


def test_the_words_are_those_of_the_grammar():
    assert {word for words in ALL_WORDS.values() for word in words} == DECLARED


@pytest.mark.parametrize("found", [words_of_vs_code, words_of_vim], ids=["vs code", "vim"])
def test_an_editor_knows_all_words_and_no_others(found):
    wanted = {kind: set(words) for kind, words in ALL_WORDS.items()}
    wanted |= {"functions": set(WORDS_OF_FUNCTIONS), "constants": set(CONSTANTS)}
    assert found() == wanted


def test_names_and_numbers_are_those_of_the_grammar():
    text = (EDITORS / "vscode/syntaxes/tp.tmLanguage.json").read_text(encoding="utf-8")
    repository = json.loads(text)["repository"]
    patterns = [p["match"] for p in repository["expression"]["patterns"]]
    name = TERMINALS["NAME"].removesuffix(r"(\$[0-9]+)*")  # only tpc itself makes names with a $
    assert any(name == pattern for pattern in patterns)
    assert any(pattern.endswith(TERMINALS["NUMBER"]) for pattern in patterns)
    own = {kind.name: pattern.replace("(?:", "(") for kind, pattern in PIECES}
    assert {kind: own[kind] for kind in ("NAME", "NUMBER")} == {k: TERMINALS[k] for k in ("NAME", "NUMBER")}
    assert name == NAME
    after = re.search(r"\(\?!\(\?:([\w|]+)\)", repository["line"]["patterns"][0]["match"])
    assert set(after[1].split("|")) == set(RESERVED)


def test_a_line_that_begins_a_block_indents_the_next():
    text = (EDITORS / "vscode/language-configuration.json").read_text(encoding="utf-8")
    found = alternatives(json.loads(text)["indentationRules"]["increaseIndentPattern"])
    blocks = re.findall(r"^\w+: ([A-Z]+) .*COLON _NEWLINE _INDENT", GRAMMAR, re.MULTILINE)
    assert found == {word.lower() for word in blocks}


def test_the_extension_is_whole():
    package = json.loads((EDITORS / "vscode/package.json").read_text(encoding="utf-8"))
    paths = [package["main"], package["contributes"]["grammars"][0]["path"]]
    paths.append(package["contributes"]["languages"][0]["configuration"])
    for path in paths:
        assert (EDITORS / "vscode" / path).is_file()
    assert package["contributes"]["languages"][0]["extensions"] == [".tp"]


def test_pygments_has_the_lexer():
    assert set(TOKENS) == set(TextKind)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (entry,) = project["entry-points"]["pygments.lexers"].items()
    assert EntryPoint(*entry, "pygments.lexers").load() is TensorProgramLexer


@pytest.mark.parametrize("path", PROGRAMS[::5], ids=lambda path: path.stem)
def test_programs_are_coloured_without_errors(path):
    text = path.read_text(encoding="utf-8")
    tokens = list(TensorProgramLexer().get_tokens(text))
    assert "".join(part for _, part in tokens) == text
    assert not [part for kind, part in tokens if kind is Error]
    assert [part for kind, part in tokens if kind is Keyword]
    html = highlight("x # <script>", TensorProgramLexer(), HtmlFormatter())
    assert "<script" not in html


def test_the_files_are_in_the_package():
    assert files("tpc.editors").joinpath("vscode/package.json").is_file()
    assert files("tpc.editors").joinpath("vim/ftdetect/tp.vim").is_file()
