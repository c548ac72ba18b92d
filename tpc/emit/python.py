"""A small tree of Python, just what emitted modules are made of, and its one printer."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
LONGEST = 200  # operands in a row: Python's own compiler fails at some thousands
# how strongly an expression binds
LAMBDA, CONDITIONAL, COMPARISON, SUM, PRODUCT, UNARY, POWER, ATOM = range(8)


@dataclass(frozen=True, slots=True)
class Py:
    """An expression: its text and how strongly it binds.

    Made by the functions below, which alone put in parentheses.
    """

    text: str
    strength: int = ATOM

    def at(self, strength: int) -> str:
        return self.text if self.strength >= strength else f"({self.text})"


@dataclass(frozen=True, slots=True)
class Slice(Py):
    """Places of an axis in a row."""

    # the first of them
    start: int = 0
    # whether they are all that there are
    whole: bool = False


FULL = Slice(":", ATOM, 0, True)


def is_full(part: Py) -> bool:
    return isinstance(part, Slice) and part.whole


def name(identifier: str) -> Py:
    return Py(identifier)


def integer(value: int) -> Py:
    return Py(str(value), ATOM if value >= 0 else UNARY)


def real(value: float) -> Py:
    text = str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return Py(text, ATOM if value >= 0 else UNARY)


def floating(value: float) -> Py:
    """A number that Python takes for a floating one."""
    if math.isnan(value):
        return Py("jnp.nan")
    if math.isinf(value):
        return Py("jnp.inf" if value > 0 else "-jnp.inf", ATOM if value > 0 else UNARY)
    return Py(repr(float(value)), ATOM if value >= 0 else UNARY)


def ratio(numerator: int, denominator: int) -> Py:
    return Py(f"{numerator}/{denominator}", PRODUCT)


def _parts(items: Sequence[T]) -> list[Sequence[T]]:
    """`items` in runs of LONGEST, which the chain then joins."""
    return [items[i : i + LONGEST] for i in range(0, len(items), LONGEST)]


def total(terms: Sequence[tuple[bool, Py]]) -> Py:
    """A sum of (negative?, term)."""
    if len(terms) > LONGEST:
        return total([(False, total(part)) if len(part) > 1 else part[0] for part in _parts(terms)])
    text = ""
    for negative, term in terms:
        body = term.at(PRODUCT)
        text += (" - " if negative else " + ") + body if text else ("-" if negative else "") + body
    return terms[0][1] if len(terms) == 1 and not terms[0][0] else Py(text, SUM if len(terms) > 1 else UNARY)


def product(factors: Sequence[Py], divisors: Sequence[Py] = ()) -> Py:
    if len(factors) == 1 and not divisors:
        return factors[0]
    if max(len(factors), len(divisors)) > LONGEST:
        over, under = (
            [product(part) for part in _parts(side)] if len(side) > LONGEST else side
            for side in (factors, divisors)
        )
        return product(over, under)
    head = "*".join(f.at(PRODUCT if i == 0 else UNARY) for i, f in enumerate(factors)) or "1"
    return Py(head + "".join(f"/{d.at(UNARY)}" for d in divisors), PRODUCT)


def power(base: Py, exponent: Py) -> Py:
    return Py(f"{base.at(ATOM)}**{exponent.at(ATOM)}", POWER)


def matmul(left: Py, right: Py) -> Py:
    return Py(f"{left.at(UNARY)} @ {right.at(UNARY)}", PRODUCT)


def transposed(x: Py) -> Py:
    return Py(f"{x.at(ATOM)}.T")


def compare(op: str, left: Py, right: Py) -> Py:
    return Py(f"{left.at(SUM)} {op} {right.at(SUM)}", COMPARISON)


def call(function: str, *args: Py) -> Py:
    return Py(f"{function}({', '.join(a.text for a in args)})")


def filled(shape: Py, value: Py) -> Py:
    """An array of one number."""
    zeros = value == integer(0)
    return call("jnp.zeros", shape, name("dtype")) if zeros else call("jnp.full", shape, value, name("dtype"))


def formatted(template: str, args: Sequence[Py]) -> Py:
    """A call written by a format string whose slots are whole arguments, like `jnp.maximum({}, 0)`."""
    return Py(template.format(*(a.text for a in args)))


def subscript(base: Py, index: Sequence[Py]) -> Py:
    """`base[index]`, full slices at the end left out."""
    parts = without_full(index)
    return Py(f"{base.at(ATOM)}[{', '.join(part.text for part in parts)}]") if parts else base


def without_full(index: Sequence[Py]) -> list[Py]:
    """An index without the full slices at its end."""
    parts = list(index)
    while parts and is_full(parts[-1]):
        parts.pop()
    return parts


def part(start: int, length: int, extent: int) -> Py:
    """The slice of so many places of an axis of a given extent."""
    if start == 0 and length == extent:
        return FULL
    stop = "" if start + length == extent else start + length
    return Slice(f"{start or ''}:{stop}", ATOM, start)


def tuple_of(items: Sequence[Py]) -> Py:
    return Py(f"({items[0].text},)" if len(items) == 1 else f"({', '.join(i.text for i in items)})")


def row_of(items: Sequence[Py]) -> Py:
    """The right side of an assignment to as many names."""
    return items[0] if len(items) == 1 else tuple_of(items)


def lambda_of(parameter: str, body: Py) -> Py:
    return Py(f"lambda {parameter}: {body.text}", LAMBDA)


@dataclass(frozen=True, slots=True)
class Assign:
    targets: tuple[str, ...]
    value: Py
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Return:
    value: Py


@dataclass(frozen=True, slots=True)
class Def:
    name: str
    parameters: tuple[str, ...]
    body: tuple[Statement, ...]
    doc: str = ""


Statement = Assign | Return | Def
COMMENT_COLUMN, WIDEST, HANG = 48, 120, 8


def print_statements(statements: Sequence[Statement], indent: str = "") -> list[str]:
    lines: list[str] = []
    for s in statements:
        match s:
            case Assign():
                lines += _assignment(s, indent)
            case Return(value):
                code = f"{indent}return {_bare(value)}"
                lines += (
                    [code] if len(code) <= WIDEST else _broken(f"{indent}return {_closed(value)}", indent)
                )
            case Def():
                lines += [""] * bool(lines and lines[-1] != "")
                lines += [*_function(s, indent), ""]
    return lines[:-1] if lines and lines[-1] == "" else lines


def _assignment(s: Assign, indent: str) -> list[str]:
    left = ", ".join(s.targets)
    code = f"{indent}{left} = {_bare(s.value)}"
    if len(code) <= WIDEST:
        return _commented(code, s.comment, indent)
    left = f"({left})" if len(s.targets) > 1 and len(left) > WIDEST // 2 else left
    return [*_above(s.comment, indent), *_broken(f"{indent}{left} = {_closed(s.value)}", indent)]


def _function(s: Def, indent: str) -> list[str]:
    inside = indent + " " * 4
    doc = textwrap.wrap(f'"""{s.doc}', WIDEST - 3, initial_indent=inside, subsequent_indent=inside)
    return [
        *_fitting(f"{indent}def {s.name}({', '.join(s.parameters)}):", indent),
        *[*doc[:-1], f'{doc[-1]}"""'] * bool(s.doc),
        *print_statements(s.body, inside),
    ]


