"""Programs run at finite width with random matrices, seed by seed.

TP4 Thm 7.4 says what happens as the width grows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tpc.core.given import whole_number
from tpc.core.mesh import mesh_of
from tpc.core.program import Program
from tpc.core.table_reads import read_while_there
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.machine.memory import SURE, account, free_of_devices, refusing, require_memory
from tpc.machine.precision import precision, require_platform
from tpc.plan.options import Matrices
from tpc.simulate.done import Checkpoint
from tpc.simulate.initialisation import Laws, WidthError, draw, laws, shared_out, undrawn_keys, widths
from tpc.simulate.machine import Machine
from tpc.simulate.matrix_cost import entries, undrawn
from tpc.simulate.matrix_free import TOLERANCES, Asked, Chain, capacities, unasked
from tpc.simulate.rolling import rolling
from tpc.simulate.samples import Samples
from tpc.simulate.standing import Bindings

DType = Literal["float64", "float32"]
DTYPES: tuple[DType, ...] = ("float64", "float32")
Progress = Callable[[int, int], None]
MEMORY = 1 << 30  # bytes that a group of seeds may take, as far as that can be told
# a group of seeds is filled up to so many coordinates of a vector: measured, more is slower
COORDINATES = {"cpu": 256}
ELSEWHERE = 1 << 20  # on accelerators more is faster, until they are busy
MAX_SEED = 2**32
A_SEED = 500  # bytes that a seed takes besides its outputs


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
    of the rows of matrices; None: the one where JAX puts arrays. The numbers are the same to rounding.

    Returns each output with shape (len(seeds), *its own). A seed gives the same numbers, bit for bit on one
    machine, whichever others it is run with. Interrupted (Ctrl-C), returns the seeds that are done. Raises
    WidthError: a width that is no whole number or below 1; SeedError: seeds that repeat or do not lie in
    0 … 2³² − 1; CheckpointError: a checkpoint of another run; ValueError, of which these are kinds: a dtype,
    or a word for `matrices`, that there is not; TpcError: no output (TP605), too little memory for the width
    (TP604), fewer devices (TP611).
    """
    require_platform()
    mesh = None if devices is None else mesh_of(devices, program.name)
    width = _width(width)
    _require_sense(program, dtype)
    require_room(
        program, inputs, width=width, seeds=len(seeds), dtype=dtype, matrices=matrices, devices=devices or 1
    )
    wanted = _checked(seeds)
    given = {name: np.asarray(value) for name, value in inputs.items()}
    sizes = widths(program, given, width)
    free = undrawn(program, sizes, matrices)
    done = Checkpoint.open(checkpoint, program, given, width, dtype, free)
    left = [seed for seed in wanted if seed not in done]
    groups = _groups(program, given, sizes, left, dtype, free, mesh)
    interrupted = _gather(program, groups, done, wanted, progress)
    finished = tuple(seed for seed in wanted if seed in done)
    if interrupted and not finished:
        raise KeyboardInterrupt
    return _samples(program, width, dtype, done, finished, interrupted, sizes, free)


def _gather(
    program: Program,
    groups: Iterator[tuple[Sequence[int], dict[str, np.ndarray]]],
    done: Checkpoint,
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
    program: Program,
    width: int,
    dtype: DType,
    done: Checkpoint,
    seeds: tuple[int, ...],
    interrupted: bool,
    sizes: Mapping[str, int],
    free: tuple[str, ...],
) -> Samples:
    """What is said of the seeds that are done."""
    outputs = {name: done.stacked(name, seeds) for name in program.reported}
    kinds = {m.name: "free" if m.name in free else "dense" for m in program.matrices}
    met = capacities(program, sizes, free)
    directions = {name: (met.get((name, False), 0), met.get((name, True), 0)) for name in free}
    return Samples(program.name, width, dtype, seeds, outputs, interrupted, kinds, directions)


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
    given = {name: np.asarray(value) for name, value in inputs.items()}
    sizes = widths(program, given, width)
    law, own = _cast(laws(program, given, sizes), dtype), _own(program, given, dtype)
    free = undrawn(program, sizes, matrices)
    with precision(dtype):
        size = _fitting(program, sizes, own, law, dtype, free)
        return memory_of(program, sizes, own, law, dtype, size, free)


