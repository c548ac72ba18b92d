"""A program beside its start: what width n makes of it, given the scalars that are random in the limit.

In the kernel regime a program multiplies means that are 0 in the limit, such as that of v·x, by √n: scalars
f₀ that are random in the limit, on which it is conditioned. So is width n: n^(-1/2) is an input of the
program here, and the means, and what they have as covariances given all else, are outputs of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tpc.core.affine import Affine
from tpc.core.expr import Ref, Value
from tpc.core.names import distinct
from tpc.core.passes import renamed, without_unused
from tpc.core.program import Axis, Family, For, Moment, Op, Output, Program, instructions
from tpc.core.wellformed import verified
from tpc.corrections.powers import rooted
from tpc.expand.random_start import Initial


@dataclass(frozen=True, slots=True)
class StartedProgram:
    """A program with its start, as outputs that are only looked at."""

    program: Program
    # the input that is n^(-1/2), which must not be 0
    root: str
    # the start, as the limit has it
    initial: Initial
    # of every family of scalars, the output that is n^(-1/2) of it
    means: Mapping[str, str]
    # of two families, the output that is their covariance
    blocks: Mapping[tuple[str, str], str]

    @staticmethod
    def of(program: Program, initial: Initial) -> StartedProgram | None:
        """None if a power of n is none of n^(-1/2)."""
        found = rooted(program, growing=True)
        if found is None or found.root is None:
            return None
        whole, start = found.program, initial.covariances
        taken = {*whole.names, *start.names}
        names = {}
        for made in dict.fromkeys(op.out.name for op, _ in instructions(start.body)):
            names[made] = distinct(f"{made}_start", taken)
            taken.add(names[made])
        own = renamed(start, names)
        blocks, outputs = {}, []
        for pair, name in initial.blocks.items():
            output = next(o for o in own.outputs if o.name == name)
            blocks[pair] = distinct(name, taken)
            taken.add(blocks[pair])
            outputs.append(replace(output, name=blocks[pair], check=blocks[pair]))
        means, families, body = {}, [], []
        for s in initial.scalars:
            means[s.name] = distinct(f"mean_{s.name}", taken)
            axes = tuple((distinct(f"i{k}", taken), n) for k, n in enumerate(s.shape))
            taken |= {means[s.name], *(variable for variable, _ in axes)}
            out = Ref(means[s.name], tuple(Affine.var(variable) for variable, _ in axes))
            body.append(_mean(out, axes, Ref(names[initial.summands[s.name]], out.index)))
            families.append(Family(out.name, "scalar", None, s.shape))
            outputs.append(Output(out.name, axes, out, check=out.name))
        there = {item.name for item in whole.inputs}
        both = replace(
            whole,
            inputs=(*whole.inputs, *(item for item in own.inputs if item.name not in there)),
            families=(*own.families, *families, *whole.families),
            body=(*own.body, *body, *whole.body),
            outputs=(*outputs, *whole.outputs),
        )
        return StartedProgram(verified(without_unused(both)), found.root, initial, means, blocks)

    @property
    def alone(self) -> Program:
        """The start, and nothing that follows from it."""
        names = {*self.means.values(), *self.blocks.values()}
        own = tuple(output for output in self.program.outputs if output.name in names)
        return without_unused(replace(self.program, outputs=own))

    def means_in(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """[rows, N], of outputs [rows, *shape]."""
        found = [np.asarray(outputs[self.means[s.name]]) for s in self.initial.scalars]
        return np.concatenate([each.reshape(len(each), -1) for each in found], axis=1)

    def covariances_in(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """[rows, N, N], of outputs [rows, *shape]."""
        rows = len(outputs[self.means[self.initial.scalars[0].name]])
        table, slices = np.zeros((rows, self.initial.size, self.initial.size)), self.initial.slices
        for (a, b), name in self.blocks.items():
            at, to = slices[a], slices[b]
            block = np.asarray(outputs[name]).reshape(rows, at.stop - at.start, to.stop - to.start)
            table[:, at, to] = block
            table[:, to, at] = block.swapaxes(1, 2)
        return table

    def flat(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """The scalars [N], of their values by name."""
        return np.concatenate([np.ravel(np.asarray(values[s.name], float)) for s in self.initial.scalars])


def _mean(out: Ref, axes: tuple[Axis, ...], vector: Ref) -> Op:
    op: Op = Moment(out, Value(vector, True))
    for variable, n in reversed(axes):
        op = For(variable, Affine(n), (op,))
    return op
