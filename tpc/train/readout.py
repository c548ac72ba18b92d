"""What a network's output is as a readout.

A sum of terms `c V x` and biases, linear in output weights that nothing else depends on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NoReturn

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.tree import Range, Tree
from tpc.syntax.walk import names_in
from tpc.train.build import Maker, is_number, substituted
from tpc.train.records import (
    ArrayExpr,
    CollectedStep,
    ElementwiseStep,
    Index,
    ProductStep,
    Step,
    Var,
    read_by,
)
from tpc.train.scene import Scene
from tpc.train.weights import Weight

MAX_PARTS = 20_000  # that an output is taken apart into


@dataclass(frozen=True, slots=True)
class ReadoutTerm:
    """`Σ_ranges coefficient · (weight[member] @ operand)`, or `· weight[member]` for a bias (operand None).

    Every range has a variable of its own.
    """

    weight: Weight
    member: Index
    operand: Tree | None
    coefficient: Tree
    ranges: tuple[Range, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Readout:
    """An output of a network that is linear in its output weights."""

    terms: tuple[ReadoutTerm, ...]
    # axes of the output along which it is not its weights' units but what they are multiplied to that differs
    positions: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class ReadoutPart:
    """`Σ_ranges coefficient · x`, to be taken apart."""

    x: Tree
    coefficient: Tree
    ranges: tuple[Range, ...]


@dataclass
class Reading:
    """Takes one output apart."""

    scene: Scene
    name: str
    # the forward pass, by what they make
    steps: dict[str, Step]
    # how many indices of a variable are those of the loops around
    own: int
    scope: set[str]
    span: Span
    # the names of what depends on output weights and biases
    random: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.random = self.random_names()

    def readout(self, value: ArrayExpr) -> Readout:
        """The terms of the output `value`: of one unit, if it has several, which are alike."""
        shape = [count for count in value.shape if count is not None]
        if value.width is not None or len(shape) != len(value.shape):
            self.refuse()
        m = Maker(self.span)
        variables = self.fresh(len(shape))
        terms = self.terms(value.at(tuple(map(m.name, variables))))
        if not any(term.operand is not None for term in terms):
            self.refuse()
        units = {v for v in variables if all(is_unit(term, v) for term in terms)}
        positions = tuple(
            m.range(v, count) for v, count in zip(variables, shape, strict=True) if v not in units
        )
        first: dict[str, Tree] = {v: m.number(0) for v in units}
        return Readout(
            tuple(replace(t, member=tuple(substituted(i, first) for i in t.member)) for t in terms), positions
        )

    def refuse(self, at: tree.Node | None = None) -> NoReturn:
        raise RefusedError(catalogue.kernels.not_a_readout(self.span if at is None else at.span, self.name))

    def fresh(self, count: int) -> list[str]:
        made = self.scene.names.variables(count, self.scope)
        self.scope.update(made)
        return made

    # what depends on weights that are random of order 1/√n, or have no side that grows: `V @ x` and output
    # biases

    def random_names(self) -> frozenset[str]:
        """The weights that are random, and the variables of the pass that depend on them.

        A step reads only what stands before it.
        """
        found = {w.initial for w in self.scene.weights.values() if w.initial and w.width is None}
        for name, step in self.steps.items():
            own = isinstance(step, ProductStep) and self.scene.weights[step.weight].scaling.kind in (
                "output",
                "finite",
            )
            if own or any(read.name in found for read in names_in(read_by(step))):
                found.add(name)
        return frozenset(found)

    def depends(self, x: Tree) -> bool:
        return any(name.name in self.random for name in names_in(x))

    def random_in(self, x: Tree) -> Span:
        """Where something is made that `x` depends on and that is random in the limit."""
        while True:
            step = self.steps.get(next(name.name for name in names_in(x) if name.name in self.random))
            if step is None:
                return x.span
            if not self.depends(read_by(step)):
                return step.span
            x = read_by(step)

    # terms

    def terms(self, x: Tree) -> list[ReadoutTerm]:
        """The terms of `x`.

        What is left to take apart is kept in a list, the next part last: a chain of lines may be of any
        length.
        """
        found, left = list[ReadoutTerm](), [ReadoutPart(x, Maker(x.span).number(1), ())]
        for _ in range(MAX_PARTS):
            if not left:
                return found
            part = left.pop()
            if isinstance(part.x, tree.Name | tree.Indexed) and self.depends(part.x):
                made = self.member(part.x, part.coefficient, part.ranges)
            else:
                made = self.parts(part)
            if isinstance(made, ReadoutTerm):
                found.append(made)
            else:
                left += reversed(made)
        raise RefusedError(catalogue.kernels.readout_too_long(self.span, self.name, MAX_PARTS))

    def parts(self, part: ReadoutPart) -> list[ReadoutPart]:
        """What an expression is a sum of, and that is nearer to members."""
        x, coefficient, ranges = part.x, part.coefficient, part.ranges
        m = Maker(x.span)
        if not self.depends(x):
            if any(name.name in self.steps for name in names_in(x)):
                self.refuse()  # a scalar of the hidden layers, which is no readout
            return []
        match x:
            case tree.Negated(operand=operand):
                return [ReadoutPart(operand, m.neg(coefficient), ranges)]
            case tree.Chain(operands=operands, operators=operators) if operators[0] in "+-":
                signs = ("+", *operators)
                return [
                    ReadoutPart(o, coefficient if sign == "+" else m.neg(coefficient), ranges)
                    for sign, o in zip(signs, operands, strict=True)
                ]
            case tree.Chain(operands=operands, operators=operators):
                inner = [k for k, o in enumerate(operands) if self.depends(o)]
                if len(inner) != 1 or (inner[0] > 0 and operators[inner[0] - 1] == "/"):
                    self.refuse()
                for op, o in zip(("*", *operators), operands, strict=True):
                    if o is not operands[inner[0]]:
                        coefficient = with_factor(m, coefficient, op, o)
                return [ReadoutPart(operands[inner[0]], coefficient, ranges)]
            case tree.Summation(ranges=own, body=body):
                env: dict[str, Tree] = {}
                for r, variable in zip(own, self.fresh(len(own)), strict=True):
                    ranges = (*ranges, m.range(variable, substituted(r.count, env)))
                    env[r.variable.name] = m.name(variable)
                return [ReadoutPart(substituted(body, env), coefficient, ranges)]
        raise RefusedError(catalogue.kernels.not_a_readout(self.span, self.name))

    def member(
        self, x: tree.Name | tree.Indexed, coefficient: Tree, ranges: tuple[Range, ...]
    ) -> ReadoutTerm | list[ReadoutPart]:
        """An entry of a variable of the pass, or of an output bias, as a term, or as what makes it."""
        base, index = tree.base_and_index(x)
        assert isinstance(base, tree.Name)
        step = self.steps.get(base.name)
        if step is None:
            weight = next(w for w in self.scene.weights.values() if w.initial == base.name)
            if weight.matrix or weight.width or weight.columns.count is not None:
                self.refuse()
            return ReadoutTerm(weight, index, None, coefficient, ranges, x.span)
        own = index[self.own :]
        if isinstance(step, CollectedStep):
            return self.member_of(step, own, coefficient, ranges)
        env = {a.variable: i for a, i in zip(step.axes, own, strict=True)}
        if isinstance(step, ElementwiseStep):
            if step.mean:
                self.refuse()
            return [ReadoutPart(substituted(step.value, env), coefficient, ranges)]
        if not isinstance(step, ProductStep):
            self.refuse()
        weight = self.scene.weights[step.weight]
        far = own[-1:] if step.far else ()
        if self.depends(read_by(step)):
            raise RefusedError(
                catalogue.kernels.kernel_of_random(step.span, self.name, self.random_in(read_by(step)))
            )
        if weight.scaling.kind != "output" or step.transposed:
            self.refuse()
        m = Maker(step.span)
        entry = step.entry(tuple(m.name(a.variable) for a in step.rest), ())
        member = tuple(substituted(i, env) for i in step.member)
        return ReadoutTerm(weight, (*member, *far), substituted(entry, env), coefficient, ranges, step.span)

    def member_of(
        self, step: CollectedStep, own: Index, coefficient: Tree, ranges: tuple[Range, ...]
    ) -> list[ReadoutPart]:
        """An entry of a family that was made member by member.

        It is that of the member at that place, or of each where that is so.
        """
        m, found, places = Maker(step.span), list[ReadoutPart](), len(step.parts[0].place)
        place, rest = own[step.given : step.given + places], (*own[: step.given], *own[step.given + places :])
        env = {a.variable: i for a, i in zip(step.axes, rest, strict=True)}
        for part in step.parts:
            tests = [m.equal(i, k) for i, k in zip(place, part.place, strict=True) if i != k]
            if not any(
                isinstance(i, tree.Literal) and i != k for i, k in zip(place, part.place, strict=True)
            ):
                found.append(ReadoutPart(substituted(part.entry, env), m.mul(*tests, coefficient), ranges))
        return found


def with_factor(m: Maker, x: Tree, op: str, y: Tree) -> Tree:
    """`x op y`, op `*` or `/`.

    A product with more factors stays flat: one that grows from line to line must not be nested as deep.
    """
    if isinstance(x, tree.Negated):
        return m.neg(with_factor(m, x.operand, op, y))
    if (
        isinstance(x, tree.Chain)
        and x.operators[0] in "*/"
        and not isinstance(y, tree.Negated | tree.Literal)
    ):
        return tree.Chain(m.span, (*x.operands, y), (*x.operators, op))
    return m.mul(x, y) if op == "*" else m.div(x, y)


def is_unit(term: ReadoutTerm, variable: str) -> bool:
    """Whether an axis of the output is a term's units.

    Its variable is the whole index of a weight's side, and in nothing else.
    """
    m = Maker(term.span)
    rest = [
        term.coefficient,
        *(r.count for r in term.ranges),
        *([] if term.operand is None else [term.operand]),
    ]
    return m.name(variable) in term.member and all(
        name.name != variable for part in rest for name in names_in(part)
    )


def seeds(
    readout: Readout, initial: Callable[[Weight, Index], Tree], name: str, m: Maker
) -> list[ElementwiseStep]:
    """The output as steps for a backward pass.

    `f/√n`, n the first width, is the sum of `E √r c V₀ x`, one for every width rn of a readout.
    """
    groups: dict[str, list[Tree]] = {}
    ratios: dict[str, Tree | None] = {}
    for t in readout.terms:
        if t.operand is not None and t.weight.width is not None:
            groups.setdefault(t.weight.width, []).append(
                m.sum(t.ranges, m.mul(t.coefficient, initial(t.weight, t.member), t.operand))
            )
            ratios[t.weight.width] = t.weight.scaling.columns
    steps = []
    for width, parts in groups.items():
        ratio = ratios[width]
        value = m.mul(
            m.number(1) if ratio is None or is_number(ratio, 1) else m.call("sqrt", ratio), m.add(*parts)
        )
        steps.append(ElementwiseStep(Var(f"{name}.{width}", None), (), value, m.span, mean=True))
    return steps
