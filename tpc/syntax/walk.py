"""What is inside a node of the tree: its parts, all nodes, all names, without recursion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

from tpc.syntax.tree import Name, Node, Range

PLAIN = ("Span", "str", "int", "bool", "Fraction")  # annotations of fields that hold no nodes
INNER: dict[type, tuple[str, ...]] = {}
HOLDING: dict[type, tuple[str, ...]] = {}


def inner_fields(node: Node) -> tuple[str, ...]:
    """The fields of a node that may hold nodes, found once for every kind."""
    found = INNER.get(type(node))
    if found is None:
        found = INNER[type(node)] = tuple(f.name for f in fields(node) if f.name != "span")
    return found


def parts(node: Node) -> list[Node]:
    """The nodes directly inside `node`."""
    found: list[Node] = []
    names = HOLDING.get(type(node))
    if names is None:
        names = HOLDING[type(node)] = tuple(f.name for f in fields(node) if f.type not in PLAIN)
    for name in names:
        value = getattr(node, name)
        if isinstance(value, Node):
            found.append(value)
        elif isinstance(value, tuple):
            found += [item for item in value if isinstance(item, Node)]
    return found


def deepest(root: Node) -> tuple[int, Node]:
    """How deep the tree is nested, and a node at that depth.

    Needs no recursion, so it can be asked of any tree.
    """
    best, where, stack = 0, root, [(1, root)]
    while stack:
        depth, node = stack.pop()
        if depth > best:
            best, where = depth, node
        stack.extend((depth + 1, part) for part in parts(node))
    return best, where


def walk(root: Node) -> Iterator[Node]:
    """Every node of a tree, without recursion."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(parts(node))


def names_in(root: Node) -> Iterator[Name]:
    """Every name in a tree."""
    return (node for node in walk(root) if isinstance(node, Name))


def needed_ranges(ranges: Sequence[Range], nodes: Sequence[Node]) -> tuple[Range, ...]:
    """The `ranges` whose variables occur in `nodes`, or in the counts of others that do."""
    wanted = {name.name for node in nodes for name in names_in(node)}
    needed: list[Range] = []
    for item in reversed(ranges):
        if item.variable.name in wanted:
            wanted |= {name.name for name in names_in(item.count)}
            needed.insert(0, item)
    return tuple(needed)
