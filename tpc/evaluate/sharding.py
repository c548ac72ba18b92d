"""The points or coefficients of a run shared out over devices.

Each has a part of the last axis of every vector.
"""

from __future__ import annotations

import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jax.sharding import Mesh, Sharding

Points = tuple[Any, Any]  # points [Gaussians, M] and their weights [M], of every sector


@dataclass(frozen=True)
class Shares:
    """How a module's vectors are shared out."""

    module: types.ModuleType = field(repr=False)
    # the devices, None for the one where JAX puts arrays
    mesh: Mesh | None
    # points and weights as they are shared out, padded to equal shares with points of weight 0; None where
    # they are the coefficients of the standard Gaussians on themselves, an identity, which is made where it
    # is needed and takes no memory beyond the start
    given: Points | None = field(repr=False)
    extents: tuple[int, ...] = ()  # of the points of every sector, without padding

    @classmethod
    def of(cls, module: types.ModuleType, mesh: Mesh | None, points: Points | None) -> Shares:
        """points: as they are; None for those of a module that has `coefficients`."""
        import jax
        import jax.numpy as jnp

        if points is None:
            return cls(module, mesh, None, (module.GAUSSIANS + 1,))
        dtype = module.DTYPE
        extents = tuple(a.shape[-1] for a in jax.tree.leaves(points[1]))
        if mesh is None:
            return cls(module, mesh, jax.tree.map(lambda a: jnp.asarray(a, dtype), points), extents)
        return cls(
            module, mesh, jax.tree.map(lambda a: module.spread(np.asarray(a, dtype), mesh), points), extents
        )

    @property
    def count(self) -> int:
        """How many shares there are."""
        return 1 if self.mesh is None else int(self.mesh.size)

    def at(self, given: Points | None) -> Points:
        """The points and weights inside of what is jitted, of which `given` is an argument."""
        import jax

        if given is not None:
            return given
        made: Points = self.module.coefficients(self.extents[0] + -self.extents[0] % self.count)
        if self.mesh is None:
            return made
        return jax.lax.with_sharding_constraint(made[0], self.along(1)), jax.lax.with_sharding_constraint(
            made[1], self.along(0)
        )

    def along(self, axis: int | None) -> Sharding:
        """How an array lies whose axis of this number is that of points; None: every device has all of it."""
        from jax.sharding import NamedSharding, PartitionSpec

        assert self.mesh is not None
        return NamedSharding(
            self.mesh,
            PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, *self.mesh.axis_names),
        )

    def whole(self, value: Any) -> Any:
        """An array that every device has all of."""
        import jax

        return value if self.mesh is None else jax.device_put(value, self.along(None))


@dataclass(frozen=True)
class Carried:
    """What a loop carries.

    For every array its shape, type, the axis of points (None: it has none), and how long that is without
    padding.
    """

    shares: Shares = field(repr=False)
    like: tuple[Any, ...]
    axes: tuple[int | None, ...]
    extents: tuple[int, ...]
    tree: Any = field(repr=False)

    @classmethod
    def of(cls, shares: Shares, inputs: Any) -> Carried:
        """The shares of the module's loop that runs in parts.

        What has the axis of points is what grows with it.
        """
        import jax

        points = jax.eval_shape(lambda: shares.at(shares.given))
        lengths = [a.shape[-1] for a in jax.tree.leaves(points[1])]

        def begun(*lengths: int) -> tuple[list[Any], Any]:
            of_sector = iter([*lengths, *lengths])  # the points of all sectors, then their weights
            longer = jax.tree.map(
                lambda a: jax.ShapeDtypeStruct((*a.shape[:-1], next(of_sector)), a.dtype), points
            )
            leaves, tree = jax.tree.flatten(jax.eval_shape(shares.module.begin, inputs, *longer))
            return leaves, tree

        (like, tree), (grown, _) = begun(*lengths), begun(*(m + k + 1 for k, m in enumerate(lengths)))
        axes: list[int | None] = []
        extents = []
        for a, b in zip(like, grown, strict=True):
            more = [n - m for m, n in zip(a.shape, b.shape, strict=True)]
            axes.append(next((k for k, n in enumerate(more) if n), None))
            extents.append(shares.extents[sum(more) - 1] if any(more) else 0)
        return cls(shares, tuple(like), tuple(axes), tuple(extents), tree)

    @property
    def shardings(self) -> Any:
        """The tree of how its arrays lie on the devices of a mesh."""
        import jax

        return jax.tree.unflatten(self.tree, [self.shares.along(axis) for axis in self.axes])

    @property
    def abstract(self) -> Any:
        """Arrays of these shapes without contents."""
        import jax

        if self.shares.mesh is None:
            return jax.tree.unflatten(self.tree, self.like)
        laid = [
            jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=self.shares.along(axis))
            for a, axis in zip(self.like, self.axes, strict=True)
        ]
        return jax.tree.unflatten(self.tree, laid)

    def stored(self, state: Any) -> list[np.ndarray]:
        """The arrays without padding, so that any number of devices can go on from them."""
        import jax

        out = []
        for array, axis, extent in zip(jax.tree.leaves(state), self.axes, self.extents, strict=True):
            own = np.asarray(array)
            out.append(own if axis is None else own[(slice(None),) * axis + (slice(extent),)])
        return out

    def placed(self, arrays: list[np.ndarray]) -> Any:
        """The state of arrays without padding, each device given its share.

        Padding is as the last point, as in `spread`.
        """
        import jax
        import jax.numpy as jnp

        out = []
        for array, like, axis, extent in zip(arrays, self.like, self.axes, self.extents, strict=True):
            if self.shares.mesh is None:
                out.append(jnp.asarray(array, like.dtype))
                continue

            def share(
                index: Any,
                array: np.ndarray = array,
                like: Any = like,
                axis: int | None = axis,
                extent: int = extent,
            ) -> np.ndarray:
                own = (
                    array[index]
                    if axis is None
                    else np.take(
                        array, np.minimum(np.arange(like.shape[axis])[index[axis]], extent - 1), axis=axis
                    )
                )
                return np.asarray(own, like.dtype)

            out.append(jax.make_array_from_callback(like.shape, self.shares.along(axis), share))
        return jax.tree.unflatten(self.tree, out)
