"""Arrays of all steps so far, in blocks, and sums over them. Tested as code."""

import jax.numpy as jnp
import numpy as np
from jax import lax

BLOCK, BLOCKS = 128, 8


# ---- copied
def history(shape, dtype):
    """Zeros [T, ..., M] in blocks of steps, a tuple.

    A sum over the steps so far leaves out the blocks that are not begun.
    """
    steps = max(-(-BLOCK // int(np.prod(shape[1:-1]))), -(-shape[0] // BLOCKS))
    return tuple(
        jnp.zeros((min(steps, shape[0] - start), *shape[1:]), dtype) for start in range(0, shape[0], steps)
    )


def begins(history):
    """The blocks of a history as rows [rows, M], and the steps they begin with."""
    return [(block.reshape(-1, block.shape[-1]), k * len(history[0])) for k, block in enumerate(history)]


def recorded(history, t, part):
    """A history with step t replaced: every block is written, in place, but the others with what they had."""
    rows, out = part.reshape(-1, part.shape[-1]), []
    for block, (flat, start) in zip(history, begins(history), strict=True):
        here, first = (t >= start) & (t < start + len(block)), (t - start) * len(rows)
        old = lax.dynamic_slice_in_dim(flat, first, len(rows))
        out.append(
            lax.dynamic_update_slice_in_dim(flat, jnp.where(here, rows, old), first, 0).reshape(block.shape)
        )
    return tuple(out)


def whole(history):
    """A history as one array."""
    return jnp.concatenate(history)


def products(history, wx, count):
    """The inner products [T, ...] of wx/weights [M] with the steps of a history.

    Those of blocks beyond the first `count` steps are 0.
    """
    (first, _), *others = begins(history)
    # the product first, then transposed by vmap: else it is half as fast
    found = [lax.optimization_barrier(first @ wx)]
    for rows, start in others:
        nothing = jnp.zeros(len(rows), wx.dtype)
        found.append(
            lax.cond(
                count > start,
                lambda rows=rows: lax.optimization_barrier(rows @ wx),
                lambda nothing=nothing: nothing,
            )
        )
    return jnp.concatenate(found).reshape(-1, *history[0].shape[1:-1])


def combined(history, coefficients, count):
    """The sum of the steps of a history with coefficients [T, ...], which are 0 beyond the first `count`."""
    parts = [
        lax.optimization_barrier(coefficients[start : start + len(block)].reshape(-1))
        for block, (_, start) in zip(history, begins(history), strict=True)
    ]
    (first, _), *others = begins(history)
    total = parts[0] @ first
    for own, (rows, start) in zip(parts[1:], others, strict=True):
        total = lax.cond(
            count > start, lambda total, own=own, rows=rows: total + own @ rows, lambda total: total, total
        )
    return total
