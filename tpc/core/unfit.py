"""What has no finite value because of inputs: the first part of a program to which they leave none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from math import isfinite, isnan

import numpy as np

from tpc.core.affine import Affine
from tpc.core.expr import (
    MINUS_ONE,
    Add,
    Call,
    Compare,
    Constant,
    Expr,
    Mul,
    Number,
    Position,
    Pow,
    Sum,
    Value,
    children,
    values,
    walk,
)
from tpc.core.laws import law_number
from tpc.core.places import in_rounds
from tpc.core.printer import print_expr
from tpc.core.program import MatMul, Moment, OuterMul, Program, Scalar, all_families, instructions
from tpc.core.signs import has_poles
from tpc.core.traverse import substitute
from tpc.diagnostics.diagnostic import Label

MOST_LOOKED_AT = 20_000  # instructions, in all their rounds
MOST_TOLD = 3  # inputs
COMPUTED = (Number, Constant, Position, Value, Add, Mul, Pow, Call, Compare, Sum)


def unfit(program: Program, inputs: Mapping[str, np.ndarray]) -> tuple[Label | None, str] | None:
    """The first part that is made of inputs alone and not finite: its place, and how it comes to that.

    None if there is none, or it comes late.
    """
    known = _Known(program, inputs)
    for op, at in islice(in_rounds(program.body, {}), MOST_LOOKED_AT):
        if isinstance(op, MatMul | OuterMul):
            continue
        here = substitute(op.phi, {variable: Affine(value) for variable, value in at.items()})
        worst = next(known.unfit(here), None)
        if worst is not None:
            return op.origin.label, known.words(worst, at)
        if isinstance(op, Scalar):
            index = tuple(i.at(at) for i in op.out.index if isinstance(i, Affine))
            known.note(op.out.name, index, known.number(here))
    return None


def place_of(
    program: Program, inputs: Mapping[str, np.ndarray], outputs: Iterable[str]
) -> tuple[Label | None, str]:
    """Where outputs that are not finite come from, and why, as far as inputs tell; else the first of them."""
    wrong = set(outputs)
    if not wrong:
        return None, ""
    first = (output.origin.label for output in program.outputs if output.name in wrong)
    return unfit(program, inputs) or _quotient(program) or (next(first, None), "")


def _quotient(program: Program) -> tuple[Label | None, str] | None:
    """A mean of a quotient by what may be 0, which need not exist."""
    for op, _ in instructions(program.body):
        if isinstance(op, Moment) and has_poles(op.phi, of_scalars=False):
            return op.origin.label, "a mean of a quotient by what may be 0 need not exist"
    return None


class _Known(dict[str, np.ndarray]):
    """Inputs, and scalars that are made of nothing else, as far as the program was gone through."""

    def __init__(self, program: Program, inputs: Mapping[str, np.ndarray]) -> None:
        super().__init__(inputs)
        self.shapes = {name: family.shape for name, family in all_families(program).items()}
        self.unknown: set[str] = set()

    def note(self, name: str, index: tuple[int, ...], value: float | None) -> None:
        """A member of a family. Where one is not known, none is from there on."""
        if value is None:
            self.unknown.add(name)
            self.pop(name, None)
        elif name not in self.unknown:
            self.setdefault(name, np.full(self.shapes[name], np.nan))[index] = value

    def number(self, x: Expr) -> float | None:
        """None if it is made of more than what is known."""
        nodes = list(walk(x))
        if not all(isinstance(node, COMPUTED) for node in nodes):
            return None
        if any(node.ref.name not in self for node in nodes if isinstance(node, Value)):
            return None
        return float(law_number(x, self, ()))

    def unfit(self, x: Expr) -> Iterator[Expr]:
        """The parts that are not finite and made of finite ones."""
        value = self.number(x)
        if value is None or not isfinite(value):
            inside = [part for own in self.taken(x) for part in self.unfit(own)]
            yield from inside if inside or value is None else [x]

    def taken(self, x: Expr) -> tuple[Expr, ...]:
        """What its value comes from: of `where` the branch that is chosen, if that is known."""
        match x:
            case Call("where", (condition, first, second)):
                chosen = self.number(condition)
                branch = () if chosen is None else (first,) if chosen else (second,)
                return (*children(condition), *branch)
            case Sum(variable, count, body):
                terms = range(count.constant or 0)
                return tuple(substitute(body, {variable: Affine(i)}) for i in terms)
        return children(x)

    def words(self, x: Expr, at: Mapping[str, int]) -> str:
        """What is not finite, and at which inputs and loop variables."""
        shown = x.base if isinstance(x, Pow) and x.exponent == MINUS_ONE else x
        own = [] if isinstance(shown, Value) else values(x)[:MOST_TOLD]
        places = [f"{v.ref} = {self.number(v):.6g}" for v in own]
        places += [f"{name} = {value}" for name, value in at.items()]
        where = f" at {', '.join(places)}" if places else ""
        if shown is not x:
            divisor = "0" if isinstance(shown, Number) else f"`{print_expr(shown)}`, which is 0"
            return f"division by {divisor}{where}"
        kind = "no real number" if isnan(self.number(x) or 0) else "infinite"
        return f"`{print_expr(x)}` is {kind}{where}"
