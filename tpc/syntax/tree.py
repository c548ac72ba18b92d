"""The tree of a `.tp` file, as written: every node knows its span.

Nodes hold no meaning; `resolve` finds it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from tpc.core.option_bound import Bound
from tpc.diagnostics.spans import Span


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the tree."""

    # where it was written; no part of what it is
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Literal(Node):
    value: Fraction


@dataclass(frozen=True, slots=True)
class Name(Node):
    """An identifier, normalised (NFKC, Greek letters spelled out)."""

    name: str


@dataclass(frozen=True, slots=True)
class Indexed(Node):
    base: Tree
    index: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Transposed(Node):
    base: Tree


@dataclass(frozen=True, slots=True)
class Primed(Node):
    base: Tree
    order: int


@dataclass(frozen=True, slots=True)
class Applied(Node):
    function: Tree
    args: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """A flat sum or product: operators[i] stands before operands[i+1]. All of one level: `+ -` or `* /`."""

    operands: tuple[Tree, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Negated(Node):
    operand: Tree


@dataclass(frozen=True, slots=True)
class Power(Node):
    base: Tree
    exponent: Tree


@dataclass(frozen=True, slots=True)
class MatrixProduct(Node):
    matrix: Tree
    operand: Tree


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    op: str
    left: Tree
    right: Tree


@dataclass(frozen=True, slots=True)
class Mean(Node):
    body: Tree


@dataclass(frozen=True, slots=True)
class Range(Node):
    """`variable < count`."""

    variable: Name
    count: Tree


@dataclass(frozen=True, slots=True)
class Summation(Node):
    ranges: tuple[Range, ...]
    body: Tree


@dataclass(frozen=True, slots=True)
class Attribute(Node):
    """`base.name`: something inside a network, or of a training."""

    base: Tree
    name: Name


Tree = (
    Literal
    | Name
    | Indexed
    | Transposed
    | Primed
    | Applied
    | Chain
    | Negated
    | Power
    | MatrixProduct
    | Comparison
    | Mean
    | Summation
    | Attribute
)


@dataclass(frozen=True, slots=True)
class Axis(Node):
    """An axis of a declared family, `t < T` or just its extent."""

    variable: Name | None
    count: Tree


@dataclass(frozen=True, slots=True)
class Declared(Node):
    name: Name
    axes: tuple[Axis, ...]


@dataclass(frozen=True, slots=True)
class ProgramName(Node):
    name: Name


@dataclass(frozen=True, slots=True)
class WidthStatement(Node):
    name: Name
    ratio: Tree | None


@dataclass(frozen=True, slots=True)
class Dim(Node):
    name: Name
    value: Tree


@dataclass(frozen=True, slots=True)
class InputStatement(Node):
    declared: Declared
    bound: Tree | None
    default: Tree | None


@dataclass(frozen=True, slots=True)
class Gaussian(Node):
    """`N(mean, covariance)`: numbers for one vector, nested lists for several."""

    mean: Tree | ListOf
    covariance: Tree | ListOf


@dataclass(frozen=True, slots=True)
class ListOf(Node):
    items: tuple[Tree | ListOf, ...]


@dataclass(frozen=True, slots=True)
class MatrixStatement(Node):
    declared: tuple[Declared, ...]
    rows: Name | Literal
    columns: Name | Literal
    law: Gaussian


@dataclass(frozen=True, slots=True)
class Vector(Node):
    declared: tuple[Declared, ...]
    joint: bool
    width: Name | Literal
    law: Gaussian


@dataclass(frozen=True, slots=True)
class Define(Node):
    """`target = value for clauses`, or `table target : rows x columns = value for clauses`."""

    target: Tree
    value: Tree
    clauses: tuple[Range, ...]
    # in words, what made the line, if the user did not write it
    what: str = field(default="", compare=False)
    # rows and columns, if it makes a table
    sides: tuple[Name | Literal, ...] = ()


@dataclass(frozen=True, slots=True)
class Function(Node):
    """`def name(parameters)`: local assignments, then the value returned."""

    name: Name
    parameters: tuple[Name, ...]
    body: tuple[Define, ...]
    result: Tree


@dataclass(frozen=True, slots=True)
class ForBlock(Node):
    range: Range
    body: tuple[Statement, ...]


DIVISOR = "divisor"


@dataclass(frozen=True, slots=True)
class OutputStatement(Node):
    target: Tree
    value: Tree | None
    clauses: tuple[Range, ...]
    # of `check W : …`, which a run looks at and does not report: the weight whose steps jump where it is 0
    check: str = ""
    bound: Bound | None = None  # of an option's value, looked at when inputs are given
    divisor: bool = False  # of `check W divisor : …`: the square of what steps are divided by


# networks and training: written out in the statements above before anything else looks at them (`tpc.train`)


@dataclass(frozen=True, slots=True)
class Option(Node):
    """`name = value`, or just `name`."""

    name: Name
    value: Tree | ListOf | None


@dataclass(frozen=True, slots=True)
class WeightStatement(Node):
    """`weight W : rows x columns`, or `bias b : rows` (columns None)."""

    name: Name
    rows: Name | Literal
    columns: Name | Literal | None
    options: tuple[Option, ...]
    # of a family of weights, `weight W[k < K] : …`
    axes: tuple[Axis, ...] = ()


@dataclass(frozen=True, slots=True)
class Activation(Node):
    name: Name
    function: Name


@dataclass(frozen=True, slots=True)
class Parametrization(Node):
    name: Name
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Network(Node):
    name: Name
    parameters: tuple[Name, ...]
    body: tuple[Define | ForBlock, ...]
    result: Tree


@dataclass(frozen=True, slots=True)
class Examples(Node):
    """`(inputs, label) for i < B`: one input for every argument of the network."""

    inputs: tuple[Tree, ...]
    label: Tree
    clauses: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Loss(Node):
    """A loss by name, or the user's own, a function of a prediction and a label (`parameters`, `value`)."""

    name: Name | None
    options: tuple[Option, ...]
    parameters: tuple[Name, ...]
    value: Tree | None


@dataclass(frozen=True, slots=True)
class Update(Node):
    """`update name(options)`, of some weights, of those that no other line updates, or of all."""

    name: Name
    options: tuple[Option, ...]
    # of which weights
    weights: tuple[Name, ...] = ()
    # the word that says for which, `of` or `otherwise`
    word: Name | None = None


@dataclass(frozen=True, slots=True)
class Optimizer(Node):
    """`optimizer name(parameters): …`, a rule for entries of weights."""

    name: Name
    parameters: tuple[Option, ...]
    body: tuple[Define, ...]
    result: Tree


@dataclass(frozen=True, slots=True)
class Gradient(Node):
    """`gradient (g, x, y) for i < Q`: where the gradient is taken."""

    network: Tree
    examples: Examples
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Adapted(Node):
    """`target = adapt(network, examples, options)`: the network after inner steps of gradient descent."""

    target: Tree
    network: Name
    examples: Examples
    options: tuple[Option, ...]
    clauses: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Train(Node):
    network: Name
    name: Name | None
    range: Range
    items: tuple[Examples | Loss | Update | Gradient | Adapted, ...]


@dataclass(frozen=True, slots=True)
class AddTo(Node):
    """`target += value`, an update of a weight."""

    target: Tree
    value: Tree
    clauses: tuple[Range, ...]


Core = (
    ProgramName
    | WidthStatement
    | Dim
    | InputStatement
    | MatrixStatement
    | Vector
    | Define
    | Function
    | ForBlock
    | OutputStatement
)
Training = WeightStatement | Activation | Parametrization | Network | Optimizer | Train | Adapted | AddTo
Statement = Core | Training


@dataclass(frozen=True, slots=True)
class File(Node):
    statements: tuple[Statement, ...]

    @property
    def dims(self) -> set[str]:
        """The names of the dims that it declares."""
        return {s.name.name for s in self.statements if isinstance(s, Dim)}


def base_and_index(x: Tree) -> tuple[Tree, tuple[Tree, ...]]:
    """What stands before the brackets, and what in them; all of it and nothing if there are none."""
    return (x.base, x.index) if isinstance(x, Indexed) else (x, ())
