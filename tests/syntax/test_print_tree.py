"""A tree that is printed is parsed as the same tree."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.parse import parse_file
from tpc.syntax.print_tree import print_tree

AT = Span(1, 1, 1, 1)
names = st.sampled_from(["a", "b", "c_1", "W", "eta"]).map(lambda name: tree.Name(AT, name))
numbers = st.integers(0, 10**30).map(lambda value: tree.Literal(AT, Fraction(value)))


def node(kind, *parts):
    return st.builds(kind, st.just(AT), *parts)


def several(parts, least=1):
    return st.lists(parts, min_size=least, max_size=3).map(tuple)


@st.composite
def chains(draw, parts):
    operands = draw(several(parts, 2))
    level = draw(st.sampled_from(["+-", "*/"]))
    return tree.Chain(AT, operands, tuple(draw(st.sampled_from(level)) for _ in operands[1:]))


def larger(parts):
    comparisons = node(tree.Comparison, st.sampled_from(["<", "<=", ">", ">="]), parts, parts)
    return st.one_of(
        chains(parts),
        node(tree.Negated, parts),
        node(tree.Power, parts, parts),
        node(tree.MatrixProduct, parts, parts),
        node(tree.Indexed, parts, several(parts)),
        node(tree.Applied, parts, several(parts | comparisons)),
        node(tree.Primed, parts, st.integers(1, 3)),
        node(tree.Transposed, parts),
        node(tree.Attribute, parts, names),
        node(tree.Mean, parts),
        node(tree.Summation, several(node(tree.Range, names, parts)), parts),
    )


@settings(max_examples=400, deadline=None)
@given(st.recursive(names | numbers, larger, max_leaves=12))
def test_a_printed_tree_is_parsed_as_the_same(x):
    text = f"x = {print_tree(x)}\n"
    (statement,) = parse_file(text, "printed").statements
    assert statement.value == x, text
