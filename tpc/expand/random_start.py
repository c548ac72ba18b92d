"""The scalars that are random in the limit.

Their covariances as a program, and the program of the rest, which has them as inputs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise, product
from math import prod

from tpc.core.affine import Affine
from tpc.core.expr import ONE, ZERO, Expr, Gather, Ref, Value, divide, mul, number, power, values
from tpc.core.names import SplitName, distinct
from tpc.core.passes import rewrite, without_unused
from tpc.core.places import rounds
from tpc.core.program import (
    Axis,
    Family,
    For,
    Input,
    Instruction,
    Moment,
    Nonlin,
    Op,
    Output,
    Program,
    all_families,
    instructions,
)
from tpc.core.wellformed import verified
from tpc.expand.rename import Meaning


@dataclass(frozen=True)
class Scalars:
    """A family of jointly Gaussian scalars of mean 0."""

    name: str
    # the family of the program that they are the start of
    of: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def called(self) -> tuple[str, ...]:
        """What users may call them: by their own name, or by what they are the start of."""
        return self.name, self.of, SplitName.of(self.of).base


@dataclass(frozen=True)
class Initial:
    """All scalars that are random in the limit."""

    scalars: tuple[Scalars, ...]
    # a program whose output `blocks[a, b]` is the covariance of two of the families, over the axes of both;
    # families not in it together are independent
    covariances: Program
    blocks: dict[tuple[str, str], str]
    # of each family, the vectors of that program whose means, times √n, they are
    summands: dict[str, str]

    @property
    def size(self) -> int:
        """How many scalars there are, N."""
        return sum(s.size for s in self.scalars)

    @property
    def slices(self) -> dict[str, slice]:
        """Where each family is among all of them."""
        ends = [*accumulate((s.size for s in self.scalars), initial=0)]
        return {s.name: slice(*at) for s, at in zip(self.scalars, pairwise(ends), strict=True)}


def without_initial(program: Program, names: Collection[str]) -> Program:
    """The program with these families as inputs."""
    if not names:
        return program
    shapes = {family.name: family.shape for family in program.families}
    body = rewrite(program.body, lambda op: None if op.out.name in names else op)
    inputs = (*program.inputs, *(Input(name, shapes[name]) for name in names))
    return without_unused(replace(program, inputs=inputs, body=body))


def initial_program(program: Program, starts: Sequence[Meaning]) -> Initial:
    """Their covariances `E φ φ'`, φ being what the mean is taken of (see `tpc.expand.chance`)."""
    families = all_families(program)
    scalars = tuple(Scalars(m.name, m.family, families[m.name].shape) for m in starts)
    taken = set(program.names)
    vectors = {s.name: distinct(f"{s.name}_summand", taken) for s in scalars}
    taken |= set(vectors.values())
    widths = {s.name: _width(program, s.name) for s in scalars}

    def summand(op: Instruction) -> Instruction:
        if op.out.name not in vectors:
            return op
        assert isinstance(op, Moment)
        return Nonlin(Ref(vectors[op.out.name], op.out.index), op.phi, origin=op.origin)

    body = [
        *rewrite(program.body, summand),
        *(op for s in scalars for op in _holes(program, s, vectors[s.name])),
    ]
    ratios = {w.name: w.ratio for w in program.widths}
    made, blocks, outputs = [], dict[tuple[str, str], str](), []
    for i, a in enumerate(scalars):
        for b in scalars[i:]:
            if widths[a.name] != widths[b.name]:
                continue
            name = distinct(f"cov_{a.name}_{b.name}", taken)
            axes = tuple((distinct(f"i{k}", taken), n) for k, n in enumerate((*a.shape, *b.shape)))
            taken |= {name, *(variable for variable, _ in axes)}
            out = Ref(name, tuple(Affine.var(variable) for variable, _ in axes))
            left = Ref(vectors[a.name], out.index[: len(a.shape)])
            right = Ref(vectors[b.name], out.index[len(a.shape) :])
            body.append(_covariance(out, axes, left, right, ratios[widths[a.name]]))
            made.append(Family(name, "scalar", None, (*a.shape, *b.shape)))
            outputs.append(Output(name, axes, out))
            blocks[a.name, b.name] = name
    vector_families = [Family(vectors[s.name], "vector", widths[s.name], s.shape) for s in scalars]
    whole = replace(
        program,
        name=f"{program.name}_start",
        families=(*program.families, *vector_families, *made),
        body=tuple(body),
        outputs=tuple(outputs),
        notes=(),
    )
    found = without_unused(whole)
    return Initial(scalars, verified(found), blocks, vectors)


def _covariance(out: Ref, axes: Sequence[Axis], left: Ref, right: Ref, ratio: Expr) -> Op:
    """`E left·right` over the axes, for a width that is `ratio·n`."""
    x, y = Value(left, True), Value(right, True)
    both = power(x, number(2)) if x == y else mul(x, y)
    op: Op = Moment(out, both if ratio == ONE else divide(both, ratio))
    for variable, n in reversed(axes):
        op = For(variable, Affine(n), (op,))
    return op


def _width(program: Program, name: str) -> str:
    """The width that the mean of a family of scalars is taken over."""
    families = all_families(program)
    for op, _ in instructions(program.body):
        if op.out.name == name and isinstance(op, Moment):
            return next(
                w for v in values(op.phi) if v.vector and (w := families[v.ref.name].width) is not None
            )
    raise AssertionError(name)


def _holes(program: Program, scalars: Scalars, vector: str) -> list[Op]:
    """Zeros for members that no instruction makes."""
    there = set()
    for op, loops in instructions(program.body):
        if op.out.name == scalars.name:
            for at in rounds(loops, {}):
                there.add(tuple(i.at(at) for i in op.out.index if not isinstance(i, Gather)))
    return [
        Nonlin(Ref(vector, tuple(map(Affine, index))), ZERO)
        for index in product(*map(range, scalars.shape))
        if index not in there
    ]
