"""Functions of single matrices, of many: one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import sequential_vmap


def one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of matrices as one of arrays [*axes, n, m], which are broadcast, under `vmap` too.

    jaxlib (0.10) shares a batch of decompositions out to the threads that XLA runs on, and waits for it on
    one of these: as many batches at once as there are threads wait for ever.
    """
    alone = sequential_vmap(function)

    def of_many(*arrays: Any) -> Any:
        axes = jnp.broadcast_shapes(*(array.shape[:-2] for array in arrays))
        if not axes:
            return alone(*arrays)
        flat = [
            jnp.broadcast_to(array, (*axes, *array.shape[-2:])).reshape(-1, *array.shape[-2:])
            for array in arrays
        ]
        found = jax.lax.map(lambda own: alone(*own), tuple(flat))
        return found.reshape(*axes, *found.shape[1:])

    return of_many
