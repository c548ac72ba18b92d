"""Text to tree: the lexer's layout rules, and the tree's construction, which needs no recursion."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.exceptions import VisitError

from tpc.syntax import catalogue, tree
from tpc.syntax.diagnostic import Diagnostic, TpcError
from tpc.syntax.spans import Span

RESERVED = ("program", "width", "dim", "input", "matrix", "vector", "output", "def", "return", "for", "sum", "mean")
STARTING = ("weight", "bias", "activation", "parametrization", "network", "train")       # words only where a statement begins, before a name
IN_TRAINING = ("batch", "loss", "update", "gradient")                                   # words only where a line of a `train` block begins
MAX_BYTES = 1 << 18
MAX_DEPTH = 60                                  # of brackets, blocks, and of the tree
MAX_SYNTAX_ERRORS = 10
ENDING = {"_NEWLINE", "$END", "EQUALS", "TILDE"}            # what ends a bracket that was left open on an earlier line
OPENING, CLOSING = {"LPAR", "LSQB"}, {"RPAR", "RSQB"}
GREEK = {chr(c): unicodedata.name(chr(c)).rsplit(" ", 1)[1].lower().replace("lamda", "lambda")
         for c in (*range(0x391, 0x3a2), *range(0x3a3, 0x3aa), *range(0x3b1, 0x3ca))}
GREEK |= {c: name.capitalize() for c, name in GREEK.items() if c.isupper()} | {"ς": "sigma", "ϕ": "phi", "ϵ": "epsilon", "ϑ": "theta", "ϱ": "rho"}


class RefusedError(Exception):
    """A syntax error, found on the way."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def span_of(token: Token) -> Span:
    line, column = token.line or 1, token.column or 1
    return Span(line, column, token.end_line or line, token.end_column or column + len(token))


def normalise(identifier: str) -> str:
    """The one spelling of an identifier: NFKC, and a Greek letter is its name."""
    return GREEK.get(identifier) or GREEK.get(unicodedata.normalize("NFKC", identifier)) or unicodedata.normalize("NFKC", identifier)


class Layout:
    """Indentation to tokens, newlines inside brackets dropped, reserved words told from names, nesting bounded."""

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
                raise RefusedError(catalogue.indentation(span_of(token), "the first line is indented"))
            brackets = self.depth(token, brackets)
            if token.type == "NAME" and token.value in RESERVED:
                token = Token.new_borrow_pos(token.value.upper(), token.value, token)
            last = token
            yield token
        if last is not None:
            end = newline or Token("_NEWLINE", "\n", line=last.end_line, column=last.end_column, end_line=last.end_line, end_column=last.end_column)
            yield end
            for _ in indents[1:]:
                yield Token.new_borrow_pos("_DEDENT", "", end)

    def depth(self, token: Token, brackets: int) -> int:
        if token.type in OPENING:
            if brackets >= MAX_DEPTH:
                raise RefusedError(catalogue.too_deep(span_of(token), MAX_DEPTH))
            return brackets + 1
        return max(0, brackets - 1) if token.type in CLOSING else brackets

    def indentation(self, newline: Token, token: Token, indents: list[int]) -> Iterator[Token]:
        blank = newline.value.rsplit("\n", 1)[1]
        here = span_of(token)
        if "\t" in blank and " " in blank:
            raise RefusedError(catalogue.indentation(here, "tabs and spaces are mixed"))
        width = len(blank)
        if width > indents[-1]:
            if len(indents) > MAX_DEPTH:
                raise RefusedError(catalogue.too_deep(here, MAX_DEPTH))
            indents.append(width)
            yield Token.new_borrow_pos("_INDENT", blank, token)
        while width < indents[-1]:
            indents.pop()
            yield Token.new_borrow_pos("_DEDENT", blank, token)
        if width != indents[-1]:
            raise RefusedError(catalogue.indentation(here, "this line goes back to no earlier level"))


