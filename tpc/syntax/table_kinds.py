"""Kinds of tables: which sides they have, and what may stand beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tpc.core.spectral import SPECTRAL
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic
from tpc.syntax import tree
from tpc.syntax.scope import SCALAR, UNKNOWN, Kind

OPEN = ""  # a side that no vector tells
MOST_STEPS = 100


def made_kind(
    node: tree.Applied, name: str, kinds: Sequence[Kind], integer: Callable[[tree.Tree], int | None]
) -> Kind | Diagnostic:
    """The kind of what `outer` or a function of tables makes, or what is wrong with it.

    integer: a whole number that is known, as that of the steps of an iteration has to be.
    """
    if name == "outer":
        return outer_kind(node, kinds)
    counted = SPECTRAL[name].steps and node.args[1:]
    return spectral_kind(node, name, kinds, integer(node.args[1]) if counted else 1)


def outer_kind(node: tree.Applied, kinds: Sequence[Kind]) -> Kind | Diagnostic:
    """The kind of `outer(a, b)`: a table over the widths of its arguments, or what is wrong with it."""
    if len(kinds) != 2:
        return catalogue.names.arguments(node.span, "outer", 2, 2, len(kinds))
    for arg, kind in zip(node.args, kinds, strict=True):
        if kind.name == "table":
            return catalogue.tables.table_misplaced(arg.span, "an argument of `outer`")
        if kind.name == "condition":
            return catalogue.kinds.condition_misplaced(arg.span)
    if any(kind.name == "unknown" for kind in kinds):
        return UNKNOWN
    if all(kind.name == "scalar" for kind in kinds):
        return SCALAR
    rows, columns = (kind.width or OPEN for kind in kinds)
    return Kind("table", rows, columns, at=node.span)


def spectral_kind(
    node: tree.Applied, name: str, kinds: Sequence[Kind], steps: int | None
) -> Kind | Diagnostic:
    """The kind of a function of tables as operators, or what is wrong with it.

    steps: how many steps of a Newton–Schulz iteration, if that is known.
    """
    own = SPECTRAL[name]
    due, count = own.arguments, len(own.tables)
    if len(kinds) != due:
        return catalogue.names.arguments(node.span, name, due, due, len(kinds))
    for arg, kind in zip(node.args[:count], kinds, strict=False):
        if kind.name not in ("table", "unknown"):
            return catalogue.tables.table_due(arg.span, name)
    for arg, kind in zip(node.args[count:], kinds[count:], strict=True):
        if kind.name not in ("scalar", "unknown"):
            return catalogue.tables.scalar_due(arg.span, name, count)
    if steps is None or not 1 <= steps <= MOST_STEPS:
        return catalogue.tables.steps_due(node.args[1].span, name, MOST_STEPS)
    first = kinds[0]
    for letters, arg, kind in zip(own.tables[1:], node.args[1:], kinds[1:], strict=False):
        square = Kind("table", *result_of(letters, first))
        if any(a and b and a != b for a, b in zip(sides(square), sides(kind), strict=True)):
            return catalogue.tables.argument_sides(arg.span, name, str(kind), str(square))
    rows, columns = result_of(own.result, first)
    return replace(first, width=rows, columns=columns, at=node.span)


def result_of(letters: str, table: Kind) -> tuple[str | None, str | None]:
    """Sides by their letters: r and c are those of a table."""
    by_letter = {"r": table.width, "c": table.columns}
    return by_letter[letters[0]], by_letter[letters[1]]


def joined(items: Sequence[tuple[tree.Tree, Kind]]) -> Kind | Diagnostic:
    """The kind of an elementwise combination with a table in it, or what is wrong with it."""
    out: Kind | None = None
    for node, kind in items:
        if kind.name == "vector":
            return catalogue.tables.not_in_a_table(kind.at or node.span, str(kind))
        if kind.name != "table":
            continue
        at = kind.at or node.span
        if out is None:
            out = replace(kind, at=at)
            continue
        if any(a and b and a != b for a, b in zip(sides(out), sides(kind), strict=True)):
            return catalogue.tables.table_sides(at, str(kind), out.at or at, str(out))
        out = replace(out, width=out.width or kind.width, columns=out.columns or kind.columns)
    return out or UNKNOWN


def transposed(node: tree.Transposed, known: Mapping[str, Kind]) -> Diagnostic:
    """What is wrong with a transpose that is not multiplied to anything."""
    name, is_table = _named(node, known)
    if is_table:
        return catalogue.tables.transposed_alone(node.span, name)
    if isinstance(node.base, tree.Name):
        return catalogue.kinds.matrix_misplaced(node.span, name)
    return catalogue.kinds.not_a_matrix(node.span)


def product(node: tree.MatrixProduct, known: Mapping[str, Kind]) -> Diagnostic | None:
    """What is wrong with a product of two tables, if it is one."""
    (left, is_table), (right, both) = (_named(x, known) for x in (node.matrix, node.operand))
    if not (is_table and both):
        return None
    turned = [isinstance(x, tree.Transposed) for x in (node.matrix, node.operand)]
    gram = "" if left != right or turned[0] == turned[1] else "right_gram" if turned[0] else "left_gram"
    return catalogue.tables.product_of_tables(node.span, left, right, gram)


def _named(node: tree.Tree, known: Mapping[str, Kind]) -> tuple[str, bool]:
    """The name of a family or of its transpose, and whether it is one of tables."""
    base, _ = tree.base_and_index(node.base if isinstance(node, tree.Transposed) else node)
    name = base.name if isinstance(base, tree.Name) else ""
    return name, known.get(name, UNKNOWN).name == "table"


def sides(kind: Kind) -> tuple[str, str]:
    return kind.width or OPEN, kind.columns or OPEN


def declared(node: tree.Tree, kind: Kind, rows: str, columns: str) -> Kind | Diagnostic:
    """The kind of a table that is declared with these sides, or what is wrong with what it is made of."""
    own = Kind("table", rows, columns, at=node.span)
    if kind.name in ("scalar", "unknown"):
        return own
    found = joined([(node, own), (node, kind)])
    return replace(found, at=None) if isinstance(found, Kind) else found
