"""Lines of a function without what nothing reads."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from tpc.emit.library import global_names
from tpc.emit.python import Assign, Def, Return, Statement, print_statements


def without_unused(body: Sequence[Statement]) -> tuple[Statement, ...]:
    """The body of a function without assignments and functions that nothing after them reads.

    Where one of several values is not read, it is `_`. What a function inside reads counts as read
    everywhere: it may be called later.
    """
    functions = {s.name: replace(s, body=without_unused(s.body)) for s in body if isinstance(s, Def)}
    inside = set[str]().union(*map(free_names, functions.values()))
    needed = set(inside)
    found: list[Statement] = []
    for s in reversed(body):
        match s:
            case Return(value):
                needed |= global_names(value.text)
                found.append(s)
            case Assign(targets, value, _):
                own = set[str]().union(*map(_names, targets))
                if not needed & own:
                    continue
                kept = tuple(t if _names(t) & needed else "_" for t in targets)
                needed = needed - (own - inside) | global_names(value.text)
                found.append(replace(s, targets=kept))
            case Def():
                if s.name in needed:
                    found.append(functions[s.name])
    return tuple(reversed(found))


def free_names(function: Def) -> frozenset[str]:
    """What a function reads of the scopes around it."""
    return global_names("\n".join(print_statements([function])))


def _names(target: str) -> set[str]:
    """The names that a target of an assignment is, or is made of."""
    return {n.id for n in ast.walk(ast.parse(f"{target} = 0")) if isinstance(n, ast.Name)}


def names_read(*bodies: Sequence[Statement]) -> frozenset[str]:
    """The names that lines, or functions among them, read."""
    found = set[str]()
    for s in (s for body in bodies for s in body):
        found |= names_read(s.body) if isinstance(s, Def) else global_names(s.value.text)
    return frozenset(found)
