"""What an editor asks of a text at any place of any text: an answer or none, never another exception."""

import random
from pathlib import Path

import pytest

from tests.syntax.mutations import mutated
from tpc.editors.completions import OPTIONS, completions
from tpc.editors.meanings import meaning_of_word
from tpc.editors.names_of_file import NamesOfFile
from tpc.editors.open_text import OpenText, RenameError
from tpc.syntax.highlight import WORDS_OF_FUNCTIONS, TextKind, pieces
from tpc.syntax.parse import parse_file
from tpc.train.matrix_aware import MATRIX_AWARE
from tpc.train.optimizer_rules import OPTIMIZERS
from tpc.train.optimizers import options_of_known

PROGRAMS = sorted((Path(__file__).parents[2] / "programs").rglob("*.tp"))
# words of options, laws and losses, the `x` between sides, and names that training makes
BUILT_IN = {
    "N",
    "x",
    "lr",
    "std",
    "scale",
    "decoupled",
    "momentum",
    "clip",
    "steps",
    "index",
    "loss",
    "as",
    "r",
}
BUILT_IN |= {
    "of",
    "otherwise",
    "limit",
    "eps",
    "beta1",
    "beta2",
    "beta",
    "frozen",
    "decay",
    "g",
    "t",
    *OPTIMIZERS,
    *MATRIX_AWARE,
    "momentum",
}
BUILT_IN |= {"sgd", "mse", "xent", "mup", "ntp", "uniform", "tanh", "relu", "erf", "sigmoid", "square"}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_every_name_of_a_program_is_known(path):
    text = path.read_text(encoding="utf-8")
    names = NamesOfFile(parse_file(text, path.name))
    places = [(p.line, p.column) for named in names.all for p in named.places]
    assert len(set(places)) == len(places)
    for piece in pieces(text):
        begin = text.rfind("\n", 0, piece.start) + 1
        place = text.count("\n", 0, piece.start) + 1, piece.start - begin + 1
        if piece.kind is TextKind.NAME and place not in places:
            assert piece.text in BUILT_IN or text[begin:].startswith("program "), (place, piece)


def test_anything_at_any_place_of_any_text():
    asked = 0
    for seed in range(80):
        rng = random.Random(seed)
        text = mutated(seed)
        before = OpenText("before", mutated(seed + 1))
        opened = before.changed(text if seed % 3 else text[: rng.randrange(len(text) + 1)])
        for _ in range(6):
            line = rng.randrange(-1, len(opened.lines) + 3)
            column = rng.randrange(0, 60)
            assert isinstance(opened.hover(line, column), str)
            completions(opened, line, column)
            for span in opened.definition(line, column):
                assert span in opened.places(line, column)
            try:
                spans, made = opened.renamed(line, column, "fresh_name")
            except RenameError:
                continue
            asked += 1
            again = OpenText("again", made)
            assert len(again.errors) == len(opened.errors)
            assert made.count("fresh_name") == len(spans)
    assert asked > 5


def test_places_are_not_guessed_where_the_text_does_not_parse():
    opened = OpenText("net", "width n\nvector v : n ~ N(0, 1)\n").changed(
        "# more\nwidth n\nvector v : n ~ N(0, 1\n"
    )
    assert opened.definition(3, 8) == []
    assert "v" in [found.word for found in completions(opened, 3, 12)]  # names are still offered


def test_a_name_is_not_captured():
    text = "width n\nvector a, b : n ~ N(0, 1)\ndef f(s) = s*s\noutput m[i] = mean(a*b)*i for i < 2\n"
    opened = OpenText("net", text)
    for place, name in (((2, 8), "b"), ((4, 8), "a"), ((2, 8), "i")):
        with pytest.raises(RenameError):
            opened.renamed(*place, name)
    spans, made = opened.renamed(4, 10, "k")
    assert len(spans) == 3
    assert made.endswith("output m[k] = mean(a*b)*k for k < 2\n")
    spans, made = opened.renamed(2, 8, "α")
    assert "alpha" not in made
    assert made.count("α") == 2


RULE = """program v
width n
input x, y, g = 1
vector v : n ~ N(0, 1)
weight U : n x 1
weight V : 1 x n
network f(x) = V @ tanh(U @ x)
optimizer own(beta = 0.9):
    m = beta*m + (1 - beta)*g
    return m
train f for t < 2:
    batch (x, y)
    loss mse
    update own(lr = g)
output c = mean(v^2)*g
"""


def test_what_a_rule_is_given_and_what_a_program_is_called_are_no_names_of_the_file():
    opened = OpenText("net", RULE)
    assert opened.errors == ()
    _, made = opened.renamed(3, 13, "eta")
    assert made == RULE.replace("y, g", "y, eta").replace("lr = g", "lr = eta").replace("^2)*g", "^2)*eta")
    _, made = opened.renamed(4, 8, "u")
    assert made == RULE.replace("vector v", "vector u").replace("mean(v", "mean(u")
    assert opened.definition(9, 30) == []
    (place,) = opened.definition(14, 13)
    assert place.line == 8
    assert [span.line for span in opened.places(8, 16)] == [8, 9, 9]


def test_options_are_those_of_the_optimizer_that_is_named():
    for name, options in options_of_known().items():
        line = f"    update {name}("
        offered = completions(OpenText("net", f"train f for t < 2:\n{line}"), 2, len(line) + 1)
        assert tuple(found.word for found in offered)[: len(options)] == options
    offered = completions(OpenText("net", "    update own("), 1, 16)
    assert {"lr", "clip", "limit", "decay"} <= {found.word for found in offered}


def test_every_choice_and_function_has_a_meaning():
    for word in (*(word for words in OPTIONS.values() for word in words()), *WORDS_OF_FUNCTIONS):
        assert meaning_of_word(word), word
    assert meaning_of_word("adamw") == (
        "`adamw(lr = …, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, root = 0, decay = 0, clip = none, "
        "limit = none)`: decay beside the rule"
    )
    assert meaning_of_word("sgd") == "`sgd(lr = …, momentum = 0, decay = 0, clip = none)`"
    assert "eps = 1e-10" in meaning_of_word("adagrad")
