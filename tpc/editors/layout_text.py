"""A program's text laid out anew: spaces, indentation, blank lines. All that is written stays, comments too.

One space around `=`, `@`, comparisons and terms, none around factors and powers nor for signs of an index;
four columns a block; lines inside brackets stay lines; comments behind code stay in their columns.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tpc.syntax.highlight import TextKind, TextPiece, pieces
from tpc.syntax.parse import parse_file

STEP = 4  # columns of a block
TIGHT = {"*", "/", "^", "**", "·"}
APPENDED = {".T", "⊤", "ᵀ", "'", "′"}  # to what is on their left
CALLED = {TextKind.NAME, TextKind.FUNCTION, TextKind.CONSTANT}  # an argument follows without a space
CALLED_WORDS = {"sum", "mean", "adapt", "loss"}
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"


@dataclass
class TextLine:
    """A line of the file: its pieces but for spaces, without the comment at its end."""

    column: int
    code: list[TextPiece]
    comment: str = ""
    comment_column: int = 0
    # the brackets that are open where it begins: not empty if it goes on with the line before
    inside: str = ""


def laid_out(text: str, name: str) -> str:
    """The text in the one layout that tpc has. What is laid out already stays as it is.

    name: of its file, for messages. Raises TpcError if it does not parse.
    """
    before = parse_file(text, name)
    made = "".join(f"{line}\n" for line in _without_gaps(_written(_lines_of(text))))
    assert parse_file(made, name) == before
    return made


def _lines_of(text: str) -> list[TextLine]:
    lines, brackets = [], ""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    for start, own in _pieces_by_line(plain):
        code = [piece for piece in own if piece.kind is not TextKind.COMMENT]
        comment = next((piece for piece in own if piece.kind is TextKind.COMMENT), None)
        line = TextLine(_column(plain, start, own[0].start) if own else 0, code, inside=brackets)
        if comment is not None:
            line.comment = comment.text.rstrip()
            line.comment_column = _column(plain, start, comment.start)
        lines.append(line)
        for piece in code:
            if piece.text in ("(", "["):
                brackets += piece.text
            elif piece.text in (")", "]"):
                brackets = brackets[:-1]
    return lines


def _pieces_by_line(text: str) -> Iterator[tuple[int, list[TextPiece]]]:
    """Where each line begins, and the pieces that begin in it."""
    starts = [0, *(k + 1 for k, letter in enumerate(text) if letter == "\n")]
    parts: list[list[TextPiece]] = [[] for _ in starts]
    for piece in pieces(text):
        if piece.kind is not TextKind.SPACE:
            parts[bisect_right(starts, piece.start) - 1].append(piece)
    return zip(starts, parts, strict=True)


def _column(text: str, start: int, at: int) -> int:
    return len(text[start:at].expandtabs(STEP))


def _written(lines: Sequence[TextLine]) -> Iterator[str]:
    """The lines as text, one for each."""
    levels = [0]  # the columns at which blocks began in the old text
    shift = 0  # of the statement that goes on
    for k, line in enumerate(lines):
        if not line.code and not line.comment:
            yield ""
            continue
        if line.inside:
            indent = max(0, line.column + shift)
        else:
            levels = _levels_at(levels, line, lines[k + 1 :])
            indent = STEP * (len(levels) - 1)
            shift = indent - line.column
        yield _with_comment(line, " " * indent)


def _with_comment(line: TextLine, indent: str) -> str:
    if not line.code:
        return indent + line.comment
    code = indent + spaced(line.code, line.inside)
    return code.ljust(max(line.comment_column, len(code) + 2)) + line.comment if line.comment else code


def _levels_at(levels: list[int], line: TextLine, following: Sequence[TextLine]) -> list[int]:
    """The columns of the blocks around a line; a comment belongs to the block that it may be the first of."""
    if line.code:
        around = [column for column in levels if column < line.column]
        return [*around, line.column] if around else [0]
    coming = next((other for other in following if other.code), None)
    if coming is not None and levels[-1] < coming.column <= line.column:
        return _levels_at(levels, coming, ())
    around = [column for column in levels if column <= line.column]
    return around or [0]


def _without_gaps(lines: Iterator[str]) -> Iterator[str]:
    """No blank lines at the ends, and no two in a row."""
    blank = False
    begun = False
    for line in lines:
        if line:
            if blank and begun:
                yield ""
            yield line.rstrip()
            begun = True
        blank = not line


def spaced(code: Sequence[TextPiece], inside: str = "") -> str:
    """The pieces of a line with the spaces between them. inside: the brackets that are open before it.

    As they stood, if with other spaces they would be other pieces.
    """
    text, brackets = "", inside
    for k, piece in enumerate(code):
        before = code[k - 1] if k else None
        if piece.text in (")", "]"):
            brackets = brackets[:-1]
        if before is not None and _apart(code, k, brackets):
            text += " "
        text += piece.text
        if piece.text in ("(", "["):
            brackets += piece.text
    again = [(p.text, p.kind) for p in pieces(text) if p.kind is not TextKind.SPACE]
    return text if [part for part, _ in again] == [piece.text for piece in code] else _as_it_stood(code)


def _as_it_stood(code: Sequence[TextPiece]) -> str:
    """The pieces with a space wherever there was any."""
    return "".join(
        " " * (k > 0 and code[k - 1].end < piece.start) + piece.text for k, piece in enumerate(code)
    )


def _apart(code: Sequence[TextPiece], k: int, brackets: str) -> bool:
    """Whether a space stands before the k-th piece, which has one before it."""
    left, right = code[k - 1], code[k]
    a, b = left.text, right.text
    if a in ("(", "[", ".") or b in (")", "]", ",", ".") or b in APPENDED or b[0] in SUPERSCRIPTS:
        return False
    if _is_sign(code, k - 1):
        return False
    if b == ":":
        return not brackets and k < len(code) - 1
    if b in ("(", "["):
        appended = left.kind in CALLED or a in CALLED_WORDS or a in (")", "]") or a in APPENDED
        if appended or a[0] in SUPERSCRIPTS:
            return False
    if a in TIGHT or b in TIGHT:
        return False
    if "+" in (a, b) or "-" in (a, b) or "−" in (a, b):
        return not brackets.endswith("[") or a == "," or _after_less(code, k)
    return True


def _after_less(code: Sequence[TextPiece], k: int) -> bool:
    """Whether a `<` stands before the k-th piece in its own bracket: an axis, `t < T + 1`, is no index."""
    depth = 0
    for piece in reversed(code[:k]):
        depth += (piece.text in (")", "]")) - (piece.text in ("(", "["))
        if depth < 0 or (piece.text == "," and not depth):
            return False
        if piece.text == "<" and not depth:
            return True
    return False


def _is_sign(code: Sequence[TextPiece], k: int) -> bool:
    """Whether the k-th piece is a sign in front of something, not between two things."""
    if code[k].text not in ("+", "-", "−"):
        return False
    if k == 0:
        return True
    before = code[k - 1]
    ends = before.text in (")", "]") or before.text in APPENDED or before.text[0] in SUPERSCRIPTS
    return not ends and before.kind in (TextKind.OPERATOR, TextKind.PUNCTUATION, TextKind.KEYWORD)
