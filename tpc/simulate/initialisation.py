"""The initial matrices and vectors at finite width (Setup 7.2).

Their laws, worked out once, and their draws, seed by seed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tpc.core.laws import Inputs, covariance, law_number
from tpc.core.program import Gaussians, Matrix, Program


@dataclass(frozen=True, slots=True)
class Laws:
    """The numbers that the laws of a program come to."""

    # by matrix, the standard deviation of an entry, [*axes]
    deviations: Mapping[str, np.ndarray]
    # `means`, `roots`: by group of k vectors, [*axes, k], and a square root of the covariance, [*axes, k, k];
    # a group is called by its first name
    means: Mapping[str, np.ndarray]
    roots: Mapping[str, np.ndarray]

    def cast(self, dtype: str) -> Laws:
        """The same in another precision."""
        parts = (self.deviations, self.means, self.roots)
        return Laws(*({name: value.astype(dtype) for name, value in part.items()} for part in parts))


jax.tree_util.register_dataclass(Laws, data_fields=["deviations", "means", "roots"], meta_fields=[])


class WidthError(ValueError):
    """A width that no program can be run at, or not this one."""


def widths(program: Program, inputs: Inputs, width: int) -> dict[str, int]:
    """Every width, by its ratio to the first, which is `width`.

    Raises WidthError if one comes out below 1.
    """
    if width < 1:
        raise WidthError(f"the width must be at least 1, not {width}")
    out = {w.name: round(float(law_number(w.ratio, inputs, ()) * width)) for w in program.widths}
    for name, n in out.items():
        if n < 1:
            raise WidthError(
                f"the width {name} comes out as {n} where {program.widths[0].name} = {width}; take a larger "
                "one"
            )
    return out


def laws(program: Program, inputs: Inputs, sizes: Mapping[str, int]) -> Laws:
    deviations = {
        m.name: np.sqrt(law_number(m.variance, inputs, m.axes) / sizes[m.columns]) for m in program.matrices
    }
    means = {
        g.names[0]: np.stack([law_number(x, inputs, g.axes) for x in g.mean], axis=-1)
        for g in program.gaussians
    }
    return Laws(deviations, means, {g.names[0]: _root(g, inputs) for g in program.gaussians})


def _root(group: Gaussians, inputs: Inputs) -> np.ndarray:
    """A square root of the covariance, singular ones included.

    It is found by eigenvalues; rounding below 0 is taken for 0.
    """
    values, vectors = np.linalg.eigh(covariance(group, inputs))
    root: np.ndarray = vectors * np.sqrt(np.maximum(values, 0))[..., None, :]
    return root


def draw_matrix(key: Any, matrix: Matrix, deviation: Any, sizes: Mapping[str, int], dtype: Any) -> Any:
    """[*axes, rows, columns]."""
    shape = (*(count for _, count in matrix.axes), sizes[matrix.rows], sizes[matrix.columns])
    return jax.random.normal(key, shape, dtype) * deviation[..., None, None]


def draw_group(
    key: Any, group: Gaussians, mean: Any, root: Any, sizes: Mapping[str, int], dtype: Any
) -> dict[str, Any]:
    """The vectors of a group by name, each [*axes, n]."""
    z = jax.random.normal(key, (*mean.shape, sizes[group.width]), dtype)
    joint = jnp.matmul(root, z, precision="highest") + mean[..., None]
    return {name: joint[..., i, :] for i, name in enumerate(group.names)}


def draw(
    program: Program,
    sizes: Mapping[str, int],
    laws: Laws,
    seed: Any,
    dtype: Any,
    free: Collection[str] = (),
) -> tuple[dict[str, Any], dict[str, Any]]:
    """All initial matrices, but those in `free`, and vectors of one seed, by name.

    Each has a key of its own, by its place in the program.
    """
    key = jax.random.key(seed)
    matrices = {
        m.name: draw_matrix(jax.random.fold_in(key, i), m, laws.deviations[m.name], sizes, dtype)
        for i, m in enumerate(program.matrices)
        if m.name not in free
    }
    vectors: dict[str, Any] = {}
    for i, group in enumerate(program.gaussians, len(program.matrices)):
        first = group.names[0]
        vectors |= draw_group(
            jax.random.fold_in(key, i), group, laws.means[first], laws.roots[first], sizes, dtype
        )
    return matrices, vectors


def shared_out(mesh: Mesh | None, array: Any, axis: int = -1) -> Any:
    """An array whose axis is that of coordinates, of which every device of `mesh` has a share."""
    if mesh is None:
        return array
    names: list[Any] = [None] * array.ndim
    names[axis] = mesh.axis_names[0]
    return jax.lax.with_sharding_constraint(array, NamedSharding(mesh, PartitionSpec(*names)))


def undrawn_keys(program: Program, seed: Any, free: Collection[str]) -> dict[str, tuple[Matrix, Any]]:
    """The matrices that are not drawn, and the key of each, for what they are asked."""
    key = jax.random.key(seed)
    return {m.name: (m, jax.random.fold_in(key, i)) for i, m in enumerate(program.matrices) if m.name in free}
