"""What the names of a file stand for, and the whole numbers in it: dims, extents, indices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from tpc.core.affine import Affine
from tpc.core.composed import COMPOSED
from tpc.core.functions import CONSTANTS, FUNCTIONS, is_function
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic
from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.layout import RESERVED
from tpc.syntax.walk import walk

MAX_DIM = 10_000_000
MAX_INTEGER = 10**18


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of an expression."""

    name: Literal["scalar", "vector", "table", "condition", "unknown"]
    width: str | None = None
    # of a table, of which `width` is that of the rows; None where no vector tells it
    columns: str | None = None
    # where its width comes from
    at: Span | None = field(default=None, compare=False)

    def __str__(self) -> str:
        if self.name == "table":
            return f"a table {self.width or '?'} x {self.columns or '?'}"
        return f"a vector of width {self.width}" if self.name == "vector" else f"a {self.name}"


SCALAR, UNKNOWN, CONDITION = Kind("scalar"), Kind("unknown"), Kind("condition")


@dataclass(frozen=True, slots=True)
class Loop:
    """A variable and its count, which may depend on the variables of loops around it."""

    variable: str
    count: Affine


@dataclass(frozen=True, slots=True)
class Local:
    """What a variable or a parameter is inside an expression.

    Its kind, and its value as an index if it has one.
    """

    kind: Kind
    index: Affine | None = None


@dataclass(frozen=True, slots=True)
class Symbol:
    """A declared name."""

    what: Literal["width", "dim", "input", "matrix", "vector", "family", "function"]
    span: Span
    axes: int = 0
    # the extents of its axes (None for a family that instructions make)
    shape: tuple[int, ...] | None = ()
    kind: Kind = SCALAR
    node: tree.Node | None = None
    bound: int | None = None


WORDS = {
    "width": "a width",
    "dim": "a dim",
    "input": "an input",
    "matrix": "an initial matrix",
    "vector": "an initial vector",
    "family": "a value",
    "function": "a function",
}


class Scope:
    """The names of one file. Problems are appended to `errors` and the name left out."""

    def __init__(
        self, errors: list[Diagnostic], overrides: Mapping[str, int], exponents: frozenset[str] = frozenset()
    ) -> None:
        self.errors = errors
        self.overrides = overrides
        # inputs that may stand in powers of a width, in programs opened for the scaling analysis
        self.exponents = exponents
        self.symbols: dict[str, Symbol] = {}
        self.widths: list[str] = []
        self.dims: dict[str, int] = {}

    def declare(self, name: tree.Name, symbol: Symbol) -> bool:
        if name.name in CONSTANTS or is_function(name.name) or name.name in RESERVED:
            self.errors.append(catalogue.names.built_in(name.span, name.name))
            return False
        if name.name in self.symbols:
            self.errors.append(
                catalogue.names.defined_twice(name.span, name.name, self.symbols[name.name].span)
            )
            return False
        self.symbols[name.name] = symbol
        if symbol.what == "width":
            self.widths.append(name.name)
        return True

    def argument_count(self, function: tree.Name, given: int) -> int | None:
        """How many arguments a function takes; `given` if it takes several numbers of them."""
        symbol = self.symbols.get(function.name)
        if symbol is not None and isinstance(symbol.node, tree.Function):
            return len(symbol.node.parameters)
        if is_function(function.name):
            return given if function.name in COMPOSED else FUNCTIONS[function.name].arguments
        return None

    def is_elementwise(self, function: tree.Name) -> bool:
        """Whether a function has no product and no mean in it, nor in the functions it uses."""
        seen, todo = set(), [function.name]
        while todo:
            symbol = self.symbols.get(todo.pop())
            if symbol is None or not isinstance(symbol.node, tree.Function) or symbol.node.name.name in seen:
                continue
            seen.add(symbol.node.name.name)
            for inner in walk(symbol.node):
                if isinstance(inner, tree.MatrixProduct | tree.Mean):
                    return False
                if isinstance(inner, tree.Name):
                    todo.append(inner.name)
        return True

    def integer(self, node: tree.Tree) -> int | None:
        """The value of a whole number known before the program runs, or None with an error."""
        try:
            value = fraction(node, self.dims)
        except NotANumberError as unknown:
            self.errors.append(catalogue.indices.dim_value(unknown.span, unknown.why))
            return None
        except OverflowError:
            self.errors.append(catalogue.indices.dim_size(node.span, MAX_INTEGER, MAX_DIM))
            return None
        if value.denominator != 1:
            self.errors.append(catalogue.indices.dim_value(node.span, f"it is {value}"))
            return None
        return int(value)

    def extent(self, node: tree.Tree, limit: int = MAX_DIM) -> int | None:
        """A count: at least 0 (1 for a dim is not asked), at most `limit`."""
        value = self.integer(node)
        return None if value is None else self.count(value, node.span, limit)

    def count(self, value: int, at: Span, limit: int = MAX_DIM) -> int | None:
        """A value that may be a count, or None with an error there."""
        if value < 0:
            self.errors.append(catalogue.indices.dim_value(at, f"it is {value}, a count cannot be negative"))
            return None
        if value > limit:
            self.errors.append(catalogue.indices.dim_size(at, value, limit))
            return None
        return value

    def affine(self, node: tree.Tree, env: Mapping[str, Local]) -> Affine | None:
        """`node` as an index, None if it is not affine in the variables of `env` and the dims."""
        try:
            return _affine(node, env, self.dims)
        except (NotANumberError, OverflowError):
            return None


