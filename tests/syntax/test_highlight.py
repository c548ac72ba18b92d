"""The classes of words that editors colour are those that the lexer finds."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpc.syntax.highlight import TextKind, pieces
from tpc.syntax.parse import parser

PROGRAMS = sorted((Path(__file__).parents[2] / "programs").rglob("*.tp"))
OPERATORS = {"TRANSPOSE", "ADD_EQUALS", "SUPERSCRIPT", "PRIMES", "COMPARISON", "LESS", "POWER", "STAR"}
OPERATORS |= {"SLASH", "SIGN", "AT", "EQUALS", "TILDE"}
PUNCTUATION = {"COLON", "_COMMA", "LPAR", "RPAR", "LSQB", "RSQB"}


def kinds_of_the_lexer(text):
    """(offset, text, kind) of every token; an attribute is a point and a name."""
    for token in parser().lex(text):
        if token.type.startswith("_") and token.type != "_COMMA":
            continue
        if token.type == "ATTRIBUTE":
            yield token.start_pos, ".", TextKind.PUNCTUATION
            yield token.start_pos + 1, str(token)[1:], TextKind.NAME
            continue
        kind = (
            TextKind.NUMBER
            if token.type == "NUMBER"
            else TextKind.NAME
            if token.type == "NAME"
            else TextKind.OPERATOR
            if token.type in OPERATORS
            else TextKind.PUNCTUATION
            if token.type in PUNCTUATION
            else TextKind.KEYWORD
        )
        yield token.start_pos, text[token.start_pos : token.end_pos], kind


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_shipped_programs_are_coloured_as_they_are_read(path):
    text = path.read_text(encoding="utf-8")
    plain = {TextKind.FUNCTION: TextKind.NAME, TextKind.CONSTANT: TextKind.NAME}
    found = [
        (piece.start, piece.text, plain.get(piece.kind, piece.kind))
        for piece in pieces(text)
        if piece.kind not in (TextKind.SPACE, TextKind.COMMENT)
    ]
    assert found == list(kinds_of_the_lexer(text))


def test_words_that_are_names_elsewhere():
    text = (
        "width n\nweight weight : n x 1\nbatch = 1\nnetwork f(x) = weight @ tanh(x)\n"
        "train f for t < 2:\n    batch (1, 1)\n    loss mse\nloss = f.mean + pi\ng = adapt(f, 1)\n"
    )
    kinds = [(p.text, p.kind.value) for p in pieces(text) if p.kind is not TextKind.SPACE]
    assert kinds[2:4] == [("weight", "keyword"), ("weight", "name")]
    assert [k for k in kinds if k[0] in ("batch", "loss")] == [
        ("batch", "name"),
        ("batch", "keyword"),
        ("loss", "keyword"),
        ("loss", "name"),
    ]
    assert {("tanh", "function"), ("pi", "constant"), ("mean", "name"), ("adapt", "keyword")} <= set(kinds)


@given(st.text(max_size=80))
@settings(max_examples=100, deadline=None)
def test_nothing_is_lost(text):
    assert "".join(piece.text for piece in pieces(text)) == text
