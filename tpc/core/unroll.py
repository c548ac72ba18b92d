"""Loops written out: the pass from a program with regions to the same program as a straight line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tpc.core.affine import Affine
from tpc.core.expr import is_vector
from tpc.core.places import in_rounds
from tpc.core.program import Instruction, Moment, Program, Scalar
from tpc.core.traverse import at_round, expand_sums, map_phi


def unroll(program: Program) -> Program:
    """`program` with every region and sum written out, all indices constant.

    Those read from inputs keep their place in the input.

    The result has an instruction per round, so this is for small programs: display, checks, closed forms.
    """
    return replace(program, body=tuple(_instance(op, at) for op, at in in_rounds(program.body, {})))


def _instance(op: Instruction, at: Mapping[str, int]) -> Instruction:
    made = map_phi(at_round(op, {v: Affine(t) for v, t in at.items()}), expand_sums)
    if isinstance(made, Moment) and not is_vector(made.phi):  # its vectors were in a sum that is empty here
        return Scalar(made.out, made.phi, origin=op.origin)
    return made
