"""A program of finite width run instruction by instruction, in NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import special

import tpc
from tpc.core.affine import Affine
from tpc.core.expr import Delta, Expr, Extent, OuterProduct, Position, Ref, Sum, Value
from tpc.core.numeric import Namespace, evaluate
from tpc.core.places import in_rounds
from tpc.core.program import MatMul, Moment, OuterMul, all_families

NUMPY = Namespace(np, special)
At = Mapping[str, int]


class Run:
    """What is made, by family and index; initial vectors and matrices are drawn."""

    def __init__(self, program: tpc.Program, inputs: Mapping[str, Any], widths: Mapping[str, int]) -> None:
        rng, self.program, self.made = np.random.default_rng(5), program, dict[tuple[str, Any], Any]()
        self.families, self.widths = all_families(program), widths
        for item in program.inputs:
            given = np.asarray(inputs.get(item.name, item.default), dtype=float)
            self.made |= {(item.name, index): given[index] for index in np.ndindex(item.shape)}
        for matrix in program.matrices:
            n, m = widths[matrix.rows], widths[matrix.columns]
            for index in np.ndindex(tuple(count for _, count in matrix.axes)):
                self.made[matrix.name, index] = rng.standard_normal((n, m)) / np.sqrt(m)
        for group in program.gaussians:
            mean = [float(evaluate(x, lambda _: None, NUMPY)) for x in group.mean]
            law = [[float(evaluate(x, lambda _: None, NUMPY)) for x in row] for row in group.covariance]
            for index in np.ndindex(tuple(count for _, count in group.axes)):
                drawn = rng.multivariate_normal(mean, law, widths[group.width]).T
                self.made |= {(name, index): x for name, x in zip(group.names, drawn, strict=True)}
        for op, at in in_rounds(program.body, {}):
            self.made[self.place(op.out, at)] = self.value_of(op, at)

    def place(self, ref: Ref, at: At) -> tuple[str, tuple[int, ...]]:
        return ref.name, tuple(i.at(at) for i in ref.index if isinstance(i, Affine))

    def value_of(self, op: Any, at: At) -> Any:
        if isinstance(op, MatMul | OuterMul):
            array = self.made[self.place(op.matrix if isinstance(op, MatMul) else op.table, at)]
            out = (array.T if op.transposed else array) @ self.made[self.place(op.operand, at)]
            return out / (1 if isinstance(op, MatMul) else array.shape[0 if op.transposed else 1])
        value, family = self.value(op.phi, at), self.families[op.out.name]
        shape = tuple(self.widths[width] for width in family.widths)
        return np.mean(value) if isinstance(op, Moment) else np.broadcast_to(value, shape)

    def value(self, x: Expr, at: At) -> Any:
        def leaf(node: Expr) -> Any | None:
            match node:
                case Value(ref, _):
                    return self.made[self.place(ref, at)]
                case Position(index):
                    return float(index.at(at))
                case Extent(width):
                    return float(self.widths[width])
                case Delta(left, right) if isinstance(left, Affine) and isinstance(right, Affine):
                    return float(left.at(at) == right.at(at))
                case OuterProduct(rows, columns):
                    return np.reshape(self.value(rows, at), (-1, 1)) * self.value(columns, at)
                case Sum(variable, count, body):
                    parts = [self.value(body, {**at, variable: k}) for k in range(count.at(at))]
                    return sum(parts, start=0.0)
            return None

        return evaluate(x, leaf, NUMPY)

    def output(self, name: str) -> np.ndarray:
        output = next(o for o in self.program.outputs if o.name == name)
        variables = [variable for variable, _ in output.axes]
        found = np.zeros(output.shape)
        for index in np.ndindex(output.shape):
            found[index] = self.made[self.place(output.ref, dict(zip(variables, index, strict=True)))]
        return found
