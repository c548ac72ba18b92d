"""Programs run at finite width with random matrices, seed by seed.

TP4 Thm 7.4 says what happens as the width grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import jax
import numpy as np

from tpc.core.given import whole_number
from tpc.core.mesh import mesh_of
from tpc.core.program import Program
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.machine.memory import refusing
from tpc.machine.precision import precision, require_platform
from tpc.machine.processes import is_first, several
from tpc.plan.options import Matrices
from tpc.simulate.done import SeedCheckpoint
from tpc.simulate.finite_program import DType, FiniteProgram, require_room
from tpc.simulate.initialisation import WidthError, draw
from tpc.simulate.matrix_free import capacities
from tpc.simulate.samples import Samples

DTYPES: tuple[DType, ...] = get_args(DType)
Progress = Callable[[int, int], None]
MAX_SEED = 2**32


class SeedError(ValueError):
    """Seeds that are none, or that repeat."""


def simulate(
    program: Program,
    inputs: Mapping[str, Any],
    *,
    width: int,
    seeds: Sequence[int],
    dtype: DType = "float64",
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    matrices: Matrices = "auto",
    devices: int | None = None,
) -> Samples:
    """Runs `program` at finite width, once per seed.

    inputs: arrays by name, all of them, in the declared shapes. width: n >= 1, the others follow by their
    ratios. progress: called with the numbers of seeds done and asked for. checkpoint: an .npz file that keeps
    what is done, and from which the same run (or one with more seeds) resumes. matrices: "dense" ones are
    drawn, of "free" ones only what they are asked is, exactly in law (see `matrix_free`), "auto" is what is
    predicted to take less time. devices: how many have a share of the coordinates each, of every vector and
    of the rows of matrices, of each process if there are several (`jax.distributed`); None: the one where
    JAX puts arrays. The numbers are the same to rounding.

    Returns each output with shape (len(seeds), *its own). A seed gives the same numbers, bit for bit on one
    machine, whichever others it is run with. Interrupted (Ctrl-C), returns the seeds that are done. Raises
    WidthError: a width that is no whole number or below 1; SeedError: seeds that repeat or do not lie in
    0 … 2³² − 1; CheckpointError: a checkpoint of another run; ValueError, of which these are kinds: a dtype,
    or a word for `matrices`, that there is not; TpcError: no output (TP605), too little memory for the width
    (TP604), fewer devices (TP611), processes that run different things (TP613).
    """
    require_platform()
    mesh = None if devices is None else mesh_of(devices, program.name)
    width = _width(width)
    _require_sense(program, dtype)
    require_room(program, inputs, width=width, seeds=len(seeds), dtype=dtype, matrices=matrices, mesh=mesh)
    wanted = _checked(seeds)
    given = {name: np.asarray(value) for name, value in inputs.items()}
    own = FiniteProgram.of(program, given, width, dtype, matrices, mesh)
    together = mesh is not None and several()
    path = None if together and not is_first() else checkpoint
    done = SeedCheckpoint.open(path, program, given, width, dtype, own.free)
    if together:
        done = done.agreed(wanted, program.name)
    left = [seed for seed in wanted if seed not in done]
    interrupted = _gather(program, own.groups(left), done, wanted, progress)
    finished = tuple(seed for seed in wanted if seed in done)
    if interrupted and not finished:
        raise KeyboardInterrupt
    return _samples(own, width, done, finished, interrupted)


def _gather(
    program: Program,
    groups: Iterator[tuple[Sequence[int], dict[str, np.ndarray]]],
    done: SeedCheckpoint,
    wanted: tuple[int, ...],
    progress: Progress | None,
) -> bool:
    """Adds all groups to what is done. Returns whether it was interrupted."""
    count = sum(seed in done for seed in wanted)
    try:
        with refusing(program.name, remedy="use a smaller width", of_program=True):
            for group, outputs in groups:
                done.add(group, outputs)
                count += len(group)
                if progress is not None:
                    progress(count, len(wanted))
    except KeyboardInterrupt:
        return True
    finally:
        done.write()
    return False


def _samples(
    own: FiniteProgram, width: int, done: SeedCheckpoint, seeds: tuple[int, ...], interrupted: bool
) -> Samples:
    """What is said of the seeds that are done."""
    program, free = own.program, own.free
    outputs = {name: done.stacked(name, seeds) for name in program.reported}
    kinds = {m.name: "free" if m.name in free else "dense" for m in program.matrices}
    met = capacities(program, own.sizes, free)
    directions = {name: (met.get((name, False), 0), met.get((name, True), 0)) for name in free}
    axes = {output.name: tuple(variable for variable, _ in output.axes) for output in program.outputs}
    return Samples(program.name, width, own.dtype, seeds, outputs, interrupted, kinds, directions, axes)


def memory(
    program: Program,
    inputs: Mapping[str, Any],
    *,
    width: int,
    dtype: DType = "float64",
    matrices: Matrices = "auto",
) -> float:
    """Bytes that `simulate` is predicted to take besides what the process has, by the compiler's account.

    Raises TpcError (TP604) as it does.
    """
    own = FiniteProgram.of(program, inputs, width, dtype, matrices)
    return own.memory(own.fitting())


def draws(
    program: Program, inputs: Mapping[str, Any], *, width: int, seed: int, dtype: DType = "float64"
) -> dict[str, np.ndarray]:
    """The initial matrices [*axes, rows, columns] and vectors [*axes, n] of `simulate`, by name.

    Its matrices if they are drawn, `matrices="dense"`.
    """
    own = FiniteProgram.of(program, inputs, width, dtype, "dense")
    with precision(dtype):
        drawn, vectors = jax.jit(lambda seed, law: draw(program, own.sizes, law, seed, dtype))(
            np.uint32(seed), own.law
        )
        return {name: np.asarray(value) for name, value in {**drawn, **vectors}.items()}


def _checked(seeds: Sequence[int]) -> tuple[int, ...]:
    found = tuple(whole_number(seed) for seed in seeds)
    out = tuple(seed for seed in found if seed is not None)
    if not out or len(set(out)) < len(found) or not all(0 <= seed < MAX_SEED for seed in out):
        raise SeedError("seeds are different integers from 0 to 2^32 - 1, at least one")
    return out


def _require_sense(program: Program, dtype: DType) -> None:
    """Raises TpcError (TP605): a program without outputs; ValueError: a dtype that there is not."""
    if not program.reported:
        raise TpcError([catalogue.running.nothing_to_run(program.name)], program.name, of_program=True)
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be {' or '.join(DTYPES)}, not {dtype!r:.60}")


def _width(width: int) -> int:
    found = whole_number(width)
    if found is None or found < 1:
        raise WidthError(f"the width must be a whole number, at least 1, not {width!r:.60}")
    return found
