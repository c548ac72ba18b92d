"""What a user is shown: the place, the line, the remedy, however odd the text is, and nothing that moves a
cursor."""

import json
import pickle
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tpc
from tpc.diagnostics.catalogue.words import counted, either, quoted, similar
from tpc.diagnostics.diagnostic import (
    MAX_SHOWN,
    MAX_WORD,
    Diagnostic,
    Label,
    RefusedError,
    TpcError,
    in_order,
    legible,
    render,
)
from tpc.diagnostics.spans import Span

quick = settings(max_examples=80, deadline=None)
TEXT = "width n\nvector u : n ~ N(0, 1)\n\toutput m = mean(v^2)\n"
V = Label(Span(3, 18, 3, 19), "not defined")


def test_a_diagnostic_is_laid_out_like_a_compilers():
    error = Diagnostic("TP101", "`v` is not defined", V, (Label(Span(2, 8, 2, 9), "u is"),), "define it")
    assert render(error, "a.tp", TEXT).splitlines() == [
        "a.tp:3:18: error[TP101]: `v` is not defined",
        "2 | vector u : n ~ N(0, 1)",
        "  |        - u is",
        "3 |  output m = mean(v^2)",
        "  |                  ^ not defined",
        "  = help: define it",
    ]


def test_what_has_no_place_is_of_the_whole_file():
    assert (
        render(Diagnostic("TP001", "there is no file"), "a.tp", "") == "a.tp: error[TP001]: there is no file"
    )


def test_two_places_in_a_line_share_it():
    error = Diagnostic("TP100", "twice", Label(Span(1, 7, 1, 8)), (Label(Span(1, 1, 1, 6)),))
    assert render(error, "a", "width n").splitlines()[1:] == ["1 | width n", "  | -----", "  |       ^"]


lines = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@quick
@given(lines, lines, lines, st.integers(1, 5), st.integers(1, 400), st.integers(0, 300))
def test_whatever_is_in_a_file_can_be_shown(text, name, message, line, column, length):
    """No control characters, one caret line per place, no line without end."""
    label = Label(Span(line, column, line, column + length))
    shown = render(Diagnostic("TP101", message, label, (), message), name, text)
    assert all(c.isprintable() or c == "\n" for c in shown)
    carets = [part for part in shown.split("\n") if "^" in part]
    assert all(len(part) <= 2 * MAX_SHOWN + len(message) + len(name) + 60 for part in carets)


@quick
@given(lines)
def test_messages_are_legible(text):
    shown = legible(text)
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert max(map(len, shown.split()), default=0) < MAX_WORD
    if text.isprintable() and max(map(len, text.split()), default=0) < MAX_WORD:
        assert shown == text


def test_names_without_end_keep_both_ends():
    shown = legible("`" + "a" * 1000 + "z`")
    assert shown.startswith("`aaa")
    assert shown.endswith("aaz`")
    assert "…" in shown


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_are_lines_however_they_end(newline):
    text = newline.join(["width n", "vector u", "oops"])
    assert "3 | oops" in render(Diagnostic("TP100", "", Label(Span(3, 1, 3, 5))), "a", text)


def test_places_beyond_the_file_show_no_line():
    shown = render(Diagnostic("TP100", "at the end", Label(Span(9, 1, 9, 2))), "a", "one line")
    assert shown == "a:9:1: error[TP100]: at the end"


def test_long_lines_are_cut_and_so_are_their_carets():
    text = "x" * 1000
    shown = render(Diagnostic("TP100", "long", Label(Span(1, 1, 1, 900))), "a", text).splitlines()
    assert shown[1].endswith(" …")
    assert shown[2].count("^") == MAX_SHOWN


def test_a_place_over_several_lines_is_marked_to_the_end_of_the_first():
    shown = render(Diagnostic("TP100", "", Label(Span(1, 3, 2, 2))), "a", "abcdef\nghi").splitlines()
    assert shown[2] == "  |   ^^^^"
    assert Span(1, 3, 1, 4).to(Span(2, 1, 2, 2)) == Span(1, 3, 2, 2)


def test_colour_is_all_that_colour_adds():
    error = Diagnostic("TP101", "m", V, (), "help")
    plain, coloured = render(error, "a", TEXT), render(error, "a", TEXT, colour=True)
    for code in ("\033[1;31m", "\033[1;34m", "\033[1m", "\033[0m"):
        assert code in coloured
        coloured = coloured.replace(code, "")
    assert coloured == plain


def test_errors_come_once_and_in_the_order_of_the_file():
    r = random.Random(0)
    errors = [Diagnostic("TP100", str(k), Label(Span(1 + k // 3, 1 + k % 3, 9, 9))) for k in range(9)]
    whole = Diagnostic("TP001", "whole")
    shuffled = [*errors, *errors[:4], whole]
    r.shuffle(shuffled)
    assert in_order(shuffled) == [whole, *errors]


def test_what_made_a_line_is_told_where_nothing_else_is():
    bare, told = Diagnostic("TP1", "m", Label(V.span)), Diagnostic("TP1", "m", V)
    assert bare.in_line("an update").at.text == "an update"
    assert told.in_line("an update") == told
    assert bare.in_line("") == bare
    assert Diagnostic("TP1", "m").in_line("an update").at is None


def test_errors_are_data():
    error = TpcError([Diagnostic("TP101", "m", V, (), "h"), Diagnostic("TP102", "k")], "a.tp", TEXT)
    data = json.loads(json.dumps(error.to_json()))
    assert [e["code"] for e in data["errors"]] == ["TP101", "TP102"]
    assert data["errors"][0]["at"] == {
        "line": 3, "column": 18, "end_line": 3, "end_column": 19, "text": "not defined",
    }  # fmt: skip
    assert data["errors"][1]["at"] is None
    assert {e["file"] for e in data["errors"]} == {"a.tp"}
    assert str(error) == error.render()
    assert str(error).count("error[") == 2


def test_errors_of_workers_arrive_whole():
    error = TpcError([Diagnostic("TP101", "m", V)], "a.tp", TEXT, of_program=True)
    again = pickle.loads(pickle.dumps(error))
    assert (again.diagnostics, again.name, again.text) == (error.diagnostics, error.name, error.text)
    assert again.of_program
    assert str(again) == str(error)
    assert again.args == error.args


def test_refusals_carry_their_diagnostic():
    diagnostic = Diagnostic("TP101", "why")
    assert RefusedError(diagnostic).diagnostic is diagnostic
    assert str(RefusedError(diagnostic)) == "why"


def test_words():
    assert similar("tahn", ["tanh", "relu"]) == "did you mean `tanh`?"
    assert similar("zzzz", ["tanh", "relu"]) is None
    assert (quoted("x"), quoted("")) == ("`x`", "this")
    assert (counted(1, "row", "rows"), counted(12345, "row", "rows")) == ("1 row", "12,345 rows")
    assert either(["a"]) == "a"
    assert either(["a", "b", "c"]) == "a, b or c"


def test_several_mistakes_are_told_together():
    with pytest.raises(TpcError) as caught:
        tpc.parse("width n\nvector u : n ~ N(0, 1)\nx = tahn(u)\ny = v\noutput m = mean(u*w)\n")
    at = [d.at.span.line for d in caught.value.diagnostics]
    assert at == [3, 4, 5]
    assert "did you mean `tanh`?" in str(caught.value)
