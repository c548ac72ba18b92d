"""A program at one width: how its seeds are run, how many at once, and what memory that takes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tpc.core.program import Program
from tpc.core.table_reads import read_while_there
from tpc.machine.memory import SURE, account, free_memory, free_of_devices, require_memory
from tpc.machine.precision import precision
from tpc.machine.processes import least, several
from tpc.plan.options import Matrices
from tpc.simulate.initialisation import Laws, draw, laws, shared_out, undrawn_keys, widths
from tpc.simulate.machine import Machine
from tpc.simulate.matrix_cost import entries, undrawn
from tpc.simulate.matrix_free import TOLERANCES, Asked, Chain, capacities, unasked
from tpc.simulate.rolling import rolling
from tpc.simulate.standing import Bindings

DType = Literal["float64", "float32"]
MEMORY = 1 << 30  # bytes that a group of seeds may take, as far as that can be told
# a group of seeds is filled up to so many coordinates of a vector: measured, more is slower
COORDINATES = {"cpu": 256}
ELSEWHERE = 1 << 20  # on accelerators more is faster, until they are busy
A_SEED = 500  # bytes that a seed takes besides its outputs


@dataclass(frozen=True)
class FiniteProgram:
    """A program at one width, with its inputs."""

    program: Program
    sizes: Mapping[str, int]
    # in the precision of the run
    inputs: Mapping[str, np.ndarray] = field(repr=False)
    law: Laws = field(repr=False)
    dtype: DType
    # the matrices that are not drawn
    free: tuple[str, ...]
    # the devices that have a share of the coordinates each; None: the one where JAX puts arrays
    mesh: Mesh | None = None

    @classmethod
    def of(
        cls,
        program: Program,
        inputs: Mapping[str, Any],
        width: int,
        dtype: DType,
        matrices: Matrices,
        mesh: Mesh | None = None,
    ) -> FiniteProgram:
        """Raises WidthError."""
        given = {name: np.asarray(value) for name, value in inputs.items()}
        sizes = widths(program, given, width)
        own = {
            item.name: given[item.name].astype(np.int32 if item.bound is not None else dtype)
            for item in program.inputs
        }
        law = laws(program, given, sizes).cast(dtype)
        return cls(program, sizes, own, law, dtype, undrawn(program, sizes, matrices), mesh)

    def groups(self, seeds: Sequence[int]) -> Iterator[tuple[Sequence[int], dict[str, np.ndarray]]]:
        """The outputs of the seeds, a group at a time.

        All groups have one size, the last filled up, so that one computation serves all.
        """
        if not seeds:
            return
        size = self.fitting()
        for start in range(0, len(seeds), size):
            group = seeds[start : start + size]
            filled = np.asarray([*group, *[group[-1]] * (size - len(group))], dtype=np.uint32)
            with precision(self.dtype):
                outputs = self._run(filled, self.inputs, self.law)
                yield group, {name: np.asarray(value)[: len(group)] for name, value in outputs.items()}

    @property
    def _run(self) -> Any:
        return compiled(self.program, tuple(self.sizes.items()), self.dtype, self.free, self.mesh)

    def fitting(self) -> int:
        """How many seeds are run at once.

        Fewer than are of use if the compiler says that these take more than is free. Raises TpcError (TP604).
        """
        _require_room_of_one(self.program, self.sizes, self.dtype, self.free, self.mesh)
        left, size = _left(self.mesh), self._most()
        needed = self.memory(size)
        while needed > left and size > 1:
            size = max(1, min(size // 2, int(size * left / needed)))
            needed = self.memory(size)
            left = _left(self.mesh)
        require_memory(
            needed,
            self.program.name,
            free=left,
            remedy=_smaller(self.program, self.sizes, needed, left, self.free),
            of_program=True,
        )
        return size

    def memory(self, size: int) -> float:
        """Bytes that a group of so many seeds takes on a device, by the compiler's account.

        The same group is not compiled again when it is run.
        """
        seeds = jax.ShapeDtypeStruct((size,), np.uint32)
        with precision(self.dtype):
            return account(self._run.lower(seeds, self.inputs, self.law).compile())

    def _most(self) -> int:
        """As many seeds at once as fit into the memory, and no more than are of use."""
        useful = COORDINATES.get(jax.default_backend(), ELSEWHERE) // max(self.sizes.values(), default=1)
        each = np.dtype(self.dtype).itemsize * entries(self.program, self.sizes, self.free)
        return max(1, min(useful, MEMORY // max(1, each)))


def require_room(
    program: Program,
    inputs: Mapping[str, Any],
    *,
    width: int,
    seeds: int,
    dtype: DType = "float64",
    matrices: Matrices = "auto",
    mesh: Mesh | None = None,
) -> None:
    """Refuses what surely does not fit, whatever the compiler makes of it.

    Raises TpcError (TP604), WidthError.
    """
    kept = seeds * (A_SEED + 8.0 * sum(math.prod(output.shape) for output in program.outputs))
    free = _of_all(free_memory(), mesh)
    require_memory(kept, program.name, free=free, remedy="use fewer seeds", of_program=True)
    sizes = widths(program, {name: np.asarray(value) for name, value in inputs.items()}, width)
    _require_room_of_one(program, sizes, dtype, undrawn(program, sizes, matrices), mesh)


def _require_room_of_one(
    program: Program,
    sizes: Mapping[str, int],
    dtype: DType,
    free: tuple[str, ...],
    mesh: Mesh | None,
) -> None:
    """The same of one seed: the share of its numbers that a device has."""
    left = _left(mesh)
    shares = 1 if mesh is None else mesh.size
    needed = float(np.dtype(dtype).itemsize * entries(program, sizes, free)) / shares
    require_memory(
        needed,
        program.name,
        free=left,
        remedy=_smaller(program, sizes, needed, left, free),
        of_program=True,
    )


def _left(mesh: Mesh | None) -> float:
    """Bytes of a device that may be planned on."""
    return _of_all(SURE * free_of_devices(1 if mesh is None else mesh.local_mesh.size), mesh)


def _of_all(free: float, mesh: Mesh | None) -> float:
    """The least that a process has free of those that share the coordinates.

    So all run as many seeds at once, or refuse: one that went on would wait for the others for ever.
    """
    return least(free) if mesh is not None and several() else free


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


@lru_cache(maxsize=16)
def compiled(
    program: Program,
    sizes: tuple[tuple[str, int], ...],
    dtype: DType,
    free: tuple[str, ...],
    mesh: Mesh | None,
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
