"""A program's text while it is being written, and what an editor asks of it.

Places are (line, column), from 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from tpc.core.greek import normalise
from tpc.diagnostics.diagnostic import Diagnostic, TpcError
from tpc.diagnostics.spans import Span
from tpc.editors.meanings import LINES, meaning_of_word
from tpc.editors.names_of_file import DeclaredName, NamesOfFile
from tpc.pipeline import derive_limit, parse
from tpc.syntax.highlight import NAME, TextKind, TextPiece, pieces
from tpc.syntax.layout import RESERVED
from tpc.syntax.parse import parse_file
from tpc.syntax.tree import File
from tpc.syntax.walk import walk

if TYPE_CHECKING:
    from tpc.core.program import Program
    from tpc.derive.formula import ZFormula

MOST_FORMULAS, MOST_LETTERS = 6, 1500  # of the limit that are shown of a line


class RenameError(ValueError):
    """A name cannot be given; the message says why."""


@dataclass(frozen=True)
class OpenText:
    """A text, and what it was when it last parsed."""

    name: str
    text: str
    # those of the last text before it that parses; None if there was none
    earlier: NamesOfFile | None = None

    def changed(self, text: str) -> OpenText:
        """What is there after a key stroke."""
        return OpenText(self.name, text, self.names)

    # what is wrong

    @cached_property
    def _parsed(self) -> File | TpcError:
        try:
            return parse_file(self.text, self.name)
        except TpcError as error:
            return error

    @property
    def file(self) -> File | None:
        return self._parsed if isinstance(self._parsed, File) else None

    @property
    def syntax_errors(self) -> tuple[Diagnostic, ...]:
        return self._parsed.diagnostics if isinstance(self._parsed, TpcError) else ()

    @cached_property
    def _checked(self) -> Program | TpcError:
        try:
            return parse(self.text, name=self.name)
        except TpcError as error:
            return error

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """All that is wrong; takes longer than what is wrong with the syntax."""
        if self.syntax_errors:
            return self.syntax_errors
        return self._checked.diagnostics if isinstance(self._checked, TpcError) else ()

    # names

    @cached_property
    def names(self) -> NamesOfFile | None:
        """The names of the last text that parses."""
        if self.file is not None:
            return NamesOfFile(self.file)
        return self.earlier

    def named_at(self, line: int, column: int) -> DeclaredName | None:
        """Nothing while the text does not parse: places of an earlier one are not its own."""
        return None if self.file is None or self.names is None else self.names.at(line, column)

    def definition(self, line: int, column: int) -> list[Span]:
        found = self.named_at(line, column)
        return [] if found is None else list(found.declared)

    def places(self, line: int, column: int) -> list[Span]:
        """All places of the name at a place, in order."""
        found = self.named_at(line, column)
        return [] if found is None else sorted(found.places)

    def renamed(self, line: int, column: int, name: str) -> tuple[list[Span], str]:
        """The places of the name at a place, and the text with another name in them.

        Raises RenameError if there is no such name, if the new one is none, or if the program would be
        another one, or none.
        """
        spans = self.places(line, column)
        if not spans:
            raise RenameError("there is no name here that the program declares")
        if not re.fullmatch(NAME, name) or normalise(name) in RESERVED:
            raise RenameError(f"`{name[:100]}` cannot be a name")
        text = _replaced(self.text, spans, name)
        made = OpenText(self.name, text)
        if made.file is None or _partition(made) != _partition(self):
            raise RenameError(f"`{name[:100]}` is the name of something else")
        if not self.errors and made.errors:
            raise RenameError(f"the program would be wrong: {made.errors[0].message}")
        return spans, text

    # what things mean

    def hover(self, line: int, column: int) -> str:
        """What is at a place, in Markdown: the name or word, the line's meaning, its formulas."""
        parts = [*self._of_word(line, column), *self._of_line(line)]
        formulas = self._formulas_of(line, self.named_at(line, column))
        if formulas:
            parts.append("```\n" + "\n".join(formulas) + "\n```")
        return "\n\n".join(parts)

    def _of_word(self, line: int, column: int) -> Iterator[str]:
        piece = self.piece_at(line, column)
        named = self.named_at(line, column)
        if named is not None:
            text = self.lines[named.declared[0].line - 1].strip()
            yield f"**{named.name}**: {named.kind}, declared in line {named.declared[0].line}"
            yield f"```tp\n{text[:200]}\n```"
        elif piece is not None and piece.kind not in (TextKind.COMMENT, TextKind.SPACE):
            meaning = meaning_of_word(normalise(piece.text))
            if meaning:
                yield meaning

    def _of_line(self, line: int) -> Iterator[str]:
        for node in () if self.file is None else walk(self.file):
            if node.span.line == line and type(node) in LINES:
                yield f"*This line: {LINES[type(node)]}.*"
                return

    def _formulas_of(self, line: int, named: DeclaredName | None) -> list[str]:
        from tpc.derive.text import TextNotation, is_hidden, print_equation, with_rule

        made = [f for f in self.formulas if f.origin.line == line and f.equations and not is_hidden(f)]
        made.sort(key=lambda f: named is None or f.of.name != named.name)
        lines = list[str]()
        for formula in made[:MOST_FORMULAS]:
            notation = TextNotation(formula.scope)
            lines += [with_rule(print_equation(notation, e, 0), e.rule) for e in formula.equations]
        lines = [text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]} …" for text in lines]
        return [*lines, *([f"… and {len(made) - MOST_FORMULAS} more"] * (len(made) > MOST_FORMULAS))]

    @cached_property
    def formulas(self) -> tuple[ZFormula, ...]:
        """The formulas of the limit; none where the program is wrong or has no limit."""
        if self.syntax_errors or isinstance(self._checked, TpcError):
            return ()
        try:
            limit = derive_limit(self._checked)
        except TpcError:
            return ()
        return tuple(replace(formula, scope=limit.scope) for formula in limit.formulas)

    # the text

    @cached_property
    def lines(self) -> list[str]:
        """As the language and editors count them."""
        return self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")

    def piece_at(self, line: int, column: int) -> TextPiece | None:
        """The piece of a line in which a column is, or which ends there."""
        if not 1 <= line <= len(self.lines):
            return None
        found = [p for p in pieces(self.lines[line - 1]) if p.start < column <= p.end + 1]
        return next((p for p in found if p.kind not in (TextKind.SPACE, TextKind.PUNCTUATION)), None)


def _replaced(text: str, spans: list[Span], name: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for span in sorted(spans, reverse=True):
        line = lines[span.line - 1]
        lines[span.line - 1] = line[: span.column - 1] + name + line[span.end_column - 1 :]
    return "\n".join(lines)


def _partition(opened: OpenText) -> set[frozenset[tuple[int, int]]]:
    """Which names of the text mean the same, each as its line and its place among the pieces of that."""
    place: dict[tuple[int, int], tuple[int, int]] = {}
    for number, line in enumerate(opened.lines, 1):
        words = [p for p in pieces(line) if p.kind is not TextKind.SPACE]
        place |= {(number, word.start + 1): (number, k) for k, word in enumerate(words)}
    names = opened.names
    assert names is not None
    return {frozenset(place[span.line, span.column] for span in named.places) for named in names.all}
