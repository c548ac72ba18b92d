"""Text to tree, and what is said where a text is none."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from lark import Lark, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark import __version__ as lark_version
from lark.exceptions import VisitError

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic, RefusedError, TpcError
from tpc.diagnostics.spans import Span
from tpc.machine.cache import kept_file
from tpc.syntax import tree
from tpc.syntax.builder import TreeBuilder
from tpc.syntax.layout import MAX_DEPTH, LayoutLexer, span_of
from tpc.syntax.walk import deepest

MAX_BYTES = 1 << 18
MAX_SYNTAX_ERRORS = 10
RETURNING = {"def": "function", "network": "network", "optimizer": "rule"}  # what begins their blocks
ENDING = {"_NEWLINE", "$END", "EQUALS", "TILDE"}  # what ends a bracket that was left open on an earlier line


@cache
def parser() -> Lark:
    """The parser, from the user's cache: its tables take longer to make than most programs to be parsed."""
    grammar = files("tpc.syntax").joinpath("grammar.lark").read_text(encoding="utf-8")
    kept = kept_file("parser", grammar, lark_version, sys.version)
    return Lark(
        grammar,
        cache=False if kept is None else str(kept),
        parser="lalr",
        lexer="basic",
        postlex=LayoutLexer(),
        maybe_placeholders=True,
        transformer=TreeBuilder(),
    )


def parse_file(text: str, name: str) -> tree.File:
    """The tree of `text`.

    Raises TpcError with every line that does not parse (a line refused is replaced, to look at the others).
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise TpcError([catalogue.syntax.too_large(MAX_BYTES)], name, text)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    errors: dict[int, Diagnostic] = {}
    for _ in range(2 * MAX_SYNTAX_ERRORS):
        result = _attempt("\n".join(lines) + "\n")
        if isinstance(result, tree.File):
            if errors:
                break
            return result
        at = result.at.span.line - 1 if result.at else len(lines)
        again = at in errors
        errors.setdefault(at, result)
        if (
            result.code in catalogue.syntax.ENDS_PARSING
            or at >= len(lines)
            or not lines[at].strip()
            or len(errors) == MAX_SYNTAX_ERRORS
        ):
            break
        if not again and result.at is not None and _lacks_colon(lines, result.at.span):
            lines[at] = _code(lines[at]) + ":"
        elif result.help == catalogue.syntax.NO_RETURN:
            if _indent(lines[at]) != _indent(lines[result.also[0].span.line]):
                break  # it ends with a block of its own
            lines[at] = lines[at][: _indent(lines[at])] + "return 0"
        elif _code(lines[at]).endswith(":"):
            break
        else:
            # a bracket left open takes lines with it
            after = max([at + 1, *(label.span.line - 1 for label in result.also)])
            lines[at:after] = ["" if again else _instead(lines[at]), *[""] * (after - at - 1)]
    raise TpcError([errors[at] for at in sorted(errors)], name, text)


def _code(line: str) -> str:
    return line.split("#")[0].rstrip()


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _instead(line: str) -> str:
    """A statement to put in place of one that was refused: a block must not become empty by it."""
    return (
        line[: _indent(line)] + ("return 0" if line.split()[0] == "return" else "x = 0")
        if _indent(line)
        else ""
    )


def _lacks_colon(lines: Sequence[str], at: Span) -> bool:
    """Whether the error is at the end of a line that should open the block after it."""
    code = _code(lines[at.line - 1])
    following = next((line for line in lines[at.line :] if _code(line)), "")
    return (
        code.lstrip().startswith(("for ", "def "))
        and at.column > len(code)
        and _indent(following) > _indent(code)
    )


def _attempt(text: str) -> tree.File | Diagnostic:
    try:
        file = parser().parse(text)
    except RefusedError as refused:
        return refused.diagnostic
    except VisitError as error:
        if isinstance(error.orig_exc, RefusedError):
            return error.orig_exc.diagnostic
        raise
    except UnexpectedInput as error:
        return _syntax_error(error, text)
    assert isinstance(file, tree.File)
    depth, node = deepest(file)
    return catalogue.syntax.too_deep(node.span, MAX_DEPTH) if depth > 3 * MAX_DEPTH else file


def _syntax_error(error: UnexpectedInput, text: str) -> Diagnostic:
    if isinstance(error, UnexpectedCharacters):
        at = Span(error.line, error.column, error.line, error.column + 1)
        return catalogue.syntax.unexpected_character(at, text.split("\n")[error.line - 1][error.column - 1])
    assert isinstance(error, UnexpectedToken)
    token = error.token
    at, expected = span_of(token), frozenset(error.accepts or error.expected)
    if token.type == "_DEDENT" and "RETURN" in expected:
        return _no_return(text.split("\n"), at)
    bracket = _open_bracket(text, at)
    if bracket is not None and (
        token.type in ENDING or not text.split("\n")[at.line - 1][: at.column - 1].strip()
    ):
        return catalogue.syntax.unclosed(*bracket, at)
    if token.type in ("_NEWLINE", "$END"):
        column = len(_code(text.split("\n")[at.line - 1])) + 1  # before a comment
        at = Span(at.line, column, at.line, column + 1)
    line = text.split("\n")[at.line - 1]
    return catalogue.syntax.unexpected_token(at, token.type, str(token), expected, line)


def _no_return(lines: Sequence[str], after: Span) -> Diagnostic:
    """What is said of a block that ends before `after`, and has no value."""
    begun = after.column <= _indent(lines[after.line - 1]) + 1  # else that is the end of the file
    last = max(k for k in range(after.line - begun) if _code(lines[k]).strip())
    head = max(k for k in range(last) if (_code(lines[k]).split() or [""])[0] in RETURNING)
    begins, ends = _indent(lines[head]) + 1, len(_code(lines[last])) + 1
    word, name, *_ = re.findall(r"\w+", lines[head])
    return catalogue.syntax.no_return(
        Span(last + 1, ends, last + 1, ends + 1),
        Span(head + 1, begins, head + 1, len(_code(lines[head])) + 1),
        f"the {RETURNING[word]} `{name}`",
    )


def _open_bracket(text: str, at: Span) -> tuple[Span, str] | None:
    """The innermost bracket that is open at `at`, if it was opened on an earlier line."""
    opened: list[tuple[Span, str]] = []
    lines = text.split("\n")
    for number, line in enumerate(lines[: at.line], 1):
        code = (line if number < at.line else line[: at.column - 1]).split("#")[0]
        for column, character in enumerate(code, 1):
            if character in "([":
                opened.append((Span(number, column, number, column + 1), character))
            elif character in ")]" and opened:
                opened.pop()
    return opened[-1] if opened and opened[-1][0].line < at.line else None
