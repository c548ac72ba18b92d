"""Conditions of `where` that an instruction has several times: on a line of their own, under a name."""

from __future__ import annotations

from collections import Counter

from tpc.core.affine import Ranges
from tpc.core.brackets import compared
from tpc.core.expr import Call, Compare, Expr, Ref, Value, is_vector, replace, walk
from tpc.core.names import SplitName
from tpc.core.traverse import bound_variables, free_variables
from tpc.emit.formulas import Expressions
from tpc.emit.python import Assign
from tpc.emit.scopes import Frame, MemberArray

FEWEST, SHORT = 3, 6  # times, and nodes, below which a condition is written where it stands


def with_named_conditions(
    expressions: Expressions, name: str, phi: Expr, frame: Frame, ranges: Ranges, values: Frame | None = None
) -> Expr:
    """`phi`, with such conditions as values that stand in the frame.

    name: of what is made. values: the frame that says what members are, if it is another.
    """
    bound = bound_variables(phi)
    for condition in _repeated(phi):
        if free_variables(condition) & bound:
            continue
        identifier = expressions.names.fresh(f"where_{name}")
        value = expressions.value(condition, frame if values is None else values, ranges)
        frame.statements.append(Assign((identifier,), value))
        family, vector = str(SplitName(identifier, "")), is_vector(condition)
        frame.hold(MemberArray(identifier, family, vector, {}, (), (), frame, store=False))
        named: dict[Expr, Expr] = {condition: Value(Ref(family), vector)}
        phi = replace(phi, named.get)
    return phi


def _repeated(phi: Expr) -> list[Compare]:
    """Those of which others are parts first; brackets are no conditions."""
    brackets = {part for x in walk(phi) if compared(x) is not None for part in walk(x)}
    conditions = Counter(
        x.args[0] for x in walk(phi) if isinstance(x, Call) and x.function == "where" and x not in brackets
    )
    return [
        x
        for x, count in conditions.items()
        if isinstance(x, Compare) and count >= FEWEST and sum(1 for _ in walk(x)) >= SHORT
    ]
