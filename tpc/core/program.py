"""A NETSOR⊤⁺ program (TP4 Def 7.1): initial scalars, vectors and matrices, and the instructions that make
more of them.

A value belongs to a family, `x[t]`, with finite index axes; a plain value is a family with none. Loops stay
loops: `For` is a region.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, cast

from tpc.core.affine import Affine
from tpc.core.expr import Expr, Ref
from tpc.core.network import Source
from tpc.diagnostics.diagnostic import Label
from tpc.diagnostics.spans import Span

if TYPE_CHECKING:
    from collections.abc import Mapping

    import networkx

    from tpc.derive import Limit
    from tpc.evaluate.evaluator import Evaluator
    from tpc.kernels.kernels import Kernels
    from tpc.scaling import Verdict
    from tpc.simulate import Samples


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
    """A run-time scalar or array. `bound`: its entries are integers in 0 … bound−1, to be used as indices."""

    name: str
    shape: tuple[int, ...] = ()
    default: Fraction | None = None
    bound: int | None = None
    origin: Origin = _origin()


@dataclass(frozen=True, slots=True)
class Matrix:
    """A family of initial matrices with iid N(0, variance/columns) entries (Setup 7.2; with unequal widths,
    TP3)."""

    name: str
    axes: tuple[Axis, ...]
    rows: str
    columns: str
    variance: Expr
    origin: Origin = _origin()


@dataclass(frozen=True, slots=True)
class Gaussians:
    """Initial vectors whose coordinates are iid copies of one Gaussian vector, a group per index (Setup
    7.2)."""

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
    """`out = φ(x¹..xᵏ; θ¹..θˡ)`, a vector, coordinate by coordinate. With k = 0 all coordinates are the
    same."""

    out: Ref
    phi: Expr
    origin: Origin = _origin()


@dataclass(frozen=True, slots=True)
class Moment:
    """`out = (1/n) Σ_α φ(x¹_α..xᵏ_α; θ¹..θˡ)`, a scalar."""

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
class For:
    """`body` for each value 0 … count−1 of `variable`; `count` may depend on the variables of the regions
    around it."""

    variable: str
    count: Affine
    body: tuple[Instruction | For, ...]
    origin: Origin = _origin()


Instruction = MatMul | Nonlin | Moment | Scalar
Op = Instruction | For


@dataclass(frozen=True, slots=True)
class Family:
    """What a name stands for: its kind, its width if it is a vector, and the extents of its index axes."""

    name: str
    kind: Literal["vector", "scalar"]
    width: str | None
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """What `run` reports: `ref` over the axes, an array of their extents."""

    name: str
    axes: tuple[Axis, ...]
    ref: Ref
    origin: Origin = _origin()

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(count for _, count in self.axes)


@dataclass(frozen=True, slots=True)
class Program:
    """A whole program. Families that are made by instructions are in `families`; inputs, matrices and
    Gaussians declare their own."""

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
    source: Source | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        from tpc.core.printer import print_program

        return print_program(self)

    @property
    def graph(self) -> networkx.DiGraph:
        """The dependency graph, an instruction's output a node (see `tpc.core.graph`)."""
        from tpc.core.graph import dependency_graph

        return dependency_graph(self)

    def unroll(self) -> Program:
        """The same program with every loop and sum written out."""
        from tpc.core.unroll import unroll

        return unroll(self)

    def derive(self) -> Limit:
        """The Z-recursion of the program (TP4 Def 7.3), powers of n taken to their limits. Raises TpcError
        (TP80x) if there is none."""
        from tpc.derive import derive
        from tpc.expand import expand
        from tpc.expand.rename import notes_on

        expansion = expand(self)
        return derive(expansion.limit, of=self, notes=notes_on(expansion.meanings))

    def scale(self, **exponents: Fraction | int | str) -> Verdict:
        """What becomes of its network's training as n → ∞, in its parametrization or with exponents a1=…,
        b1=…, c=… (see `tpc.scaling.classify`)."""
        from tpc.scaling import classify

        return classify(self, **exponents)

    def compile(self, **options: Any) -> Evaluator:
        """The evaluator of the program's limit; options and errors as in
        `tpc.evaluate.evaluator.compile_program`."""
        from tpc.evaluate.evaluator import compile_program

        return compile_program(self, **options)

    def kernels(self, network: str | None = None, **options: Any) -> Kernels:
        """The NNGP and NTK of a network of the program; options and errors as in
        `tpc.kernels.kernels.kernels`."""
        from tpc.kernels.kernels import kernels

        return kernels(self, network, **options)

    def simulate(
        self,
        inputs: Mapping[str, Any] | None = None,
        *,
        width: int,
        seeds: int | Sequence[int] = 32,
        **options: Any,
    ) -> Samples:
        """The program at finite width (see `tpc.simulate.simulate`), once for each of `seeds`, or of the
        first so many.

        inputs: arrays by name; those with a default may be left out. Raises TpcError for inputs that do not
        fit, ValueError for other options.
        """
        from tpc.core.given import whole_number
        from tpc.core.inputs import bind_inputs
        from tpc.simulate import simulate

        count = whole_number(seeds)
        if count is None and not isinstance(seeds, Iterable):
            raise ValueError(f"seeds are a whole number of them, or different integers, not {seeds!r:.60}")
        chosen = range(count) if count is not None else seeds
        return simulate(
            self,
            bind_inputs(self, {} if inputs is None else inputs),
            width=width,
            seeds=cast("Sequence[int]", chosen),
            **options,
        )


def instructions(
    body: tuple[Op, ...], loops: tuple[For, ...] = ()
) -> Iterator[tuple[Instruction, tuple[For, ...]]]:
    """Every instruction with the regions around it, in program order."""
    for op in body:
        if isinstance(op, For):
            yield from instructions(op.body, (*loops, op))
        else:
            yield op, loops


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