def training_words(stream: Iterator[Token]) -> Iterator[Token]:
    """Words of the training language told from names by where they stand: elsewhere they are names like any other."""
    before: list[str] = ["_NEWLINE"]                      # the types of the last token, and of the one before it
    held: Token | None = None                             # a token that what follows decides upon
    starts = False                                        # whether it begins a line
    depth, training = 0, 0                                # levels of indentation; the level inside a `train` block, else 0
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
    is_word = (starts and word in STARTING and following.type == "NAME") or (starts and training and word in IN_TRAINING) \
        or (not starts and word == "adapt" and following.type == "LPAR")
    return Token.new_borrow_pos(word.upper(), word, token) if is_word else token


@cache
def parser() -> Lark:
    grammar = files("tpc.syntax").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="basic", postlex=Layout(), maybe_placeholders=True,
                transformer=Builder())


def parse_file(text: str, name: str) -> tree.File:
    """The tree of `text`. Raises TpcError with every line that does not parse (a line refused is replaced, to look at the others)."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise TpcError([catalogue.too_large(MAX_BYTES)], name, text)
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
        if result.code in catalogue.ENDS_PARSING or at >= len(lines) or not lines[at].strip() or len(errors) == MAX_SYNTAX_ERRORS:
            break
        if not again and result.at is not None and _lacks_colon(lines, result.at.span):
            lines[at] = _code(lines[at]) + ":"
        elif _code(lines[at]).endswith(":"):
            break
        else:
            after = max([at + 1, *(label.span.line - 1 for label in result.also)])         # a bracket left open takes lines with it
            lines[at:after] = ["" if again else _instead(lines[at]), *[""] * (after - at - 1)]
    raise TpcError([errors[at] for at in sorted(errors)], name, text)


def _code(line: str) -> str:
    return line.split("#")[0].rstrip()


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _instead(line: str) -> str:
    """A statement to put in place of one that was refused: a block must not become empty by it."""
    return line[:_indent(line)] + ("return 0" if line.split()[0] == "return" else "x = 0") if _indent(line) else ""


def _lacks_colon(lines: Sequence[str], at: Span) -> bool:
    """Whether the error is at the end of a line that should open the block after it."""
    code = _code(lines[at.line - 1])
    following = next((line for line in lines[at.line:] if _code(line)), "")
    return code.lstrip().startswith(("for ", "def ")) and at.column > len(code) and _indent(following) > _indent(code)


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
    depth, node = tree.deepest(file)
    return catalogue.too_deep(node.span, MAX_DEPTH) if depth > 3 * MAX_DEPTH else file


def _syntax_error(error: UnexpectedInput, text: str) -> Diagnostic:
    if isinstance(error, UnexpectedCharacters):
        at = Span(error.line, error.column, error.line, error.column + 1)
        return catalogue.unexpected_character(at, text.split("\n")[error.line - 1][error.column - 1])
    assert isinstance(error, UnexpectedToken)
    token = error.token
    at = span_of(token)
    bracket = _open_bracket(text, at)
    if bracket is not None and (token.type in ENDING or not text.split("\n")[at.line - 1][:at.column - 1].strip()):
        return catalogue.unclosed(*bracket, at)
    if token.type in ("_NEWLINE", "$END"):
        column = len(_code(text.split("\n")[at.line - 1])) + 1             # before a comment
        at = Span(at.line, column, at.line, column + 1)
    return catalogue.unexpected_token(at, token.type, str(token), frozenset(error.accepts or error.expected))


def _open_bracket(text: str, at: Span) -> tuple[Span, str] | None:
    """The innermost bracket that is open at `at`, if it was opened on an earlier line."""
    opened: list[tuple[Span, str]] = []
    lines = text.split("\n")
    for number, line in enumerate(lines[:at.line], 1):
        code = (line if number < at.line else line[:at.column - 1]).split("#")[0]
        for column, character in enumerate(code, 1):
            if character in "([":
                opened.append((Span(number, column, number, column + 1), character))
            elif character in ")]" and opened:
                opened.pop()
    return opened[-1] if opened and opened[-1][0].line < at.line else None


def _span(items: Sequence[Any]) -> Span:
    """From the first to the last of the tokens and nodes of a rule."""
    present = [item for item in items if item is not None]
    return _own_span(present[0]).to(_own_span(present[-1]))


def _own_span(item: Any) -> Span:
    if isinstance(item, tuple):
        return _own_span(item[-1])
    if isinstance(item, Token):
        return span_of(item)
    span: Span = item.span
    return span


class Builder(Transformer[Token, Any]):
    """Grammar rules to tree nodes, bottom up as the parser reduces. One method per rule."""

    def start(self, items: list[Any]) -> tree.File:
        return tree.File(Span(1, 1, 1, 1), tuple(flat for item in items for flat in (item if isinstance(item, tuple) else (item,))))

    # declarations

    def program(self, items: list[Any]) -> tree.ProgramName:
        return tree.ProgramName(_span(items), _name(items[1]))

    def width(self, items: list[Any]) -> tree.Width:
        return tree.Width(_span(items), _name(items[1]), items[3])

    def dim(self, items: list[Any]) -> tuple[tree.Dim, ...]:
        return tuple(items[1:])

    def dim_item(self, items: list[Any]) -> tree.Dim:
        return tree.Dim(_span(items), _name(items[0]), items[2])

    def input(self, items: list[Any]) -> tuple[tree.Input, ...]:
        return tuple(items[1:])

    def input_item(self, items: list[Any]) -> tree.Input:
        name, axes, _, keyword, _, bound, _, _, default = items
        if keyword is not None and keyword.value != "index":
            raise RefusedError(catalogue.expected_word(span_of(keyword), keyword.value, "index",
                                                      "`input j[t < T] : index(d)` declares indices below d"))
        declared = tree.Declared(span_of(name), _name(name), axes or ())
        return tree.Input(_span(items), declared, bound, default)

    def matrix(self, items: list[Any]) -> tree.Matrix:
        *declared, _, rows, x, columns, _, law = items[1:]
        if x.value != "x":
            raise RefusedError(catalogue.expected_word(span_of(x), x.value, "x", "the sides of a matrix are written `n x m`"))
        return tree.Matrix(_span(items), tuple(declared), rows, columns, law)

    def vector(self, items: list[Any]) -> tree.Vector:
        _, (declared, joint), _, width, _, law = items
        return tree.Vector(_span(items), declared, joint, width, law)

    def vector_names(self, items: list[Any]) -> tuple[tuple[tree.Declared, ...], bool]:
        return tuple(items), False

    def joint_names(self, items: list[Any]) -> tuple[tuple[tree.Declared, ...], bool]:
        return tuple(items[1:-1]), True

    def declared(self, items: list[Any]) -> tree.Declared:
        return tree.Declared(span_of(items[0]), _name(items[0]), items[1] or ())

    def axes(self, items: list[Any]) -> tuple[tree.Axis, ...]:
        return tuple(items[1:-1])

    def axis(self, items: list[Any]) -> tree.Axis:
        return tree.Axis(_span(items), _name(items[0]), items[2]) if len(items) == 3 else tree.Axis(_span(items), None, items[0])

    def side(self, items: list[Any]) -> tree.Name | tree.Number:
        return _name(items[0]) if items[0].type == "NAME" else _number(items[0])

    def gaussian(self, items: list[Any]) -> tree.Gaussian:
        if items[0].value != "N":
            raise RefusedError(catalogue.expected_word(span_of(items[0]), items[0].value, "N", "a law is written `N(mean, variance)`"))
        return tree.Gaussian(_span(items), items[2], items[3])

    def entries(self, items: list[Any]) -> tree.ListOf:
        return tree.ListOf(_span(items), tuple(items[1:-1]))

    # statements

    def define(self, items: list[Any]) -> tree.Define:
        return tree.Define(_span(items), items[0], items[2], tuple(items[3:]))

    def for_clause(self, items: list[Any]) -> tree.Range:
        return tree.Range(_span(items), _name(items[1]), items[3])

    def output(self, items: list[Any]) -> tree.Output:
        return tree.Output(_span(items), items[1], items[3], tuple(items[4:]))

    def parameters(self, items: list[Any]) -> tuple[tree.Name, ...]:
        return tuple(map(_name, items))

    def def_line(self, items: list[Any]) -> tree.Function:
        return tree.Function(_span(items), _name(items[1]), items[3], (), items[6])

    def def_block(self, items: list[Any]) -> tree.Function:
        return tree.Function(_span(items), _name(items[1]), items[3], tuple(items[6:-2]), items[-1])

    def for_block(self, items: list[Any]) -> tree.ForBlock:
        head = tree.Range(span_of(items[1]), _name(items[1]), items[3])
        body = tuple(flat for item in items[5:] for flat in (item if isinstance(item, tuple) else (item,)))
        return tree.ForBlock(span_of(items[0]).to(head.span), head, body)

    # networks and training

    def weight(self, items: list[Any]) -> tree.Weight:
        _, name, _, rows, x, columns, *options = items
        if x.value != "x":
            raise RefusedError(catalogue.expected_word(span_of(x), x.value, "x", "the sides of a weight are written `n x d`"))
        return tree.Weight(_span(items), _name(name), rows, columns, tuple(options))

    def bias(self, items: list[Any]) -> tree.Weight:
        _, name, _, rows, *options = items
        return tree.Weight(_span(items), _name(name), rows, None, tuple(options))

    def word(self, items: list[Any]) -> tree.Name:
        return tree.Name(span_of(items[0]), items[0].value)

    def option(self, items: list[Any]) -> tree.Option:
        return tree.Option(_span(items), _name(items[0]), items[2])

    def activation(self, items: list[Any]) -> tree.Activation:
        return tree.Activation(_span(items), _name(items[1]), _name(items[3]))

    def parametrization(self, items: list[Any]) -> tree.Parametrization:
        return tree.Parametrization(_span(items), _name(items[1]), _options(items[2:]))

    def network_line(self, items: list[Any]) -> tree.Network:
        return tree.Network(_span(items), _name(items[1]), items[3], (), items[6])

    def network_block(self, items: list[Any]) -> tree.Network:
        return tree.Network(_span(items[:5]), _name(items[1]), items[3], tuple(items[6:-2]), items[-1])

    def network_for(self, items: list[Any]) -> tree.ForBlock:
        return self.for_block(items)

    def train_block(self, items: list[Any]) -> tree.Train:
        _, network, word, alias, _, variable, _, count, _, *lines = items
        if word is not None and word.value != "as":
            raise RefusedError(catalogue.expected_word(span_of(word), word.value, "as", "a training is named by `train f as pre for t < T:`"))
        head = tree.Range(span_of(variable), _name(variable), count)
        return tree.Train(span_of(items[0]).to(span_of(network)), _name(network), None if alias is None else _name(alias), head, tuple(lines))

    def batch(self, items: list[Any]) -> tree.Examples:
        examples: tree.Examples = items[1]
        return replace(examples, span=_span(items))

    def examples(self, items: list[Any]) -> tree.Examples:
        _, fed, label, _, *clauses = items
        return tree.Examples(_span(items), fed if isinstance(fed, tuple) else (fed,), label, tuple(clauses))

    def fed_several(self, items: list[Any]) -> tuple[tree.Tree, ...]:
        return tuple(items[1:-1])

    def loss_name(self, items: list[Any]) -> tree.Loss:
        return tree.Loss(_span(items), _name(items[1]), _options(items[2:]), (), None)

    def loss_own(self, items: list[Any]) -> tree.Loss:
        _, _, prediction, label, _, _, value = items
        return tree.Loss(_span(items), None, (), (_name(prediction), _name(label)), value)

    def update(self, items: list[Any]) -> tree.Update:
        return tree.Update(_span(items), _name(items[1]), _options(items[2:]))

    def gradient(self, items: list[Any]) -> tree.Gradient:
        _, _, network, fed, label, _, *rest = items
        clauses = tuple(item for item in rest if isinstance(item, tree.Range))
        examples = tree.Examples(_span(items), fed if isinstance(fed, tuple) else (fed,), label, clauses)
        return tree.Gradient(_span(items), network, examples, tuple(item for item in rest if isinstance(item, tree.Option)))

    def adapted(self, items: list[Any]) -> tree.Adapted:
        target, _, _, _, network, examples, *rest = items
        options = tuple(item for item in rest if isinstance(item, tree.Option))
        clauses = tuple(item for item in rest if isinstance(item, tree.Range))
        return tree.Adapted(_span(items), target, _name(network), examples, options, clauses)

    def add_to(self, items: list[Any]) -> tree.AddTo:
        return tree.AddTo(_span(items), items[0], items[2], tuple(items[3:]))

    def attribute(self, items: list[Any]) -> tree.Attribute:
        token = items[1].update(value=items[1].value[1:])
        return tree.Attribute(_span(items), items[0], _name(token))

    # expressions

    def comparison(self, items: list[Any]) -> tree.Comparison:
        op = {"≤": "<=", "≥": ">="}.get(items[1].value, items[1].value)
        return tree.Comparison(_span(items), op, items[0], items[2])

    def chain(self, items: list[Any]) -> tree.Chain:
        return tree.Chain(_span(items), tuple(items[::2]), tuple({"·": "*", "−": "-"}.get(op.value, op.value) for op in items[1::2]))

    def signed(self, items: list[Any]) -> tree.Tree:
        operand: tree.Tree = items[1]
        return operand if items[0].value == "+" else tree.Negated(_span(items), operand)

    def matmul(self, items: list[Any]) -> tree.MatMul:
        return tree.MatMul(_span(items), items[0], items[2])

    def power(self, items: list[Any]) -> tree.Power:
        return tree.Power(_span(items), items[0], items[2])

    def superscript(self, items: list[Any]) -> tree.Power:
        digits = _number(items[1].update(value=unicodedata.normalize("NFKC", items[1].value)))
        return tree.Power(_span(items), items[0], digits)

    def indexed(self, items: list[Any]) -> tree.Indexed:
        return tree.Indexed(_span(items), items[0], tuple(items[2:-1]))

    def applied(self, items: list[Any]) -> tree.Applied:
        return tree.Applied(_span(items), items[0], tuple(items[2:-1]))

    def primed(self, items: list[Any]) -> tree.Primed:
        return tree.Primed(_span(items), items[0], len(items[1]))

    def transposed(self, items: list[Any]) -> tree.Transposed:
        return tree.Transposed(_span(items), items[0])

    def number(self, items: list[Any]) -> tree.Number:
        return _number(items[0])

    def name(self, items: list[Any]) -> tree.Name:
        return _name(items[0])

    def parenthesised(self, items: list[Any]) -> tree.Tree:
        inner: tree.Tree = items[1]
        return replace(inner, span=_span(items))

    def summed(self, items: list[Any]) -> tree.Sum:
        return tree.Sum(_span(items), tuple(items[2:-3]), items[-2])

    def sum_range(self, items: list[Any]) -> tree.Range:
        return tree.Range(_span(items), _name(items[0]), items[2])

    def mean(self, items: list[Any]) -> tree.Mean:
        return tree.Mean(_span(items), items[2])


def _options(items: list[Any]) -> tuple[tree.Option, ...]:
    return tuple(item for item in items if isinstance(item, tree.Option))


def _name(token: Token) -> tree.Name:
    name = normalise(token.value)
    if not name.split("$")[0].isidentifier():
        raise RefusedError(catalogue.bad_identifier(span_of(token), token.value))
    return tree.Name(span_of(token), name)


def _number(token: Token) -> tree.Number:
    mantissa, _, exponent = token.value.lower().partition("e")
    if len(mantissa) > 60 or len(exponent) > 4 or abs(int(exponent or 0)) > 300:
        raise RefusedError(catalogue.number_size(span_of(token)))
    return tree.Number(span_of(token), Fraction(token.value))