def _bare(value: Py) -> str:
    """A tuple on the right side of `=` or after `return` needs no parentheses."""
    text = value.text
    return (
        text[1:-1]
        if value.strength == ATOM
        and text.startswith("(")
        and text.endswith(")")
        and "," in text
        and _closes_last(text)
        and not text.endswith(",)")
        else text
    )


def _closed(value: Py) -> str:
    """A value that can be broken into several lines: something in brackets."""
    return value.text if value.strength == ATOM else f"({value.text})"


def _fitting(code: str, indent: str) -> list[str]:
    return [code] if len(code) <= WIDEST else _broken(code, indent)


def _broken(code: str, indent: str) -> list[str]:
    """A long line as several, broken inside brackets after commas and before signs."""
    room, ends, places = WIDEST - len(indent) - HANG, list[str](), list[int]()
    for more in ((", ", " + ", " - "), (": jax.vmap(",), ("(",)):
        ends += more
        places = _places(code, ends)
        if all(end - start <= room for start, end in zip([0, *places], [*places, len(code)], strict=True)):
            break
    if not places:
        return [code]
    lines, start, hang = list[str](), 0, ""
    for place, following in zip(places, [*places[1:], len(code)], strict=True):
        if len(hang) + following - start > WIDEST and place > start:
            lines.append(hang + code[start:place].rstrip())
            start, hang = place, indent + " " * HANG
    return [*lines, hang + code[start:]]


def _places(code: str, ends: Sequence[str]) -> list[int]:
    """Where a line can be broken: inside brackets, after a comma or colon and before a sign."""
    places, depth = list[int](), 0
    for i, c in enumerate(code):
        depth += (c in "([{") - (c in ")]}")
        if depth and any(code.startswith(end, i) for end in ends):
            places.append(i + 2 if c in ",:" else i + 1)
    return places


def _closes_last(text: str) -> bool:
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return i == len(text) - 1
    return False


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _commented(code: str, comment: str, indent: str) -> list[str]:
    """A line with its comment beside it, or above it where there is no room."""
    comment = _one_line(comment)
    line = f"{code:<{COMMENT_COLUMN}}  # {comment}" if comment else code
    return [line] if len(line) <= WIDEST or not comment else [*_above(comment, indent), code]


def _above(comment: str, indent: str) -> list[str]:
    """A comment as lines of its own."""
    return textwrap.wrap(
        _one_line(comment),
        WIDEST,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}#     ",
        break_long_words=False,
        break_on_hyphens=False,
    )
