"""What every piece of a text is, for those who colour it: whether it parses or not, nothing is lost.

Words of the language are told from names as the lexer does (`tpc.syntax.layout`), which refuses where this
goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise

from tpc.core.functions import function_names
from tpc.core.spectral import SPECTRAL
from tpc.syntax.layout import IN_TRAINING, RESERVED, STARTING


class TextKind(Enum):
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
class TextPiece:
    """A part of a text, from `start` on."""

    kind: TextKind
    start: int
    text: str

    @property
    def end(self) -> int:
        return self.start + len(self.text)


NAME = r"[^\W\dᵀ⁰¹²³⁴⁵⁶⁷⁸⁹][^\Wᵀ⁰¹²³⁴⁵⁶⁷⁸⁹]*"
CONSTANTS = ("pi", "π", "e")
WORDS_OF_FUNCTIONS = (*function_names(), "D", "pad", "onehot", "nngp", "ntk", "outer", *SPECTRAL)
PIECES = (
    (TextKind.COMMENT, r"#[^\n]*"),
    (TextKind.NUMBER, r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"),
    (TextKind.NAME, rf"{NAME}(?:\$[0-9]+)*"),
    (TextKind.OPERATOR, r"\.T(?![\w$])|[⊤ᵀ]|\+=|<=|>=|\*\*|[-−+*·/^@=~<>≤≥]|[⁰¹²³⁴⁵⁶⁷⁸⁹]+|['′]+"),
    (TextKind.PUNCTUATION, r"[()\[\],:.]"),
    (TextKind.SPACE, r"\s+"),
    (TextKind.WRONG, r"."),
)
MASTER = re.compile("|".join(f"(?P<{kind.name}>{pattern})" for kind, pattern in PIECES), re.DOTALL)
OPENING, CLOSING = "([", ")]"


def pieces(text: str) -> Iterator[TextPiece]:
    """All of `text`, in order."""
    found = [TextPiece(TextKind[str(m.lastgroup)], m.start(), m[0]) for m in MASTER.finditer(text)]
    seen = [k for k, piece in enumerate(found) if piece.kind not in (TextKind.SPACE, TextKind.COMMENT)]
    after = {k: found[later] for k, later in pairwise(seen)}
    depth, column, training = 0, 0, -1  # open brackets; indentation of the line; that of a `train` around
    before: TextPiece | None = None  # in this line
    for k, piece in enumerate(found):
        if piece.kind is TextKind.SPACE:
            if "\n" in piece.text and not depth:
                before, column = None, len(piece.text) - piece.text.rindex("\n") - 1
        elif piece.kind is not TextKind.COMMENT:
            if before is None and column <= training:
                training = -1
            piece = named(piece, before, after.get(k), training >= 0)
            if piece.kind is TextKind.KEYWORD and piece.text == "train":
                training = column
            depth = max(0, depth + (piece.text in OPENING) - (piece.text in CLOSING))
            before = piece
        yield piece


def _is_keyword_here(word: str, before: TextPiece | None, after: TextPiece | None, training: bool) -> bool:
    """Whether a word that may be a name is none between these two."""
    if before is not None:
        return before.text == "=" and word == "adapt" and after is not None and after.text == "("
    names = after is not None and after.kind is TextKind.NAME and after.text not in RESERVED
    return (word in STARTING and names) or (training and word in IN_TRAINING)


def named(piece: TextPiece, before: TextPiece | None, after: TextPiece | None, training: bool) -> TextPiece:
    """`piece`, if it is a name, as the word that it is between two others.

    before: of the same line. training: whether it is inside a `train` block.
    """
    if piece.kind is not TextKind.NAME:
        return piece
    word, attribute = piece.text, before is not None and before.text == "."
    follows = "" if after is None else after.text
    if (word in RESERVED and not attribute) or _is_keyword_here(word, before, after, training):
        return replace(piece, kind=TextKind.KEYWORD)
    if attribute:
        return piece
    if word in WORDS_OF_FUNCTIONS and follows in ("(", "'", "′"):
        return replace(piece, kind=TextKind.FUNCTION)
    return replace(piece, kind=TextKind.CONSTANT) if word in CONSTANTS else piece
