"""The lexer's layout rules.

Indentation, brackets, identifiers, and words told from names by where they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lark import Token

from tpc.core.greek import normalise
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.diagnostics.spans import Span

RESERVED = (
    "program",
    "width",
    "dim",
    "input",
    "matrix",
    "vector",
    "output",
    "def",
    "return",
    "for",
    "sum",
    "mean",
)
# words only where a statement begins, before a name
STARTING = (
    "check",
    "table",
    "weight",
    "bias",
    "activation",
    "parametrization",
    "network",
    "optimizer",
    "train",
)
IN_TRAINING = ("batch", "loss", "update", "gradient")  # words only where a line of a `train` block begins
MAX_DEPTH = 60  # of brackets, blocks, and of the tree
OPENING, CLOSING = {"LPAR", "LSQB"}, {"RPAR", "RSQB"}


def span_of(token: Token) -> Span:
    line, column = token.line or 1, token.column or 1
    return Span(line, column, token.end_line or line, token.end_column or column + len(token))


def default_name(file: str) -> str:
    """The name of a program that names itself nowhere: its file's, as an identifier."""
    stem = re.sub(r"[^A-Za-z0-9_]", "_", normalise(Path(file).stem))
    return f"the_{stem}" if stem in RESERVED else stem if stem.isidentifier() else f"program_{stem}"


class LayoutLexer:
    """Layout as tokens: indentation, newlines outside of brackets, and words told from names.

    Nesting is bounded.
    """

    always_accept = ("_NEWLINE",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        return training_words(self.lines(stream))

    def lines(self, stream: Iterator[Token]) -> Iterator[Token]:
        indents, brackets = [0], 0
        newline: Token | None = None
        last: Token | None = None
        for token in stream:
            if token.type == "_NEWLINE":
                if not brackets:
                    newline = token
                continue
            if newline is not None:
                if last is not None:
                    yield newline
                yield from self.indentation(newline, token, indents)
                newline = None
            elif last is None and (token.column or 1) > 1:
                raise RefusedError(catalogue.syntax.indentation(span_of(token), "the first line is indented"))
            brackets = self.depth(token, brackets)
            if token.type == "NAME" and token.value in RESERVED:
                token = Token.new_borrow_pos(token.value.upper(), token.value, token)
            last = token
            yield token
        if last is not None:
            end = newline or Token(
                "_NEWLINE",
                "\n",
                line=last.end_line,
                column=last.end_column,
                end_line=last.end_line,
                end_column=last.end_column,
            )
            yield end
            for _ in indents[1:]:
                yield Token.new_borrow_pos("_DEDENT", "", end)

    def depth(self, token: Token, brackets: int) -> int:
        if token.type in OPENING:
            if brackets >= MAX_DEPTH:
                raise RefusedError(catalogue.syntax.too_deep(span_of(token), MAX_DEPTH))
            return brackets + 1
        return max(0, brackets - 1) if token.type in CLOSING else brackets

    def indentation(self, newline: Token, token: Token, indents: list[int]) -> Iterator[Token]:
        blank = newline.value.rsplit("\n", 1)[1]
        here = span_of(token)
        if "\t" in blank and " " in blank:
            raise RefusedError(catalogue.syntax.indentation(here, "tabs and spaces are mixed"))
        width = len(blank)
        if width > indents[-1]:
            if len(indents) > MAX_DEPTH:
                raise RefusedError(catalogue.syntax.too_deep(here, MAX_DEPTH))
            indents.append(width)
            yield Token.new_borrow_pos("_INDENT", blank, token)
        while width < indents[-1]:
            indents.pop()
            yield Token.new_borrow_pos("_DEDENT", blank, token)
        if width != indents[-1]:
            raise RefusedError(catalogue.syntax.indentation(here, "this line goes back to no earlier level"))


def training_words(stream: Iterator[Token]) -> Iterator[Token]:
    """Words of the training language told from names by where they stand.

    Elsewhere they are names like any other.
    """
    before: list[str] = ["_NEWLINE"]  # the types of the last token, and of the one before it
    held: Token | None = None  # a token that what follows decides upon
    starts = False  # whether it begins a line
    depth, training = 0, 0  # levels of indentation; the level inside a `train` block, else 0
    for token in stream:
        if held is not None:
            yield (held := retyped(held, token, starts, bool(training)))
            if held.type == "TRAIN":
                training = depth + 1
            before.append(held.type)
        starts, held = before[-1] in ("_NEWLINE", "_INDENT", "_DEDENT"), None
        if token.type in ("_INDENT", "_DEDENT"):
            depth += 1 if token.type == "_INDENT" else -1
            training = 0 if depth < training and token.type == "_DEDENT" else training
        if token.type == "NAME" and (starts or before[-1] == "EQUALS"):
            held = token
            continue
        before.append(token.type)
        yield token
    if held is not None:
        yield held


def retyped(token: Token, following: Token, starts: bool, training: bool) -> Token:
    word = token.value
    is_word = (
        (starts and word in STARTING and following.type == "NAME")
        or (starts and training and word in IN_TRAINING)
        or (not starts and word == "adapt" and following.type == "LPAR")
    )
    return Token.new_borrow_pos(word.upper(), word, token) if is_word else token
