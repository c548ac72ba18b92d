"""Which matrices are drawn, and which are only asked: whichever is predicted to take less time.

And how many numbers a seed then has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tpc.core.program import MatMul, Program, instructions
from tpc.core.table_reads import read_while_there
from tpc.plan.gaussians import Side
from tpc.plan.matrix_members import multiplied
from tpc.plan.options import MATRICES, Matrices
from tpc.simulate.matrix_free import capacities
from tpc.simulate.rolling import places, rolling

# seconds, measured on one processor: of a number that is drawn, of one that a product reads, and of
# compiling a product with a matrix that is asked, shared by the seeds of a run
DRAWN, READ, COMPILED = 1.5e-8, 8e-10, 0.02


def undrawn(program: Program, sizes: Mapping[str, int], matrices: Matrices) -> tuple[str, ...]:
    """The matrices of a program that are not drawn, in its order.

    Whatever the number of seeds, so that a seed gives the same numbers in any company. Raises ValueError for
    another word.
    """
    names = tuple(m.name for m in program.matrices)
    if matrices not in MATRICES:
        raise ValueError(
            f"matrices must be {', '.join(MATRICES[:-1])} or {MATRICES[-1]}, not {matrices!r:.60}"
        )
    if matrices != "auto":
        return names if matrices == "free" else ()
    asked, drawn = cost_of_asking(program, sizes), cost_of_drawing(program, sizes)
    return tuple(name for name in names if asked[name] < drawn[name])


def products(program: Program) -> tuple[dict[Side, int], dict[str, int]]:
    """How many vectors all members of a side multiply, and in how many instructions a matrix stands."""
    shapes = {m.name: tuple(count for _, count in m.axes) for m in program.matrices}
    vectors: dict[Side, int] = {}
    written = dict.fromkeys(shapes, 0)
    for op, loops in instructions(program.body):
        if isinstance(op, MatMul):
            side = op.matrix.name, op.transposed
            times = multiplied(op, shapes[op.matrix.name], loops)
            vectors[side] = vectors.get(side, 0) + int(np.sum(times))
            written[op.matrix.name] += 1
    return vectors, written


def cost_of_drawing(program: Program, sizes: Mapping[str, int]) -> dict[str, float]:
    """Seconds that a seed takes for the entries of every matrix, and products with them."""
    vectors, _ = products(program)
    out = {}
    for m in program.matrices:
        entries = sizes[m.rows] * sizes[m.columns]
        times = sum(vectors.get((m.name, transposed), 0) for transposed in (False, True))
        out[m.name] = entries * (DRAWN * math.prod(count for _, count in m.axes) + READ * times)
    return out


def cost_of_asking(program: Program, sizes: Mapping[str, int]) -> dict[str, float]:
    """The same without the entries.

    A product reads the directions that its side has met four times and what they are sent to once, and of the
    other side what was met twice and the images once.
    """
    vectors, written = products(program)
    met = capacities(program, sizes, [m.name for m in program.matrices])
    out = {}
    for m in program.matrices:
        members = math.prod(count for _, count in m.axes)
        seconds = COMPILED * written[m.name]
        for transposed in (False, True):
            into, to = (m.rows, m.columns) if transposed else (m.columns, m.rows)
            near, far = met.get((m.name, transposed), 0), met.get((m.name, not transposed), 0)
            numbers = (4 * near + far) * sizes[into] + (near + 2 * far) * sizes[to]
            seconds += READ * numbers * vectors.get((m.name, transposed), 0)
            seconds += DRAWN * near * members * sizes[to]
        out[m.name] = seconds
    return out


def numbers_kept(program: Program, sizes: Mapping[str, int], free: tuple[str, ...]) -> int:
    """The numbers that a seed has of matrices: entries, or directions and what they are sent to."""
    met, found = capacities(program, sizes, free), 0
    for m in program.matrices:
        members, both = math.prod(count for _, count in m.axes), sizes[m.rows] + sizes[m.columns]
        if m.name in free:
            found += members * both * sum(met.get((m.name, side), 0) for side in (False, True))
        else:
            found += members * sizes[m.rows] * sizes[m.columns]
    return found


def entries(program: Program, sizes: Mapping[str, int], free: tuple[str, ...] = ()) -> int:
    """The numbers that one seed has.

    They are those of matrices, of vectors at the start, and of all that is made of them and kept.
    """
    program = read_while_there(program)
    found = numbers_kept(program, sizes, free)
    found += sum(
        len(g.names) * math.prod(count for _, count in g.axes) * sizes[g.width] for g in program.gaussians
    )
    kept = rolling(program)
    return found + sum(
        math.prod(places(f, kept.get(f.name, ()))) * math.prod(sizes[width] for width in f.widths)
        for f in program.families
    )