def draws(
    program: Program, inputs: Mapping[str, Any], *, width: int, seed: int, dtype: DType = "float64"
) -> dict[str, np.ndarray]:
    """The initial matrices [*axes, rows, columns] and vectors [*axes, n] of `simulate`, by name.

    Its matrices if they are drawn, `matrices="dense"`.
    """
    given = {name: np.asarray(value) for name, value in inputs.items()}
    sizes = widths(program, given, width)
    law = _cast(laws(program, given, sizes), dtype)
    with precision(dtype):
        drawn, vectors = jax.jit(lambda seed, law: draw(program, sizes, law, seed, dtype))(
            np.uint32(seed), law
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


def _groups(
    program: Program,
    inputs: Mapping[str, np.ndarray],
    sizes: Mapping[str, int],
    seeds: Sequence[int],
    dtype: DType,
    free: tuple[str, ...],
    mesh: Mesh | None,
) -> Iterator[tuple[Sequence[int], dict[str, np.ndarray]]]:
    """The outputs of the seeds, a group at a time.

    All groups have one size, the last filled up, so that one computation serves all.
    """
    law = _cast(laws(program, inputs, sizes), dtype)
    given = _own(program, inputs, dtype)
    if not seeds:
        return
    with precision(dtype):
        size = _fitting(program, sizes, given, law, dtype, free, mesh)
    for start in range(0, len(seeds), size):
        group = seeds[start : start + size]
        filled = np.asarray([*group, *[group[-1]] * (size - len(group))], dtype=np.uint32)
        with precision(dtype):
            outputs = _compiled(program, tuple(sizes.items()), dtype, free, mesh)(filled, given, law)
            yield group, {name: np.asarray(value)[: len(group)] for name, value in outputs.items()}


def require_room(
    program: Program,
    inputs: Mapping[str, Any],
    *,
    width: int,
    seeds: int,
    dtype: DType = "float64",
    matrices: Matrices = "auto",
    devices: int = 1,
) -> None:
    """Refuses what surely does not fit, whatever the compiler makes of it.

    Raises TpcError (TP604), WidthError.
    """
    kept = seeds * (A_SEED + 8.0 * sum(math.prod(output.shape) for output in program.outputs))
    require_memory(kept, program.name, remedy="use fewer seeds", of_program=True)
    sizes = widths(program, {name: np.asarray(value) for name, value in inputs.items()}, width)
    _require_room(program, sizes, dtype, undrawn(program, sizes, matrices), devices)


def _require_room(
    program: Program, sizes: Mapping[str, int], dtype: DType, free: tuple[str, ...], devices: int
) -> None:
    """The same of one seed: the share of its numbers that a device has."""
    left = SURE * free_of_devices(devices)
    needed = float(np.dtype(dtype).itemsize * entries(program, sizes, free)) / devices
    require_memory(
        needed,
        program.name,
        free=left,
        remedy=_smaller(program, sizes, needed, left, free),
        of_program=True,
    )


def _fitting(
    program: Program,
    sizes: Mapping[str, int],
    given: Mapping[str, np.ndarray],
    law: Laws,
    dtype: DType,
    free: tuple[str, ...],
    mesh: Mesh | None = None,
) -> int:
    """How many seeds are run at once.

    Fewer than `group_size` if the compiler says that these take more than is free. Raises TpcError (TP604).
    """
    devices = 1 if mesh is None else mesh.local_mesh.size
    _require_room(program, sizes, dtype, free, devices)
    left, size = SURE * free_of_devices(devices), group_size(program, sizes, dtype, free)
    needed = memory_of(program, sizes, given, law, dtype, size, free, mesh)
    while needed > left and size > 1:
        size = max(1, min(size // 2, int(size * left / needed)))
        needed = memory_of(program, sizes, given, law, dtype, size, free, mesh)
        left = SURE * free_of_devices(devices)
    require_memory(
        needed,
        program.name,
        free=left,
        remedy=_smaller(program, sizes, needed, left, free),
        of_program=True,
    )
    return size


def memory_of(
    program: Program,
    sizes: Mapping[str, int],
    given: Mapping[str, np.ndarray],
    law: Laws,
    dtype: DType,
    size: int,
    free: tuple[str, ...] = (),
    mesh: Mesh | None = None,
) -> float:
    """Bytes that a group of so many seeds takes on a device, by the compiler's account.

    The same group is not compiled again when it is run.
    """
    seeds = jax.ShapeDtypeStruct((size,), np.uint32)
    run = _compiled(program, tuple(sizes.items()), dtype, free, mesh)
    return account(run.lower(seeds, given, law).compile())


def _smaller(
    program: Program, sizes: Mapping[str, int], needed: float, left: float, free: tuple[str, ...]
) -> str:
    """What to change where one seed needs more than is left."""
    if not program.widths:
        return "use smaller dims"
    power = 1 if len(free) == len(program.matrices) and not program.tables else 2
    first = sizes[program.widths[0].name]
    fits = int(first * (left / needed) ** (1 / power) * 0.95) if needed > left else first
    return f"a width of {fits:,} would fit" if fits else "use a smaller width"


def group_size(program: Program, sizes: Mapping[str, int], dtype: DType, free: tuple[str, ...]) -> int:
    """How many seeds are run at once: as many as fit into the memory, and no more than are of use."""
    useful = COORDINATES.get(jax.default_backend(), ELSEWHERE) // max(sizes.values(), default=1)
    most = MEMORY // max(1, np.dtype(dtype).itemsize * entries(program, sizes, free))
    return max(1, min(useful, most))


@lru_cache(maxsize=16)
def _compiled(
    program: Program,
    sizes: tuple[tuple[str, int], ...],
    dtype: DType,
    free: tuple[str, ...] = (),
    mesh: Mesh | None = None,
) -> Any:
    """The program as a jitted function of seeds [group], inputs and laws.

    Its outputs are [group, *their shape]. free: matrices that are not drawn. mesh: the devices that have a
    share of coordinates each.
    """
    program = read_while_there(program)
    own, families = dict(sizes), {family.name: family for family in program.families}
    met = capacities(program, own, free)
    share = partial(shared_out, mesh)

    def one(seed: Any, inputs: Mapping[str, Any], law: Laws) -> dict[str, Any]:
        matrices, vectors = draw(program, own, law, seed, jnp.dtype(dtype), free)
        matrices = {name: share(drawn, axis=-2) for name, drawn in matrices.items()}
        vectors = {name: share(drawn) for name, drawn in vectors.items()}
        bases: dict[str, Chain] = {}
        for name, (matrix, key) in undrawn_keys(program, seed, free).items():
            sigma = law.deviations[name] * math.sqrt(own[matrix.columns])
            matrices[name] = Asked(matrix, sigma, own[matrix.rows], own[matrix.columns], TOLERANCES[dtype])
            bases |= unasked(key, matrix, met, own, jnp.dtype(dtype), share)
        machine = Machine(own, matrices, families, jnp.dtype(dtype), rolling(program))
        with jax.default_matmul_precision("highest"):  # float32 on accelerators is rounded before else
            env = machine.run(program.body, {**inputs, **vectors, **bases}, Bindings())
        return {output.name: machine.output(output, env).astype(dtype) for output in program.outputs}

    run = jax.vmap(one, in_axes=(0, None, None))
    if mesh is None:
        return jax.jit(run)
    everywhere = NamedSharding(mesh, PartitionSpec())
    return jax.jit(run, in_shardings=everywhere, out_shardings=everywhere)


def _own(program: Program, inputs: Mapping[str, np.ndarray], dtype: DType) -> dict[str, np.ndarray]:
    """The inputs in the precision of the run."""
    return {
        item.name: inputs[item.name].astype(np.int32 if item.bound is not None else dtype)
        for item in program.inputs
    }


def _cast(law: Laws, dtype: DType) -> Laws:
    return Laws(
        *(
            {name: value.astype(dtype) for name, value in part.items()}
            for part in (law.deviations, law.means, law.roots)
        )
    )


jax.tree_util.register_dataclass(Laws, data_fields=["deviations", "means", "roots"], meta_fields=[])