class NotANumberError(Exception):
    """Something that is not made of numbers and dims, and why."""

    def __init__(self, span: Span, why: str) -> None:
        super().__init__(why)
        self.span = span
        self.why = why


def bounded(value: Fraction) -> Fraction:
    if abs(value.numerator) > MAX_INTEGER or value.denominator > MAX_INTEGER:
        raise OverflowError
    return value


def fraction(node: tree.Tree, dims: Mapping[str, int]) -> Fraction:
    """The exact value of arithmetic on numbers and dims.

    Raises NotANumberError, or OverflowError past 10^18.
    """
    match node:
        case tree.Literal(value=value):
            return bounded(value)
        case tree.Name(name=name) if name in dims:
            return Fraction(dims[name])
        case tree.Name(name=name):
            raise NotANumberError(node.span, f"`{name}` is not a dim")
        case tree.Negated(operand=operand):
            return -fraction(operand, dims)
        case tree.Chain(operands=operands, operators=operators):
            out = fraction(operands[0], dims)
            for op, operand in zip(operators, operands[1:], strict=True):
                x = fraction(operand, dims)
                if op == "/" and not x:
                    raise NotANumberError(operand.span, "division by zero")
                out = bounded(
                    out + x if op == "+" else out - x if op == "-" else out * x if op == "*" else out / x
                )
            return out
        case tree.Power(base=base, exponent=exponent):
            b, k = fraction(base, dims), fraction(exponent, dims)
            if k.denominator != 1 or (not b and k < 0):
                raise NotANumberError(node.span, "the power is not a whole number")
            if abs(b) not in (0, 1) and abs(k) > 64:
                raise OverflowError
            return bounded(b ** int(k))
    raise NotANumberError(node.span, "only numbers, dims and + - * / ^ can be used")


def _affine(node: tree.Tree, env: Mapping[str, Local], dims: Mapping[str, int]) -> Affine:
    match node:
        case tree.Name(name=name) if name in env:
            index = env[name].index
            if index is None:
                raise NotANumberError(node.span, "not an index")
            return index
        case tree.Negated(operand=operand):
            return _affine(operand, env, dims).scaled(-1)
        case tree.Chain(operands=operands, operators=operators):
            out = _affine(operands[0], env, dims)
            for op, operand in zip(operators, operands[1:], strict=True):
                if op == "/":
                    raise NotANumberError(node.span, "a quotient")
                x = _affine(operand, env, dims)
                out = out + x if op == "+" else out - x if op == "-" else _product(out, x, node)
                if max(abs(out.const), *(abs(k) for _, k in out.terms), 0) > MAX_INTEGER:
                    raise OverflowError
            return out
    value = fraction(node, dims)
    if value.denominator != 1:
        raise NotANumberError(node.span, "not a whole number")
    return Affine(int(value))


def _product(a: Affine, b: Affine, node: tree.Tree) -> Affine:
    if a.constant is not None:
        return b.scaled(a.constant)
    if b.constant is not None:
        return a.scaled(b.constant)
    raise NotANumberError(node.span, "a product of variables")
