"""`.tp` programs for Pygments, which finds it: in Sphinx, MkDocs, minted, and notebooks."""

from __future__ import annotations

from collections.abc import Iterator

from pygments.lexer import Lexer
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, Punctuation, Text, _TokenType

from tpc.syntax.highlight import TextKind, pieces

TOKENS = {
    TextKind.COMMENT: Comment.Single,
    TextKind.KEYWORD: Keyword,
    TextKind.FUNCTION: Name.Builtin,
    TextKind.CONSTANT: Name.Constant,
    TextKind.NAME: Name,
    TextKind.NUMBER: Number,
    TextKind.OPERATOR: Operator,
    TextKind.PUNCTUATION: Punctuation,
    TextKind.SPACE: Text.Whitespace,
    TextKind.WRONG: Error,
}


class TensorProgramLexer(Lexer):
    """The language of tpc, as its own lexer reads it."""

    name = "Tensor Program"  # type: ignore[assignment,unused-ignore]
    aliases = ["tp", "tensor-program"]  # noqa: RUF012
    filenames = ["*.tp"]  # noqa: RUF012
    mimetypes = ["text/x-tensor-program"]  # noqa: RUF012
    url = "https://arxiv.org/abs/2011.14522"  # type: ignore[assignment,unused-ignore]

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, _TokenType, str]]:
        """Every piece of `text` with its place and kind."""
        for piece in pieces(text):
            yield piece.start, TOKENS[piece.kind], piece.text
