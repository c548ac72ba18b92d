"""A NETSOR⊤⁺ program (TP4 Def 7.1).

Initial scalars, vectors and matrices, and the instructions that make more of them.

A value belongs to a family, `x[t]`, with finite index axes; a plain value is a family with none. Loops stay
loops: `For` is a region.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from tpc.core.affine import Affine, Ranges
from tpc.core.expr import Expr, Ref
from tpc.core.network import Source
from tpc.core.option_bound import Bound
from tpc.diagnostics.diagnostic import Label
from tpc.diagnostics.spans import Span


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an instruction comes from: a place in the source, and in words what made it."""

    line: int = 0
    column: int = 0
    what: str = ""

    def __str__(self) -> str:
        return f"line {self.line}" + (f", {self.what}" if self.what else "")

    @property
    def label(self) -> Label | None:
        """The place in a diagnostic, with what made it if the user did not write it; None if it has none."""
        if not self.line:
            return None
        return Label(Span(self.line, self.column, self.line, self.column + 1), self.what)


def _origin() -> Origin:
    return field(default=Origin(), kw_only=True, compare=False, repr=False)


Axis = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Width:
    """A dimension that tends to infinity; `ratio` to the first one, a scalar expression over inputs."""

    name: str
    ratio: Expr
    origin: Origin = _origin()


@dataclass(frozen=True, slots=True)
class Input:
    """A run-time scalar or array."""

    name: str
    shape: tuple[int, ...] = ()
    default: Fraction | None = None
    # its entries are integers in 0 … bound−1, to be used as indices
    bound: int | None = None
    origin: Origin = _origin()


@dataclass(frozen=True, slots=True)
class Matrix:
    """A family of initial matrices with iid N(0, variance/columns) entries.

    Setup 7.2; with unequal widths, TP3.
    """

    name: str
    axes: tuple[Axis, ...]
    rows: str
    columns: str
    variance: Expr
    origin: Origin = _origin()


@dataclass(frozen=True, slots=True)
class Gaussians:
    """Initial vectors whose coordinates are iid copies of one Gaussian vector (Setup 7.2).

    There is a group for every index.
    """

    names: tuple[str, ...]
    axes: tuple[Axis, ...]
    width: str
    mean: tuple[Expr, ...]
    covariance: tuple[tuple[Expr, ...], ...]
    origin: Origin = _origin()


@dataclass(frozen=True, slots=True)
class MatMul:
    """`out = matrix @ operand`, or `matrix.T @ operand`."""

    out: Ref
    matrix: Ref
    operand: Ref
    transposed: bool = False
    origin: Origin = _origin()


@dataclass(frozen=True, slots=True)
class Nonlin:
    """`out = φ(x¹..xᵏ; θ¹..θˡ)`, a vector, coordinate by coordinate.

    With k = 0 all coordinates are the same.
    """

    out: Ref
    phi: Expr
    origin: Origin = _origin()


@dataclass(frozen=True, slots=True)
class Moment:
    """`out = (1/n) Σ_α φ(x¹_α..xᵏ_α; θ¹..θˡ)`, a scalar; of tables `(1/nm) Σ_αβ φ(A¹_αβ..; θ¹..θˡ)`."""

    out: Ref
    phi: Expr
    origin: Origin = _origin()


@dataclass(frozen=True, slots=True)
class Scalar:
    """`out = φ(θ¹..θˡ)`, a scalar from scalars."""

    out: Ref
    phi: Expr
    origin: Origin = _origin()


@dataclass(frozen=True, slots=True)
class OuterNonlin:
    """`out = ψ`, a table, entry by entry of outer products of vectors, of tables and of scalars.

    `ψ(x_α, y_β, A_αβ, θ)` with row vectors x and column vectors y, which stand in outer products (OuterNonlin
    of order 2 of NE⊗OR⊤, Yang and Littwin, arXiv 2308.01814, Def 2.6.1).
    """

    out: Ref
    phi: Expr
    origin: Origin = _origin()


@dataclass(frozen=True, slots=True)
class OuterMul:
    """`out_α = (1/m) Σ_β A_αβ x_β`, m the number of columns of the table A.

    Transposed, `out_β = (1/n) Σ_α A_αβ x_α`.
    """

    out: Ref
    table: Ref
    operand: Ref
    transposed: bool = False
    # of a table in factors: the outer product of the sums of all vectors that it may be made of
    vectors: Expr | None = None
    origin: Origin = _origin()


@dataclass(frozen=True, slots=True)
class For:
    """`body` for each value 0 … count−1 of `variable`.

    `count` may depend on the variables of the regions around it.
    """

    variable: str
    count: Affine
    body: tuple[Instruction | For, ...]
    origin: Origin = _origin()


