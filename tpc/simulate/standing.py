"""Where an instruction stands at finite width: the loop variables around it, of which some are array axes.

A loop is run either in rounds, its variable being one number at a time, or at once, its variable being an
axis of every array. Values are held with one leading dimension per axis, of length 1 where they do not depend
on it, so that what is shared by many rounds is computed once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax.numpy as jnp

from tpc.core.affine import Affine, Ranges, bounds
from tpc.simulate.rolling import turn


@dataclass(frozen=True, slots=True)
class Bindings:
    """Loop variables and what they are."""

    # as executed, outermost first
    ranges: Ranges = ()
    # the value of each variable, a number for one run in rounds, an array of rank `len(axes)` for an axis
    at: Mapping[str, Any] = field(default_factory=dict)
    # `axes`, `extents`: the variables that are axes, and their lengths
    axes: tuple[str, ...] = ()
    extents: tuple[int, ...] = ()
    # True where a round is real, None if all are; its rank is `len(axes)`
    mask: Any = None

    def value(self, index: Affine) -> Any:
        """The number or the array (of rank `len(axes)`) that `index` is."""
        return index.const + sum(k * self.at[variable] for variable, k in index.terms)

    def greatest(self, count: Affine) -> int:
        return max(0, bounds(count, self.ranges)[1])

    def varies(self, index: Affine) -> bool:
        """Whether `index` depends on an axis."""
        return bool(index.variables & set(self.axes))

    def in_round(self, variable: str, count: Affine, value: Any) -> Bindings:
        """Inside one round, `value`, of a loop. Masked if the number of rounds differs along an axis."""
        masked = self.varies(count)
        turns = {turn(variable, offset): (value + offset) % 2 for offset in (0, 1)}
        ranges = (
            *self.ranges,
            (variable, Affine(self.greatest(count)) if masked else count),
            *((name, Affine(2)) for name in turns),
        )
        mask = self._masked(value < self.value(count)) if masked else self.mask
        return replace(self, ranges=ranges, at={**self.at, variable: value, **turns}, mask=mask)

    def along(self, variable: str, count: Affine) -> Bindings:
        """Inside all rounds of a loop at once: `variable` is the last axis.

        Masked if the number of rounds is not a constant.
        """
        extent = self.greatest(count)
        limit = _deeper(self.value(count))
        grid = jnp.arange(extent).reshape((1,) * len(self.axes) + (extent,))
        deeper = Bindings(
            (*self.ranges, (variable, Affine(extent))),
            {**{v: _deeper(x) for v, x in self.at.items()}, variable: grid},
            (*self.axes, variable),
            (*self.extents, extent),
            _deeper(self.mask),
        )
        return deeper if count.constant is not None else replace(deeper, mask=deeper._masked(grid < limit))

    def _masked(self, condition: Any) -> Any:
        return condition if self.mask is None else self.mask & condition


def _deeper(x: Any) -> Any:
    """`x` with one more axis, of length 1, if it has axes."""
    return x[..., None] if getattr(x, "ndim", 0) else x
