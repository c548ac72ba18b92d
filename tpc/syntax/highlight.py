"""What every piece of a text is, for those who colour it: whether it parses or not, nothing is lost.

Words of the language are told from names as the lexer does (`tpc.syntax.layout`), which refuses where this
goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from tpc.core.functions import FUNCTIONS
from tpc.syntax.layout import IN_TRAINING, RESERVED, STARTING


class Kind(Enum):
    """What a piece is. SPACE is line ends, too; WRONG is what the language has no use for."""

    COMMENT = "comment"
    KEYWORD = "keyword"
    FUNCTION = "function"
    CONSTANT = "constant"
    NAME = "name"
    NUMBER = "number"
    OPERATOR = "operator"
    PUNCTUATION = "punctuation"
    SPACE = "space"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text, from `start` on."""

    kind: Kind
    start: int
    text: str

    @property
    def end(self) -> int:
        return self.start + len(self.text)


CONSTANTS = ("pi", "π", "e")
WORDS_OF_FUNCTIONS = (*FUNCTIONS, "where", "D", "pad", "onehot", "nngp", "ntk", "outer")
PIECES = (
    (Kind.COMMENT, r"#[^\n]*"),
    (Kind.NUMBER, r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"),
    (Kind.NAME, r"[^\W\dᵀ⁰¹²³⁴⁵⁶⁷⁸⁹][^\Wᵀ⁰¹²³⁴⁵⁶⁷⁸⁹]*(?:\$[0-9]+)*"),
    (Kind.OPERATOR, r"\.T(?![\w$])|[⊤ᵀ]|\+=|<=|>=|\*\*|[-−+*·/^@=~<>≤≥]|[⁰¹²³⁴⁵⁶⁷⁸⁹]+|['′]+"),
    (Kind.PUNCTUATION, r"[()\[\],:.]"),
    (Kind.SPACE, r"\s+"),
    (Kind.WRONG, r"."),
)
MASTER = re.compile("|".join(f"(?P<{kind.name}>{pattern})" for kind, pattern in PIECES), re.DOTALL)
OPENING, CLOSING = "([", ")]"


def pieces(text: str) -> Iterator[Piece]:
    """All of `text`, in order."""
    found = [Piece(Kind[str(m.lastgroup)], m.start(), m[0]) for m in MASTER.finditer(text)]
    seen = [k for k, piece in enumerate(found) if piece.kind not in (Kind.SPACE, Kind.COMMENT)]
    after = {k: found[later] for k, later in zip(seen, seen[1:], strict=False)}
    depth, column, training = 0, 0, -1  # open brackets; indentation of the line; that of a `train` around
    before: Piece | None = None  # in this line
    for k, piece in enumerate(found):
        if piece.kind is Kind.SPACE:
            if "\n" in piece.text and not depth:
                before, column = None, len(piece.text) - piece.text.rindex("\n") - 1
        elif piece.kind is not Kind.COMMENT:
            if before is None and column <= training:
                training = -1
            piece = named(piece, before, after.get(k), training >= 0)
            if piece.kind is Kind.KEYWORD and piece.text == "train":
                training = column
            depth = max(0, depth + (piece.text in OPENING) - (piece.text in CLOSING))
            before = piece
        yield piece


def named(piece: Piece, before: Piece | None, after: Piece | None, training: bool) -> Piece:
    """`piece`, if it is a name, as the word that it is between two others.

    before: of the same line. training: whether it is inside a `train` block.
    """
    if piece.kind is not Kind.NAME:
        return piece
    word, attribute = piece.text, before is not None and before.text == "."
    follows = "" if after is None else after.text
    names = after is not None and after.kind is Kind.NAME and follows not in RESERVED
    if (
        (word in RESERVED and not attribute)
        or (before is None and ((word in STARTING and names) or (training and word in IN_TRAINING)))
        or (before is not None and before.text == "=" and word == "adapt" and follows == "(")
    ):
        return replace(piece, kind=Kind.KEYWORD)
    if attribute:
        return piece
    if word in WORDS_OF_FUNCTIONS and follows in ("(", "'", "′"):
        return replace(piece, kind=Kind.FUNCTION)
    return replace(piece, kind=Kind.CONSTANT) if word in CONSTANTS else piece