Product = MatMul | OuterMul  # instructions without a function
Instruction = MatMul | Nonlin | Moment | Scalar | OuterNonlin | OuterMul
Op = Instruction | For


@dataclass(frozen=True, slots=True)
class Family:
    """What a name stands for: its kind, its widths, and the extents of its index axes.

    A vector has one width, a table those of its rows and its columns, a scalar none. A factored table is kept
    as coefficients of outer products.
    """

    name: str
    kind: Literal["vector", "scalar", "table", "factored"]
    width: str | None
    shape: tuple[int, ...]
    columns: str | None = None

    @property
    def widths(self) -> tuple[str, ...]:
        """The widths that a member has entries along."""
        return tuple(width for width in (self.width, self.columns) if width is not None)


@dataclass(frozen=True, slots=True)
class Output:
    """What `run` reports: `ref` over the axes, an array of their extents.

    check: of what it only looks at, what has no limit where this is 0 in the limit: the weight whose steps
    jump there (TP748), or what is made by the function `jump` (TP809). square: whether it is a mean square,
    so that what tends to 0 is a fluctuation squared. divisor: whether it is the square of what steps are
    divided by, and has a limit where this is 0 but for an `eps`, if points tell that it is.
    """

    name: str
    axes: tuple[Axis, ...]
    ref: Ref
    check: str = ""
    jump: str = ""
    square: bool = False
    divisor: bool = False
    origin: Origin = _origin()

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(count for _, count in self.axes)


@dataclass(frozen=True, slots=True)
class OptionRange:
    """The value of an option, made of inputs, over the axes, and its range."""

    bound: Bound
    value: Expr
    axes: tuple[Axis, ...]
    origin: Origin = _origin()


@dataclass(frozen=True, slots=True, repr=False)
class Program:
    """A whole program, as data: `tpc.Program` is the same with what users do with it.

    Families that are made by instructions are in `families`; inputs, matrices and Gaussians declare their
    own.
    """

    name: str
    widths: tuple[Width, ...]
    inputs: tuple[Input, ...]
    matrices: tuple[Matrix, ...]
    gaussians: tuple[Gaussians, ...]
    families: tuple[Family, ...]
    body: tuple[Op, ...]
    outputs: tuple[Output, ...]
    # remarks for the user, e.g. a mean of nothing random
    notes: tuple[str, ...] = field(default=(), compare=False)
    # options of trainings that inputs decide: looked at when these are given
    options: tuple[OptionRange, ...] = field(default=(), compare=False, repr=False)
    source: Source | None = field(default=None, compare=False, repr=False)

    @property
    def reported(self) -> tuple[str, ...]:
        """The outputs but for those that a run only looks at."""
        return tuple(output.name for output in self.outputs if not output.check)

    @property
    def tables(self) -> frozenset[str]:
        """The families that are tables."""
        return frozenset(family.name for family in self.families if family.kind == "table")

    @property
    def factored(self) -> frozenset[str]:
        """The families that are tables kept in factors."""
        return frozenset(family.name for family in self.families if family.kind == "factored")

    @property
    def names(self) -> frozenset[str]:
        """All that is called something, but for loop variables."""
        groups = (self.widths, self.inputs, self.matrices, self.families, self.outputs)
        names = {item.name for group in groups for item in group}
        return frozenset(names.union(*(group.names for group in self.gaussians)))

    def __repr__(self) -> str:
        """A line; all of it is its text, `str(program)`."""
        count = sum(1 for _ in instructions(self.body))
        outputs = ", ".join(self.reported) or "none"
        return f"<the program {self.name}: {count} instructions, outputs {outputs}>"

    def __str__(self) -> str:
        from tpc.core.printer import print_program

        return print_program(self)


def instructions(
    body: tuple[Op, ...], loops: tuple[For, ...] = ()
) -> Iterator[tuple[Instruction, tuple[For, ...]]]:
    """Every instruction with the regions around it, in program order."""
    for op in body:
        if isinstance(op, For):
            yield from instructions(op.body, (*loops, op))
        else:
            yield op, loops


def loop_ranges(loops: tuple[For, ...]) -> Ranges:
    return tuple((loop.variable, loop.count) for loop in loops)


def initial_families(program: Program) -> Mapping[str, Family]:
    """Inputs and Gaussians as families."""
    made: dict[str, Family] = {}
    for item in program.inputs:
        made[item.name] = Family(item.name, "scalar", None, item.shape)
    for group in program.gaussians:
        for name in group.names:
            made[name] = Family(name, "vector", group.width, tuple(count for _, count in group.axes))
    return made


def all_families(program: Program) -> Mapping[str, Family]:
    return {**initial_families(program), **{family.name: family for family in program.families}}
