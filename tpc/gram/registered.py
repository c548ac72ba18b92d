"""Closed forms that a user adds: `register` in a file that is imported before programs are compiled."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from tpc.core.expr import Expr, Extent, Mul, Ref, Value, mul, replace, values, walk
from tpc.core.printer import print_expr
from tpc.core.program import Moment
from tpc.gram.slopes import with_slopes

S = Value(Ref("s"), True)


@dataclass(frozen=True, slots=True)
class Form:
    """`source` defines the function `name` of q, c, r."""

    name: str
    source: str
    # whether u and v are to change places
    swapped: bool = False


FORMS: dict[tuple[Expr, Expr], Form] = {}


def register(f: str, g: str, source: str) -> None:
    """Adds a closed form of `E f(u)·g(v)`, (u, v) ~ N(0, [[q, c], [c, r]]).

    f, g: expressions of the language in the variable `s`, as they are written in programs after functions
    have been expanded: `"s*sigmoid(s)"`.
    source: a Python function of three arrays q, c, r, which is copied into emitted modules; it may use `jnp`,
    `jax` and `erf`:

        register("cosh(s)", "cosh(s)", '''
        def cosh_cosh(q, c, r):
            return jnp.exp((q + r)/2)*jnp.cosh(c)
        ''')

    Where u = v, c is q. It must be finite for q = 0 and r = 0. Raises TpcError if f or g cannot be read,
    ValueError if one is no function of `s` alone, or the source no function of three arguments.
    """
    from textwrap import dedent

    text = dedent(_text("source", source)).strip()
    FORMS[_read("f", f), _read("g", g)] = Form(_function(text).name, text)


def _function(text: str) -> ast.FunctionDef:
    try:
        body = ast.parse(text).body
    except SyntaxError as error:
        raise ValueError(f"the source of a closed form cannot be read: {error}") from None
    if len(body) != 1 or not isinstance(body[0], ast.FunctionDef):
        raise ValueError("the source of a closed form is one function")
    given = body[0].args
    least = len(given.posonlyargs + given.args) - len(given.defaults)
    most = len(given.posonlyargs + given.args) if given.vararg is None else 3
    if not least <= 3 <= most or any(default is None for default in given.kw_defaults):
        raise ValueError(f"`{body[0].name}` of a closed form takes other arguments than q, c and r")
    return body[0]


def _text(what: str, given: object) -> str:
    if not isinstance(given, str):
        raise ValueError(f"{what} of a closed form is text, not {given!r:.60}")
    return given


def registered(f: Expr, g: Expr) -> Form | None:
    """The form for these two functions, each of one Gaussian."""
    left, right = _anonymous(f), _anonymous(g)
    if (left, right) in FORMS:
        return FORMS[left, right]
    found = FORMS.get((right, left))
    return Form(found.name, found.source, True) if found is not None else None


def form_named(name: str) -> Form:
    return next(form for form in FORMS.values() if form.name == name)


def _anonymous(x: Expr) -> Expr:
    """`x` in the variable `s`, factors in one order."""
    found = replace(x, lambda node: S if isinstance(node, Value) and node.vector else None)
    return mul(*sorted(found.factors, key=print_expr)) if isinstance(found, Mul) else found


def _widths(x: Expr) -> bool:
    return any(isinstance(node, Extent) for node in walk(x))


def _read(what: str, given: str) -> Expr:
    from tpc.lower import lower
    from tpc.syntax.parse import parse_file
    from tpc.syntax.resolve import resolve

    function = _text(what, given)
    name, text = "closed form", f"width n\nvector s : n ~ N(0, 1)\noutput c = mean({function})\n"
    program = lower(resolve(parse_file(text, name), name, text, {}), text, name)
    moments = [op for op in program.body if isinstance(op, Moment)]
    if len(moments) != 1 or _widths(moments[0].phi) or {v.ref for v in values(moments[0].phi)} != {S.ref}:
        raise ValueError(
            f"{what} of a closed form is a function of `s`, and of nothing else, not {function!r:.60}"
        )
    return _anonymous(with_slopes(moments[0].phi))
