"""The plainest execution of a program: NumPy, one instruction and one index at a time, on given initial
matrices and vectors."""

from __future__ import annotations

import numpy as np

from tpc.core.expr import Extent, Gather, OuterProduct, Position, Sum, Value
from tpc.core.laws import NUMPY, law_number
from tpc.core.numeric import evaluate
from tpc.core.program import For, MatMul, Moment, OuterMul


def run_plainly(program, inputs, drawn):
    """The outputs by name, for one draw: `drawn` has the matrices and vectors, [*axes, …]."""
    made, widths = {}, sizes(program, inputs, drawn)
    families = {family.name: family.widths for family in program.families}
    for name, value in {**inputs, **drawn}.items():
        shape = member_shape(program, name, np.asarray(value))
        for index in np.ndindex(shape):
            made[name, index] = np.asarray(value)[index]

    def member(ref, at):
        return made[
            ref.name,
            tuple(int(member(i_ref(i), at)) if isinstance(i, Gather) else i.at(at) for i in ref.index),
        ]

    def value(x, at):
        def leaf(node):
            match node:
                case Value(ref, _):
                    return member(ref, at)
                case Position(index):
                    return float(index.at(at))
                case Extent(width):
                    return float(widths[width])
                case OuterProduct(rows, columns):
                    left, right = (np.atleast_1d(value(x, at)) for x in (rows, columns))
                    return left[:, None] * right
                case Sum(variable, count, body):
                    return sum((value(body, {**at, variable: i}) for i in range(count.at(at))), start=0.0)
            return None

        return evaluate(x, leaf, NUMPY)

    def run(body, at):
        for op in body:
            match op:
                case For(variable, count, inner):
                    for i in range(count.at(at)):
                        run(inner, {**at, variable: i})
                    continue
                case MatMul():
                    matrix = member(op.matrix, at)
                    out = (matrix.T if op.transposed else matrix) @ member(op.operand, at)
                case OuterMul():
                    table, x = member(op.table, at), member(op.operand, at)
                    out = (table.T if op.transposed else table) @ x / len(x)
                case Moment():
                    out = np.mean(value(op.phi, at))
                case _:
                    out = value(op.phi, at)
                    if own := families[op.out.name]:
                        out = out * np.ones([round(widths[width]) for width in own])
            made[op.out.name, tuple(i.at(at) for i in op.out.index)] = out

    run(program.body, {})
    return {
        output.name: np.array(
            [
                member(output.ref, dict(zip((v for v, _ in output.axes), index, strict=True)))
                for index in np.ndindex(output.shape)
            ]
        ).reshape(output.shape)
        for output in program.outputs
    }


def sizes(program, inputs, drawn):
    """Every width's size, from that of something drawn."""
    ratio = {w.name: float(law_number(w.ratio, inputs, ())) for w in program.widths}
    name, known = next((g.width, drawn[g.names[0]].shape[-1]) for g in program.gaussians)
    return {w: known * ratio[w] / ratio[name] for w in ratio}


def i_ref(gather):
    from tpc.core.expr import Ref

    return Ref(gather.input, gather.index)


def member_shape(program, name, array):
    trailing = (
        2
        if any(m.name == name for m in program.matrices)
        else 1
        if any(name in g.names for g in program.gaussians)
        else 0
    )
    return array.shape[: array.ndim - trailing]
