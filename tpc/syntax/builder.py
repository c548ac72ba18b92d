"""Grammar rules to tree nodes, bottom up as the parser reduces, which needs no recursion."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from lark import Token, Transformer

from tpc.core.greek import normalise
from tpc.core.names import SplitName
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.layout import span_of


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


class TreeBuilder(Transformer[Token, Any]):
    """Grammar rules to tree nodes, bottom up as the parser reduces. One method per rule."""

    def start(self, items: list[Any]) -> tree.File:
        return tree.File(
            Span(1, 1, 1, 1),
            tuple(flat for item in items for flat in (item if isinstance(item, tuple) else (item,))),
        )

    # declarations

    def program(self, items: list[Any]) -> tree.ProgramName:
        return tree.ProgramName(_span(items), _name(items[1]))

    def width(self, items: list[Any]) -> tree.WidthStatement:
        return tree.WidthStatement(_span(items), _name(items[1]), items[3])

    def dim(self, items: list[Any]) -> tuple[tree.Dim, ...]:
        return tuple(items[1:])

    def dim_item(self, items: list[Any]) -> tree.Dim:
        return tree.Dim(_span(items), _name(items[0]), items[2])

    def input(self, items: list[Any]) -> tuple[tree.InputStatement, ...]:
        return tuple(items[1:])

    def input_item(self, items: list[Any]) -> tree.InputStatement:
        name, axes, _, keyword, _, bound, _, _, default = items
        if keyword is not None and keyword.value != "index":
            raise RefusedError(
                catalogue.syntax.expected_word(
                    span_of(keyword),
                    keyword.value,
                    "index",
                    "`input j[t < T] : index(d)` declares indices below d",
                )
            )
        declared = tree.Declared(span_of(name), _name(name), axes or ())
        return tree.InputStatement(_span(items), declared, bound, default)

    def matrix(self, items: list[Any]) -> tree.MatrixStatement:
        *declared, _, rows, x, columns, _, law = items[1:]
        if x.value != "x":
            raise RefusedError(
                catalogue.syntax.expected_word(
                    span_of(x), x.value, "x", "the sides of a matrix are written `n x m`"
                )
            )
        return tree.MatrixStatement(_span(items), tuple(declared), rows, columns, law)

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
        return (
            tree.Axis(_span(items), _name(items[0]), items[2])
            if len(items) == 3
            else tree.Axis(_span(items), None, items[0])
        )

    def side(self, items: list[Any]) -> tree.Name | tree.Literal:
        return _name(items[0]) if items[0].type == "NAME" else _number(items[0])

    def gaussian(self, items: list[Any]) -> tree.Gaussian:
        if items[0].value != "N":
            raise RefusedError(
                catalogue.syntax.expected_word(
                    span_of(items[0]), items[0].value, "N", "a law is written `N(mean, variance)`"
                )
            )
        return tree.Gaussian(_span(items), items[2], items[3])

    def entries(self, items: list[Any]) -> tree.ListOf:
        return tree.ListOf(_span(items), tuple(items[1:-1]))

    # statements

    def define(self, items: list[Any]) -> tree.Define:
        return tree.Define(_span(items), items[0], items[2], tuple(items[3:]))

    def table(self, items: list[Any]) -> tree.Define:
        _, target, _, rows, x, columns, _, value, *clauses = items
        if x.value != "x":
            raise RefusedError(
                catalogue.syntax.expected_word(
                    span_of(x), x.value, "x", "the sides of a table are written `n x m`"
                )
            )
        return tree.Define(_span(items), target, value, tuple(clauses), sides=(rows, columns))

    def for_clause(self, items: list[Any]) -> tree.Range:
        return tree.Range(_span(items), _name(items[1]), items[3])

    def output(self, items: list[Any]) -> tree.OutputStatement:
        return tree.OutputStatement(_span(items), items[1], items[3], tuple(items[4:]))

    def check(self, items: list[Any]) -> tree.OutputStatement:
        _, weight, word, _, target, _, value, *clauses = items
        if word is not None and word.value != tree.DIVISOR:
            how = "what a step is divided by is `check W divisor : …`"
            raise RefusedError(catalogue.syntax.expected_word(span_of(word), word.value, tree.DIVISOR, how))
        name = _name(weight).name
        return tree.OutputStatement(
            _span(items), target, value, tuple(clauses), name, divisor=word is not None
        )

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

    def weight(self, items: list[Any]) -> tree.WeightStatement:
        _, declared, _, rows, x, columns, *options = items
        if x.value != "x":
            raise RefusedError(
                catalogue.syntax.expected_word(
                    span_of(x), x.value, "x", "the sides of a weight are written `n x d`"
                )
            )
        return tree.WeightStatement(_span(items), declared.name, rows, columns, tuple(options), declared.axes)

    def bias(self, items: list[Any]) -> tree.WeightStatement:
        _, declared, _, rows, *options = items
        return tree.WeightStatement(_span(items), declared.name, rows, None, tuple(options), declared.axes)

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
            raise RefusedError(
                catalogue.syntax.expected_word(
                    span_of(word), word.value, "as", "a training is named by `train f as pre for t < T:`"
                )
            )
        head = tree.Range(span_of(variable), _name(variable), count)
        return tree.Train(
            span_of(items[0]).to(span_of(network)),
            _name(network),
            None if alias is None else _name(alias),
            head,
            tuple(lines),
        )

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
        word, weights = items[-1] if isinstance(items[-1], tuple) else (None, ())
        tokens = [item for item in items if not isinstance(item, tuple)]
        return tree.Update(_span(tokens), _name(items[1]), _options(tokens[2:]), weights, word)

    def update_of(self, items: list[Any]) -> tuple[tree.Name, tuple[tree.Name, ...]]:
        word, *weights = (_name(item) for item in items if item is not None)
        return word, tuple(weights)

    def optimizer_block(self, items: list[Any]) -> tree.Optimizer:
        options = _options(items)
        body = tuple(item for item in items if isinstance(item, tree.Define))
        return tree.Optimizer(_span(items[:2]), _name(items[1]), options, body, items[-1])

    def gradient(self, items: list[Any]) -> tree.Gradient:
        _, _, network, fed, label, _, *rest = items
        clauses = tuple(item for item in rest if isinstance(item, tree.Range))
        examples = tree.Examples(_span(items), fed if isinstance(fed, tuple) else (fed,), label, clauses)
        return tree.Gradient(
            _span(items), network, examples, tuple(item for item in rest if isinstance(item, tree.Option))
        )

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
        return tree.Chain(
            _span(items),
            tuple(items[::2]),
            tuple({"·": "*", "−": "-"}.get(op.value, op.value) for op in items[1::2]),
        )

    def signed(self, items: list[Any]) -> tree.Tree:
        operand: tree.Tree = items[1]
        return operand if items[0].value == "+" else tree.Negated(_span(items), operand)

    def matmul(self, items: list[Any]) -> tree.MatrixProduct:
        return tree.MatrixProduct(_span(items), items[0], items[2])

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

    def number(self, items: list[Any]) -> tree.Literal:
        return _number(items[0])

    def name(self, items: list[Any]) -> tree.Name:
        return _name(items[0])

    def parenthesised(self, items: list[Any]) -> tree.Tree:
        inner: tree.Tree = items[1]
        return replace(inner, span=_span(items))

    def summed(self, items: list[Any]) -> tree.Summation:
        return tree.Summation(_span(items), tuple(items[2:-3]), items[-2])

    def sum_range(self, items: list[Any]) -> tree.Range:
        return tree.Range(_span(items), _name(items[0]), items[2])

    def mean(self, items: list[Any]) -> tree.Mean:
        return tree.Mean(_span(items), items[2])


def _options(items: list[Any]) -> tuple[tree.Option, ...]:
    return tuple(item for item in items if isinstance(item, tree.Option))


def _name(token: Token) -> tree.Name:
    name = normalise(token.value)
    if not SplitName.of(name).base.isidentifier():
        raise RefusedError(catalogue.syntax.bad_identifier(span_of(token), token.value))
    return tree.Name(span_of(token), name)


def _number(token: Token) -> tree.Literal:
    mantissa, _, exponent = token.value.lower().partition("e")
    if len(mantissa) > 60 or len(exponent) > 4 or abs(int(exponent or 0)) > 300:
        raise RefusedError(catalogue.syntax.number_size(span_of(token)))
    return tree.Literal(span_of(token), Fraction(token.value))
