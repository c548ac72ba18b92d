"""What the arrays of a covariance program are called, and the comments that say what they are."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tpc.core.affine import Affine
from tpc.core.expr import Call, Delta, Expr, Ref, Value, replace, walk
from tpc.core.names import SplitName, is_part, is_part_of
from tpc.core.printer import print_expr
from tpc.gram.marked_variables import without_marks

LONGEST, LONGEST_COMMENT = 40, 120
ARRAY = "E"  # what arrays are parts of, before they have names that say what they are


def array_name(number: int) -> str:
    return str(SplitName(ARRAY, str(number)))


def is_array(name: str) -> bool:
    """Whether it is an array's; an input has the name that the program gives to it."""
    return is_part_of(name, ARRAY)


def name_of(key: Sequence[Expr]) -> str:
    """`x_z` for `E x[i]·z[j]`, `x_sq` for `E x[i]²`, the family's own for a scalar."""
    if len(key) == 2 and key[0] == key[1]:
        return f"{_part(key[0])}_sq"
    text = "_".join(map(_part, key))
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rstrip('_')}_"


def _part(x: Expr) -> str:
    if isinstance(x, Value):
        return _member(x.ref)
    found = [
        node.function if isinstance(node, Call) else _member(node.ref)
        for node in walk(x)
        if isinstance(node, Call | Value)
    ]
    return "_".join(found).replace("'", "_slope")


def _member(ref: Ref) -> str:
    digits = [str(i.const) for i in ref.index if isinstance(i, Affine) and i.constant is not None]
    return "_".join([ref.name, *digits])


def best_name(wishes: Sequence[str]) -> str:
    """Names that are made of functions are worse than names that the program has."""
    return min(
        wishes,
        key=lambda wish: (
            len(re.findall("relu|step|erf|sin|cos|exp|tanh|sigmoid", wish)) + 3 * is_part(wish),
            len(wish),
        ),
    )


def text_of(x: Expr) -> str:
    """An expression with its variables as a person would write them."""
    return without_marks(print_expr(replace(x, delta_shown)))


def delta_shown(x: Expr) -> Expr | None:
    """A Delta as a member of an array that is called so."""
    return Value(Ref("delta", (x.left, x.right)), False) if isinstance(x, Delta) else None


def comment_of(key: Sequence[Expr]) -> str:
    """`E x[i]*z[j]`."""
    factors = [text_of(x) for x in key]
    if sum(map(len, factors)) > LONGEST_COMMENT:
        return f"E {'*'.join(factors)}"[:LONGEST_COMMENT] + " …"
    if len(key) == 1 and isinstance(key[0], Value) and not key[0].vector:
        return factors[0]
    if len(key) == 2 and factors[0] == factors[1]:
        return f"E {_closed(factors[0], key[0])}^2"
    return "E " + "*".join(map(_closed, factors, key))


def _closed(text: str, x: Expr) -> str:
    return text if isinstance(x, Value | Call) else f"({text})"
